"""Chapter 07: right answers in several spellings, and known wrong ones, each with a phrase of its diagnosis."""

import math

import torch
from torch import distributions as D
from torch.nn import functional as F

A, B, C = "too hard a push", "healthy", "no push"  # the panel's patients, in order


def inside(rec, kl, beta_rec, beta_neg, scale, alpha):
    return alpha * scale * (beta_rec * rec + beta_neg * kl)


def errors(x, rec):
    return (x - rec).square().flatten(1).sum(1)


def total(error, kl_rec, kl_fake, beta_rec, beta_kl, scale):
    return (scale * (beta_rec * error + beta_kl * (kl_rec + kl_fake) / 2)).mean()


def in_one_pass(encode, x, rec, fake, *, beta_rec, beta_kl, scale):
    kl = encode(torch.cat([rec, fake])).kl().mean()
    return scale * (beta_rec * F.mse_loss(rec, x) * x[0].numel() + beta_kl * kl)


def without_gradients(encode, x, rec, fake, **weights):
    with torch.no_grad():
        kls = encode(rec).kl(), encode(fake).kl()
    return total(errors(x, rec), *kls, **weights)


def only_samples(encode, x, rec, fake, **weights):
    return total(errors(x, rec), encode(rec.detach()).kl(), encode(fake).kl(), **weights)


def only_reconstructions(encode, x, rec, fake, **weights):
    return total(errors(x, rec), encode(rec).kl(), encode(fake.detach()).kl(), **weights)


def no_error(encode, x, rec, fake, **weights):
    return total(errors(x, rec.detach()), encode(rec).kl(), encode(fake).kl(), **weights)


def decoder(change):
    """A decoder's loss, made of error, KLs and weights by `change`."""

    def loss(encode, x, rec, fake, *, beta_rec, beta_kl, scale):
        return change(errors(x, rec), encode(rec).kl(), encode(fake).kl(), beta_rec, beta_kl, scale)

    return loss


def log_normal(z, mean, std):
    return D.Normal(mean, std).log_prob(z).sum(-1)


def bound(log_q):
    """The importance-weighted bound with another density of the codes, log_q(z, mean, std)."""

    def answer(log_px, z, mean, logvar):
        std = (logvar / 2).exp()
        log_prior = log_normal(z, torch.zeros_like(mean), torch.ones_like(std))
        return (log_px + log_prior - log_q(z, mean, std)).logsumexp(0) - math.log(len(z))

    return answer


def covariance(matrix):
    return bound(lambda z, mean, std: D.MultivariateNormal(mean, torch.diag_embed(matrix(std))).log_prob(z))


def weights_of(log_px, z, mean, logvar):
    std = (logvar / 2).exp()
    return log_px + log_normal(z, torch.zeros_like(mean), torch.ones_like(std)) - log_normal(z, mean, std)


def no_prior(log_px, z, mean, logvar):
    return (log_px - log_normal(z, mean, (logvar / 2).exp())).logsumexp(0) - math.log(len(z))


def half_constant(z, mean, std):
    return -0.5 * (((z - mean) / std) ** 2 + 2 * std.log()).sum(-1)


RIGHT = {
    "7.1": [
        lambda rec, kl, **w: torch.exp(-inside(rec, kl, **w)),
        lambda rec, kl, beta_rec, beta_neg, scale, alpha: (-scale * (beta_rec * rec + beta_neg * kl)).exp() ** alpha,
        lambda rec, kl, **w: math.e ** (-inside(rec, kl, **w)),
    ],
    "7.2": [
        lambda e, r, f, a: (-e + (r + f) / (2 * a)).mean(),
        lambda e, r, f, a: torch.cat([r, f]).mean() / a - e.mean(),
        lambda e, r, f, a: -(e.mean() - 0.5 / a * r.mean() - 0.5 / a * f.mean()),
    ],
    "7.3": [in_one_pass, decoder(total), decoder(lambda e, r, f, b, k, s: s * b * e.mean() + s * k * (r.mean() + f.mean()) / 2)],
    "7.4": ["gains", " Gains "],
    "7.5": [
        bound(log_normal),
        covariance(lambda std: std**2),
        lambda log_px, z, mean, logvar: torch.stack(list(weights_of(log_px, z, mean, logvar))).logsumexp(0) - math.log(len(z)),
        bound(lambda z, mean, std: D.MultivariateNormal(mean, scale_tril=torch.diag_embed(std)).log_prob(z)),
    ],
    "7.6": [(A, B, C), [A.upper(), B, C]],
}
WRONG = [
    ("7.1", lambda rec, kl, **w: (-inside(rec, kl, **w)).exp().mean(), "one number for the batch"),
    ("7.1", lambda rec, kl, **w: (-inside(rec, kl, **w).mean()).exp(), "as by the hinge"),
    ("7.1", lambda rec, kl, **w: inside(rec, kl, **w).exp(), "grows without bound"),
    ("7.1", lambda rec, kl, **w: -(-inside(rec, kl, **w)).exp(), "is positive"),
    ("7.1", lambda rec, kl, **w: -inside(rec, kl, **w), "exponential is missing"),
    ("7.1", lambda rec, kl, alpha, **w: (-inside(rec, kl, alpha=1, **w)).exp(), "alpha is not used"),
    ("7.1", lambda rec, kl, alpha, **w: (-inside(rec, kl, alpha=1 / alpha, **w)).exp(), "alpha divides"),
    ("7.1", lambda rec, kl, alpha, **w: (-inside(rec, kl, alpha=alpha, **w)).exp() / alpha, "belongs to the encoder's loss"),
    ("7.1", lambda rec, kl, scale, **w: (-inside(rec, kl, scale=1, **w)).exp(), "scale is not used"),
    ("7.1", lambda r, k, beta_rec, beta_neg, scale, alpha: (-alpha * (scale * beta_rec * r + beta_neg * k)).exp(), "error alone"),
    ("7.1", lambda r, k, beta_rec, beta_neg, **w: (-inside(r, k, beta_rec=beta_neg, beta_neg=beta_rec, **w)).exp(), "swapped"),
    ("7.1", lambda rec, kl, beta_rec, **w: (-inside(rec, kl, beta_rec=1, **w)).exp(), "beta_rec is not used"),
    ("7.1", lambda rec, kl, beta_neg, **w: (-inside(rec, kl, beta_neg=1, **w)).exp(), "beta_neg is not used"),
    ("7.1", lambda rec, kl, **w: (-inside(rec, -kl, **w)).exp(), "kl has the wrong sign"),
    ("7.1", lambda rec, kl, **w: (-inside(0, kl, **w)).exp(), "squared error is missing"),
    ("7.1", lambda rec, kl, **w: (-inside(rec, kl.detach(), **w)).exp(), "argument 2"),
    ("7.1", lambda rec, kl, **w: (-inside(rec.detach(), kl, **w)).exp(), "argument 1"),
    ("7.2", lambda e, r, f, a: -e + (r + f) / (2 * a), "one value per image"),
    ("7.2", lambda e, r, f, a: (-e + (r + f) / (2 * a)).sum(), "summed over the batch"),
    ("7.2", lambda e, r, f, a: (e - (r + f) / (2 * a)).mean(), "that is the objective"),
    ("7.2", lambda e, r, f, a: (-e - (r + f) / (2 * a)).mean(), "decoder's job"),
    ("7.2", lambda e, r, f, a: (-e - (r + f) / a).mean(), "decoder's job"),
    ("7.2", lambda e, r, f, a: (e + (r + f) / (2 * a)).mean(), "to be *large*"),
    ("7.2", lambda e, r, f, a: (-e + (r + f) / a).mean(), "half of each"),
    ("7.2", lambda e, r, f, a: (-e + (r + f) / 2).mean(), "1/alpha is missing"),
    ("7.2", lambda e, r, f, a: (-e + r + f).mean(), "1/alpha and the mean"),
    ("7.2", lambda e, r, f, a: (-e + a * (r + f) / 2).mean(), "alpha multiplies"),
    ("7.2", lambda e, r, f, a: (-e + r / a).mean(), "samples of the prior are missing"),
    ("7.2", lambda e, r, f, a: (-e + f / (2 * a)).mean(), "reconstructions are missing"),
    ("7.2", lambda e, r, f, a: (-e + ((a * r).exp() + (a * f).exp()) / (2 * a)).mean(), "exponential again"),
    ("7.2", lambda e, r, f, a: (-e.exp() + (r + f) / (2 * a)).mean(), "as it is"),
    ("7.2", lambda e, r, f, a: (-e + (r + f.detach()) / (2 * a)).mean(), "argument 3"),
    ("7.2", lambda e, r, f, a: (-e + 1 - (2 * a) / (r + f)).mean(), "expected -mean elbo"),
    ("7.3", without_gradients, "still no correction"),
    ("7.3", lambda e, x, r, f, **w: in_one_pass(e, x, r.detach(), f.detach(), **w), "cut off as well"),
    ("7.3", decoder(lambda e, r, f, b, k, s: total(e, r.detach(), f.detach(), b, k, s)), "still no correction"),
    ("7.3", only_samples, "half mended"),
    ("7.3", only_reconstructions, "still no correction"),
    ("7.3", no_error, "from the kl alone"),
    ("7.3", lambda e, x, r, f, **w: in_one_pass(e, x, r, f, **w).detach(), "cut off as well"),
    ("7.3", decoder(lambda e, r, f, b, k, s: s * (b * e + k * (r + f) / 2)), "one value per image"),
    ("7.3", decoder(lambda e, r, f, b, k, s: (s * (b * e + k * (r + f))).mean()), "their mean was right"),
    ("7.3", decoder(lambda e, r, f, b, k, s: (s * (b * e - k * (r + f) / 2)).mean()), "push its images away"),
    ("7.3", decoder(lambda e, r, f, b, k, s: (s * b * e).mean()), "kls are gone"),
    ("7.3", decoder(lambda e, r, f, b, k, s: (s * (b * e + k * r / 2)).mean()), "samples of the prior no longer"),
    ("7.3", decoder(lambda e, r, f, b, k, s: (s * (b * e + k * f / 2)).mean()), "reconstructions no longer"),
    ("7.3", decoder(lambda e, r, f, b, k, s: (b * e + k * (r + f) / 2).mean()), "value of the loss has changed"),
    ("7.4", "loses", "reinforcement learning"),
    ("7.4", "stays", "near its minimum"),
    ("7.4", "grows", "answer with one of"),
    ("7.4", 0.53, "answer with one of"),
    ("7.5", covariance(lambda std: std), "still the same"),
    ("7.5", bound(lambda z, m, s: log_normal(z, m, s**2)), "variance is squared"),
    ("7.5", bound(lambda z, m, s: log_normal(z, m, s.sqrt())), "still the same"),
    ("7.5", bound(lambda z, m, s: log_normal(z, m, (s**2).exp().sqrt())), "exponential twice"),
    ("7.5", bound(lambda z, m, s: log_normal(z, m, torch.ones_like(s))), "lost its spread"),
    ("7.5", bound(lambda z, m, s: 0), "q is gone"),
    ("7.5", bound(lambda z, m, s: -log_normal(z, m, s)), "it is subtracted"),
    ("7.5", bound(half_constant), "lost its constant"),
    ("7.5", no_prior, "prior is gone"),
    ("7.5", lambda *given: weights_of(*given).logsumexp(0), "log k is gone"),
    ("7.5", lambda *given: weights_of(*given).mean(0), "mean of the logarithms"),
    ("7.5", lambda *given: weights_of(*given).exp().mean(0), "logarithm is gone"),
    ("7.5", lambda *given: weights_of(*given).exp().mean(0).log(), "underflows"),
    ("7.5", lambda *given: weights_of(*given).logsumexp(1), "one value for each x"),
    ("7.6", (A, C, B), "not patient b. with no weight"),
    ("7.6", (C, B, A), "not patient a. with no weight"),
    ("7.6", (B, A, C), "not patient a. in a healthy game"),
    ("7.6", (A, A, B), "name each"),
    ("7.6", (A, B), "three texts"),
    ("7.6", "healthy", "three texts"),
    ("7.6", (A, B, "ill"), "none of the three"),
]
