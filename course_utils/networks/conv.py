"""Small convolutional encoders and decoders: the course's own family, the CIFAR-10 assignment's net, the DCGAN-style one.

Encoders map (B, C, H, W) to (B, width); decoders map (B, Z) to (B, C, H, W) *before* any output activation, because a
Bernoulli likelihood wants the logits. Flattening uses `.flatten(1)`: `.view` raises on channels_last activations.
"""

from __future__ import annotations

import math

from torch import nn

from ..errors import reject


def check_shape(data_shape, factor: int) -> tuple[int, int, int]:
    """Return (C, H, W) if C is 1 or 3 and both sides are multiples of `factor`; raise CourseError otherwise."""
    if len(data_shape) != 3:
        raise reject("data_shape", tuple(data_shape), "(C, H, W), one image's shape")
    channels, height, width = data_shape
    if channels not in (1, 3):
        raise reject("data_shape", tuple(data_shape), "1 or 3 channels", "Convert the images to gray or RGB first.")
    if height % factor or width % factor or min(height, width) < factor:
        remedy = "Load the data at another size (size=...), or use another number of widths."
        raise reject("data_shape", tuple(data_shape), f"height and width that are multiples of {factor}", remedy)
    return channels, height, width


class ConvEncoder(nn.Module):
    """The course's family: one 4x4 convolution of stride 2 per width, ReLU, then one linear layer.

    Each stage halves the image, so sides must be multiples of 2 ** len(widths) (8 for three widths)."""

    def __init__(self, data_shape, widths, code_width):
        super().__init__()
        channels, height, width = check_shape(data_shape, 2 ** len(widths))
        stages = []
        for before, after in zip((channels, *widths), widths, strict=False):
            stages += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.ReLU()]
        self.stages = nn.Sequential(*stages)
        pixels = (height >> len(widths)) * (width >> len(widths))
        self.head = nn.Linear(widths[-1] * pixels, code_width)

    def forward(self, x):
        return self.head(self.stages(x).flatten(1))  # (B, C, H, W) -> (B, code_width)


class ConvDecoder(nn.Module):
    """The mirror of ConvEncoder: one linear layer, then one 4x4 transposed convolution of stride 2 per width.

    A kernel that is a multiple of its stride covers every output pixel equally often: no checkerboard."""

    def __init__(self, data_shape, widths, latent_dim):
        super().__init__()
        channels, height, width = check_shape(data_shape, 2 ** len(widths))
        self.start = (widths[-1], height >> len(widths), width >> len(widths))
        self.stem = nn.Sequential(nn.Linear(latent_dim, math.prod(self.start)), nn.ReLU())
        stages = []
        for before, after in zip(widths[::-1], (*widths[-2::-1], channels), strict=True):
            stages += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), nn.ReLU()]
        self.stages = nn.Sequential(*stages[:-1])

    def forward(self, z):
        h = self.stem(z).unflatten(1, self.start)  # (B, Z) -> (B, widths[-1], H / 2^n, W / 2^n)
        return self.stages(h)  # -> (B, C, H, W)


class CifarEncoder(nn.Module):
    """Encoder of a widely used CIFAR-10 autoencoder assignment: conv3x3 32 (stride 1), 64, 128, 256 (stride 2), Linear."""

    def __init__(self, data_shape, code_width):
        super().__init__()
        channels, height, width = check_shape(data_shape, 8)
        self.stages = nn.Sequential(
            *(nn.Conv2d(channels, 32, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv2d(64, 128, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv2d(128, 256, 3, stride=2, padding=1), nn.ReLU()),
        )
        self.head = nn.Linear(256 * (height // 8) * (width // 8), code_width)

    def forward(self, x):
        return self.head(self.stages(x).flatten(1))  # (B, C, H, W) -> (B, code_width)


class CifarDecoder(nn.Module):
    """Decoder of the same assignment: Linear, transposed conv4x4 of stride 2 to 128, 64, 32 channels, conv3x3.

    There is no activation after the linear layer: the net behind the recorded scores leaves it out."""

    def __init__(self, data_shape, latent_dim):
        super().__init__()
        channels, height, width = check_shape(data_shape, 8)
        self.start = (256, height // 8, width // 8)
        self.stem = nn.Linear(latent_dim, math.prod(self.start))
        self.stages = nn.Sequential(
            *(nn.ConvTranspose2d(256, 128, 4, stride=2, padding=1), nn.ReLU()),
            *(nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1), nn.ReLU()),
            *(nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1), nn.ReLU()),
            nn.Conv2d(32, channels, 3, padding=1),
        )

    def forward(self, z):
        h = self.stem(z).unflatten(1, self.start)  # (B, Z) -> (B, 256, H / 8, W / 8)
        return self.stages(h)  # -> (B, C, H, W)


class DCGANEncoder(nn.Module):
    """DCGAN-style encoder: conv3x3 of stride 2, BatchNorm, LeakyReLU per width, then one linear head per moment.

    At 64x64 with 1 channel, 64 latents and two heads, encoder and decoder together have 1,767,041 parameters."""

    def __init__(self, data_shape, widths, latent_dim, heads):
        super().__init__()
        channels, height, width = check_shape(data_shape, 2 ** len(widths))
        stages = []
        for before, after in zip((channels, *widths), widths, strict=False):
            stages += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        self.stages = nn.Sequential(*stages)
        pixels = (height >> len(widths)) * (width >> len(widths))
        # Two heads of Z side by side are one layer of 2 Z: the same numbers in one product.
        self.head = nn.Linear(widths[-1] * pixels, heads * latent_dim)

    def forward(self, x):
        return self.head(self.stages(x).flatten(1))  # (B, C, H, W) -> (B, heads * Z)


class DCGANDecoder(nn.Module):
    """The mirror of DCGANEncoder: Linear, then transposed conv3x3 of stride 2, BatchNorm, LeakyReLU; a bare last layer."""

    def __init__(self, data_shape, widths, latent_dim):
        super().__init__()
        channels, height, width = check_shape(data_shape, 2 ** len(widths))
        self.start = (widths[-1], height >> len(widths), width >> len(widths))
        self.stem = nn.Linear(latent_dim, math.prod(self.start))
        stages = []
        for before, after in zip(widths[::-1], widths[-2::-1], strict=False):
            stages += [self._up(before, after), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        self.stages = nn.Sequential(*stages, self._up(widths[0], channels))

    @staticmethod
    def _up(before, after):
        return nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=1)

    def forward(self, z):
        h = self.stem(z).unflatten(1, self.start)  # (B, Z) -> (B, widths[-1], H / 2^n, W / 2^n)
        return self.stages(h)  # -> (B, C, H, W)
