"""The VAE-GAN's networks: exact parameter counts, layers, shapes, orientation, bad input."""

import pytest
import torch
from torch import nn

from course_utils import methods
from course_utils.errors import CourseError
from course_utils.methods.vae import VAEConfig
from course_utils.methods.vae_gan import VAEGAN, VAEGANConfig
from course_utils.networks import build_autoencoder
from course_utils.networks.vae_gan import Discriminator

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def on_meta(network, shape, **config):
    with torch.device("meta"):  # no memory, no draws: the counts alone
        return VAEGAN(VAEGANConfig(network=network, **config), shape)


def test_the_papers_networks_have_the_published_parameters():
    model = on_meta("vae-gan64", (1, 64, 64))
    assert count(model.encoder) == 35_112_064
    assert count(model.decoder) == 5_834_753
    assert count(model.discriminator) == 10_953_409


def test_the_sibling_has_a_tenth():
    model = on_meta("vae-gan32", (3, 32, 32))
    assert count(model.encoder) == 2_621_696
    assert count(model.decoder) == 1_191_715
    assert count(model.discriminator) == 1_167_489
    assert 0.09 < count(model) / count(on_meta("vae-gan64", (3, 64, 64))) < 0.1


def test_layers_are_the_papers():
    model = on_meta("vae-gan64", (1, 64, 64))

    def layers(module):
        return [
            (m.in_features, m.out_features) if isinstance(m, nn.Linear)
            else (m.in_channels, m.out_channels, *m.kernel_size[:1], *m.stride[:1], *m.padding[:1])
            for m in module.modules() if isinstance(m, LAYERS)
        ]  # fmt: skip

    assert layers(model.encoder) == [
        (1, 64, 5, 2, 2), (64, 128, 5, 2, 2), (128, 256, 5, 2, 2), (16384, 2048), (2048, 256)]  # fmt: skip
    assert layers(model.decoder) == [
        (128, 16384), (256, 256, 6, 2, 2), (256, 128, 6, 2, 2), (128, 32, 6, 2, 2), (32, 1, 5, 1, 2)]  # fmt: skip
    assert layers(model.discriminator) == [
        (1, 32, 5, 1, 2), (32, 128, 5, 2, 2), (128, 256, 5, 2, 2), (256, 256, 5, 2, 2), (16384, 512), (512, 1)]  # fmt: skip


def test_every_layer_is_normalized_but_the_first_from_pixels_and_the_outputs():
    model = on_meta("vae-gan64", (1, 64, 64))
    for net, bare in ((model.encoder, {4}), (model.decoder, {4}), (model.discriminator, {0, 5})):
        kinds = [m for m in net.modules() if isinstance(m, (*LAYERS, nn.BatchNorm1d, nn.BatchNorm2d))]
        followed, number = set(), -1
        for module in kinds:
            if isinstance(module, LAYERS):
                number += 1
            else:
                followed.add(number)
        assert set(range(number + 1)) - followed == bare


def test_batch_norm_starts_as_the_identity_and_keeps_torchs_momentum():
    """0.9 copied from TensorFlow would keep a tenth of the past; N(0, 0.02) would start each layer near zero."""
    model = methods.build("vae-gan", VAEGANConfig(widths=(4, 6)), (1, 8, 8), seed=0)
    norms = [m for m in model.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))]
    assert len(norms) == 3 + 3 + 3
    for norm in norms:
        assert norm.momentum == 0.1 and (norm.weight == 1).all() and (norm.bias == 0).all()


def test_features_are_the_last_convolution_after_norm_and_activation():
    net = Discriminator((3, 16, 24), (4, 6, 8)).eval()
    x = torch.randn(2, 3, 16, 24)
    features, logits = net(x)
    assert features.shape == (2, 8, 2, 3) and logits.shape == (2,)
    h = x
    for layer in net.features[:-3]:
        h = layer(h)
    conv, norm, activation = net.features[-3:]
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and isinstance(activation, nn.LeakyReLU)
    torch.testing.assert_close(features, nn.functional.leaky_relu(norm(conv(h)), 0.2))
    torch.testing.assert_close(logits, net.head(features.flatten(1))[:, 0])


def test_each_convolution_can_show_its_features_and_the_logit_stays():
    x, nets = torch.randn(2, 3, 16, 24), [Discriminator((3, 16, 24), (4, 6, 8), layer).eval() for layer in range(5)]
    for net in nets[1:]:
        net.load_state_dict(nets[0].state_dict())  # the layer changes no weight
    shown, logits = zip(*(net(x) for net in nets), strict=True)
    assert [tuple(f.shape[1:]) for f in shown] == [(8, 2, 3), (2, 16, 24), (6, 8, 12), (8, 4, 6), (8, 2, 3)]
    assert torch.equal(shown[0], shown[4]) and all(torch.equal(d, logits[0]) for d in logits)
    torch.testing.assert_close(nets[0].features[8:](shown[3]), shown[4])  # the third, through the fourth
    for layer in (-1, 5):
        with pytest.raises(CourseError, match=f"layer: got {layer}, allowed: 0 to 4"):
            methods.build("vae-gan", VAEGANConfig(widths=(4, 6, 8), layer=layer), (3, 16, 24))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_discriminator_computes_the_same_in_either_memory_layout(layout):
    net = Discriminator((3, 16, 16), (4, 6)).eval()
    x = torch.randn(2, 3, 16, 16)
    want = net(x)[1]
    torch.testing.assert_close(net.to(memory_format=layout)(x.to(memory_format=layout))[1], want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", ["vae-gan32", "vae-gan64"])
def test_the_matched_vae_has_the_same_encoder_and_decoder(network):
    config = {"network": network, "latent_dim": 8, "widths": (4, 6)}
    vae = methods.build("vae", VAEConfig(**config), (3, 16, 16), seed=0)
    gan = methods.build("vae-gan", VAEGANConfig(**config), (3, 16, 16), seed=0)
    for part in ("encoder", "decoder"):
        ours, theirs = getattr(vae, part).state_dict(), getattr(gan, part).state_dict()
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)
    x = torch.rand(2, 3, 16, 16)
    assert torch.equal(vae.reconstruct(x), gan.reconstruct(x))
    assert vae.data_range == gan.data_range == (-1.0, 1.0)


def test_the_decoder_stays_inside_its_range():
    nets = build_autoencoder("vae-gan32", (1, 16, 16), 4, 8, (4, 6))
    raw = nets.decoder(1e3 * torch.randn(8, 4))
    assert raw.shape == (8, 1, 16, 16) and raw.abs().max() <= 1 and raw.min() < 0 < raw.max()


@pytest.mark.parametrize(("row", "column"), [(0, 127), (127, 0), (40, 90), (90, 40)])
def test_a_decoders_pixels_come_from_the_same_place_of_its_grid(row, column):
    """A decoder that swaps height and width learns all the same. Kernels of 6 reach three cells of a 16x16 grid."""
    decoder = build_autoencoder("vae-gan32", (1, 128, 128), 4, 4).decoder.eval()
    start = torch.rand(1, *decoder.start, requires_grad=True)
    decoder.stages[-1] = nn.Identity()  # a saturated tanh would have no slope
    pixel = decoder.stages(start)[0, 0, row, column]
    where = torch.autograd.grad(pixel, start)[0].abs().sum((0, 1))  # (16, 16)
    assert where.sum() > 0
    rows, columns = (where > 0).nonzero().T
    assert (rows - row // 8).abs().max() <= 3 and (columns - column // 8).abs().max() <= 3


@pytest.mark.parametrize("widths", [(4,), (5, 6)])
def test_widths_that_do_not_fit_are_refused(widths):
    for build in (
        lambda: build_autoencoder("vae-gan32", (1, 32, 32), 4, 8, widths),
        lambda: Discriminator((1, 32, 32), widths),
        lambda: VAEGAN(VAEGANConfig(network="conv", widths=widths), (1, 32, 32)),
    ):
        with pytest.raises(CourseError, match="widths: got .*two or more, the first of them even"):
            build()


def test_other_shapes_are_refused():
    for shape in ((2, 32, 32), (1, 28, 28), (32, 32)):
        with pytest.raises(CourseError, match="data_shape"):
            Discriminator(shape, (4, 6, 8))
