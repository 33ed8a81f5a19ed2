"""The mutual information gap on codes whose gap is known."""

import math

import numpy as np
import pytest
import torch

from course_utils.errors import CourseError
from course_utils.metrics import mutual_information_gap
from course_utils.metrics.disentanglement import mutual_information

N = 20_000
SIZES = (3, 4, 5)


@pytest.fixture
def factors():
    rng = np.random.default_rng(0)
    return np.stack([rng.integers(0, n, N) for n in SIZES], axis=1)


def noise(width, seed=1):
    return np.random.default_rng(seed).normal(size=(N, width))


def test_a_perfect_code_has_a_gap_of_one(factors):
    codes = np.concatenate([-2.5 * factors + 0.001 * noise(3), noise(2, 2)], axis=1)
    found = mutual_information_gap(codes, factors)
    assert found.gaps == pytest.approx([1, 1, 1], abs=0.02) and found.mig == pytest.approx(1, abs=0.02)
    assert found.information.shape == (3, 5)
    assert found.entropy == pytest.approx([math.log(n) for n in SIZES], abs=1e-3)
    for factor in range(3):  # in nats: a dimension that knows a factor holds its entropy, and nothing of the others
        assert found.information[factor, factor] == pytest.approx(math.log(SIZES[factor]), abs=1e-3)
        assert np.delete(found.information[factor], factor).max() < 0.01


def test_the_order_and_scale_of_dimensions_do_not_matter(factors):
    codes = factors + 0.1 * noise(3)
    a = mutual_information_gap(codes, factors)
    b = mutual_information_gap((1000 * codes + 7)[:, [2, 0, 1]], factors)
    assert a.gaps == pytest.approx(b.gaps, abs=1e-6)


def test_a_duplicated_dimension_closes_the_gap(factors):
    codes = np.concatenate([factors, factors[:, :1]], axis=1).astype(float)  # factor 0 stands in two dimensions
    assert mutual_information_gap(codes, factors).gaps == pytest.approx([0, 1, 1], abs=0.02)


def test_the_bias_of_the_histogram_is_as_the_docstring_says():
    rng = np.random.default_rng(4)
    few = rng.integers(0, 8, (4152, 40))
    codes = rng.uniform(size=(4152, 20))
    found = mutual_information_gap(codes, few).information.mean()
    assert found == pytest.approx(19 * 7 / (2 * 4152), rel=0.05)


def test_samples_hold_no_more_than_their_kl_and_means_may_seem_to(factors):
    mean, std = 0.1 * (factors[:, :2] - factors[:, :2].mean(0)), 1.0  # nearly collapsed: the noise hides the means
    kl = 0.5 * (mean**2).mean(0)
    drawn = mutual_information_gap(mean + std * noise(2), factors[:, :2]).information
    seen = mutual_information_gap(mean, factors[:, :2]).information
    assert (drawn.max(0) < kl + 0.005).all() and (seen.max(0) > 100 * kl).all()


def test_noise_knows_nothing(factors):
    found = mutual_information_gap(noise(4), factors)
    assert found.mig < 0.005 and found.information.max() < 0.01


def test_a_rotated_code_has_a_smaller_gap(factors):
    centered = factors - factors.mean(0)
    angle = math.pi / 4
    turn = np.eye(3)
    turn[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    found = mutual_information_gap(centered @ turn, factors)
    assert found.gaps[2] > 0.95 and found.gaps[:2].max() < 0.5


def test_a_partly_known_factor_has_the_gap_of_its_information():
    """One dimension knows whether a factor of 4 is below 2, another nothing: gap = log 2 / log 4."""
    factor = np.random.default_rng(0).integers(0, 4, (N, 1))
    codes = np.concatenate([factor // 2, noise(1)], axis=1)
    assert mutual_information_gap(codes, factor).mig == pytest.approx(0.5, abs=0.01)


def test_mutual_information_against_its_definition():
    rng = np.random.default_rng(3)
    a = rng.integers(0, 3, 5000)
    b = np.where(rng.random(5000) < 0.6, a, rng.integers(0, 4, 5000))
    total = 0.0
    for i in range(3):
        for j in range(4):
            p, pa, pb = ((a == i) & (b == j)).mean(), (a == i).mean(), (b == j).mean()
            total += p * math.log(p / (pa * pb)) if p else 0.0
    assert mutual_information(a, b) == pytest.approx(total, abs=1e-12)
    assert mutual_information(b, a) == pytest.approx(total, abs=1e-12)


def test_tensors_constant_factors_and_any_integers_are_fine(factors):
    factors = factors * 10 - 7  # values need not start at 0 or be dense
    factors[:, 2] = 4
    codes = torch.tensor(factors, dtype=torch.float32) + 0.001 * torch.tensor(noise(3), dtype=torch.float32)
    codes[:, 2] = 1.0  # a dimension that never moves
    found = mutual_information_gap(codes.requires_grad_(), torch.tensor(factors))
    assert found.gaps == pytest.approx([1, 1, 0], abs=0.02)


def test_bad_input(factors):
    with pytest.raises(CourseError, match="two latent dimensions"):
        mutual_information_gap(noise(1), factors)
    with pytest.raises(CourseError, match="codes"):
        mutual_information_gap(noise(3)[:-1], factors)
    with pytest.raises(CourseError, match="not finite"):
        mutual_information_gap(np.where(noise(3) > 3, np.nan, noise(3)), factors)
    with pytest.raises(CourseError, match="factors"):
        mutual_information_gap(noise(3), factors[:, 0])
    with pytest.raises(CourseError, match="bins"):
        mutual_information_gap(noise(3), factors, bins=1)
