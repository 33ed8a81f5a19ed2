"""What several subcommands share: parsing, opening a checkpoint and its images, tables, where pictures go."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ..errors import reject


def option(metavar: str, help: str | None = None) -> object:
    """What `--help` says of an option that may be left out; the text itself says what holds then."""
    return tyro.conf.arg(metavar=metavar, help=help, help_behavior_hint="")


# The options that several commands have, with what `--help` says of them.
A_CHECKPOINT = "a name of `course checkpoints`, a .safetensors(.xz) file, or a run's folder"
Checkpoint = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CHECKPOINT", help=A_CHECKPOINT)]
Name = Annotated[str | None, tyro.conf.Positional, option("[NAME]")]
Dataset = Annotated[str | None, option("NAME", "whose images; those the model was trained on if not given")]
Split = Annotated[Literal["test", "train"], tyro.conf.arg(help="test images, or those it was trained on")]
Size = Annotated[int | None, option("PIXELS", "side of the images in pixels; the model's own if not given")]
Out = Annotated[Path | None, option("PATH", "folder to write to, build/pictures/NAME if not given")]
Files = Annotated[bool, tyro.conf.arg(help="write each image to a file of its own as well")]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], tyro.conf.arg(help="where to compute")]


def parse(spec: Callable, argv: Sequence[str], prog: str, **settings):
    """tyro on `spec`: fills it from argv, or explains and exits."""
    return tyro.cli(spec, args=list(argv), prog=prog, config=(tyro.conf.OmitArgPrefixes,), **settings)


def command(spec: Callable) -> Callable[[Sequence[str]], object]:
    """Make a subcommand of a function: its parameters become the options, its docstring what `--help` says."""
    return lambda argv: parse(spec, argv, f"course {spec.__name__}")


def pick_device(name: str) -> str:
    """auto: cuda if it is there, else the CPU. CourseError for a device that is not there."""
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return "cuda" if there["cuda"] else "cpu"
    if not there.get(name):
        raise reject("device", name, [k for k, v in there.items() if v], "`course doctor` says what this machine has.")
    return name


@dataclass(frozen=True)
class Opened:
    """A checkpoint: its model, what is recorded of it, and a short name for folders."""

    model: object
    facts: dict
    label: str


def open_checkpoint(name: str, device: str = "auto", *, latent: bool = True, points: bool = False) -> Opened:
    """By a name of the manifest, a file or a run's folder. latent: refuse what does not decode, such as a classifier.

    points: take a model of points, too; without, it is refused, as it makes no pictures."""
    from ..methods import LatentModel

    opened = _open(name, device)
    if latent and not isinstance(opened.model, LatentModel):
        kind = opened.facts.get("method")
        raise reject("checkpoint", opened.label, "a model that decodes", f"A {kind} makes no images: course evaluate.")
    if not points and len(opened.model.data_shape) != 3:
        remedy = "course evaluate measures it; course_utils.figures.plane draws its samples."
        raise reject("checkpoint", opened.label, "a model of images", f"This one is of points in the plane: {remedy}")
    return opened


def _open(name: str, device: str) -> Opened:
    from .. import checkpoints

    device = pick_device(device)
    path = Path(name)
    if not path.exists() and not checkpoints.is_file_name(path):
        model = checkpoints.load(name, device)
        return Opened(model, checkpoints.entry(name), name)
    path = path / "model.safetensors" if path.is_dir() else path
    model, facts = checkpoints.load_file(path, device)
    stem = path.name.removesuffix(".xz").removesuffix(".safetensors")
    return Opened(model, facts, path.resolve().parent.name if stem == "model" else stem)


def open_images(opened: Opened, dataset: str | None, split: str, size: int | None = None):
    """The images (or points) of a data set, by default that of the training, at the model's size; CourseError if they
    cannot fit."""
    from .. import data
    from ..data.points import PLANE

    dataset = dataset or opened.facts.get("dataset")
    if not dataset:
        raise reject("dataset", None, "a data set's name", "The checkpoint records none: give --dataset NAME.")
    if size is None and dataset not in PLANE and len(opened.model.data_shape) == 3:
        _, height, width = opened.model.data_shape
        size = height if height == width else None
    images = data.load(dataset, split, size=size)
    opened.model.check_images(images.images[:1])
    return images


def need_encoder(opened: Opened) -> None:
    if not opened.model.has_encoder:
        raise reject("checkpoint", opened.label, "a model with an encoder", "This one only generates: course generate.")


def at_least(name: str, value: float, least: float) -> None:
    if not value >= least:  # NaN is not
        raise reject(name, value, f"{least} or more")


def check_out(path: Path | None, argument: str = "out", *, folder: bool = False) -> None:
    """CourseError unless this file (or folder) can be written, which is asked before anything is computed. None is fine."""
    if path is None:
        return
    kind, wanted = "folder" if folder else "file", path.absolute()
    there = next((place for place in (wanted, *wanted.parents) if place.exists()), None)
    if there is None:
        raise reject(argument, str(path), f"a {kind}, existing or new", f"There is no {wanted.anchor}.")
    expected = kind if there == wanted else "folder"
    if not (there.is_dir() if expected == "folder" else there.is_file()):
        raise reject(argument, str(path), f"a {kind}, existing or new", f"{there} is there, and is no {expected}.")
    if not os.access(there if there.is_dir() else there.parent, os.W_OK):
        raise reject(argument, str(path), f"a {kind} that may be written", f"{there} may not: give another place.")


def picture_folder(out: Path | None, label: str) -> Path:
    """Where the pictures of a checkpoint go: --out, else build/pictures/NAME. CourseError if they cannot."""
    out = out if out is not None else Path("build") / "pictures" / label
    check_out(out, folder=True)
    return out


def table(rows: Sequence[Sequence[object]]) -> str:
    """Rows of cells -> aligned text; the first row is the header. Columns of numbers are flush right."""
    cells = [["" if c is None else f"{c:.6g}" if isinstance(c, float) else str(c) for c in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [all(isinstance(c, int | float | None) for c in column) for column in zip(*rows[1:], strict=True)]
    right = right or [False] * len(widths)
    lines = [
        "  ".join(f"{c:>{w}}" if r else f"{c:{w}}" for c, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])
