"""Importance-weighted likelihood against the exact likelihood of a linear-Gaussian model."""

import math

import pytest
import torch
from torch import nn

from course_utils.errors import CourseError
from course_utils.methods.base import LatentModel, Posterior
from course_utils.methods.vae import VAE, VAEConfig, gaussian_nll
from course_utils.metrics import importance_weighted_log_likelihood as iwae
from course_utils.metrics.likelihood import importance_log_weights, log_mean_exp

SHAPE, Z, VARIANCE = (1, 3, 4), 3, 0.4


class LinearGaussian(LatentModel):
    """x = W z + b + noise of variance s, with W's columns orthogonal: its posterior is Gaussian and *diagonal*.

    Exactly, q(z|x) = N((W'W + s I)^-1 W' (x - b), s (W'W + s I)^-1). `shift` and `scale` make it worse on purpose."""

    def __init__(self, shift=0.0, scale=1.0):
        super().__init__(VAEConfig(latent_dim=Z), SHAPE)
        generator = torch.Generator().manual_seed(0)
        columns = torch.linalg.qr(torch.randn(12, Z, generator=generator, dtype=torch.float64))[0]
        self.w = nn.Parameter(columns * torch.tensor([2.0, 1.0, 0.3]))
        self.b = nn.Parameter(torch.randn(12, generator=generator, dtype=torch.float64))
        self.shift, self.scale = shift, scale

    def encode(self, x):
        precision = (self.w.square().sum(0) + VARIANCE) / VARIANCE  # (Z,), of the posterior
        mean = (x.flatten(1) - self.b) @ self.w / VARIANCE / precision
        logvar = (self.scale**2 / precision).log().expand_as(mean)
        return Posterior(mean + self.shift, logvar)

    def decode(self, z):
        return (z @ self.w.T + self.b).unflatten(1, SHAPE)

    def log_likelihood(self, x, z):
        return -gaussian_nll(x, self.decode(z), VARIANCE, constant=True)

    def exact(self, x):
        covariance = self.w @ self.w.T + VARIANCE * torch.eye(12, dtype=torch.float64)
        return torch.distributions.MultivariateNormal(self.b, covariance).log_prob(x.flatten(1)).detach()


@pytest.fixture
def x():
    return torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("k", [1, 2, 7, 50])
def test_with_the_exact_posterior_every_k_gives_the_exact_likelihood(x, k):
    model = LinearGaussian()
    torch.testing.assert_close(iwae(model, x, k, generator()), model.exact(x), rtol=1e-10, atol=1e-10)


def test_every_single_weight_is_the_likelihood_there(x):
    model = LinearGaussian()
    weights = importance_log_weights(model, x, 20, generator())
    assert weights.shape == (20, 4)
    torch.testing.assert_close(weights, model.exact(x).expand(20, 4), rtol=1e-10, atol=1e-10)


def test_a_worse_posterior_gives_a_lower_bound_that_tightens_with_k(x):
    model = LinearGaussian(shift=0.3, scale=1.5)
    exact, n = model.exact(x), 5000
    bounds, errors = [], []
    for k in (1, 2, 5, 20, 100):
        draws = iwae(model, x.repeat(n, 1, 1, 1), k, generator(k)).view(n, 4)  # n draws of each image's bound
        bounds.append(draws.mean(0))
        errors.append(draws.std(0) / math.sqrt(n))
    for lower, upper, a, b in zip(bounds, bounds[1:], errors, errors[1:], strict=False):
        assert (upper - lower > 2 * (a.square() + b.square()).sqrt()).all()  # beyond the spread of the draws
    for bound, error in zip(bounds, errors, strict=True):
        assert (bound < exact + 4 * error).all()
    assert (bounds[0] < exact - 0.3).all() and (bounds[-1] > exact - 0.1).all()


def test_k_of_one_is_the_elbo(x):
    """In expectation: E_q[log p(x|z)] - KL, for this model in closed form."""
    model = LinearGaussian(shift=0.3, scale=1.5)
    posterior = model.encode(x)
    spread = (model.w.square() @ posterior.logvar.exp().T).sum(0) / (2 * VARIANCE)  # from the variance of z
    elbo = model.log_likelihood(x, posterior.mean) - spread - posterior.kl()
    draws = importance_log_weights(model, x, 20_000, generator())
    error = draws.std(0) / math.sqrt(len(draws))
    assert (error < 0.05).all() and ((draws.mean(0) - elbo).abs() < 4 * error).all()


def test_a_standard_deviation_for_a_variance_would_be_noticed(x):
    """The weights use exp(logvar) as a variance: with logvar / 2 in its place they no longer give the likelihood."""
    model = LinearGaussian()
    wrong = model.encode
    model.encode = lambda x: Posterior(wrong(x).mean, wrong(x).logvar / 2)
    assert ((iwae(model, x, 1, generator()) - model.exact(x)).abs() > 0.01).any()


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_bound_of_a_vae_is_monotone_in_k(likelihood):
    """E[L_k] <= E[L_2k], on one set of samples: the mean of two halves' bounds is at most the bound of all (Jensen)."""
    model = VAE(VAEConfig(latent_dim=3, widths=(4,), likelihood=likelihood), (1, 8, 8))
    with torch.no_grad():
        model.encoder.head.weight.mul_(20)
    x = torch.rand(3, 1, 8, 8).round()
    weights = importance_log_weights(model, x, 64, generator()).double()
    last = None
    for k in (1, 2, 4, 8, 16, 32, 64):
        bound = torch.stack([log_mean_exp(part) for part in weights.split(k)]).mean(0)
        if last is not None:
            assert (bound >= last - 1e-9).all()
        last = bound
    assert (last > weights.mean(0) + 0.01).all()
    torch.testing.assert_close(last, iwae(model, x, 64, generator()).double())


def test_log_mean_exp_does_not_overflow():
    assert log_mean_exp(torch.tensor([[-2000.0], [-2000.0]])).item() == -2000.0
    assert log_mean_exp(torch.tensor([[1e4], [1e4 - 1e3]])).item() == pytest.approx(1e4 - math.log(2))
    weights = torch.randn(5, 3, dtype=torch.float64)
    torch.testing.assert_close(log_mean_exp(weights), weights.exp().mean(0).log())


def test_one_seed_gives_one_number_and_the_model_keeps_its_mode():
    model = VAE(VAEConfig(latent_dim=3, network="dcgan64"), (1, 8, 8)).train()
    x = torch.rand(2, 1, 8, 8)
    first, again, other = (iwae(model, x, 5, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert model.training and not first.requires_grad


@pytest.mark.parametrize("k", [0, -3])
def test_k_must_be_positive(x, k):
    with pytest.raises(CourseError, match="k: got"):
        iwae(LinearGaussian(), x, k)
