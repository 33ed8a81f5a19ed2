"""What one distance hides: precision and recall, density and coverage, and the nearest image of the training set.

All compare Euclidean distances of features with the distance of each image to its k-th neighbor. Distances are computed
in blocks and in float64: the memory is BLOCK times the number of images, never the square of that number.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..errors import reject
from .frechet import check_features

BLOCK = 1024


def distance_blocks(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Rows of x and their distances to all of y, (rows, (B, M)), a block at a time; x (N, D), y (M, D)."""
    if check_features("x", x).shape[1] != check_features("y", y).shape[1]:
        raise reject("y", tuple(y.shape), f"(M, {x.shape[1]})", "The features of one network.")
    center = y.double().mean(0)  # distances do not change, and their digits are not spent on a large common part
    x, y = x.double() - center, y.double() - center
    for start in range(0, len(x), BLOCK):
        rows = slice(start, min(start + BLOCK, len(x)))
        yield rows, torch.cdist(x[rows], y, compute_mode="use_mm_for_euclid_dist")


def nearest(x: Tensor, y: Tensor, k: int = 1, *, itself: bool = True, label: str = "") -> tuple[Tensor, Tensor]:
    """The k rows of y nearest to each row of x: distances (N, k), ascending, and indices (N, k).

    itself: False where x and y are one set, and a row shall not find itself. label: of a progress bar; without one there is
    none."""
    if not 1 <= k <= len(y) - (not itself):
        remedy = "There must be that many others." if not itself else ""
        raise reject("k", k, f"from 1 to {len(y) - (not itself)}", remedy)
    found = []
    with tqdm(total=len(x), desc=label, unit="image", disable=not label, file=sys.stderr, mininterval=0.5) as shown:
        for rows, distances in distance_blocks(x, y):
            if not itself:
                index = torch.arange(rows.start, rows.stop)
                distances[index - rows.start, index] = torch.inf
            found.append(distances.topk(k, dim=1, largest=False))
            shown.update(len(distances))
    return torch.cat([each.values for each in found]), torch.cat([each.indices for each in found])


def precision_recall_density_coverage(real: Tensor, fake: Tensor, k: int = 3, k_density: int = 5) -> dict[str, float]:
    """Of features real (N, D) and fake (M, D); compare at equal N = M, all four depend on the numbers.

    precision: share of fakes within the distance of a real image's k-th neighbor from that image; recall: the reverse
    (Kynkäänniemi et al., arXiv 1904.06991, equation 2). density: in how many real images' balls a fake lies, over k, which
    may exceed 1; coverage: share of real images with a fake in their ball (Naeem et al., arXiv 2002.09797, equations 5
    and 7), both with `k_density`. An image is no neighbor of its own."""
    if min(len(real), len(fake)) <= max(k, k_density) or min(k, k_density) < 1:
        given = f"k = {k} and {k_density} with {len(real)} real and {len(fake)} fake images"
        raise reject("k", given, "1 or more, and more images than neighbors")
    real_radii = nearest(real, real, max(k, k_density), itself=False)[0]  # (N, k), ascending
    fake_radius = nearest(fake, fake, k, itself=False)[0][:, -1]
    near_real, near_fake, inside, covered = torch.zeros(len(fake), dtype=torch.bool), 0, 0, 0
    for rows, distances in distance_blocks(real, fake):  # (B, M)
        near_real |= (distances <= real_radii[rows, k - 1, None]).any(0)
        near_fake += (distances <= fake_radius).any(1).sum()
        within = distances <= real_radii[rows, k_density - 1, None]
        inside += within.sum()
        covered += within.any(1).sum()
    return {
        "precision": int(near_real.sum()) / len(fake),
        "recall": int(near_fake) / len(real),
        "density": int(inside) / (k_density * len(fake)),
        "coverage": int(covered) / len(real),
    }
