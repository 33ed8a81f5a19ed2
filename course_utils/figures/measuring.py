"""Figures of chapter 05: distances of distributions, what the number of images does to a score, neighbors, features."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.patches import Circle
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter
from torch import Tensor

from ..errors import reject
from ..metrics import nearest
from .curves import array
from .style import COLORS, INK, MUTED, CourseFigure, colors, new_figure, styled, with_alt

MARKS = "osD^vPX<>*"


@dataclass(frozen=True)
class Mixture:
    """A distribution on the line: normal peaks, each (share, mean, width)."""

    peaks: tuple[tuple[float, float, float], ...]

    @property
    def mean(self) -> float:
        return sum(share * mean for share, mean, _ in self.peaks)

    @property
    def std(self) -> float:
        return math.sqrt(sum(share * (width**2 + (mean - self.mean) ** 2) for share, mean, width in self.peaks))

    def density(self, x: np.ndarray) -> np.ndarray:
        return sum(share * normal(x, mean, width) for share, mean, width in self.peaks)

    def quantiles(self, count: int = 2000) -> np.ndarray:
        """Values below which (i + 1/2) / count of the mass lies, (count,)."""
        reach = 8 * max(width for *_, width in self.peaks)
        means = [mean for _, mean, _ in self.peaks]
        x = np.linspace(min(means) - reach, max(means) + reach, 20_001)
        mass = np.cumsum(self.density(x))
        return np.interp((np.arange(count) + 0.5) / count, mass / mass[-1], x)


def normal(x: np.ndarray, mean: float, width: float) -> np.ndarray:
    """The density of N(mean, width^2)."""
    return np.exp(-0.5 * ((x - mean) / width) ** 2) / (width * math.sqrt(2 * math.pi))


REAL = {
    "one peak": Mixture(((1.0, 0.0, 1.0),)),
    "two peaks": Mixture(((0.5, -0.7, 0.5), (0.5, 1.7, 0.5))),  # mean 0.5, width 1.3: both on the panel's sliders
    "lopsided": Mixture(((0.75, -0.5, 0.4), (0.25, 1.7, 0.9))),
}


def frechet_1d(real: Mixture, mean: float, width: float) -> float:
    """(difference of means)^2 + (difference of widths)^2."""
    return (real.mean - mean) ** 2 + (real.std - width) ** 2


def wasserstein_1d(real: Mixture, mean: float, width: float) -> float:
    """The squared 2-Wasserstein distance of `real` from N(mean, width^2): on the line, the mean over quantiles."""
    return float(np.mean((real.quantiles() - mean - width * REAL["one peak"].quantiles()) ** 2))


@styled
def densities(panels: Mapping[str, tuple[Mixture, float, float]], *, title: str = "", columns: int = 3) -> CourseFigure:
    """A density of real values and the normal density of a fake in each panel, the Fréchet distance above it.

    panels: by name (real, mean of the fake, width of the fake)."""
    if not panels:
        raise reject("panels", "none", "one or more (real, mean, width), by name")
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(height=40 + 190 * rows)
    drawn = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    x, facts = np.linspace(-4.5, 5.5, 400), []
    for axes, (name, (real, mean, width)) in zip(drawn, panels.items(), strict=False):
        distance = frechet_1d(real, mean, width)
        axes.fill_between(x, real.density(x), color=COLORS["sky"], alpha=0.5, lw=0, label="real")
        axes.plot(x, normal(x, mean, width), color=COLORS["vermilion"], label="fake")
        axes.set_title(f"{name}\ndistance {distance:.2f}", fontsize=9, fontweight="normal")
        axes.set_yticks([])
        axes.grid(visible=False)
        facts.append(f"{name}: {distance:.3g}")
    for axes in drawn[len(panels) :]:
        axes.set_axis_off()
    drawn[0].legend(loc="upper right", fontsize=8)
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"{title}. Densities of real values (filled) and of a fake (line). Distances: {'; '.join(facts)}.")


@styled
def over_counts(
    counts: Sequence[int], panels: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], *, title: str = "", zero: bool = True
) -> CourseFigure:
    """Scores over the number of images (log axis), a panel per score: the mean of repeats, and a band of one standard
    deviation.

    panels: {label of the score: {name: for each count a list of repeats}}; a single repeat has no band."""
    lengths = {label: {name: len(values) for name, values in named.items()} for label, named in panels.items()}
    if not panels or any(length != len(counts) for named in lengths.values() for length in named.values()):
        raise reject("panels", lengths, f"{len(counts)} lists of repeats, one a count")
    figure = new_figure(height=320)
    drawn = figure.subplots(1, len(panels), squeeze=False)[0]
    facts = []
    for axes, (label, named) in zip(drawn, panels.items(), strict=True):
        for (name, values), color, mark in zip(named.items(), colors(len(named)), MARKS, strict=False):
            mean, spread = (np.array([of(repeats) for repeats in values]) for of in (np.mean, np.std))
            axes.fill_between(counts, mean - spread, mean + spread, color=color, alpha=0.18, lw=0)
            axes.plot(counts, mean, "-", marker=mark, ms=4.5, color=color, label=name)
            facts.append(f"{label}, {name}: {mean[0]:.3g} at {counts[0]:,}, {mean[-1]:.3g} at {counts[-1]:,}")
        if zero:
            axes.axhline(0, color=MUTED, lw=1)
        axes.set_xscale("log")
        axes.set_xticks(list(counts), [f"{c:,}" for c in counts], rotation=30)
        axes.minorticks_off()
        axes.set(xlabel="images of each kind", title=label)
        if len(named) > 1:
            axes.legend()
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"Scores over the number of images, mean and spread of repeats. {'; '.join(facts)}.")


@styled
def extrapolation(
    counts: Sequence[int],
    measured: Mapping[str, Sequence[Sequence[float]]],
    *,
    use: int = 3,
    title: str = "Toward infinitely many images",
) -> CourseFigure:
    """Scores over 1 / count, a panel per name, and the straight line through the `use` largest counts, drawn to 1 / count = 0.

    measured: for each count a list of repeats, by name. The title gives the value at 0."""
    if not 2 <= use <= len(counts):
        raise reject("use", use, f"from 2 to {len(counts)}", "A line needs two points.")
    figure, inverse, facts = new_figure(height=300), 1 / np.asarray(counts, float), []
    panels = figure.subplots(1, len(measured), squeeze=False)[0]
    for axes, (name, values), color, mark in zip(panels, measured.items(), colors(len(measured)), MARKS, strict=False):
        mean = np.array([np.mean(repeats) for repeats in values])
        slope, end = np.polyfit(inverse[-use:], mean[-use:], 1)
        axes.plot([0, inverse.max()], [end, end + slope * inverse.max()], "--", lw=1.2, color=color)
        axes.plot(inverse, mean, mark, color=color)
        axes.plot([0], [end], mark, mfc="white", mec=color, ms=8, clip_on=False, zorder=5)
        axes.set_xticks(inverse, [f"1/{c:,}" if i < 3 else "" for i, c in enumerate(counts)])
        axes.set(xlabel="1 / number of images", title=f"{name}: {end:.3g} at 1/N = 0", xlim=(0, None))
        facts.append(f"{name}: {mean[-1]:.3g} at {counts[-1]:,} images, {end:.3g} extrapolated")
    panels[0].set_ylabel("Fréchet distance")
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"Fréchet distance over 1 / number of images, with straight lines to 0. {'; '.join(facts)}.")


@styled
def balls(real: Tensor, fake: Tensor, k: int = 3, *, title: str = "") -> CourseFigure:
    """Points of the plane (N, 2), (M, 2): left the balls of the real points, right those of the fakes.

    A ball reaches to the k-th neighbor among its own kind. The share of the other kind's points that lie in a ball is
    precision on the left and recall on the right."""
    figure = new_figure(height=400)
    facts = []
    panels = {"precision": (real, fake, "real", "fake"), "recall": (fake, real, "fake", "real")}
    look = {"real": ("blue", "o"), "fake": ("vermilion", "X")}
    drawn = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, (name, (own, other, owner, guest)) in zip(drawn, panels.items(), strict=True):
        radii = nearest(own, own, k, itself=False)[0][:, -1]
        inside = (torch.cdist(other.double(), own.double()) <= radii).any(1)
        for center, radius in zip(own.tolist(), radii.tolist(), strict=True):
            axes.add_patch(Circle(center, radius, facecolor=COLORS[look[owner][0]], alpha=0.1))
        (color, mark), (other_color, other_mark) = look[owner], look[guest]
        axes.plot(*own.T, mark, ms=4, color=COLORS[color], label=owner)
        axes.plot(*other[inside].T, other_mark, ms=6, mec="white", mew=0.6, color=COLORS[other_color], label=f"{guest}, inside")
        axes.plot(*other[~inside].T, other_mark, ms=6, mfc="none", mec=COLORS[other_color], label=f"{guest}, outside")
        share = inside.double().mean().item()
        axes.set_title(f"{name} {share:.2f}: {guest}s in balls of {owner} points")
        axes.set_aspect("equal")
        axes.grid(visible=False)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=3, fontsize=8, handletextpad=0.1)
        facts.append(f"{name} {share:.2f}")
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"Real and fake points of the plane with balls to neighbor {k}: {' and '.join(facts)}. {title}")


@styled
def fidelity_and_variety(rows: Sequence[Mapping], *, title: str = "How good, and how varied") -> CourseFigure:
    """Precision against recall, and density against coverage: a mark per row, the best corner at the top right.

    rows: dicts with name, precision, recall, density and coverage."""
    if not rows:
        raise reject("rows", "none", "one or more dicts with name, precision, recall, density and coverage")
    figure = new_figure(height=360)
    left, right = figure.subplots(1, 2)
    for axes, across, up in ((left, "recall", "precision"), (right, "coverage", "density")):
        for index, (row, color) in enumerate(zip(rows, colors(len(rows)), strict=True)):
            axes.plot(row[across], row[up], MARKS[index % len(MARKS)], ms=9.5, color=color, mec="white", label=row["name"])
        axes.set(xlabel=f"{across}: how varied", ylabel=f"{up}: how good", xlim=(-0.03, 1.05), ylim=(0, None))
    left.set_ylim(-0.03, 1.05)
    right.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    words = "; ".join(f"{r['name']}: " + ", ".join(f"{m} {r[m]:.2f}" for m in ("precision", "recall", "density", "coverage"))
                      for r in rows)  # fmt: skip
    return with_alt(figure, f"Precision against recall and density against coverage. {words}.")


@styled
def feature_means(panels: Mapping[str, tuple[Tensor, Tensor]], *, title: str = "") -> CourseFigure:
    """The mean of each feature over fakes against its mean over real images, a dot per feature; equal on the line.

    panels: (features of real images (N, D), of fakes (M, D)) by name. The axes are the same in all panels."""
    if not panels:
        raise reject("panels", "none", "one or more pairs of features, by name")
    means = {name: [array(features.double().mean(0)) for features in pair] for name, pair in panels.items()}
    top = 1.05 * max(values.max() for pair in means.values() for values in pair)
    low = min(0.0, *(values.min() for pair in means.values() for values in pair))
    figure, facts = new_figure(height=480), []
    for axes, (name, (real, fake)) in zip(figure.subplots(1, len(panels), squeeze=False)[0], means.items(), strict=True):
        gap = float(np.sum((real - fake) ** 2))
        axes.plot([low, top], [low, top], color=MUTED, lw=1)
        axes.plot(real, fake, "o", ms=4, alpha=0.65, mew=0, color=COLORS["blue"])
        axes.set(xlabel="mean over real images", ylabel="mean over generated images", xlim=(low, top), ylim=(low, top))
        axes.set_title(f"{name}\nsquared distance of the means {gap:.3g}", fontsize=9.5)
        axes.set_box_aspect(1)
        facts.append(f"{name}: {gap:.3g}")
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"Means of features, generated against real images. Squared distance of means: {'; '.join(facts)}.")


@styled
def scores_over_steps(
    runs: Mapping[str, Sequence[Mapping[str, np.ndarray]]], column: str, *, label: str = "", title: str = ""
) -> CourseFigure:
    """A recorded score over the training steps: a panel per name, a line per seed, its lowest value ringed.

    runs: the curves of each seed, by name. The score's axis is logarithmic, and the same in all panels."""
    lost = [name for name, seeds in runs.items() if not seeds or any(column not in run for run in seeds)]
    if not runs or lost:
        raise reject("column", column, "a column of every run", f"Not recorded by {', '.join(lost) or 'no run at all'}.")
    figure = new_figure(height=290)
    facts, styles = [], ("-", "--", ":", "-.")
    for axes, (name, seeds) in zip(figure.subplots(1, len(runs), sharey=True, squeeze=False)[0], runs.items(), strict=True):
        for index, (run, color) in enumerate(zip(seeds, colors(len(seeds)), strict=True)):
            kept = np.isfinite(run[column])
            steps, values = run["step"][kept], run[column][kept]
            low = values.argmin()
            axes.plot(steps, values, styles[index % 4], color=color, marker=".", ms=4, lw=1.3, label=f"seed {index}")
            axes.plot(steps[low], values[low], "o", ms=9, mfc="none", mec=color)
            facts.append(f"{name}, seed {index}: last {values[-1]:.3g}, lowest {values[low]:.3g}")
        axes.set(xlabel="step", title=name, yscale="log")
        axes.tick_params(axis="x", labelsize=7.5)
        axes.xaxis.set_major_locator(MaxNLocator(4))
    first = figure.axes[0]
    first.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    first.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    first.yaxis.set_minor_locator(NullLocator())
    first.set_ylabel(label or column)
    first.legend(fontsize=8)
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold", color=INK)
    return with_alt(figure, f"{label or column} over the steps; the lowest value of each run is ringed. {'; '.join(facts)}.")


__all__ = ["REAL", "Mixture", "balls", "densities", "extrapolation", "feature_means", "fidelity_and_variety"]
__all__ += ["frechet_1d", "over_counts", "scores_over_steps", "wasserstein_1d"]
