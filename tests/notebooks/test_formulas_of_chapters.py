"""Formulas that stand in the chapters' text, against integrals, optimizers and closed forms from another derivation.

Where a chapter computes a formula in a cell, that very cell is run here, on inputs whose answer is known."""

import math
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from notebook_helpers import ROOT
from torch import distributions as D

from course_utils import checkpoints
from course_utils.methods.base import Posterior, gaussian_log_prob
from course_utils.methods.vae import gaussian_nll, kl_standard_normal, negative_elbo, reparameterize, sse
from course_utils.publishing import regions
from course_utils.publishing.source import read

DOUBLE = torch.float64
CHAPTERS = {path.stem[:2]: read(path) for path in (ROOT / "notebooks" / "source").glob("*.py")}


class Silent:
    """Stands for what a cell only draws with: takes any call, returns nothing."""

    def __getattr__(self, name):
        return lambda *args, **kwargs: None


def run_cell(chapter, containing, names, form=regions.solved):
    """Run the one code cell of a chapter that holds this text, in the namespace `names`, and return the namespace."""
    [cell] = [c for c in CHAPTERS[chapter].cells if c.kind == "code" and containing in c.text]
    names |= {"torch": torch, "math": math, "figures": Silent(), "vae_figures": Silent()}
    exec(compile(form(cell.text), f"chapter {chapter}: {containing}", "exec"), names)
    return names


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def number(value):
    return torch.as_tensor(value, dtype=DOUBLE)


def normal(mean, std):
    """D.Normal in float64: given plain numbers it would round them to float32."""
    return D.Normal(number(mean), number(std))


def gauss_hermite(dims, n=4):
    """Nodes (n^dims, dims) and weights (n^dims,) of the mean over N(0, I): exact for polynomials of degree below 2n."""
    x, w = np.polynomial.hermite_e.hermegauss(n)
    nodes = torch.tensor(list(product(x, repeat=dims)), dtype=DOUBLE)
    return nodes, torch.tensor([math.prod(ws) for ws in product(w / w.sum(), repeat=dims)], dtype=DOUBLE)


def minimize(function, *shapes):
    """Where `function` of tensors of these shapes is smallest, searched from zeros with LBFGS."""
    found = [torch.zeros(shape, dtype=DOUBLE, requires_grad=True) for shape in shapes]
    search = torch.optim.LBFGS(found, max_iter=500, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe")

    def closure():
        search.zero_grad()
        value = function(*found)
        value.backward()
        return value

    search.step(closure)
    return [x.detach() for x in found]


# Chapter 00


def test_the_table_of_the_course_calls_each_run_by_its_name():
    rows = run_cell("00", "figures.metric_table(rows", {"checkpoints": checkpoints})["rows"]
    assert [row["run"] for row in rows] == list(checkpoints.manifest())


# Chapter 01


def test_principal_components_are_the_best_linear_code():
    """Against the singular values (Eckart and Young) and alternating least squares, which knows no eigenvector."""
    x = draw(80, 12) @ draw(12, 12, seed=1) + 3
    names = {"garments": x.view(80, 1, 3, 4), "held_out": x.view(80, 1, 3, 4), "sse": sse}
    run_cell("01", "def pca_reconstruction", names)
    for k in (1, 3, 7):
        best = names["pca_error"](k)
        assert best == pytest.approx(torch.linalg.svdvals(x - x.mean(0))[k:].square().sum().item() / 80, rel=1e-10)
        decoder, ones = draw(k + 1, 12, seed=k), torch.ones(80, 1, dtype=DOUBLE)  # k directions and an offset
        for _ in range(3000):
            z = torch.linalg.lstsq(decoder[:k].T, (x - decoder[k]).T).solution.T
            decoder = torch.linalg.lstsq(torch.cat([z, ones], 1), x).solution
            error = (x - torch.cat([z, ones], 1) @ decoder).square().sum().item() / 80
            assert error > best - 1e-9
        assert error == pytest.approx(best, rel=1e-6)


def test_fitted_noise_has_the_mean_and_the_covariance_of_the_codes():
    codes = draw(50, 3) @ draw(3, 3, seed=1) + 2
    raw = draw(40, 3, seed=2)
    white = torch.linalg.qr(raw - raw.mean(0))[0] * math.sqrt(39)  # mean 0 and covariance I, exactly
    model = SimpleNamespace(decode=lambda z: z, encode=Posterior)
    names = {"codes": codes, "noise": white, "held_codes": codes, "model": model}
    fitted = run_cell("01", "fitted = codes.mean(0)", names)["fitted"]
    assert np.allclose(fitted.mean(0), codes.mean(0)) and np.allclose(np.cov(fitted.T), np.cov(codes.T))


# Chapter 02


@pytest.fixture(scope="module")
def one_pixel():
    return run_cell("02", "def elbo_1d", {"gaussian_log_prob": gaussian_log_prob})


def test_the_one_pixel_model_by_numerical_integration(one_pixel):
    """log p(x), the true posterior, the ELBO and its gap, each as an integral over the code."""
    z = torch.linspace(-12, 12, 200_001, dtype=DOUBLE)
    joint = normal(one_pixel["w"] * z, one_pixel["s"]).log_prob(number(one_pixel["x0"])) + normal(0, 1).log_prob(z)
    evidence = torch.trapezoid(joint.exp(), z)
    assert one_pixel["log_px"] == pytest.approx(evidence.log().item(), abs=1e-6)  # the chapter computes it in float32
    true = joint.exp() / evidence
    mean = torch.trapezoid(true * z, z)
    assert one_pixel["true_mean"] == pytest.approx(mean.item(), abs=1e-9)
    assert one_pixel["true_var"] == pytest.approx(torch.trapezoid(true * (z - mean) ** 2, z).item(), abs=1e-9)
    for m, v in ((0.0, 1.0), (0.3, 0.05), (-1.0, 0.4), (one_pixel["true_mean"], one_pixel["true_var"])):
        q = normal(m, math.sqrt(v)).log_prob(z)
        elbo = torch.trapezoid(q.exp() * (joint - q), z).item()
        assert one_pixel["elbo_1d"](m, v) == pytest.approx(elbo, abs=1e-9)
        gap = torch.trapezoid(q.exp() * (q - true.log()), z).item()
        assert elbo + gap == pytest.approx(evidence.log().item(), abs=1e-9)
        if (m, v) == (0.0, 1.0):
            assert one_pixel["gap"] == pytest.approx(gap, abs=1e-9)


def test_what_the_elbo_loses_is_the_kl_to_the_true_posterior():
    """Several codes, a posterior that is not diagonal: the ELBO by quadrature, the rest by Gaussian formulas."""
    w, x, mu, logvar, variance = draw(5, 2), draw(1, 5, seed=1), draw(1, 2, seed=2), draw(1, 2, seed=3), 0.3
    nodes, weights = gauss_hermite(2)
    z = reparameterize(mu, logvar, nodes)  # (16, 2)
    rec = gaussian_nll(x.expand(len(z), 5), z @ w.T, variance, constant=True) @ weights
    elbo = -negative_elbo(rec, kl_standard_normal(mu, logvar))
    eye = torch.eye(5, dtype=DOUBLE)
    log_px = D.MultivariateNormal(torch.zeros(5, dtype=DOUBLE), w @ w.T + variance * eye).log_prob(x)
    precision = eye[:2, :2] + w.T @ w / variance
    assert precision[0, 1].abs() > 0.1
    true = D.MultivariateNormal(torch.linalg.solve(precision, (x @ w / variance).T).T, precision_matrix=precision)
    gap = D.kl_divergence(D.MultivariateNormal(mu, torch.diag_embed(logvar.exp())), true)
    assert gap > 0.1
    torch.testing.assert_close(elbo + gap, log_px, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("form, right", [(regions.solved, True), (regions.unsolved, False)])
def test_a_wrong_posterior_density_puts_the_average_above_the_truth(one_pixel, form, right):
    """By KL(q || the density used in its place): 0 for the cure, and for the bug a Gaussian with std for its variance."""
    names = dict(one_pixel, reparameterize=reparameterize)
    run_cell("02", "def log_posterior", names, form)
    run_cell("02", "mean of log-weights", names)
    weights, std = names["weights"].double(), math.sqrt(one_pixel["true_var"])
    above = D.kl_divergence(normal(0, std), normal(0, std if right else math.sqrt(std))).item()
    error = weights.std().item() / math.sqrt(len(weights))
    assert weights.mean().item() - one_pixel["log_px"] == pytest.approx(above, abs=4 * error + 1e-5)
    assert error < 0.01 and (weights.std() < 1e-4 if right else above > 0.1)


def test_disjoint_groups_of_weights_estimate_each_bound():
    """Weights that are 1 or 50, each with probability 1/2: L_K is a sum over the binomial distribution."""
    coins = torch.rand(256, 64, generator=torch.Generator().manual_seed(1), dtype=DOUBLE) < 0.5
    names = {"importance_log_weights": lambda *args, **kwargs: coins * math.log(50), "vae": None, "test": Silent()}
    run_cell("02", "def importance_weighted_bound", names)
    run_cell("02", "ks = [1, 2, 4", names)
    for k, bound in zip(names["ks"], names["bounds"], strict=True):
        exact = sum(math.comb(k, j) / 2**k * math.log((k - j + 50 * j) / k) for j in range(k + 1))
        error = bound.std().item() / 8
        assert error < 0.03 and bound.mean().item() == pytest.approx(exact, abs=4 * error)


# Chapters 02 and 03: the weight of the KL


def terms(w, x, mu, logvar):
    """Squared error, its mean over q taken exactly, and KL: () each, for one image x (1, n) and a decoder z -> w z."""
    nodes, weights = gauss_hermite(mu.shape[1], n=2)
    z = reparameterize(mu, logvar, nodes)
    return sse(x.expand(len(z), -1), z @ w.T) @ weights, kl_standard_normal(mu, logvar).sum()


def exact_posterior(w, x, variance):
    """Mean and log-variance, (1, Z) each, of p(z|x) for x = w z + noise, where the columns of w are orthogonal."""
    precision = 1 + w.square().sum(0, keepdim=True) / variance
    return x @ w / variance / precision, -precision.log()


def orthogonal(n, *lengths):
    return torch.linalg.qr(draw(n, len(lengths)))[0] * torch.tensor(lengths, dtype=DOUBLE)


@pytest.mark.parametrize("beta", [0.1, 1.0, 4.0])
def test_minimizing_sse_plus_beta_kl_finds_the_posterior_of_variance_half_beta(beta):
    w, x = orthogonal(6, 2.0, 0.7), draw(1, 6, seed=1)
    found = minimize(lambda mu, logvar: negative_elbo(*terms(w, x, mu, logvar), beta), (1, 2), (1, 2))
    for got, want in zip(found, exact_posterior(w, x, beta / 2), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)


def test_bounds_of_models_with_different_beta_can_be_compared():
    """With exact posteriors the chapter's bound is log N(x; 0, w w' + beta/2 I); without its constant it ranks wrongly."""
    w = orthogonal(1024, 20.0, 8.0)
    x = draw(1, 2, seed=1) @ w.T + math.sqrt(0.4) * draw(1, 1024, seed=2)  # drawn with variance 0.4: beta = 0.8
    points, exact = [], []
    for beta in (0.1, 0.8, 1.0, 1.2, 4.0):
        error, kl = terms(w, x, *exact_posterior(w, x, beta / 2))
        points.append({"beta": beta, "sse": error.item(), "kl": kl.item()})
        covariance = w @ w.T + beta / 2 * torch.eye(1024, dtype=DOUBLE)
        exact.append(D.MultivariateNormal(torch.zeros(1024, dtype=DOUBLE), covariance).log_prob(x).item())
    bounds = [p["bound"] for p in run_cell("03", "bounds = [{**p", {"points": points})["bounds"]]
    assert bounds == pytest.approx(exact, rel=1e-9)
    assert np.argmax(bounds) == 1
    assert np.argmin([p["sse"] / p["beta"] + p["kl"] for p in points]) == 4


def test_the_curve_of_rate_and_distortion_has_slope_minus_beta_and_lies_above_its_tangents():
    w, x = orthogonal(6, 2.0, 0.7), draw(1, 6, seed=1)

    def point(beta):
        return terms(w, x, *exact_posterior(w, x, beta / 2))

    betas = (0.1, 0.8, 1.0, 1.2, 4.0)
    for beta in betas:
        (d0, r0), (d1, r1), (d, r) = point(beta * (1 - 1e-4)), point(beta * (1 + 1e-4)), point(beta)
        assert ((d1 - d0) / (r1 - r0)).item() == pytest.approx(-beta, rel=1e-6)
        others = [point(other) for other in betas if other != beta]
        assert all(distortion > d - beta * (rate - r) for distortion, rate in others)


@pytest.mark.parametrize("beta", [0.1, 0.8, 2.0])
def test_a_linear_beta_vae_reaches_the_rate_distortion_function_of_a_gaussian(beta):
    """One pixel ~ N(0, 3), encoder and decoder trained together: D = beta / 2 and R = log(3 / D) / 2 (Shannon)."""
    nodes, weights = gauss_hermite(2)
    x = math.sqrt(3) * nodes[:, :1]

    def ends(a, w, logvar):
        z = reparameterize((1 + a) * x, logvar.expand_as(x), nodes[:, 1:])
        rates = kl_standard_normal((1 + a) * x, logvar.expand_as(x))
        return sse(x, (1 + w) * z) @ weights, rates @ weights

    found = minimize(lambda *parameters: negative_elbo(*ends(*parameters), beta), (1,), (1,), (1,))
    distortion, rate = (term.item() for term in ends(*found))
    assert distortion == pytest.approx(beta / 2, rel=1e-5)
    assert rate == pytest.approx(0.5 * math.log(3 / distortion), rel=1e-5)


# Chapter 03: what beta cannot do


def test_the_kl_of_a_turned_posterior_by_integration():
    """Covariance and all, it is the same; of its variances alone, taken as a diagonal posterior's, it is larger."""
    mean, variance = torch.tensor([0.8, -0.5], dtype=DOUBLE), torch.tensor([0.05, 0.7], dtype=DOUBLE)
    turn = torch.tensor([[math.cos(0.6), -math.sin(0.6)], [math.sin(0.6), math.cos(0.6)]], dtype=DOUBLE)
    center, covariance = turn @ mean, turn @ variance.diag() @ turn.T
    axis = torch.linspace(-7, 7, 1401, dtype=DOUBLE)
    z = torch.cartesian_prod(axis, axis)
    shift = z - center
    q = -0.5 * (shift @ covariance.inverse() * shift).sum(1) - 0.5 * covariance.det().log() - math.log(2 * math.pi)
    kl = ((q - gaussian_log_prob(z)) * q.exp()).sum().item() * 0.01**2
    assert kl == pytest.approx(kl_standard_normal(mean[None], variance.log()[None]).item(), abs=1e-8)
    diagonal = kl_standard_normal(center[None], covariance.diagonal().log()[None]).item()
    assert abs(diagonal - kl) > 0.1


def test_the_best_diagonal_posterior_has_the_inverse_diagonal_of_the_precision():
    """Against a search for the smallest KL(q || turned posterior) over all diagonal q."""
    q, variance, mean = torch.linalg.qr(draw(3, 3))[0], draw(2, 3, seed=1).exp(), draw(2, 3, seed=2)
    model = SimpleNamespace(config=SimpleNamespace(beta=1.0), nll=lambda x, raw: raw.sum(1), decoder=lambda z: z)
    names = {"Q": q, "variance": variance, "mean": mean, "model": model, "x": None, "Posterior": Posterior}
    names |= {"generator": torch.Generator(), "before": torch.zeros(2), "negative_elbo": negative_elbo}
    diagonal = run_cell("03", "precision = Q**2", names)["diagonal"]
    turned = D.MultivariateNormal(mean @ q.T, q @ torch.diag_embed(variance) @ q.T)

    def loss(mu, logvar):
        return D.kl_divergence(D.MultivariateNormal(mu, torch.diag_embed(logvar.exp())), turned).sum()

    mu, logvar = minimize(loss, (2, 3), (2, 3))
    torch.testing.assert_close(diagonal.mean, mu, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(diagonal.logvar, logvar, rtol=1e-5, atol=1e-6)
    marginal = turned.covariance_matrix.diagonal(dim1=1, dim2=2)
    assert (diagonal.logvar.exp() < 0.9 * marginal).any()  # these are not the turned posterior's own variances


def test_the_nearest_code_tells_what_the_dimensions_hold_together():
    """The exclusive or of two bits: neither dimension knows it, the two together do. A third factor is nowhere."""
    bits = torch.randint(0, 2, (1500, 3), generator=torch.Generator().manual_seed(0))
    factors = torch.stack([bits[:, 0] ^ bits[:, 1], bits[:, 2]], 1)
    codes = {"spread": 10 * bits[:, :2] + draw(1500, 2, seed=1)}
    names = {"shapes": SimpleNamespace(attributes={"factors": factors}), "names": ("xor", "hidden"), "codes": codes}
    shares = run_cell("03", "fill_diagonal_", names)["shares"]
    assert shares[0] == 1 and shares[1].item() == pytest.approx(0.5, abs=0.05)
