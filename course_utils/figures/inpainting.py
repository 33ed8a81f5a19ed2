"""The figure of inpainting: images, what was hidden of them, and what has been put there."""

from __future__ import annotations

import torch
from torch import Tensor

from ..inpainting import UNIT, check_mask, hole_error, inpaint, mean_fill
from .models import Models, batch, named
from .pixels import rows_figure
from .style import COLORS, CourseFigure, styled


def marked(images: Tensor, mask: Tensor) -> Tensor:
    """The images in RGB with their holes in blue: (B, C, H, W) -> (B, 3, H, W). Black or gray could be taken for the image."""
    blue = torch.tensor([int(COLORS["blue"][i : i + 2], 16) / 255 for i in (1, 3, 5)])[:, None, None]
    return torch.where(check_mask(mask, images), blue, images.cpu().expand(-1, 3, -1, -1))


@styled
def inpainting(
    models: Models,
    images: Tensor,
    mask: Tensor,
    *,
    passes: int = 1,
    composite: bool = True,
    start: str = "zero",
    title: str = "Filling holes",
) -> CourseFigure:
    """Rows: the images, their holes, each pass of each model, and the mean color of the known pixels, errors under each.

    models: a model or a dict of them by name. images: (N, C, H, W) in [0, 1]; eight or so are shown well. mask and the other
    settings as of `course_utils.inpainting.inpaint`, the error its `hole_error`."""
    images, models = batch(images), named(models, "model")
    rows, labels, errors = [images, marked(images, mask)], ["image", "hole"], {}
    for name, model in models.items():
        made = inpaint(model, images, mask, passes=passes, composite=composite, start=start)
        for number, filled in enumerate(made, 1):
            rows.append(filled)
            labels.append(f"{name}\npass {number}" if passes > 1 else name)
            errors[f"{name}, pass {number}"] = hole_error(images, filled, mask)
    rows.append(mean_fill(images, mask))
    labels.append("mean color")
    errors["mean color"] = hole_error(images, rows[-1], mask)
    share = check_mask(mask, images).double().mean().item()
    alt = f"{title}: {len(images)} images, {share:.0%} of their pixels hidden, and what was put into the hole. Mean {UNIT}: "
    alt += "; ".join(f"{name}: {values.mean():.3g}" for name, values in errors.items()) + "."
    captions = [[], [], *([f"{value:.3g}" for value in values.tolist()] for values in errors.values())]
    back = "Known pixels are put back." if composite else "Known pixels are not put back."
    note = f"Numbers: squared error of a hidden pixel, summed over channels, mean over the hole. {back}"
    return rows_figure(rows, title=title, row_labels=labels, captions=captions, note=note, alt=alt)
