"""Parameter counts, shapes, gradients, memory layouts, and that pictures keep their orientation."""

import pytest
import torch

from course_utils import methods
from course_utils.errors import CourseError
from course_utils.methods.autoencoder import AutoencoderConfig
from course_utils.methods.vae import VAEConfig
from course_utils.networks import AUTOENCODERS, build_autoencoder

IMAGES = [name for name in AUTOENCODERS if name != "mlp"]  # the networks of images


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("method", "latent_dim", "parameters"),
    [("autoencoder", 16, 1_212_819), ("autoencoder", 128, 2_130_435), ("autoencoder", 1024, 9_471_363),
     ("vae", 1024, 13_666_691)],
)  # fmt: skip
def test_assignment_network_has_the_published_parameters(method, latent_dim, parameters):
    config = methods.method_class(method).Config(latent_dim=latent_dim, network="cifar-assignment")
    assert count(methods.build(method, config, (3, 32, 32))) == parameters


def test_dcgan_network_has_the_published_parameters():
    assert count(methods.build("vae", VAEConfig(latent_dim=64, network="dcgan64"), (1, 64, 64))) == 1_767_041


SHAPES = [(1, 8, 8), (3, 8, 16), (1, 24, 40), (3, 32, 32), (3, 56, 24), (1, 64, 64)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("network", IMAGES)
def test_any_multiple_of_eight_with_one_or_three_channels(network, shape):
    nets = build_autoencoder(network, shape, 5, 10)
    code = nets.encoder(torch.rand(2, *shape))
    assert code.shape == (2, 10)
    assert nets.decoder(code[:, :5]).shape == (2, *shape)


@pytest.mark.parametrize("widths", [(4,), (4, 8), (8, 8, 8, 8)])
@pytest.mark.parametrize("network", ["conv", "dcgan64"])
def test_other_widths_want_other_multiples(network, widths):
    side = 2 ** len(widths)
    nets = build_autoencoder(network, (1, 2 * side, side), 3, 3, widths)
    assert nets.decoder(nets.encoder(torch.rand(2, 1, 2 * side, side))).shape == (2, 1, 2 * side, side)
    with pytest.raises(CourseError, match=f"multiples of {side}"):
        build_autoencoder(network, (1, 2 * side, side + side // 2), 3, 3, widths)


@pytest.mark.parametrize(
    "shape", [(2, 32, 32), (4, 32, 32), (1, 28, 28), (3, 32, 30), (1, 0, 8), (32, 32), (1, 3, 32, 32)]
)
@pytest.mark.parametrize("network", IMAGES)
def test_other_shapes_are_refused(network, shape):
    with pytest.raises(CourseError, match="data_shape"):
        build_autoencoder(network, shape, 4, 8)


def test_names_and_widths_are_checked():
    with pytest.raises(CourseError, match="cifar-assignment, conv, dcgan64"):
        build_autoencoder("resnet", (1, 32, 32), 4, 8)
    with pytest.raises(CourseError, match="widths"):
        build_autoencoder("cifar-assignment", (3, 32, 32), 4, 8, (8, 8, 8))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("network", IMAGES)
@pytest.mark.parametrize("method", ["autoencoder", "vae"])
def test_every_parameter_gets_a_gradient_in_either_memory_layout(method, network, layout):
    config = methods.method_class(method).Config(latent_dim=4, network=network)
    model = methods.build(method, config, (3, 32, 32), seed=0).to(memory_format=layout)
    x = torch.rand(4, 3, 32, 32).to(memory_format=layout)
    model.step(x, lambda player, loss: loss.backward())
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # A convolution's bias before a BatchNorm is subtracted again: its gradient is zero but for rounding.
    assert idle == []


@pytest.mark.parametrize("network", IMAGES)
def test_both_memory_layouts_compute_the_same(network):
    config = AutoencoderConfig(latent_dim=4, network=network)
    model = methods.build("autoencoder", config, (3, 32, 32), seed=0).eval()
    x = torch.rand(2, 3, 32, 32)
    plain = model.reconstruct(x)
    model.to(memory_format=torch.channels_last)
    torch.testing.assert_close(model.reconstruct(x.to(memory_format=torch.channels_last)), plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", IMAGES)
@pytest.mark.parametrize(("row", "column"), [(0, 31), (31, 0), (5, 20), (20, 5)])
def test_a_decoders_pixels_come_from_the_same_place_of_its_grid(network, row, column):
    """A decoder that swaps height and width learns all the same; what a pixel depends on shows where it comes from."""
    # Larger kernels and more layers see further, on a finer grid.
    scale, reach = {"vae-gan32": (2, 2), "vae-gan64": (2, 2), "introspective": (4, 4)}.get(network, (1, 1))
    row, column = row * scale, column * scale
    decoder = build_autoencoder(network, (1, 32 * scale, 32 * scale), 4, 4).decoder.eval()
    start = torch.rand(1, *decoder.start, requires_grad=True)
    pixel = decoder.stages(start)[0, 0, row, column]
    where = torch.autograd.grad(pixel, start)[0].abs().sum((0, 1))  # (4, 4), (8, 8) or (16, 16)
    assert where.sum() > 0
    rows, columns = (where > 0).nonzero().T
    assert (rows - row // 8).abs().max() <= reach and (columns - column // 8).abs().max() <= reach


@pytest.mark.parametrize("network", IMAGES)
def test_a_wide_picture_stays_wide(network):
    """Where height and width differ they cannot be exchanged unnoticed."""
    nets = build_autoencoder(network, (3, 16, 40), 4, 4)
    seen = {}
    nets.encoder.eval().stages.register_forward_hook(lambda module, args, out: seen.update(features=out))
    nets.encoder(torch.rand(1, 3, 16, 40))
    assert seen["features"].shape[2:] == (2, 5) and nets.decoder.start[1:] == (2, 5)
    assert nets.decoder.eval()(torch.rand(1, 4)).shape == (1, 3, 16, 40)


def test_an_asymmetric_picture_is_learned_the_right_way_round():
    """Overfit one picture with a bright top right corner: the reconstruction is it, not its transpose."""
    model = methods.build("autoencoder", AutoencoderConfig(latent_dim=4), (1, 16, 16), seed=0)
    x = torch.zeros(1, 1, 16, 16)
    x[..., :5, 9:] = 1
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(200):
        model.step(x, lambda player, loss: loss.backward())
        optimizer.step()
        optimizer.zero_grad()
    found = model.reconstruct(x)
    # 35 pixels are bright; in the transposed picture, 35 others.
    assert (found - x).square().sum() < 5 and (found - x.mT).square().sum() > 60
