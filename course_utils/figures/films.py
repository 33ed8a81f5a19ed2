"""Frames of filmed games (chapters 04 and 07): on a line with one more curve over x, and in the plane."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..data.densities import Density
from ..errors import reject
from ..games import Film
from ..metrics.divergence import typical_cells
from ..metrics.modes import mode_coverage
from .plane import REGION, square
from .style import COLORS, MUTED, WIDTH, CourseFigure, new_figure, styled, with_alt

REAL, FAKE, JUDGE = MUTED, COLORS["orange"], COLORS["blue"]


@dataclass(frozen=True)
class RightAxis:
    """A curve over x with an axis of its own, at the right. values: (film, number of a frame) -> (G,), over the film's grid.

    label: in the legend. top: the highest value drawn, from 0. ticks: where they are, in place of matplotlib's choice."""

    values: Callable[[Film, int], Tensor]
    label: str
    top: float
    ticks: Sequence[float] | None = None


@styled
def frames_on_line(
    films: Film | Mapping[str, Film], shown: Sequence[int], right: RightAxis, *, about: str,
    fact: Callable[[Film, int], str], width: int = WIDTH, title: str = "",
) -> CourseFigure:  # fmt: skip
    """A one-dimensional game at some of its frames, a row for each film: real density, a histogram of the fakes, and a curve.

    shown: numbers of frames; if empty four, evenly. about: the alternative text's words for the curve, and what else stands
    before the facts. fact: (film, number of a frame) -> the numbers that the alternative text gives of it."""
    films = films if isinstance(films, Mapping) else {"": films}
    if not films or any(film.grid is None or film.density.shape != (1,) for film in films.values()):
        raise reject("films", list(films) or "none", "films of one-dimensional games, made with a grid")
    shown = list(shown) or evenly(films.values(), 4)
    figure = new_figure(width, 60 + 200 * len(films))
    panels, facts = figure.subplots(len(films), len(shown), sharey="row", squeeze=False), []
    for row, (name, film) in zip(panels, films.items(), strict=True):
        for axes, i in zip(row, shown, strict=True):
            _frame(axes, film, i, right, labels=axes is row[-1])
            facts.append(f"{name} step {film.steps[i]}: {fact(film, i)}".lstrip())
        row[0].set_ylabel(f"{name}\ndensity" if name else "density")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    if title:
        figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    alt = f"A one-dimensional game at several steps: the real density, a histogram of the fakes, and {about}"
    return with_alt(figure, f"{title}. {alt} {'; '.join(facts)}.".removeprefix(". "))


def _frame(axes, film: Film, i: int, right: RightAxis, labels: bool) -> None:
    """Densities of real and fake points at frame i, and on a second axis the curve; labels: whether its ticks have numbers."""
    x, fakes = film.grid[:, 0].numpy(), film.fakes[i][:, 0].numpy()
    real = film.density.log_density(film.grid).exp().numpy()
    axes.fill_between(x, real, color=REAL, alpha=0.35, lw=0, label="real")
    bins = np.linspace(x[0], x[-1], 61)
    inside = np.histogram(fakes, bins)[0] / (len(fakes) * (bins[1] - bins[0]))
    axes.stairs(inside, bins, color=FAKE, lw=1.6, label="fakes")
    over = axes.twinx()
    over.plot(x, right.values(film, i).numpy(), color=JUDGE, lw=1.6)
    axes.plot([], [], color=JUDGE, lw=1.6, label=right.label)
    axes.set(xlim=(x[0], x[-1]), ylim=(0, 1.9 * real.max()), title=f"step {film.steps[i]:,}", xlabel="x")
    over.set(ylim=(0, right.top))
    if right.ticks is not None:
        over.set_yticks(right.ticks)
    over.tick_params(colors=JUDGE, labelright=labels, length=0)
    over.grid(False)
    over.spines[:].set_visible(False)


@styled
def plane_frames(
    films: Film | Mapping[str, Film], shown: Sequence[int] = (), *, width: int = WIDTH, title: str = ""
) -> CourseFigure:
    """A recorded film of the plane at some of its frames, a row for each: samples as dots over the region of 98.9 % of the mass.

    shown: numbers of frames; default five, evenly, from the first to the last."""
    films = films if isinstance(films, Mapping) else {"": films}
    if not films or any(film.density.shape != (2,) for film in films.values()):
        raise reject("films", list(films) or "none", "films of two-dimensional games")
    shown = list(shown) or evenly(films.values(), 5)
    side, dots = (width - 40) // max(len(shown), 1), 9000 // (len(films) * len(shown))
    figure = new_figure(width, 30 + (side + 56) * len(films))
    panels, facts = figure.subplots(len(films), len(shown), squeeze=False), []
    for row, (name, film) in zip(panels, films.items(), strict=True):
        for axes, i in zip(row, shown, strict=True):
            _dots(axes, film.fakes[i][:dots], film.density)
            axes.set_title(f"step {film.steps[i]:,}", size=9)
            axes.set_xlabel(words_on_fakes(film, i).replace(", ", "\n"), size=8.5)
            facts.append(f"{name} step {film.steps[i]}: {words_on_fakes(film, i)}".lstrip())
        row[0].set_ylabel(name.replace(", ", ",\n"), size=9)
    if title:
        figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"{title}. Samples at some steps of training as dots. {'; '.join(facts)}.".lstrip(". "))


def words_on_fakes(film: Film, i: int) -> str:
    """How many of a frame's fakes lie where the density does, and how many modes they cover."""
    fakes = film.fakes[i]
    found = mode_coverage(fakes, film.density)
    return f"{100 * found.within:.0f} % within, {found.covered} of {film.density.modes} modes"


def evenly(films: Iterable[Film], count: int) -> list[int]:
    """Numbers of `count` frames that all films have, from the first to the last; fewer where there are fewer."""
    last = min(len(film.steps) for film in films) - 1
    return sorted({round(i) for i in np.linspace(0, last, count)})


def _dots(axes, fakes: Tensor, truth: Density) -> None:
    window = truth.window
    axes.imshow(
        typical_cells(truth).T.numpy(), cmap=REGION, origin="lower", extent=[-window, window] * 2, interpolation="nearest"
    )
    axes.scatter(*fakes.T.numpy(), s=1.6, color=COLORS["blue"], lw=0, antialiased=False)
    square(axes, window)


__all__ = ["RightAxis", "evenly", "frames_on_line", "plane_frames", "words_on_fakes"]
