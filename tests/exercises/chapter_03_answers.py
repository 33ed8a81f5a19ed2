"""Chapter 03: right answers in several spellings, and known wrong ones, each with a phrase of its diagnosis."""

import math

import numpy as np
import torch
from torch.distributions import Normal, kl_divergence

from course_utils.exercises import chapter_03
from course_utils.metrics.disentanglement import Disentanglement

# What a made-up model knows of the six factors: z[1] most of x, z[2] second, z[4] nothing.
MADE_UP = np.array(
    [
        [0.3, 0.1, 0.0, 0.1, 0.0],  # shape
        [0.9, 0.0, 0.1, 0.0, 0.0],  # color
        [0.0, 0.2, 0.1, 0.8, 0.01],  # scale
        [0.1, 0.1, 0.1, 0.1, 0.0],  # rotation
        [0.0, 1.2, 0.4, 0.0, 0.0],  # x
        [0.0, 0.4, 0.6, 0.2, 0.0],  # y
    ]
)


def prepare(monkeypatch, information=MADE_UP):
    """The known wrong answers to 3.4 are wrong for this model, whatever is shipped."""
    measured = Disentanglement(information, np.ones(6), np.ones(6))
    monkeypatch.setattr(chapter_03, "shapes_information", lambda: measured)


def kl(mu, lv):
    return 0.5 * (mu**2 + lv.exp() - 1 - lv)


def sse(x, m):
    return (x - m).square().flatten(1).sum(1)


def by_values(information, entropy):
    best = torch.sort(information, dim=1).values
    return (best[:, -1] - best[:, -2]) / entropy


def removed_by_value(information, entropy):
    best = information.max(1, keepdim=True).values
    second = information.masked_fill(information == best, -1).max(1).values
    return (best[:, 0] - second) / entropy


def removed_by_place(information, entropy):
    best, place = information.max(1, keepdim=True)
    second = information.scatter(1, place, -1.0).max(1).values
    return best[:, 0] / entropy - second / entropy


RIGHT = {
    "3.1": [
        lambda x, m, mu, lv, b: ((x - m) ** 2).sum() / len(x) + b * kl(mu, lv).sum() / len(x),
        lambda x, m, mu, lv, b: torch.mean(
            sse(x, m) + b * kl_divergence(Normal(mu, (lv / 2).exp()), Normal(0.0, 1.0)).sum(-1)
        ),
        lambda x, m, mu, lv, b: (sse(x.double(), m.double()) + kl(mu.double(), lv.double()).sum(1) * b).mean(),
    ],
    "3.2": [
        lambda step, warmup, beta: beta * min(1.0, step / warmup),
        lambda step, warmup, beta: beta if step >= warmup else step * beta / warmup,
        lambda step, warmup, beta: float(np.interp(step, [0, warmup], [0, beta])),
        lambda step, warmup, beta: torch.tensor(step / warmup).clamp(max=1) * beta,
    ],
    "3.3": [(0.95, 0.475), [19 / 20, sum(range(20)) / 400]],
    "3.5": [by_values, removed_by_place, lambda i, h: by_values(i.double(), h.double())],
}


def gap(information):
    best = information.topk(2, 1).values
    return best[:, 0] - best[:, 1]


WRONG = [
    ("3.1", lambda x, m, mu, lv, b: b * (sse(x, m) + kl(mu, lv).sum(1)).mean(), "still one point. the printed"),
    ("3.1", lambda x, m, mu, lv, b: (sse(x, m) + kl(mu, lv).sum(1)).mean(), "nothing uses"),
    ("3.1", lambda x, m, mu, lv, b: (b * sse(x, m) + kl(mu, lv).sum(1)).mean(), "wrong way"),
    ("3.1", lambda x, m, mu, lv, b: (sse(x, m) + kl(mu, lv).sum(1) / b).mean(), "wrong way"),
    ("3.1", lambda x, m, mu, lv, b: ((1 - b) * sse(x, m) + b * kl(mu, lv).sum(1)).mean(), "negative* weight"),
    ("3.1", lambda x, m, mu, lv, b: (sse(x, m) + b * kl(mu, lv).mean(1)).mean(), "acts as beta /"),
    ("3.1", lambda x, m, mu, lv, b: ((x - m) ** 2).mean() + b * kl(mu, lv).sum(1).mean(), "over the"),
    ("3.1", lambda x, m, mu, lv, b: (sse(x, m) + b**2 * kl(mu, lv).sum(1)).mean(), "beta squared"),
    ("3.1", lambda x, m, mu, lv, b: (x - m).square().sum((2, 3)).mean() + b * kl(mu, lv).sum(1).mean(), "over the channels"),
    ("3.1", lambda x, m, mu, lv, b: (x - m).square().mean() + b * kl(mu, lv).mean(), "over their own dimensions"),
    ("3.1", lambda x, m, mu, lv, b: 0.5 * sse(x, m).mean() + b * kl(mu, lv).sum(1).mean(), "expected the batch mean"),
    ("3.1", lambda x, m, mu, lv, b: sse(x, m) + b * kl(mu, lv).sum(1), "one value per image"),
    ("3.1", lambda x, m, mu, lv, b: (sse(x, m) + b * kl(mu, lv).sum(1)).sum(), "summed over the batch"),
    ("3.1", lambda x, m, mu, lv, b: (sse(x, m) + b * kl(mu, lv).sum(1)).mean().detach(), "no gradient"),
    ("3.2", lambda step, warmup, beta: beta, "nothing rises"),
    ("3.2", lambda step, warmup, beta: beta * step / warmup, "beyond the warm-up"),
    ("3.2", lambda step, warmup, beta: min(1, step / warmup), "ends at 1"),
    ("3.2", lambda step, warmup, beta: min(beta, step / warmup), "wrong slope"),
    ("3.2", lambda step, warmup, beta: min(1, beta * step / warmup), "clipped at 1"),
    ("3.2", lambda step, warmup, beta: beta * min(1, step / (warmup - 1)), "step early"),
    ("3.2", lambda step, warmup, beta: 0 if step < warmup else beta, "then jumps"),
    ("3.2", lambda step, warmup, beta: beta * step / warmup if step < warmup else None, "returns none"),
    ("3.2", lambda step, warmup, beta: beta * min(1, (step + 1) / warmup), "step early"),
    ("3.2", lambda step, warmup, beta: beta * min(1, step / (warmup + 1)), "step late"),
    ("3.2", lambda step, warmup, beta: beta * min(step, warmup - 1) / warmup, "never reaches beta"),
    ("3.2", lambda step, warmup, beta: beta * min(1, step // warmup), "rounds down"),
    ("3.2", lambda step, warmup, beta: step // warmup * beta, "rounds down"),
    ("3.2", lambda step, warmup, beta: beta * (step % warmup) / warmup, "falls back"),
    ("3.2", lambda step, warmup, beta: beta - beta * min(1, step / warmup), "backwards"),
    ("3.2", lambda step, warmup, beta: beta * min(1, step / warmup) / 2, "where it is off most"),
    ("3.2", lambda step, warmup, beta: print(beta * min(1, step / warmup)), "`return` missing"),
    ("3.3", (1, 0.5), "range(20)"),
    ("3.3", (0.475, 0.95), "other order"),
    ("3.3", (0.95, 0.5), "straight line"),
    ("3.3", (0.95, 0.525), "0 ... 19"),
    ("3.3", (0.95, 0.95), "last value again"),
    ("3.3", (0.9, 0.475), "e = 19"),
    ("3.3", 0.475, "expected 2 values"),
    ("3.5", lambda i, h: gap(i), "not yet a share"),
    ("3.5", lambda i, h: (gap(i) / h).mean(), "mig itself"),
    ("3.5", lambda i, h: gap(i.T), "latent dimension"),
    ("3.5", lambda i, h: (i.max(1).values - i.mean(1)) / h, "mean over all"),
    ("3.5", lambda i, h: (i.max(1).values - (i.sum(1) - i.max(1).values) / (i.shape[1] - 1)) / h, "the mean of"),
    ("3.5", lambda i, h: (i.max(1).values - i.min(1).values) / h, "the worst of"),
    ("3.5", lambda i, h: i.max(1).values / h, "best dimension knows"),
    ("3.5", lambda i, h: gap(i) / i.max(1).values, "still score 1"),
    ("3.5", lambda i, h: gap(i) / (h / math.log(2)), "mixed units"),
    ("3.5", lambda i, h: gap(i) / math.log(i.shape[1]), "number of *dimensions*"),
    ("3.5", lambda i, h: -gap(i) / h, "sign"),
    ("3.5", lambda i, h: -gap(-i) / h, "know *least*"),
    ("3.5", lambda i, h: torch.stack([gap(i)[f] / h[f] for f in range(6)]), "out of bounds"),
    ("3.5", removed_by_value, "twin"),
    ("3.4", 4, "switched off"),
    ("3.4", 2, "of *y*"),
    ("3.4", 3, "of *scale*"),
    ("3.4", 0, "of *color*"),
    ("3.4", 5, "one of 0, 1, 2, 3, 4"),
    ("3.4", "scale", "number of a latent dimension"),
]
