"""Figures of games in one and two dimensions (chapter 04): frames of a film, the critic's best answer, modes found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from ..data.points import GaussianMixture, ring
from ..errors import reject
from ..games import Film
from ..metrics.modes import mode_coverage
from .curves import array
from .films import RightAxis, evenly, frames_on_line
from .gan import LOSS_COLORS
from .style import COLORS, INK, MUTED, WIDTH, CourseFigure, new_figure, styled, with_alt

REAL, FAKE, CRITIC = MUTED, COLORS["orange"], COLORS["blue"]


def game_frames(
    films: Film | Mapping[str, Film], shown: Sequence[int] = (), *, width: int = WIDTH, title: str = ""
) -> CourseFigure:
    """A one-dimensional game at some of its frames, a row for each film: what is real, the fakes, the critic's D.

    shown: numbers of frames; default four, evenly. Fakes outside of the film's grid are not seen."""
    right = RightAxis(lambda film, i: film.logits[i].sigmoid(), "D, on the right", 1, (0, 0.5, 1))
    about = "the critic's D. The fakes:"
    return frames_on_line(films, shown, right, about=about, fact=_spread, width=width, title=title)


def _spread(film: Film, i: int) -> str:
    return f"mean {film.fakes[i].mean():.2g}, spread {film.fakes[i].std():.2g}"


@styled
def best_answer(
    x: Tensor, real: Tensor, fake: Tensor, formula: Tensor, trained: Mapping[str, Tensor], *, title: str = ""
) -> CourseFigure:
    """Two densities, real and fake, over x; below, the formula for the critic's best D and what critics have learned.

    x: (G,). real, fake, formula: (G,). trained: D over x by name, (G,) each."""
    figure = new_figure(height=380)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
    above.fill_between(array(x), array(real), color=REAL, alpha=0.35, lw=0, label="real, p(x)")
    above.plot(array(x), array(fake), color=FAKE, label="fakes, q(x)")
    above.set(ylabel="density", title=title)
    below.plot(array(x), array(formula), color=INK, lw=3.5, alpha=0.3, label="p / (p + q)")
    facts = []
    for (name, values), color in zip(trained.items(), [CRITIC, COLORS["vermilion"], COLORS["green"]], strict=False):
        below.plot(array(x), array(values), color=color, label=name)
        worst = (values - formula).abs()[(real + fake) > 0.02].max()
        facts.append(f"{name} is off by at most {worst:.2f} where there are points")
    below.set(ylabel="D(x)", xlabel="x", ylim=(-0.02, 1.02))
    for axes in (above, below):
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return with_alt(figure, f"Real and fake densities, and D over x beside p / (p + q). {'; '.join(facts)}.")


def _plane(axes, fakes: Tensor, mixture: GaussianMixture, reach: float) -> None:
    centers = mixture.centers
    axes.scatter(*centers.T.numpy(), s=90, facecolors="none", edgecolors=CRITIC, lw=1.2)
    axes.scatter(*fakes[:1500].T.numpy(), s=2.5, color=FAKE, alpha=0.5, lw=0)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])


@styled
def planes(films: Film | Mapping[str, Film], *, title: str = "") -> CourseFigure:
    """Two-dimensional games, fakes as dots, modes as circles: one film at five of its steps, or the ends of several."""
    if isinstance(films, Film):
        panels = {f"step {films.steps[i]}": (films.density, films.fakes[i]) for i in evenly([films], 5)}
    else:
        panels = {name: (film.density, film.fakes[-1]) for name, film in films.items()}
    if not panels or any(density.shape != (2,) for density, _ in panels.values()):
        raise reject("films", list(panels) or "none", "films of two-dimensional games")
    figure = new_figure(height=60 + 800 // len(panels))
    reach, facts = 2.1, []
    for axes, (name, (mixture, fakes)) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        _plane(axes, fakes, mixture, reach)
        found = mode_coverage(fakes, mixture)
        axes.set_title(f"{name}\n{found.covered} of {len(mixture.centers)} modes, {100 * found.within:.0f} %", size=9)
        facts.append(f"{name}: {found.covered} modes, {100 * found.within:.0f} % of the points near one")
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"{title}: fakes as dots, modes as circles. {'; '.join(facts)}.".removeprefix(": "))


@styled
def mode_histories(games: Sequence[Mapping], *, title: str = "") -> CourseFigure:
    """Modes covered over the steps, a panel per loss and a row per schedule; thin lines are seeds, the thick one their mean.

    games: dicts with loss, schedule, seed, steps and covered, as `games.recorded` gives them."""
    losses, rows = (list(dict.fromkeys(game[key] for game in games)) for key in ("loss", "schedule"))
    if not games:
        raise reject("games", "none", "one or more recorded games")
    figure = new_figure(height=70 + 165 * len(rows))
    panels, facts = figure.subplots(len(rows), len(losses), sharex=True, sharey=True, squeeze=False), []
    for (row, loss), axes in zip(((r, g) for r in rows for g in losses), panels.flat, strict=True):
        those = [game for game in games if (game["schedule"], game["loss"]) == (row, loss)]
        covered = np.array([game["covered"] for game in those])  # (seeds, S)
        axes.plot(those[0]["steps"], covered.T, color=LOSS_COLORS[loss], lw=0.9, alpha=0.45)
        axes.plot(those[0]["steps"], covered.mean(0), color=LOSS_COLORS[loss], lw=2.4)
        axes.set(ylim=(-0.3, 8.4), yticks=(0, 4, 8))
        facts.append(f"{loss}, {row}: at the end {', '.join(map(str, covered[:, -1]))}")
    for axes, loss in zip(panels[0], losses, strict=True):
        axes.set_title(loss, size=9.5)
    for axes, row in zip(panels[:, 0], rows, strict=True):
        axes.set_ylabel(f"{row} rate\nmodes covered")
    for axes in panels[-1]:
        axes.set_xlabel("step")
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"Modes of 8 Gaussians covered over the steps, by seed. {'; '.join(facts)}.")


@styled
def rings(games: Sequence[Mapping], *, columns: int = 10, title: str = "") -> CourseFigure:
    """Eight modes on a circle at recorded steps, a row per game; a dot's area is the share of fakes near
    that mode, a circle's an equal share.

    games: as for `mode_histories`, with shares. columns: of the recorded steps at most this many, evenly, the last at the
    end. The number in the ring: modes covered."""
    if not games:
        raise reject("games", "none", "one or more recorded games")
    last = len(games[0]["steps"]) - 1
    shown = range(last, -1, -math.ceil((last + 1) / columns))[::-1]
    side = 800 // len(shown)
    figure = new_figure(height=70 + (side + 8) * len(games))
    panels, facts = figure.subplots(len(games), len(shown), squeeze=False), []
    for row, game in zip(panels, games, strict=True):
        for axes, i in zip(row, shown, strict=True):
            draw_ring(axes, game["shares"][i], game["covered"][i], side)
        row[0].set_ylabel(f"seed {game['seed']}")
        facts.append(f"seed {game['seed']}: {', '.join(str(game['covered'][i]) for i in shown)}")
    for axes, i in zip(panels[0], shown, strict=True):
        axes.set_title(f"{games[0]['steps'][i]}", size=8.5, loc="center")
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    steps = ", ".join(str(games[0]["steps"][i]) for i in shown)
    return with_alt(figure, f"{title}. Modes covered at steps {steps}: {'; '.join(facts)}.")


def draw_ring(axes, shares: Sequence[float], covered: int, side: int) -> None:
    """One ring into axes of about `side` pixels; in its middle the number of modes covered."""
    centers, whole = ring(len(shares), 1.0, 0.1).centers.T.numpy(), (0.3 * side) ** 2
    axes.scatter(*centers, s=whole / len(shares), facecolors="none", edgecolors=MUTED, lw=0.8)  # an equal share
    axes.scatter(*centers, s=whole * np.asarray(shares), color=FAKE, lw=0)
    axes.text(0, 0, covered, ha="center", va="center", size=max(8, side / 9), weight="bold")
    axes.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


__all__ = ["best_answer", "draw_ring", "game_frames", "mode_histories", "planes", "rings"]
