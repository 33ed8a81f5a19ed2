"""Chapter 04: right answers in several spellings, and known wrong ones, each with a phrase of its diagnosis."""

import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import logsigmoid, relu, softplus

from course_utils import games
from course_utils.methods import gan_losses


def made_up_games():
    """Five seeds of two schedules: with constant rates two of five end below their best, and three end with eight modes."""
    constant = [[0, 8, 3], [2, 8, 8], [1, 5, 5], [8, 0, 8], [4, 8, 7]]
    ends = {"constant": constant, "linear": [[0, 4, 8]] * 4 + [[1, 8, 7]]}
    return [
        {"loss": "hinge", "schedule": schedule, "seed": seed, "covered": covered}
        for schedule, rows in ends.items()
        for seed, covered in enumerate(rows)
    ]


def prepare(monkeypatch):
    """The known wrong answers to 4.6 are wrong for these games, whatever is recorded."""
    monkeypatch.setattr(games, "recorded", made_up_games)


def mixed(real, fake, eps):
    return eps * real + (1 - eps) * fake.detach()


def slopes(critic, x, **options):
    x = x if x.requires_grad else x.requires_grad_()
    return torch.autograd.grad(critic(x).sum(), x, **{"create_graph": True, **options})[0]


def eps_of(real):
    return torch.rand(len(real), 1, 1, 1)


def penalty(length=lambda s: s.flatten(1).norm(dim=1), end=lambda n: ((n - 1) ** 2).mean(), eps=eps_of, **options):
    """A gradient penalty with one of its parts exchanged."""
    return lambda critic, real, fake: end(length(slopes(critic, mixed(real, fake, eps(real)), **options)))


def attached_penalty(critic, real, fake):
    eps = eps_of(real)
    return ((slopes(critic, eps * real + (1 - eps) * fake).flatten(1).norm(dim=1) - 1) ** 2).mean()


def mean_penalty(critic, real, fake):
    x = mixed(real, fake, eps_of(real)).requires_grad_()
    slope = torch.autograd.grad(critic(x).mean(), x, create_graph=True)[0]
    return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()


def written_out_penalty(critic, real, fake):
    eps = torch.rand(real.shape[0], 1, 1, 1)
    x = torch.autograd.Variable(fake.data + eps * (real - fake.data), requires_grad=True)
    logits = critic(x)
    slope = torch.autograd.grad(logits, x, grad_outputs=torch.ones_like(logits), create_graph=True)[0]
    return torch.mean((torch.sqrt((slope**2).sum((1, 2, 3))) - 1) ** 2)


def frozen_fakes(critic, real, fake):
    with torch.no_grad():
        f = critic(fake)
    return softplus(-critic(real)).mean() + softplus(f).mean()


def in_place(critic, real, fake):
    fake.detach_()
    return gan_losses.minimax_critic(critic(real), critic(fake))


def one_pass(critic, real, fake):
    r, f = critic(torch.cat([real, fake.detach()])).chunk(2)
    return softplus(-r).mean() + softplus(f).mean()


def aimed(at_real, at_fake):
    def loss(real, fake, s):
        t, u = (torch.full_like(x, float(at(s))) for x, at in ((real, at_real), (fake, at_fake)))
        return bce(real, t) + bce(fake, u)

    return loss


def zero(s):
    return 0.0


RIGHT = {
    "4.1": [
        lambda d: -logsigmoid(d).mean(),
        lambda d: bce(d, torch.ones_like(d)),
        lambda d: torch.logaddexp(torch.zeros_like(d), -d).mean(),
        lambda d: (softplus(d) - d).double().mean(),
    ],
    "4.2": [("minimax", "lsgan"), ["Minimax", "LSGAN"]],
    "4.3": [one_pass, lambda c, r, f: (softplus(-c(r)) + softplus(c(f.data))).mean()],
    "4.4": [written_out_penalty, penalty(length=lambda s: s.square().sum((1, 2, 3)).sqrt())],
    "4.5": [
        aimed(lambda s: 1 - s, zero),
        lambda r, f, s: (softplus(-r) + s * r).mean() - logsigmoid(-f).mean(),
    ],
}

WRONG = [
    ("4.1", lambda d: softplus(-d), "one value per fake"),
    ("4.1", lambda d: -softplus(d).mean(), "nearly flat"),
    ("4.1", lambda d: softplus(d).mean(), "critic's* term"),
    ("4.1", lambda d: logsigmoid(d).mean(), "sign is turned"),
    ("4.1", lambda d: -d.mean(), "mean logit"),
    ("4.1", lambda d: -d.log().mean(), "holds logits"),
    ("4.1", lambda d: softplus(-d).sum(), "summed over the batch"),
    ("4.1", lambda d: -d.sigmoid().log().mean(), "not finite"),
    ("4.1", lambda d: -(d.sigmoid() + 1e-8).log().mean(), "something small"),
    ("4.1", lambda d: -d.sigmoid().clamp(1e-7).log().mean(), "something small"),
    ("4.1", lambda d: softplus(-d).mean().detach(), "no gradient"),
    ("4.1", lambda d: 2 * softplus(-d).mean(), "expected -mean log"),
    ("4.2", ("lsgan", "minimax"), "other order"),
    ("4.2", ("non-saturating", "lsgan"), "*other* end"),
    ("4.2", ("lsgan", "wgan-gp"), "-7"),
    ("4.2", ("wgan-gp", "lsgan"), "smaller slope"),
    ("4.2", ("hinge", "lsgan"), "beyond its margin"),
    ("4.2", ("minimax", "wgan-gp"), "grows with the distance"),
    ("4.2", ("minimax", "non-saturating"), "never larger than 1"),
    ("4.2", ("minimax", "minimax"), "softplus(d) at -6"),
    ("4.2", ("minimax", "mse"), "two of"),
    ("4.2", "minimax", "expected 2 values"),
    ("4.3", lambda c, r, f: gan_losses.minimax_critic(c(r), c(f)), "still a gradient reaches the generator"),
    ("4.3", lambda c, r, f: gan_losses.minimax_critic(c(r.detach()), c(f)), "still a gradient reaches the generator"),
    ("4.3", lambda c, r, f: gan_losses.minimax_critic(c(r), c(f).detach()), "one step too late"),
    ("4.3", frozen_fakes, "one step too late"),
    ("4.3", lambda c, r, f: gan_losses.minimax_critic(c(r), c(f)).detach(), "*critic* either"),
    ("4.3", lambda c, r, f: gan_losses.minimax_critic(c(r).detach(), c(f.detach())), "cut off from the critic"),
    ("4.3", lambda c, r, f: gan_losses.minimax_critic(c(f.detach()), c(r)), "turned around"),
    ("4.3", lambda c, r, f: softplus(-c(r)).mean(), "term of the fakes is gone"),
    ("4.3", lambda c, r, f: gan_losses.minimax_critic(c(r), c(f.detach())) / 2, "halved"),
    ("4.3", lambda c, r, f: softplus(-c(r)) + softplus(c(f.detach())), "one value per sample"),
    ("4.3", in_place, "in place"),
    ("4.4", penalty(length=lambda s: s.norm()), "whole batch"),
    ("4.4", penalty(eps=lambda r: torch.rand(1, 1, 1, 1)), "same eps"),
    ("4.4", penalty(end=lambda n: (n - 1) ** 2), "one value per sample"),
    ("4.4", penalty(length=lambda s: s.norm(dim=1)), "*channels*"),
    ("4.4", penalty(length=lambda s: s.flatten(1).square().sum(1)), "root is missing"),
    ("4.4", penalty(end=lambda n: (n.mean() - 1) ** 2), "before the square"),
    ("4.4", penalty(end=lambda n: (n**2).mean()), "toward 0"),
    ("4.4", penalty(end=lambda n: relu(n - 1).square().mean()), "only slopes above 1"),
    ("4.4", mean_penalty, "b times too small"),
    ("4.4", penalty(end=lambda n: ((n - 1) ** 2).sum()), "summed over the batch"),
    ("4.4", penalty(end=lambda n: 10 * ((n - 1) ** 2).mean()), "weight of 10"),
    ("4.4", penalty(eps=lambda r: torch.rand_like(r)), "eps of its own"),
    ("4.4", penalty(eps=lambda r: 3 * torch.randn(len(r), 1, 1, 1)), "outside of [0, 1]"),
    ("4.4", penalty(eps=lambda r: torch.ones(len(r), 1, 1, 1)), "real images alone"),
    ("4.4", penalty(eps=lambda r: torch.zeros(len(r), 1, 1, 1)), "fakes alone"),
    ("4.4", penalty(create_graph=False), "create_graph"),
    ("4.4", attached_penalty, "reaches the generator"),
    ("4.5", aimed(lambda s: 1 + s, zero), "aimed above 1"),
    ("4.5", aimed(lambda s: 1, zero), "no smoothing is left"),
    ("4.5", aimed(lambda s: 1 - s, lambda s: s), "both sides"),
    ("4.5", aimed(lambda s: 1, lambda s: s), "in place of the reals"),
    ("4.5", aimed(lambda s: s, zero), "`smoothing` itself"),
    ("4.5", aimed(lambda s: 1 + s, lambda s: -s), "even faster"),
    ("4.5", aimed(lambda s: 1 - s, lambda s: -s), "below 0"),
    ("4.5", aimed(zero, lambda s: 1 - s), "swapped"),
    ("4.5", aimed(zero, lambda s: 1), "swapped"),
    ("4.5", aimed(lambda s: 1 - s / 2, zero), "two classes"),
    ("4.5", lambda r, f, s: aimed(lambda s: 1 - s, zero)(r, f, s) / 2, "they are added"),
    ("4.5", lambda r, f, s: len(r) * aimed(lambda s: 1 - s, zero)(r, f, s), "summed over the batch"),
    ("4.5", lambda r, f, s: aimed(lambda s: 1 - s, zero)(r, f, s).detach(), "no gradient"),
    ("4.6", 1, "falls to zero"),
    ("4.6", 3, "*end* at their best"),
    ("4.6", 4, "*some* step"),
    ("4.6", 5, "compare two numbers"),
    ("4.6", 8, "a number of runs"),
    ("4.6", "hinge", "a number of runs"),
]
