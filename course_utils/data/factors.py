"""`shapes`: rendered pictures whose generative factors are known exactly, to measure disentanglement with.

No file and no random number: every picture follows from six integers. The four shapes have no rotational symmetry, so
that each of the eight angles looks different.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from course_utils.data.image_set import ImageSet, check_size
from course_utils.errors import reject

SHAPES = ("triangle", "half disk", "ell", "heart")
COLORS = {"red": (230, 60, 50), "yellow": (235, 210, 50), "green": (70, 190, 75), "cyan": (60, 205, 215),
          "blue": (70, 95, 230), "magenta": (215, 75, 205)}
RADII = (4.0, 5.1, 6.5, 8.2)            # of the circle around the shape, in pixels of a 32x32 picture
ANGLES = 8                              # steps of 45 degrees, counterclockwise
POSITIONS = 8                           # steps of 2 pixels (of 32), left to right and top to bottom
SIZES = {"shape": len(SHAPES), "color": len(COLORS), "scale": len(RADII), "rotation": ANGLES, "x": POSITIONS,
         "y": POSITIONS}
TEST = 4152                             # of 49,152: leaves 45,000 to train on
SAMPLES = 8                             # per pixel and side: 64 points decide how much of a pixel is covered
# Written out, because a cosine's last digit differs between machines and these pictures must not.
COSINES = (1.0, math.sqrt(0.5), 0.0, -math.sqrt(0.5), -1.0, -math.sqrt(0.5), 0.0, math.sqrt(0.5))
CHUNK = 4096


def inside(shape: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Which points (u to the right, v up) lie in the shape; each fits the unit circle."""
    if shape == "triangle":
        return (v >= -0.8) & (np.abs(u) <= (1.0 - v) / 3.0)
    if shape == "half disk":
        return (v >= -0.43) & (u * u + (v + 0.43) ** 2 <= 0.81)
    if shape == "ell":
        return ((u >= -0.6) & (u <= -0.1) & (np.abs(v) <= 0.8)) | ((np.abs(u) <= 0.6) & (v >= -0.8) & (v <= -0.3))
    x, y = 1.3 * u, 1.3 * v + 0.1
    return (x * x + y * y - 1.0) ** 3 <= x * x * y * y * y


@lru_cache(maxsize=2)
def masks(size: int) -> np.ndarray:
    """How much of each pixel is covered, 0 to 255: uint8 (4 shapes, 4 scales, 8 angles, side, side), side = 3/2 size.

    Each shape sits in the middle of a canvas larger than the picture: a position is then a cut at another place.
    """
    side = size * 3 // 2
    points = (np.arange(side * SAMPLES) + 0.5) / SAMPLES - side / 2                # pixels from the middle
    right, up = points[None, :], -points[:, None]
    result = np.empty((len(SHAPES), len(RADII), ANGLES, side, side), np.uint8)
    for s, scale, angle in np.ndindex(result.shape[:3]):
        radius, cos, sin = RADII[scale] * size / 32, COSINES[angle], COSINES[angle - 2]
        covered = inside(SHAPES[s], (right * cos + up * sin) / radius, (up * cos - right * sin) / radius)
        share = covered.reshape(side, SAMPLES, side, SAMPLES).sum(axis=(1, 3))     # of SAMPLES ** 2
        result[s, scale, angle] = (share * 255 + SAMPLES**2 // 2) // SAMPLES**2
    return result  # 0.3 MB at size 32: kept, for pictures rendered one by one


def grid() -> torch.Tensor:
    """Every combination, int64 (49152, 6), columns as in SIZES, the last one (y) changing fastest."""
    return torch.cartesian_prod(*(torch.arange(n) for n in SIZES.values()))


def check_factors(factors: torch.Tensor) -> None:
    """CourseError unless factors is an integer (N, 6) with each column within its range."""
    if factors.ndim != 2 or factors.shape[1] != len(SIZES) or factors.dtype != torch.int64:
        raise reject("factors", f"{factors.dtype} {tuple(factors.shape)}", f"int64 (N, {len(SIZES)})")
    for column, (key, n) in zip(factors.T, SIZES.items(), strict=True):
        if len(column) and not 0 <= int(column.min()) <= int(column.max()) < n:
            raise reject(f"factors[{key}]", f"{int(column.min())} to {int(column.max())}", f"0 to {n - 1}")


def render(factors: torch.Tensor, size: int = 32) -> torch.Tensor:
    """int64 (N, 6) -> uint8 (N, 3, size, size), on black, anti-aliased. size: a multiple of 16."""
    check_factors(factors)
    if check_size(size, 32) % 16:
        raise reject("size", size, "a multiple of 16", "Positions are whole pixels only then.")
    step, cover = size // 16, torch.from_numpy(masks(size))
    windows = cover.unfold(3, size, 1).unfold(4, size, 1)         # (4, 4, 8, H+1, W+1, size, size), a view
    middle = (cover.shape[-1] - size) // 2
    palette = torch.tensor(list(COLORS.values()), dtype=torch.int32)
    out = torch.empty(len(factors), 3, size, size, dtype=torch.uint8)
    for start in range(0, len(factors), CHUNK):
        shape, color, scale, angle, x, y = factors[start:start + CHUNK].T
        # Position p puts the shape's middle at (2 p - 7) / 32 of the width off the middle: the window moves against it.
        left, top = (middle - (x * step - step * 7 // 2)), (middle - (y * step - step * 7 // 2))
        share = windows[shape, scale, angle, top, left].int()[:, None]            # (B, 1, size, size)
        out[start:start + CHUNK] = ((share * palette[color][:, :, None, None] + 127) // 255).to(torch.uint8)
    return out


def split_rows(split: str) -> torch.Tensor:
    """Rows of grid() in a split: a fixed permutation (numpy's legacy generator, whose stream never changes)."""
    order = torch.from_numpy(np.random.RandomState(0).permutation(math.prod(SIZES.values())))
    return {"test": order[:TEST], "train": order[TEST:], "all": order}[split].sort().values.long()


def read(name: str, split: str, size: int | None, root: Path | None, download: bool) -> ImageSet:
    """Labels are the shapes; attributes["factors"] is int64 (N, 6), with names and sizes in meta."""
    factors = grid()[split_rows(split)]
    meta = {"factor_names": tuple(SIZES), "factor_sizes": tuple(SIZES.values())}
    return ImageSet(render(factors, check_size(size, 32)), factors[:, 0].clone(), name, split, SHAPES,
                    {"factors": factors}, "none needed (rendered)", meta)
