"""How far samples in the plane are from a density that is known: divergences in nats between the share of samples in each cell
of a histogram and the cell's true probability.

A histogram of n samples differs from the truth even if the samples are real. `plane.real_against_real` says by how much: no
figure means anything without that floor beside it.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from ..data.cells import cell_edges, cell_masses
from ..data.densities import Density
from ..errors import reject

BINS = 100  # along each axis of the density's window
FINE = 400  # for the region that holds most of the mass, whose border cells should be few
TYPICAL = 1 - math.exp(-4.5)  # 98.9 %: what a round Gaussian of the plane holds within 3 standard deviations


def kl(p: Tensor, q: Tensor) -> float:
    """KL(p || q) = sum p log(p / q) of two distributions over the same cells, in nats; infinite where q is 0 and p is not."""
    p, q = _distributions(p, q)
    return float(_terms(p, q.log()).sum())


def skewed_kl(p: Tensor, q: Tensor, share: float) -> float:
    """KL(p || (1 - share) q + share p), in nats: finite, at most log(1 / share), and KL(p || q) as the share goes to 0.

    The skew divergence of Lee, "Measures of distributional similarity", ACL 1999, with alpha = 1 - share."""
    if not 0 < share < 1:
        raise reject("share", share, "between 0 and 1")
    p, q = _distributions(p, q)
    return float(_terms(p, _log_mixed(p, q, share)).sum())


def jsd(p: Tensor, q: Tensor) -> float:
    """Jensen-Shannon divergence, 1/2 KL(p || m) + 1/2 KL(q || m) with m = (p + q) / 2, in nats: from 0 to log 2 = 0.693.

    The square of scipy's `jensenshannon`, which is a distance."""
    p, q = _distributions(p, q)
    middle = _log_mixed(p, q, 0.5)
    return 0.5 * float((_terms(p, middle) + _terms(q, middle)).sum())


def divergences(samples: Tensor, density: Density, bins: int = BINS) -> dict[str, float]:
    """Samples (N, 2) against a density of the plane, in nats: {"jsd", "kl_data_model", "kl_model_data"}.

    bins x bins cells over the density's window and one for all that is outside, where samples that are not numbers count,
    too. kl_data_model = KL(density || samples) asks what the samples miss, kl_model_data what they make that is not there.
    With n samples most cells are empty and both plain KLs would be infinite, so the second distribution of each is mixed
    with 1 / (n + 1) of the first: as if one more sample had come from the right place. An empty cell then costs its
    probability times log(n + 1), and so does a sample where the density is 0: 9.9 nats for n = 20,000, which bounds both."""
    counts = cell_counts(samples, density, bins)
    return _divergences(counts, true_masses(density, bins))


def cell_counts(samples: Tensor, density: Density, bins: int = BINS) -> Tensor:
    """How many of the samples (N, 2) lie in each cell of `cell_masses`, row by row, the outside last: (bins^2 + 1,) float64."""
    if samples.ndim != 2 or samples.shape[1] != 2 or not len(samples):
        raise reject("samples", tuple(samples.shape), "(N, 2), N at least 1")
    return _cell(samples, density, bins).bincount(minlength=bins**2 + 1).double()


def _cell(samples: Tensor, density: Density, bins: int) -> Tensor:
    """The number of each sample's cell, bins^2 for the outside: (N, 2) -> (N,), on the CPU."""
    samples, edges = samples.detach().cpu().double(), cell_edges(density, bins)
    cell = torch.bucketize(samples, edges, right=True) - 1  # edge_i <= x < edge_i+1; (N, 2)
    inside = ((cell >= 0) & (cell < bins) & samples.isfinite()).all(1)
    return torch.where(inside, cell[:, 0] * bins + cell[:, 1], bins**2)


def typical(samples: Tensor, density: Density) -> Tensor:
    """Whether each sample lies in the smallest region that holds 98.9 % of the density's mass (`TYPICAL`): (N, 2) -> (N,).

    Of the 8 Gaussians that is within 3 standard deviations of a mode. The region is made of cells, a 400th of the window wide;
    of the density's own samples a little more than 98.9 % lie in it, and all of the checkerboard's, which is flat."""
    region = torch.cat([typical_cells(density).flatten(), torch.tensor([False])])
    return region[_cell(samples, density, FINE)]


@lru_cache(maxsize=8)
def typical_cells(density: Density, mass: float = TYPICAL, bins: int = FINE) -> Tensor:
    """Which cells are in that region, bool (bins, bins): the most probable ones until they hold `mass`, and any as probable."""
    cells, _ = cell_masses(density, bins)
    ordered = cells.flatten().sort(descending=True).values
    last = int((ordered.cumsum(0) < mass).sum())
    return cells >= ordered[min(last, len(ordered) - 1)] * (1 - 1e-9)


@lru_cache(maxsize=8)
def true_masses(density: Density, bins: int = BINS) -> Tensor:
    """`cell_masses` in the order of `cell_counts`: (bins^2 + 1,) float64, the outside last."""
    cells, outside = cell_masses(density, bins)
    return torch.cat([cells.flatten(), cells.new_tensor([outside])])


def _divergences(counts: Tensor, truth: Tensor) -> dict[str, float]:
    n = float(counts.sum())
    found, share = counts / n, 1 / (n + 1)
    forward, reverse = skewed_kl(truth, found, share), skewed_kl(found, truth, share)
    return {"jsd": jsd(found, truth), "kl_data_model": forward, "kl_model_data": reverse}


def _terms(p: Tensor, log_q: Tensor) -> Tensor:
    """p log(p / q), 0 where p is 0, infinite where q alone is. In logs: the tails of a density are among the smallest numbers."""
    return torch.where(p > 0, p * (p.log() - log_q), 0)


def _log_mixed(p: Tensor, q: Tensor, share: float) -> Tensor:
    return torch.logaddexp(q.log() + math.log1p(-share), p.log() + math.log(share))


def _distributions(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Both flat and in float64; CourseError unless they are distributions over the same cells."""
    if p.shape != q.shape:
        raise reject("q", tuple(q.shape), f"the shape of p, {tuple(p.shape)}")
    for name, values in (("p", p), ("q", q)):
        if not (values >= 0).all() or abs(float(values.double().sum()) - 1) > 1e-4:
            raise reject(name, f"values from {float(values.min()):.3g} that add up to {float(values.sum()):.6g}",
                         "probabilities, which add up to 1", "Divide counts by their sum; a histogram density is none.")
    return p.double().flatten(), q.double().flatten()
