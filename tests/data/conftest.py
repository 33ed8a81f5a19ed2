"""Tiny data sets in the layouts of the full ones, so that no test needs a download."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def no_data_elsewhere(monkeypatch, tmp_path):
    """What lies on the machine that runs the tests must not change them."""
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "elsewhere"))


def idx_bytes(values: np.ndarray) -> bytes:
    return struct.pack(f">2xBB{values.ndim}i", 8, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


@pytest.fixture
def idx_folder(tmp_path):
    """Makes the four MNIST-like files in a folder: returns the images written, by split."""
    def make(folder, gz=False, counts=(("train", 12), ("t10k", 5))):
        folder.mkdir(parents=True)
        rng, written = np.random.default_rng(0), {}
        for prefix, n in counts:
            images, labels = rng.integers(0, 256, (n, 28, 28)), np.arange(n) % 10
            for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
                content = idx_bytes(values)
                name = f"{prefix}-{kind}-ubyte"
                (folder / (name + ".gz" if gz else name)).write_bytes(gzip.compress(content) if gz else content)
            written["train" if prefix == "train" else "test"] = images
        return written
    return make
