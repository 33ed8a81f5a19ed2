"""Densities in one and two dimensions: exact samplers, the log density in nats, and what the mass of a cell follows from.

Each is a mixture of parts whose coordinates are independent: a few Gaussians or squares, or a curve, cut finely. Then the mass
of a rectangle is a sum over parts of products of one-dimensional masses (`cells.py`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.special import erfc, i0e, log_ndtr

from ..errors import reject


class Density(ABC):
    """What samples, metrics and figures know of a density."""

    shape: tuple[int] = (2,)
    window: float = 4.0  # all but a negligible share lies in [-window, window] along each axis
    modes: int  # equally likely ones, but for a mixture's weights: Gaussians, arms, squares, rings

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator | None = None, *, dtype=torch.float32) -> Tensor:
        """n independent points, drawn in this precision: (n, D)."""

    @abstractmethod
    def log_density(self, x: Tensor) -> Tensor:
        """log p(x) in nats: (B, D) -> (B,), in x's precision."""

    @abstractmethod
    def nearest_mode(self, x: Tensor) -> Tensor:
        """The number of the mode that is nearest to each point: (B, D) -> (B,) int64."""

    @abstractmethod
    def parts(self, edges: Tensor) -> tuple[Tensor, Tensor]:
        """(weights (K,), the mass that each part's coordinates have between neighboring edges (K, D, E - 1)), float64."""


@dataclass(frozen=True, eq=False)
class GaussianMixture(Density):
    """Round Gaussians of one spread. centers: (K, D). sigma: standard deviation of each. weights: (K,), adding up to 1."""

    centers: Tensor
    sigma: float
    weights: Tensor

    @property
    def shape(self) -> tuple[int]:
        return (self.centers.shape[1],)

    @property
    def modes(self) -> int:
        return len(self.centers)

    @property
    def window(self) -> float:
        return float(math.ceil(float(self.centers.abs().max()) + 6 * self.sigma))

    def sample(self, n, generator=None, *, dtype=torch.float32):
        which = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        return self.centers.to(dtype)[which] + self.sigma * torch.randn(n, *self.shape, generator=generator, dtype=dtype)

    def log_density(self, x):
        centers, weights = self.centers.to(x), self.weights.to(x)
        square = (x[:, None] - centers).square().sum(2) / self.sigma**2  # (B, K)
        constant = 0.5 * self.shape[0] * math.log(2 * math.pi * self.sigma**2)
        return torch.logsumexp(weights.log() - 0.5 * square, 1) - constant

    def nearest_mode(self, x):
        return (x[:, None] - self.centers.to(x)).square().sum(2).argmin(1)

    def parts(self, edges):
        return self.weights.double(), _gaussian_masses(self.centers.double(), self.sigma, edges)


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


@dataclass(frozen=True)
class Spirals(Density):
    """Two arms, one the other turned by 180 degrees: x = +-((-t cos t, t sin t) + jitter u) / scale + sigma noise.

    t = end sqrt(U), so that its density is 2 t / end^2; u is uniform on the unit square and belongs to the arm: the sign turns
    it, too. Along t the density is an integral of (uniform + Gaussian) x (uniform + Gaussian), here by Gauss-Legendre
    quadrature in `panels` pieces of 16 nodes, exact to about 12 digits."""

    end: float = 3 * math.pi
    jitter: float = 0.5
    scale: float = 3.0
    sigma: float = 0.1
    panels: int = 40
    modes = 2

    @property
    def side(self) -> float:
        """Of the square over which the jitter spreads a point of the curve."""
        return self.jitter / self.scale

    def curve(self, t: Tensor) -> Tensor:
        """The lower left corner of the first arm's jitter at t: (B,) -> (B, 2)."""
        return torch.stack([-t * t.cos(), t * t.sin()], 1) / self.scale

    def sample(self, n, generator=None, *, dtype=torch.float32):
        draw = {"generator": generator, "dtype": dtype}
        t = self.end * torch.rand(n, **draw).sqrt()
        arm = self.curve(t) + self.side * torch.rand(n, 2, **draw)
        sign = 2 * torch.randint(2, (n, 1), generator=generator) - 1
        return sign * arm + self.sigma * torch.randn(n, 2, **draw)

    def nodes(self) -> tuple[Tensor, Tensor]:
        """(t (Q,), its probability (Q,)): an integral over the arm's t is a sum over these."""
        node, weight = (torch.from_numpy(part) for part in _gauss_legendre(16))
        width = self.end / self.panels
        t = (torch.arange(self.panels, dtype=torch.float64)[:, None] * width + 0.5 * width * (node + 1)).flatten()
        return t, 0.5 * width * weight.repeat(self.panels) * 2 * t / self.end**2

    def log_density(self, x):
        t, probability = self.nodes()
        corner, log_weight = self.curve(t), (0.5 * probability).log()
        both = torch.stack([x, -x]).cpu().double()  # (2, B, 2): the second arm is the first, seen from the other side
        found = []
        for part in both.split(500, dim=1):  # a block of (2, 500, Q, 2) at a time
            log_parts = _log_smeared(part[:, :, None] - corner, self.side, self.sigma).sum(3)
            found.append((log_parts + log_weight).logsumexp((0, 2)))
        return torch.cat(found).to(x)

    def nearest_mode(self, x):
        middle = (self.curve(self.nodes()[0]) + self.side / 2).to(x)  # of the first arm's width
        away = torch.cat([torch.cdist(part, middle).amin(1) for part in torch.cat([x, -x]).split(5000)])
        return away.view(2, -1).argmin(0)

    def parts(self, edges):
        t, probability = self.nodes()
        corner = self.curve(t)
        corners = torch.cat([corner, -corner - self.side])
        below = _smeared_below(edges - corners[:, :, None], self.side, self.sigma)
        return 0.5 * probability.repeat(2), below.diff(dim=2).clamp_min(0)


@dataclass(frozen=True)
class Checkerboard(Density):
    """Eight of the sixteen squares of [-4, 4]^2, evenly filled: x1 ~ U(-2, 2), x2 = U - 2 Bernoulli(1/2) + (floor(x1) mod 2),
    both times `side`."""

    side: float = 2.0
    modes = 8

    @property
    def corners(self) -> Tensor:
        """Lower left corners of the filled squares: (8, 2)."""
        return self.side * torch.tensor([(k, k % 2 - down) for k in range(-2, 2) for down in (0, 2)], dtype=torch.float64)

    def sample(self, n, generator=None, *, dtype=torch.float32):
        draw = {"generator": generator, "dtype": dtype}
        x1 = 4 * torch.rand(n, **draw) - 2
        x2 = torch.rand(n, **draw) - 2 * torch.randint(2, (n,), generator=generator) + x1.floor() % 2
        return self.side * torch.stack([x1, x2], 1)

    def log_density(self, x):
        offset = x[:, None] - self.corners.to(x)  # (B, 8, 2)
        inside = ((0 <= offset) & (offset < self.side)).all(2).any(1)
        return torch.where(inside, -math.log(8 * self.side**2), -math.inf).to(x)

    def nearest_mode(self, x):
        middle = (self.corners + self.side / 2).to(x)
        return (x[:, None] - middle).abs().amax(2).argmin(1)

    def parts(self, edges):
        edges, corners = edges.double(), self.corners[:, :, None]
        overlap = edges[1:].minimum(corners + self.side) - edges[:-1].maximum(corners)
        return torch.full((8,), 1 / 8, dtype=torch.float64), overlap.clamp_min(0) / self.side


@dataclass(frozen=True)
class Rings(Density):
    """Circles about the origin, each as likely as another, plus noise of standard deviation `sigma` on each coordinate.

    Around a circle of radius R the density is exp(-(r^2 + R^2) / 2 sigma^2) I_0(r R / sigma^2) / 2 pi sigma^2, I_0 the modified
    Bessel function. Points are independent; published code draws from an even grid of angles."""

    radii: tuple[float, ...] = (0.75, 1.5, 2.25, 3.0)
    sigma: float = 0.08
    angles: int = 512  # parts of a circle: half a sigma apart on the largest, where cutting it costs less than rounding

    def sample(self, n, generator=None, *, dtype=torch.float32):
        radius = torch.tensor(self.radii, dtype=dtype)[torch.randint(len(self.radii), (n,), generator=generator)]
        angle = 2 * math.pi * torch.rand(n, generator=generator, dtype=dtype)
        circle = radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
        return circle + self.sigma * torch.randn(n, 2, generator=generator, dtype=dtype)

    def log_density(self, x):
        variance, r, radii = self.sigma**2, x.norm(dim=1, keepdim=True), torch.tensor(self.radii).to(x)
        log_bessel = i0e(r * radii / variance).log()  # (B, R); the factor exp(-r R / variance) completes the square
        logs = log_bessel - (r - radii).square() / (2 * variance)
        return logs.logsumexp(1) - math.log(2 * math.pi * variance * len(self.radii))

    @property
    def modes(self) -> int:
        return len(self.radii)

    def nearest_mode(self, x):
        return (x.norm(dim=1, keepdim=True) - torch.tensor(self.radii).to(x)).abs().argmin(1)

    def parts(self, edges):
        angle = 2 * math.pi * torch.arange(self.angles, dtype=torch.float64) / self.angles
        circle = torch.stack([angle.cos(), angle.sin()], 1)
        centers = (torch.tensor(self.radii, dtype=torch.float64)[:, None, None] * circle).flatten(0, 1)
        weights = torch.full((len(centers),), 1 / len(centers), dtype=torch.float64)
        return weights, _gaussian_masses(centers, self.sigma, edges)


def _below(u: Tensor) -> Tensor:
    """P(N(0, 1) < u), with all digits where it is small (torch's own ndtr is 0 below -8)."""
    return 0.5 * erfc(-u / math.sqrt(2))


def _gaussian_masses(centers: Tensor, sigma: float, edges: Tensor) -> Tensor:
    """P(edge_i < N(center, sigma^2) < edge_i+1): (K, D), (E,) -> (K, D, E - 1), with all digits in both tails."""
    u = (edges.double() - centers[:, :, None]) / sigma
    low, high = u[..., :-1], u[..., 1:]
    return torch.where(low > 0, _below(-low) - _below(-high), _below(high) - _below(low))


def _smeared_below(x: Tensor, side: float, sigma: float) -> Tensor:
    """P(U(0, side) + N(0, sigma^2) < x): the integral of the normal's cdf, u cdf(u) + pdf(u), between two ends."""
    ends = torch.stack([x, x - side]) / sigma
    upper, lower = ends * _below(ends) + (-0.5 * ends.square()).exp() / math.sqrt(2 * math.pi)
    return (upper - lower) * sigma / side


def _log_smeared(x: Tensor, side: float, sigma: float) -> Tensor:
    """Log density of U(0, side) + N(0, sigma^2) at x. Symmetric about side / 2: taken on its left, where no digit is lost."""
    left = torch.minimum(x, side - x)
    high, low = log_ndtr(left / sigma), log_ndtr((left - side) / sigma)
    return high + torch.log1p(-(low - high).exp()) - math.log(side)


def _gauss_legendre(count: int):
    import numpy as np

    return np.polynomial.legendre.leggauss(count)
