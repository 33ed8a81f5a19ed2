"""Kernel distance: the squared maximum mean discrepancy of features (KID; Binkowski et al., arXiv 1801.01401)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import reject
from .frechet import check_features


def polynomial_kernel(x: Tensor, y: Tensor) -> Tensor:
    """(x.y / D + 1)^3 of every pair: (N, D), (M, D) -> (N, M)."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def squared_mmd(x: Tensor, y: Tensor) -> Tensor:
    """Unbiased estimate of the squared maximum mean discrepancy, (N, D), (M, D) -> (); it may be slightly negative.

    Unbiased, because a sample is not paired with itself: arXiv 1801.01401, equation 4."""
    within = [(k.sum() - k.trace()) / (len(k) * (len(k) - 1)) for k in (polynomial_kernel(each, each) for each in (x, y))]
    return within[0] + within[1] - 2 * polynomial_kernel(x, y).mean()


def kernel_distance(
    x: Tensor, y: Tensor, *, subsets: int = 100, size: int = 1000, generator: torch.Generator | None = None
) -> tuple[float, float]:
    """Mean and standard deviation of `squared_mmd` over random subsets of `size` of features x (N, D) and y (M, D).

    Unlike a Fréchet distance its expectation does not depend on the number of samples. A set of fewer
    than `size` is taken whole. The spread is that of one subset's estimate, not the error of the mean."""
    for name, features in (("x", x), ("y", y)):
        if len(check_features(name, features)) < 2:
            raise reject(name, f"{len(features)} samples", "2 or more", "The estimate pairs different samples.")
    if x.shape[1] != y.shape[1]:
        raise reject("y", tuple(y.shape), f"(M, {x.shape[1]})", "The features of one network.")
    if subsets < 1 or size < 2:
        raise reject("subsets, size", (subsets, size), "1 or more subsets of 2 or more")
    x, y = x.double(), y.double()
    found = torch.stack([squared_mmd(_draw(x, size, generator), _draw(y, size, generator)) for _ in range(subsets)])
    return float(found.mean()), float(found.std(correction=0))


def _draw(features: Tensor, size: int, generator: torch.Generator | None) -> Tensor:
    """`size` different rows; all where there are fewer."""
    return features[torch.randperm(len(features), generator=generator)[:size]]
