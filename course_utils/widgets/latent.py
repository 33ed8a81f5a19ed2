"""LatentExplorer: a slider for each of the latent dimensions that carry most."""

from __future__ import annotations

import ipywidgets as widgets
import torch
from torch import Tensor

from ..data.image_set import ImageSet
from ..errors import reject
from ..figures import models as ask
from ..figures.models import Models
from ..figures.style import CourseFigure
from ..figures.walks import traversal
from .panel import PICTURES, Panel, caption, control, picker
from .pictures import row_picture


class Dimensions:
    """The dimensions of one model that get a slider, and how far each slider goes: [(dimension, low, high, label)]."""

    def __init__(self, model, images: ImageSet | None, count: int):
        x = images.floats(slice(0, PICTURES)) if images is not None and model.has_encoder else None
        dims, carried, unit = ask.leading_dims(model, x, count)
        codes, logvar = (torch.zeros(1, model.latent_dim), torch.zeros(1)) if x is None else ask.encoded(model, x)
        self.rows = []
        for dim, much in zip(dims, carried, strict=True):
            low, high = codes[:, dim].amin().item(), codes[:, dim].amax().item()
            reach = max(3.5, -low, high) if logvar is not None else 0.2 * max(high - low, 1e-3)
            span = (-reach, reach) if logvar is not None else (low - reach, high + reach)
            self.rows.append((dim, *span, f"z[{dim}]  {much:.2g} {unit}" if x is not None else f"z[{dim}]"))


class LatentExplorer(Panel):
    """Move the latent dimensions that carry most and watch the decoded image.

    models: a LatentModel, or a dict of them by name. images: pictures to start from (a model without an encoder
    starts from the origin, and with images=None every model does). dims: how many sliders, at most. seed: of the
    "random" button. The dimensions are those of model.latent_importance over the first images; without an encoder,
    those that change the decoded image most. `z` is the code on show, (1, Z)."""

    def __init__(self, models: Models, images: ImageSet | None = None, dims: int = 6, *, seed: int = 0):
        super().__init__(models, images)
        if dims < 1:
            raise reject("dims", dims, "1 or more", "It is the number of sliders.")
        self.generator = torch.Generator().manual_seed(seed)
        self.count, self._dimensions = dims, {}
        self.index = picker(images) if images is not None else None
        about = "Every number of the code is multiplied by this; at 0 it is the image of the prior's mean"
        span = {"min": 0.0, "max": 1.5, "step": 0.05}
        self.truncation = control(widgets.FloatSlider, "truncation", about, value=1.0, **span)
        most = max(min(dims, m.latent_dim) for m in self.models.values())
        self.sliders = [control(widgets.FloatSlider, "", "A number of the code", step=0.01) for _ in range(most)]
        self._start()
        for slider in (self.truncation, *self.sliders):
            self.on_change(slider)
        self.on_change(self.model_choice, self._start)
        buttons = [self.button("Reset", "Back to the image's own code, truncation 1", self.reset),
                   self.button("Random", "A code drawn from the prior N(0, I)", self.random)]  # fmt: skip
        if self.index is not None:
            self.on_change(self.index, self._start)
        self.assemble([*([self.index] if self.index else []), self.truncation], self.sliders, buttons)

    @property
    def dimensions(self) -> list[tuple[int, float, float, str]]:
        """(dimension, low, high, label) of each slider of the model in use."""
        name = self.model_choice.value
        if name not in self._dimensions:
            self._dimensions[name] = Dimensions(self.model, self.images, self.count)
        return self._dimensions[name].rows

    @property
    def z(self) -> Tensor:
        """The code on show, (1, Z): the base code with the values of the sliders that were moved, times the truncation."""
        z = self.base.clone()
        for slider, (dim, *_) in zip(self.sliders, self.dimensions, strict=False):
            # A browser rounds a slider to its step and reports that, untouched: such a slider keeps the exact number.
            if abs(slider.value - z[dim].item()) > slider.step / 2 + 1e-6:
                z[dim] = slider.value
        return self.truncation.value * z[None]

    def reset(self) -> None:
        """Back to the code of the image (the origin where there is none), truncation 1."""
        with self.together():
            self._start()
            self.truncation.value = 1.0

    def random(self) -> None:
        """A new code from the prior N(0, I). An autoencoder has none: what comes out shows it."""
        with self.together():
            self._set(torch.randn(self.model.latent_dim, generator=self.generator), from_image=False)

    def _start(self) -> None:
        """The code of the chosen image into the sliders."""
        image = self.index is not None and self.model.has_encoder
        if self.index is not None:
            self.index.disabled = not self.model.has_encoder
        self._set(
            ask.encoded(self.model, self.x)[0][0] if image else torch.zeros(self.model.latent_dim), from_image=image
        )

    def _set(self, base: Tensor, from_image: bool) -> None:
        self.base, self.from_image, self._holding, before = base, from_image, True, self._holding
        for slider, (dim, low, high, label) in zip(self.sliders, self.dimensions, strict=False):
            value = base[dim].item()
            slider.min, slider.max = min(low, value, slider.min), max(high, value, slider.max)  # never clip a code
            slider.value, slider.description = value, label
            slider.min, slider.max = min(low, value), max(high, value)
            slider.layout.display = None
        for slider in self.sliders[len(self.dimensions) :]:
            slider.layout.display = "none"
        self._holding = before

    @property
    def x(self) -> Tensor:
        """The chosen image, (1, C, H, W)."""
        return self.images.floats(self.index.value)

    def picture(self) -> tuple[bytes, str]:
        z = self.z
        line = f"length of the code {z.norm():.2f} (a draw from the prior: about {self.model.latent_dim**0.5:.1f})"
        if not self.from_image:
            made = ask.decoded(self.model, z)
            return row_picture([("decoded", made[0])]), line
        both = ask.decoded(self.model, torch.cat([self.base[None], z]))  # (2, C, H, W)
        error = ask.squared_error(self.x, both[1:]).item()
        tiles = [(caption(self.images, self.index.value), self.x[0]), ("reconstruction", both[0]), ("decoded", both[1])]
        return row_picture(tiles), f"{line}; squared error to the image {error:.3g}"

    def static_figure(self) -> CourseFigure:
        """A row for each slider: what moving it from end to end decodes."""
        title = "What each slider of the panel changes"
        title += f": {self.model_choice.value}" if len(self.models) > 1 else ""
        rows = self.dimensions
        options = {"dims": [r[0] for r in rows], "names": [r[3].replace("  ", "\n") for r in rows], "title": title}
        if not self.from_image:
            return traversal(self.model, None, **options)
        first = self.index.value
        x = torch.cat([self.images.floats(first), self.images.floats(slice(0, PICTURES))])
        return traversal(self.model, x, **options)
