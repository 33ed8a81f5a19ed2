"""Chapter 06: right answers in several spellings, and known wrong ones, each with a phrase of its diagnosis."""

import numpy as np
import torch
from torch.nn import functional as F

from course_utils.exercises import chapter_06

softplus = F.softplus
MOVED = {"skin tone": 20.0, "gender": 5.0, "hair": 80.0}  # of a made-up model


def prepare(monkeypatch):
    """The known wrong answers to 6.6 are wrong for this model, whatever is shipped."""
    monkeypatch.setattr(chapter_06, "changes", lambda: MOVED)


def half(a, b):
    return 0.5 * (a - b).square().flatten(1).sum(1)


def bce(d, label):
    return F.binary_cross_entropy_with_logits(d, torch.full_like(d, label))


def judged(discriminator, *images):
    return [discriminator(part)[1] for part in images]


def dis(d_real, d_rec, d_fake):
    return (softplus(-d_real) + softplus(d_rec) + softplus(d_fake)).mean()


def in_one_pass(discriminator, x, rec, fake):
    return dis(*discriminator(torch.cat([x, rec.detach(), fake.detach()]))[1].chunk(3))


def without_gradients(discriminator, x, rec, fake):
    with torch.no_grad():
        fakes = judged(discriminator, rec, fake)
    return dis(*judged(discriminator, x), *fakes)


def all_without_gradients(discriminator, x, rec, fake):
    with torch.no_grad():
        return dis(*judged(discriminator, x, rec, fake))


def gaps(codes, has, twins, skip=True):
    found = []
    for key in sorted(set(twins)):
        rows = torch.tensor([twin == key for twin in twins])
        if not skip or (has[rows].any() and not has[rows].all()):
            found.append(codes[rows & has].mean(0) - codes[rows & ~has].mean(0))
    return torch.stack(found)


def by_dictionary(codes, has, twins):
    sides = {}
    for code, shown, key in zip(codes.double(), has.tolist(), twins, strict=True):
        sides.setdefault(key, {True: [], False: []})[shown].append(code)
    both = [s for s in sides.values() if s[True] and s[False]]
    return sum(torch.stack(s[True]).mean(0) - torch.stack(s[False]).mean(0) for s in both) / len(both)


def within(codes, has, twins):
    """(rows of keys with both kinds)."""
    kinds = {key: {has[i].item() for i, t in enumerate(twins) if t == key} for key in twins}
    return torch.tensor([len(kinds[t]) == 2 for t in twins])


def weighted(codes, has, twins):
    keys = [k for k in sorted(set(twins)) if within(codes, has, twins)[twins.index(k)]]
    sizes = torch.tensor([float(twins.count(k)) for k in keys])[:, None]
    return (sizes * gaps(codes, has, twins)).sum(0) / sizes.sum()


def pooled(codes, has, twins):
    both = within(codes, has, twins)
    return codes[both & has].mean(0) - codes[both & ~has].mean(0)


def summed_within(codes, has, twins):
    signed = torch.where(has[:, None], codes, -codes)
    both = within(codes, has, twins)
    return signed[both].sum(0) / len({t for t, b in zip(twins, both.tolist(), strict=True) if b})


RIGHT = {
    "6.1": [
        lambda a, b: (a - b).pow(2).sum((1, 2, 3)) / 2,
        lambda a, b: F.mse_loss(a, b, reduction="none").sum(dim=(1, 2, 3)) * 0.5,
        lambda a, b: -torch.distributions.Normal(b, 1.0).log_prob(a).flatten(1).sum(1) - a[0].numel() * 0.9189385332046727,
        lambda a, b: half(a.double(), b.double()),
    ],
    "6.2": [
        lambda f, r, p, g: g * f.mean() + softplus(-r).mean() + softplus(-p).mean(),
        lambda f, r, p, g: g * f.mean() + bce(r, 1.0) + bce(p, 1.0),
        lambda f, r, p, g: (g * f - F.logsigmoid(r) - F.logsigmoid(p)).mean(),
    ],
    "6.3": [
        in_one_pass,
        lambda d, x, r, p: dis(*judged(d, x.detach(), r.detach(), p.detach())),
        lambda d, x, r, p: bce(d(x)[1], 1.0) + bce(d(r.data)[1], 0.0) + bce(d(p.clone().detach())[1], 0.0),
    ],
    "6.4": [12.8, 16384 / 1280, np.float32(12.8), torch.tensor(12.8)],
    "6.5": [by_dictionary, lambda c, h, t: gaps(c, h, t).mean(0)],
}
WRONG = [
    ("6.1", lambda a, b: half(a, b).sum(), "whole batch"),
    ("6.1", lambda a, b: half(a, b).mean(), "mean over images comes later"),
    ("6.1", lambda a, b: 0.5 * (a - b).square().flatten(1).mean(1), "averaged over the"),
    ("6.1", lambda a, b: F.mse_loss(a, b), "as `mse_loss` does"),
    ("6.1", lambda a, b: (a - b).square().flatten(1).mean(1), "as `mse_loss` does"),
    ("6.1", lambda a, b: (a - b).square().flatten(1).sum(1), "1/2 is missing"),
    ("6.1", lambda a, b: 0.5 * (a - b).square().mean((2, 3)).sum(1), "averaged over positions"),
    ("6.1", lambda a, b: 0.5 * (a - b).square().sum((2, 3)).mean(1), "averaged over channels"),
    ("6.1", lambda a, b: 0.5 * (a - b).square().sum(1), "one value per image means"),
    ("6.1", lambda a, b: (a - b).flatten(1).norm(dim=1), "root"),
    ("6.1", lambda a, b: (a - b).abs().flatten(1).sum(1), "laplace"),
    ("6.1", lambda a, b: -half(a, b), "sign"),
    ("6.1", lambda a, b: half(a, b.detach()), "reconstruction's features"),
    ("6.1", lambda a, b: half(a.detach(), b), "features of the real image are detached"),
    ("6.2", lambda f, r, p, g: g * f + softplus(-r) + softplus(-p), "one value per image"),
    ("6.2", lambda f, r, p, g: (g * f + softplus(-r) + softplus(-p)).sum(), "summed over the batch"),
    ("6.2", lambda f, r, p, g: (g * f + softplus(r) + softplus(p)).mean(), "help it to catch"),
    ("6.2", lambda f, r, p, g: (g * f - softplus(r) - softplus(p)).mean(), "minimax"),
    ("6.2", lambda f, r, p, g: (g * f + F.logsigmoid(r) + F.logsigmoid(p)).mean(), "wrong sign"),
    ("6.2", lambda f, r, p, g: (g * f + softplus(-p)).mean(), "reconstructions are missing"),
    ("6.2", lambda f, r, p, g: (g * f + softplus(-r)).mean(), "samples of the prior are missing"),
    ("6.2", lambda f, r, p, g: (g * f + softplus(-torch.stack([r, p])).mean(0)).mean(), "not averaged"),
    ("6.2", lambda f, r, p, g: (f + g * (softplus(-r) + softplus(-p))).mean(), "wrong term"),
    ("6.2", lambda f, r, p, g: g * (f + softplus(-r) + softplus(-p)).mean(), "multiplies everything"),
    ("6.2", lambda f, r, p, g: (g * f + (1 - g) * (softplus(-r) + softplus(-p))).mean(), "1 - gamma"),
    ("6.2", lambda f, r, p, g: (f + softplus(-r) + softplus(-p)).mean(), "gamma is not used"),
    ("6.2", lambda f, r, p, g: (g * f - r.sigmoid().log() - p.sigmoid().log()).mean(), "minus infinity"),
    ("6.2", lambda f, r, p, g: (g * f.detach() + softplus(-r) + softplus(-p)).mean(), "argument 1"),
    ("6.3", lambda d, x, r, p: dis(*judged(d, x, r, p)), "still no sound"),
    ("6.3", lambda d, x, r, p: dis(*judged(d, x, r.detach(), p)), "half mended"),
    ("6.3", lambda d, x, r, p: dis(*judged(d, x, r, p.detach())), "half mended"),
    ("6.3", lambda d, x, r, p: dis(*judged(d, x.detach(), r, p)), "still no sound"),
    ("6.3", all_without_gradients, "no gradient"),
    ("6.3", lambda d, x, r, p: dis(*judged(d, x, r, p)).detach(), "no gradient"),
    ("6.3", without_gradients, "all three kinds"),
    ("6.3", lambda d, x, r, p: dis(d(x)[1], d(r)[1].detach(), d(p)[1].detach()), "not logits"),
    ("6.3", lambda d, x, r, p: dis(*(-logit for logit in judged(d, x, r.detach(), p.detach()))), "labels swapped"),
    ("6.3", lambda d, x, r, p: (softplus(-d(x)[1]) + softplus(d(r.detach())[1])).mean(), "samples of the prior no longer"),
    ("6.3", lambda d, x, r, p: (softplus(-d(x)[1]) + softplus(d(p.detach())[1])).mean(), "reconstructions no longer"),
    ("6.3", lambda d, x, r, p: softplus(-d(x)[1]).mean(), "no fakes are left"),
    ("6.3", lambda d, x, r, p: 0.5 * in_one_pass(d, x, r, p), "value of the loss has changed"),
    ("6.4", 1, "no factor stood"),
    ("6.4", 0.1, "the 5 alone"),
    ("6.4", 5, "the 5 alone"),
    ("6.4", 64, "where is the 5"),
    ("6.4", 320, "wrong side"),
    ("6.4", 25.6, "l_feat has a 1/2"),
    ("6.4", 51.2, "other side"),
    ("6.4", 1 / 12.8, "upside down"),
    ("6.4", 1 / 64, "upside down"),
    ("6.4", 1638.4, "kl is averaged too"),
    ("6.4", 1 / 1280, "features are averaged too"),
    ("6.4", 13, "not 13"),
    ("6.5", lambda c, h, t: c[h].mean(0) - c[~h].mean(0), "over all images"),
    ("6.5", lambda c, h, t: -gaps(c, h, t).mean(0), "*with* to *without*"),
    ("6.5", lambda c, h, t: gaps(c, h, t), "one vector per key"),
    ("6.5", lambda c, h, t: gaps(c, h, t).sum(0), "sum over keys"),
    ("6.5", lambda c, h, t: gaps(c, h, t).sum(0) / len(set(t)), "number of all keys"),
    ("6.5", lambda c, h, t: gaps(c, h, t, skip=False).mean(0), "nan"),
    ("6.5", weighted, "more images count more"),
    ("6.5", pooled, "pool the others"),
    ("6.5", summed_within, "add up the codes"),
    ("6.5", lambda c, h, t: F.normalize(gaps(c, h, t).mean(0), dim=0), "length 1"),
    ("6.5", lambda c, h, t: gaps(c, h, t).median(0).values, "expected the mean over keys"),
    ("6.5", lambda c, h, t: c[h].mean(1), "direction in latent space"),
    ("6.6", "gender", "moves by 5"),
    ("6.6", "skin tone", "moves by 20"),
    ("6.6", "skin", "name of a slider"),
    ("6.6", 3, "name of a slider"),
]
