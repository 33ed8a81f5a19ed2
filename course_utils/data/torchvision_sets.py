"""CIFAR-10, CIFAR-100 and SVHN, read by torchvision from its own folder layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from course_utils.data import sources
from course_utils.data.image_set import ImageSet, check_size, resize
from course_utils.errors import CourseError


@dataclass(frozen=True)
class Source:
    """cls: the class in torchvision.datasets. markers: one file per split, there when the split is."""

    cls: str
    markers: dict[str, str]
    license: str


SOURCES = {
    "cifar10": Source("CIFAR10", {"train": "cifar-10-batches-py/data_batch_1",
                                  "test": "cifar-10-batches-py/test_batch"},
                      "none stated, used for research (Krizhevsky)"),
    "cifar100": Source("CIFAR100", {"train": "cifar-100-python/train", "test": "cifar-100-python/test"},
                       "none stated, used for research (Krizhevsky)"),
    "svhn": Source("SVHN", {"train": "train_32x32.mat", "test": "test_32x32.mat"},
                   "non-commercial use (Netzer et al.)"),
}


def open_split(name: str, split: str, root: Path | None, download: bool) -> object:
    """The torchvision data set of one split, its checksums verified by torchvision."""
    source = SOURCES[name]
    argument = {"split": split} if name == "svhn" else {"train": split == "train"}
    damaged = None
    for folder in sources.search_roots(root):
        try:
            return sources.from_torchvision(name, source.cls, folder, download=False, **argument)
        except (RuntimeError, OSError) as failed:
            if (folder / source.markers[split]).is_file():
                damaged = CourseError(f"dataset: {name!r} in {folder} is incomplete or damaged ({failed}). Delete it "
                                      "and get it again, with download=True.")
                damaged.__cause__ = failed
    if download:
        return sources.download(name, source.cls, root, **argument)
    raise damaged or sources.missing(name, root, source.markers[split])


def read(name: str, split: str, size: int | None, root: Path | None, download: bool) -> ImageSet:
    """One uint8 tensor (N, 3, 32, 32) of the whole split."""
    size, opened = check_size(size, 32), open_split(name, split, root, download)
    if name == "svhn":
        images, labels, classes = opened.data, opened.labels, [str(digit) for digit in range(10)]  # (N, 3, 32, 32)
    else:
        images, labels, classes = opened.data.transpose(0, 3, 1, 2), opened.targets, opened.classes
    images = torch.from_numpy(np.ascontiguousarray(images))       # (N, 3, 32, 32)
    labels = torch.as_tensor(np.asarray(labels), dtype=torch.int64)
    return ImageSet(resize(images, size), labels, name, split, tuple(classes), license=SOURCES[name].license)


def present(name: str) -> bool:
    """Whether both splits' marker files lie under one root (their checksums are read at load only)."""
    markers = SOURCES[name].markers.values()
    return any(all((folder / marker).is_file() for marker in markers) for folder in sources.search_roots(None))
