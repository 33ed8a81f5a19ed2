"""CelebA: 202,599 faces, decoded once into a file that is then memory-mapped."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from course_utils.data import sources
from course_utils.data.image_set import ImageSet, check_size
from course_utils.errors import CourseError
from course_utils.files import write_text

LICENSE = "non-commercial research (Liu et al.)"
MARKER = "celeba/img_align_celeba"
NEEDED = ("celeba/list_attr_celeba.txt", "celeba/list_eval_partition.txt")
CROP = 148         # the square in the middle of 178x218 that published work takes
CHECKPOINT = 2048  # pictures between two notes of how far the decoding is


def open_split(name: str, split: str, root: Path | None, download: bool) -> object:
    """torchvision's CelebA with its 40 attributes."""
    options = {"split": split, "target_type": "attr"}
    for folder in sources.search_roots(root):
        try:
            return sources.from_torchvision(name, "CelebA", folder, download=False, **options)
        except (RuntimeError, OSError) as failed:
            if (folder / MARKER).is_dir():
                raise CourseError(f"dataset: 'celeba' in {folder} is incomplete or damaged ({failed}). It needs "
                                  f"{MARKER}, {', '.join(NEEDED)} and torchvision's other text files.") from failed
    if download:
        return sources.download(name, "CelebA", root, **options)
    raise sources.missing(name, root, MARKER)


def crop(path: Path, size: int) -> np.ndarray:
    """The middle 148x148 of one face, resized with antialiasing: uint8 (3, size, size)."""
    with Image.open(path) as face:
        left, top = (face.width - CROP) // 2, (face.height - CROP) // 2
        middle = (left, top, left + CROP, top + CROP)
        square = face.convert("RGB").resize((size, size), Image.Resampling.BILINEAR, middle)
    return np.asarray(square).transpose(2, 0, 1)


def check_space(folder: Path, needed: int) -> None:
    """CourseError where the disk has no room: filling a memory-mapped file would otherwise end the whole process."""
    if (free := shutil.disk_usage(folder).free) < needed:
        raise CourseError(f"dataset: 'celeba' needs {needed / 2**30:.1f} GiB in {folder}, which has {free / 2**30:.1f} "
                          "GiB free. Make room, or choose a smaller size.")


def decode_once(files: list[Path], cache: Path, size: int) -> np.ndarray:
    """All files as a memory-mapped uint8 (N, 3, size, size), copied on write; decoded into `cache` the first time.

    The work goes to a .part file beside a note of how many pictures are done: killed, it goes on from there.
    """
    if not cache.is_file():
        cache.parent.mkdir(parents=True, exist_ok=True)
        part, note = cache.with_name(cache.name + ".part"), cache.with_name(cache.name + ".done.part")
        shape = (len(files), 3, size, size)
        done = int(note.read_text(encoding="utf-8")) if part.is_file() and note.is_file() else 0
        pixels = np.lib.format.open_memmap(part, "r+") if done else None
        if pixels is None or pixels.shape != shape:
            check_space(cache.parent, math.prod(shape))
            pixels, done = np.lib.format.open_memmap(part, "w+", np.uint8, shape), 0
        for i in tqdm(range(done, len(files)), desc=f"decoding {cache.stem}", initial=done, total=len(files)):
            pixels[i] = crop(files[i], size)
            if (i + 1) % CHECKPOINT == 0:
                pixels.flush()
                write_text(note, str(i + 1))
        pixels.flush()
        del pixels                                                # Windows renames closed files only
        os.replace(part, cache)
        note.unlink(missing_ok=True)
    return np.load(cache, mmap_mode="c")


def read(name: str, split: str, size: int | None, root: Path | None, download: bool) -> ImageSet:
    """uint8 (N, 3, size, size), memory-mapped; attributes["attributes"] is int64 (N, 40), their names in meta."""
    size, opened = check_size(size, 64), open_split(name, split, root, download)
    folder = Path(opened.root) / MARKER
    cache = sources.download_root(None) / "decoded" / f"celeba-{split}-{size}.npy"
    images = torch.from_numpy(decode_once([folder / file for file in opened.filename], cache, size))
    if len(images) != len(opened.filename):
        raise CourseError(f"{cache}: holds {len(images)} pictures instead of {len(opened.filename)}. Delete it.")
    return ImageSet(images, None, name, split, (), {"attributes": opened.attr.long()}, LICENSE,
                    {"attribute_names": tuple(key for key in opened.attr_names if key)})


def present(name: str) -> bool:
    """Whether the folder of faces and the two lists lie under one root."""
    return any((folder / MARKER).is_dir() and all((folder / file).is_file() for file in NEEDED)
               for folder in sources.search_roots(None))
