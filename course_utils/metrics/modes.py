"""How many modes of a density a generator found: Gaussians of a mixture, arms, squares or rings."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..data.densities import Density, GaussianMixture
from ..errors import reject
from .divergence import typical


@dataclass(frozen=True)
class ModeCoverage:
    """shares: (K,) share of all samples that lie near each mode: within 3 sigma of a mixture's, for other densities in the
    region that holds 98.9 % of the mass. covered: modes that have enough of them.

    within: their sum, the share of samples near any mode; of a 2-D mixture's own samples it is 98.9 %, of a 1-D one's
    99.7 %. nearest: (K,) share of samples to which each mode is the nearest, wherever they lie; adds up to 1."""

    shares: Tensor
    covered: int
    within: float
    nearest: Tensor


def mode_coverage(samples: Tensor, density: Density, *, radius: float = 3.0, least: float = 0.1) -> ModeCoverage:
    """Which modes `samples` (N, D) reach.

    A mode is covered if the samples near it are at least `least` times what its weight promises: of 8 equal modes, 0.1 / 8 of
    all samples. A sample counts for its nearest mode alone. radius: in standard deviations, for mixtures."""
    if samples.ndim != 2 or samples.shape[1:] != density.shape or not len(samples):
        raise reject("samples", tuple(samples.shape), f"(N, {density.shape[0]}), N at least 1")
    weights, mode = samples.new_full((density.modes,), 1 / density.modes), density.nearest_mode(samples)
    if isinstance(density, GaussianMixture):
        weights = density.weights.to(samples)
        away = (samples - density.centers.to(samples)[mode]).square().sum(1).sqrt()
        near = away <= radius * density.sigma  # a sample that is not a number is near none
    else:
        near = typical(samples, density).to(samples.device)
    shares = mode[near].bincount(minlength=density.modes) / len(samples)
    nearest = mode.bincount(minlength=density.modes) / len(samples)
    return ModeCoverage(shares, int((shares >= least * weights).sum()), float(near.float().mean()), nearest)
