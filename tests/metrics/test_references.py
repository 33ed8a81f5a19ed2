"""Statistics of reference sets: right, cached under the right key, never taken from a damaged file."""

import pytest
import torch
from stand_ins import images, network

from course_utils.metrics import references
from course_utils.metrics.references import Statistics, reference_statistics


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def files(cache):
    return sorted(path for path in cache.rglob("*") if path.is_file())


def statistics(*args, **settings):
    return reference_statistics(*args, progress=False, **settings)


class Counting:
    """How many images a network has seen."""

    def __init__(self, net):
        self.seen, self.extract = 0, net.extract
        net.extract = self

    def __call__(self, x):
        self.seen += len(x)
        return self.extract(x)


def test_equal_to_all_features_at_once():
    data, net = images(301), network()
    found, expected = statistics(data, net, batch_size=40), net.extract(data.floats()).double()
    torch.testing.assert_close(found.moments.mean, expected.mean(0), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(found.moments.covariance, expected.T.cov(), rtol=1e-5, atol=1e-9)
    assert found.moments.count == 301
    torch.testing.assert_close(found.features.sort(0).values, expected.float().sort(0).values)


def test_the_second_time_comes_from_the_cache_bit_for_bit(cache):
    data, net = images(50), network()
    first = statistics(data, net)
    counting = Counting(net)
    again = statistics(images(50), net)
    assert counting.seen == 0 and len(files(cache)) == 1
    assert torch.equal(first.features, again.features) and first.moments.count == again.moments.count
    assert torch.equal(first.moments.mean, again.moments.mean) and torch.equal(first.moments.scatter, again.moments.scatter)


@pytest.mark.parametrize("data, net", [(images(50, seed=1), network()), (images(49), network()), (images(50), network(seed=1))])
def test_other_data_and_other_weights_have_another_key(cache, data, net):
    statistics(images(50), network())
    counting = Counting(net)
    statistics(data, net)
    assert counting.seen == len(data) and len(files(cache)) == 2


@pytest.mark.parametrize("damage", [lambda content: content[:-10], lambda content: content[:-1] + b"?", lambda content: b""])
def test_a_damaged_file_is_said_and_computed_again(cache, capsys, damage):
    data, net = images(50), network()
    first = statistics(data, net)
    [path] = files(cache)
    path.write_bytes(damage(path.read_bytes()))
    again = statistics(data, net)
    assert f"computed again: {path}" in capsys.readouterr().err
    assert torch.equal(first.moments.scatter, again.moments.scatter)
    counting = Counting(net)
    statistics(data, net)
    assert counting.seen == 0  # and the cache is whole again


def test_a_cache_that_cannot_be_written_does_not_cost_the_figures(cache, capsys):
    (cache / "soft-introvae-course").write_text("a file where the folder should be", encoding="utf-8")
    assert statistics(images(50), network()).moments.count == 50
    assert "not cached" in capsys.readouterr().err


def test_a_network_in_train_mode_is_neither_cached_nor_taken_from_the_cache(cache):
    data, net = images(50), network()
    right = statistics(data, net)
    wrong = statistics(data, net.left_in_train_mode())
    assert len(files(cache)) == 1 and (wrong.moments.mean - right.moments.mean).abs().max() > 0.01


def test_memory_does_not_grow_with_the_number_of_samples():
    kept = Statistics(keep=100)
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(30, 8, generator=generator) for _ in range(40)]
    for part in parts:
        kept.add(part)
    whole = torch.cat(parts)
    assert kept.moments.count == 1200 and torch.equal(kept.features, whole[:100])
    held = [kept.moments.mean, kept.moments.scatter, *kept.parts]
    assert sum(each.numel() for each in held) == 8 + 8 * 8 + 100 * 8
    torch.testing.assert_close(kept.moments.covariance, whole.double().T.cov())


def test_what_is_kept_is_drawn_from_the_whole_set(monkeypatch):
    """Sets are often sorted by class: the first images would be one class only."""
    monkeypatch.setattr(Statistics, "__init__", _keeping(50))
    data, net = images(1000), network()
    rows = net.extract(data.floats())
    kept = statistics(data, net, cache=False).features
    index = torch.cdist(kept, rows).argmin(1)
    assert len(kept) == 50 and index.min() < 200 and index.max() > 800


def _keeping(count):
    original = Statistics.__init__

    def init(self, *args, **settings):
        original(self, **{"keep": count, **settings})

    return init


def test_the_cache_is_in_the_user_s_folder(cache):
    path = references.cache_file({"network": "toy"})
    assert path.is_relative_to(cache) and path.name.startswith("toy-")
