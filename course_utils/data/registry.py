"""Every data set by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from course_utils.data import fashion, torchvision_sets
from course_utils.data.image_set import ImageSet
from course_utils.errors import reject


@dataclass(frozen=True)
class Entry:
    """One known data set. read(name, split, size, root, download) -> ImageSet; present(name) -> bool."""

    shape: tuple[int, int, int]
    sizes: dict[str, int]  # images in each split
    license: str
    source: str            # where it comes from, for people
    read: Callable[[str, str, int | None, Path | None, bool], ImageSet]
    present: Callable[[str], bool]


def _torchvision(name: str, shape: tuple[int, int, int], train: int, test: int) -> Entry:
    license = torchvision_sets.SOURCES[name].license
    return Entry(shape, {"train": train, "test": test}, license, "download (torchvision)",
                 torchvision_sets.read, torchvision_sets.present)


ENTRIES = {
    "fashion-mnist": Entry((1, 32, 32), {"train": 60000, "test": 10000}, fashion.LICENSE,
                           "Debian's dataset-fashion-mnist, or download", fashion.read, fashion.present),
    "mnist": _torchvision("mnist", (1, 32, 32), 60000, 10000),
    "cifar10": _torchvision("cifar10", (3, 32, 32), 50000, 10000),
    "cifar100": _torchvision("cifar100", (3, 32, 32), 50000, 10000),
    "svhn": _torchvision("svhn", (3, 32, 32), 73257, 26032),
}


def load(name: str, split: str = "train", *, size: int | None = None, root: str | Path | None = None,
         download: bool = False) -> ImageSet:
    """One split of a data set as one uint8 tensor (N, C, H, W)."""
    if name not in ENTRIES:
        raise reject("dataset", name, ENTRIES)
    entry = ENTRIES[name]
    if split not in entry.sizes:
        raise reject("split", split, entry.sizes)
    return entry.read(name, split, size, Path(root) if root is not None else None, download)
