"""What the tests of the command line share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

QUICK = ["--size", "16", "--widths", "4", "8", "--latent-dim", "3", "--batch-size", "4"]
QUICK += ["--precision", "32", "--accelerator", "cpu", "--log-every", "2", "--checkpoint-every", "2"]


@dataclass
class Result:
    code: int
    out: str
    err: str


def draw_pictures(folder: Path, count: int, side: int = 16) -> Path:
    """Colored blobs, one file each."""
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    for index, pixels in enumerate(noise):
        Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC).save(folder / f"{index:02d}.png")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its contents."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def refusal(course, folder: Path, command: str, *always: str):
    """A function that gives a command these arguments and asserts one clear refusal, with nothing left in `folder`."""

    def call(*argv, says):
        before = tree(folder)
        done = course(command, *argv, *always)
        assert done.code == 2 and says in done.err and "Traceback" not in done.err, done.err
        assert tree(folder) == before

    return call
