"""FilmExplorer: a slider over the steps of introspective games on a line or in the plane."""

from __future__ import annotations

from collections.abc import Mapping

import ipywidgets as widgets
import numpy as np

from ..errors import reject
from ..figures.films import plane_frames
from ..figures.introspective import line_frames
from ..figures.style import CourseFigure, to_png
from ..games import Film
from .panel import Panel, control

SIGNS = {"kl_real": "KL of real points", "kl_fake": "of fakes", "exp_elbo_fake": "exp(ELBO) of fakes"}


class FilmExplorer(Panel):
    """Watch games: the fakes at each step of the film, on a line with the encoder's KL, too, and the signs of health.

    films: by name, all on a line (`snapshots.filmed`) or all in the plane (`snapshots.recorded`). `film` is the one on show,
    `at` the number of its frame."""

    def __init__(self, films: Mapping[str, Film]):
        super().__init__(films, None)
        shapes = {film.density.shape for film in self.models.values()}
        if len(shapes) > 1:
            raise reject("films", sorted(shapes), "films of one dimension, or films of two")
        self.draw = line_frames if shapes == {(1,)} else plane_frames
        count = min(len(film.steps) for film in self.models.values())
        self.at = control(widgets.IntSlider, "frame", "Frames of the film, from first to last", value=0, min=0, max=count - 1)
        for changed in (self.model_choice, self.at):
            self.on_change(changed)
        self.assemble([self.at])

    film = Panel.model

    def picture(self) -> tuple[bytes, str]:
        return to_png(self.draw(self.film, [self.at.value], width=420)), self.line()

    def line(self) -> str:
        """The step on show, and the signs of health that were logged at it."""
        step = self.film.steps[self.at.value]
        terms = getattr(self.film, "terms", {})
        row = np.flatnonzero(terms["step"] == step) if terms else []
        signs = {words: terms[name][row[0]] for name, words in SIGNS.items() if name in terms and len(row)}
        shown = ", ".join(f"{words} {value:.3g}" for words, value in signs.items() if value == value)
        return f"step {step:,}{': ' if shown else ''}{shown}"

    def static_figure(self) -> CourseFigure:
        """Some frames of every film."""
        return self.draw(self.models, title="The films of the panel, from first to last")
