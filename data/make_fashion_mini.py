"""Make data/fashion-mnist-mini/ again: a balanced part of Fashion-MNIST as compressed IDX files.

Training: of each of the ten classes the first 1,000 images in the original order, that order kept. Test: all 10,000.
Needs Debian's package dataset-fashion-mnist. Run from the root of the repository: python data/make_fashion_mini.py
"""

from __future__ import annotations

import argparse
import gzip
import lzma
import os
import struct
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
PER_CLASS = 1000
NAMES = {"train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
         "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")}


def read(path: Path) -> np.ndarray:
    content = gzip.decompress(path.read_bytes())
    shape = struct.unpack(f">{content[3]}i", content[4:4 + 4 * content[3]])
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape)


def write(path: Path, values: np.ndarray) -> None:
    """An IDX file (header: two zeros, 8 for unsigned bytes, number of dimensions, their lengths), compressed."""
    header = struct.pack(f">2xBB{values.ndim}i", 8, values.ndim, *values.shape)
    packed = lzma.compress(header + values.tobytes(), preset=9 | lzma.PRESET_EXTREME)
    part = path.with_name(path.name + ".part")
    part.write_bytes(packed)
    os.replace(part, path)
    print(f"{path}: {len(packed):,} bytes")


def first_of_each_class(labels: np.ndarray) -> np.ndarray:
    """Rows of the first PER_CLASS images of every class, in the original order."""
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[:PER_CLASS] for c in range(10)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--license", type=Path, default=Path("/usr/share/doc/dataset-fashion-mnist/copyright"))
    parser.add_argument("--out", type=Path, default=HERE / "fashion-mnist-mini")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for split, (image_file, label_file) in NAMES.items():
        images, labels = (read(arguments.source / f"{file}.gz") for file in (image_file, label_file))
        rows = first_of_each_class(labels) if split == "train" else np.arange(len(labels))
        write(arguments.out / f"{image_file}.xz", images[rows])
        write(arguments.out / f"{label_file}.xz", labels[rows])
    (arguments.out / "LICENSE.txt").write_bytes(arguments.license.read_bytes())


if __name__ == "__main__":
    main()
