"""The residual pair of the introspective methods and the pair for points: exact counts, layers, one forward each, bad input."""

import pytest
import torch
from torch import nn

from course_utils import methods
from course_utils.errors import CourseError
from course_utils.methods.vae import VAEConfig
from course_utils.networks import build_autoencoder
from course_utils.networks.introspective import IntrospectiveDecoder, ResidualBlock

# side, channels, latent dimensions, widths, parameters of encoder and decoder. The last two are ours: published work gives
# their widths and not their counts.
PUBLISHED = {
    "cifar": ((3, 32, 32), 128, (64, 128, 256), 3_382_848, 2_382_531),
    "mnist": ((1, 28, 28), 32, (64, 128), 928_512, 697_025),
    "celeba-128": ((3, 128, 128), 256, (64, 128, 256, 512, 512), 18_461_504, 14_121_667),
    "celeba-256": ((3, 256, 256), 256, (64, 128, 256, 512, 512, 512), 23_182_144, 18_842_307),
    "monsters-128": ((3, 128, 128), 128, (64, 128, 256, 512, 512), 16_364_096, 13_073_091),
    "1024": ((3, 1024, 1024), 256, (16, 32, 64, 128, 256, 512, 512, 512), 23_250_512, 18_806_707),
}


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters(name):
    shape, latent_dim, widths, encoder, decoder = PUBLISHED[name]
    with torch.device("meta"):
        nets = build_autoencoder("introspective", shape, latent_dim, 2 * latent_dim, widths)
    assert (count(nets.encoder), count(nets.decoder)) == (encoder, decoder)


@pytest.mark.parametrize("name", ["cifar", "mnist", "celeba-128", "monsters-128"])
@pytest.mark.parametrize("method", ["soft-intro-vae", "intro-vae", "vae", "autoencoder"])
def test_any_method_is_built_on_it_with_these_counts(name, method):
    shape, latent_dim, widths, encoder, decoder = PUBLISHED[name]
    cls = methods.METHODS[method]
    with torch.device("meta"):
        model = cls(cls.Config(network="introspective", latent_dim=latent_dim, widths=widths), shape)
    if cls.moments == 1:
        encoder -= latent_dim * (widths[-1] * (shape[1] >> len(widths)) ** 2 + 1)
    assert (count(model.encoder), count(model.decoder)) == (encoder, decoder)


@pytest.mark.parametrize("name", PUBLISHED)
def test_one_forward_there_and_back(name):
    shape, latent_dim, widths, *_ = PUBLISHED[name]
    nets = build_autoencoder("introspective", shape, latent_dim, 2 * latent_dim, widths)
    with torch.no_grad():
        code = nets.encoder.eval()(torch.rand(1, *shape))
        assert code.shape == (1, 2 * latent_dim)
        image = nets.decoder.eval()(code[:, :latent_dim])
    assert image.shape == (1, *shape) and torch.isfinite(image).all()
    assert nets.output == "linear" and nets.data_range == (0.0, 1.0)


def test_layers_are_the_published_ones():
    nets = build_autoencoder("introspective", (3, 32, 32), 128, 256, (64, 128, 256))

    def chain(stages):
        return [(m.conv.in_channels, *(["x2"] if m.doubled else []), m.body[2].out_channels)
                if isinstance(m, ResidualBlock) else type(m).__name__ for m in stages]  # fmt: skip

    assert chain(nets.encoder.stages) == [
        "Conv2d", "BatchNorm2d", "LeakyReLU", "AvgPool2d", (64, 128), "AvgPool2d", (128, 256), "AvgPool2d",
        (256, 256)]  # fmt: skip
    assert chain(nets.decoder.stages) == [
        (256, 256), (256, "x2", 128), (128, "x2", 64), (64, "x2", 64), "Conv2d"]
    stem, last = nets.encoder.stages[0], nets.decoder.stages[-1]
    assert stem.kernel_size == last.kernel_size == (5, 5) and stem.bias is None and last.bias is not None
    assert nets.encoder.head.in_features == nets.decoder.stem[0].out_features == 4096


@pytest.mark.parametrize("side", [3, 4, 8, 11])
@pytest.mark.parametrize("doubled", [False, True])
@pytest.mark.parametrize("widths", [(3, 3), (3, 5)])
def test_a_block_from_its_formula(widths, doubled, side):
    torch.manual_seed(0)
    block, x = ResidualBlock(*widths, doubled=doubled).double().eval(), torch.randn(2, 3, side, side + 1).double()
    norm1, _, conv2, norm2 = block.body
    with torch.no_grad():
        for norm in (norm1, norm2):
            norm.running_mean.normal_(), norm.running_var.uniform_(0.5, 2), norm.weight.normal_(), norm.bias.normal_()
    before = x.clone()
    found = block(x)
    slopes = torch.autograd.grad(found.square().sum(), list(block.parameters()))
    assert torch.equal(x, before)  # activations work in place; the input is not theirs
    x = x.repeat_interleave(2, 2).repeat_interleave(2, 3) if doubled else x
    h = nn.functional.leaky_relu(norm1(block.conv(x)), 0.2)
    shortcut = x if widths[0] == widths[1] else nn.functional.conv2d(x, block.shortcut.weight)
    want = nn.functional.leaky_relu(norm2(conv2(h)) + shortcut, 0.2)
    torch.testing.assert_close(found, want, rtol=1e-10, atol=1e-10)
    for slope, plain in zip(slopes, torch.autograd.grad(want.square().sum(), list(block.parameters())), strict=True):
        torch.testing.assert_close(slope, plain, rtol=1e-9, atol=1e-9)


def test_in_place_activations_have_the_gradients_of_plain_ones():
    """Finite differences through a whole pair in float64."""
    torch.manual_seed(0)
    nets = build_autoencoder("introspective", (1, 8, 8), 2, 4, (2, 3))
    encoder, decoder = nets.encoder.double(), nets.decoder.double()
    x = torch.rand(3, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: decoder(encoder(x)[:, :2]), x, eps=1e-7, atol=1e-4)


def test_the_decoder_starts_from_the_smallest_grid():
    decoder = IntrospectiveDecoder((3, 64, 32), (4, 8), 5)
    assert decoder.start == (8, 16, 8) and decoder(torch.randn(2, 5)).shape == (2, 3, 64, 32)


def test_the_pair_for_points():
    nets = build_autoencoder("mlp", (2,), 2, 4)
    sizes = lambda net: [(m.in_features, m.out_features) for m in net if isinstance(m, nn.Linear)]  # noqa: E731
    assert sizes(nets.encoder) == [(2, 256), (256, 256), (256, 256), (256, 256), (256, 4)]
    assert sizes(nets.decoder) == [(2, 256), (256, 256), (256, 256), (256, 256), (256, 2)]
    assert nets.data_range is None and nets.output == "linear"
    nets = build_autoencoder("mlp", (3,), 2, 4, (8, 8))
    assert sizes(nets.encoder) == [(3, 8), (8, 8), (8, 4)] and nets.decoder(torch.randn(5, 2)).shape == (5, 3)


def test_bad_input():
    with pytest.raises(CourseError, match="widths: got.*one width"):
        build_autoencoder("mlp", (2,), 2, 4, (8, 16))
    with pytest.raises(CourseError, match="data_shape"):
        build_autoencoder("mlp", (3, 8, 8), 2, 4)
    with pytest.raises(CourseError, match="data_shape"):
        build_autoencoder("introspective", (2,), 2, 4)
    with pytest.raises(CourseError, match="multiples of 8"):
        build_autoencoder("introspective", (3, 28, 28), 2, 4)


@pytest.mark.parametrize("method", ["vae", "autoencoder"])
def test_other_methods_learn_points(method):
    cls = methods.METHODS[method]
    model = methods.build(method, cls.Config(latent_dim=2, network="mlp", widths=(16, 16)), (2,), seed=0)
    x = 9 * torch.randn(64, 2, generator=torch.Generator().manual_seed(1))
    assert model.decode(torch.randn(4, 2)).shape == (4, 2) and model.reconstruct(x).shape == x.shape
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    error = lambda: model.evaluation_terms(x, torch.Generator().manual_seed(2))["sse"].mean().item()  # noqa: E731
    start = error()

    def update(player, loss):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for _ in range(80):
        model.step(x, update)
    assert error() < 0.3 * start  # far outside [0, 1]: nothing is clamped or squashed


def test_a_bernoulli_likelihood_of_points_is_refused():
    with pytest.raises(CourseError, match="likelihood"):
        methods.build("vae", VAEConfig(network="mlp", likelihood="bernoulli"), (2,))
