"""Exercises of chapter 02, variational autoencoders."""

from __future__ import annotations

import math

import torch

from ..methods import vae
from ..methods.base import gaussian_log_prob
from ..metrics.likelihood import log_mean_exp
from .framework import close, differs, exercise, finite, has_gradient, is_scalar, same_shape


@exercise(
    "2.1",
    reference=vae.reparameterize,
    title="Sample, and keep the gradient",
    minutes=10,
    points=2,
    difficulty=1,
    hints=[
        "The noise is given: shift it and scale it.",
        "`logvar` is the logarithm of the variance. The standard deviation is its square root: `exp(logvar / 2)`.",
    ],
)
def reparameterize(answer, fresh):
    batch, width = fresh.integer(16, 64), fresh.integer(3, 9)
    mu, logvar, noise = fresh.normal(3, batch, width, grad=True)  # each (B, Z)
    got = answer(mu, logvar, noise)
    std = (logvar / 2).exp()
    yield same_shape(got, mu), "The result has shape {got}; one sample per row of `mu` means {want}."
    yield differs(got, mu + noise * logvar), "You scale the noise by `logvar`, which is often negative. The standard deviation is `exp(logvar / 2)`."
    yield differs(got, mu + noise * logvar.exp()), "You scale the noise by the variance, `exp(logvar)`. Its square root is the standard deviation."
    yield differs(got, mu + noise * logvar.exp() / 2), "`exp(logvar) / 2` is half the variance. Half of the *logarithm* gives the root: `exp(logvar / 2)`."
    yield differs(got, mu + noise * logvar.sqrt()), "The root of `logvar`: it is a logarithm, so often negative, and the root NaN. The standard deviation is `exp(logvar / 2)`."
    yield differs(got, mu + std), "Your sample is `mu + std`: the noise is not used, so it is the same every time."
    yield differs(got, noise + mu * std), "You scale `mu`. It is the noise that is stretched by the standard deviation; `mu` only shifts it."
    yield close(answer(mu, logvar, 0 * noise), mu), "Where `noise` is 0 the sample, `mu + std * noise`, should be `mu`. Use the noise that is given, and draw none of your own."
    yield close(got, mu + noise * std), "Expected `mu + std * noise`; the largest difference is {error:.2g}."
    yield has_gradient(got, mu, logvar), "No gradient reaches `mu` or `logvar`: was something detached, or drawn with `torch.normal(mu, std)`?"


@exercise(
    "2.2",
    reference=vae.kl_standard_normal,
    title="The KL to the prior",
    minutes=15,
    points=2,
    difficulty=2,
    hints=[
        "The dimensions are independent, so their KLs add up: one number per image, a sum over the second axis.",
        "Per dimension it is $\\frac12(\\mu^2 + \\sigma^2 - 1 - \\log\\sigma^2)$, and $\\log\\sigma^2$ is `logvar` itself.",
    ],
)
def kl_to_prior(answer, fresh):
    batch, width = fresh.integer(5, 16), fresh.integer(17, 30)  # never equal, never 32
    mu, logvar = fresh.normal(2, batch, width, grad=True)  # each (B, Z)
    got = answer(mu, logvar)
    per_dim = 0.5 * (mu**2 + logvar.exp() - 1 - logvar)
    want = per_dim.sum(1)
    yield differs(got, want.mean()), "One number for the whole batch. Return one KL per image, (B,): the mean over the batch comes last, in the loss."
    yield differs(got, want.sum()), "One number for the whole batch. Return one KL per image, shape (B,): sum over the latent dimensions only."
    yield differs(got, per_dim), "One number per latent dimension. The KL of the whole code is their sum: shape (B,)."
    yield same_shape(got, (batch,)), "The result has shape {got}; one KL per image means {want}."
    yield (
        differs(got, per_dim.mean(1)),
        f"Your KL is {width} times too small: averaged over the {width} latent dimensions? A KL of independent dimensions is a sum; "
        "the average silently weakens it, as if beta were 1 / Z.",
    )
    yield differs(got, 2 * want), "Twice too large: the 1/2 in front is missing."
    yield differs(got, want / batch), "Divided by the number of images. The mean over the batch comes last, in the loss: one image's KL does not depend on the others."
    yield differs(got, want + 0.5 * width), "The -1 is missing: the KL of the prior to itself would not be 0."
    yield differs(got, -want), "The sign is turned around. A KL is never negative; as a loss you would push the posterior away from the prior."
    wrong = 0.5 * (mu**2 + (2 * logvar).exp() - 1 - 2 * logvar).sum(1)
    yield differs(got, wrong), "You take `logvar` for the logarithm of the standard deviation. It is that of the variance: `exp(logvar)` is already sigma squared."
    wrong = 0.5 * (mu**2 + (logvar / 2).exp() - 1 - logvar / 2).sum(1)
    yield differs(got, wrong), "You put the standard deviation where the variance belongs: sigma squared is `exp(logvar)`."
    wrong = 0.5 * ((mu**2 + 1) * (-logvar).exp() - 1 + logvar).sum(1)
    yield differs(got, wrong), "That is KL(prior || posterior), the other direction. The ELBO holds KL(posterior || prior)."
    yield close(got, want), "Expected the sum over dimensions of (mu^2 + sigma^2 - 1 - log sigma^2) / 2; you are off by {error:.2g}."
    yield has_gradient(got, mu, logvar), "No gradient reaches `mu` or `logvar`: was something detached?"


def negative_elbo(x, mean, mu, logvar, variance):
    """Reference of 2.3."""
    return (vae.gaussian_nll(x, mean, variance) + vae.kl_standard_normal(mu, logvar)).mean()


@exercise(
    "2.3",
    reference=negative_elbo,
    name="negative_elbo",
    title="The loss, with its sums and its mean",
    minutes=15,
    points=3,
    difficulty=2,
    hints=[
        "Two terms per image: the squared error *summed* over the pixels and divided by 2 * variance, and the KL summed over the latents.",
        "`.flatten(1).sum(1)` sums over everything but the batch. One `.mean()` at the very end averages over the batch.",
    ],
)
def _negative_elbo(answer, fresh):
    batch, width, size = 2 * fresh.integer(3, 10) + 1, 2 * fresh.integer(2, 9), 4 * fresh.integer(2, 5)  # odd, even, even
    x = fresh.images(batch, 3, size)  # (B, C, H, W)
    mean = fresh.uniform(*x.shape, grad=True)
    mu, logvar = fresh.normal(batch, width, grad=True), fresh.normal(batch, width, mean=-1.0, grad=True)  # (B, Z) each
    variance = fresh.number(0.6, 0.9)
    got = answer(x, mean, mu, logvar, variance)
    sse, kl = (x - mean).square().flatten(1).sum(1), vae.kl_standard_normal(mu, logvar)
    rec, pixels = sse / (2 * variance), x[0].numel()
    yield differs(got, rec + kl), "One value per image. A loss is one number: take the mean over the batch at the end."
    yield is_scalar(got), "The result has shape {got}; a loss is one number, shape {want}."
    yield (
        differs(got, (rec / pixels + kl).mean()),
        f"Your reconstruction term is {pixels} times too small: averaged over the {pixels} pixels while the KL is summed. It is as if beta were {pixels}, "
        "and the posterior collapses.",
    )
    yield (
        differs(got, (rec + kl / width).mean()),
        f"Your KL is {width} times too small: averaged over the latents while the error is summed over the pixels. It is as if beta were 1 / {width}.",
    )
    yield differs(got, (rec / pixels + kl / width).mean()), "Both terms are averaged over their own dimensions, so beta is off by their ratio. Sum both."
    yield differs(got, (x - mean).square().sum((2, 3)).mean() / (2 * variance) + kl.mean()), "The error is averaged over the channels. An image's error is the sum over C, H and W."
    yield differs(got, rec.mean() + kl.sum()), "The error's mean over the batch is right, but the KL is summed over the batch. Take the mean of both."
    yield differs(got, (rec + kl).sum()), "Summed over the batch: the size of the step would then depend on the batch size. Take the mean over images."
    yield differs(got, (sse + kl).mean()), "That is sse + KL, the case variance = 1/2. For this variance the squared error is divided by 2 * variance."
    yield differs(got, (sse / variance + kl).mean()), "The 1/2 of the Gaussian's exponent is missing: divide the squared error by 2 * variance."
    yield differs(got, (sse / 2 * variance + kl).mean()), "`/ 2 * variance` divides by 2, then *multiplies* by the variance. Write `/ (2 * variance)`."
    constants = [(rec + kl).mean() + 0.5 * pixels * math.log(v) for v in (variance, 2 * math.pi * variance)]
    yield all(differs(got, constant) for constant in constants), "The Gaussian's constant, a logarithm of the variance for each pixel, is in it. No parameter changes it: leave it out."
    yield differs(got, (sse / (2 * variance**2) + kl).mean()), "`variance` is already sigma squared; you squared it again."
    yield differs(got, (rec - kl).mean()), "The KL has the wrong sign: minimizing this loss would make the KL as large as it can be."
    yield differs(got, -(rec + kl).mean()), "That is the ELBO itself. A loss is minimized: return the *negative* ELBO."
    yield close(got, (rec + kl).mean()), "Expected the batch mean of sse / (2 variance) + KL, {want:.5g}; got {got:.5g}."
    yield has_gradient(got, mean, mu, logvar), "No gradient reaches `mean`, `mu` or `logvar`: was something detached?"


@exercise(
    "2.4",
    reference=1024,
    title="Which beta is that?",
    kind="predict",
    minutes=5,
    points=1,
    difficulty=2,
    hints=[
        "Multiply that library's loss by a constant until its first term is the summed squared error. What stands before the KL then?",
        "An image has 1 x 32 x 32 pixels; the mean over them is the sum divided by their number.",
    ],
)
def answer_2_4(answer, fresh):
    yield differs(answer, 1 / 1024), "The other way around: the mean makes the error *smaller*, so the KL weighs relatively more."
    yield differs(answer, 32), "32 is the number of latents, over which the KL is summed here, as it should be. What was averaged?"
    yield differs(answer, 1), "The two losses would be the same then. One has a mean over pixels where the other has a sum."
    yield differs(answer, 512), "That compares it with the unit-variance loss, sse / 2 + KL. The question asks for beta in sse + beta * KL."
    yield differs(answer, 784), "784 is 28 x 28. The images were padded: count the pixels that the network sees."
    yield close(answer, 1024), "Not {got:g}. Multiply mean-squared error + KL by the number of pixels and read off what stands before the KL."


@exercise(
    "2.5",
    reference=log_mean_exp,
    title="A tighter bound from K samples",
    minutes=10,
    points=2,
    difficulty=2,
    hints=[
        "The average is over the K samples, the first axis, and it is taken of the weights, not of their logarithms.",
        "`torch.logsumexp` adds without overflow; an average divides by K, which subtracts log K.",
    ],
)
def importance_weighted_bound(answer, fresh):
    k, batch = fresh.integer(13, 30), fresh.integer(3, 12)  # never equal: the axes must be told apart
    log_w = fresh.normal(k, batch, mean=-1.0, std=2.0, grad=True)  # (K, B)
    got, want = answer(log_w), log_mean_exp(log_w)
    yield same_shape(got, (batch,)), "The result has shape {got}; one bound per image means {want}: average over the first axis, the K samples."
    yield differs(got, log_w.mean(0)), "That is the mean of the logarithms: the ELBO with K samples. Average the weights, then take the logarithm."
    yield differs(got, log_w.logsumexp(0)), "That is the logarithm of the *sum*. The bound is of the mean: subtract log K, or it grows with K for no reason."
    yield differs(got, log_w.logsumexp(0) - math.log(batch)), "You divide by the number of images. The mean is over the K samples: subtract log K."
    yield differs(got, log_w.logsumexp(0) - k), "You subtract K. Dividing by K inside the logarithm subtracts log K."
    yield differs(got, log_w.max(0).values), "That is the best sample only."
    yield close(got, want), "Expected log of the mean weight; the largest difference is {error:.2g}."
    # As images have: far below what `exp` can hold, in float64 too, and hundreds apart.
    low = 40 * log_w - torch.linspace(200, 1200, batch)
    got_low = answer(low)
    yield finite(got_low), "For log-weights of hundreds, as images have, {got} of {want} results are not finite: `exp` underflows or overflows. `torch.logsumexp` does not."
    yield close(got_low, log_mean_exp(low)), "For log-weights of hundreds, as images have, the result is off by {error:.2g}: work with logarithms throughout."
    yield has_gradient(got, log_w), "No gradient reaches the log-weights: was something detached?"


@exercise(
    "2.6",
    reference=gaussian_log_prob,
    title="The bound that beats the truth",
    kind="bug hunt",
    minutes=15,
    points=3,
    difficulty=2,
    hints=[
        "For this model and this q every log-weight should be the same number, log p(x). Which of the three terms could make it vary?",
        "`MultivariateNormal(mu, M)` wants a *covariance* matrix. What stands on the diagonal here?",
    ],
)
def log_posterior(answer, fresh):
    batch, width = fresh.integer(6, 20), fresh.integer(2, 6)  # never equal
    z, mu, logvar = fresh.normal(3, batch, width)
    got, want, std = answer(z, mu, logvar), gaussian_log_prob(z, mu, logvar), (logvar / 2).exp()
    normal = torch.distributions.Normal
    yield same_shape(got, (batch,)), "The result has shape {got}; one log-density per row of z means {want}: sum over the latent dimensions."
    yield (
        differs(got, normal(mu, std.sqrt()).log_prob(z).sum(1)),
        "The weights still vary: the posterior's density is too wide or too narrow. What is the variance of this Gaussian, and what does the library expect?",
    )
    yield differs(got, normal(mu, logvar.exp()).log_prob(z).sum(1)), "Now the *variance* stands where `Normal` expects a standard deviation: the same mistake, one square further."
    yield differs(got, normal(mu, std).log_prob(z).mean(1)), "The mean over the latent dimensions. Log-densities of independent dimensions add up."
    yield differs(got, want + 0.5 * (width - 1) * math.log(2 * math.pi)), "The constant log(2 pi) / 2 is there once. It belongs to each of the latent dimensions."
    yield differs(got, -want), "The sign is turned around: that is the *negative* log-density."
    yield differs(got, want + 0.5 * width * math.log(2 * math.pi)), "The constant log(2 pi) / 2 per dimension is missing: a bound compared with log p(x) needs all constants."
    yield close(got, want), "Not the log-density of N(mu, exp(logvar)); the largest difference is {error:.2g}."
