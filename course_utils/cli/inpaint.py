"""`course inpaint`: holes in pictures, filled by encoding and decoding."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from ..errors import CourseError, check_seed, reject
from .common import (
    A_CHECKPOINT,
    Device,
    Files,
    Opened,
    Out,
    Split,
    at_least,
    check_out,
    command,
    need_encoder,
    open_checkpoint,
    open_images,
    option,
    picture_folder,
    table,
)

Source = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE|DATASET")]
SHOWN = 8  # images in the figure
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"}


@command
def inpaint(
    source: Source,
    /,
    checkpoint: Annotated[str, tyro.conf.arg(metavar="NAME", help=A_CHECKPOINT)],
    against: Annotated[tuple[str, ...], option("NAME ...")] = (),
    mask: Literal["rectangle", "scattered"] = "rectangle",
    share: Annotated[float | None, option("SHARE")] = None,
    box: Annotated[tuple[int, int, int, int] | None, option("TOP LEFT BOTTOM RIGHT")] = None,
    passes: int = 1,
    composite: bool = True,
    start: Literal["zero", "mean"] = "zero",
    split: Split = "test",
    first: int = 0,
    n: int = 256,
    seed: int = 0,
    out: Out = None,
    json: Annotated[Path | None, option("PATH")] = None,
    files: Files = False,
    device: Device = "auto",
) -> None:
    """Hide a part of images, fill it by encoding and decoding them, and say how far it is from what was there.

    The error is squared, inside the hole alone, summed over channels, and the mean over the hole's pixels, in [0, 1].

    Args:
        source: a picture of the checkpoint's own size, or a name of `course data`, or folder:PATH, which is scaled to it
        checkpoint: a name of `course checkpoints`, a .safetensors(.xz) file, or a run's folder
        against: other checkpoints that fill the same holes
        mask: a rectangle at a place of its own in each image, or scattered pixels
        share: of the pixels that are missing, between 0 and 1; 0.1 if not given; of a rectangle as nearly as whole pixels allow
        box: the same rectangle in each image, in pixels: its first row and column, and those behind its last ones
        passes: how often to encode and decode
        composite: put the known pixels back after each pass
        start: what stands in the hole at first: 0, as augmentation erases, or the mean color of the known pixels
        first: index of the first image of a data set
        n: images of a data set; the figure shows the first eight
        seed: of the places of what is missing
        json: a JSON file to write the measures to
    """
    at_least("n", n, 1)
    at_least("first", first, 0)
    check_seed(seed)
    check_out(json, "json")
    opened = _open([checkpoint, *against], device)
    label, model = next(iter(opened.items()))
    folder = picture_folder(out, label)
    images, about = _images(Opened(model, {}, label), source, split, first, n)
    holes, hidden = _holes(images, about.get("first", 0), mask, share, box, seed)
    settings = {"passes": passes, "composite": composite, "start": start}
    _fill(opened, images, holes, settings, {"checkpoint": label, **about, **hidden}, folder, files, json)


def _fill(opened: dict, images, holes, settings: dict, about: dict, folder: Path, files: bool, json: Path | None) -> None:
    """Fill, measure and draw first, then print and write: nothing is written by a command that fails on the way."""
    from ..figures.inpainting import inpainting
    from ..files import write_json
    from ..inpainting import inpaint, measure
    from . import pictures

    found = measure(opened, images, holes, **settings)
    figure = inpainting(opened, images[:SHOWN], holes[:SHOWN], **settings)
    filled = inpaint(opened[about["checkpoint"]], images, holes, **settings)[-1] if files else None
    print(f"{len(images):,} image{'s' * (len(images) > 1)}, {found['hole']:.1%} of the pixels hidden; error: {found['unit']}")
    print(_rows(found))
    print(f"wrote {pictures.write_figure(figure, folder / 'inpainted.png')}")
    if files:
        print(f"wrote {pictures.write_each(filled, folder / 'inpainted')}")
    if json is not None:
        write_json(json, {**about, **found})
        print(f"wrote {json}")


def _open(names: list[str], device: str) -> dict:
    """Models with an encoder by their labels, in this order."""
    opened = {}
    for name in names:
        each = open_checkpoint(name, device)
        need_encoder(each)
        if each.label in opened:
            raise reject("against", name, "each checkpoint once", f"{each.label!r} is there already.")
        opened[each.label] = each.model
    return opened


def _images(opened: Opened, source: str, split: str, first: int, n: int) -> tuple:
    """(images (B, C, H, W) in [0, 1], what they are) of a picture file or a data set."""
    path = Path(source).expanduser()
    if path.is_file():
        return _picture(opened.model, path), {"image": source}
    if path.suffix.lower() in SUFFIXES and not source.startswith("folder:"):
        raise reject("IMAGE", source, "a picture's file, or a name of `course data`", "There is no such file.")
    if path.is_dir():
        raise reject("IMAGE", source, "a picture's file, or a name of `course data`", f"Of a folder: folder:{source}.")
    images = open_images(opened, source, split)
    if first >= len(images):
        raise reject("first", first, f"0 to {len(images) - 1}, the images of {images.name}, {images.split}")
    about = {"dataset": images.name, "split": images.split, "first": first}
    return images.floats(range(first, min(first + n, len(images)))), about


def _picture(model, path: Path):
    """A picture as (1, C, H, W) in [0, 1]; CourseError unless it has the model's size and is gray where the model is."""
    import torch
    from PIL import Image

    from ..data.pictures import Unreadable, check_picture, read_square

    channels, height, width = model.data_shape
    try:
        check_picture(path)
        with Image.open(path) as opened:
            size = opened.size
        if size != (width, height):
            remedy = "Scale it first, or give the folder it lies in as folder:PATH, whose pictures are scaled."
            raise reject("IMAGE", f"{size[0]} x {size[1]} pixels", f"{width} x {height}, the checkpoint's own", remedy)
        pixels = torch.tensor(read_square(path, width)).permute(2, 0, 1)[None] / 255  # (1, 3, H, W)
    except Unreadable as why:
        raise CourseError(f"IMAGE: {path} cannot be used: {why}.") from why
    if channels == 1:
        if (pixels != pixels[:, :1]).any():
            raise reject("IMAGE", f"{path}, in color", "a gray picture, as this checkpoint's", "Make it gray first.")
        pixels = pixels[:, :1]
    return model.check_images(pixels)


def _holes(images, first: int, mask: str, share: float | None, box: tuple | None, seed: int) -> tuple:
    """(masks (B or 1, 1, H, W), what they are). A data set's image has the same hole whatever the first one is."""
    from ..inpainting import box_mask, random_masks

    size = tuple(images.shape[2:])
    if box is None:
        share = 0.1 if share is None else share
        holes = random_masks(mask, first + len(images), size, share, seed)[first:]
        return holes, {"mask": mask, "share": share, "seed": seed}
    if mask != "rectangle" or share is not None:
        given = "--mask scattered" if mask != "rectangle" else "--share"
        raise reject("box", box, f"--box alone, without {given}", "A box says itself what is missing.")
    return box_mask(size, box).expand(len(images), -1, -1, -1), {"mask": mask, "box": list(box)}


def _rows(found: dict) -> str:
    rows = [["filled by", "pass", "error", "spread over images", "better than mean color"]]
    for name, measured in found["models"].items():
        for number, pair in enumerate(zip(measured["error"], measured["error_std"], strict=True), 1):
            last = number == found["passes"]
            rows.append([name, number, *pair, f"{measured['better_than_mean_fill']:.0%} of images" if last else ""])
    rows.append(["mean color", None, found["mean_fill"]["error"], found["mean_fill"]["error_std"], ""])
    return table(rows)
