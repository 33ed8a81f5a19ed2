"""AttributeExplorer: one slider per attribute, each along a direction in latent space."""

from __future__ import annotations

from collections.abc import Mapping

import ipywidgets as widgets
from torch import Tensor

from ..data.image_set import ImageSet
from ..errors import reject
from ..figures import models as ask
from ..figures.models import Models
from ..figures.style import CourseFigure
from ..figures.vae_gan import attribute_strips
from .panel import Panel, control
from .pictures import row_picture

REACH = 2.0  # how many times a vector a slider adds or takes away


def title_of(images: ImageSet, index: int) -> str:
    """An image's own name, or its number."""
    names = images.attributes.get("name")
    return names[index] if names is not None else f"image {index}"


class AttributeExplorer(Panel):
    """Add attributes to an image: `z` is the image's code plus each slider's value times its vector, (1, Z).

    models: a model with an encoder, or a dict of them by name. vectors: for each model's name its directions by label,
    {model: {label: (Z,)}}, the same labels for all; for one model {label: (Z,)} will do. images: to start from, by
    their attribute `name` where they have one. start: the first image's row."""

    def __init__(self, models: Models, vectors: Mapping, images: ImageSet, start: int = 0):
        super().__init__(models, images)
        one = vectors and all(isinstance(v, Tensor) for v in vectors.values())
        self.vectors = {"model": dict(vectors)} if one else {name: dict(v) for name, v in vectors.items()}
        self._check(start)
        self.labels = list(self.vectors[self.model_choice.value])
        names = [(f"{i}: {title_of(images, i)}", i) for i in range(len(images))]
        about = f"Which of the {len(images)} images of {images.name} ({images.split}); type its number to jump there"
        self.index = control(widgets.Dropdown, "emoji" if "name" in images.attributes else "image", about,
                             options=names, value=start)  # fmt: skip
        about = "How many times the attribute's vector is added to the code; 0 leaves it, -1 takes it away"
        span = {"value": 0.0, "min": -REACH, "max": REACH, "step": 0.1}
        self.sliders = {label: control(widgets.FloatSlider, label, about, "30rem", **span) for label in self.labels}
        for slider in self.sliders.values():
            slider.style.description_width = "13rem"
        for changed in (self.model_choice, self.index, *self.sliders.values()):
            self.on_change(changed)
        back = self.button("Reset", "All attributes back to 0", self.reset)
        self.assemble([self.index], list(self.sliders.values()), [back])

    def _check(self, start: int) -> None:
        if set(self.vectors) != set(self.models):
            raise reject("vectors", sorted(self.vectors), sorted(self.models), "Give the directions of each model.")
        labels = {tuple(v) for v in self.vectors.values()}
        if len(labels) != 1 or not all(labels):
            raise reject("vectors", sorted(labels), "one or more labels, the same for each model")
        for name, model in self.models.items():
            ask.needs_encoder(model, name)
            for label, vector in self.vectors[name].items():
                if vector.shape != (model.latent_dim,):
                    raise reject("vectors", tuple(vector.shape), f"({model.latent_dim},) for {label!r} of {name!r}")
        if not 0 <= start < len(self.images):
            raise reject("start", start, f"a row from 0 to {len(self.images) - 1}")

    @property
    def x(self) -> Tensor:
        """The chosen image, (1, C, H, W)."""
        return self.images.floats(self.index.value)

    @property
    def base(self) -> Tensor:
        """The image's own code, (1, Z)."""
        return ask.encoded(self.model, self.x)[0]

    @property
    def z(self) -> Tensor:
        """The code on show, (1, Z)."""
        steps = self.vectors[self.model_choice.value]
        return self.base + sum(slider.value * steps[label] for label, slider in self.sliders.items())

    def reset(self) -> None:
        """All sliders to 0."""
        with self.together():
            for slider in self.sliders.values():
                slider.value = 0.0

    def picture(self) -> tuple[bytes, str]:
        same, made = ask.decoded(self.model, self.base), ask.decoded(self.model, self.z)
        moved = ask.squared_error(same, made).item()
        tiles = [("original", self.x[0]), ("reconstruction", same[0]), ("edited", made[0])]
        set_to = ", ".join(f"{label} {s.value:+.1f}" for label, s in self.sliders.items() if abs(s.value) > 0.04)
        return row_picture(tiles), f"edited: {set_to or 'nothing'}; squared error to the reconstruction {moved:.1f}"

    def static_figure(self) -> CourseFigure:
        """A row for each attribute: what moving its slider decodes."""
        name = title_of(self.images, self.index.value)
        return attribute_strips(self.model, self.x, self.vectors[self.model_choice.value], title=f"{name}, one slider at a time")
