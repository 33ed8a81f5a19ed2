"""Figures of chapter 02: the bound against the truth, a sampler against its density, two loss terms side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from .curves import TERMS, array
from .style import COLORS, MUTED, CourseFigure, colors, new_figure, styled, with_alt


@styled
def elbo_slices(elbo: Callable[[float, float], float], log_px: float, mean: float, variance: float) -> CourseFigure:
    """The ELBO of q = N(m, v) as m slides (v right) and as v slides (m right), under the exact log p(x), all in nats.

    elbo: f(m, v). mean, variance: those of the true posterior, where the curves touch the line."""
    figure = new_figure(height=330)
    left, right = figure.subplots(1, 2, sharey=True)
    std = math.sqrt(variance)
    slides = np.linspace(mean - 5 * std, mean + 5 * std, 201), variance * np.geomspace(0.05, 12, 201)
    values = [elbo(m, variance) for m in slides[0]], [elbo(mean, v) for v in slides[1]]
    labels = ("mean m of q, its variance right", "variance v of q, its mean right")
    for axes, slide, value, label, best in zip((left, right), slides, values, labels, (mean, variance), strict=True):
        axes.axhline(log_px, color=COLORS["vermilion"], ls="--", lw=1.4, label="log p(x)")
        axes.plot(slide, value, color=COLORS["blue"], label="ELBO")
        axes.plot([best], [log_px], "o", color=COLORS["black"], ms=5, label="true posterior")
        axes.set_xlabel(label)
    right.set_xscale("log")
    left.set(ylabel="nats", ylim=(log_px - 4, log_px + 0.5))
    left.legend(loc="lower center")
    figure.suptitle("The bound touches at the true posterior, and nowhere crosses", x=0.01, ha="left", size=10.5, weight="bold")
    highest = max(max(v) for v in values)
    alt = f"Two curves of the ELBO below a dashed line, log p(x) = {log_px:.3f} nats. Highest value drawn: {highest:.3f}."
    return with_alt(figure, f"{alt} Left the mean of q slides, right its variance; both peak at the true posterior.")


@styled
def sampler_check(drawn, mean: float, std: float, *, title: str = "") -> CourseFigure:
    """A histogram of samples against the density N(mean, std^2) that they should have. drawn: (N,)."""
    values = array(drawn)
    figure = new_figure(560, 270)
    axes = figure.add_subplot()
    x = np.linspace(mean - 4 * std, mean + 4 * std, 300)
    axes.hist(values, 60, density=True, color=COLORS["sky"], alpha=0.75, label=f"{len(values):,} samples")
    axes.plot(x, np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi)), color=COLORS["vermilion"],
              label=f"N({mean:g}, {std:g}$^2$)")  # fmt: skip
    axes.set(xlabel="value", ylabel="density", title=title)
    axes.legend()
    return with_alt(figure, f"Histogram of samples with mean {values.mean():.3f} and standard deviation {values.std():.3f} "
                    f"under the normal density with mean {mean:g} and standard deviation {std:g}.")  # fmt: skip


@styled
def terms_apart(
    runs: Mapping[str, Mapping[str, np.ndarray]], terms: Sequence[str] = ("rec", "kl"), *, title: str = ""
) -> CourseFigure:
    """A panel per loss term, a color per run, over the training steps. runs: curves by name."""
    figure = new_figure(height=310)
    panels = figure.subplots(1, len(terms), squeeze=False)[0]
    facts = []
    for axes, term in zip(panels, terms, strict=True):
        for (name, run), color in zip(runs.items(), colors(len(runs)), strict=True):
            kept = np.isfinite(run[term])
            marks = {"marker": "o", "ms": 3} if term.startswith("val_") else {}
            axes.plot(run["step"][kept], run[term][kept], color=color, label=name, **marks)
            facts.append(f"{name}, {term}: {run[term][kept][0]:.3g} to {run[term][kept][-1]:.3g}")
        axes.set(xlabel="step", title=TERMS.get(term.removeprefix("val_"), term), ylim=(0, None))
    panels[-1].legend(labelcolor=MUTED)
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"Loss terms over the steps, a panel each. {'; '.join(facts)}.")
