"""Figures of chapter 03: the price of a nat as a slope, schedules, runs on their way, factors and who knows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ..data import factors as shapes
from ..errors import reject
from ..metrics.disentanglement import Disentanglement
from .curves import array
from .pixels import rows_figure
from .style import INK, MUTED, CourseFigure, colors, new_figure, styled, with_alt

AXES = {"xlabel": "rate: KL (nats per image)", "ylabel": "distortion: squared error per image"}


@styled
def price_tangents(
    points: Sequence[Mapping], *, title: str = "Each model sits where the curve's slope is -β"
) -> CourseFigure:
    """Distortion against rate, and through each point the line on which sse + beta * KL is as large as in that point.

    points: dicts with beta, kl (nats per image) and sse. A model that minimizes sse + beta * KL has no other model's
    point below its line."""
    if not points:
        raise reject("points", "none", "one or more dicts with beta, kl and sse")
    points = sorted(points, key=lambda p: p["beta"])
    kl, sse = (np.array([p[key] for p in points]) for key in ("kl", "sse"))
    figure = new_figure(height=420)
    axes = figure.add_subplot()
    half = 0.13 * (np.ptp(kl) or 1.0)
    for point, color in zip(points, colors(len(points)), strict=True):
        reach = min(half, 0.22 * (np.ptp(sse) or 1.0) / point["beta"]) if point["beta"] else half
        ends = np.array([-reach, reach])
        axes.plot(point["kl"] + ends, point["sse"] - point["beta"] * ends, color=color, lw=2.4)
        axes.plot(point["kl"], point["sse"], "o", color=color, ms=7, label=f"β = {point['beta']:g}")
    axes.plot(kl, sse, color=MUTED, lw=1, zorder=0)
    axes.margins(0.08)
    axes.set(title=title, **AXES)
    axes.legend(title="line of slope -β through")
    listed = "; ".join(f"beta {p['beta']:g}: KL {p['kl']:.3g}, squared error {p['sse']:.3g}" for p in points)
    return with_alt(
        figure, f"Squared error against KL with a line of slope minus beta through each model's point. {listed}."
    )


@styled
def schedules(weights: Mapping[str, Sequence[float]], *, title: str = "What a schedule charges") -> CourseFigure:
    """The weight of the KL over a run, a line per schedule; its mean and its last value in the legend.

    weights: one value per step, by name; every run is drawn from 0 to 100 %."""
    if not weights:
        raise reject("weights", "none", "one or more names, each with a value per step")
    figure = new_figure(height=300)
    axes, facts = figure.add_subplot(), []
    for (name, values), color in zip(weights.items(), colors(len(weights)), strict=True):
        values = array(values)
        fact = f"{name}: ends at {values[-1]:.3g}, mean {values.mean():.3g}"
        axes.plot(np.linspace(0, 100, len(values)), values, color=color, label=fact)
        facts.append(fact)
    axes.set(xlabel="share of the run (%)", ylabel="β, the weight of the KL", title=title, ylim=(0, None))
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return with_alt(figure, f"The weight of the KL over a run. {'; '.join(facts)}.")


@styled
def training_paths(
    runs: Mapping[str, Mapping[str, np.ndarray]], line: Sequence[str] = (), *, reach: float = 2.0, title: str = ""
) -> CourseFigure:
    """Runs on their way through the plane of rate and distortion: held-out values after each evaluation, the end
    marked.

    runs: curves by name, with val_kl and val_sse. line: the names of the runs whose ends are joined, the sweep to
    compare with. reach: the axes show this many times the room that the ends take; a path comes in from outside."""
    missing = [name for name in line if name not in runs]
    if not runs or missing:
        raise reject("line", missing, list(runs), "Name runs that are drawn.")
    figure = new_figure(height=400)
    axes, ends = figure.add_subplot(), {}
    for (name, run), color in zip(runs.items(), colors(len(runs)), strict=True):
        kept = np.isfinite(run["val_kl"]) & np.isfinite(run["val_sse"])
        kl, sse = run["val_kl"][kept], run["val_sse"][kept]
        ends[name] = kl[-1], sse[-1]
        axes.plot(kl, sse, "-", color=color, lw=1.1, alpha=0.6)
        axes.plot(kl, sse, ".", color=color, ms=4, alpha=0.6)
        axes.plot(*ends[name], "o" if name in line else "D", color=color, ms=8, mec="white", label=name)
    if line:
        axes.plot(
            *np.array(sorted(ends[name] for name in line)).T, "--", color=INK, lw=1.2, label="ends of the constant runs"
        )
    (left, low), (right, high) = np.min(list(ends.values()), 0), np.max(list(ends.values()), 0)
    wide, tall = reach * max(right - left, 0.05 * right), reach * max(high - low, 0.05 * high)
    axes.set(xlim=(left - wide / 2, right + wide), ylim=(low - tall / 2, high + tall))
    axes.set(title=title or "Where each run goes, and where it ends", **AXES)
    axes.legend()
    listed = "; ".join(f"{name}: KL {kl:.4g}, squared error {sse:.4g}" for name, (kl, sse) in ends.items())
    return with_alt(figure, f"Paths of held-out squared error against KL while training. They end at {listed}.")


@styled
def factor_rows(steps: int = 8, *, title: str = "One factor at a time") -> CourseFigure:
    """The data set `shapes`: a row for each factor, that factor over its values and the others held in the middle."""
    middle = torch.tensor([1, 4, 3, 0, 4, 4])
    rows, labels = [], []
    for column, (name, count) in enumerate(shapes.SIZES.items()):
        table = middle.repeat(min(count, steps), 1)  # (V, 6)
        table[:, column] = torch.arange(len(table))
        rows.append(shapes.render(table))
        labels.append(f"{name} ({count})")
    alt = f"{title}: rendered shapes on black. Each row changes one factor alone: {', '.join(labels)} values."
    return rows_figure(rows, title=title, row_labels=labels, alt=alt)


@styled
def information_panels(
    measured: Mapping[str, Disentanglement], factor_names: Sequence[str], *, title: str = ""
) -> CourseFigure:
    """What each latent dimension (column) knows of each factor (row), as a share of the factor's entropy, model by
    model.

    measured: results of mutual_information_gap, by name; MIG stands over each panel."""
    if not measured:
        raise reject("measured", "none", "one or more results of mutual_information_gap, by name")
    figure = new_figure(height=330)
    panels = figure.subplots(1, len(measured), sharey=True, squeeze=False)[0]
    facts = []
    for axes, (name, result) in zip(panels, measured.items(), strict=True):
        share = result.information / np.where(result.entropy > 0, result.entropy, 1.0)[:, None]  # (F, Z) in [0, 1]
        shades = axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (row, column), value in np.ndenumerate(share):
            if value >= 0.05:
                ink = "white" if value > 0.6 else INK
                axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=7.5, color=ink)
        axes.grid(False)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_xticks(range(share.shape[1]), [str(z) for z in range(share.shape[1])])
        axes.set_yticks(range(len(factor_names)), list(factor_names))
        axes.set(xlabel="latent dimension z", title=f"{name}: MIG {result.mig:.2f}")
        best = ", ".join(
            f"{f} {100 * r.max():.0f} % in z[{r.argmax()}]" for f, r in zip(factor_names, share, strict=True)
        )
        facts.append(f"{name}, MIG {result.mig:.2f}: {best}")
    figure.colorbar(shades, ax=panels, pad=0.01, label="share of the factor's entropy").outline.set_visible(False)
    figure.suptitle(
        title or "Who knows what (percent; below 5 left blank)", x=0.01, ha="left", size=10.5, weight="bold"
    )
    return with_alt(
        figure, f"Heat maps of the share of each factor's entropy that each dimension knows. {'; '.join(facts)}."
    )


__all__ = ["factor_rows", "information_panels", "price_tangents", "schedules", "training_paths"]
