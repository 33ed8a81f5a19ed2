"""The published measures of samples in the plane, faulty, once, for comparison: never a result of this course.

As the code behind a published table of the toy problems computes them (KL, JSD and gnELBO, arXiv 2012.13253). What is wrong:

- a *density* of each histogram cell stands where its probability belongs (625 times as much for 100 x 100 cells of [-2, 2]^2),
  and the sum over cells is divided by the number of rows: in all a factor 6.25 there, another one for another grid;
- samples outside of the histogram are left out of both sides, so what a model throws far away costs nothing;
- a cell that is empty on one side gets 1e-14, about 32 nats, where the other side has one sample: the result is mostly the
  number of such cells, which falls as the samples grow, for real against real as well;
- the JSD's arguments are reversed, KL(m || p) for KL(p || m): with that 1e-14 it is not bounded by log 2, nor by anything useful;
- the gnELBO divides each negative ELBO, a logarithm, by a sum of such logarithms, where exp(ELBO) would have to be divided by a
  sum of exponentials: it shrinks as the grid gets finer and does not change if the model gets ten times worse everywhere.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..data.cells import cell_edges
from ..data.densities import Density
from ..methods.autoencoder import sse
from ..methods.base import evaluating

SAMPLES, BINS, FLOOR, GRID = 5000, 100, 1e-14, 1024


def published_divergences(real: Tensor, fake: Tensor, density: Density, bins: int = BINS) -> dict[str, float]:
    """The published "KL" and "JSD" of two sets of samples, (N, 2) and (M, 2): {"kl", "jsd"}, in no unit.

    With 5,000 real samples on both sides of the 8 Gaussians they are about 0.65 and 0.27 (0 would be right), with 20,000 about
    0.12 and 0.06."""
    p, q = _histogram_density(real, density, bins), _histogram_density(fake, density, bins)
    middle = 0.5 * (p + q)
    jsd = 0.5 * (_pointwise(middle, p) + _pointwise(middle, q))
    return {"kl": _pointwise(p, q) / bins, "jsd": jsd / bins}


def published_gnelbo(model, points: Tensor, density: Density, steps: int = GRID) -> float:
    """The published "grid-normalized ELBO" of a model at real points (N, 2), in no unit; smaller is said to be better."""
    axis = cell_edges(density, steps - 1).float()
    grid = torch.cartesian_prod(axis, axis)
    data, everywhere = (torch.cat([_negative_elbo(model, part) for part in x.split(65_536)]) for x in (points, grid))
    return normalized_by_sum(data, everywhere)


def normalized_by_sum(data: Tensor, grid: Tensor) -> float:
    """The mean of the negative ELBOs `data` (N,), each divided by the sum of them and of those on the grid, (G,)."""
    return float((data / (data.double().sum() + grid.double().sum())).mean())


@torch.no_grad()
def _negative_elbo(model, x: Tensor) -> Tensor:
    """sse + KL at the posterior's mean, (B, 2) -> (B,): no sample, no constant, whatever the decoder's variance."""
    with evaluating(model):
        posterior = model.encode(x.to(model.device))
        return (sse(x.to(model.device), model.decode(posterior.mean)) + posterior.kl()).cpu()


def _histogram_density(samples: Tensor, density: Density, bins: int) -> Tensor:
    """(bins, bins), integrating to 1 over the window, whatever lies outside."""
    ends = [-density.window, density.window] * 2
    return torch.histogramdd(samples.cpu().double(), [bins, bins], range=ends, density=True).hist


def _pointwise(p: Tensor, q: Tensor) -> float:
    return float((torch.xlogy(p, p) - p * (q + FLOOR).log()).sum())
