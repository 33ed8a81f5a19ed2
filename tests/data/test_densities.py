"""Densities of the plane: sampler, log density and cell masses agree with each other and with what can be computed otherwise."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import chi2, norm

from course_utils.data.cells import cell_edges, cell_masses
from course_utils.data.densities import Rings, Spirals, mixture
from course_utils.data.points import PLANE, density
from course_utils.errors import CourseError

NEW = ["two-spirals", "checkerboard", "rings"]


def centers_of(p, bins=100):
    edges = cell_edges(p, bins)
    middle = 0.5 * (edges[1:] + edges[:-1])
    return torch.cartesian_prod(middle, middle), float(edges[1] - edges[0]) ** 2


@pytest.mark.parametrize("name", NEW)
def test_a_density_integrates_to_one(name):
    p = density(name)
    x, cell = centers_of(p, 120)  # 0.067 wide: midpoints are exact to five digits for what is as smooth as 0.08
    assert float(p.log_density(x).exp().sum()) * cell == pytest.approx(1, abs=1e-5 if name != "checkerboard" else 0.03)


@pytest.mark.parametrize("name", PLANE)
def test_samples_fall_into_cells_as_often_as_they_should(name):
    """Pearson's statistic of a million samples in 100 x 100 cells and the outside, against its exact distribution."""
    p, n = density(name), 1_000_000
    masses, outside = cell_masses(p)
    assert float(masses.sum()) + outside == pytest.approx(1, abs=1e-12) and float(masses.min()) >= 0
    x = p.sample(n, torch.Generator().manual_seed(3))
    assert x.shape == (n, 2) and x.dtype == torch.float32
    edges = cell_edges(p).numpy()
    counts = torch.from_numpy(np.histogram2d(*x.double().T.numpy(), bins=(edges, edges))[0])
    often = n * masses >= 5
    rest = n * (1 - float(masses[often].sum()))
    terms = ((counts - n * masses).square() / (n * masses))[often]
    statistic = float(terms.sum()) + (n - float(counts[often].sum()) - rest) ** 2 / rest if rest > 5 else float(terms.sum())
    assert 1e-3 < chi2.cdf(statistic, int(often.sum()) - (rest <= 5)) < 1 - 1e-3
    assert counts[masses == 0].sum() == 0


@pytest.mark.parametrize("name", ["two-spirals", "rings"])
def test_cell_masses_are_the_integral_of_the_density(name):
    p, pick = density(name), torch.Generator().manual_seed(0)
    masses, _ = cell_masses(p, 40)
    edges = cell_edges(p, 40)
    node, weight = (torch.from_numpy(v) for v in np.polynomial.legendre.leggauss(12))
    for flat in torch.multinomial(masses.flatten(), 12, generator=pick).tolist():
        i, j = divmod(flat, 40)
        half = float(edges[1] - edges[0]) / 2
        x = torch.cartesian_prod(edges[i] + half * (node + 1), edges[j] + half * (node + 1))
        got = float((torch.cartesian_prod(weight, weight).prod(1) * p.log_density(x).exp()).sum()) * half**2
        assert got == pytest.approx(float(masses[i, j]), rel=1e-6)


def test_masses_of_eight_gaussians_are_products_of_error_functions():
    p = density("8-gaussians")
    masses, outside = cell_masses(p)
    edges = cell_edges(p).numpy()
    cdf = norm.cdf(edges[:, None], p.centers.double().numpy().T[:, None], p.sigma)  # (D, E, K)
    want = np.einsum("ik,jk->ij", *np.diff(cdf, axis=1)) / 8
    np.testing.assert_allclose(masses.numpy(), want, atol=1e-15)
    assert p.window == 2 and outside < 1e-12
    far = cell_masses(mixture([[0.0, 0.0]], 0.1), 4, 4.0)[0][3, 3]  # 20 sigma from the mode on both axes, yet with all digits
    assert float(far.log()) == pytest.approx(2 * float(norm.logsf(20)), rel=1e-6)


def test_the_checkerboard_fills_every_other_square():
    p = density("checkerboard")
    masses, outside = cell_masses(p, 4)  # the squares themselves
    i, j = torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")
    torch.testing.assert_close(masses, ((i + j) % 2 == 0).double() / 8)
    assert outside == 0 and cell_masses(p, 4, 2.0)[1] == pytest.approx(0.75)
    x = torch.tensor([[-4.0, -4.0], [-3.9, 1.0], [-3.9, -1.0], [3.9, -0.1], [3.9, 4.1]])
    filled = [True, True, False, True, False]
    assert p.log_density(x).tolist() == pytest.approx([-math.log(32) if inside else -math.inf for inside in filled])
    assert p.log_density(p.sample(10_000, torch.Generator().manual_seed(0))).isfinite().all()


def test_the_density_of_rings_is_that_of_noise_around_circles():
    p = density("rings")
    assert p.radii == (0.75, 1.5, 2.25, 3.0) and p.sigma == 0.08
    for x in ([0.75, 0.0], [1.2, -0.9], [0.02, 0.01], [2.9, 2.4]):

        def around(angle, radius, x=x):
            square = (x[0] - radius * math.cos(angle)) ** 2 + (x[1] - radius * math.sin(angle)) ** 2
            return math.exp(-square / (2 * p.sigma**2)) / (2 * math.pi * p.sigma**2) / (2 * math.pi)

        middle = math.atan2(x[1], x[0])
        want = sum(quad(around, middle - math.pi, middle + math.pi, (r,), points=[middle], epsabs=0)[0] for r in p.radii) / 4
        assert float(p.log_density(torch.tensor([x], dtype=torch.float64))) == pytest.approx(math.log(want), abs=1e-6)


def test_the_density_of_spirals_is_the_line_integral():
    p = density("two-spirals")

    def smeared(v):
        return (norm.cdf(v / 0.1) - norm.cdf((v - 1 / 6) / 0.1)) * 6

    def along(t, x, sign):
        c = np.array([-t * math.cos(t), t * math.sin(t)]) / 3
        return 2 * t / (3 * math.pi) ** 2 * smeared(sign * x[0] - c[0]) * smeared(sign * x[1] - c[1])

    for x in ([1.0, 0.3], [-1.0, -0.3], [0.1, 0.1], [3.2, 0.1], [-2.0, 1.5]):
        pieces = np.linspace(0, 3 * math.pi, 31)
        want = sum(0.5 * quad(along, a, b, (x, s))[0] for s in (1, -1) for a, b in zip(pieces, pieces[1:], strict=False))
        assert float(p.log_density(torch.tensor([x], dtype=torch.float64)).exp()) == pytest.approx(want, rel=1e-8)
    far = p.log_density(torch.tensor([[60.0, -80.0]], dtype=torch.float64))
    assert -1e6 < float(far) < -1e5  # a hundred away: finite, about -(97 / 0.1)^2 / 2


@pytest.mark.parametrize("finer", [replace(Spirals(), panels=120), replace(Rings(), angles=2000)])
def test_a_finer_cut_changes_nothing(finer):
    plain = type(finer)()
    torch.testing.assert_close(cell_masses(finer)[0], cell_masses(plain)[0], rtol=0, atol=1e-14)
    x = plain.sample(200, torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(finer.log_density(x), plain.log_density(x), rtol=0, atol=1e-9)


def test_spirals_are_the_published_ones():
    p = density("two-spirals")
    x = p.sample(200_000, torch.Generator().manual_seed(1))
    g = torch.Generator().manual_seed(2)
    n = torch.rand(100_000, 1, generator=g).sqrt() * 540 * 2 * math.pi / 360
    arm = torch.cat([-n.cos() * n, n.sin() * n], 1) + 0.5 * torch.rand(100_000, 2, generator=g)
    published = torch.cat([arm, -arm]) / 3 + 0.1 * torch.randn(200_000, 2, generator=g)
    counts = [torch.histogramdd(v, [12, 12], range=[-4.0, 4.0] * 2).hist for v in (x, published)]
    seen = sum(counts) > 20
    statistic = ((counts[0] - counts[1]).square() / sum(counts))[seen].sum()  # pairs of arms: two draws are not independent
    assert float(statistic) < 1.5 * float(chi2.ppf(0.999, int(seen.sum())))


@pytest.mark.parametrize("name", PLANE)
def test_precision_and_seed(name):
    p = density(name)
    draw = [p.sample(50, torch.Generator().manual_seed(seed), dtype=torch.float64) for seed in (0, 0, 1)]
    assert draw[0].dtype == torch.float64 and torch.equal(draw[0], draw[1]) and not torch.equal(draw[0], draw[2])
    single, double = (p.log_density(draw[0].to(t)) for t in (torch.float32, torch.float64))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cell_masses(density("gaussian")), "density: got 'a density in 1-D'"),
        (lambda: cell_masses(density("rings"), 0), "bins: got 0"),
        (lambda: cell_masses(density("rings"), 10, -1.0), "window: got -1.0"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(CourseError, match=message):
        make()
