"""Figures of chapter 06: copies and their distances, the three players, two errors of the same images, attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from torch import Tensor

from ..errors import reject
from . import models as ask
from .curves import array
from .models import Models, batch, named
from .pixels import rows_figure
from .style import COLORS, FAINT, INK, MUTED, CourseFigure, colors, new_figure, styled, with_alt

Measure = Callable[[Tensor, Tensor], Tensor]


@styled
def measured_copies(
    images: Tensor, copies: Mapping[str, Tensor], measures: Mapping[str, Measure], *, title: str = ""
) -> CourseFigure:
    """Images in the first row, each kind of copy below with its distances to the original under each picture.

    images and copies: (N, C, H, W) in [0, 1]. measures: f(images, copies) -> (N,), by name, a line each."""
    if not copies or not measures:
        raise reject("copies, measures", (list(copies), list(measures)), "one or more of each, by name")
    rows, labels, captions, facts = [batch(images)], ["original"], [[]], []
    for name, copy in copies.items():
        values = {measure: distance(images, copy) for measure, distance in measures.items()}
        rows.append(copy.clamp(0, 1))
        labels.append(name)
        captions.append(["\n".join(f"{v[i]:.3g}" for v in values.values()) for i in range(len(copy))])
        facts.append(f"{name}: " + ", ".join(f"{measure} {v.mean():.3g}" for measure, v in values.items()))
    alt = f"{title or 'Copies'}: {len(images)} originals and their copies. Means: {'; '.join(facts)}."
    note = f"Numbers, from top to bottom: {', '.join(measures)}."
    return rows_figure(rows, title=title, row_labels=labels, captions=captions, note=note, alt=alt)


# Of each part of the forward pass: where its middle is, its width, its name.
PARTS = (
    (0.0, 0.5, "x"), (1.4, 1.2, "encoder"), (2.8, 0.5, "z"), (4.2, 1.2, "decoder"), (5.75, 0.9, "x_rec,\nx_p"),
    (7.4, 1.5, "discriminator"), (9.1, 0.9, "Dis_l\n(features)"), (10.6, 0.8, "d\n(logit)"),
)  # fmt: skip
NETWORKS = ("encoder", "decoder", "discriminator")
# Of each player: its color, where its network is, and where its losses are measured.
LANES = {
    "encoder": ("blue", 1.4, ((2.8, "L_prior"), (9.1, "L_feat"))),
    "decoder": ("vermilion", 4.2, ((9.1, "γ L_feat"), (10.6, "L_GAN"))),
    "discriminator": ("green", 7.4, ((10.6, "L_dis"),)),
}


def _box(axes, middle: float, y: float, size: tuple[float, float], **options) -> None:
    axes.add_patch(FancyBboxPatch((middle - size[0] / 2, y - size[1] / 2), *size, boxstyle="round,pad=0.05", **options))


@styled
def players(*, title: str = "Three players, three losses: where each gradient starts, and whom it moves") -> CourseFigure:
    """The forward pass in a row; under it for each player where its losses are measured and how far back they run."""
    figure = new_figure(height=290, layout="none")
    axes = figure.add_axes((0.0, 0.0, 1.0, 0.9))
    axes.set(xlim=(-2.3, 11.2), ylim=(-3.3, 0.7))
    axes.set_axis_off()
    axes.text(-2.2, 0, "forward", va="center", color=MUTED)
    for middle, width, words in PARTS:
        net = words in NETWORKS
        _box(axes, middle, 0, (width, 0.6), fc="white" if net else FAINT, ec=INK if net else FAINT, lw=1.3)
        axes.text(middle, 0, words, ha="center", va="center", size=8.5, weight="bold" if net else "normal")
    for (a, wide_a, _), (b, wide_b, _) in zip(PARTS, PARTS[1:], strict=False):
        ends = (b - wide_b / 2 - 0.06, 0), (a + wide_a / 2 + 0.06, 0)
        axes.annotate("", *ends, arrowprops={"arrowstyle": "->", "color": MUTED})
    for lane, (player, (name, home, sources)) in enumerate(LANES.items()):
        y, color = -1.0 - 0.85 * lane, COLORS[name]
        axes.text(-2.2, y, player, color=color, va="center", weight="bold")
        _box(axes, home, y, (1.2, 0.3), fc=color, ec="none", alpha=0.25)
        axes.text(home, y, "is moved", ha="center", va="center", size=8)
        for start, words in sources:
            axes.annotate("", (home + 0.65, y), (start, y), arrowprops={"arrowstyle": "->", "color": color, "lw": 1.8})
            axes.plot(start, y, "o", color=color, ms=6)
            axes.text(start, y - 0.17, words, ha="center", va="top", size=8.5)
    figure.text(0.01, 0.95, title, size=10.5, weight="bold", va="center")
    alt = "The forward pass in a row: x, encoder, z, decoder, x_rec and x_p, discriminator, its features and its logit. "
    alt += "Below it gradients run back: from L_prior and L_feat to the encoder, from gamma L_feat and L_GAN to the decoder, "
    return with_alt(figure, alt + "and from L_dis to the discriminator.")


@styled
def paired_errors(errors: Mapping[str, tuple], names: tuple[str, str], *, title: str = "") -> CourseFigure:
    """A panel per measure: each image's error under the first model (across) against that under the second (up).

    errors: {measure: (errors of the first (N,), of the second (N,))}. Below the diagonal the second is nearer."""
    if not errors:
        raise reject("errors", "none", "one or more measures, each with two models' errors")
    figure = new_figure(height=360)
    facts = []
    panels = figure.subplots(1, len(errors), squeeze=False)[0]
    for axes, (measure, pair), color in zip(panels, errors.items(), colors(len(errors)), strict=True):
        first, second = (array(values) for values in pair)
        wins = int((second < first).sum())
        low, high = min(first.min(), second.min()), max(first.max(), second.max())
        axes.plot(first, second, ".", color=color, ms=5, alpha=0.5)
        axes.plot([low, high], [low, high], "--", color=MUTED, lw=1.2)
        axes.set(xscale="log", yscale="log", xlabel=f"{measure}, {names[0]}", ylabel=f"{measure}, {names[1]}")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.set_minor_formatter(NullFormatter())
        axes.set_title(f"{names[1]} nearer in {wins} of {len(first)}")
        facts.append(f"{measure}: {names[1]} nearer in {wins} of {len(first)}")
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    alt = f"Scatter plots, an image a dot, {names[0]} across and {names[1]} up, with the diagonal."
    return with_alt(figure, f"{alt} {'; '.join(facts)}.")


@styled
def attribute_strips(
    models: Models, images: Tensor, vectors: Mapping, *, steps: Sequence[float] = (-2, -1, 0, 1, 2), title: str = ""
) -> CourseFigure:
    """An image's code plus t times a vector, decoded: a row for each vector (of each model), a column for each t.

    images: (C, H, W) or (1, C, H, W), in [0, 1]. vectors: {label: (Z,)} of one model, {model: {label: (Z,)}} of several."""
    models, x = named(models), batch(images)
    if len(x) != 1:
        raise reject("images", len(x), "one image")
    known = {"": vectors} if list(models) == [""] else vectors
    rows, labels = [], []
    for name, model in models.items():
        z = ask.encoded(model, x)[0]
        for label, vector in known[name].items():
            made = ask.decoded(model, torch.cat([z + t * vector for t in steps]))
            rows.append([x[0], *made])
            labels.append("\n".join(part for part in (name, *label.split(": ")) if part))
    columns = ["original", *(f"{t:+g}" if t else "0" for t in steps)]
    kinds = ", ".join(label.replace("\n", ", ") for label in labels)
    alt = f"{title or 'Attributes'}: the original, then decoded codes with a vector added {', '.join(columns[1:])} times."
    alt += f" Rows: {kinds}."
    return rows_figure(rows, title=title, row_labels=labels, column_labels=columns, alt=alt, scale=2)


@styled
def gamma_runs(
    runs: Mapping[str, Mapping[str, Sequence[float]]], terms: Mapping[str, str], *, marked: str = "", title: str = ""
) -> CourseFigure:
    """A panel per term: its course in each run over the steps, smoothed lightly. runs: {name: {term: values}}.

    terms: {term: axis label}. marked: the run to draw in black, the one to compare with."""
    if not runs or not terms:
        raise reject("runs", list(runs), "one or more, by name, with the terms to draw")
    figure = new_figure(height=310)
    palette = iter([c for c in COLORS.values() if c != COLORS["black"]])
    chosen = {name: COLORS["black"] if name == marked else next(palette) for name in runs}
    facts = []
    panels = figure.subplots(1, len(terms), squeeze=False)[0]
    for axes, (term, label) in zip(panels, terms.items(), strict=True):
        for name, run in runs.items():
            values = array(run[term])
            window = max(1, len(values) // 8)
            smooth = np.convolve(values, np.ones(window) / window, mode="valid")
            axes.plot(np.arange(len(values)), values, color=chosen[name], lw=0.8, alpha=0.3)
            axes.plot(np.arange(window - 1, len(values)), smooth, color=chosen[name], label=name)
            facts.append(f"{name}, {label}: {values[0]:.3g} to {smooth[-1]:.3g} (highest {values.max():.3g})")
        axes.set(xlabel="further step", title=label)
    panels[-1].legend(labelcolor=MUTED)
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"Terms from the first to the last further step, a panel each. {'; '.join(facts)}.")


__all__ = ["attribute_strips", "gamma_runs", "measured_copies", "paired_errors", "players"]
