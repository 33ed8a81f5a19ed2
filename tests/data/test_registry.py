import pytest

from course_utils import data
from course_utils.data import registry
from course_utils.errors import CourseError


def test_unknown_names_list_the_known_ones():
    with pytest.raises(CourseError, match="dataset: got 'cifar-100'.*fashion-mnist-mini.*folder:PATH.*mean 'cifar100'"):
        data.load("cifar-100")
    with pytest.raises(CourseError, match="split: got 'validation', allowed: train, test"):
        data.load("mnist", "validation")
    with pytest.raises(CourseError, match="dataset: got 3"):
        data.load(3)


@pytest.mark.parametrize("name", ["8-gaussians", "two-spirals", "checkerboard", "rings"])
def test_points_are_data_sets_too(name, tmp_path):
    row = next(row for row in data.catalog() if row.name == name)
    train, test = data.load(name, root=tmp_path), data.load(name, "test")
    assert (len(train), len(test), train.shape, row.present) == (row.train, row.test, row.shape, True)
    assert row.bytes == sum(points.images.numel() * points.images.element_size() for points in (train, test))
    assert data.get(name) == {"train": row.train, "test": row.test}
    with pytest.raises(CourseError, match="size: got 32"):
        data.load(name, size=32)


@pytest.mark.parametrize("name", ["fashion-mnist-mini", "noto-emoji", "shapes"])
def test_embedded_sets_agree_with_their_catalog(name):
    row = next(row for row in data.catalog() if row.name == name)
    train, test = data.load(name), data.load(name, "test")
    assert (len(train), len(test), train.shape) == (row.train, row.test, row.shape) and test.shape == row.shape
    assert row.present and row.bytes == train.images.numel() + test.images.numel()
    assert train.license == row.license and train.sha256() == data.load(name).sha256() != test.sha256()
    assert set(train.labels.tolist()) == set(range(len(train.class_names)))


def test_catalog_says_what_is_not_here(monkeypatch, tmp_path):
    monkeypatch.setattr(registry.idx_sets.sources.paths, "data_roots", lambda: [tmp_path])
    here = {row.name: row.present for row in data.catalog()}
    assert set(here) == set(data.names()) - {"folder:PATH"}
    assert here["shapes"] and not any(here[name] for name in ("mnist", "cifar10", "cifar100", "svhn", "celeba"))


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100", "svhn", "celeba", "fashion-mnist"])
def test_a_missing_set_says_what_to_do(name, tmp_path):
    with pytest.raises(CourseError) as caught:
        data.load(name, root=tmp_path)
    for part in (name, "download=True", f"course data get {name}", "COURSE_DATA", str(tmp_path)):
        assert part in str(caught.value)


@pytest.mark.parametrize("name,cls", [("mnist", "MNIST"), ("cifar100", "CIFAR100"), ("celeba", "CelebA")])
def test_a_download_without_network_fails_readably(name, cls, tmp_path, monkeypatch):
    from urllib.error import URLError

    from torchvision import datasets

    def refuse(self):
        raise URLError("no network")
    monkeypatch.setattr(getattr(datasets, cls), "download", refuse)
    with pytest.raises(CourseError, match=f"download of '{name}'.*no network.*by hand"):
        data.get(name, root=tmp_path)
    assert not list(tmp_path.rglob("*.part"))
