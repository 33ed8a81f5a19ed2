"""Fashion-MNIST: all 70,000 images from wherever they lie, and the part of it that comes with the course."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import torch

from course_utils.data.image_set import ImageSet
from course_utils.data.torchvision_sets import MNIST_FILES, finish_28, missing, open_torchvision, search_roots
from course_utils.errors import CourseError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # package dataset-fashion-mnist: the four original .gz files
CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
LICENSE = "MIT (Zalando SE)"


def read_idx(path: Path) -> torch.Tensor:
    """An IDX file of unsigned bytes, plain or gzipped, as a uint8 tensor of the shape its header states."""
    opened = gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")
    try:
        with opened as stream:
            content = stream.read()
    except (EOFError, gzip.BadGzipFile) as broken:
        raise CourseError(f"{path}: damaged ({broken}). Delete it and get it again.") from broken
    zero, kind, ndim = content[:2], content[2:3], content[3] if len(content) > 3 else 0
    shape = np.frombuffer(content, ">i4", ndim, 4).tolist() if len(content) >= 4 + 4 * ndim else []
    body = content[4 + 4 * ndim:]
    if zero != b"\0\0" or kind != b"\x08" or not shape or len(body) != np.prod(shape):
        raise CourseError(f"{path}: not a complete IDX file of unsigned bytes. Delete it and get it again.")
    return torch.from_numpy(np.frombuffer(body, np.uint8).reshape(shape).copy())


def find_files(split: str, root: Path | None) -> tuple[Path, Path] | None:
    """(images, labels) in torchvision's layout or in a folder with the four files themselves, plain or .gz."""
    folders = [folder for base in search_roots(root)
               for folder in (base / "FashionMNIST" / "raw", base / "fashion-mnist", base)]
    # A folder that holds MNIST's own files under the same names must not pass for Fashion-MNIST.
    folders = [folder for folder in folders if folder.parent.name != "MNIST"]
    for folder in [*folders, *([DEBIAN] if root is None else [])]:
        for ending in ("", ".gz"):
            pair = tuple(folder / (name + ending) for name in MNIST_FILES[split])
            if all(path.is_file() for path in pair):
                return pair
    return None


def read(name: str, split: str, size: int | None, root: Path | None, download: bool) -> ImageSet:
    """All of Fashion-MNIST: 60,000 or 10,000 images, padded to 32."""
    pair = find_files(split, root)
    if pair is None and download:
        open_torchvision(name, "FashionMNIST", root, True, train=split == "train")
        pair = find_files(split, root)
    if pair is None:
        raise missing(name, root, "FashionMNIST/raw/" + MNIST_FILES[split][0],
                      "Debian: apt install dataset-fashion-mnist.")
    images, labels = read_idx(pair[0]), read_idx(pair[1]).long()
    return ImageSet(finish_28(images, size), labels, name, split, CLASSES, license=LICENSE)


def present(name: str, root: Path | None = None) -> bool:
    """Whether both splits can be read without a download."""
    return all(find_files(split, root) for split in ("train", "test"))
