"""The exact probability of each cell of a histogram over the plane."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import reject
from .densities import Density


def cell_masses(density: Density, bins: int = 100, window: float | None = None) -> tuple[Tensor, float]:
    """The probability of each of bins x bins equal cells of [-window, window]^2, and of everything outside of them.

    window: the density's own if not given, 2 for the 8 Gaussians and 4 for the others. Returns ((bins, bins) float64, first index
    along x1, float). Exact to rounding; for the spirals and rings as finely as they are cut."""
    if density.shape != (2,):
        raise reject("density", f"a density in {density.shape[0]}-D", "a density in the plane")
    if bins < 1:
        raise reject("bins", bins, "1 or more")
    weights, masses = density.parts(cell_edges(density, bins, window))  # (K,), (K, 2, bins)
    cells = torch.einsum("k,ki,kj->ij", weights, masses[:, 0], masses[:, 1])
    return cells, max(0.0, 1 - float(cells.sum()))


def cell_edges(density: Density, bins: int = 100, window: float | None = None) -> Tensor:
    """The edges of those cells along either axis: (bins + 1,), float64."""
    window = density.window if window is None else window
    if not 0 < window < math.inf:
        raise reject("window", window, "more than 0")
    return torch.linspace(-window, window, bins + 1, dtype=torch.float64)
