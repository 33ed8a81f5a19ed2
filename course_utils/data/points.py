"""Densities in one and two dimensions: an exact sampler, the exact log density, and point sets drawn from them.

Coordinates have no range; `log_density` is in nats. A density is known by name: `density("8-gaussians").sample(1000)`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import reject

SPLITS = {"train": 0, "test": 1}


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """Round Gaussians of one spread. centers: (K, D). sigma: standard deviation of each. weights: (K,), adding up to 1."""

    centers: Tensor
    sigma: float
    weights: Tensor

    @property
    def shape(self) -> tuple[int]:
        return (self.centers.shape[1],)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n independent points: (n, D), float32."""
        which = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        return self.centers[which] + self.sigma * torch.randn(n, *self.shape, generator=generator)

    def log_density(self, x: Tensor) -> Tensor:
        """log p(x) in nats: (B, D) -> (B,), in x's precision."""
        centers, weights = self.centers.to(x), self.weights.to(x)
        square = (x[:, None] - centers).square().sum(2) / self.sigma**2  # (B, K)
        constant = 0.5 * self.shape[0] * math.log(2 * math.pi * self.sigma**2)
        return torch.logsumexp(weights.log() - 0.5 * square, 1) - constant


def mixture(centers, sigma: float, weights=None) -> GaussianMixture:
    """A mixture at these centers, a list of numbers (D = 1) or of points; weights: equal if not given, else normalized."""
    centers = torch.as_tensor(centers, dtype=torch.float32)
    centers = centers[:, None] if centers.ndim == 1 else centers
    weights = torch.ones(len(centers)) if weights is None else torch.as_tensor(weights, dtype=torch.float32)
    if not 0 < sigma < math.inf:
        raise reject("sigma", sigma, "more than 0", "It is a standard deviation.")
    if weights.shape != (len(centers),) or not (weights > 0).all():
        raise reject("weights", weights.tolist(), f"{len(centers)} numbers more than 0, one for each center")
    return GaussianMixture(centers, float(sigma), weights / weights.sum())


def ring(modes: int, radius: float, sigma: float) -> GaussianMixture:
    """`modes` equal Gaussians, evenly spaced on a circle about the origin, the first at (radius, 0)."""
    angle = 2 * math.pi * torch.arange(modes, dtype=torch.float64) / modes
    return mixture(radius * torch.stack([angle.cos(), angle.sin()], 1), sigma)


# 8-gaussians: the modes are 1.08 apart, 77 standard deviations; scaled by 1.414 as in published toy problems.
DENSITIES: dict[str, Callable[[], GaussianMixture]] = {
    "gaussian": lambda: mixture([0.0], 1.0),
    "two-gaussians": lambda: mixture([-2.0, 2.0], 0.5),
    "three-gaussians": lambda: mixture([-3.0, 0.0, 3.0], 0.4, [0.3, 0.5, 0.2]),
    "8-gaussians": lambda: ring(8, 2 / 1.414, 0.02 / 1.414),
}


def density(name: str) -> GaussianMixture:
    """The density of this name; CourseError lists the known ones."""
    if name not in DENSITIES:
        raise reject("density", name, sorted(DENSITIES))
    return DENSITIES[name]()


@dataclass(frozen=True, eq=False, repr=False)
class PointSet:
    """Points that a model trains on as it does on an ImageSet. images: float32 (N, D), in their own coordinates."""

    images: Tensor
    name: str
    split: str
    labels: None = None

    def __post_init__(self):
        if self.images.dtype != torch.float32 or self.images.ndim != 2:
            raise reject("images", f"{self.images.dtype} {tuple(self.images.shape)}", "a float32 tensor (N, D)")

    def __repr__(self) -> str:
        return f"PointSet({self.name!r}, {self.split!r}: {len(self)} points in {self.shape[0]}-D)"

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int]:
        """(D,) of one point."""
        return tuple(self.images.shape[1:])

    def floats(self, index: object = None) -> Tensor:
        """The points at `index` (an int, a slice, a list or a tensor of ints), all for None: (B, D)."""
        return self.images.clone() if index is None else self.images[[index] if isinstance(index, int) else index].clone()

    def sha256(self) -> str:
        """Hex digest over shape and coordinates, little-endian."""
        digest = hashlib.sha256(f"float32 {tuple(self.images.shape)}".encode())
        digest.update(self.images.cpu().contiguous().numpy().astype("<f4").tobytes())
        return digest.hexdigest()


def points(name: str, n: int = 20_000, split: str = "train", seed: int = 0) -> PointSet:
    """n points of the density `name`. One seed gives the same points twice, and other ones in train and test."""
    if n < 1:
        raise reject("n", n, "1 or more")
    if split not in SPLITS:
        raise reject("split", split, SPLITS)
    return PointSet(density(name).sample(n, torch.Generator().manual_seed(2 * seed + SPLITS[split])), name, split)
