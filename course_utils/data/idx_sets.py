"""MNIST, Fashion-MNIST and the part of Fashion-MNIST that comes with the course: all three are IDX files."""

from __future__ import annotations

import gzip
import lzma
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from course_utils.data import sources
from course_utils.data.image_set import ImageSet, check_size, pad_to_32, resize
from course_utils.errors import CourseError

FILES = {"train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
         "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")}
OPENERS = {"": open, ".gz": gzip.open, ".xz": lzma.open}
GARMENTS = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


@dataclass(frozen=True)
class Source:
    """One of the sets. folder: in torchvision's layout; elsewhere: a further folder with the four files."""

    cls: str
    folder: str
    class_names: tuple[str, ...]
    license: str
    elsewhere: Path | None = None
    more: str = ""


SOURCES = {
    "mnist": Source("MNIST", "MNIST/raw", tuple(str(digit) for digit in range(10)), "CC BY-SA 3.0 (LeCun, Cortes)"),
    "fashion-mnist": Source("FashionMNIST", "FashionMNIST/raw", GARMENTS, "MIT (Zalando SE)",
                            Path("/usr/share/datasets/fashion-mnist"),
                            "On Debian and Ubuntu: apt install dataset-fashion-mnist."),
}


def read_idx(path: Path) -> torch.Tensor:
    """An IDX file of unsigned bytes, plain, .gz or .xz, as a uint8 tensor of the shape that its header states."""
    try:
        with OPENERS.get(path.suffix, open)(path, "rb") as stream:
            content = stream.read()
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as broken:
        raise CourseError(f"{path}: damaged ({broken}). Delete it and get it again.") from broken
    ndim = content[3] if content[:3] == b"\0\0\x08" and len(content) > 3 else 0
    start = 4 + 4 * ndim
    shape = np.frombuffer(content[4:start], ">i4").tolist() if ndim and len(content) >= start else []
    if not shape or len(content) - start != math.prod(shape):
        raise CourseError(f"{path}: not a complete IDX file of unsigned bytes. Delete it and get it again.")
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy())


def find_files(name: str, split: str, root: Path | None) -> tuple[Path, Path] | None:
    """(images, labels) in torchvision's layout under a root, or in the set's other folder; plain or gzipped."""
    source = SOURCES[name]
    folders = [base / source.folder for base in sources.search_roots(root)]
    if source.elsewhere is not None and root is None:
        folders.append(source.elsewhere)
    for folder in folders:
        for ending in ("", ".gz"):
            pair = tuple(folder / (file + ending) for file in FILES[split])
            if all(path.is_file() for path in pair):
                return pair
    return None


def finish(images: torch.Tensor, size: int | None) -> torch.Tensor:
    """uint8 (N, 28, 28) -> (N, 1, S, S): padded to 32, then resized if asked for; size 28 leaves the originals."""
    size = check_size(size, 32)
    images = images[:, None]                                      # (N, 1, 28, 28)
    return images if size == 28 else resize(pad_to_32(images), size)


def _image_set(name: str, split: str, size: int | None, pair: tuple[Path, Path], source: Source) -> ImageSet:
    images, labels = read_idx(pair[0]), read_idx(pair[1]).long()
    return ImageSet(finish(images, size), labels, name, split, source.class_names, license=source.license)


def read(name: str, split: str, size: int | None, root: Path | None, download: bool) -> ImageSet:
    """All of MNIST or Fashion-MNIST: 60,000 or 10,000 images, padded to 32."""
    source, pair = SOURCES[name], find_files(name, split, root)
    if pair is None and download:
        sources.download(name, source.cls, root, train=split == "train")
        pair = find_files(name, split, root)
    if pair is None:
        raise sources.missing(name, root, f"{source.folder}/{FILES[split][0]}", source.more)
    return _image_set(name, split, size, pair, source)


def read_mini(name: str, split: str, size: int | None, root: Path | None, download: bool) -> ImageSet:
    """The embedded part: 1,000 training images of each class, all 10,000 test images."""
    pair = tuple(sources.embedded(name, file + ".xz") for file in FILES[split])
    return _image_set(name, split, size, pair, SOURCES["fashion-mnist"])


def present(name: str) -> bool:
    """Whether both splits can be read without a download."""
    return all(find_files(name, split, None) for split in FILES)


def mini_present(name: str) -> bool:
    """Whether all embedded files are there."""
    return all(sources.embedded_path(name, file + ".xz").is_file() for pair in FILES.values() for file in pair)
