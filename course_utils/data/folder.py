"""folder:PATH: any pictures, cut to squares of one size, with a report of what was skipped and why."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from course_utils.data.image_set import ImageSet, check_size
from course_utils.data.pictures import Unreadable, check_picture, read_square
from course_utils.data.sources import position, search_roots
from course_utils.errors import CourseError, reject

PREFIX = "folder:"
SPLITS = ("train", "test", "all")
DEFAULT_SIZE = 64
TEST_SHARE = 0.1
MEMORY_LIMIT = 8 * 2**30


def assign(files: list[str], split: str) -> list[str]:
    """The files of a split: a tenth is test, by hash of the name, and at least one file is in each split."""
    if split == "all":
        return files
    ordered = sorted(files, key=position)
    tests = sum(position(file) < TEST_SHARE for file in files)
    tests = set(ordered[:min(max(tests, 1), len(files) - 1)])
    return [file for file in files if (file in tests) == (split == "test")]


def report(skipped: list[tuple[str, str]], total: int, folder: Path) -> str:
    """One line: how many files were skipped, and for each reason how many and which one first."""
    counts = Counter(reason.split(":")[0] for _, reason in skipped)
    first = {reason.split(":")[0]: f"{file}" for file, reason in reversed(skipped)}
    parts = [f"{n} {reason} (e.g. {first[reason]})" for reason, n in counts.items()]
    return f"{folder}: {len(skipped)} of {total} files skipped: {', '.join(parts)}"


def _sort_out(folder: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """(pictures, [(file, why it is skipped)]), by relative path, sorted; hidden files are left out of both."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    good, skipped = [], []
    for name in names:
        if any(part.startswith(".") for part in name.split("/")):
            continue
        try:
            check_picture(folder / name)
            good.append(name)
        except Unreadable as why:
            skipped.append((name, str(why)))
    return good, skipped


def _decode(folder: Path, names: list[str], size: int,
            skipped: list[tuple[str, str]]) -> tuple[torch.Tensor, list[str]]:
    """uint8 (N, 3, size, size) and the names of the files that could be decoded; the others join `skipped`."""
    pixels, kept = np.empty((len(names), size, size, 3), np.uint8), []
    for name in names:
        try:
            pixels[len(kept)] = read_square(folder / name, size)
            kept.append(name)
        except Unreadable as why:
            skipped.append((name, str(why)))
    return torch.from_numpy(pixels[:len(kept)]).permute(0, 3, 1, 2).contiguous(), kept


def find(name: str, root: Path | None) -> Path:
    """The folder of folder:PATH; a relative one that is not here is looked for where data sets lie. CourseError if nowhere."""
    path = Path(name.removeprefix(PREFIX)).expanduser()
    places = [path, *(place / path for place in search_roots(root))] if path.parts else []
    for place in places:
        if place.is_dir():
            return place
    why = " ".join(f"{place} is not a folder." for place in dict.fromkeys(places)) or "No path was given."
    raise reject("dataset", name, "folder: and the path of an existing folder", why)


def read(name: str, split: str, size: int | None, root: Path | None, download: bool) -> ImageSet:
    """Pictures below a folder, RGB. attributes["file"]: their paths; meta["skipped"]: [(file, reason)], warned of."""
    if split not in SPLITS:
        raise reject("split", split, SPLITS)
    folder, size = find(name, root), check_size(size, DEFAULT_SIZE)
    names, skipped = _sort_out(folder)
    total, chosen = len(names) + len(skipped), assign(names, split) if len(names) >= 2 else []
    if len(chosen) * 3 * size * size > MEMORY_LIMIT:
        raise reject("size", size, f"what fits {MEMORY_LIMIT // 2**30} GiB with {len(chosen)} pictures",
                     "Choose a smaller size, or a smaller folder.")
    images, kept = _decode(folder, chosen, size, skipped)
    if not kept:
        found = f"one picture only ({names[0]})" if len(names) == 1 else "no picture"
        why = f" {report(skipped, total, folder)}." if skipped else ""
        raise CourseError(f"dataset: {folder} holds {found} that can be read; at least two are needed, one to train on "
                          f"and one to test.{why}")
    if skipped:
        warnings.warn(report(skipped, total, folder), stacklevel=4)
    return ImageSet(images, None, name, split, (), {"file": kept}, "yours", {"skipped": skipped})
