"""Figures of chapter 09: introspective games on a line, where one sees what an encoder has learned by heart and what leaks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ..data.densities import Density
from ..errors import reject
from ..methods.base import LatentModel
from .curves import array
from .models import named
from .style import COLORS, INK, CourseFigure, new_figure, styled, with_alt

SAMPLES = 4000
BLUE, VERMILION = COLORS["blue"], COLORS["vermilion"]


@styled
@torch.no_grad()
def on_a_line(
    models: Mapping[str, LatentModel], density: Density, points: Mapping[str, Tensor] | None = None, *,
    ceiling: float = 3.0, title: str = "",
) -> CourseFigure:  # fmt: skip
    """Models of points on a line, a column each: above, the encoder's KL; below, the decoder's samples and the density.

    points: {name: (N, 1)}, what a model was trained on, as marks at the foot of the upper panel. ceiling: the highest KL drawn,
    in nats."""
    models = named(models, "model")
    if density.shape != (1,) or any(tuple(model.data_shape) != (1,) for model in models.values()):
        raise reject("models", list(models), "models of points on a line, and a density on it")
    grid = torch.linspace(-density.window, density.window, 241)[:, None]
    real, facts = density.log_density(grid).exp(), []
    figure = new_figure(height=380)
    panels = figure.subplots(2, len(models), sharex=True, sharey="row", squeeze=False)
    for (above, below), (name, model) in zip(panels.T, models.items(), strict=True):
        judged = model.encode(grid.to(model.device)).kl().cpu()
        drawn = model.sample(SAMPLES, generator=torch.Generator().manual_seed(0)).cpu()
        above.plot(array(grid[:, 0]), array(judged), color=BLUE)
        above.set(title=name, ylim=(0, ceiling))
        if points and name in points:
            above.plot(array(points[name][:, 0]), np.zeros(len(points[name])), "|", color=INK, ms=16, mew=1.6, clip_on=False)
        below.fill_between(array(grid[:, 0]), array(real), color="#BBDDF6", lw=0, label="the density of real points")
        bins = np.linspace(-density.window, density.window, 61)
        below.hist(array(drawn[:, 0]), bins, density=True, histtype="step", color=VERMILION, lw=1.5, label="samples")
        below.set_xlabel("x")
        lowest = f"lowest KL {judged.min():.2g} at {grid[judged.argmin()].item():.2g}"
        facts.append(f"{name}: {lowest}; samples have mean {drawn.mean():.2f} and deviation {drawn.std():.2f}")
    panels[0, 0].set_ylabel("encoder's KL (nats)")
    panels[1, 0].set_ylabel("density")
    figure.legend(*panels[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    alt = f"{title}. The encoder's KL over the line, and samples over the real density. {'; '.join(facts)}."
    return with_alt(figure, alt.lstrip(". "))


__all__ = ["on_a_line"]
