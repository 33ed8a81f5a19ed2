"""Measuring a model of points in the plane, whose density is known: divergences in nats, and where the samples lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..data.densities import Density
from ..data.points import PointSet, density
from ..errors import reject
from ..methods.base import LatentModel, evaluating
from .divergence import divergences
from .modes import mode_coverage
from .samples import codes

DIVERGENCES = ("jsd", "kl_data_model", "kl_model_data")
POINT_METRICS = (*DIVERGENCES, "within", "modes", "share_min", "share_max")
ALL = "plane"  # stands for all of them


def score(samples: Tensor, truth: Density, metrics: Sequence[str] = (ALL,)) -> dict[str, float]:
    """Samples (N, 2) against a density of the plane: the metrics by name.

    jsd, kl_data_model, kl_model_data: as `divergences` gives them, in nats. within: the share of samples where the density has
    98.9 % of its mass; for a mixture, within 3 standard deviations of a mode. modes: how many Gaussians, arms, squares or
    rings the samples cover; share_min and share_max: of the samples nearest to one of them, wherever they lie."""
    wanted, found = point_metrics(metrics), {}
    if set(DIVERGENCES) & set(wanted):
        found |= divergences(samples, truth)
    if not set(wanted) <= set(DIVERGENCES):
        coverage = mode_coverage(samples, truth)
        shares = {"share_min": float(coverage.nearest.min()), "share_max": float(coverage.nearest.max())}
        found |= {"within": coverage.within, "modes": coverage.covered, **shares}
    return {name: found[name] for name in wanted}


def point_metrics(metrics: Sequence[str]) -> list[str]:
    """The names, "plane" replaced by all of them; CourseError for any other name."""
    metrics = [metrics] if isinstance(metrics, str) else list(metrics)
    for name in metrics or [metrics]:
        if name not in (*POINT_METRICS, ALL):
            raise reject("metrics", name, (*POINT_METRICS, ALL), f"{ALL} stands for all of them. Other metrics need images.")
    return list(dict.fromkeys(part for name in metrics for part in (POINT_METRICS if name == ALL else [name])))


def real_against_real(truth: Density, n: int, metrics: Sequence[str] = (ALL,), *, seeds: int = 10) -> dict[str, float]:
    """The floor: what n points of the density itself score, the mean of `seeds` draws, and their standard deviation as NAME_std.

    A perfect model scores as much, and a JSD below it is luck. A KL can fall below it with a model that is too sharp."""
    if n < 1 or seeds < 2:
        raise reject("n / seeds", (n, seeds), "n 1 or more, seeds 2 or more")
    drawn = (truth.sample(n, torch.Generator().manual_seed(1000 + seed)) for seed in range(seeds))
    rows = [score(samples, truth, metrics) for samples in drawn]
    values = {name: torch.tensor([row[name] for row in rows], dtype=torch.float64) for name in rows[0]}
    means = {name: float(value.mean()) for name, value in values.items()}
    return means | {f"{name}_std": float(value.std()) for name, value in values.items()}


def generate_points(model: LatentModel, samples: int, *, seed: int = 0, batch_size: int = 5000) -> Iterator[Tensor]:
    """`samples` points of the model's prior, float32 (B, D) on the CPU, a batch at a time, in eval mode.

    Sample i depends on the seed and on i only, as with `samples.generate`."""
    for start in range(0, samples, batch_size):
        z = codes(model.latent_dim, start, min(start + batch_size, samples), seed)
        with torch.no_grad(), evaluating(model):
            yield model.decode(z.to(model.device)).float().cpu()


def measure_points(
    model: LatentModel, reference: PointSet, metrics: Sequence[str], *, samples: int = 20_000, seed: int = 0,
    batch_size: int = 5000,
) -> dict:  # fmt: skip
    """Compare `samples` points of a model's prior with the density that `reference` was drawn from: a record for JSON, its
    figures under "values". The points of the reference are not used: the density itself is known."""
    truth = density(reference.name)
    if not isinstance(model, LatentModel) or model.data_shape != truth.shape or truth.shape != (2,):
        raise reject("model", type(model).__name__, "a model that samples points in the plane: a GAN, a VAE")
    wanted = point_metrics(metrics)
    drawn = torch.cat(list(generate_points(model, samples, seed=seed, batch_size=batch_size)))
    about = {"samples": samples, "seed": seed, "batch_size": batch_size, "density": reference.name}
    return {"values": score(drawn, truth, wanted), **about}
