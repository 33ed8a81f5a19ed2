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


class Double(nn.Module):
    """Each pixel four times: (B, C, H, W) -> (B, C, 2H, 2W)."""

    def forward(self, x: Tensor) -> Tensor:
        return double(x)


class ResidualBlock(nn.Module):
    """conv3, norm, LeakyReLU, conv3, norm, plus x (through a 1x1 convolution where widths differ), LeakyReLU.

    (B, before, H, W) -> (B, after, H, W). The convolutions have no bias."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), activation()),
            *(nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)),
        )
        self.shortcut = nn.Identity() if before == after else nn.Conv2d(before, after, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu_(self.body(x) + self.shortcut(x), 0.2)


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
    """Linear and ReLU, then a block to each width in reverse, each doubled; one more block and a conv5 with bias."""

    def __init__(self, data_shape, widths, latent_dim):
        super().__init__()
        channels, height, width = check_shape(data_shape, 2 ** len(widths))
        self.start = (widths[-1], height >> len(widths), width >> len(widths))
        self.stem = nn.Sequential(nn.Linear(latent_dim, math.prod(self.start)), nn.ReLU())
        stages, before = [], widths[-1]
        for after in widths[::-1]:
            stages += [ResidualBlock(before, after), Double()]
            before = after
        self.stages = nn.Sequential(*stages, ResidualBlock(before, before), nn.Conv2d(before, channels, 5, padding=2))

    def forward(self, z: Tensor) -> Tensor:
        h = self.stem(z).unflatten(1, self.start)  # (B, Z) -> (B, widths[-1], H / 2^n, W / 2^n)
        return self.stages(h)  # -> (B, C, H, W)
