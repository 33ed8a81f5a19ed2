"""AugmentationExplorer: one image, augmented again and again, with a menu for the policy and a slider for p."""

from __future__ import annotations

from collections.abc import Sequence

import ipywidgets as widgets
import torch
from torch import Tensor

from ..augment import OPERATIONS, Augmentation
from ..data.image_set import ImageSet
from ..errors import reject
from ..figures.autoencoders import image_rows
from ..figures.style import CourseFigure
from .attributes import title_of
from .panel import Panel, control, tooltip
from .pictures import row_picture

POLICIES = ("translate+erase", *OPERATIONS, "+".join(OPERATIONS))
DRAWS, SHOWN_P = 6, (0.0, 0.25, 0.5, 1.0)


class AugmentationExplorer(Panel):
    """See what an encoder is shown: an image and `DRAWS` augmented copies, `copies` (N, C, H, W), each with its own draw.

    images: to start from, by their attribute `name` where they have one. start: the first image's row. policies: of
    `Augmentation`. Nobody's random state is moved."""

    def __init__(self, images: ImageSet, start: int = 0, policies: Sequence[str] = POLICIES):
        super().__init__({policy: Augmentation(policy) for policy in policies}, None)
        if not 0 <= start < len(images):
            raise reject("start", start, f"a row from 0 to {len(images) - 1}")
        self.images, self.seed = images, 0
        self.model_choice.description = "policy"
        for name, words in tooltip(widgets.Dropdown, "Which operations, in which order").items():
            setattr(self.model_choice, name, words)
        names = [(f"{i}: {title_of(images, i)}", i) for i in range(len(images))]
        about = f"Which of the {len(images)} images of {images.name} ({images.split}); type its number to jump there"
        self.index = control(widgets.Dropdown, "image", about, options=names, value=start)
        about = "Probability of each operation, for each image by itself"
        self.p = control(widgets.FloatSlider, "p", about, value=0.5, min=0.0, max=1.0, step=0.05)
        for changed in (self.model_choice, self.index, self.p):
            self.on_change(changed)
        again = self.button("Draw again", "The same settings, new draws", self.draw_again)
        self.assemble([self.index], [self.p, again])

    @property
    def x(self) -> Tensor:
        """The chosen image, (1, C, H, W)."""
        return self.images.floats(self.index.value)

    @property
    def copies(self) -> Tensor:
        """What the encoder is shown of it, (N, C, H, W)."""
        return self._augmented(self.p.value)

    def _augmented(self, p: float) -> Tensor:
        augmentation = self.model
        augmentation.p.fill_(p)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return augmentation(self.x.expand(DRAWS, -1, -1, -1))

    def draw_again(self) -> None:
        self.seed += 1
        self.redraw()

    def picture(self) -> tuple[bytes, str]:
        made = self.copies
        same = (made == self.x).flatten(1).all(1)
        tiles = [("image", self.x[0])]
        tiles += [("as it is" if untouched else "", image.clamp(0, 1)) for image, untouched in zip(made, same, strict=True)]
        count, p = len(self.model.operations), self.p.value
        chance = f"{count} operation{'s' * (count > 1)} at p = {p:.2f}: {(1 - p) ** count:.0%} of all images pass as they are"
        return row_picture(tiles, side=96), f"{chance}; here {int(same.sum())} of {DRAWS}"

    def static_figure(self) -> CourseFigure:
        """The image at four values of p."""
        rows = {f"p = {p:g}": torch.cat([self.x, self._augmented(p)]) for p in SHOWN_P}
        name = title_of(self.images, self.index.value)
        return image_rows(rows, title=f"{name}, and {DRAWS} copies: {self.model_choice.value}")
