"""Fréchet distance between Gaussians fitted to features (Heusel et al., arXiv 1706.08500, equation 6), in float64."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import reject


@dataclass
class Moments:
    """Count, mean (D,) and covariance (D, D) of features that arrive batch by batch: memory does not grow with the count.

    scatter: (D, D), the sum of outer products of deviations from the mean. Float64, on the CPU."""

    count: int = 0
    mean: Tensor | None = None
    scatter: Tensor | None = None

    def add(self, features: Tensor) -> None:
        """Take in features (B, D)."""
        check_features("features", features)
        features = features.detach().cpu().double()  # Apple's GPUs have no float64
        mean = features.mean(0)
        deviations = features - mean
        scatter = deviations.T @ deviations
        if self.count:
            # Two samples' moments into one's (Chan, Golub and LeVeque 1979): no small difference of two large sums.
            if len(mean) != len(self.mean):
                raise reject("features", tuple(features.shape), f"(B, {len(self.mean)}), as in the batches before")
            total, step = self.count + len(features), mean - self.mean
            scatter += self.scatter + torch.outer(step, step) * (self.count * len(features) / total)
            mean = self.mean + step * (len(features) / total)
        self.count, self.mean, self.scatter = self.count + len(features), mean, scatter

    @property
    def covariance(self) -> Tensor:
        """The unbiased estimate, as numpy.cov: divided by count - 1."""
        if self.count < 2:  # before the first batch there is no scatter either
            raise reject("samples", self.count, "2 or more", "One sample has no covariance.")
        return self.scatter / (self.count - 1)

    def distance(self, other: Moments) -> float:
        """The Fréchet distance to `other`, with a warning where one of the two has too few samples for its dimension."""
        found = frechet_distance(self.mean, self.covariance, other.mean, other.covariance)
        count, dimension = min(self.count, other.count), len(self.mean)
        if count <= dimension:
            warnings.warn(too_few(count, dimension), stacklevel=2)
        return found


def too_few(count: int, dimension: int) -> str:
    """Why a Fréchet distance of so few samples is not to be trusted."""
    return (
        f"{count} samples for features of {dimension} dimensions: their covariance has rank {count - 1} at most, so the "
        f"Fréchet distance is far too large, and comparable with nothing. Take more than {dimension} samples, better ten "
        "times as many."
    )


def frechet_distance(mean1: Tensor, covariance1: Tensor, mean2: Tensor, covariance2: Tensor) -> float:
    """|mean1 - mean2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), of means (D,) and covariances (D, D), symmetric.

    The squared 2-Wasserstein distance of two Gaussians, in squared units of the features. (C1 C2)^(1/2) has the
    eigenvalues of (A' A)^(1/2), the singular values of A = C2^(1/2) C1^(1/2). Taken so, the trace needs no root of a
    matrix that is not symmetric, which loses its digits where C1 or C2 has no full rank."""
    shapes = [tuple(each.shape) for each in (mean1, covariance1, mean2, covariance2)]
    size = shapes[0][0] if shapes[0] else 0
    if shapes != [(size,), (size, size)] * 2:
        raise reject("means and covariances", shapes, "(D,), (D, D), (D,), (D, D)", "The features of one network.")
    mean1, covariance1, mean2, covariance2 = (each.double() for each in (mean1, covariance1, mean2, covariance2))
    if not all(each.isfinite().all() for each in (mean1, covariance1, mean2, covariance2)):
        raise reject("means and covariances", "values that are not finite", "finite values")
    overlap = torch.linalg.svdvals(_root(covariance2) @ _root(covariance1)).sum()
    return float((mean1 - mean2).square().sum() + covariance1.trace() + covariance2.trace() - 2 * overlap)


def _root(covariance: Tensor) -> Tensor:
    """The symmetric square root of a positive semi-definite matrix; rounding makes zero eigenvalues slightly negative."""
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T


def check_features(name: str, features: Tensor) -> Tensor:
    """Return features if they are (N, D), finite and not empty; CourseError otherwise."""
    if features.ndim != 2 or not len(features):
        raise reject(name, tuple(features.shape), "(N, D), one row per image")
    if not features.isfinite().all():
        raise reject(name, "values that are not finite", "finite values")
    return features
