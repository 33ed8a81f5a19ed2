"""Figures of introspective games (chapters 07 and 08): the two thresholds, what an encoder judges, films, seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from torch import Tensor

from ..data.cells import cell_edges
from ..data.points import density
from ..errors import reject
from ..games import Film
from ..methods.base import LatentModel
from ..methods.intro_vae import hinge
from ..methods.soft_intro_vae import exp_elbo
from ..metrics.divergence import typical_cells
from .curves import array
from .films import RightAxis, frames_on_line, words_on_fakes
from .plane import square
from .style import COLORS, INK, MUTED, WIDTH, CourseFigure, colors, new_figure, styled, with_alt

JUDGE = COLORS["blue"]
BANDS = colormaps["cividis"].resampled(16)  # contours are easier to follow than shades, and make a small picture


@styled
def thresholds(
    margin: float, *, beta_neg: float = 1.0, alpha: float = 2.0, scale: float = 1.0, reach: float = 0.0, title: str = ""
) -> CourseFigure:
    """What an encoder pays for a fake, and how hard it pushes it away, over the fake's KL: hinge and exp(alpha ELBO) / alpha.

    A batch of one fake without reconstruction error; KL in nats, from 0 to `reach` (default twice the margin)."""
    kl = torch.linspace(0, reach or 2 * margin, 241, requires_grad=True)
    soft = exp_elbo(torch.zeros(len(kl)), kl, beta_rec=1.0, beta_neg=beta_neg, scale=scale, alpha=alpha)
    losses = {
        f"hinge, m = {margin:g}": torch.stack([hinge(one, margin) for one in kl.split(1)]),
        f"exp({alpha:g} ELBO) / {alpha:g}": soft / alpha,
    }
    figure, facts = new_figure(height=290), []
    paid, pushed = figure.subplots(1, 2)
    for (name, loss), color, dashes in zip(losses.items(), (COLORS["vermilion"], JUDGE), ("--", "-"), strict=True):
        push = -torch.autograd.grad(loss.sum(), kl)[0]
        for axes, values in ((paid, loss / loss[0]), (pushed, push / push[0])):
            axes.plot(array(kl), array(values), color=color, ls=dashes, label=name)
        facts.append(
            f"{name}: loss {loss[0]:.3g} at KL 0 and {loss[-1]:.2g} at {kl[-1]:.3g}, push {push[0]:.2g} and {push[-1]:.2g}"
        )
    paid.set(title="What the encoder pays", xlabel="KL of the fake (nats)", ylabel="share of its value at KL 0")
    pushed.set(title="How hard it pushes", xlabel="KL of the fake (nats)")
    paid.legend()
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"{title}. Loss and push over a fake's KL. {'; '.join(facts)}.".lstrip(". "))


def line_frames(
    films: Film | Mapping[str, Film], shown: Sequence[int] = (), *, width: int = WIDTH, ceiling: float = 3.0, title: str = ""
) -> CourseFigure:
    """A one-dimensional game at some of its frames, a row for each film: real density, fakes, and the encoder's KL over x.

    films: of `snapshots.filmed`. shown: numbers of frames; default four, evenly. ceiling: the highest KL drawn."""
    right = RightAxis(lambda film, i: film.judged[i], "encoder's KL (nats), right", ceiling)
    about = "the encoder's KL."
    return frames_on_line(films, shown, right, about=about, fact=words_on_fakes, width=width, title=title)


@styled
@torch.no_grad()
def judge_maps(
    models: Mapping[str, Mapping[str, LatentModel]], *, ceiling: float = 8.0, bins: int = 120, title: str = ""
) -> CourseFigure:
    """How far from the data an encoder says each place of the plane is: its KL in nats as a map, a row per density.

    models: {density's name: {method: model}}. A white line is the border of the region that holds 98.9 % of the true mass.
    ceiling: the KL from which on all is drawn alike."""
    if not models or not all(models.values()):
        raise reject("models", list(models) or "none", "one or more densities, each with one or more models")
    columns = list(dict.fromkeys(method for row in models.values() for method in row))
    side = (WIDTH - 90) // max(len(columns), 3)
    figure = new_figure(min(WIDTH, 110 + side * len(columns)), 30 + 26 * bool(title) + (side + 14) * len(models))
    panels, facts, drawn = figure.subplots(len(models), len(columns), squeeze=False), [], None
    for row, (name, by_method) in zip(panels, models.items(), strict=True):
        truth = density(name)
        middle = (cell_edges(truth, bins)[1:] + cell_edges(truth, bins)[:-1]).float() / 2
        grid, region = torch.cartesian_prod(middle, middle), typical_cells(truth, bins=bins)
        for axes, method in zip(row, columns, strict=True):
            kl = by_method[method].encode(grid).kl().view(bins, bins)
            ends = [-truth.window, truth.window] * 2
            drawn = axes.imshow(kl.T.numpy(), cmap=BANDS, vmin=0, vmax=ceiling, origin="lower", extent=ends)
            axes.contour(middle.numpy(), middle.numpy(), region.T.float().numpy(), [0.5], colors="white", linewidths=0.8)
            square(axes, truth.window)
            facts.append(f"{name}, {method}: median {kl[region].median():.2g} in the region, {kl[~region].median():.2g} outside")
        row[0].set_ylabel(name)
    for axes, method in zip(panels[0], columns, strict=True):
        axes.set_title(method, size=9.5)
    figure.colorbar(drawn, ax=panels, label="KL (nats)", extend="max", shrink=0.8, pad=0.01)
    if title:
        figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"{title}. The encoder's KL over the plane as a map. {'; '.join(facts)}.".lstrip(". "))


@styled
def shares(target: Tensor, found: Mapping[str, Tensor], *, title: str = "") -> CourseFigure:
    """Distributions over a few cells as groups of bars: the data's in gray, then each that was found, in color.

    target: (N,), found: (N,) by name; each adds up to 1."""
    bars = {"data": target, **found}
    figure = new_figure(height=280)
    axes, width, facts = figure.add_subplot(), 0.8 / len(bars), []
    for i, ((name, values), color) in enumerate(zip(bars.items(), ["#BBBBBB", *colors(len(found))], strict=True)):
        places = np.arange(len(target)) + (i - (len(bars) - 1) / 2) * width
        axes.bar(places, array(values), 0.92 * width, color=color, label=name)
        facts.append(f"{name}: {', '.join(f'{v:.2f}' for v in array(values))}")
    axes.set_xticks(range(len(target)), [f"cell {i + 1}" for i in range(len(target))])
    axes.grid(axis="x", visible=False)
    axes.set(ylabel="probability", title=title)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return with_alt(figure, f"{title}. Probabilities of cells. {'; '.join(facts)}.".lstrip(". "))


@styled
def seed_curves(
    runs: Mapping[str, Sequence[Mapping[str, np.ndarray]]], term: str = "jsd", *, floor: float | None = None,
    label: str = "JSD (nats), lower is better", title: str = "",
) -> CourseFigure:  # fmt: skip
    """A measured term over the steps, log axis, a panel per method and a line per seed; the median of the last values marked.

    runs: for each method the curves of its runs. floor: what as many real points score."""
    if not runs or any(term not in curves for those in runs.values() for curves in those):
        raise reject("term", term, sorted(set().union(*(c for those in runs.values() for c in those))))
    figure = new_figure(height=300)
    panels, facts = figure.subplots(1, len(runs), sharex=True, sharey=True, squeeze=False)[0], []
    for axes, (name, those), color in zip(panels, runs.items(), colors(len(runs)), strict=True):
        last = []
        for curves in those:
            kept = np.isfinite(curves[term])
            axes.plot(curves["step"][kept], curves[term][kept], color=color, lw=1.2, alpha=0.7)
            last.append(curves[term][kept][-1])
        axes.plot(curves["step"][kept][-1], np.median(last), "D", color=INK, ms=5, zorder=3)
        if floor is not None:
            axes.axhline(floor, color=MUTED, ls="--", lw=1.2)
        axes.set(xlabel="step", yscale="log")
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.set_title(name, size=9.5)
        facts.append(f"{name}: {', '.join(f'{v:.3g}' for v in last)}, median {np.median(last):.3g}")
    panels[0].set_ylabel(label)
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    known = "" if floor is None else f" Dashed: as many real points, {floor:.2g}."
    return with_alt(figure, f"{title}. {label} over the steps, a line per seed. At the end, {'; '.join(facts)}.{known}")


__all__ = ["judge_maps", "line_frames", "seed_curves", "shares", "thresholds"]
