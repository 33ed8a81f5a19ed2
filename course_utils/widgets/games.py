"""GameExplorer, ModeExplorer and the base of all panels of films: a slider over the steps of games, filmed or recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ipywidgets as widgets

from ..errors import reject
from ..figures.games import draw_ring, game_frames, rings
from ..figures.style import CourseFigure, new_figure, styled, to_png
from ..games import Film
from .panel import Panel, control


class FilmPanel(Panel):
    """Base of the panels of films: a slider over the frames that all of them have.

    `film` is the one on show, `at` the slider of its frame."""

    def __init__(self, films: Mapping[str, Film]):
        super().__init__(films, None)
        count = min(len(film.steps) for film in self.models.values())
        self.at = control(widgets.IntSlider, "frame", "Frames of the film, from first to last", value=0, min=0, max=count - 1)
        for changed in (self.model_choice, self.at):
            self.on_change(changed)
        self.assemble([self.at])

    film = Panel.model


class GameExplorer(FilmPanel):
    """Watch one-dimensional games: the fakes and the critic's D at each filmed step.

    films: by name, made with a grid (`games.filmed`)."""

    def picture(self) -> tuple[bytes, str]:
        fakes, i = self.film.fakes[self.at.value], self.at.value
        figure = game_frames(self.film, [i], width=420)
        facts = f"mean {fakes.mean():.2f}, standard deviation {fakes.std():.2f}"
        return to_png(figure), f"step {self.film.steps[i]}: the fakes have {facts}"

    def static_figure(self) -> CourseFigure:
        """Four frames of every film."""
        return game_frames(self.models, title="The films of the panel, four frames each")


class ModeExplorer(Panel):
    """Which of eight modes a recorded game has found, step by step.

    games: as `games.recorded` gives them. start: the loss and the schedule to begin with. `game` is the one on show."""

    def __init__(self, games: Sequence[Mapping], start: tuple[str, str] = ("hinge", "constant")):
        self.games = {(g["loss"], g["schedule"], g["seed"]): g for g in games}
        losses, schedules, seeds = (list(dict.fromkeys(key[i] for key in self.games)) for i in range(3))
        if start not in {key[:2] for key in self.games}:
            raise reject("start", start, sorted({key[:2] for key in self.games}))
        super().__init__({"games": self.games}, None)
        self.loss, self.schedule, self.seed = (
            control(widgets.Dropdown, name, about, options=options, value=value)
            for name, about, options, value in (
                ("loss", "What the two players minimize", losses, start[0]),
                ("rate", "linear: falls to zero; constant: stays", schedules, start[1]),
                ("seed", "Of weights, noise and batches", seeds, seeds[0]),
            )
        )
        last = len(self.game["steps"]) - 1
        self.at = control(widgets.IntSlider, "frame", "Recorded steps, from first to last", value=last, min=0, max=last)
        for changed in (self.loss, self.schedule, self.seed, self.at):
            self.on_change(changed)
        self.assemble([self.loss, self.schedule], [self.seed, self.at])

    @property
    def game(self) -> Mapping:
        return self.games[self.loss.value, self.schedule.value, self.seed.value]

    @styled
    def picture(self) -> tuple[bytes, str]:
        figure, i = new_figure(280, 280), self.at.value
        draw_ring(figure.add_subplot(), self.game["shares"][i], self.game["covered"][i], 260)
        near = f"{100 * self.game['within'][i]:.0f} % of the fakes lie near a mode"
        return to_png(figure), f"step {self.game['steps'][i]}: {self.game['covered'][i]} of 8 modes covered; {near}"

    def static_figure(self) -> CourseFigure:
        """Ten steps of every seed of the loss and schedule on show."""
        shown = [g for key, g in self.games.items() if key[:2] == (self.loss.value, self.schedule.value)]
        return rings(shown, title=f"{self.loss.value}, {self.schedule.value} rate: modes covered at ten steps")
