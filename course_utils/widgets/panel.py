"""What all panels share: showing themselves, redrawing once per change, and never hiding an error."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import contextmanager
from html import escape

import ipywidgets as widgets

from ..data.image_set import ImageSet
from ..errors import reject
from ..figures.models import Models, named
from ..figures.style import CourseFigure, show
from ..methods.base import LatentModel

PICTURES = 256  # images by which the leading dimensions and the sliders' ranges are chosen


def static() -> bool:
    """Whether panels are to be shown as pictures: COURSE_STATIC=1, or no notebook kernel that could answer a slider."""
    from IPython import get_ipython

    return os.environ.get("COURSE_STATIC") == "1" or getattr(get_ipython(), "kernel", None) is None


def tooltip(kind: type, text: str) -> dict[str, str]:
    """The keyword under which this widget takes a tooltip: its name changed between ipywidgets 7 and 8."""
    return {
        "tooltip" if kind is widgets.Button or "tooltip" in kind.class_trait_names() else "description_tooltip": text
    }


def control(kind: type, description: str, about: str, width: str = "24rem", **options):
    """A slider or dropdown with its description in full and a tooltip."""
    style = {"description_width": "8.5rem"}
    layout = widgets.Layout(width=width, max_width="100%")
    return kind(description=description, style=style, layout=layout, **tooltip(kind, about), **options)


class Panel(ABC):
    """Base of the panels. `image` holds the picture as PNG bytes, `panel` everything, `z` the codes it is decoded from.

    A subclass makes its controls, calls `assemble`, and gives `picture()` -> (PNG bytes, a line about it) and
    `static_figure()`. Errors in a redraw are written under the picture and raised: a test, a notebook's run and a
    reader all see them."""

    def __init__(self, models: Models, images: ImageSet | None):
        self.models: dict[str, LatentModel] = named(models, "model")
        self.images = images
        for name, model in self.models.items():
            if images is not None and tuple(model.data_shape) != images.shape:
                remedy = "Load the images at the model's size, or leave that model out."
                raise reject(
                    "images", images.shape, f"{tuple(model.data_shape)}, the shape that {name!r} decodes", remedy
                )
        self.image = widgets.Image(format="png", layout=widgets.Layout(max_width="100%", align_self="flex-start"))
        self.status = widgets.HTML()
        self.model_choice = control(widgets.Dropdown, "model", "Which model decodes", options=list(self.models))
        self._holding = False

    @property
    def model(self) -> LatentModel:
        """The model in use."""
        return self.models[self.model_choice.value]

    @abstractmethod
    def picture(self) -> tuple[bytes, str]:
        """The picture of the controls' present state as PNG, and a line about it."""

    @abstractmethod
    def static_figure(self) -> CourseFigure:
        """The figure that stands in for the panel where nothing can be moved."""

    def redraw(self) -> None:
        """Draw the picture of the controls' present state."""
        with self._reported():
            self.image.value, line = self.picture()
            self.status.value = escape(line)

    @contextmanager
    def together(self):
        """Inside, controls may change without a redraw each; one follows at the end."""
        self._holding, before = True, self._holding
        try:
            yield
        finally:
            self._holding = before
        if not self._holding:
            self.redraw()

    def on_change(self, changed, action: Callable[[], None] | None = None) -> None:
        """Redraw when the control changes; with `action`, do that first."""

        def respond(_):
            if self._holding:
                return
            with self._reported(), self.together():
                if action:
                    action()

        changed.observe(respond, names="value")

    def button(self, description: str, about: str, action: Callable[[], None]) -> widgets.Button:
        made = widgets.Button(
            description=description, **tooltip(widgets.Button, about), layout=widgets.Layout(width="7rem")
        )
        made.on_click(lambda _: action())
        return made

    def assemble(self, *rows) -> None:
        """Put the controls above the picture; rows: widgets, or lists of widgets that stand side by side."""
        first = [self.model_choice] if len(self.models) > 1 else []
        wrap = widgets.Layout(flex_flow="row wrap")
        lines = [
            widgets.HBox(list(row), layout=wrap) if isinstance(row, list | tuple) else row for row in (*first, *rows)
        ]
        self.panel = widgets.VBox([*lines, self.image, self.status])
        self.redraw()

    @contextmanager
    def _reported(self):
        try:
            yield
        except Exception as error:
            words = escape(f"{type(error).__name__}: {error}")
            self.status.value = f'<span role="alert" style="color:#D55E00"><strong>{words}</strong></span>'
            raise

    def _ipython_display_(self) -> None:
        if static():
            show(self.static_figure())
        else:
            from IPython.display import display

            display(self.panel)


def picker(images: ImageSet, description: str = "image", start: int = 0) -> widgets.IntSlider:
    """A slider over the images of a set."""
    about = f"Which of the {len(images)} images of {images.name} ({images.split})"
    return control(widgets.IntSlider, description, about, value=start, min=0, max=len(images) - 1)


def caption(images: ImageSet, index: int) -> str:
    """An image's class, or its number."""
    known = images.labels is not None and images.class_names
    return images.class_names[int(images.labels[index])] if known else f"image {index}"
