"""TraversalExplorer and InterpolationExplorer: walks through the latent space, along one dimension or between two
codes."""

from __future__ import annotations

import ipywidgets as widgets
import torch
from torch import Tensor

from ..data.image_set import ImageSet
from ..errors import reject
from ..figures import models as ask
from ..figures.models import Models
from ..figures.pixels import rows_figure
from ..figures.style import CourseFigure, styled
from ..figures.walks import traversal
from .panel import PICTURES, Panel, caption, control, picker
from .pictures import row_picture

SEEDS = 100  # codes to choose from where there is no image to encode


class TraversalExplorer(Panel):
    """Choose one latent dimension and see its whole range at once, everything else held at the image's code.

    models, images: as for LatentExplorer. dims: how many dimensions to offer, those that carry most first. steps:
    images in the strip. `z` are the codes on show, (steps, Z)."""

    def __init__(self, models: Models, images: ImageSet | None = None, dims: int = 12, *, steps: int = 9):
        super().__init__(models, images)
        if dims < 1 or steps < 2:
            raise reject("dims, steps", (dims, steps), "dims >= 1, steps >= 2")
        self.count, self.steps = dims, steps
        self.index = picker(images) if images is not None else None
        self.dim = control(widgets.Dropdown, "dimension", "Those that carry most come first", options=[("", 0)])
        about = "How far to go to each side: values of the dimension, or an autoencoder's standard deviations"
        self.span = control(widgets.FloatSlider, "span", about, value=3.0, min=0.5, max=6.0, step=0.1)
        self._offer()
        for changed in (self.dim, self.span, *([self.index] if self.index else [])):
            self.on_change(changed)
        self.on_change(self.model_choice, self._offer)
        self.assemble([*([self.index] if self.index else []), self.dim, self.span])

    def _offer(self) -> None:
        """The model's dimensions into the menu, and what its codes are, out of which the strip is made."""
        seen = self.images is not None and self.model.has_encoder
        x = self.images.floats(slice(0, PICTURES)) if seen else None
        dims, carried, unit = ask.leading_dims(self.model, x, self.count)
        codes, logvar = ask.encoded(self.model, x) if seen else (None, torch.zeros(1))
        self.scale = None if logvar is not None else codes.std(0)  # an autoencoder's own scale, (Z,)
        with_unit = [f"z[{d}]  {c:.2g} {unit}" if seen else f"z[{d}]" for d, c in zip(dims, carried, strict=True)]
        self._holding, before = True, self._holding
        self.dim.options = list(zip(with_unit, dims, strict=True))
        self.dim.value = dims[0]
        if self.index is not None:
            self.index.disabled = not seen
        self._holding = before

    @property
    def offsets(self) -> Tensor:
        return torch.linspace(-self.span.value, self.span.value, self.steps)

    @property
    def base(self) -> Tensor:
        """The code that the strip starts from, (1, Z)."""
        if self.index is None or not self.model.has_encoder:
            return torch.zeros(1, self.model.latent_dim)
        return ask.encoded(self.model, self.images.floats(self.index.value))[0]

    @property
    def z(self) -> Tensor:
        """The codes of the strip, (steps, Z)."""
        z, dim = self.base.repeat(self.steps, 1), self.dim.value
        z[:, dim] = self.offsets if self.scale is None else z[:, dim] + self.offsets * self.scale[dim]
        return z

    def picture(self) -> tuple[bytes, str]:
        made = ask.decoded(self.model, self.z)
        tiles = [(f"{v:+.2g}" if v else "0", image) for v, image in zip(self.offsets.tolist(), made, strict=True)]
        unit = "its value" if self.scale is None else "standard deviations from the image's own value"
        if self.index is not None and self.model.has_encoder:
            tiles.insert(0, (caption(self.images, self.index.value), self.images.floats(self.index.value)[0]))
        return row_picture(tiles, side=96), f"z[{self.dim.value}], above each image: {unit}"

    def static_figure(self) -> CourseFigure:
        """The strips of the leading dimensions below each other."""
        shown = self.dim.options[:6]
        names = [name.replace("  ", "\n") for name, _ in shown]
        x = None
        if self.index is not None and self.model.has_encoder:
            x = torch.cat([self.images.floats(self.index.value), self.images.floats(slice(0, PICTURES))])
        dims = [dim for _, dim in shown]
        return traversal(self.model, x, dims, self.span.value, self.steps, names=names)


class InterpolationExplorer(Panel):
    """Choose two images and go from the code of one to the code of the other, straight or along the sphere.

    models, images: as for LatentExplorer; where there is nothing to encode, the ends are codes drawn from the prior.
    Beside the decoded code stands the mix of the two pictures' pixels. `z` is the code on show, (1, Z)."""

    def __init__(self, models: Models, images: ImageSet | None = None):
        super().__init__(models, images)
        last = len(images) - 1 if images is not None else SEEDS - 1
        about = "An image of the set" if images is not None else "A code drawn from the prior with this seed"
        self.first, self.second = (
            control(widgets.IntSlider, name, about, value=min(i, last), min=0, max=last)
            for i, name in enumerate(("from", "to"))
        )
        self.t = control(widgets.FloatSlider, "share of the way", "0: the first, 1: the second",
                         value=0.5, min=0.0, max=1.0, step=0.01)  # fmt: skip
        self.path = control(widgets.Dropdown, "path", "The straight line, or the arc that keeps the codes' length",
                            options=["linear", "spherical"])  # fmt: skip
        for changed in (self.model_choice, self.first, self.second, self.t, self.path):
            self.on_change(changed)
        self.assemble([self.first, self.second], [self.t, self.path])

    def ends(self) -> tuple[Tensor, Tensor]:
        """The two codes (2, Z) and the two pictures (2, C, H, W)."""
        pair = [self.first.value, self.second.value]
        if self.images is not None and self.model.has_encoder:
            x = self.images.floats(pair)
            return ask.encoded(self.model, x)[0], x
        z = torch.stack([torch.randn(self.model.latent_dim, generator=torch.Generator().manual_seed(s)) for s in pair])
        return z, ask.decoded(self.model, z)

    def along(self, t) -> Tensor:
        """The codes at these shares of the way, (T, Z)."""
        (start, end), _ = self.ends()
        return ask.path_between(start, end, t, self.path.value == "spherical")

    @property
    def z(self) -> Tensor:
        """The code on show, (1, Z)."""
        return self.along(self.t.value)

    def picture(self) -> tuple[bytes, str]:
        codes, pictures = self.ends()
        t, z = self.t.value, self.z
        mix = (1 - t) * pictures[0] + t * pictures[1]
        tiles = [
            ("from", pictures[0]),
            ("decoded", ask.decoded(self.model, z)[0]),
            ("to", pictures[1]),
            ("pixels mixed", mix),
        ]
        lengths = f"length of the code {z.norm():.2f}, of its ends {codes[0].norm():.2f} and {codes[1].norm():.2f}"
        return row_picture(tiles), lengths

    @styled
    def static_figure(self) -> CourseFigure:
        """The whole way at once: decoded codes above, mixed pixels below."""
        t, (_, pictures) = torch.linspace(0, 1, 9), self.ends()
        share = t.view(-1, 1, 1, 1)
        rows = [[pictures[0], *ask.decoded(self.model, self.along(t)), pictures[1]],
                [None, *((1 - share) * pictures[:1] + share * pictures[1:]), None]]  # fmt: skip
        return rows_figure(
            rows, title="From one image to another", row_labels=["codes", "pixels"],
            column_labels=["from", *(f"{v:.3g}" for v in t.tolist()), "to"],
            alt=f"Nine steps between two codes on the {self.path.value} path, decoded; below, the pixels of "
                "the two images mixed in the same shares.",
        )  # fmt: skip
