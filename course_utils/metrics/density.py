"""A model's density of points on a grid: from exp(ELBO), which is none, from importance weighting, which tends to one, and from
its definition, the prior decoded and blurred, which needs no encoder.

They differ where the encoder is wrong about the decoder. An introspective encoder is so on purpose, wherever there is no data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..data.cells import cell_edges, cell_masses
from ..data.densities import Density, mixture
from ..errors import reject
from ..methods.base import LatentModel
from ..methods.vae import VAE, gaussian_nll
from .divergence import jsd, true_masses
from .likelihood import importance_weighted_log_likelihood
from .plane import generate_points

AT_ONCE = 20_000  # points of the grid in one pass
KINDS = ("elbo", "importance")


@dataclass(frozen=True)
class GridDensity:
    """A density at the centers of bins x bins cells, normalized over them.

    log_density: (bins, bins) float64, first index along x1, in nats. log_normalizer: log of the integral over the window of
    what was normalized; 0 for what is a density already, below 0 for the ELBO, a lower bound of one. edges: (bins + 1,)."""

    log_density: Tensor
    log_normalizer: float
    edges: Tensor

    @property
    def normalizer(self) -> float:
        """The integral over the window of exp(ELBO), or of the importance-weighted likelihood, before it was normalized."""
        return float(torch.tensor(self.log_normalizer, dtype=torch.float64).exp())

    @property
    def masses(self) -> Tensor:
        """The probability of each cell, by the midpoint rule: (bins, bins), adding up to 1."""
        return self.log_density.exp() * float(self.edges[1] - self.edges[0]) ** 2

    def jsd(self, truth: Density) -> float:
        """Jensen-Shannon divergence to a density over the same window, in nats.

        No samples, so no floor of theirs; but where cells are wide beside the density's details the midpoint rule has an error
        of its own (the true density of rings, 60 bins: 0.003; 200 bins: 0)."""
        masses = torch.cat([self.masses.flatten(), self.masses.new_zeros(1)])
        return jsd(masses / masses.sum(), true_masses(truth, len(self.masses)))


@torch.no_grad()
def model_density(
    model: LatentModel, density: Density, kind: str = "importance", *, k: int = 64, variance: float | None = None,
    bins: int = 100, seed: int = 0,
) -> GridDensity:  # fmt: skip
    """What a model with an encoder holds to be the density of points, on the window of `density`.

    kind: elbo normalizes exp(ELBO), each ELBO the mean of k samples of the posterior; importance normalizes the
    importance-weighted likelihood of k samples (Burda et al., arXiv 1509.00519), which is a density as k grows. Both are
    with all constants. variance: of a Gaussian decoder in place of the model's own: a beta other than 1 trains the encoder
    for beta times the variance, and under another one few of its k codes count. The same seed gives the same noise.
    CourseError for a model that is not of points in the plane, or has no posterior."""
    if kind not in KINDS:
        raise reject("kind", kind, KINDS)
    if k < 1:
        raise reject("k", k, "1 or more")
    _check(model, density)
    model = model if variance is None else _Blurred(model, _positive(variance))
    edges = cell_edges(density, bins)
    middle = 0.5 * (edges[1:] + edges[:-1])
    grid = torch.cartesian_prod(middle, middle).to(next(model.parameters()))
    generator = torch.Generator(grid.device).manual_seed(seed)
    logs = torch.cat([_log_values(model, x, kind, k, generator).cpu().double() for x in grid.split(AT_ONCE)])
    log_area = 2 * (edges[1] - edges[0]).log()
    log_normalizer = float(logs.logsumexp(0) + log_area)
    return GridDensity((logs - log_normalizer).view(bins, bins), log_normalizer, edges)


def prior_density(
    model: LatentModel, density: Density, variance: float, *, n: int = 100_000, bins: int = 100, seed: int = 0
) -> GridDensity:
    """The density of a decoder by its definition, the mean over z of N(x; D(z), variance I), for n codes of the prior.

    What importance weighting tends to as k grows; a GAN has it, too. The value of a cell is its mean; the normalizer is the
    share that lies in the window."""
    if not isinstance(model, LatentModel) or model.data_shape != (2,):
        raise reject("model", type(model).__name__, "a model that samples points in the plane: a GAN, a VAE")
    edges, sigma, masses = cell_edges(density, bins), math.sqrt(_positive(variance)), 0.0
    for centers in generate_points(model, n, seed=seed):
        masses = masses + cell_masses(mixture(centers, sigma), bins, float(edges[-1]))[0] * len(centers) / n
    inside = float(masses.sum())
    area = float(edges[1] - edges[0]) ** 2
    return GridDensity((masses / (inside * area)).log(), math.log(inside), edges)


class _Blurred(nn.Module):
    """A model of points with another variance of its Gaussian decoder."""

    def __init__(self, model: LatentModel, variance: float):
        super().__init__()
        self.model, self.variance, self.encode = model, variance, model.encode

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return -gaussian_nll(x, self.model.decode(z), self.variance, constant=True)

    elbo = VAE.elbo


def _positive(variance: float) -> float:
    if not 0 < variance < math.inf:
        raise reject("variance", variance, "more than 0")
    return variance


def _log_values(model, x: Tensor, kind: str, k: int, generator: torch.Generator) -> Tensor:
    if kind == "importance":
        return importance_weighted_log_likelihood(model, x, k, generator)
    return sum(model.elbo(x, generator) for _ in range(k)) / k


def _check(model, density: Density) -> None:
    if density.shape != (2,):
        raise reject("density", f"a density in {density.shape[0]}-D", "a density in the plane")
    wanted = "a model of points in the plane with an encoder, such as a VAE"
    if not isinstance(model, LatentModel) or model.data_shape != (2,) or not model.has_encoder:
        raise reject("model", type(model).__name__, wanted)
    if not all(hasattr(model, name) for name in ("elbo", "log_likelihood")):
        raise reject("model", type(model).__name__, wanted, "An autoencoder has no posterior, and so no ELBO.")
