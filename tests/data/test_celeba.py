import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from course_utils import data
from course_utils.data import celeba, sources
from course_utils.errors import CourseError


@pytest.fixture
def faces(tmp_path, monkeypatch):
    """Six faces of plain colors in torchvision's layout: four to train on, one to validate, one to test."""
    base = tmp_path / "root/celeba"
    (base / "img_align_celeba").mkdir(parents=True)
    names = [f"{i:06d}.jpg" for i in range(1, 7)]
    for i, name in enumerate(names):
        Image.new("RGB", (178, 218), (40 * i, 0, 255 - 40 * i)).save(base / "img_align_celeba" / name, quality=95)
    header = f"{len(names)}\nSmiling Young\n"
    signs = [f"{name} {1 if i % 2 else -1} 1\n" for i, name in enumerate(names)]
    (base / "list_attr_celeba.txt").write_text(header + "".join(signs), encoding="utf-8")
    partition = [f"{name} {part}\n" for name, part in zip(names, (0, 0, 0, 0, 1, 2), strict=True)]
    (base / "list_eval_partition.txt").write_text("".join(partition), encoding="utf-8")
    for other in ("identity_CelebA.txt",):
        (base / other).write_text("".join(f"{name} 1\n" for name in names), encoding="utf-8")
    for name, columns in (("list_bbox_celeba.txt", 4), ("list_landmarks_align_celeba.txt", 10)):
        body = "".join(f"{file} {' '.join(['1'] * columns)}\n" for file in names)
        (base / name).write_text(f"{len(names)}\n{' '.join('abcdefghij'[:columns])}\n{body}", encoding="utf-8")
    monkeypatch.setattr(datasets.CelebA, "file_list", [])
    monkeypatch.setattr(sources.paths, "data_dir", lambda: tmp_path / "data")
    return tmp_path / "root"


def test_faces_are_decoded_once_and_mapped(faces, monkeypatch):
    train = data.load("celeba", root=faces)
    assert train.images.shape == (4, 3, 64, 64) and train.meta["attribute_names"] == ("Smiling", "Young")
    assert train.attributes["attributes"].tolist() == [[0, 1], [1, 1], [0, 1], [1, 1]]
    assert [int(c) for c in train.images[:, 0].float().mean((1, 2)).round()] == pytest.approx([0, 40, 80, 120], abs=3)
    monkeypatch.setattr(celeba, "crop", lambda *a: pytest.fail("decoded a second time"))
    assert torch.equal(data.load("celeba", root=faces).images, train.images)


def test_a_killed_decoding_goes_on(faces, monkeypatch, tmp_path):
    whole, calls = celeba.crop, []

    def die_at_the_fourth(path, size):
        calls.append(path.name)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return whole(path, size)
    monkeypatch.setattr(celeba, "CHECKPOINT", 2)
    monkeypatch.setattr(celeba, "crop", die_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        data.load("celeba", root=faces)
    decoded = tmp_path / "data/downloads/decoded"
    assert not (decoded / "celeba-train-64.npy").exists()
    images = data.load("celeba", root=faces).images
    assert calls[4:] == ["000003.jpg", "000004.jpg"], "the first two were noted as done"
    want = np.stack([whole(faces / celeba.MARKER / f"{i:06d}.jpg", 64) for i in range(1, 5)])
    assert np.array_equal(images.numpy(), want) and [p.name for p in decoded.iterdir()] == ["celeba-train-64.npy"]


def test_a_full_disk_is_said_before_the_work(faces, monkeypatch):
    from collections import namedtuple
    usage = namedtuple("usage", "total used free")(10, 10, 0)
    monkeypatch.setattr(celeba.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(CourseError, match="celeba.*GiB free"):
        data.load("celeba", root=faces)
