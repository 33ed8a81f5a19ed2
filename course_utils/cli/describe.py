"""The layers of a method's networks, as a table."""

from __future__ import annotations

from typing import Annotated

import tyro

from ..errors import reject
from .common import command, option


@command
def describe(
    method: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="METHOD")],
    /,
    network: str = "conv",
    latent_dim: int = 32,
    size: Annotated[int | None, option("PIXELS")] = None,
    channels: Annotated[int | None, option("INT")] = None,
    widths: tuple[int, ...] = (),
) -> None:
    """Show every layer with its output's shape and its parameters, and what the whole model sums to.

    Args:
        method: autoencoder or vae
        network: conv (sides that are multiples of 8), cifar-assignment or dcgan64
        latent_dim: numbers in a code
        size: side of the images in pixels; 64 for dcgan64 if not given, else 32
        channels: 1 (gray) or 3 (RGB); 3 for cifar-assignment if not given, else 1
        widths: channels of each stage; the network's own if not given
    """
    from .. import methods

    cls = methods.method_class(method)
    if not issubclass(cls, methods.Autoencoder):
        able = [name for name, other in methods.METHODS.items() if issubclass(other, methods.Autoencoder)]
        raise reject("method", method, able, "Their networks are an encoder and a decoder; this one's are others.")
    size = (64 if network == "dcgan64" else 32) if size is None else size
    channels = (3 if network == "cifar-assignment" else 1) if channels is None else channels
    config = cls.Config(network=network, latent_dim=latent_dim, widths=widths)
    model = methods.build(method, config, (channels, size, size), seed=0)
    print(layers(model))


def layers(model) -> str:
    """The table of both networks of an autoencoder or VAE, with torchinfo, and the counts."""
    from torchinfo import summary

    channels, height, width = model.data_shape
    shown = {
        "encoder": (model.encoder, (1, channels, height, width)),
        "decoder": (model.decoder, (1, model.latent_dim)),
    }
    parts = []
    for name, (net, shape) in shown.items():
        info = summary(
            net, shape, device="cpu", verbose=0, depth=4, col_names=("output_size", "num_params", "mult_adds")
        )
        parts.append(f"{name}: {shape[1:]} -> {tuple(info.summary_list[0].output_size[1:])}, per image\n{info}")
    counts = {name: sum(p.numel() for p in net.parameters()) for name, (net, _) in shown.items()}
    total = sum(p.numel() for p in model.parameters())
    parts.append(f"{model.__class__.__name__}, images {model.data_shape}, {model.latent_dim} latent dimensions")
    parts.append(f"parameters: {total:,} ({', '.join(f'{name} {count:,}' for name, count in counts.items())})")
    return "\n".join(parts)
