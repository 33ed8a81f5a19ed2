"""Densities of points: they integrate to one, and their samplers draw from them."""

import math

import pytest
import torch

from course_utils.data.points import DENSITIES, SIZES, GaussianMixture, PointSet, density, mixture, points, read
from course_utils.errors import CourseError

MIXTURES = [name for name in DENSITIES if isinstance(density(name), GaussianMixture)]  # the others: test_densities.py


def grid(p, steps=400):
    """A fine grid around the mixture (M, D), in float64, and the volume of its cell."""
    reach = 8 * p.sigma
    if p.shape == (1,):
        axis = torch.linspace(float(p.centers.min()) - reach, float(p.centers.max()) + reach, 20_001, dtype=torch.float64)
        return axis[:, None], float(axis[1] - axis[0])
    axis = torch.linspace(-reach, reach, steps, dtype=torch.float64)
    square = torch.cartesian_prod(axis, axis)
    return (p.centers.double()[:, None] + square).flatten(0, 1), float(axis[1] - axis[0]) ** 2


@pytest.mark.parametrize("name", MIXTURES)
def test_a_density_integrates_to_one(name):
    p = density(name)
    x, cell = grid(p)  # in 2-D the modes are far apart: one patch around each
    assert float(p.log_density(x).exp().sum()) * cell == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", MIXTURES)
def test_log_density_is_the_mixtures(name):
    p = density(name)
    normal = torch.distributions.MultivariateNormal
    parts = [normal(c, p.sigma**2 * torch.eye(len(c), dtype=torch.float64)) for c in p.centers.double()]
    x = p.sample(200, torch.Generator().manual_seed(0)).double()
    want = sum(w * part.log_prob(x).exp() for w, part in zip(p.weights.double(), parts, strict=True)).log()
    torch.testing.assert_close(p.log_density(x), want)


@pytest.mark.parametrize("name", MIXTURES)
def test_the_sampler_draws_from_the_density(name):
    """Mean negative log density of the samples = the entropy by quadrature; moments = the mixture's."""
    p, n = density(name), 100_000
    sample = p.sample(n, torch.Generator().manual_seed(1)).double()
    x, cell = grid(p)
    log = p.log_density(x)
    found = p.log_density(sample)
    assert float(found.mean()) == pytest.approx(float((log.exp() * log).sum()) * cell, abs=4 * float(found.std()) / n**0.5)
    mean = (p.weights[:, None] * p.centers).sum(0).double()
    second = (p.weights[:, None] * p.centers.square()).sum(0).double() + p.sigma**2
    torch.testing.assert_close(sample.mean(0), mean, rtol=0, atol=5 * float(second.max()) ** 0.5 / n**0.5)
    torch.testing.assert_close(sample.square().mean(0), second, rtol=0.02, atol=0)


def test_eight_gaussians_are_the_published_ones():
    p = density("8-gaussians")
    assert p.shape == (2,) and len(p.centers) == 8 and p.sigma == pytest.approx(0.02 / 1.414)
    radius, diagonal = 2 / 1.414, 2 / 1.414 / math.sqrt(2)
    torch.testing.assert_close(p.centers.norm(dim=1), torch.full((8,), radius))
    torch.testing.assert_close(p.centers[:2], torch.tensor([[radius, 0.0], [diagonal, diagonal]]))
    torch.testing.assert_close(p.centers.sum(0), torch.zeros(2), rtol=0, atol=1e-6)


def test_a_point_set_is_what_the_loop_reads():
    train, test = points("8-gaussians", 100), points("8-gaussians", 100, "test")
    assert len(train) == 100 and train.shape == (2,) and train.labels is None
    assert torch.equal(train.floats([3, 1]), train.images[[3, 1]]) and train.floats(3).shape == (1, 2)
    train.floats().zero_()
    train.floats(slice(0, 5)).zero_()
    assert train.images.abs().min(1).values.min() > 0  # what it hands out is a copy
    assert train.sha256() == points("8-gaussians", 100).sha256()
    others = {test.sha256(), points("8-gaussians", 100, seed=1).sha256(), points("8-gaussians", 99).sha256()}
    assert len({train.sha256(), *others}) == 4


def test_a_data_set_of_the_plane():
    train, test = read("rings", "train"), read("rings", "test")
    assert (len(train), len(test)) == (SIZES["train"], SIZES["test"]) and train.shape == test.shape == (2,)
    assert read("rings", "test").sha256() == test.sha256() != train.sha256()
    assert not torch.isin(test.images[:, 0], train.images[:, 0]).float().mean() > 0.2  # other draws, not a part of them


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: read("rings", "train", 32), "size: got 32"),
        (lambda: density("9-gaussians"), "Did you mean '8-gaussians'"),
        (lambda: points("8-gaussians", 0), "n: got 0"),
        (lambda: points("8-gaussians", split="validation"), "split"),
        (lambda: mixture([0.0, 1.0], 0.0), "sigma"),
        (lambda: mixture([0.0, 1.0], 1.0, [1.0]), "weights"),
        (lambda: mixture([0.0, 1.0], 1.0, [1.0, -1.0]), "weights"),
        (lambda: PointSet(torch.zeros(3, 2).double(), "toy", "train"), "float32"),
        (lambda: PointSet(torch.zeros(3), "toy", "train"), "images"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(CourseError, match=message):
        make()
