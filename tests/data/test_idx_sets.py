import gzip

import numpy as np
import pytest
import torch

from course_utils import data
from course_utils.data import idx_sets
from course_utils.errors import CourseError


@pytest.mark.parametrize("name,folder", [("mnist", "MNIST/raw"), ("fashion-mnist", "FashionMNIST/raw")])
@pytest.mark.parametrize("gz", [False, True])
def test_torchvisions_layout_is_read_and_padded(name, folder, gz, tmp_path, idx_folder):
    written = idx_folder(tmp_path / folder, gz)
    for split, images in written.items():
        got = data.load(name, split, root=tmp_path)
        assert got.shape == (1, 32, 32) and got.labels.tolist() == (np.arange(len(images)) % 10).tolist()
        assert np.array_equal(got.images[:, 0, 2:-2, 2:-2].numpy(), images)
        assert int(got.images.sum()) == images.sum(), "the border must be zero"
        assert np.array_equal(data.load(name, split, root=tmp_path, size=28).images[:, 0].numpy(), images)
        assert data.load(name, split, root=tmp_path, size=16).shape == (1, 16, 16)


def test_mnist_does_not_pass_for_fashion(tmp_path, idx_folder):
    idx_folder(tmp_path / "MNIST/raw")
    with pytest.raises(CourseError, match="FashionMNIST/raw"):
        data.load("fashion-mnist", root=tmp_path)


def test_debians_folder_is_found(tmp_path, idx_folder, monkeypatch):
    from dataclasses import replace
    written = idx_folder(tmp_path / "debian", gz=True)
    source = replace(idx_sets.SOURCES["fashion-mnist"], elsewhere=tmp_path / "debian")
    monkeypatch.setitem(idx_sets.SOURCES, "fashion-mnist", source)
    monkeypatch.setattr(idx_sets.sources.paths, "data_roots", lambda: [tmp_path / "empty"])
    assert len(data.load("fashion-mnist")) == len(written["train"])


@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize("keep", [3, 10, 400, -1])
def test_truncated_files_are_refused(keep, gz, tmp_path, idx_folder):
    idx_folder(tmp_path / "MNIST/raw", gz)
    path = tmp_path / "MNIST/raw" / ("train-images-idx3-ubyte" + ".gz" * gz)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CourseError, match="train-images.*(damaged|not a complete IDX).*get it again"):
        data.load("mnist", root=tmp_path)


def test_any_flipped_byte_of_a_compressed_file_is_noticed(tmp_path):
    whole = gzip.compress(bytes([0, 0, 8, 1, 0, 0, 4, 0]) + bytes(range(256)) * 4)
    for place in range(10, len(whole)):  # the ten before hold the time of writing and the like
        (tmp_path / "a.gz").write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1:])
        with pytest.raises(CourseError, match="a.gz: (damaged|not a complete IDX)"):
            idx_sets.read_idx(tmp_path / "a.gz")


def test_the_embedded_part_is_balanced_and_hashed():
    train, test = data.load("fashion-mnist-mini"), data.load("fashion-mnist-mini", "test")
    assert train.labels.bincount().tolist() == test.labels.bincount().tolist() == [1000] * 10
    border = torch.ones(32, 32, dtype=torch.bool)
    border[2:-2, 2:-2] = False
    assert not train.images[:, :, border].any() and train.images.amax() == 255
    assert train.sha256().startswith("85f3c7e5c0482083") and test.sha256().startswith("33ae3468300a7ef2")


@pytest.mark.skipif(not idx_sets.SOURCES["fashion-mnist"].elsewhere.is_dir(), reason="no dataset-fashion-mnist here")
def test_the_embedded_part_is_what_it_says_of_the_whole(monkeypatch):
    monkeypatch.setattr(idx_sets.sources.paths, "data_roots", lambda: [])
    full, mini = data.load("fashion-mnist"), data.load("fashion-mnist-mini")
    rows = torch.cat([(full.labels == c).nonzero()[:1000, 0] for c in range(10)]).sort().values
    assert torch.equal(full.images[rows], mini.images) and torch.equal(full.labels[rows], mini.labels)
    assert data.load("fashion-mnist", "test").sha256() == data.load("fashion-mnist-mini", "test").sha256()
