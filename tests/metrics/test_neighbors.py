"""Precision, recall, density, coverage and nearest neighbors against versions that loop over every pair."""

import math

import pytest
import torch

from course_utils.errors import CourseError
from course_utils.metrics import neighbors
from course_utils.metrics.neighbors import nearest
from course_utils.metrics.neighbors import precision_recall_density_coverage as measures


def features(n, d=3, seed=0, scale=1.0, shift=0.0):
    return scale * torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift


def distance(a, b):
    return math.dist(a.tolist(), b.tolist())


def radius(points, i, k):
    """Distance of point i to its k-th neighbor, itself left out by its index."""
    return sorted(distance(points[i], points[j]) for j in range(len(points)) if j != i)[k - 1]


def brute_force(real, fake, k, k_density):
    """The papers' definitions, one pair at a time."""
    r_real, r_fake = ([radius(x, i, k) for i in range(len(x))] for x in (real, fake))
    r_density = [radius(real, i, k_density) for i in range(len(real))]
    n, m = range(len(real)), range(len(fake))
    d = [[distance(real[i], fake[j]) for j in m] for i in n]
    return {
        "precision": sum(any(d[i][j] <= r_real[i] for i in n) for j in m) / len(m),
        "recall": sum(any(d[i][j] <= r_fake[j] for j in m) for i in n) / len(n),
        "density": sum(d[i][j] <= r_density[i] for i in n for j in m) / (k_density * len(m)),
        "coverage": sum(any(d[i][j] <= r_density[i] for j in m) for i in n) / len(n),
    }


@pytest.mark.parametrize("block", [7, 1024])
@pytest.mark.parametrize("n, m, k, k_density", [(60, 60, 3, 5), (50, 80, 1, 2), (40, 30, 2, 3)])
def test_equals_brute_force(monkeypatch, block, n, m, k, k_density):
    monkeypatch.setattr(neighbors, "BLOCK", block)
    real, fake = features(n), features(m, seed=1, scale=0.8, shift=1.0)
    expected = brute_force(real, fake, k, k_density)
    assert all(0.05 < value < 0.95 for value in expected.values())  # values at which a mistake would show
    assert measures(real, fake, k, k_density) == pytest.approx(expected, abs=1e-12)


def test_no_block_is_larger_than_its_number_of_rows(monkeypatch):
    monkeypatch.setattr(neighbors, "BLOCK", 16)
    x, y = features(50), features(30)
    blocks = list(neighbors.distance_blocks(x, y))
    assert [len(block) for _, block in blocks] == [16, 16, 16, 2]
    expected = torch.tensor([[distance(a, b) for b in y] for a in x], dtype=torch.float64)
    torch.testing.assert_close(torch.cat([block for _, block in blocks]), expected, rtol=1e-9, atol=1e-7)


def test_what_each_measure_is_for():
    """Two clusters of real images. Fakes in one of them: precise, half covered. Fakes everywhere: covered, imprecise."""
    left, right = features(200, seed=1), features(200, seed=2, shift=20.0)
    real, one_mode = torch.cat([left, right]), features(400, seed=3)
    collapsed = measures(real, one_mode)
    assert collapsed["precision"] > 0.9 and collapsed["recall"] < 0.55 and collapsed["coverage"] < 0.55
    noisy = measures(real, torch.cat([left, right])[torch.arange(400) // 2 * 2] + torch.arange(400)[:, None] % 2 * 500.0)
    assert noisy["precision"] < 0.55 and noisy["coverage"] > 0.9


def test_far_outliers_raise_recall_and_not_coverage():
    """The reason for coverage: three fakes far off have balls that hold every real image."""
    real = features(100)
    fake = torch.cat([features(96, seed=1, scale=0.01, shift=30.0), features(4, seed=2, scale=100.0)])
    found = measures(real, fake)
    assert found["recall"] > 0.9 and found["coverage"] < 0.1


def test_nearest_equals_a_sort_over_all_pairs(monkeypatch):
    monkeypatch.setattr(neighbors, "BLOCK", 8)
    x, y = features(20), features(30, seed=1)
    values, index = nearest(x, y, 4)
    for i, row in enumerate(x):
        pairs = sorted((distance(row, other), j) for j, other in enumerate(y))[:4]
        assert index[i].tolist() == [j for _, j in pairs]
        assert values[i].tolist() == pytest.approx([d for d, _ in pairs], rel=1e-9)


def test_a_copy_is_found_and_itself_is_left_out():
    x = features(40)
    assert nearest(x, x)[1][:, 0].tolist() == list(range(40)) and nearest(x, x)[0].max() < 1e-6
    values, index = nearest(x, x, 1, itself=False)
    assert (index[:, 0] != torch.arange(40)).all()
    assert values[:, 0].tolist() == pytest.approx([radius(x, i, 1) for i in range(40)], rel=1e-9)


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: measures(features(5), features(40)), "5 real and 40 fake"),
        (lambda: measures(features(40), features(3)), "40 real and 3 fake"),
        (lambda: measures(features(40), features(40), 0), "k: got"),
        (lambda: measures(features(40), features(40, 2)), r"y: got \(40, 2\)"),
        (lambda: measures(features(40), features(40) * float("inf")), "not finite"),
        (lambda: nearest(features(3), features(4), 5), "k: got 5, allowed: from 1 to 4"),
        (lambda: nearest(features(4), features(4), 4, itself=False), "k: got 4, allowed: from 1 to 3"),
        (lambda: nearest(features(0), features(4)), r"x: got \(0, 3\)"),
    ],
)
def test_bad_input(call, match):
    with pytest.raises(CourseError, match=match):
        call()
