"""The residual pair for 32x32 images: a generator with BatchNorm, a critic without any normalization (WGAN-GP's networks).

At width 128, 128 latents and 3 channels they have 1,204,099 and 1,053,825 parameters. Gulrajani et al., arXiv 1704.00028,
appendix F. Other square sizes work too, as long as they are a multiple of 8.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .conv import check_shape


class StraightReLU(torch.autograd.Function):
    """ReLU that knows it has no second derivative. A gradient penalty differentiates the critic twice; with F.relu, whose
    second derivative is a tensor of zeros, a third of its work would send these zeros back through all layers."""

    @staticmethod
    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        y = x.relu()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return None if grad is None else torch.ops.aten.threshold_backward(grad, y.detach(), 0)


relu = StraightReLU.apply


def halve(x: Tensor) -> Tensor:
    """The mean of each 2x2 pixels: (B, C, H, W) -> (B, C, H / 2, W / 2).

    As a bilinear resize, because the second derivative of torch's avg_pool2d is a tensor of zeros too."""
    return F.interpolate(x, scale_factor=0.5, mode="bilinear")


def double(x: Tensor) -> Tensor:
    """Each pixel four times: (B, C, H, W) -> (B, C, 2H, 2W)."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


class UpBlock(nn.Module):
    """BN, ReLU, conv3, BN, ReLU, nearest x2 + conv3, beside the shortcut nearest x2 + conv1: (B, C, H, W) -> (B, C, 2H, 2W)."""

    def __init__(self, width: int):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, padding=1)
        self.shortcut = nn.Conv2d(width, width, 1)

    def forward(self, x):
        h = self.conv1(F.relu(self.norm1(x)))
        h = self.conv2(double(F.relu(self.norm2(h))))
        # A 1x1 convolution and copying pixels commute, and on the small image it is a quarter of the work.
        return h + double(self.shortcut(x))


class ResidualGenerator(nn.Module):
    """Linear to `width` channels at an eighth of the size, three up-blocks, BN, ReLU, conv3, tanh: (B, Z) -> (B, C, H, W)."""

    def __init__(self, data_shape, latent_dim: int, width: int):
        super().__init__()
        channels, height, wide = check_shape(data_shape, 8)
        self.start = (width, height // 8, wide // 8)
        self.stem = nn.Linear(latent_dim, width * (height // 8) * (wide // 8))
        self.blocks = nn.Sequential(*(UpBlock(width) for _ in range(3)))
        self.head = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, channels, 3, padding=1))

    def forward(self, z: Tensor) -> Tensor:
        h = self.stem(z).unflatten(1, self.start)  # (B, width, H / 8, W / 8)
        raw = self.head(self.blocks(h))  # (B, C, H, W)
        return raw.to(self.stem.weight.dtype).tanh()  # in [-1, 1], in steps finer than bfloat16's


class CriticBlock(nn.Module):
    """ReLU, conv3, ReLU, conv3 beside a shortcut; `down` averages 2x2 pixels before the second convolution."""

    def __init__(self, before: int, after: int, *, down: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.shortcut = nn.Conv2d(before, after, 1) if down else nn.Identity()
        self.pool = halve if down else nn.Identity()

    def forward(self, x):
        h = self.conv1(relu(x))
        h = self.conv2(self.pool(relu(h)))
        return h + self.shortcut(self.pool(x))


class ResidualCritic(nn.Module):
    """Two down-blocks, two plain ones, ReLU, the *sum* over space, Linear: (B, C, H, W) in [-1, 1] -> logits (B,).

    No normalization: a penalty on the gradient of each image needs images that do not see each other."""

    def __init__(self, data_shape, width: int):
        super().__init__()
        channels, _, _ = check_shape(data_shape, 8)
        self.blocks = nn.Sequential(
            CriticBlock(channels, width, down=True),
            CriticBlock(width, width, down=True),
            CriticBlock(width, width, down=False),
            CriticBlock(width, width, down=False),
        )
        self.head = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = relu(self.blocks(x)).to(self.head.weight.dtype).sum((2, 3))  # (B, width)
        with torch.autocast(x.device.type, enabled=False):  # in bfloat16 a logit near 100 would move in halves
            return self.head(h).flatten()


def normalize_spectrum(network: nn.Module) -> nn.Module:
    """Divide the weight of each convolution and linear layer by its largest singular value, in place.

    The matrix of a convolution is (C', C * 3 * 3). Miyato et al., arXiv 1802.05957."""
    for layer in [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]:
        nn.utils.parametrizations.spectral_norm(layer)
    return network
