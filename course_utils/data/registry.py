"""Every data set by name: load one, list them all, fetch what is not here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from course_utils.data import celeba, emoji, factors, folder, idx_sets, points, torchvision_sets
from course_utils.data.image_set import ImageSet
from course_utils.data.points import PointSet
from course_utils.errors import reject


@dataclass(frozen=True)
class Entry:
    """One known data set. read(name, split, size, root, download) -> ImageSet or PointSet; present(name) -> bool."""

    shape: tuple[int, ...]  # (C, H, W) of an image, (D,) of a point
    sizes: dict[str, int]   # images or points in each split
    license: str
    source: str            # where it comes from, for people
    read: Callable[[str, str, int | None, Path | None, bool], ImageSet | PointSet]
    present: Callable[[str], bool]
    bytes: int = 1         # of a number: a pixel is uint8, a coordinate float32


def _cifar_like(name: str, train: int, test: int) -> Entry:
    return Entry((3, 32, 32), {"train": train, "test": test}, torchvision_sets.SOURCES[name].license, "download",
                 torchvision_sets.read, torchvision_sets.present)


def _always(name: str) -> bool:
    return True


MNIST, FASHION = idx_sets.SOURCES["mnist"], idx_sets.SOURCES["fashion-mnist"]
ENTRIES = {
    "fashion-mnist-mini": Entry((1, 32, 32), {"train": 10000, "test": 10000}, FASHION.license, "in the repository",
                                idx_sets.read_mini, idx_sets.mini_present),
    "noto-emoji": Entry((3, 64, 64), {"train": 3577, "test": 335, "all": 3912}, emoji.LICENSE, "in the repository",
                        emoji.read, emoji.present),
    "shapes": Entry((3, 32, 32), {"train": 45000, "test": 4152, "all": 49152}, "none needed (rendered)", "rendered",
                    factors.read, _always),
    "fashion-mnist": Entry((1, 32, 32), {"train": 60000, "test": 10000}, FASHION.license,
                           "Debian's dataset-fashion-mnist, or download", idx_sets.read, idx_sets.present),
    "mnist": Entry((1, 32, 32), {"train": 60000, "test": 10000}, MNIST.license, "download", idx_sets.read,
                   idx_sets.present),
    "cifar10": _cifar_like("cifar10", 50000, 10000),
    "cifar100": _cifar_like("cifar100", 50000, 10000),
    "svhn": _cifar_like("svhn", 73257, 26032),
    "celeba": Entry((3, 64, 64), {"train": 162770, "valid": 19867, "test": 19962}, celeba.LICENSE, "download",
                    celeba.read, celeba.present),
    **{name: Entry((2,), points.SIZES, "none needed (drawn)", "drawn", points.read, _always, 4) for name in points.PLANE},
}


def names() -> list[str]:
    """What `load` takes as a name; folder:PATH stands for any folder of pictures."""
    return [*ENTRIES, "folder:PATH"]


def _entry(name: str) -> Entry:
    if name not in ENTRIES:
        raise reject("dataset", name, names(), "`course data` says more about each.")
    return ENTRIES[name]


def load(name: str, split: str = "train", *, size: int | None = None, root: str | Path | None = None,
         download: bool = False) -> ImageSet | PointSet:
    """One split of a data set as one tensor: images uint8 (N, C, H, W), points float32 (N, 2).

    name: one of `names()`. split: train or test, for some sets also valid or all. size: side in pixels, None for the
    set's own (28x28 sets are zero-padded to 32; 28 leaves them as they are). root: the only folder to look in, instead
    of COURSE_DATA and data/downloads. download: fetch what is missing. CourseError for an unknown name, split or size,
    and for a set that is not there.
    """
    place = Path(root) if root is not None else None
    if isinstance(name, str) and name.startswith(folder.PREFIX):
        return folder.read(name, split, size, place, download)
    entry = _entry(name)
    if split not in entry.sizes:
        raise reject("split", split, entry.sizes)
    return entry.read(name, split, size, place, download)


def get(name: str, root: str | Path | None = None) -> dict[str, int]:
    """Download a data set if it is not here, read every split, and return how many images each has."""
    return {split: len(load(name, split, root=root, download=True)) for split in _entry(name).sizes}


@dataclass(frozen=True)
class Row:
    """One line of the catalog. shape: (C, H, W), or (D,) of points. bytes: of all splits as loaded."""

    name: str
    shape: tuple[int, ...]
    train: int
    test: int
    license: str
    source: str
    present: bool
    bytes: int


def catalog() -> list[Row]:
    """Every named data set: its size, license, where it comes from, and whether it is on this machine."""
    rows = []
    for name, entry in ENTRIES.items():
        images = sum(n for split, n in entry.sizes.items() if split != "all")
        rows.append(Row(name, entry.shape, entry.sizes["train"], entry.sizes["test"], entry.license, entry.source,
                        entry.present(name), entry.bytes * images * math.prod(entry.shape)))
    return rows
