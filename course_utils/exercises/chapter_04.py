"""Exercises of chapter 04, the losses of GANs."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import softplus

from .. import games
from ..methods import gan_losses
from .framework import (
    between,
    close,
    differs,
    equals,
    exercise,
    finite,
    has_gradient,
    is_scalar,
    no_gradient,
    one_of,
    parts,
)


@exercise(
    "4.1",
    reference=gan_losses.non_saturating_generator,
    name="non_saturating",
    title="A loss that speaks while the critic is sure",
    minutes=10,
    points=2,
    difficulty=1,
    hints=[
        "log D = log sigmoid(d). Write the sigmoid as 1 / (1 + exp(-d)) and take the logarithm: what is left is a softplus.",
        "log sigmoid(d) = -softplus(-d). PyTorch's `softplus` neither overflows nor rounds to zero.",
    ],
)
def _non_saturating(answer, fresh):
    drawn = fresh.normal(2 * fresh.integer(4, 12) + 1, std=2.0)
    fake = (drawn - drawn.mean() - 0.8).requires_grad_()  # (B,), logits; of mean 0 two of the losses would be equal
    got = answer(fake)
    yield differs(got, softplus(-fake)), "One value per fake. A loss is one number: take the mean over the batch."
    yield is_scalar(got), "The result has shape {got}; a loss is one number, shape {want}."
    yield (
        differs(got, -softplus(fake).mean()),
        "That is the *minimax* loss, mean log(1 - D): nearly flat where the critic is sure of a fake. Descend on -mean log D.",
    )
    yield (
        differs(got, softplus(fake).mean()),
        "That is the *critic's* term for fakes: a generator that descends on it makes its fakes easier to tell.",
    )
    yield differs(got, -softplus(-fake).mean()), "The sign is turned around: mean log D itself. A loss is minimized, and the generator wants a *large* D on its fakes."
    yield differs(got, -fake.mean()), "That is the mean logit, as with hinge and Wasserstein. Here the logit first goes through the logarithm of a sigmoid."
    yield differs(got, -torch.log(fake).mean()), "`fake` holds logits, any real numbers. They become D by a sigmoid first."
    yield differs(got, softplus(-fake).sum()), "Summed over the batch: the size of a step would depend on the batch size. Take the mean."
    yield close(got, softplus(-fake).mean()), "Expected -mean log sigmoid(fake), {want:.5g}; got {got:.5g}."
    sure = torch.tensor([-300.0, -120.0, -3.0, 60.0])
    far = answer(sure)
    yield (
        finite(far),
        "With logits of -300 and -120 your loss is not finite: sigmoid(-120) is 0 in float32, and log 0 is -infinity. Take sigmoid and logarithm in one function.",
    )
    yield (
        close(far, softplus(-sure).mean(), rtol=1e-4),
        "With logits of -300 and -120 the loss is {want:.4g}; you give {got:.4g}. Was something small added inside the logarithm, or a value clamped? "
        "Then just the fakes that the critic is surest of get no gradient.",
    )
    yield has_gradient(got, fake), "No gradient reaches the logits: was something detached?"


LOSS_NAMES = tuple(gan_losses.LOSSES)


@exercise(
    "4.2",
    reference=("minimax", "lsgan"),
    name="answer_4_2",
    title="Who stops learning?",
    kind="predict",
    minutes=5,
    points=1,
    difficulty=1,
    hints=[
        "Differentiate each generator's loss by the logit: 1 for wgan-gp and hinge, whatever the logit. The others depend on it.",
        "The derivative of softplus(d) is sigmoid(d), and sigmoid(-6) is near 0. The derivative of (d - 1)^2 / 2 is d - 1.",
    ],
)
def _who_stops(answer, fresh):
    least, most = parts(answer, 2, "the loss that pushes least, the loss that pushes most")
    for one in (least, most):
        yield one_of(one, LOSS_NAMES), "Answer with two of {want}; got {got!r}."
    yield not (equals(least, "lsgan") and equals(most, "minimax")), "Right names, other order: the one that pushes least first."
    yield differs(least, "non-saturating"), "At a logit of -6 the slope of softplus(-d) is -sigmoid(6), nearly -1. It grows flat at the *other* end, where the critic is fooled."
    yield differs(least, "lsgan"), "At -6, d - 1 is -7: that is no small slope."
    yield differs(least, "wgan-gp"), "Its slope is -1 everywhere. Is there one with a smaller slope at -6?"
    yield differs(least, "hinge"), "The *critic's* hinge is flat beyond its margin. The generator's loss is -d, without a hinge."
    yield differs(most, "minimax"), "The slope of softplus(d) at -6 is sigmoid(-6)."
    yield differs(most, "non-saturating"), "Its slope is never larger than 1. Which loss has a slope that grows with the distance?"
    yield not (equals(most, "wgan-gp") or equals(most, "hinge")), "A slope of 1, everywhere. Which loss has one that grows with the distance?"


class TinyCritic(nn.Module):
    """A critic for checks: (B, D) -> logits (B,), small weights from a generator of its own."""

    def __init__(self, width: int, generator: torch.Generator):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, 5, generator=generator))
        self.head = nn.Parameter(torch.randn(5, generator=generator))

    def forward(self, x):
        return torch.tanh(x @ self.weight) @ self.head


def critic_loss(critic, real, fake):
    """Reference of 4.3."""
    return gan_losses.minimax_critic(critic(real), critic(fake.detach()))


@exercise(
    "4.3",
    reference=critic_loss,
    name="critic_loss",
    title="A generator that helps the critic",
    kind="bug hunt",
    minutes=15,
    points=3,
    difficulty=2,
    hints=[
        "The fakes are a function of the generator's weights. Where does `loss.backward()` go, beyond the critic?",
        "The generator's optimizer holds the gradient that the critic's loss left, and adds its own to it. Cut the graph between the two networks.",
        "`tensor.detach()` gives the same numbers without their history. Which tensor has to lose its history: the fakes, or their logits?",
    ],
)
def _critic_loss(answer, fresh):
    batch, width = 2 * fresh.integer(3, 9) + 1, 2 * fresh.integer(2, 5)
    critic = TinyCritic(width, fresh.generator())
    real, noise = fresh.normal(batch, width), fresh.normal(batch, width, grad=True)
    fake = 1.0 * noise - 0.5  # has a history, as a generator's output has
    got = answer.uncloned(critic, real, fake)
    r, f = critic(real), critic(fake)
    yield differs(got, softplus(-r) + softplus(f)), "One value per sample. A loss is one number: take the mean over the batch."
    yield is_scalar(got), "The result has shape {got}; a loss is one number, shape {want}."
    yield (
        differs(got, softplus(r).mean() + softplus(-f).mean()),
        "Now reals are trained to score low and fakes high: the critic is turned around, and the generator runs away from the data.",
    )
    yield differs(got, (softplus(-r).mean() + softplus(f).mean()) / 2), "Both terms were right as they were; you have halved them."
    yield differs(got, softplus(-r).mean()), "The term of the fakes is gone. A critic that has seen only reals calls everything real."
    yield close(got, softplus(-r).mean() + softplus(f).mean()), "The *value* of the loss was right: {want:.5g}. Now it is {got:.5g}. Mend where its gradient goes."
    yield (
        no_gradient(got, noise),
        "The value is right, and still a gradient reaches the generator through the fakes: the generator is pushed to make the critic's task easier.",
    )
    found = torch.autograd.grad(got, list(critic.parameters()), allow_unused=True) if got.requires_grad else [None, None]
    blind = [gradient is None for gradient in found]
    yield not any(blind), "Now no gradient reaches the *critic* either: it stays as it is, whatever it sees. Detach the fakes alone."
    want = torch.autograd.grad(softplus(-r).mean() + softplus(f).mean(), list(critic.parameters()), retain_graph=True)
    alone = torch.autograd.grad(softplus(-r).mean(), list(critic.parameters()), retain_graph=True)
    yield (
        differs(found[0], alone[0]),
        "Cut one step too late: the *logits* of the fakes are detached, so the critic learns from reals alone, and soon calls everything real. Detach what goes into the critic.",
    )
    yield close(found[0], want[0]), "The critic's gradient is off by {error:.2g}: is one of the terms cut off from the critic?"
    yield fake.requires_grad, "You changed the caller's fakes in place (`detach_`, `requires_grad_(False)`): whoever trains the generator on them gets no gradient. Use a detached copy."


class Probe(nn.Module):
    """A critic that remembers where it was asked. Its slope at x is w + bend * x: known, and another one everywhere."""

    def __init__(self, shape, generator: torch.Generator):
        super().__init__()
        w = torch.randn(shape, generator=generator)
        self.w = nn.Parameter(0.6 * w / w.norm())
        self.bend = nn.Parameter(torch.tensor(1 / w.numel() ** 0.5))
        self.seen = None

    def forward(self, x):
        self.seen = x
        return ((self.w * x) + 0.5 * self.bend * x.square()).flatten(1).sum(1)

    def slopes(self):
        """(B, C, H, W) at the points last seen."""
        return self.w + self.bend * self.seen


def gradient_penalty(critic, real, fake):
    """Reference of 4.4."""
    return gan_losses.gradient_penalty(critic, real, fake, torch.rand(len(real), dtype=real.dtype)).mean()


def _shares(probe, real, fake):
    """Verdicts on where the critic was asked: at eps real + (1 - eps) fake, one eps in [0, 1] for each sample."""
    eps = (probe.seen.detach() - fake.detach()) / (real - fake.detach())  # (B, C, H, W)
    one = eps.flatten(1).median(1).values  # (B,)
    yield differs(eps, torch.ones_like(eps)), "The slope is asked for at the real images alone. The penalty holds *between* reals and fakes."
    yield differs(eps, torch.zeros_like(eps)), "The slope is asked for at the fakes alone. The penalty holds *between* reals and fakes."
    yield (
        differs(one, one[:1].expand_as(one), rtol=1e-3),
        "All samples are mixed with the same eps: one slice through the space in each step. Draw one for each sample, `torch.rand(len(real), 1, 1, 1)`.",
    )
    spread = (eps - one[:, None, None, None]).abs().flatten(1).median(1).values
    yield bool(spread.max() < 1e-2), "Each pixel is mixed with an eps of its own: such points are not on the line between a real image and a fake. One eps for each sample."
    yield between(one, -1e-3, 1 + 1e-3), "An eps of {got:.2f} lies outside of [0, 1]: `torch.rand` is uniform there, `randn` is not."


@exercise(
    "4.4",
    reference=gradient_penalty,
    name="gradient_penalty",
    title="A penalty that knows how large the batch is",
    kind="bug hunt",
    minutes=20,
    points=3,
    difficulty=3,
    hints=[
        "This critic has a slope of length 1 at every point, so each sample's penalty is 0. Over which numbers does the code take *one* length?",
        "`slope.norm()` is one length for all the numbers of the batch. `flatten(1)` makes a row of each sample, and `norm(dim=1)` gives a length to each.",
        "The second mistake is in the draw of `eps`: how many different mixtures does one batch see?",
    ],
)
def _gradient_penalty(answer, fresh):
    batch, channels, size = 2 * fresh.integer(3, 6) + 1, 2, 2 * fresh.integer(2, 4)
    scale = torch.linspace(0.2, 2.2, batch).view(-1, 1, 1, 1)  # slopes below 1 and above
    real, fake = scale * fresh.normal(2, batch, channels, size, size)
    noise = torch.zeros_like(fake).requires_grad_()
    probe = Probe(real.shape[1:], fresh.generator())
    got = answer(probe, real, fake + noise)
    yield probe.seen is not None and probe.seen.shape == real.shape, "The critic was not asked at a batch of mixtures with the shape of `real`."
    slope = probe.slopes()  # (B, C, H, W)
    length = slope.flatten(1).norm(dim=1)  # (B,)
    each = (length - 1).square()
    yield differs(got, (slope.norm() - 1).square()), "Still one length for the whole batch: the root of B times a sample's. The number grows with the batch, and no slope of 1 makes it 0."
    yield differs(got, each), "One value per sample. Take the mean over the batch at the end."
    yield is_scalar(got), "The result has shape {got}; the penalty is one number, shape {want}."
    yield (
        differs(got, (slope.norm(dim=1) - 1).square().mean(), rtol=1e-5),
        "`norm(dim=1)` of (B, C, H, W) is a length over the *channels*, one for each pixel. Flatten all but the batch first.",
    )
    yield differs(got, (length.square() - 1).square().mean()), "The squared length minus 1: the root is missing."
    yield differs(got, (length.mean() - 1).square()), "The mean comes before the square: a slope of 0 and one of 2 would cancel. Square each sample's excess, then take the mean."
    yield differs(got, length.square().mean()), "The slope is pulled toward 0, not toward 1."
    yield (
        bool(length.min() > 0.95) or differs(got, (length - 1).relu().square().mean(), rtol=1e-5),
        "Only slopes above 1 are charged. Equation 3 of the paper charges those below 1 as well.",
    )
    yield differs(got, ((slope / batch).flatten(1).norm(dim=1) - 1).square().mean(), rtol=1e-5), "The derivative was taken of the *mean* logit: each slope is B times too small. Sum the logits."
    yield differs(got, each.sum()), "Summed over the batch; take the mean."
    yield differs(got, 10 * each.mean()), "The weight of 10 belongs outside: this function gives the penalty alone."
    yield close(got, each.mean()), "Expected the mean over samples of (length of the slope - 1)^2, {want:.5g}; got {got:.5g}."
    yield from _shares(probe, real, fake)
    yield has_gradient(got, probe.w), "The penalty is a constant to the critic: no gradient reaches its weights. `create_graph=True` keeps the slope differentiable."
    yield no_gradient(got, noise), "A gradient reaches the generator through the fakes. The penalty is the critic's alone: mix *detached* fakes."


def smoothed_critic_loss(real, fake, smoothing):
    """Reference of 4.5."""
    reals = (1 - smoothing) * softplus(-real) + smoothing * softplus(real)
    return reals.mean() + softplus(fake).mean()


def _aimed(real, fake, at_real: float, at_fake: float):
    """Cross-entropy of the critic with these targets, mean over the batch."""
    a = at_real * softplus(-real) + (1 - at_real) * softplus(real)
    return a.mean() + (at_fake * softplus(-fake) + (1 - at_fake) * softplus(fake)).mean()


@exercise(
    "4.5",
    reference=smoothed_critic_loss,
    name="smoothed_critic_loss",
    title="A loss below zero",
    kind="bug hunt",
    minutes=15,
    points=2,
    difficulty=2,
    hints=[
        "A cross-entropy with a target between 0 and 1 cannot be negative. Which target makes it so?",
        "With target t the loss of one real is t softplus(-d) + (1 - t) softplus(d). What does it do for a large d if t is above 1?",
    ],
)
def _smoothed_critic_loss(answer, fresh):
    drawn, s = fresh.normal(2, 2 * fresh.integer(4, 10) + 1, std=1.5), fresh.number(0.12, 0.3)
    # Means that differ, exactly: what a target adds to the loss is a multiple of them.
    real, fake = ((d - d.mean() + mean).requires_grad_() for d, mean in zip(drawn, (1.5, -0.5), strict=True))
    got = answer(real, fake, s)
    yield differs(got, _aimed(real, fake, 1 + s, 0)), "Still aimed above 1: a logit on a real can grow without end, and each unit of it lowers the loss further."
    yield is_scalar(got), "The result has shape {got}; a loss is one number, shape {want}."
    yield differs(got, _aimed(real, fake, 1, 0)), "No smoothing is left: with a target of 1 the best logit is again infinite, if only slowly reached."
    two_sided = "Both sides are smoothed. Then the best D is ((1 - s) p + s q) / (p + q): where there are fakes and no reals it is s, not 0, so fakes that lie far off are not sent away. One-sided means: reals alone."
    yield differs(got, _aimed(real, fake, 1 - s, s)), two_sided
    yield differs(got, _aimed(real, fake, 1, s)), "The fakes are smoothed in place of the reals. One-sided means: fakes are aimed at 0."
    yield differs(got, _aimed(real, fake, s, 0)), "Reals are aimed at `smoothing` itself: both kinds now have a target near 0."
    yield differs(got, _aimed(real, fake, 1 + s, -s)), "Now the targets lie outside of [0, 1] on both sides: the loss falls without end even faster."
    yield differs(got, _aimed(real, fake, 1 - s, -s)), "The fakes are aimed below 0: their logits can fall without end, as the reals' could rise. Their target is 0."
    swapped = "The targets are swapped: fakes are aimed high, reals low."
    yield differs(got, _aimed(real, fake, 0, 1 - s)), swapped
    yield differs(got, _aimed(real, fake, s, 1 - s)), swapped
    yield differs(got, _aimed(real, fake, 0, 1)), swapped
    yield differs(got, _aimed(real, fake, 1 - s / 2, 0)), "Half of the smoothing: it is spread over two classes, as in classification. Here the target of a real is 1 - smoothing."
    yield differs(got, _aimed(real, fake, 1 - s, 0) / 2), "You take the mean of the two terms; they are added."
    yield differs(got, len(real) * _aimed(real, fake, 1 - s, 0)), "Summed over the batch; take the mean."
    yield close(got, _aimed(real, fake, 1 - s, 0)), "Expected reals aimed at 1 - smoothing and fakes at 0, a loss of {want:.5g}; got {got:.5g}."
    yield has_gradient(got, real, fake), "No gradient reaches the logits (number {got}): was something detached?"


EXPLORED = ("hinge", "constant")  # the games that 4.6 asks about: their loss and schedule


def explored() -> list[dict]:
    """The recorded games of 4.6, one for each seed."""
    return [game for game in games.recorded() if (game["loss"], game["schedule"]) == EXPLORED]


def _beyond_their_best(those) -> int:
    return sum(game["covered"][-1] < max(game["covered"]) for game in those)


def runs_past_their_best() -> int:
    """Reference of 4.6."""
    return _beyond_their_best(explored())


@exercise(
    "4.6",
    reference=runs_past_their_best,
    name="answer_4_6",
    title="Stopped too late?",
    kind="explore",
    minutes=10,
    points=1,
    difficulty=1,
    hints=[
        "Set loss and rate, then go through the seeds: for each, move `frame` from end to end and note the largest number in the ring, and the last.",
        "Count the seeds whose last number is below their largest. The curves above show each seed as a thin line, too.",
    ],
)
def _past_their_best(answer, fresh):
    those = explored()
    yield one_of(answer, range(len(those) + 1)), "Answer with a number of runs, one of {want}; got {got!r}."
    right = runs_past_their_best()
    kept = len(those) - right
    other = [g for g in games.recorded() if g["loss"] == EXPLORED[0] and g["schedule"] != EXPLORED[1]]
    full = sum(max(g["covered"]) == 8 for g in those)
    ends = sum(g["covered"][-1] == 8 for g in those)
    yield answer == right or answer != _beyond_their_best(other), "That is the number for the rate that falls to zero. Choose `constant`."
    yield answer == right or answer != kept, "So many runs *end* at their best. Count the others."
    yield answer == right or answer != full, "So many runs cover all eight modes at *some* step. How many of the five cover fewer at the end than at their best?"
    yield answer == right or answer != ends, "So many runs end with all eight modes. How many end with fewer than they had before?"
    yield equals(answer, right), "Not {got}. For each seed compare two numbers: the most modes it covers at any recorded step, and what it covers at the last."
