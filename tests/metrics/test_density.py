"""A model's density on a grid, where the model is linear and everything is known exactly."""

import math
from types import SimpleNamespace

import pytest
import torch
from stand_ins import Generator
from torch import nn

from course_utils import methods
from course_utils.data.densities import mixture
from course_utils.data.points import density
from course_utils.errors import CourseError
from course_utils.methods.base import LatentModel, Posterior
from course_utils.methods.gan import GANConfig
from course_utils.methods.vae import VAE, gaussian_nll
from course_utils.metrics.density import model_density, prior_density

SIDES, VARIANCE = (0.9, 0.3), 0.04  # p(x) is a Gaussian turned by 30 degrees, its variances 0.81 + 0.04 and 0.09 + 0.04
WINDOW = mixture([[0.0, 0.0]], 0.99)  # only its window is used: 6


class Linear(LatentModel):
    """x = W z + noise, with W's columns orthogonal, so that the exact posterior is a diagonal Gaussian.

    spread: what multiplies the posterior's variance; 1 is exact. The ELBO is then log p(x) - (spread - 1 - log spread)."""

    def __init__(self, spread=1.0, sides=SIDES):
        super().__init__(SimpleNamespace(latent_dim=2), (2,))
        cos, sin = math.cos(math.pi / 6), math.sin(math.pi / 6)
        turn = torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float64)
        self.sides, self.spread = torch.tensor(sides, dtype=torch.float64), spread
        self.weight = nn.Parameter(turn * self.sides)

    def encode(self, x):
        variance = 1 / (1 + self.sides.square() / VARIANCE)
        mean = x @ self.weight * variance / VARIANCE
        return Posterior(mean, (self.spread * variance).log().expand_as(mean))

    def decode(self, z):
        return z.to(self.weight) @ self.weight.T

    def log_likelihood(self, x, z):
        return -gaussian_nll(x, self.decode(z), VARIANCE, constant=True)

    elbo = VAE.elbo

    def exact(self, variance=VARIANCE):
        covariance = self.weight.detach() @ self.weight.detach().T + variance * torch.eye(2, dtype=torch.float64)
        return torch.distributions.MultivariateNormal(torch.zeros(2, dtype=torch.float64), covariance)


def centers(found):
    middle = 0.5 * (found.edges[1:] + found.edges[:-1])
    return torch.cartesian_prod(middle, middle)


def test_importance_weighting_with_the_exact_posterior_is_exact_for_any_k():
    model = Linear()
    found = model_density(model, WINDOW, "importance", k=1, bins=120)
    torch.testing.assert_close(found.log_density.flatten(), model.exact().log_prob(centers(found)), rtol=0, atol=1e-8)
    assert found.normalizer == pytest.approx(1, abs=1e-8) and float(found.masses.sum()) == pytest.approx(1)
    assert found.edges[0] == -WINDOW.window and len(found.edges) == 121


@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_the_elbos_normalizer_says_how_loose_it_is(spread):
    model = Linear(spread)
    found = model_density(model, WINDOW, "elbo", k=400, bins=60)
    assert found.log_normalizer == pytest.approx(-(spread - 1 - math.log(spread)), abs=0.02)
    exact = model.exact().log_prob(centers(found)).view(60, 60)  # too wide by as much everywhere: normalized, it is right
    near = exact > exact.max() - 4
    torch.testing.assert_close(found.log_density[near], exact[near], rtol=0, atol=0.5)
    assert float((found.log_density - exact)[near].mean()) == pytest.approx(0, abs=0.03)


def test_importance_weighting_comes_closer_with_k():
    model = Linear(3.0)
    found = [model_density(model, WINDOW, "importance", k=k, bins=60) for k in (1, 10, 300)]
    exact = model.exact().log_prob(centers(found[0])).view(60, 60)
    near = exact > exact.max() - 4
    errors = [float((one.log_density + one.log_normalizer - exact)[near].mean()) for one in found]
    assert errors[0] == pytest.approx(-(2 - math.log(3)), abs=0.3)  # one sample: the ELBO
    assert errors[0] < 5 * errors[1] < 25 * errors[2] < 0.1  # it rises to log p(x)
    assert found[2].log_normalizer == pytest.approx(0, abs=0.02)  # and is a density
    assert model_density(model, WINDOW, "elbo", k=100, bins=60).log_normalizer < -0.85  # which exp(ELBO) never is


def test_the_density_by_its_definition():
    """The mean over codes of the decoder's Gaussian: what importance weighting tends to, for any encoder."""
    model = Linear(30.0)
    found = prior_density(model, WINDOW, VARIANCE, bins=60)
    exact = model.exact().log_prob(centers(found)).view(60, 60)
    near = exact > exact.max() - 3
    torch.testing.assert_close(found.log_density[near], exact[near], rtol=0, atol=0.1)
    assert float((found.masses - exact.exp() * 0.04).abs().sum()) < 0.03 and float(found.masses.sum()) == pytest.approx(1)
    assert found.normalizer == pytest.approx(1, abs=1e-4)
    cut = prior_density(model, mixture([[0.0, 0.0]], 0.16), VARIANCE, bins=20)  # the window is 1
    inside = model.exact().sample((200_000,)).abs().max(1).values < 1
    assert cut.normalizer == pytest.approx(float(inside.double().mean()), abs=0.01)
    gan = methods.build("gan", GANConfig(network="mlp", width=4), (2,))
    assert prior_density(gan, WINDOW, 0.1, n=50).normalizer == pytest.approx(1, abs=1e-6)  # it needs no encoder


def test_another_variance_of_the_decoder():
    model = Linear()
    plain, same, wider = (model_density(model, WINDOW, k=500, bins=60, variance=v) for v in (None, VARIANCE, 2 * VARIANCE))
    torch.testing.assert_close(same.log_density, plain.log_density)
    exact = model.exact(2 * VARIANCE).log_prob(centers(wider)).view(60, 60)
    near = exact > exact.max() - 4
    off, other = ((wider.log_density - truth)[near].abs().mean() for truth in (exact, plain.log_density))
    assert float(off) < 0.1 < float(other)
    elbo = model_density(model, WINDOW, "elbo", k=200, bins=60, variance=2 * VARIANCE)
    assert elbo.log_normalizer < -0.1  # the posterior is the other decoder's
    assert wider.log_normalizer == pytest.approx(0, abs=0.05)


def test_the_divergence_to_a_known_density():
    """A round model against round densities: the same one, and one whose modes it does not have."""
    model = Linear(sides=(0.3, 0.3))
    same = mixture([[0.0, 0.0]], (0.09 + VARIANCE) ** 0.5)
    found = model_density(model, same, k=1, bins=200)
    assert found.jsd(same) < 1e-4
    far = mixture([[-2.3, 0.0], [2.3, 0.0]], 0.05)  # the same window, 3
    assert far.window == same.window == 3 and found.jsd(far) == pytest.approx(math.log(2), abs=1e-3)


def test_the_seed_decides():
    first, again, other = (model_density(Linear(2.0), WINDOW, "elbo", k=2, bins=10, seed=s) for s in (0, 0, 1))
    assert torch.equal(first.log_density, again.log_density) and not torch.equal(first.log_density, other.log_density)



@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: model_density(Linear(), WINDOW, "gnelbo"), "kind: got 'gnelbo', allowed: elbo, importance"),
        (lambda: model_density(Linear(), WINDOW, k=0), "k: got 0"),
        (lambda: model_density(Linear(), WINDOW, variance=0.0), "variance: got 0.0"),
        (lambda: prior_density(Linear(), WINDOW, -1.0), "variance: got -1.0"),
        (lambda: prior_density(Generator(), WINDOW, 1.0), "model: got 'Generator'"),
        (lambda: model_density(Generator(), WINDOW), "model: got 'Generator'"),
        (lambda: model_density(methods.build("gan", GANConfig(network="mlp", width=4), (2,)), WINDOW), "with an encoder"),
        (lambda: model_density(Linear(), density("gaussian")), "density: got 'a density in 1-D'"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(CourseError, match=message):
        make()
