"""FactorExplorer: one slider per true factor of the `shapes` data, and what a model makes of each picture."""

from __future__ import annotations

import functools

import ipywidgets as widgets
import torch
from torch import Tensor

from ..data import factors as known
from ..errors import reject
from ..figures import models as ask
from ..figures.models import Models
from ..figures.pixels import rows_figure
from ..figures.style import CourseFigure, styled
from .panel import Panel, control
from .pictures import bars, row_picture

START = {"shape": 0, "color": 0, "scale": 2, "rotation": 0, "x": 4, "y": 4}
NAMES = {"shape": known.SHAPES, "color": tuple(known.COLORS)}
REACH = 3.5  # the bars' ends
MOST_BARS = 12


@functools.lru_cache(maxsize=512)
def rendered(values: tuple[int, ...], size: int) -> Tensor:
    """The picture of these factors, (1, 3, size, size) in [0, 1]."""
    return known.render(torch.tensor([values]), size).float() / 255


class FactorExplorer(Panel):
    """Set the factors a picture was made from and watch which latent dimensions answer.

    models: a model with an encoder, trained on `shapes`, or a dict of them. The bars are the posterior's mean, a mark
    where each was at the start, and a bar that moved is orange: in a disentangled code one slider moves one bar. At
    most twelve bars, those that carry most over all values of the factors. `z` is the code on show, (1, Z)."""

    def __init__(self, models: Models):
        super().__init__(models, None)
        for name, model in self.models.items():
            ask.needs_encoder(model, name)
            if model.data_shape[0] != 3 or model.data_shape[1] != model.data_shape[2]:
                raise reject("models", f"{name!r} for {model.data_shape}", "models for square color images",
                             "Train one on shapes.")  # fmt: skip
        self.factors = {name: self._control(name, count) for name, count in known.SIZES.items()}
        self._choose()
        for changed in self.factors.values():
            self.on_change(changed)
        self.on_change(self.model_choice, self._choose)
        back = self.button("Reset", "All factors back to where they were at the start", self.reset)
        self.assemble(list(self.factors.values()), [back])

    def _control(self, name: str, count: int):
        if name in NAMES:
            choices = list(zip(NAMES[name], range(count), strict=True))
            return control(widgets.Dropdown, name, f"The picture's {name}", options=choices, value=START[name])
        return control(widgets.IntSlider, name, f"The picture's {name}", value=START[name], min=0, max=count - 1)

    @property
    def values(self) -> tuple[int, ...]:
        """The factors' present values, in the order of the data set."""
        return tuple(c.value for c in self.factors.values())

    @property
    def x(self) -> Tensor:
        """The rendered picture, (1, 3, H, W)."""
        return rendered(self.values, self.model.data_shape[1])

    @property
    def z(self) -> Tensor:
        """The posterior's mean, (1, Z)."""
        return ask.encoded(self.model, self.x)[0]

    def reset(self) -> None:
        with self.together():
            for name, changed in self.factors.items():
                changed.value = START[name]

    def _choose(self) -> None:
        """Which dimensions get a bar, and the code of the starting picture, for the model in use."""
        spread = (
            known.render(known.grid()[:: 48 * 4 + 1], self.model.data_shape[1]).float() / 255
        )  # 255 of all pictures
        self.dims = sorted(ask.leading_dims(self.model, spread, MOST_BARS)[0])
        self.start = ask.encoded(self.model, rendered(tuple(START.values()), self.model.data_shape[1]))[0][0]

    def picture(self) -> tuple[bytes, str]:
        z = self.z
        made = ask.decoded(self.model, z)
        names = [f"z[{d}]" for d in self.dims]
        chart = bars(
            z[0, self.dims].tolist(), names, before=self.start[self.dims].tolist(), reach=REACH, size=(260, 178)
        )
        error = ask.squared_error(self.x, made).item()
        tiles = [("rendered", self.x[0]), ("reconstruction", made[0])]
        moved = [f"z[{d}]" for d in self.dims if abs(z[0, d] - self.start[d]) > 0.05 * REACH]
        line = f"squared error {error:.3g}; moved since the start: {', '.join(moved) or 'nothing'}"
        return row_picture(tiles, beside=chart), line

    @styled
    def static_figure(self) -> CourseFigure:
        """A row per factor: the picture at its values, and what the model makes of it below."""
        rows, labels, size = [], [], self.model.data_shape[1]
        for column, (name, count) in enumerate(known.SIZES.items()):
            states = [[*self.values[:column], v, *self.values[column + 1 :]] for v in range(count)]
            x = torch.cat([rendered(tuple(s), size) for s in states])
            rows += [list(x), list(ask.reconstructed(self.model, x))]
            labels += [name, "reconstruction"]
        return rows_figure(
            rows, title="One factor at a time", row_labels=labels,
            alt=f"For each of the factors {', '.join(known.SIZES)}: the rendered picture at every value of it, "
                f"and below the reconstructions of {self.model_choice.value}.",
        )  # fmt: skip
