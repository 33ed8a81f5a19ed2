"""The well-known data sets, read by torchvision from its own folder layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from course_utils import paths
from course_utils.data.image_set import ImageSet, check_size, pad_to_32, resize
from course_utils.errors import CourseError

MNIST_FILES = {"train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
               "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")}


@dataclass(frozen=True)
class Source:
    """How torchvision knows a data set."""

    cls: str      # the class in torchvision.datasets
    by_split: str  # its argument that picks the split: "train" (a bool) or "split" (a name)
    marker: str   # a file that is there when the set is: to say what is missing, and where it belongs
    license: str


SOURCES = {
    "mnist": Source("MNIST", "train", "MNIST/raw/train-images-idx3-ubyte", "CC BY-SA 3.0 (LeCun, Cortes)"),
    "cifar10": Source("CIFAR10", "train", "cifar-10-batches-py/data_batch_1", "none stated; research use (Krizhevsky)"),
    "cifar100": Source("CIFAR100", "train", "cifar-100-python/train", "none stated; research use (Krizhevsky)"),
    "svhn": Source("SVHN", "split", "train_32x32.mat", "non-commercial use (Netzer et al.)"),
}


def search_roots(root: Path | None) -> list[Path]:
    """Folders to look in: the one given, else the known roots."""
    return [Path(root).expanduser()] if root is not None else paths.data_roots()


def download_root(root: Path | None) -> Path:
    """Where a download goes: the folder given, else downloads/ of the data folder (a named root may be read-only)."""
    return Path(root).expanduser() if root is not None else paths.data_dir() / "downloads"


def missing(name: str, root: Path | None, marker: str, more: str = "") -> CourseError:
    """The error for a set that is not on this machine: where it was looked for, and what to do."""
    looked = ", ".join(str(folder) for folder in search_roots(root))
    return CourseError(
        f"dataset: {name!r} is not on this machine (looked for {marker} in {looked}). Get it with "
        f"load({name!r}, download=True) or `course data get {name}`; without a network, put the file at "
        f"{download_root(root) / marker}, or name the folder that holds it in COURSE_DATA. {more}".strip())


def open_torchvision(name: str, cls: str, root: Path | None, download: bool, **split: object) -> object | None:
    """The torchvision data set object, or None where it is absent and may not be downloaded."""
    from torchvision import datasets  # here: it takes a second to import, and embedded sets do not need it

    for folder in search_roots(root):
        try:
            return getattr(datasets, cls)(str(folder), download=False, **split)
        except (RuntimeError, FileNotFoundError):
            continue  # not in this root, or incomplete there
    if not download:
        return None
    folder = download_root(root)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return getattr(datasets, cls)(str(folder), download=True, **split)
    except (OSError, RuntimeError) as failed:  # URLError is an OSError; torchvision wraps others in RuntimeError
        raise CourseError(f"dataset: the download of {name!r} into {folder} failed ({failed}). Check the network and "
                          "try again, or put the files there by hand.") from failed


def finish_28(images: torch.Tensor, size: int | None) -> torch.Tensor:
    """uint8 (N, 28, 28) -> (N, 1, S, S): padded to 32, then resized if asked for; size 28 leaves the originals."""
    size = check_size(size, 32)
    images = images[:, None]                                      # (N, 1, 28, 28)
    return images if size == 28 else resize(pad_to_32(images), size)


def read(name: str, split: str, size: int | None, root: Path | None, download: bool) -> ImageSet:
    """MNIST, CIFAR-10, CIFAR-100 or SVHN: one uint8 tensor of the whole split."""
    source = SOURCES[name]
    argument = {"train": split == "train"} if source.by_split == "train" else {"split": split}
    opened = open_torchvision(name, source.cls, root, download, **argument)
    if opened is None:
        raise missing(name, root, source.marker)
    if name == "mnist":
        return ImageSet(finish_28(opened.data, size), opened.targets.long(), name, split,
                        tuple(str(i) for i in range(10)), license=source.license)
    if name == "svhn":
        images, labels, classes = opened.data, opened.labels, [str(i) for i in range(10)]  # (N, 3, 32, 32)
    else:
        images, labels, classes = opened.data.transpose(0, 3, 1, 2), opened.targets, opened.classes
    images = torch.from_numpy(np.ascontiguousarray(images))       # (N, 3, 32, 32)
    labels = torch.as_tensor(np.asarray(labels), dtype=torch.int64)
    return ImageSet(resize(images, check_size(size, 32)), labels, name, split, tuple(classes), license=source.license)


def present(name: str, root: Path | None = None) -> bool:
    """Whether the set's marker file is there (its checksum is only read at load)."""
    return any((folder / SOURCES[name].marker).is_file() for folder in search_roots(root))
