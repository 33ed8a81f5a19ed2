"""Points of known densities: each density by its name, and point sets drawn from it to train on.

Coordinates have no range. `density("8-gaussians").sample(1000)` draws, `load("8-gaussians", "train")` is a data set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import reject
from .densities import Checkerboard, Density, GaussianMixture, Rings, Spirals, mixture, ring

__all__ = ["DENSITIES", "GaussianMixture", "PLANE", "PointSet", "density", "mixture", "points", "read", "ring"]

SPLITS = {"train": 0, "test": 1}
# Training sees each point about 15 times in the longest runs, as good as fresh ones; and it is a set like any other, with a hash.
SIZES = {"train": 1_000_000, "test": 20_000}

# The published toy problems of the plane. Of the 8 Gaussians, scaled by 1.414, modes are 1.08 apart, 77 standard deviations.
PLANE: dict[str, Callable[[], Density]] = {
    "8-gaussians": lambda: ring(8, 2 / 1.414, 0.02 / 1.414),
    "two-spirals": Spirals,
    "checkerboard": Checkerboard,
    "rings": Rings,
}
DENSITIES: dict[str, Callable[[], Density]] = {
    "gaussian": lambda: mixture([0.0], 1.0),
    "two-gaussians": lambda: mixture([-2.0, 2.0], 0.5),
    "three-gaussians": lambda: mixture([-3.0, 0.0, 3.0], 0.4, [0.3, 0.5, 0.2]),
    **PLANE,
}


def density(name: str) -> Density:
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


def read(name: str, split: str, size: int | None = None, root: Path | None = None, download: bool = False) -> PointSet:
    """A data set of the plane, as `data.load` gives it: SIZES[split] points, the same every time.

    They are drawn in float64 and rounded once: processors differ in the last bits of a draw, and the hash should not."""
    if size is not None:
        raise reject("size", size, "None", f"{name} is made of points; only images have a size.")
    generator = torch.Generator().manual_seed(SPLITS[split])
    return PointSet(density(name).sample(SIZES[split], generator, dtype=torch.float64).float(), name, split)
