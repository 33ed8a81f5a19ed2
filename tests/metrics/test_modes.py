"""Mode coverage on samples whose coverage is known."""

import math

import pytest
import torch

from course_utils.data.points import density, mixture
from course_utils.errors import CourseError
from course_utils.metrics.modes import mode_coverage

EIGHT = density("8-gaussians")


def test_a_densitys_own_samples_cover_it():
    found = mode_coverage(EIGHT.sample(50_000, torch.Generator().manual_seed(0)), EIGHT)
    want = 1 - math.exp(-4.5)  # of a round 2-D Gaussian within 3 sigma
    assert found.covered == 8 and found.within == pytest.approx(want, abs=4 * (want * (1 - want) / 50_000) ** 0.5)
    torch.testing.assert_close(found.shares, torch.full((8,), want / 8), rtol=0.06, atol=0)
    torch.testing.assert_close(found.nearest, torch.full((8,), 1 / 8), rtol=0.06, atol=0)
    one = density("three-gaussians")
    found = mode_coverage(one.sample(50_000, torch.Generator().manual_seed(0)), one)
    assert found.within == pytest.approx(0.9973, abs=1e-3) and found.covered == 3
    torch.testing.assert_close(found.nearest, torch.tensor([0.3, 0.5, 0.2]), rtol=0, atol=0.01)


def test_collapse_onto_one_mode():
    found = mode_coverage(EIGHT.centers[[5]].repeat(100, 1), EIGHT)
    assert found.covered == 1 and found.within == 1
    assert found.shares.tolist() == [0, 0, 0, 0, 0, 1, 0, 0] == found.nearest.tolist()


def test_samples_between_the_modes_count_for_none():
    angle = torch.pi / 8 + torch.pi / 4 * torch.arange(8)
    between = 2 / 1.414 * torch.stack([angle.cos(), angle.sin()], 1)
    found = mode_coverage(between, EIGHT)
    assert found.covered == 0 and found.within == 0 and found.nearest.sum() == 1


def test_three_sigma_is_the_border():
    line = mixture([0.0], 2.0)
    assert mode_coverage(torch.tensor([[5.99], [-5.99], [6.01], [7.0]]), line).within == 0.5
    assert mode_coverage(torch.tensor([[5.99], [-5.99], [6.01], [7.0]]), line, radius=3.1).within == 0.75


@pytest.mark.parametrize(("name", "modes"), [("two-spirals", 2), ("checkerboard", 8), ("rings", 4)])
def test_arms_squares_and_rings_are_modes_too(name, modes):
    p = density(name)
    samples = p.sample(50_000, torch.Generator().manual_seed(0))
    found = mode_coverage(samples, p)
    assert p.modes == found.covered == modes and found.within > 0.985
    noise = 5 * (1 / modes / 50_000) ** 0.5
    torch.testing.assert_close(found.nearest, torch.full((modes,), 1 / modes), rtol=0, atol=noise)
    one = samples[p.nearest_mode(samples) == modes - 1]
    found = mode_coverage(one, p)
    assert found.covered == 1 and found.nearest[modes - 1] == 1 and found.shares.sum() == pytest.approx(found.within)
    assert mode_coverage(samples + 100, p).covered == 0


def test_a_point_belongs_to_the_arm_square_or_ring_it_lies_on():
    checkers, rings, spirals = density("checkerboard"), density("rings"), density("two-spirals")
    inside = checkers.sample(1000, torch.Generator().manual_seed(0))
    corner = checkers.corners[checkers.nearest_mode(inside)]
    assert ((inside - corner >= 0) & (inside - corner <= 2)).all()
    assert rings.nearest_mode(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, -2.7], [-9.0, 9.0]])).tolist() == [0, 0, 3, 3]
    t = torch.tensor([1.0, 4.0, 9.0])
    arm = spirals.curve(t) + spirals.side / 2
    assert spirals.nearest_mode(torch.cat([arm, -arm])).tolist() == [0, 0, 0, 1, 1, 1]


def test_a_mode_needs_a_tenth_of_its_weight():
    pair = mixture([-10.0, 10.0], 1.0, [0.8, 0.2])
    for rare, covered in ((1, 1), (3, 2)):  # of 100 samples: a tenth of the rare mode's share is 2
        samples = torch.tensor([-10.0] * (100 - rare) + [10.0] * rare)[:, None]
        assert mode_coverage(samples, pair).covered == covered
    assert mode_coverage(samples, pair, least=0.2).covered == 1


def test_a_diverged_sample_is_near_no_mode():
    found = mode_coverage(torch.full((4, 2), torch.nan), EIGHT)
    assert found.covered == 0 and found.within == 0


@pytest.mark.parametrize("shape", [(5,), (5, 3), (0, 2)])
def test_bad_input(shape):
    with pytest.raises(CourseError, match=r"\(N, 2\)"):
        mode_coverage(torch.zeros(shape), EIGHT)
