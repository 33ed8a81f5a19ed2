"""The networks of the VAE-GAN (Larsen et al., arXiv 1512.09300): encoder, decoder, and a discriminator that shows a layer.

Three widths describe all three: (64, 128, 256) at 64x64 is the paper's net, (32, 64, 128) at 32x32 a sibling with a tenth
of its parameters. Kernels are 5 (6 where an image doubles), padding is 2, BatchNorm has torch's momentum (0.1, which
TensorFlow calls 0.9) and starts at weight 1. As in the paper's net, layers before a BatchNorm keep a bias though the
BatchNorm subtracts it again: its gradient is zero but for rounding.
"""

from __future__ import annotations

import math

from torch import nn

from ..errors import reject
from .conv import check_shape

# Channels of the encoder's stages; the decoder's and the discriminator's follow from them.
WIDTHS = {"vae-gan32": (32, 64, 128), "vae-gan64": (64, 128, 256)}


def check_widths(widths) -> tuple[int, ...]:
    """Return the channels of the stages if there are two or more and the first can be halved; CourseError otherwise."""
    if len(widths) < 2 or widths[0] % 2:
        raise reject("widths", tuple(widths), "two or more, the first of them even", "(32, 64, 128) suits 32x32 pixels.")
    return tuple(widths)


def normed(layer, norm, activation):
    """One layer, its BatchNorm over so many channels, and an activation."""
    kind = nn.BatchNorm1d if isinstance(layer, nn.Linear) else nn.BatchNorm2d
    return [layer, kind(norm), activation]


def down(before, after):
    return normed(nn.Conv2d(before, after, 5, stride=2, padding=2), after, nn.LeakyReLU(0.2))


def up(before, after):
    # A kernel that is a multiple of its stride covers every output pixel equally often: no checkerboard.
    return normed(nn.ConvTranspose2d(before, after, 6, stride=2, padding=2), after, nn.ReLU())


class VAEGANEncoder(nn.Module):
    """conv5 of stride 2 per width, Linear to 8 times the last width, each with BatchNorm and LeakyReLU; then the heads.

    At 1x64x64, widths (64, 128, 256) and two heads of 128: 35,112,064 parameters."""

    def __init__(self, data_shape, widths, code_width):
        super().__init__()
        widths = check_widths(widths)
        channels, height, width = check_shape(data_shape, 2 ** len(widths))
        layers = [down(before, after) for before, after in zip((channels, *widths), widths, strict=False)]
        self.stages = nn.Sequential(*sum(layers, []))
        pixels, hidden = (height >> len(widths)) * (width >> len(widths)), 8 * widths[-1]
        # Two heads of Z side by side are one layer of 2 Z: the same numbers in one product.
        hide = normed(nn.Linear(widths[-1] * pixels, hidden), hidden, nn.LeakyReLU(0.2))
        self.head = nn.Sequential(*hide, nn.Linear(hidden, code_width))

    def forward(self, x):
        return self.head(self.stages(x).flatten(1))  # (B, C, H, W) -> (B, code_width)


class VAEGANDecoder(nn.Module):
    """Linear, then transposed conv6 of stride 2, each with BatchNorm and ReLU; transposed conv5, tanh: images in [-1, 1].

    At 1x64x64, widths (64, 128, 256) and 128 latents: 256 channels at 8x8, 256, 128, 32, and 5,834,753 parameters."""

    def __init__(self, data_shape, widths, latent_dim):
        super().__init__()
        widths = check_widths(widths)
        channels, height, width = check_shape(data_shape, 2 ** len(widths))
        self.start = (widths[-1], height >> len(widths), width >> len(widths))
        numbers = math.prod(self.start)
        self.stem = nn.Sequential(*normed(nn.Linear(latent_dim, numbers), numbers, nn.ReLU()))
        outs = (widths[-1], *widths[-2:0:-1], widths[0] // 2)
        layers = [up(before, after) for before, after in zip((widths[-1], *outs), outs, strict=False)]
        self.stages = nn.Sequential(*sum(layers, []), nn.ConvTranspose2d(outs[-1], channels, 5, padding=2), nn.Tanh())

    def forward(self, z):
        h = self.stem(z).unflatten(1, self.start)  # (B, Z) -> (B, widths[-1], H / 2^n, W / 2^n)
        return self.stages(h)  # -> (B, C, H, W)


class Discriminator(nn.Module):
    """conv5 of stride 1, then conv5 of stride 2 with BatchNorm per further width, Linear with BatchNorm, Linear to a logit.

    `forward` gives the output of the `layer`-th convolution after its activation too (0: the last): Dis_l of the paper, the
    space in which reconstructions are compared; there it is the fourth of four, 8x8 positions of a 64x64 image. At 1x64x64,
    widths (64, 128, 256): channels 32, 128, 256, 256 and 10,953,409 parameters."""

    def __init__(self, data_shape, widths, layer=0):
        super().__init__()
        widths = check_widths(widths)
        channels, height, width = check_shape(data_shape, 2 ** len(widths))
        outs = (widths[0] // 2, *widths[1:], widths[-1])
        layers = [down(before, after) for before, after in zip(outs, outs[1:], strict=False)]
        first = nn.Conv2d(channels, outs[0], 5, padding=2)  # no BatchNorm on what comes from pixels
        self.features = nn.Sequential(first, nn.LeakyReLU(0.2), *sum(layers, []))
        if layer not in range(len(outs) + 1):
            raise reject("layer", layer, f"0 to {len(outs)}, the convolutions of the discriminator", "0 is the last one.")
        self.shown = 3 * (layer or len(outs)) - 1  # modules up to the activation of that convolution
        pixels, hidden = (height >> len(widths)) * (width >> len(widths)), 2 * widths[-1]
        hide = normed(nn.Linear(widths[-1] * pixels, hidden), hidden, nn.LeakyReLU(0.2))
        self.head = nn.Sequential(*hide, nn.Linear(hidden, 1))

    def forward(self, x):
        shown = self.features[: self.shown](x)  # (B, C, H, W) -> (B, outs[l], H / 2^(l-1), W / 2^(l-1))
        last = self.features[self.shown :](shown)
        return shown, self.head(last.flatten(1)).squeeze(1)  # -> logits (B,)
