"""Figures of the plane (chapter 07): samples beside the true density, and densities as maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import ListedColormap, PowerNorm
from torch import Tensor

from ..data.cells import cell_edges, cell_masses
from ..data.densities import Density
from ..data.points import density
from ..errors import reject
from ..metrics.density import GridDensity
from ..metrics.divergence import typical_cells
from ..metrics.plane import real_against_real, score
from .style import COLORS, WIDTH, CourseFigure, new_figure, styled, with_alt

DOTS = 4000  # drawn of each set of samples; the numbers are those of all of them
REGION = ListedColormap(["#FFFFFF", "#D9D9D9"])
HEAT = "cividis"  # dark to bright for every kind of color vision
BRIGHTEST = 0.05  # of a map's mass is drawn in the brightest color, so that one cell of a noisy estimate does not darken the rest
FACTS = ("jsd", "within")


@styled
def plane_samples(samples: Mapping[str, Mapping[str, Tensor]], *, title: str = "", shown: int = DOTS) -> CourseFigure:
    """Samples of several models beside the true density: a row per density, a column per method, all axes of a row the same.

    samples: {density's name: {method: (N, 2)}}, N alike in a row. Gray: the smallest region with 98.9 % of the true mass.
    Below each panel: JSD in nats and the share of samples in the region (for a mixture, within 3 standard deviations of a
    mode); below the map what as many real points score. shown: dots in a panel; the numbers are those of all samples."""
    if not samples or not all(samples.values()):
        raise reject("samples", list(samples) or "none", "one or more densities, each with samples of one or more methods")
    methods = list(dict.fromkeys(method for row in samples.values() for method in row))
    figure, panels = _small_multiples(len(samples), 1 + len(methods), title)
    facts = []
    for row, (name, by_method) in zip(panels, samples.items(), strict=True):
        truth = density(name)
        _heat(row[0], *true_density(truth))
        n = max(map(len, by_method.values()))
        floor = real_against_real(truth, n, ["jsd"], seeds=5)["jsd"]
        square(row[0], truth.window, f"JSD {floor:.3g}\nof {n:,} real points")
        row[0].set_ylabel(name)
        facts.append(f"{name}, as many real points: JSD {floor:.3g}")
        for axes, method in zip(row[1:], methods, strict=True):
            if method not in by_method:
                axes.set_visible(False)
                continue
            found = draw_samples(axes, by_method[method], truth, shown)
            facts.append(f"{name}, {method}: {_words(found)}")
    _head(panels[0], ["true density", *methods])
    alt = f"{title}. The true density as a map, samples of each method as dots. {'; '.join(facts)}."
    return with_alt(figure, alt.lstrip(". "))


@styled
def plane_densities(
    maps: Mapping[str, Mapping[str, Density | GridDensity]], *, title: str = "", bins: int = 200
) -> CourseFigure:
    """Densities as maps: a row per problem, a column per density; each map is bright where its own density is highest.

    maps: {row: {column: a known density, or what `metrics.model_density` or `prior_density` found}}. The brightness grows as
    the square root of the density, so that what is faint is seen. Below a model's map: the integral over the window of what
    was normalized, 1 for a density that lies in it."""
    if not maps or not all(maps.values()):
        raise reject("maps", list(maps) or "none", "one or more rows, each with one or more densities")
    columns = list(dict.fromkeys(column for row in maps.values() for column in row))
    figure, panels = _small_multiples(len(maps), len(columns), title)
    facts = []
    for row, (name, by_column) in zip(panels, maps.items(), strict=True):
        for axes, column in zip(row, columns, strict=True):
            if column not in by_column:
                axes.set_visible(False)
                continue
            found = by_column[column]
            known = isinstance(found, Density)
            values, edges = true_density(found, bins) if known else (found.log_density.exp().numpy(), found.edges.numpy())
            _heat(axes, values, edges)
            note = "" if known else f"integral {found.normalizer:.3g}"
            square(axes, edges[-1], note)
            facts.append(f"{name}, {column}: highest {values.max():.3g}{', ' if note else ''}{note}")
        row[0].set_ylabel(name)
    _head(panels[0], columns)
    return with_alt(figure, f"{title}. Densities over the plane as maps. {'; '.join(facts)}.".lstrip(". "))


def draw_samples(axes, samples: Tensor, truth: Density, dots: int = DOTS) -> dict[str, float]:
    """Samples (N, 2) as dots over the density's typical region, their score below; returns the score."""
    window, region = truth.window, typical_cells(truth).T.numpy()
    axes.imshow(region, cmap=REGION, origin="lower", extent=[-window, window] * 2, interpolation="nearest")
    axes.scatter(*samples[:dots].cpu().T.numpy(), s=1.6, color=COLORS["blue"], alpha=0.6, lw=0)
    found = score(samples, truth, FACTS)
    square(axes, window, _words(found, "\n"))
    return found


def true_density(truth: Density, bins: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """The mean density over each of bins x bins cells of the window, (bins, bins), and the cells' edges, (bins + 1,)."""
    edges = cell_edges(truth, bins)
    return (cell_masses(truth, bins)[0] / (edges[1] - edges[0]) ** 2).numpy(), edges.numpy()


def square(axes, window: float, note: str = "") -> None:
    """Make axes a framed square without ticks, from -window to window both ways; note: words below it."""
    ends = (-window, window)
    axes.set(xlim=ends, ylim=ends, aspect="equal", xticks=[], yticks=[])
    axes.set_xlabel(note, size=8.5)
    axes.grid(False)
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("#BBBBBB")


def _small_multiples(rows: int, columns: int, title: str):
    """An empty figure of square panels, with room below each for two lines of text and above some rows for a title."""
    side = (WIDTH - 40) // max(columns, 3)
    figure = new_figure(min(WIDTH, 60 + side * columns), 38 + (side + 42) * rows + 26 * bool(title))
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02)
    if title:
        figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _head(row, titles: Sequence[str]) -> None:
    for axes, words in zip(row, titles, strict=True):
        axes.set_title(words, size=9.5)


def _heat(axes, values: np.ndarray, edges: np.ndarray) -> None:
    """values: (bins, bins), first index along x1."""
    ordered = np.sort(values, axis=None)[::-1]
    top = ordered[np.searchsorted(ordered.cumsum(), BRIGHTEST * ordered.sum())]
    extent, scale = [edges[0], edges[-1]] * 2, PowerNorm(0.5, vmin=0, vmax=top)
    axes.imshow(values.T, cmap=HEAT, norm=scale, origin="lower", extent=extent)


def _words(found: Mapping[str, float], between: str = ", ") -> str:
    return f"JSD {found['jsd']:.3g}{between}{100 * found['within']:.1f} % within"


__all__ = ["draw_samples", "plane_densities", "plane_samples", "square", "true_density"]
