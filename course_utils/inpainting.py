"""Inpainting: hide pixels, encode what is left, decode, and look at what the model has put into the hole.

No model is trained for it. One that reconstructs what it was not shown, as a hole augmentation makes it do, fills holes by
the way. What it decodes can be encoded again, with the known pixels put back first or not: the first is how Rezende et al.,
arXiv 1401.4082, impute missing pixels, here with posterior means in place of samples, so that a picture is filled the same
way twice.

A mask is bool, (B, 1, H, W) or (1, 1, H, W) for all images, True where a pixel is missing. Images are in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .errors import reject
from .methods.base import LatentModel

KINDS = ("rectangle", "scattered")
# What stands in the hole when an image is encoded for the first time.
STARTS = {
    "zero": "0, as augmentation erases",
    "mean": "the mean color of the known pixels",
}
UNIT = "squared error inside the hole, summed over channels, mean over its pixels, in [0, 1]"
BATCH = 500  # images at a time


def box_mask(size: Sequence[int], box: Sequence[int]) -> Tensor:
    """One rectangle for all images: (1, 1, H, W). size: (H, W). box: first row, first column, and the row and the column
    behind the last ones (top, left, bottom, right), in pixels. CourseError unless it lies in the picture and leaves some."""
    (height, width), (top, left, bottom, right) = size, box
    if not (0 <= top < bottom <= height and 0 <= left < right <= width):
        remedy = "The smaller row and the smaller column come first."
        raise reject("box", tuple(box), f"top < bottom in 0 to {height}, left < right in 0 to {width}", remedy)
    mask = torch.zeros(1, 1, height, width, dtype=torch.bool)
    mask[..., top:bottom, left:right] = True
    return _leaves_some(mask, "box", tuple(box))


def random_masks(kind: str, n: int, size: Sequence[int], share: float = 0.1, seed: int = 0) -> Tensor:
    """A hole of its own for each of n images: (n, 1, H, W). size: (H, W). share: of the pixels that are missing.

    kind: rectangle, of the picture's shape, or scattered, single pixels. Mask i depends on the seed and on i only, whatever
    n is. The number of missing pixels is the same in all of them, the nearest that can be had."""
    if kind not in KINDS:
        raise reject("mask", kind, KINDS)
    if not 0 < share < 1:
        raise reject("share", share, "more than 0 and less than 1", "It is the share of the pixels that are missing.")
    height, width = size
    # Rounding may leave nothing to fill, or nothing to fill it from: such a share is refused.
    h, w = (round(math.sqrt(share) * side) for side in size)
    missing = round(share * height * width) if kind == "scattered" else h * w
    if not 0 < missing < height * width:
        remedy = f"Of {height} x {width} pixels it would take {missing}."
        raise reject("share", share, "what takes 1 pixel or more, and not all of them", remedy)
    generator, masks = torch.Generator().manual_seed(seed), torch.zeros(n, 1, height, width, dtype=torch.bool)
    for mask in masks[:, 0]:  # (H, W)
        if kind == "scattered":
            mask.view(-1)[torch.randperm(height * width, generator=generator)[:missing]] = True
        else:
            top, left = (int(torch.randint(free + 1, (), generator=generator)) for free in (height - h, width - w))
            mask[top : top + h, left : left + w] = True
    return masks


def check_mask(mask: Tensor, images: Tensor) -> Tensor:
    """The mask of each image, (B, 1, H, W), on the CPU; CourseError if it does not fit the images, or hides all or nothing."""
    b, _, height, width = images.shape
    if mask.dtype != torch.bool or mask.ndim != 4 or len(mask) not in (1, b) or mask.shape[1:] != (1, height, width):
        allowed = f"bool, ({b} or 1, 1, {height}, {width})"
        raise reject("mask", f"{mask.dtype} {tuple(mask.shape)}", allowed, "True where a pixel is missing.")
    return _leaves_some(mask.cpu(), "mask").expand(b, -1, -1, -1)


def _leaves_some(mask: Tensor, argument: str, given: object = None) -> Tensor:
    missing, pixels = mask.flatten(1).sum(1), mask[0].numel()
    if missing.min() == 0 or missing.max() == pixels:
        hidden = f"{pixels if missing.max() == pixels else 0} of {pixels} pixels missing"
        remedy = "From nothing, nothing can be filled; without a hole there is nothing to fill."
        raise reject(argument, given or hidden, f"1 to {pixels - 1} missing pixels in each image", remedy)
    return mask


def mean_fill(images: Tensor, mask: Tensor) -> Tensor:
    """The hole of each image in the mean color of its known pixels: (B, C, H, W) -> (B, C, H, W). The baseline."""
    images, hole = images.cpu(), check_mask(mask, images)
    color = (images * ~hole).sum((2, 3), keepdim=True) / (~hole).sum((2, 3), keepdim=True)  # (B, C, 1, 1)
    return torch.where(hole, color, images)


def started(images: Tensor, mask: Tensor, start: str = "zero") -> Tensor:
    """The images with what `start` puts into the hole, see `STARTS`: (B, C, H, W) -> (B, C, H, W)."""
    if start not in STARTS:
        raise reject("start", start, STARTS)
    return mean_fill(images, mask) if start == "mean" else images.cpu().masked_fill(check_mask(mask, images), 0.0)


def inpaint(
    model: LatentModel, images: Tensor, mask: Tensor, *, passes: int = 1, composite: bool = True, start: str = "zero"
) -> Tensor:
    """Encode and decode images with a hole, `passes` times: (B, C, H, W) -> (passes, B, C, H, W), the result of each pass.

    composite: put the known pixels back after each pass, so that only the hole changes; else a pass gets all that the one
    before has decoded, and all of the picture drifts to what the model knows. start: see `STARTS`. In eval mode, on the CPU.
    The pixels in the hole have no part in it. CourseError for a model without an encoder and for what does not fit."""
    _check(model, images, passes)
    hole, made = check_mask(mask, images), []
    shown = started(images, mask, start)
    for _ in range(passes):
        shown = torch.cat([model.reconstruct(part).cpu() for part in shown.split(BATCH)])
        if composite:
            shown = torch.where(hole, shown, images.cpu())
        made.append(shown)
    return torch.stack(made)


def _check(model: LatentModel, images: Tensor, passes: int) -> None:
    if not isinstance(model, LatentModel) or not model.has_encoder or len(model.data_shape) != 3:
        raise reject("model", type(model).__name__, "a model of images that has an encoder and a decoder")
    model.check_images(images)
    if isinstance(passes, bool) or not isinstance(passes, int) or passes < 1:
        raise reject("passes", passes, "a whole number of 1 or more", "Each pass encodes and decodes once.")


def hole_error(images: Tensor, filled: Tensor, mask: Tensor) -> Tensor:
    """Squared error inside the hole, *summed* over channels, *mean* over the hole's pixels, in [0, 1]: (B, C, H, W) -> (B,).

    Known pixels do not count, whether they were put back or not."""
    if filled.shape != images.shape:
        raise reject("filled", tuple(filled.shape), f"the shape of images, {tuple(images.shape)}")
    hole = check_mask(mask, images)
    off = (filled.cpu() - images.cpu()).square().sum(1, keepdim=True)  # (B, 1, H, W)
    return (off * hole).sum((1, 2, 3)) / hole.sum((1, 2, 3))


def measure(
    models: Mapping[str, LatentModel],
    images: Tensor,
    mask: Tensor,
    *,
    passes: int = 1,
    composite: bool = True,
    start: str = "zero",
) -> dict:
    """How well models, by name, fill the same holes, and how well the mean color does: a record for JSON.

    "mean_fill" has the `hole_error` of `mean_fill`; "models" each model's after every pass, and the share of images in which
    its last pass is nearer to the image than the mean color. Means over images, "_std" their spread."""
    if not models:
        raise reject("models", "none", "one or more models, by name")
    flat = hole_error(images, mean_fill(images, mask), mask)
    found = {}
    for name, model in models.items():
        each = _errors(model, images, mask, passes=passes, composite=composite, start=start)  # (passes, B)
        better = (each[-1] < flat).double().mean().item()
        found[name] = {"error": each.mean(1).tolist(), "error_std": each.std(1, correction=0).tolist()}
        found[name]["better_than_mean_fill"] = better
    about = {"images": len(images), "hole": check_mask(mask, images).double().mean().item(), "unit": UNIT}
    about |= {"passes": passes, "composite": composite, "start": start}
    return {**about, "mean_fill": {"error": flat.mean().item(), "error_std": flat.std(correction=0).item()}, "models": found}


def _errors(model: LatentModel, images: Tensor, mask: Tensor, **settings) -> Tensor:
    """(passes, B), some images at a time: memory grows with the passes of these alone."""
    hole, found = check_mask(mask, images), []
    for part, missing in zip(images.split(BATCH), hole.split(BATCH), strict=True):
        found.append(torch.stack([hole_error(part, made, missing) for made in inpaint(model, part, missing, **settings)]))
    return torch.cat(found, 1)
