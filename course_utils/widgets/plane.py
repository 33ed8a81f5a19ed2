"""FilmExplorer: a slider over the steps of introspective games on a line or in the plane."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import reject
from ..figures.films import plane_frames
from ..figures.introspective import line_frames
from ..figures.models import named
from ..figures.style import CourseFigure, to_png
from ..games import Film
from .games import FilmPanel

SIGNS = {"kl_real": "KL of real points", "kl_fake": "of fakes", "exp_elbo_fake": "exp(ELBO) of fakes"}


class FilmExplorer(FilmPanel):
    """Watch games: the fakes at each step of the film, on a line with the encoder's KL, too, and the signs of health.

    films: by name, all on a line (`snapshots.filmed`) or all in the plane (`snapshots.recorded`)."""

    def __init__(self, films: Mapping[str, Film]):
        films = named(films, "model")
        shapes = {film.density.shape for film in films.values()}
        if len(shapes) > 1:
            raise reject("films", sorted(shapes), "films of one dimension, or films of two")
        self.draw = line_frames if shapes == {(1,)} else plane_frames
        super().__init__(films)

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
