"""The kernel distance against scikit-learn's polynomial kernel."""

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import polynomial_kernel as sklearn_kernel

from course_utils.errors import CourseError
from course_utils.metrics.kernel import kernel_distance, polynomial_kernel, squared_mmd


def features(n, d=6, seed=0, shift=0.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def test_kernel_equals_scikit_learn():
    x, y = features(30), features(20, seed=1)
    expected = sklearn_kernel(x.numpy(), y.numpy(), degree=3, gamma=1 / 6, coef0=1)
    np.testing.assert_allclose(polynomial_kernel(x, y).numpy(), expected, rtol=1e-12)


def test_estimate_equals_sums_over_pairs():
    """Written as the paper writes it, pair by pair, on scikit-learn's kernel."""
    x, y = features(25), features(18, seed=1, shift=0.3)
    xx, yy, xy = (sklearn_kernel(a, b, degree=3, gamma=1 / 6, coef0=1) for a, b in ((x, x), (y, y), (x, y)))
    m, n = len(x), len(y)
    expected = sum(xx[i, j] for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    expected += sum(yy[i, j] for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    expected -= 2 * sum(xy[i, j] for i in range(m) for j in range(n)) / (m * n)
    assert float(squared_mmd(x, y)) == pytest.approx(expected, rel=1e-10)


def test_subsets_are_means_over_scikit_learn_on_the_same_draws():
    x, y = features(60), features(50, seed=1, shift=0.2)
    found = kernel_distance(x, y, subsets=5, size=20, generator=torch.Generator().manual_seed(3))
    generator, values = torch.Generator().manual_seed(3), []
    for _ in range(5):
        a, b = (each[torch.randperm(len(each), generator=generator)[:20]].numpy() for each in (x, y))
        aa, bb, ab = (sklearn_kernel(p, q, degree=3, gamma=1 / 6, coef0=1) for p, q in ((a, a), (b, b), (a, b)))
        values.append((aa.sum() - aa.trace() + bb.sum() - bb.trace()) / (20 * 19) - 2 * ab.mean())
    assert found == pytest.approx((np.mean(values), np.std(values)), rel=1e-10)


def test_the_estimate_is_unbiased():
    """Of one distribution: around zero at every size, where pairing samples with themselves would add a positive bias."""
    for size in (10, 40):
        x, y = features(4000, seed=1), features(4000, seed=2)
        parts = torch.stack([squared_mmd(a, b) for a, b in zip(x.split(size), y.split(size), strict=True)])
        error = parts.std() / len(parts) ** 0.5
        with_itself = sum((polynomial_kernel(a, a).mean() - squared_mmd(a, a) / 2) for a in x.split(size)) / len(parts)
        assert abs(parts.mean()) < 4 * error and with_itself - 1 > 10 * error


def test_subsets_as_large_as_the_sets_have_no_spread():
    x, y = features(40), features(40, seed=1, shift=0.5)
    mean, spread = kernel_distance(x, y, subsets=4, size=1000)
    assert mean == pytest.approx(float(squared_mmd(x, y))) and spread < 1e-12
    assert kernel_distance(x, features(40, seed=2), subsets=4)[0] < mean


def test_one_seed_gives_one_number():
    x, y = features(100), features(100, seed=1)
    first, again, other = (
        kernel_distance(x, y, subsets=3, size=20, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)
    )
    assert first == again and first != other


@pytest.mark.parametrize(
    "x, y, settings, match",
    [
        (features(1), features(9), {}, "x: got '1 samples'"),
        (features(9), features(0), {}, r"y: got \(0, 6\)"),
        (features(9), features(9, 5), {}, r"y: got \(9, 5\)"),
        (features(9), features(9), {"subsets": 0}, "subsets, size"),
        (features(9), features(9), {"size": 1}, "subsets, size"),
        (features(9), features(9) * float("nan"), {}, "not finite"),
    ],
)
def test_bad_input(x, y, settings, match):
    with pytest.raises(CourseError, match=match):
        kernel_distance(x, y, **settings)
