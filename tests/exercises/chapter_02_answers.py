"""Chapter 02: right answers in several spellings, and known wrong ones, each with a phrase of its diagnosis."""

import math

import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence

RIGHT = {
    "2.1": [
        lambda mu, logvar, noise: mu + noise * torch.sqrt(torch.exp(logvar)),
        lambda mu, logvar, noise: torch.addcmul(mu, noise, (0.5 * logvar).exp()),
        lambda mu, logvar, noise: mu.double() + noise.double() * (logvar.double() / 2).exp(),
    ],
    "2.2": [
        lambda mu, logvar: -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1),
        lambda mu, logvar: kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(1),
        lambda mu, logvar: 0.5 * (mu.double() ** 2 + logvar.double().exp() - logvar.double() - 1).sum(-1),
    ],
    "2.3": [
        lambda x, m, mu, lv, v: (
            ((x - m) ** 2).sum() / (2 * v * len(x)) + 0.5 * (mu**2 + lv.exp() - 1 - lv).sum() / len(x)
        ),
        lambda x, m, mu, lv, v: torch.mean(
            (x - m).pow(2).sum((1, 2, 3)) / 2 / v + kl_divergence(Normal(mu, (lv / 2).exp()), Normal(0.0, 1.0)).sum(1)
        ),
    ],
    "2.4": [1024, 1024.0, 32 * 32],
    "2.5": [
        lambda w: torch.logsumexp(w, 0) - math.log(w.shape[0]),
        lambda w: w.max(0).values + (w - w.max(0).values).exp().mean(0).log(),
    ],
    "2.6": [
        lambda z, mu, lv: MultivariateNormal(mu, torch.diag_embed(lv.exp())).log_prob(z),
        lambda z, mu, lv: Normal(mu, (lv / 2).exp()).log_prob(z).sum(1),
    ],
}


def kl(mu, lv):
    return 0.5 * (mu**2 + lv.exp() - 1 - lv)


def sse(x, m):
    return (x - m).square().flatten(1).sum(1)


WRONG = [
    ("2.1", lambda mu, lv, e: mu + e * lv.exp(), "by the variance"),
    ("2.1", lambda mu, lv, e: mu + e * lv, "by `logvar`"),
    ("2.1", lambda mu, lv, e: mu + (lv / 2).exp(), "noise is not used"),
    ("2.1", lambda mu, lv, e: e + mu * (lv / 2).exp(), "scale `mu`"),
    ("2.1", lambda mu, lv, e: torch.normal(mu, (lv / 2).exp()), "mu + std * noise"),
    ("2.1", lambda mu, lv, e: (mu + e * (lv / 2).exp()).detach(), "no gradient"),
    ("2.1", lambda mu, lv, e: (mu + e * (lv / 2).exp()).sum(1), "one sample per row"),
    ("2.1", lambda mu, lv, e: mu + e * lv.exp() / 2, "half the variance"),
    ("2.1", lambda mu, lv, e: mu + e * lv.sqrt(), "root of `logvar`"),
    ("2.1", lambda mu, lv, e: mu + torch.randn_like(mu) * (lv / 2).exp(), "draw none of your own"),
    ("2.2", lambda mu, lv: kl(mu, lv).mean(1), "averaged over the"),
    ("2.2", lambda mu, lv: 2 * kl(mu, lv).sum(1), "1/2 in front"),
    ("2.2", lambda mu, lv: -kl(mu, lv).sum(1), "sign"),
    ("2.2", lambda mu, lv: kl(mu, 2 * lv).sum(1), "logarithm of the standard deviation"),
    (
        "2.2",
        lambda mu, lv: kl_divergence(Normal(0 * mu, 1 + 0 * mu), Normal(mu, (lv / 2).exp())).sum(1),
        "other direction",
    ),
    ("2.2", lambda mu, lv: kl(mu, lv).sum(1).mean(), "one number for the whole batch"),
    ("2.2", lambda mu, lv: kl(mu, lv), "one number per latent dimension"),
    ("2.2", lambda mu, lv: kl(mu.detach(), lv).sum(1), "no gradient"),
    ("2.2", lambda mu, lv: 0.5 * (mu**2 + lv.exp() - lv).sum(1), "-1 is missing"),
    ("2.2", lambda mu, lv: kl(mu, lv).sum(1) / len(mu), "divided by the number of images"),
    ("2.2", lambda mu, lv: 32 * kl(mu, lv).mean(1), "expected the sum"),
    ("2.3", lambda x, m, mu, lv, v: ((x - m) ** 2).mean() / (2 * v) + kl(mu, lv).sum(1).mean(), "averaged over the"),
    ("2.3", lambda x, m, mu, lv, v: (sse(x, m) / (2 * v) + kl(mu, lv).mean(1)).mean(), "your kl is"),
    ("2.3", lambda x, m, mu, lv, v: ((x - m) ** 2).mean() / (2 * v) + kl(mu, lv).mean(), "ratio"),
    ("2.3", lambda x, m, mu, lv, v: (sse(x, m) + kl(mu, lv).sum(1)).mean(), "variance = 1/2"),
    ("2.3", lambda x, m, mu, lv, v: (sse(x, m) / v + kl(mu, lv).sum(1)).mean(), "the 1/2 of the gaussian"),
    ("2.3", lambda x, m, mu, lv, v: (sse(x, m) / (2 * v) + kl(mu, lv).sum(1)).sum(), "summed over the batch"),
    ("2.3", lambda x, m, mu, lv, v: (sse(x, m) / (2 * v) - kl(mu, lv).sum(1)).mean(), "wrong sign"),
    ("2.3", lambda x, m, mu, lv, v: -(sse(x, m) / (2 * v) + kl(mu, lv).sum(1)).mean(), "elbo itself"),
    ("2.3", lambda x, m, mu, lv, v: sse(x, m) / (2 * v) + kl(mu, lv).sum(1), "one value per image"),
    ("2.3", lambda x, m, mu, lv, v: ((x - m) ** 2).sum((2, 3)).mean() / (2 * v) + kl(mu, lv).sum(1).mean(), "over the channels"),
    ("2.3", lambda x, m, mu, lv, v: (sse(x, m) / 2 * v + kl(mu, lv).sum(1)).mean(), "*multiplies*"),
    ("2.3", lambda x, m, mu, lv, v: sse(x, m).mean() / (2 * v) + kl(mu, lv).sum(), "kl is summed over the batch"),
    (
        "2.3",
        lambda x, m, mu, lv, v: (kl(mu, lv).sum(1) - Normal(m, math.sqrt(v)).log_prob(x).flatten(1).sum(1)).mean(),
        "constant",
    ),
    ("2.4", 1 / 1024, "other way around"),
    ("2.4", 32, "number of latents"),
    ("2.4", 1, "the same then"),
    ("2.4", 512, "unit-variance"),
    ("2.4", 784, "28 x 28"),
    ("2.5", lambda w: w.mean(0), "mean of the logarithms"),
    ("2.5", lambda w: w.logsumexp(0), "sum"),
    ("2.5", lambda w: w.exp().mean(0).log(), "underflows"),
    ("2.5", lambda w: w.logsumexp(1) - math.log(w.shape[1]), "first axis"),
    ("2.5", lambda w: w.max(0).values, "best sample"),
    ("2.5", lambda w: w.logsumexp(0) - math.log(w.shape[1]), "number of images"),
    ("2.5", lambda w: w.double().exp().mean(0).log(), "underflows"),
    ("2.5", lambda w: w.max() + (w - w.max()).exp().mean(0).log(), "underflows"),
    ("2.5", lambda w: w.mean(0) + (w - w.mean(0)).exp().mean(0).log(), "overflows"),
    ("2.6", lambda z, mu, lv: MultivariateNormal(mu, torch.diag_embed((lv / 2).exp())).log_prob(z), "still vary"),
    ("2.6", lambda z, mu, lv: Normal(mu, lv.exp()).log_prob(z).sum(1), "one square further"),
    ("2.6", lambda z, mu, lv: Normal(mu, (lv / 2).exp()).log_prob(z).mean(1), "add up"),
    ("2.6", lambda z, mu, lv: Normal(mu, (lv / 2).exp()).log_prob(z), "one log-density per row"),
    ("2.6", lambda z, mu, lv: -0.5 * (lv + (z - mu) ** 2 / lv.exp()).sum(1), "log(2 pi)"),
    ("2.6", lambda z, mu, lv: -0.5 * (math.log(2 * math.pi) + (lv + (z - mu) ** 2 / lv.exp()).sum(1)), "there once"),
    ("2.6", lambda z, mu, lv: -Normal(mu, (lv / 2).exp()).log_prob(z).sum(1), "sign"),
    ("2.6", lambda z, mu, lv: [row.sum() for row in Normal(mu, (lv / 2).exp()).log_prob(z)], "`torch.stack`"),
]
