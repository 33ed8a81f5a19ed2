"""The Fréchet distance against pytorch-fid, closed forms, and an independent eigenvalue computation."""

import math
import warnings

import numpy as np
import pytest
import torch

from course_utils.errors import CourseError
from course_utils.metrics.frechet import Moments, frechet_distance


def features(n, d, seed, mixing=1.0, shift=0.0):
    """n Gaussian features of d dimensions, of full rank and correlated."""
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.eye(d) + mixing * torch.randn(d, d, generator=generator) / math.sqrt(d)
    return torch.randn(n, d, generator=generator) @ mixed + shift


def moments(x, batch=100):
    found = Moments()
    for part in x.split(batch):
        found.add(part)
    return found


def pytorch_fid(x, y):
    """Its own functions on the same features, as its scripts call them."""
    from pytorch_fid.fid_score import calculate_frechet_distance

    x, y = x.double().numpy(), y.double().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # an argument of scipy's sqrtm
        return calculate_frechet_distance(x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False))


def by_eigenvalues(x, y):
    """tr (C1 C2)^(1/2) as the sum of roots of the eigenvalues of C1 C2 itself, not symmetric: numpy, no function of ours."""
    x, y = x.double().numpy(), y.double().numpy()
    c1, c2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(c1 @ c2).real.clip(0))
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(c1) + np.trace(c2) - 2 * roots.sum()


@pytest.mark.parametrize("d, mixing, shift", [(2, 0.5, 0.3), (8, 1.0, 0.1), (64, 2.0, 0.0), (128, 0.3, 0.02)])
def test_equals_pytorch_fid_on_features_of_full_rank(d, mixing, shift):
    x, y = features(10 * d + 50, d, 1), features(12 * d + 70, d, 2, mixing, shift)
    expected = pytorch_fid(x, y)
    assert expected > 0.01
    assert moments(x).distance(moments(y)) == pytest.approx(expected, rel=1e-6)


def test_equals_pytorch_fid_far_from_zero():
    """Features with a large common part, as after a ReLU without centering: sums of squares would lose half the digits."""
    x, y = features(900, 32, 1, shift=3000.0).double(), features(900, 32, 2, shift=3000.5).double()
    assert moments(x).distance(moments(y)) == pytest.approx(pytorch_fid(x, y), rel=1e-6)


@pytest.mark.parametrize("kind", ["dead dimensions", "copied dimensions", "fewer samples than dimensions", "different spaces"])
def test_equals_eigenvalues_where_the_rank_is_not_full(kind):
    x, y = features(600, 40, 1), features(600, 40, 2, 1.5, 0.1)
    if kind == "dead dimensions":
        x[:, 25:], y[:, 25:] = 0, 0
    elif kind == "copied dimensions":
        x[:, 20:], y[:, 20:] = x[:, :20], y[:, :20]
    elif kind == "different spaces":
        x[:, 15:], y[:, :25] = 0, 0  # they share no direction: nothing of the product is left
    else:
        x, y = x[:30], y[:25]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = moments(x).distance(moments(y))
    assert found == pytest.approx(by_eigenvalues(x, y), rel=1e-3)


@pytest.mark.parametrize("rank", [5, 40])
def test_the_distance_of_features_to_themselves_is_zero(rank):
    x = features(500, 40, 3)
    x[:, rank:] = 0
    assert abs(moments(x).distance(moments(x))) < 1e-9 * x.var(0).sum()


def test_closed_form_of_diagonal_gaussians():
    """|m1 - m2|^2 + sum (s1 - s2)^2, with s standard deviations."""
    m1, m2 = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0.5, 1.0, -1.0])
    s1, s2 = torch.tensor([1.0, 2.0, 0.0]), torch.tensor([3.0, 2.0, 0.5])
    found = frechet_distance(m1, s1.square().diag(), m2, s2.square().diag())
    assert found == pytest.approx(float((m1 - m2).square().sum() + (s1 - s2).square().sum()), rel=1e-12)


def test_a_rotation_of_both_changes_nothing():
    x, y = features(300, 12, 1).double(), features(300, 12, 2, 2.0).double()
    turn = torch.linalg.qr(torch.randn(12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))[0]
    assert moments(x @ turn).distance(moments(y @ turn)) == pytest.approx(moments(x).distance(moments(y)), rel=1e-9)


@pytest.mark.parametrize("batch", [1, 7, 100, 1000])
def test_moments_do_not_depend_on_the_batches(batch):
    x = features(701, 9, 4, shift=50.0)
    found = moments(x, batch)
    assert found.count == 701
    torch.testing.assert_close(found.mean, x.double().mean(0), rtol=1e-12, atol=0)
    torch.testing.assert_close(found.covariance, x.double().T.cov(), rtol=1e-10, atol=1e-12)


def test_moments_hold_no_more_for_more_samples():
    few, many = moments(features(50, 6, 1)), moments(features(5000, 6, 1))
    assert [v.shape for v in (few.mean, few.scatter)] == [v.shape for v in (many.mean, many.scatter)]


@pytest.mark.parametrize("n", [10, 40])
def test_fewer_samples_than_dimensions_are_warned_of(n):
    with pytest.warns(UserWarning, match=rf"{n} samples for features of 40 dimensions.*rank {n - 1}"):
        moments(features(n, 40, 1)).distance(moments(features(500, 40, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        moments(features(41, 40, 1)).distance(moments(features(500, 40, 2)))


def test_bad_input():
    x = moments(features(100, 4, 1))
    with pytest.raises(CourseError, match="samples: got 1"):
        moments(features(1, 4, 1)).distance(x)
    with pytest.raises(CourseError, match="samples: got 0"):
        _ = Moments().covariance
    with pytest.raises(CourseError, match=r"features: got \(5, 3\)"):
        x.add(torch.zeros(5, 3))
    with pytest.raises(CourseError, match=r"features: got \(0, 4\)"):
        x.add(torch.zeros(0, 4))
    with pytest.raises(CourseError, match="not finite"):
        x.add(torch.full((2, 4), float("nan")))
    with pytest.raises(CourseError, match="means and covariances"):
        x.distance(moments(features(100, 5, 1)))
    with pytest.raises(CourseError, match="not finite"):
        frechet_distance(torch.zeros(2), torch.eye(2), torch.zeros(2), torch.full((2, 2), float("inf")))
