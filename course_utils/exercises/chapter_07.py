"""Exercises of chapter 07, Soft-IntroVAE in the plane."""

from __future__ import annotations

import math

import torch

from ..methods.base import Posterior, gaussian_log_prob
from ..methods.soft_intro_vae import exp_elbo
from ..metrics.likelihood import log_mean_exp
from .framework import Diagnosis, close, differs, equals, exercise, finite, has_gradient, is_scalar, one_of, same_shape

EXACT = {"dtype": torch.float64, "grad": True}  # one number is compared: two mistakes must not meet by rounding


@exercise(
    "7.1",
    reference=exp_elbo,
    name="exp_elbo",
    title="A threshold that is soft",
    minutes=10,
    points=2,
    difficulty=1,
    hints=[
        "The weighted, scaled ELBO of an image is `-scale * (beta_rec * rec + beta_neg * kl)`.",
        "Multiply it by alpha, then `torch.exp`. One value for each image: no mean.",
    ],
)
def _exp_elbo(answer, fresh):
    batch = 2 * fresh.integer(3, 9) + 1
    rec, kl = fresh.uniform(batch, low=0.2, high=2.0, **EXACT), fresh.uniform(batch, low=0.3, high=1.5, **EXACT)
    b_rec, b_neg, scale, alpha = (fresh.number(*ends) for ends in ((0.2, 0.4), (0.6, 0.9), (0.3, 0.6), (1.6, 2.4)))
    weights = {"beta_rec": b_rec, "beta_neg": b_neg, "scale": scale, "alpha": alpha}
    got = answer(rec, kl, **weights)
    inside = alpha * scale * (b_rec * rec + b_neg * kl)
    want = (-inside).exp()
    yield differs(got, want.mean()), "One number for the batch. The mean comes later; return one value for each image."
    mean_first = "You take the mean *inside* the exponential: then a batch is judged as a whole, as by the hinge. The soft threshold judges each image by itself."
    yield differs(got, (-inside.mean()).exp()), mean_first
    yield same_shape(got, rec), "The result has shape {got}; one value for each image means {want}."
    yield differs(got, inside.exp()), "The sign: this grows without bound as a fake gets worse. The ELBO is *minus* the weighted sum, and its exponential lies in (0, 1]."
    yield differs(got, -want), "The exponential of the ELBO is positive. Its sign in the encoder's loss is the next exercise."
    yield differs(got, -inside) and differs(got, inside), "The exponential is missing: this is the weighted ELBO itself, and the encoder could lower it without end."
    yield differs(got, (-inside / alpha).exp()), "alpha is not used. It stands inside the exponential, before the ELBO."
    yield differs(got, (-inside / alpha**2).exp()), "alpha divides the ELBO. Inside the exponential it multiplies; the 1/alpha stands before the exponential, in the encoder's loss."
    yield differs(got, want / alpha), "The 1/alpha belongs to the encoder's loss, which comes next. Return the exponential alone: it is the sign that one watches."
    yield differs(got, (-inside / scale).exp()), "The scale is not used. Without it images of many pixels have an ELBO of minus some hundreds, and the exponential is 0 from the start."
    yield differs(got, (-alpha * (scale * b_rec * rec + b_neg * kl)).exp()), "The scale multiplies the squared error alone. It multiplies the whole ELBO."
    yield differs(got, (-alpha * scale * (b_neg * rec + b_rec * kl)).exp()), "The two weights are swapped: beta_rec belongs to the squared error, beta_neg to the KL."
    yield differs(got, (-alpha * scale * (rec + b_neg * kl)).exp()), "beta_rec is not used."
    yield differs(got, (-alpha * scale * (b_rec * rec + kl)).exp()), "beta_neg is not used."
    yield differs(got, (-alpha * scale * (b_rec * rec - b_neg * kl)).exp()), "The KL has the wrong sign: an ELBO has minus the error *and* minus the KL."
    yield differs(got, (-alpha * scale * b_neg * kl).exp()), "The squared error is missing. The ELBO has both terms: that is one difference from the hinge."
    yield close(got, want), "Expected exp(-alpha * scale * (beta_rec * rec + beta_neg * kl)); the largest difference is {error:.2g}."
    yield has_gradient(got, rec, kl), "No gradient reaches argument {got} of `rec`, `kl`: was something detached? The encoder learns through both."


def encoder_loss(elbo_real, passed_rec, passed_fake, alpha):
    """Reference of 7.2."""
    return -elbo_real.mean() + (passed_rec.mean() + passed_fake.mean()) / (2 * alpha)


@exercise(
    "7.2",
    reference=encoder_loss,
    name="encoder_loss",
    title="What the encoder minimizes",
    minutes=10,
    points=2,
    difficulty=2,
    hints=[
        "The objective is *maximized*. Turn the sign of all of it.",
        "exp(alpha ELBO) is given, for two kinds of fake. Take the mean over both kinds: half of each.",
        "`-elbo_real.mean() + (passed_rec.mean() + passed_fake.mean()) / (2 * alpha)`: which part did you have otherwise?",
    ],
)
def _encoder_loss(answer, fresh):
    batch = 2 * fresh.integer(3, 9) + 1
    real = fresh.uniform(batch, low=-3.0, high=-1.0, **EXACT)
    rec, fake = fresh.uniform(batch, low=0.2, high=0.5, **EXACT), fresh.uniform(batch, low=0.6, high=0.9, **EXACT)
    alpha = fresh.number(2.3, 3.4)
    got = answer(real, rec, fake, alpha)
    e, r, f = (part.mean() for part in (real, rec, fake))
    yield differs(got, -real + (rec + fake) / (2 * alpha)), "One value per image. A loss is one number: take the mean over the batch at the end."
    yield is_scalar(got), "The result has shape {got}; a loss is one number, shape {want}."
    yield differs(got, batch * (-e + (r + f) / (2 * alpha))), "Summed over the batch: the size of the loss would then depend on the batch size. Take the mean over images."
    yield differs(got, e - (r + f) / (2 * alpha)), "That is the objective. It is maximized; the optimizer minimizes, so turn the sign."
    friend = "The sign of the fakes' term: minimizing this, the encoder would make its own decoder's images pass for real. That is the decoder's job."
    yield differs(got, -e - (r + f) / (2 * alpha)) and differs(got, -e - (r + f) / alpha), friend
    yield differs(got, e + (r + f) / (2 * alpha)), "The sign of the real images' term: their ELBO is to be *large*, so the loss has minus the ELBO."
    yield differs(got, -e + (r + f) / alpha), "The two kinds of fake are added: take their mean, half of each, as the exponential stands once in the objective."
    yield differs(got, -e + (r + f) / 2), "The 1/alpha is missing before the exponential. With it, the slope by the ELBO is exp(alpha ELBO), whatever alpha is."
    yield differs(got, -e + r + f), "The 1/alpha and the mean over the two kinds of fake are missing."
    yield differs(got, -e + alpha * (r + f) / 2), "alpha multiplies where it should divide."
    yield differs(got, -e + r / alpha) and differs(got, -e + r / (2 * alpha)), "Samples of the prior are missing. Without them the encoder knows nothing of codes that belong to no image."
    yield differs(got, -e + f / alpha) and differs(got, -e + f / (2 * alpha)), "Reconstructions are missing. They count as fakes, too."
    twice = "You take the exponential again. `passed_rec` and `passed_fake` are exp(alpha ELBO) already."
    yield differs(got, -e + ((alpha * rec).exp().mean() + (alpha * fake).exp().mean()) / (2 * alpha)), twice
    yield differs(got, -e + (rec.exp().mean() + fake.exp().mean()) / (2 * alpha)), twice
    yield differs(got, -real.exp().mean() + (r + f) / (2 * alpha)), "The real images' ELBO stands in the objective as it is, without an exponential: the encoder is to raise it without end."
    yield close(got, -e + (r + f) / (2 * alpha)), "Expected -mean ELBO(x) + the mean over both kinds of fake of exp / alpha, {want:.5g}; got {got:.5g}."
    yield has_gradient(got, real, rec, fake), "No gradient reaches argument {got} of `elbo_real`, `passed_rec`, `passed_fake`: was something detached?"


def decoder_loss(encode, x, rec, fake, *, beta_rec, beta_kl, scale):
    """Reference of 7.3."""
    error = (x - rec).square().flatten(1).sum(1).mean()
    pulled = (encode(rec).kl() + encode(fake).kl()).mean() / 2
    return scale * (beta_rec * error + beta_kl * pulled)


class _Encoder:
    """A curved encoder of points whose weights want gradients: (B, D) -> Posterior of 2 dimensions."""

    def __init__(self, fresh, dims: int):
        self.weight = fresh.normal(dims, 4, std=0.7, **EXACT)

    def __call__(self, x):
        mean, logvar = (x.flatten(1) @ self.weight).tanh().chunk(2, dim=1)
        return Posterior(mean, logvar)


@exercise(
    "7.3",
    reference=decoder_loss,
    name="decoder_loss",
    title="A decoder that nobody corrects",
    kind="bug hunt",
    minutes=15,
    points=3,
    difficulty=2,
    hints=[
        "The printed table asks: what does a sample learn from this loss? Which line of the function uses `fake`?",
        "`torch.no_grad()` forgets the way back through everything inside. The way to the decoder leads *through* the encoder.",
        "A player whose step it is not is frozen by leaving its weights alone: the decoder's optimizer does not hold them.",
    ],
)
def _decoder_loss(answer, fresh):
    batch, dims = 2 * fresh.integer(3, 7) + 1, fresh.integer(2, 5)
    encode = _Encoder(fresh, dims)
    x, rec, fake = (fresh.normal(batch, dims, mean=mean, **EXACT) for mean in (0.6, 0.3, -0.5))
    b_rec, b_kl, scale = fresh.number(0.2, 0.4), fresh.number(0.5, 0.9), fresh.number(0.2, 0.6)
    weights = {"beta_rec": b_rec, "beta_kl": b_kl, "scale": scale}
    got = answer(encode, x, rec, fake, **weights)
    error = (x - rec).square().sum(1).detach()
    kl_rec, kl_fake = encode(rec).kl().detach(), encode(fake).kl().detach()
    whole = scale * (b_rec * error + b_kl * (kl_rec + kl_fake) / 2)
    yield differs(got, whole), "One value per image. A loss is one number: keep the mean over the batch."
    yield is_scalar(got), "The result has shape {got}; a loss is one number, shape {want}."
    yield differs(got, (scale * (b_rec * error + b_kl * (kl_rec + kl_fake))).mean()), "The two KLs are added now; their mean was right."
    yield differs(got, (scale * (b_rec * error - b_kl * (kl_rec + kl_fake) / 2)).mean()), "The sign of the KL: now the decoder would help the encoder to push its images away. The formula was right before."
    yield differs(got, (scale * b_rec * error).mean()), "The KLs are gone from the loss: nothing is left of the game. Keep them, and let their gradient through."
    yield differs(got, (scale * (b_rec * error + b_kl * kl_rec / 2)).mean()), "Samples of the prior no longer count. The formula was right: what is wrong is how far its gradient goes."
    yield differs(got, (scale * (b_rec * error + b_kl * kl_fake / 2)).mean()), "Reconstructions no longer count in the KL. The formula was right: what is wrong is how far its gradient goes."
    yield close(got, whole.mean()), "The value of the loss has changed, {want:.5g} before, {got:.5g} now. It was right: what is wrong is how far its gradient goes."
    silent = "Still no correction: a sample's gradient is zero. Is the encoder called without gradients, or its result detached?"
    yield has_gradient(got, fake) or has_gradient(got, rec), silent + " Now the squared error is cut off as well."
    yield has_gradient(got, fake), silent
    reached = torch.autograd.grad(got, [rec, fake], retain_graph=True, allow_unused=True)
    right = torch.autograd.grad(decoder_loss(encode, x, rec, fake, **weights), [rec, fake])
    only_error = torch.autograd.grad((scale * b_rec * (x - rec).square().sum(1)).mean(), rec)[0]
    yield reached[0] is None or differs(reached[0], only_error), "Half mended: samples are corrected, reconstructions learn from the squared error alone. Let the KL's gradient through for both."
    if reached[0] is None:
        raise Diagnosis("No gradient reaches the reconstructions: they were detached. The decoder learns from them, too.")
    yield differs(reached[0], right[0] - only_error), "The squared error was cut off: reconstructions learn from the KL alone."
    yield close(reached[0], right[0]), "The gradient of the reconstructions is not that of the loss; the largest difference is {error:.2g}."
    yield close(reached[1], right[1]), "The gradient of the samples is not that of the loss; the largest difference is {error:.2g}."


@exercise(
    "7.4",
    reference="gains",
    name="answer_7_4",
    title="What an entropy does to a share",
    kind="predict",
    minutes=5,
    points=1,
    difficulty=2,
    hints=[
        "H is largest where all cells are alike, and 0 where one cell has everything. Here it is added to what is *minimized*.",
        "A small entropy is now worth something. Which cell is the cheapest to move probability to?",
    ],
)
def _gains(answer, fresh):
    yield one_of(answer, ("gains", "loses", "stays")), "Answer with one of {want}; got {got!r}."
    yield differs(answer, "stays"), "The KL alone is smallest at the data's shares. But near its minimum a KL changes little, and the entropy changes at once: the minimum of the sum lies elsewhere."
    yield differs(answer, "loses"), "That would be so if entropy were rewarded, as in reinforcement learning. Here it is a cost: a distribution that spreads out pays more."
    yield equals(answer, "gains"), "Not {got!r}."


def importance_weighted(log_px, z, mean, logvar):
    """Reference of 7.5."""
    return log_mean_exp(log_px + gaussian_log_prob(z) - gaussian_log_prob(z, mean, logvar))


def _log_normal(z, mean, variance):
    """log N(z; mean, diag(variance)), summed over the last dimension."""
    return -0.5 * ((z - mean) ** 2 / variance + variance.log() + math.log(2 * math.pi)).sum(-1)


@exercise(
    "7.5",
    reference=importance_weighted,
    name="importance_weighted",
    title="A likelihood that depends on K",
    kind="bug hunt",
    minutes=20,
    points=3,
    difficulty=3,
    hints=[
        "Of three densities, two were right: p(x|z) was handed in, the prior has variance 1. Look at the third.",
        "Read torch's documentation of `MultivariateNormal`: what is its second argument?",
        "A covariance matrix has *variances* on its diagonal: exp(logvar).",
    ],
)
def _importance_weighted(answer, fresh):
    k, batch, dims = 2 * fresh.integer(3, 6), 2 * fresh.integer(2, 5) + 1, fresh.integer(2, 5)
    mean, logvar = fresh.normal(2, batch, dims, dtype=torch.float64)
    logvar = logvar - 2.5
    std = (logvar / 2).exp()
    z = mean + std * fresh.normal(k, batch, dims, dtype=torch.float64)  # (K, B, Z)
    log_px = fresh.normal(k, batch, mean=-3.0, dtype=torch.float64)
    got = answer(log_px, z, mean, logvar)
    prior, one = _log_normal(z, torch.zeros_like(mean), torch.ones_like(std)), math.log(k)

    def bound(log_q, log_prior=prior):
        return (log_px + log_prior - log_q).logsumexp(0)

    right = _log_normal(z, mean, std**2)
    want = bound(right) - one
    yield differs(got, bound(right)), "log K is gone: this grows with K by itself. It was right before."
    yield differs(got, (log_px + prior - right).mean(0)), "The mean of the logarithms is the ELBO, whatever K is. The *logarithm of the mean* is what tightens with K; that part was right."
    yield differs(got, (log_px + prior - right).exp().mean(0)), "The logarithm is gone: these are densities, and they underflow for images. That part was right."
    yield same_shape(got, want), "The result has shape {got}; one value for each x means {want}."
    yield differs(got, bound(_log_normal(z, mean, std)) - one), "Still the same: q's covariance has standard deviations on its diagonal, where variances belong."
    yield differs(got, bound(_log_normal(z, mean, std**4)) - one), "Now the variance is squared: `Normal` takes a standard deviation, `MultivariateNormal` a covariance. Which of the two did you give what?"
    yield differs(got, bound(_log_normal(z, mean, logvar.exp().exp())) - one), "exp(logvar) is the variance already; you take the exponential twice."
    yield differs(got, bound(_log_normal(z, mean, torch.ones_like(std))) - one), "q has lost its spread: this takes a variance of 1 for every code."
    yield differs(got, bound(torch.zeros_like(right)) - one), "q is gone. The codes were drawn from q: dividing by its density is what corrects for that."
    yield differs(got, bound(right, torch.zeros_like(prior)) - one), "The prior is gone. It was right."
    yield differs(got, bound(-right) - one), "The sign of log q: it is subtracted."
    half = -0.5 * ((z - mean) ** 2 / std**2 + logvar).sum(-1)
    yield differs(got, bound(half) - one), "q has lost its constant, 1/2 log(2 pi) for each dimension, and the prior still has it: the two no longer cancel."
    yield finite(got), "{got} of {want} values are not finite."
    yield close(got, want), "Expected log mean exp(log p(x|z) + log p(z) - log q(z|x)); the largest difference is {error:.2g}."
    far = answer(log_px - 2000, z, mean, logvar)
    yield close(far, want - 2000), "For images, whose log p(x|z) is minus some thousands, the exponential underflows: stay with `logsumexp`."


# The games of the panel: how each was played, and what tells it.
STATES = {
    "healthy": "In a healthy game the encoder's KL of fakes is about that of real points, or higher, and exp(ELBO) is neither 0 nor 1.",
    "no push": "With no weight on the fakes' KL the encoder does not push: its KL of fakes falls below that of real points, and exp(ELBO) is high.",
    "too hard a push": "Where the push is too hard exp(ELBO) is 0 all the time: the encoder is sure of every fake, and its slope is gone.",
}
PATIENTS = {"A": "too hard a push", "B": "healthy", "C": "no push"}


@exercise(
    "7.6",
    reference=tuple(PATIENTS.values()),
    name="answer_7_6",
    title="Three patients",
    kind="explore",
    minutes=15,
    points=2,
    difficulty=2,
    hints=[
        "Begin with exp(ELBO): which patient has it at 0 all the time?",
        "Of the other two: in which one does the encoder find fakes *nearer* to the prior than real points?",
    ],
)
def _patients(answer, fresh):
    example = f"Answer with three texts, for A, B and C, such as {tuple(STATES)!r}."
    if not isinstance(answer, (tuple, list)) or len(answer) != len(PATIENTS):
        raise Diagnosis(example)
    for given in answer:
        yield one_of(given, STATES), "{got!r} is none of the three: {want}."
    found = [given.strip().casefold() for given in answer]
    if len(set(found)) < len(STATES):
        raise Diagnosis("Each patient is in another state: name each of the three once.")
    for (name, right), given in zip(PATIENTS.items(), found, strict=True):
        yield equals(given, right), f"Not patient {name}. {STATES[given]}"
