"""Exercises of chapter 03, beta-VAE."""

from __future__ import annotations

import functools
import math

import torch

from .. import checkpoints, data
from ..methods import vae
from ..metrics.disentanglement import Disentanglement, mutual_information_gap
from .framework import close, differs, equals, exercise, has_gradient, is_scalar, one_of, parts, same_shape


def beta_vae_loss(x, mean, mu, logvar, beta):
    """Reference of 3.1."""
    return vae.negative_elbo(vae.sse(x, mean), vae.kl_standard_normal(mu, logvar), beta).mean()


@exercise(
    "3.1",
    reference=beta_vae_loss,
    name="beta_vae_loss",
    title="A dial that is not connected",
    kind="bug hunt",
    minutes=15,
    points=3,
    difficulty=2,
    hints=[
        "The loss does change with beta. Does the *direction* of its gradient?",
        "Adam divides each gradient by its running size. What happens to a factor that both terms share?",
        "The loss is sse + beta * KL: beta is the price of a nat, and nothing else is multiplied by it.",
    ],
)
def _beta_vae_loss(answer, fresh):
    batch, width, size = 2 * fresh.integer(3, 10) + 1, 2 * fresh.integer(3, 9), 4 * fresh.integer(2, 5)  # odd, even, even
    x = fresh.images(batch, 3, size)  # (B, C, H, W)
    mean = fresh.uniform(*x.shape, grad=True)
    mu, logvar = fresh.normal(batch, width, grad=True), fresh.normal(batch, width, mean=-1.0, grad=True)  # (B, Z) each
    beta = fresh.number(1.6, 2.3)  # its square is below the width: beta / width and 1 / beta are different mistakes
    got = answer(x, mean, mu, logvar, beta)
    rec, kl = vae.sse(x, mean), vae.kl_standard_normal(mu, logvar)
    still = "Still one point. The printed loss follows beta, the model does not: what does beta do to this loss that Adam's steps cannot feel?"
    yield differs(got, (beta * (rec + kl)).mean()), still
    yield differs(got, rec + beta * kl), "One value per image. A loss is one number: take the mean over the batch at the end."
    yield is_scalar(got), "The result has shape {got}; a loss is one number, shape {want}."
    yield differs(got, (rec + kl).mean()), "Beta is an argument that nothing uses: every beta now trains the same plain VAE, and the curve is still one point."
    wrong_way = "Now the curve runs the wrong way: a larger beta buys a *smaller* error. Which of the two terms is beta the price of?"
    yield differs(got, (beta * rec + kl).mean()), wrong_way
    yield differs(got, (rec + kl / beta).mean()), wrong_way
    yield (
        differs(got, ((1 - beta) * rec + beta * kl).mean()),
        "The weights 1 - beta and beta: above beta = 1 the error has a *negative* weight, and training makes it as large as it can.",
    )
    yield (
        differs(got, (rec + beta * kl / width).mean()),
        f"The KL is averaged over the {width} latents, so your beta acts as beta / {width}: the curve is right, its labels are not.",
    )
    yield (
        differs(got, (rec / x[0].numel() + beta * kl).mean()),
        f"The error is averaged over the {x[0].numel()} pixels, so your beta acts as {x[0].numel()} times beta: every point collapses to a KL of zero.",
    )
    yield differs(got, (x - mean).square().sum((2, 3)).mean() + beta * kl.mean()), "The error is averaged over the channels. An image's error is the sum over C, H and W."
    yield differs(got, (rec / x[0].numel() + beta * kl / width).mean()), "Error and KL are averaged over their own dimensions, so your beta acts as beta times their ratio. Sum both."
    yield differs(got, (rec + beta**2 * kl).mean()), "The KL is weighted with beta squared."
    yield differs(got, (rec + beta * kl).sum()), "Summed over the batch: the size of the loss would then depend on the batch size. Take the mean over images."
    yield close(got, (rec + beta * kl).mean()), "Expected the batch mean of sse + beta * KL, {want:.5g}; got {got:.5g}."
    yield has_gradient(got, mean, mu, logvar), "No gradient reaches `mean`, `mu` or `logvar` (number {got}): was something detached?"


def linear_schedule(step, warmup, beta):
    """Reference of 3.2."""
    return vae.beta_at(step / warmup, beta=beta, schedule="linear")


@exercise(
    "3.2",
    reference=linear_schedule,
    name="linear_schedule",
    title="A price that rises, and arrives",
    minutes=10,
    points=2,
    difficulty=1,
    hints=[
        "What share of the warm-up is done at `step`? It is 0 at step 0, 1 at step `warmup`, and must not grow beyond.",
        "`min(1, share)` holds it. Multiply by beta *after* that.",
    ],
)
def _linear_schedule(answer, fresh):
    warmup, beta = fresh.integer(20, 200), fresh.number(1.5, 6.0)
    steps = [0, 1, warmup // 3, warmup - 1, warmup, warmup + 1, 2 * warmup + warmup // 2]
    yield is_scalar(answer(0, warmup, beta)), "The result has shape {got}; the weight at one step is one number."
    got = [answer(step, warmup, beta) for step in steps]
    lost = next((step for step, weight in zip(steps, got, strict=True) if weight is None), None)
    yield lost is None, f"At step {lost} of a warm-up of {warmup} the function returns None: is a `return` missing on that way through it?"

    def like(formula):
        return [formula(step) for step in steps]

    yield differs(got, like(lambda s: beta)), "That is beta at every step: nothing rises."
    yield (
        differs(got, like(lambda s: beta * s / warmup)),
        f"The ramp goes on beyond the warm-up: at two and a half times `warmup` your weight is {2.5 * beta:.2f} where beta is {beta:.2f}.",
    )
    yield differs(got, like(lambda s: min(1, s / warmup))), "Your schedule ends at 1, whatever beta is."
    yield differs(got, like(lambda s: min(1, beta * s / warmup))), "Clipped at 1, whatever beta is: clip the share of the warm-up, and multiply by beta after that."
    yield (
        differs(got, like(lambda s: min(beta, s / warmup))),
        f"Clipped at the right height, with the wrong slope: it rises by 1 per warm-up and needs {beta:.1f} warm-ups to arrive.",
    )
    yield differs(got, like(lambda s: beta * min(1, (s + 1) / warmup))), "One step early: at step 0 the weight should be 0, and beta is reached at step `warmup`, not before."
    yield differs(got, like(lambda s: beta * min(1, s / (warmup - 1)))), "One step early: it reaches beta at step `warmup` - 1. From step 0 to step `warmup` there are `warmup` steps."
    yield differs(got, like(lambda s: beta * min(1, s / (warmup + 1)))), "One step late: beta is reached at step `warmup` itself."
    yield (
        differs(got, like(lambda s: beta * min(s, warmup - 1) / warmup)),
        "It stops one step short and never reaches beta. So does the published schedule of the next exercise.",
    )
    stairs = "The weight is 0 during the whole warm-up and then jumps. `//` does that, it rounds down: divide with `/`."
    yield differs(got, like(lambda s: beta * min(1, s // warmup))), stairs
    yield differs(got, like(lambda s: beta * (s // warmup))), stairs
    yield differs(got, like(lambda s: beta * (s / warmup % 1))), "After the warm-up it falls back to 0 and starts again: that is a cyclical schedule."
    yield differs(got, like(lambda s: beta * (1 - min(1, s / warmup)))), "It runs backwards, from beta down to 0."
    yield close(got, like(lambda s: beta * min(1, s / warmup))), "Expected beta * min(1, step / warmup). Where it is off most you give {got:.4g}, not {want:.4g}."


@exercise(
    "3.3",
    reference=(0.95, 0.475),
    name="answer_3_3",
    title="What did that schedule really use?",
    kind="predict",
    minutes=5,
    points=1,
    difficulty=1,
    hints=[
        "`range(20)` runs from 0 to 19.",
        "The mean of evenly spaced numbers is the mean of the first and the last.",
    ],
)
def _published_schedule(answer, fresh):
    last, mean = parts(answer, 2, "beta in the last epoch, mean beta")
    yield not (equals(last, 0.475) and equals(mean, 0.95)), "Right numbers, other order: the last epoch's beta first, then the mean."
    yield differs(last, 1), "e / 20 is 1 for e = 20. Which is the last e in `range(20)`?"
    yield differs(last, 0.475), "That is the mean; the first number asked for is beta in the last epoch."
    yield close(last, 0.95), "In the last epoch e = 19. You say beta is {got:g} there."
    yield differs(mean, 0.5), "0.5 is the mean of a straight line from 0 to 1. The weight is set at the *beginning* of an epoch and kept: add up the twenty values."
    yield differs(mean, 0.525), "That is the mean over e = 1 ... 20. The epochs are numbered 0 ... 19."
    yield differs(mean, 0.95), "That is the last value again; the second number asked for is the mean over the twenty epochs."
    yield close(mean, 0.475), "The mean of 0, 1/20, ..., 19/20 is not {got:g}."


FACTOR = "x"  # what 3.4 asks for: the factor whose dimension stands out most clearly
KNOWS_NOTHING = 0.05  # nats; below it a dimension tells no factor's values apart


@functools.cache
def shapes_information() -> Disentanglement:
    """What each latent dimension of the shipped high-beta model knows of each factor, on the test split of `shapes`.

    Of samples of the posterior: a mean would know factors by differences far smaller than the posterior's own noise."""
    model, shapes = checkpoints.load("beta_vae_shapes_high"), data.load("shapes", "test")
    generator = torch.Generator().manual_seed(0)
    posteriors = (model.encode(shapes.floats(rows)) for rows in torch.arange(len(shapes)).split(500))
    codes = torch.cat([posterior.sample(generator=generator) for posterior in posteriors])
    return mutual_information_gap(codes, shapes.attributes["factors"])


def _row() -> int:
    return list(data.factors.SIZES).index(FACTOR)


def dimension_of_factor() -> int:
    """Reference of 3.4."""
    return int(shapes_information().information[_row()].argmax())


@exercise(
    "3.4",
    reference=dimension_of_factor,
    name="answer_3_4",
    title="Which dimension is it?",
    kind="explore",
    minutes=10,
    points=1,
    difficulty=1,
    hints=[
        "Set all factors but one to the middle, move that one from end to end, and watch which bar goes with it.",
        "Several bars may twitch. Which one goes on and on, in one direction, from the left edge to the right? Try it again with another `y` and `scale`.",
    ],
)
def _dimension_of_factor(answer, fresh):
    information = shapes_information().information  # (F, Z), nats
    yield one_of(answer, range(information.shape[1])), "Answer with the number of a latent dimension, one of {want}; got {got!r}."
    column, names = information[:, int(answer)], list(data.factors.SIZES)
    yield (
        bool(column.max() >= KNOWS_NOTHING),
        f"z[{int(answer)}] knows nothing of any factor ({column.max():.2f} nats at most): it is switched off. Move its slider: does the picture change?",
    )
    told = names[int(column.argmax())]
    yield (
        told == FACTOR or int(answer) == dimension_of_factor(),
        f"z[{int(answer)}] knows {column.max():.2f} nats of *{told}* and {column[_row()]:.2f} of {FACTOR}. "
        f"Hold {told} still and move {FACTOR} alone: does this bar still go with it all the way?",
    )
    yield (
        int(answer) == dimension_of_factor(),
        f"z[{int(answer)}] does follow {FACTOR} ({column[_row()]:.2f} nats), but another dimension knows more of it.",
    )


def information_gap(information, entropy):
    """Reference of 3.5."""
    best = information.topk(2, dim=1).values  # (F, 2)
    return (best[:, 0] - best[:, 1]) / entropy


@exercise(
    "3.5",
    reference=information_gap,
    name="information_gap",
    title="The mutual information gap",
    minutes=15,
    points=3,
    difficulty=2,
    hints=[
        "One row of `information` is one factor: how many nats does each latent dimension know of it? Take the best and the second best *in the row*.",
        "`information.topk(2, dim=1).values` gives both, the larger first, and is right also when they are equal.",
        "No dimension can know more of a factor than the factor's entropy, so dividing by it gives a number from 0 to 1.",
    ],
)
def _information_gap(answer, fresh):
    factors = fresh.integer(3, 6)
    dims = factors + fresh.integer(9, 12)  # more than any factor here has values
    entropy = fresh.integers(factors, low=3, high=12).float().log()  # (F,), of that many equally frequent values
    information = fresh.uniform(factors, dims, low=0.02, high=0.95) * entropy[:, None]  # (F, Z)
    got = answer(information, entropy)
    ranked = information.sort(1, descending=True).values
    best, second, gap = ranked[:, 0], ranked[:, 1], ranked[:, 0] - ranked[:, 1]
    yield differs(got, (gap / entropy).mean()), "One number: MIG itself. Return one gap per factor, (F,); the mean over factors is taken below, and the single gaps tell more."
    columns = information.sort(0, descending=True).values
    yield (
        differs(got, columns[0] - columns[1]),
        "One number per *latent dimension*: you compare factors within a column. The gap compares the dimensions that know one factor: rows.",
    )
    yield same_shape(got, (factors,)), "The result has shape {got}; one gap per factor means {want}: look along dim 1, over the latent dimensions."
    yield differs(got, gap), "Nats, not yet a share: a factor with many values would count more. Divide by the factor's entropy."
    yield differs(got, best / entropy), "That is what the best dimension knows. A second one that knows the same must count against it: subtract the second best."
    others = "You subtract {} the other dimensions. Nine ignorant dimensions would hide one that knows just as much: subtract the *second best*."
    yield differs(got, (best - ranked[:, 1:].mean(1)) / entropy), others.format("the mean of")
    yield differs(got, (best - ranked.mean(1)) / entropy), "You subtract the mean over all dimensions. It hides a second one that knows just as much: subtract the *second best*."
    yield differs(got, (best - ranked[:, -1]) / entropy), others.format("the worst of")
    yield all(differs(got, sign * (ranked[:, -2] - ranked[:, -1]) / entropy) for sign in (1, -1)), "You compare the two that know *least*: `sort` puts the smallest first unless told otherwise."
    yield differs(got, gap / best), "Divided by the best dimension's information: a factor that nobody knows could still score 1. Divide by the factor's entropy."
    bits = "Mixed units: information is in nats, your entropy in bits (log 2 = 0.69 nats). `entropy` is in nats already."
    yield differs(got, gap * math.log(2) / entropy), bits
    yield differs(got, gap / math.log(2) / entropy), bits
    yield differs(got, gap / math.log(dims)), "Divided by the logarithm of the number of *dimensions*. Each factor has an entropy of its own."
    yield differs(got, -gap / entropy), "The sign is turned around: second best minus best. `sort` puts the largest last unless told otherwise."
    yield close(got, gap / entropy), "Expected (best - second best) / entropy; the largest difference is {error:.2g}."
    information[:, :2] = 0.97 * entropy[:, None]  # two dimensions know each factor equally, and best
    tied = answer(information, entropy)
    yield close(tied, torch.zeros(factors), atol=1e-5), "When two dimensions know a factor equally well the gap is 0; you give {got:.3g}. Is the best removed by its *value*, and its twin with it?"
