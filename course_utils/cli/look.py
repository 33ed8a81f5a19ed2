"""Looking at a checkpoint: generate, reconstruct, interpolate, traverse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import tyro

from ..errors import check_seed, reject
from . import pictures
from .common import (
    Checkpoint,
    Dataset,
    Device,
    Files,
    Out,
    Size,
    Split,
    at_least,
    command,
    need_encoder,
    open_checkpoint,
    open_images,
    picture_folder,
)

SAMPLED_AT_ONCE = 500
STUDIED = 500  # images over which a dimension's importance and spread are taken


@command
def generate(
    checkpoint: Checkpoint,
    /,
    n: int = 64,
    seed: int = 0,
    truncation: float = 1.0,
    out: Out = None,
    files: Files = False,
    device: Device = "auto",
) -> None:
    """Draw latent codes from the prior, decode them, and write the images as one sheet.

    Args:
        n: images
        seed: of the codes; the same seed gives the same images
        truncation: standard deviation of the prior that is drawn from; below 1: safer and less varied
    """
    at_least("n", n, 1)
    at_least("truncation", truncation, 0)
    check_seed(seed)
    opened = open_checkpoint(checkpoint, device)
    generator = torch.Generator().manual_seed(seed)  # on the CPU: the same codes on every device
    parts = []
    for start in range(0, n, SAMPLED_AT_ONCE):
        parts.append(opened.model.sample(min(SAMPLED_AT_ONCE, n - start), generator, truncation).cpu())
    images = torch.cat(parts)
    folder = picture_folder(out, opened.label)
    _wrote(pictures.write(pictures.grid(images), folder / "generated.png"))
    if files:
        _wrote(pictures.write_each(images, folder / "generated"))


@command
def reconstruct(
    checkpoint: Checkpoint,
    /,
    dataset: Dataset = None,
    split: Split = "test",
    n: int = 32,
    first: int = 0,
    size: Size = None,
    out: Out = None,
    files: Files = False,
    device: Device = "auto",
) -> None:
    """Encode images, decode the mean of their codes, and write both, each image above its reconstruction.

    Args:
        n: images
        first: index of the first one
    """
    at_least("n", n, 1)
    opened = open_checkpoint(checkpoint, device)
    need_encoder(opened)
    images = open_images(opened, dataset, split, size)
    _check_index("first", first, images)
    chosen = images.floats(range(first, min(first + n, len(images))))
    rebuilt = torch.cat([opened.model.reconstruct(part).cpu() for part in chosen.split(SAMPLED_AT_ONCE)])
    folder = picture_folder(out, opened.label)
    _wrote(pictures.write(pictures.compared(chosen, rebuilt), folder / f"reconstructed_{split}.png"))
    if files:
        pictures.write_each(chosen, folder / f"reconstructed_{split}", "original_")
        _wrote(pictures.write_each(rebuilt, folder / f"reconstructed_{split}", "reconstruction_"))
    error = (chosen - rebuilt).square().flatten(1).sum(1).mean()
    print(f"squared error, summed over pixels in [0, 1], mean of {len(chosen)} images: {error:.4g}")


@command
def interpolate(
    checkpoint: Checkpoint,
    /,
    dataset: Dataset = None,
    split: Split = "test",
    start: Annotated[int, tyro.conf.arg(name="from")] = 0,
    end: Annotated[int, tyro.conf.arg(name="to")] = 1,
    steps: int = 10,
    spherical: bool = False,
    out: Out = None,
    files: Files = False,
    device: Device = "auto",
) -> None:
    """Go from one image's code to another's in equal steps; above it, what fading the pixels would give.

    Args:
        start: index of the image to start from
        end: index of the image to end at
        steps: images on the way, both ends counted
        spherical: along a great circle, at the radius of the codes, in place of a straight line
    """
    from ..figures.models import path_between

    at_least("steps", steps, 2)
    opened = open_checkpoint(checkpoint, device)
    need_encoder(opened)
    images = open_images(opened, dataset, split)
    for name, index in (("from", start), ("to", end)):
        _check_index(name, index, images)
    ends = images.floats([start, end])
    with torch.no_grad():
        codes = opened.model.encode(ends.to(opened.model.device)).mean  # (2, Z)
        path = opened.model.decode(path_between(*codes, torch.linspace(0, 1, steps).to(codes), spherical)).cpu()
    weights = torch.linspace(0, 1, steps)[:, None, None, None]
    folder = picture_folder(out, opened.label)
    picture = pictures.sheet([torch.lerp(ends[:1], ends[1:], weights), path], labels=("pixels", "codes"))
    _wrote(pictures.write(picture, folder / f"interpolated_{start}_{end}.png"))
    if files:
        _wrote(pictures.write_each(path, folder / f"interpolated_{start}_{end}"))


@command
def traverse(
    checkpoint: Checkpoint,
    /,
    dataset: Dataset = None,
    split: Split = "test",
    image: int = 0,
    dims: str = "auto",
    span: float = 3.0,
    steps: int = 9,
    out: Out = None,
    device: Device = "auto",
) -> None:
    """Change one latent dimension of an image's code at a time: a row per dimension, the most important first.

    Args:
        image: index of the image
        dims: auto (the up to ten that carry most), or numbers with commas, such as 0,3,5
        span: how far to go to each side: in standard deviations of the prior, or of the codes if there is none
        steps: images in a row
    """
    at_least("steps", steps, 2)
    opened = open_checkpoint(checkpoint, device)
    model = opened.model
    need_encoder(opened)
    images = open_images(opened, dataset, split)
    _check_index("image", image, images)
    studied = images.floats(range(min(STUDIED, len(images)))).to(model.device)
    importance = model.latent_importance(studied).cpu()
    chosen = _dimensions(dims, importance)
    with torch.no_grad():
        posterior = model.encode(images.floats([image]).to(model.device))
        code, has_prior = posterior.mean[0], posterior.logvar is not None  # (Z,)
        center, spread = torch.zeros_like(code), torch.ones_like(code)
        if not has_prior:  # as far as codes spread, around the image's own
            center, spread = code, model.encode(studied).mean.std(0)
        rows = []
        for dim in chosen:
            moved = code.repeat(steps, 1)  # (steps, Z)
            moved[:, dim] = center[dim] + spread[dim] * torch.linspace(-span, span, steps, device=moved.device)
            rows.append(model.decode(moved).cpu())
    unit = "nats" if has_prior else "variance"
    heads = [f"{value:+.3g}" for value in torch.linspace(-span, span, steps).tolist()]
    labels = [f"z{dim}: {importance[dim]:.2f} {unit}" for dim in chosen]
    folder = picture_folder(out, opened.label)
    _wrote(pictures.write(pictures.sheet(rows, labels=labels, heads=heads), folder / f"traversed_{image}.png"))


def _dimensions(dims: str, importance: torch.Tensor) -> list[int]:
    if dims == "auto":
        return importance.argsort(descending=True)[:10].tolist()
    try:
        chosen = [int(part) for part in dims.split(",")]
    except ValueError:
        chosen = []
    if not chosen or not all(0 <= dim < len(importance) for dim in chosen):
        raise reject("dims", dims, f"auto, or numbers from 0 to {len(importance) - 1} with commas between them")
    return chosen


def _check_index(name: str, index: int, images) -> None:
    if not 0 <= index < len(images):
        raise reject(name, index, f"0 to {len(images) - 1}, the images of {images.name}, {images.split}")


def _wrote(path: Path) -> None:
    print(f"wrote {path}")
