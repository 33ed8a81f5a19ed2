"""Every formula against a closed form, torch.distributions, Monte Carlo or finite differences."""

import math

import pytest
import torch
from torch import distributions as D
from torch.autograd import gradcheck

from course_utils.errors import CourseError
from course_utils.methods import vae
from course_utils.methods.autoencoder import split_moments, sse
from course_utils.methods.base import LOGVAR_RANGE, Posterior, gaussian_log_prob, kl_per_dimension

DOUBLE = torch.float64


def draw(*shape, seed=0, dtype=DOUBLE):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture
def posterior():
    return Posterior(draw(5, 4, seed=1), draw(5, 4, seed=2))


def normal(posterior):
    return D.Normal(posterior.mean, (posterior.logvar / 2).exp())


# KL


def test_kl_against_torch_distributions(posterior):
    want = D.kl_divergence(normal(posterior), D.Normal(0.0, 1.0))
    torch.testing.assert_close(posterior.kl_per_dim(), want.to(DOUBLE), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(posterior.kl(), want.sum(1))
    torch.testing.assert_close(vae.kl_standard_normal(posterior.mean, posterior.logvar), want.sum(1))


def test_kl_against_monte_carlo(posterior):
    n = 40_000
    z = posterior.mean + draw(n, 5, 4, seed=3) * (posterior.logvar / 2).exp()
    ratios = posterior.log_prob(z) - gaussian_log_prob(z)  # (n, 5)
    error = ratios.std(0) / math.sqrt(n)
    assert (error < 0.05).all()
    assert ((ratios.mean(0) - posterior.kl()).abs() < 4 * error).all()


def test_kl_is_zero_at_the_prior_and_positive_elsewhere():
    zero = torch.zeros(2, 3)
    assert (vae.kl_standard_normal(zero, zero) == 0).all()
    assert (kl_per_dimension(draw(100, 3, seed=4), draw(100, 3, seed=5)) > 0).all()


def test_kl_sums_over_dimensions_and_keeps_the_batch(posterior):
    one = posterior.kl()
    copies = Posterior(posterior.mean.repeat(3, 1), posterior.logvar.repeat(3, 1)).kl()
    assert copies.shape == (15,) and torch.equal(copies, one.repeat(3))  # a batch of copies: the same value each
    wide = Posterior(posterior.mean.repeat(1, 7), posterior.logvar.repeat(1, 7)).kl()
    torch.testing.assert_close(wide, 7 * one)  # seven times the dimensions: seven times the KL


# Likelihoods


@pytest.mark.parametrize("variance", [0.5, 1.0, 0.01, 3.0])
def test_gaussian_nll_against_torch_distributions(variance):
    x, mean = draw(3, 2, 4, 4, seed=1), draw(3, 2, 4, 4, seed=2)
    want = -D.Normal(mean, math.sqrt(variance)).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(vae.gaussian_nll(x, mean, variance, constant=True), want)
    shift = 16 * math.log(2 * math.pi * variance)  # 32 pixels, half a log each
    torch.testing.assert_close(vae.gaussian_nll(x, mean, variance), want - shift)


def test_half_a_variance_makes_the_nll_the_squared_error():
    x, mean = draw(3, 1, 4, 4, seed=1), draw(3, 1, 4, 4, seed=2)
    torch.testing.assert_close(vae.gaussian_nll(x, mean), sse(x, mean), rtol=0, atol=0)


def test_bernoulli_nll_against_torch_distributions():
    logits = 3 * draw(3, 1, 4, 4, seed=1)
    x = (draw(3, 1, 4, 4, seed=2) > 0).to(DOUBLE)
    want = -D.Bernoulli(logits=logits).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(vae.bernoulli_nll(x, logits), want)
    gray = draw(3, 1, 4, 4, seed=3).sigmoid()
    p = logits.sigmoid()
    want = -(gray * p.log() + (1 - gray) * (1 - p).log()).flatten(1).sum(1)
    torch.testing.assert_close(vae.bernoulli_nll(gray, logits), want)


def test_bernoulli_nll_stays_finite_at_huge_logits():
    x, logits = torch.tensor([[0.0, 1.0]]), torch.tensor([[300.0, -300.0]])
    assert vae.bernoulli_nll(x, logits).item() == pytest.approx(600)


def test_sse_sums_over_pixels_and_keeps_the_batch():
    x = torch.zeros(4, 3, 5, 5)
    assert torch.equal(sse(x, x + 2), torch.full((4,), 300.0))


@pytest.mark.parametrize("loss", [sse, vae.gaussian_nll, vae.bernoulli_nll])
def test_shapes_are_never_broadcast(loss):
    with pytest.raises(CourseError, match=r"\(2, 1, 4, 6\)"):
        loss(torch.zeros(2, 1, 6, 4), torch.zeros(2, 1, 4, 6))
    with pytest.raises(CourseError):
        loss(torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 4, 4))


@pytest.mark.parametrize("loss", [sse, vae.gaussian_nll, vae.bernoulli_nll])
def test_losses_sum_in_float32_whatever_comes_in(loss):
    x = torch.full((1, 1, 64, 64), 0.25)
    assert loss(x.bfloat16(), torch.zeros_like(x).bfloat16()).dtype == torch.float32
    assert loss(x, torch.zeros_like(x).bfloat16()).dtype == torch.float32
    assert loss(x.double(), torch.zeros_like(x).double()).dtype == torch.float64
    exact = loss(x, torch.zeros_like(x))
    assert torch.equal(loss(x.bfloat16(), torch.zeros_like(x).bfloat16()), exact)  # 0.25 and 0 are exact in bfloat16


def test_gaussian_log_prob_against_torch_distributions(posterior):
    z = draw(6, 5, 4, seed=9)  # six samples of each image's posterior
    torch.testing.assert_close(posterior.log_prob(z), normal(posterior).log_prob(z).sum(-1))
    torch.testing.assert_close(gaussian_log_prob(z), D.Normal(0.0, 1.0).log_prob(z).sum(-1).to(DOUBLE))


# Sampling


def test_reparameterize_has_the_right_mean_and_standard_deviation():
    mu, logvar = torch.tensor([[1.5, -2.0]], dtype=DOUBLE), torch.tensor([[-2.0, 1.0]], dtype=DOUBLE)
    n = 100_000
    z = vae.reparameterize(mu.expand(n, 2), logvar.expand(n, 2), draw(n, 2))
    std = (logvar / 2).exp()[0]
    assert ((z.mean(0) - mu[0]).abs() < 4 * std / math.sqrt(n)).all()
    assert ((z.std(0) / std - 1).abs() < 4 / math.sqrt(2 * n)).all()
    assert torch.equal(vae.reparameterize(mu, logvar, torch.zeros_like(mu)), mu)


def test_posterior_sampling_is_decided_by_noise_or_generator(posterior):
    noise = draw(5, 4, seed=8)
    want = posterior.mean + noise * (posterior.logvar / 2).exp()
    torch.testing.assert_close(posterior.sample(noise), want)
    twice = [posterior.sample(generator=torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)]
    assert torch.equal(twice[0], twice[1]) and not torch.equal(twice[0], twice[2])


def test_a_point_has_no_distribution():
    point = Posterior(torch.ones(2, 3))
    assert torch.equal(point.sample(), point.mean)
    for ask in (point.kl, point.kl_per_dim, lambda: point.log_prob(point.mean)):
        with pytest.raises(TypeError, match="a point"):
            ask()


def test_second_half_of_the_head_is_logvar_or_log_std():
    out = draw(2, 6, seed=1)
    assert torch.equal(split_moments(out, "logvar").logvar, out[:, 3:])
    log_std = split_moments(out, "log_std")
    assert torch.equal(log_std.mean, out[:, :3])
    torch.testing.assert_close((log_std.logvar / 2).exp(), out[:, 3:].exp())  # the standard deviation is exp(log_std)


@pytest.mark.parametrize("head", ["logvar", "log_std"])
def test_an_extreme_logvar_stays_finite(head):
    out = torch.tensor([[1.0, 1.0, 1e6, -1e6]], requires_grad=True)
    posterior = split_moments(out, head)
    low, high = LOGVAR_RANGE
    assert posterior.logvar.tolist() == [[high, low]]
    value = (posterior.kl() + posterior.log_prob(torch.zeros(1, 2))).sum() + posterior.sample(torch.ones(1, 2)).sum()
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(out.grad).all()


# ELBO, beta, free bits


def test_negative_elbo_weighs_the_kl_alone():
    rec, kl = torch.tensor([10.0, 20.0]), torch.tensor([1.0, 3.0])
    assert vae.negative_elbo(rec, kl).tolist() == [11.0, 23.0]
    assert vae.negative_elbo(rec, kl, 4.0).tolist() == [14.0, 32.0]
    assert vae.negative_elbo(rec, kl, 0.0).tolist() == [10.0, 20.0]


def test_free_bits_floor_each_dimension_of_the_batch_mean():
    kl = torch.tensor([[0.0, 1.0, 4.0], [0.4, 3.0, 2.0]])  # means 0.2, 2, 3
    assert vae.free_bits_kl(kl, 0.5).item() == pytest.approx(0.5 + 2 + 3)
    assert vae.free_bits_kl(kl, 0.0).item() == pytest.approx(kl.sum(1).mean().item())
    kl.requires_grad_()
    vae.free_bits_kl(kl, 0.5).backward()
    assert kl.grad.tolist() == [[0.0, 0.5, 0.5]] * 2  # below the floor a dimension costs nothing


def test_linear_beta_in_twenty_stairs_is_the_published_schedule():
    epochs, steps = 20, 195
    total = epochs * steps
    betas = [vae.beta_at(step / total, beta=1.0, schedule="linear", stairs=20) for step in range(total)]
    for step, beta in enumerate(betas):
        assert beta == pytest.approx((step // steps) / 20, abs=1e-12)  # e / 20 during all of epoch e
    assert betas[-1] == pytest.approx(0.95) and sum(betas) / total == pytest.approx(0.475)


def test_beta_schedules():
    def at(progress, **changes):
        return vae.beta_at(progress, beta=4.0, **changes)

    assert [at(p) for p in (0, 0.3, 1)] == [4.0] * 3
    assert [at(p, schedule="linear") for p in (0, 0.25, 0.5, 1)] == [0, 1, 2, 4]
    assert [at(p, schedule="linear", start=2.0) for p in (0, 0.5, 1)] == [2, 3, 4]
    assert [at(p, schedule="linear", fraction=0.5) for p in (0, 0.25, 0.5, 0.9)] == [0, 2, 4, 4]
    cyclical = [at(p, schedule="cyclical", cycles=2, fraction=0.5) for p in (0, 0.125, 0.25, 0.4, 0.5, 0.625, 0.75)]
    assert cyclical == [0, 2, 4, 4, 0, 2, 4]
    assert {at(1.0, schedule=name, stairs=3) for name in vae.SCHEDULES} == {4.0}


def test_a_model_reads_its_schedule_from_the_progress_of_the_run():
    config = vae.VAEConfig(latent_dim=2, widths=(4,), beta=2.0, beta_schedule="linear", beta_fraction=0.5)
    model = vae.VAE(config, (1, 8, 8))
    found = []
    for progress in (0.0, 0.25, 0.75):
        model.progress = progress
        found.append(model.beta())
        terms = model.step(torch.rand(3, 1, 8, 8), lambda player, loss: None)
        assert terms["beta"].item() == found[-1]
        torch.testing.assert_close(terms["loss"], terms["rec"] + found[-1] * terms["kl"])
    assert found == [0.0, 1.0, 2.0]


# Gradients, by finite differences


@pytest.mark.parametrize(
    "loss",
    [
        lambda a, b: vae.kl_standard_normal(a, b),
        lambda a, b: kl_per_dimension(a, b),
        lambda a, b: sse(a, b),
        lambda a, b: vae.gaussian_nll(a, b, 0.3, constant=True),
        lambda a, b: vae.bernoulli_nll(torch.sigmoid(a), b),
        lambda a, b: vae.reparameterize(a, b, draw(3, 4, seed=7)),
        lambda a, b: Posterior(a, b).log_prob(draw(3, 4, seed=7)),
        lambda a, b: gaussian_log_prob(a, b, b),
        lambda a, b: vae.negative_elbo(sse(a, b), vae.kl_standard_normal(a, b), 0.7),
        lambda a, b: vae.free_bits_kl(kl_per_dimension(a, b), 0.4),
    ],
    ids="kl kl_per_dim sse gaussian bernoulli reparameterize log_prob prior elbo free_bits".split(),
)
def test_gradients_by_finite_differences(loss):
    a, b = draw(3, 4, seed=1).requires_grad_(), draw(3, 4, seed=2).requires_grad_()
    assert gradcheck(loss, (a, b))


def test_gradient_of_the_whole_step_by_finite_differences():
    """d loss / d parameter of a VAE's step in float64, along a random direction of all parameters together."""
    model = vae.VAE(vae.VAEConfig(latent_dim=2, widths=(3,), beta=0.7), (1, 4, 4)).double()
    x, noise = draw(3, 1, 4, 4, seed=5).sigmoid(), draw(3, 2, seed=6)
    model.noise = lambda *shape: noise
    parameters = list(model.parameters())
    directions = [draw(*p.shape, seed=20 + i) for i, p in enumerate(parameters)]
    found = {}

    def update(player, loss):
        found["loss"], found["slopes"] = loss.item(), torch.autograd.grad(loss, parameters)

    def loss_at(shift):
        with torch.no_grad():
            for p, d in zip(parameters, directions, strict=True):
                p += shift * d
        model.step(x, update)
        with torch.no_grad():
            for p, d in zip(parameters, directions, strict=True):
                p -= shift * d
        return found["loss"]

    loss_at(0.0)
    exact = sum((s * d).sum() for s, d in zip(found["slopes"], directions, strict=True)).item()
    step = 1e-5
    assert (loss_at(step) - loss_at(-step)) / (2 * step) == pytest.approx(exact, rel=1e-5)
