"""Plain networks, by name. No losses, no optimizers, no data.

`build_autoencoder("conv", (1, 32, 32), latent_dim=32, code_width=64)` gives an encoder (B, C, H, W) -> (B, code_width),
a decoder (B, latent_dim) -> (B, C, H, W), and how to read the decoder's output.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from ..errors import reject
from . import conv, introspective, mlp, residual, vae_gan


@dataclass(frozen=True)
class AutoencoderNetworks:
    """An encoder, a decoder, and the two facts a method needs to read the decoder's output.

    output: "sigmoid" if the raw output is a logit, "linear" if it is the value itself.
    data_range: the range of pixel values the pair works in; images outside the package are always in [0, 1]. None for
    points, which have none.
    scale_head: what the second half of a stochastic encoder's output means, "logvar" or "log_std".
    """

    encoder: nn.Module
    decoder: nn.Module
    output: str = "sigmoid"
    data_range: tuple[float, float] | None = (0.0, 1.0)
    scale_head: str = "logvar"


@dataclass(frozen=True)
class GANNetworks:
    """A generator (B, Z) -> (B, *data_shape) and a critic (B, *data_shape) -> logits (B,).

    data_range: the range of pixel values the pair works in, None for points, which have none.
    """

    generator: nn.Module
    critic: nn.Module
    data_range: tuple[float, float] | None = (-1.0, 1.0)


AUTOENCODERS: dict[str, Callable[..., AutoencoderNetworks]] = {}
GANS: dict[str, Callable[..., GANNetworks]] = {}


def register(name: str, family: dict[str, Callable] = AUTOENCODERS):
    """Decorator: make a builder known under `name` in its family.

    Its arguments are (data_shape, latent_dim, code_width, widths), and (data_shape, latent_dim, width) in GANS."""

    def keep(builder):
        family[name] = builder
        return builder

    return keep


def build_autoencoder(name, data_shape, latent_dim, code_width, widths=()) -> AutoencoderNetworks:
    """Build the pair `name`. data_shape: (C, H, W). code_width: outputs of the encoder, latent_dim or 2 * latent_dim.

    widths: channels of each stage, () for the network's own. Raises CourseError for an unknown name or a shape it can't take."""
    if name not in AUTOENCODERS:
        raise reject("network", name, sorted(AUTOENCODERS), "`course describe METHOD --network NAME` shows its layers.")
    return AUTOENCODERS[name](tuple(data_shape), latent_dim, code_width, tuple(widths))


@register("conv")
def _conv(data_shape, latent_dim, code_width, widths):
    widths = widths or (32, 64, 128)
    return AutoencoderNetworks(
        conv.ConvEncoder(data_shape, widths, code_width), conv.ConvDecoder(data_shape, widths, latent_dim)
    )


@register("cifar-assignment")
def _cifar(data_shape, latent_dim, code_width, widths):
    if widths:
        raise reject("widths", widths, "() only", "The assignment's network is fixed; use network='conv' to choose widths.")
    return AutoencoderNetworks(
        conv.CifarEncoder(data_shape, code_width),
        conv.CifarDecoder(data_shape, latent_dim),
        output="linear",
        data_range=(-1.0, 1.0),
        scale_head="log_std",
    )


@register("dcgan64")
def _dcgan(data_shape, latent_dim, code_width, widths):
    widths = widths or (32, 64, 128)
    return AutoencoderNetworks(
        conv.DCGANEncoder(data_shape, widths, latent_dim, heads=code_width // latent_dim),
        conv.DCGANDecoder(data_shape, widths, latent_dim),
    )


@register("vae-gan32")
def _vae_gan32(data_shape, latent_dim, code_width, widths):
    widths = widths or vae_gan.WIDTHS["vae-gan32"]
    return AutoencoderNetworks(
        vae_gan.VAEGANEncoder(data_shape, widths, code_width),
        vae_gan.VAEGANDecoder(data_shape, widths, latent_dim),
        output="linear",
        data_range=(-1.0, 1.0),
    )


@register("vae-gan64")
def _vae_gan64(data_shape, latent_dim, code_width, widths):
    return _vae_gan32(data_shape, latent_dim, code_width, widths or vae_gan.WIDTHS["vae-gan64"])


@register("introspective")
def _introspective(data_shape, latent_dim, code_width, widths):
    widths = widths or (64, 128, 256)
    return AutoencoderNetworks(
        introspective.IntrospectiveEncoder(data_shape, widths, code_width),
        introspective.IntrospectiveDecoder(data_shape, widths, latent_dim),
        output="linear",
    )


@register("mlp")
def _mlp_pair(data_shape, latent_dim, code_width, widths):
    dimension, widths = mlp.check_points(data_shape), widths or (256, 256, 256, 256)
    if len(set(widths)) > 1:
        raise reject("widths", widths, "one width, as often as there are hidden layers", "256 256 256 256 is the default.")
    make = functools.partial(mlp.MLP, width=widths[0], hidden=len(widths))
    encoder, decoder = make(dimension, after=code_width), make(latent_dim, after=dimension)
    return AutoencoderNetworks(encoder, decoder, output="linear", data_range=None)


def build_gan(name, data_shape, latent_dim, width) -> GANNetworks:
    """Build the generator and critic `name`. data_shape: (C, H, W) of images, (D,) of points. width: of every layer.

    Raises CourseError for an unknown name or a shape it can't take."""
    if name not in GANS:
        raise reject("network", name, sorted(GANS), "Images take residual, points take mlp.")
    return GANS[name](tuple(data_shape), latent_dim, width)


@register("residual", GANS)
def _residual(data_shape, latent_dim, width):
    return GANNetworks(
        residual.ResidualGenerator(data_shape, latent_dim, width), residual.ResidualCritic(data_shape, width)
    )


@register("mlp", GANS)
def _mlp(data_shape, latent_dim, width):
    dimension = mlp.check_points(data_shape)
    generator, critic = mlp.MLP(latent_dim, width, dimension), mlp.PointCritic(dimension, width)
    return GANNetworks(generator, critic, data_range=None)
