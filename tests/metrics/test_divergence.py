"""Divergences in the plane: against closed forms and scipy, on samples whose distance is known, and their floor."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from course_utils.data.cells import cell_masses
from course_utils.data.densities import mixture
from course_utils.data.points import PLANE, density
from course_utils.errors import CourseError
from course_utils.metrics.divergence import (
    FINE,
    TYPICAL,
    cell_counts,
    divergences,
    jsd,
    kl,
    skewed_kl,
    true_masses,
    typical,
    typical_cells,
)

P, Q = torch.tensor([0.5, 0.25, 0.25, 0.0]), torch.tensor([0.25, 0.25, 0.25, 0.25])
EIGHT = density("8-gaussians")


def drawn(p, n=20_000, seed=0):
    return p.sample(n, torch.Generator().manual_seed(seed))


def test_two_known_distributions():
    assert kl(P, Q) == pytest.approx(0.5 * math.log(2)) and kl(Q, P) == math.inf and kl(P, P) == 0
    middle = [0.375, 0.25, 0.25, 0.125]
    want = 0.5 * (0.5 * math.log(0.5 / 0.375) + 0.25 * math.log(0.25 / middle[0]) + 0.25 * math.log(2))
    assert jsd(P, Q) == pytest.approx(want) == jsd(Q, P)
    assert jsd(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])) == pytest.approx(math.log(2))
    assert skewed_kl(Q, P, 0.01) == pytest.approx(float(entropy(Q, 0.99 * P + 0.01 * Q)))
    assert skewed_kl(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 0.01) == pytest.approx(math.log(100))


def test_random_distributions_as_scipy_has_them():
    rng = np.random.default_rng(0)
    for _ in range(5):
        p, q = rng.dirichlet(np.full(50, 0.2)), rng.dirichlet(np.full(50, 0.2))
        a, b = torch.from_numpy(p), torch.from_numpy(q)
        assert jsd(a, b) == pytest.approx(jensenshannon(p, q) ** 2) and kl(a, b) == pytest.approx(entropy(p, q))
        assert skewed_kl(a, b, 1e-30) == pytest.approx(kl(a, b), rel=1e-6)


def test_the_smallest_numbers_are_no_infinity():
    """Cells between modes have masses down to 1e-320: their share of themselves is 0 in floating point, the log is not."""
    p = torch.tensor([1.0, 5e-324], dtype=torch.float64)
    q = torch.tensor([1.0, 0.0], dtype=torch.float64)
    assert skewed_kl(p, q, 1e-5) == pytest.approx(0, abs=1e-9) and jsd(p, q) == pytest.approx(0, abs=1e-9)


def test_counts_are_those_of_numpys_histogram():
    stray = torch.tensor([[4.5, 0.0], [0.0, -9.0], [torch.nan, 0.0], [torch.inf, 0.0]])
    samples = torch.cat([drawn(density("rings"), 3000), stray])
    counts = cell_counts(samples, density("rings"), 20)
    want = np.histogram2d(*samples[:3000].double().T.numpy(), bins=20, range=[[-4, 4]] * 2)[0]
    assert counts[:-1].view(20, 20).tolist() == want.tolist() and counts[-1] == 4 and counts.sum() == 3004
    cells, outside = cell_masses(density("rings"), 20)
    assert torch.equal(true_masses(density("rings"), 20), torch.cat([cells.flatten(), torch.tensor([outside])]))
    corner = cell_counts(torch.tensor([[-4.0, 3.99], [4.0, 0.0]]), density("rings"), 20)  # the lower edge belongs to a cell
    assert corner[19] == 1 and corner[-1] == 1


def test_real_samples_score_the_floor_and_more_of_them_less():
    few, many = divergences(drawn(EIGHT), EIGHT), divergences(drawn(EIGHT, 320_000), EIGHT)
    assert 0.0004 < few["jsd"] < 0.0010
    for name in few:
        assert 0 < many[name] < few[name] / 8  # it falls as 1 / n


def test_half_of_the_modes_missing():
    """Four of eight modes, each with twice its share: known apart from what a mode's own cells add."""
    half = mixture(EIGHT.centers[::2], EIGHT.sigma)
    found = divergences(drawn(half, 200_000), EIGHT)
    m = 0.5 * (1 / 8 + 1 / 4)
    want = 0.5 * (4 / 8 * math.log(1 / 8 / m) + 4 / 8 * math.log(2) + math.log(1 / 4 / m))
    assert found["jsd"] == pytest.approx(want, abs=2e-3)
    assert found["kl_model_data"] == pytest.approx(math.log(2), abs=2e-3)
    assert found["kl_data_model"] == pytest.approx(0.5 * math.log(200_001) - 0.5 * math.log(2), abs=1e-2)


def test_samples_in_a_wrong_place_cost_their_share_times_log_n():
    samples = drawn(EIGHT, 20_000)
    plain = divergences(samples, EIGHT)
    for place in ([0.0, 0.0], [50.0, 0.0], [math.nan, math.nan]):
        moved = samples.clone()
        moved[:2000] = torch.tensor(place)
        worse = divergences(moved, EIGHT)
        want = 0.1 * math.log(0.1 / (0.1 / 20_001)) + 0.9 * math.log(0.9)
        assert worse["kl_model_data"] - plain["kl_model_data"] == pytest.approx(want, abs=2e-3)
        assert worse["jsd"] > 0.03 and math.isfinite(worse["kl_data_model"])


def test_all_samples_elsewhere_is_the_worst():
    worst = divergences(torch.full((1000, 2), 99.0), EIGHT)
    assert worst["jsd"] == pytest.approx(math.log(2))
    assert worst["kl_model_data"] == pytest.approx(math.log(1001)) == worst["kl_data_model"]


@pytest.mark.parametrize("name", PLANE)
def test_the_typical_region_holds_its_mass_and_no_more_than_needed(name):
    p = density(name)
    region, (cells, _) = typical_cells(p), cell_masses(p, FINE)
    held = float(cells[region].sum())
    assert held >= TYPICAL and (name == "checkerboard" or held < TYPICAL + 1e-3)
    assert float(cells[region].min()) >= float(cells[~region].max())
    share = float(typical(drawn(p, 100_000), p).double().mean())
    assert share == pytest.approx(held, abs=4 * (TYPICAL * (1 - TYPICAL) / 100_000) ** 0.5)
    assert not typical(torch.tensor([[0.0, 50.0], [torch.nan, 0.0], [-50.0, 0.0]]), p).any()


def test_the_typical_region_of_gaussians_is_three_sigma():
    angle = torch.linspace(0, 6.2, 400)
    around = torch.stack([angle.cos(), angle.sin()], 1)
    assert typical(EIGHT.centers[3] + 2.5 * EIGHT.sigma * around, EIGHT).all()
    assert not typical(EIGHT.centers[3] + 3.6 * EIGHT.sigma * around, EIGHT).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: kl(P, Q[:3]), "q: got"),
        (lambda: jsd(2 * P, Q), "add up to 2"),
        (lambda: jsd(P, torch.tensor([1.5, -0.5, 0, 0])), "values from -0.5"),
        (lambda: skewed_kl(P, Q, 0.0), "share"),
        (lambda: divergences(torch.zeros(3), EIGHT), r"\(N, 2\)"),
        (lambda: divergences(torch.zeros(0, 2), EIGHT), "samples"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(CourseError, match=message):
        make()
