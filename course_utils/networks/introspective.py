"""The residual networks of IntroVAE and Soft-IntroVAE: average pooling down, nearest neighbors up, BatchNorm in between.

Published widths (latent dimensions): 32x32 in color 64, 128, 256 (128): 3,382,848 + 2,382,531 parameters; 28x28 in gray
64, 128 (32): 928,512 + 697,025; 128 pixels 64, 128, 256, 512, 512 (256), and one 512 more at 256 pixels. Daniel and Tamar,
arXiv 2012.13253. Every width halves the side. There is no output activation: data are in [0, 1], and the decoder learns it.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from .conv import check_shape
from .residual import double


def activation() -> nn.Module:
    return nn.LeakyReLU(0.2, inplace=True)  # what comes before it (a norm, a sum) needs its output no more


def convolve_doubled(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """conv(double(x)) of a 3x3 convolution without bias: (B, C, H, W) -> (B, C', 2H, 2W).

    Each pixel stands there four times, so where it meets nine weights four sums of them do: one transposed convolution of
    stride 2, with 16 products a pixel for 36. On a grid smaller than 8 making the sums costs more than they save."""
    if min(x.shape[2:]) < 8:
        return conv(double(x))
    flipped = conv.weight.flip(2, 3).transpose(0, 1)  # (C, C', 3, 3)
    sums = sum(F.pad(flipped, (i, 1 - i, j, 1 - j)) for i in (0, 1) for j in (0, 1))  # (C, C', 4, 4)
    return F.conv_transpose2d(x, sums, stride=2, padding=1)


class ResidualBlock(nn.Module):
    """conv3, norm, LeakyReLU, conv3, norm, plus x (through a 1x1 convolution where widths differ), LeakyReLU.

    (B, before, H, W) -> (B, after, H, W), or from an image that is doubled first to (B, after, 2H, 2W). The convolutions
    have no bias."""

    def __init__(self, before: int, after: int, *, doubled: bool = False):
        super().__init__()
        self.doubled = doubled
        self.conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.body = nn.Sequential(
            *(nn.BatchNorm2d(after), activation()),
            *(nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)),
        )
        self.shortcut = nn.Identity() if before == after else nn.Conv2d(before, after, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(convolve_doubled(x, self.conv) if self.doubled else self.conv(x))
        shortcut = self.shortcut(x)
        # A 1x1 convolution and copying pixels commute, and on the small image it is a quarter of the work.
        return F.leaky_relu_(h + (double(shortcut) if self.doubled else shortcut), 0.2)


class IntrospectiveEncoder(nn.Module):
    """conv5 stem to the first width, then a block to each further one, each halved by averaging; one more block, Linear."""

    def __init__(self, data_shape, widths, code_width):
        super().__init__()
        channels, height, width = check_shape(data_shape, 2 ** len(widths))
        first = widths[0]
        stages = [nn.Conv2d(channels, first, 5, padding=2, bias=False), nn.BatchNorm2d(first), activation(), nn.AvgPool2d(2)]
        for before, after in zip(widths, widths[1:], strict=False):
            stages += [ResidualBlock(before, after), nn.AvgPool2d(2)]
        self.stages = nn.Sequential(*stages, ResidualBlock(widths[-1], widths[-1]))
        pixels = (height >> len(widths)) * (width >> len(widths))
        self.head = nn.Linear(widths[-1] * pixels, code_width)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages(x).flatten(1))  # (B, C, H, W) -> (B, code_width)


class IntrospectiveDecoder(nn.Module):
    """Linear and ReLU, then a block to each width in reverse, nearest x2 after each; one more block and a conv5 with bias."""

    def __init__(self, data_shape, widths, latent_dim):
        super().__init__()
        channels, height, width = check_shape(data_shape, 2 ** len(widths))
        self.start = (widths[-1], height >> len(widths), width >> len(widths))
        self.stem = nn.Sequential(nn.Linear(latent_dim, math.prod(self.start)), nn.ReLU())
        stages = [ResidualBlock(widths[-1], widths[-1])]
        for before, after in zip(widths[::-1], (*widths[-2::-1], widths[0]), strict=True):
            stages += [ResidualBlock(before, after, doubled=True)]
        self.stages = nn.Sequential(*stages, nn.Conv2d(widths[0], channels, 5, padding=2))

    def forward(self, z: Tensor) -> Tensor:
        h = self.stem(z).unflatten(1, self.start)  # (B, Z) -> (B, widths[-1], H / 2^n, W / 2^n)
        return self.stages(h)  # -> (B, C, H, W)
