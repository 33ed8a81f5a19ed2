import hashlib
import pickle

import numpy as np
import pytest
from torchvision import datasets

from course_utils import data
from course_utils.errors import CourseError


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def fake_cifar(folder, cls, monkeypatch, label_key, classes):
    """Batches of 4 images in torchvision's layout, its list of checksums replaced by theirs."""
    rng, pixels = np.random.default_rng(1), {}
    base = folder / cls.base_folder
    base.mkdir(parents=True)
    for listing in ("train_list", "test_list"):
        entries = []
        for name, _ in getattr(cls, listing):
            pixels[name] = rng.integers(0, 256, (4, 3072), dtype=np.uint8)
            content = {"data": pixels[name], label_key: [0, 1, 2, 1]}
            if label_key == "fine_labels":
                content["coarse_labels"] = [0, 0, 0, 0]
            (base / name).write_bytes(pickle.dumps(content))
            entries.append([name, md5(base / name)])
        monkeypatch.setattr(cls, listing, entries)
    meta = dict(cls.meta)
    (base / meta["filename"]).write_bytes(pickle.dumps({meta["key"]: classes}))
    monkeypatch.setattr(cls, "meta", {**meta, "md5": md5(base / meta["filename"])})
    return pixels


def test_cifar10(tmp_path, monkeypatch):
    pixels = fake_cifar(tmp_path, datasets.CIFAR10, monkeypatch, "labels", ["airplane", "automobile", "bird"])
    train, test = data.load("cifar10", root=tmp_path), data.load("cifar10", "test", root=tmp_path)
    assert len(train) == 20 and len(test) == 4 and train.shape == (3, 32, 32)
    assert np.array_equal(test.images.numpy(), pixels["test_batch"].reshape(4, 3, 32, 32))
    assert test.labels.tolist() == [0, 1, 2, 1] and train.class_names[:2] == ("airplane", "automobile")
    assert data.load("cifar10", root=tmp_path, size=64).shape == (3, 64, 64)


def test_cifar100_is_cifar100(tmp_path, monkeypatch):
    names = [f"fine{i}" for i in range(100)]
    pixels = fake_cifar(tmp_path, datasets.CIFAR100, monkeypatch, "fine_labels", names)
    train = data.load("cifar100", root=tmp_path)
    assert np.array_equal(train.images.numpy(), pixels["train"].reshape(4, 3, 32, 32))
    assert train.class_names == tuple(names) and train.labels.tolist() == [0, 1, 2, 1]
    with pytest.raises(CourseError, match="'cifar10' is not on this machine"):
        data.load("cifar10", root=tmp_path)


def test_a_flipped_byte_is_damage_not_absence(tmp_path, monkeypatch):
    fake_cifar(tmp_path, datasets.CIFAR10, monkeypatch, "labels", ["a", "b", "c"])
    path = tmp_path / "cifar-10-batches-py/data_batch_1"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(CourseError, match="incomplete or damaged.*download=True"):
        data.load("cifar10", root=tmp_path)


def test_svhn(tmp_path, monkeypatch):
    savemat = pytest.importorskip("scipy.io").savemat
    images = np.random.default_rng(2).integers(0, 256, (32, 32, 3, 4), dtype=np.uint8)
    savemat(tmp_path / "train_32x32.mat", {"X": images, "y": np.array([[1], [2], [10], [9]])})
    table = {**datasets.SVHN.split_list, "train": ["", "train_32x32.mat", md5(tmp_path / "train_32x32.mat")]}
    monkeypatch.setattr(datasets.SVHN, "split_list", table)
    train = data.load("svhn", root=tmp_path)
    assert np.array_equal(train.images.numpy(), images.transpose(3, 2, 0, 1))
    assert train.labels.tolist() == [1, 2, 0, 9], "the file calls the digit 0 class 10"
