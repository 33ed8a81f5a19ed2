"""Exercises of chapter 06, VAE-GAN."""

from __future__ import annotations

import functools

import torch
from torch.nn import functional as F

from .. import checkpoints, data
from ..figures.models import decoded, encoded, squared_error
from ..methods import vae_gan
from ..metrics.attributes import attribute_vector as vector_of
from ..metrics.attributes import contrast, mean_difference
from .framework import close, differs, exercise, finite, has_gradient, is_scalar, no_gradient, one_of, same_shape


@exercise(
    "6.1",
    reference=vae_gan.feature_loss,
    title="An error in features",
    minutes=10,
    points=2,
    difficulty=1,
    hints=[
        "It is chapter 02's reconstruction term, with features in place of pixels and a variance of 1.",
        "`(a - b).square().flatten(1).sum(1)` sums over everything but the batch.",
    ],
)
def feature_loss(answer, fresh):
    batch, channels, side = 2 * fresh.integer(2, 5) + 1, 2 * fresh.integer(2, 5), fresh.integer(3, 6)  # odd, even, any
    f_real, f_rec = fresh.normal(2, batch, channels, side, side, std=2.0, grad=True)
    f_real, f_rec = f_real.detach().requires_grad_(), f_rec.detach().requires_grad_()
    got = answer(f_real, f_rec)
    gap = f_real - f_rec
    want = 0.5 * gap.square().flatten(1).sum(1)  # (B,)
    yield differs(got, want.sum()), "One number for the whole batch. Return one value per image: the KL, with which it will be added, is one per image too."
    yield differs(got, want.mean()), "One number for the whole batch. The mean over images comes later; return one value per image."
    features = channels * side * side
    averaged = (
        f"Averaged over the {features} features: too small by that factor, and the KL beside it then weighs {features} times as much. "
        "The logarithm of a density is a *sum* over features."
    )
    yield differs(got, want / features) and differs(got, want.mean() / features), averaged
    yield differs(got, 2 * want / features) and differs(got, 2 * want.mean() / features), "Averaged over the features, as `mse_loss` does, and without the 1/2. The logarithm of a density is a *sum* over features."
    yield differs(got, 0.5 * gap.square().mean((2, 3)).sum(1)), "Summed over channels, but averaged over positions: sum over height and width too."
    yield differs(got, 0.5 * gap.square().mean(1).sum((1, 2))), "Summed over positions, but averaged over channels: sum over the channels too."
    yield same_shape(got, (batch,)), "The result has shape {got}; one value per image means {want}."
    yield differs(got, 2 * want), "The 1/2 is missing. Without it the features have a variance of 1/2, and the KL counts half as much."
    yield differs(got, gap.square().flatten(1).sum(1).sqrt()), "You took the root: a distance. The logarithm of a Gaussian has the *squared* distance, times 1/2."
    yield differs(got, gap.abs().flatten(1).sum(1)) and differs(got, 0.5 * gap.abs().flatten(1).sum(1)), "Absolute differences belong to a Laplace density. The Gaussian squares them."
    yield differs(got, -want), "The sign: this is the log-density itself. A loss is minimized, so it is *minus* the log-density."
    yield close(got, want), "Expected half the squared difference, summed over channels and positions; the largest difference is {error:.2g}."
    yield has_gradient(got, f_rec), "No gradient reaches the reconstruction's features: was something detached? Neither encoder nor decoder could learn from it."
    yield has_gradient(got, f_real, f_rec), "The features of the real image are detached. It changes nothing for encoder and decoder, but leave that choice to whoever calls you."


def decoder_loss(feat, d_rec, d_fake, gamma):
    """Reference of 6.2."""
    return (gamma * feat + vae_gan.decoder_gan_loss(d_rec, d_fake)).mean()


@exercise(
    "6.2",
    reference=decoder_loss,
    name="decoder_loss",
    title="What the decoder minimizes",
    minutes=10,
    points=2,
    difficulty=2,
    hints=[
        "The decoder wants its images taken for real: it minimizes `-log sigmoid(d)` of both kinds.",
        "`-log sigmoid(d)` is `softplus(-d)`, and the second form does not overflow.",
        "gamma multiplies the feature loss alone. Take the mean over the batch at the end.",
    ],
)
def _decoder_loss(answer, fresh):
    batch = 2 * fresh.integer(3, 9) + 1
    exact = {"dtype": torch.float64, "grad": True}  # one number is compared: two mistakes must not meet by rounding
    feat = fresh.uniform(batch, low=50.0, high=200.0, **exact)
    d_rec, d_fake = (fresh.normal(batch, mean=mean, std=2.0, **exact) for mean in (-1.0, -1.5))
    gamma = fresh.number(0.02, 0.09)
    got = answer(feat, d_rec, d_fake, gamma)
    rec, fake = F.softplus(-d_rec), F.softplus(-d_fake)
    want = gamma * feat + rec + fake
    yield differs(got, want), "One value per image. A loss is one number: take the mean over the batch at the end."
    yield is_scalar(got), "The result has shape {got}; a loss is one number, shape {want}."
    yield differs(got, want.sum()), "Summed over the batch: the size of the loss would then depend on the batch size. Take the mean over images."
    caught = "The sign of the logits: `softplus(d)` is what the *discriminator* minimizes on fakes. Minimizing it too, the decoder would help it to catch the fakes."
    yield differs(got, (gamma * feat + F.softplus(d_rec) + F.softplus(d_fake)).mean()), caught
    yield (
        differs(got, (gamma * feat - F.softplus(d_rec) - F.softplus(d_fake)).mean()),
        "That is the minimax form. It is right in principle, but where the discriminator is sure of its fakes its gradient vanishes: use -log sigmoid(d).",
    )
    yield differs(got, (gamma * feat - rec - fake).mean()), "The GAN terms have the wrong sign: -log sigmoid(d) is `+softplus(-d)`."
    yield differs(got, (gamma * feat + fake).mean()), "Reconstructions are missing. Both kinds of image are judged: `d_rec` and `d_fake`."
    yield differs(got, (gamma * feat + rec).mean()), "Samples of the prior are missing. Nothing would teach the decoder what to make of codes that belong to no image."
    yield differs(got, (gamma * feat + (rec + fake) / 2).mean()), "Half the GAN term: the losses of reconstruction and sample are *added*, not averaged."
    yield differs(got, (feat + gamma * (rec + fake)).mean()), "gamma is on the wrong term: here it weighs the discriminator's opinion. It belongs to the feature loss."
    yield differs(got, (gamma * (feat + rec + fake)).mean()), "gamma multiplies everything: a factor that all terms share decides nothing. It belongs to the feature loss alone."
    yield differs(got, ((1 - gamma) * (rec + fake) + gamma * feat).mean()), "The GAN term is weighted with 1 - gamma. It has a weight of 1."
    yield differs(got, (feat + rec + fake).mean()), "gamma is not used."
    yield close(got, want.mean()), "Expected the batch mean of gamma * feat + softplus(-d_rec) + softplus(-d_fake), {want:.5g}; got {got:.5g}."
    yield has_gradient(got, feat, d_rec, d_fake), "No gradient reaches argument {got} of `feat`, `d_rec`, `d_fake`: was something detached?"
    sure = torch.full((3,), -200.0)
    yield finite(answer(torch.ones(3), sure, sure, gamma)), "At logits of -200 your loss is not finite: `sigmoid` is 0 there, and its logarithm minus infinity. `softplus(-d)` is the same without the detour."


def discriminator_loss_of(discriminator, x, rec, fake):
    """Reference of 6.3."""
    d_real, d_rec, d_fake = (discriminator(images)[1] for images in (x, rec.detach(), fake.detach()))
    return vae_gan.discriminator_loss(d_real, d_rec, d_fake).mean()


class _Discriminator:
    """(B, C, H, W) -> (features, logits (B,)): each image's logit is a curved function of the image alone."""

    def __init__(self, fresh, pixels: int):
        self.weight = fresh.normal(pixels, 2, std=2.0 / pixels**0.5, dtype=torch.float64, grad=True)

    def __call__(self, images):
        features = images.flatten(1) @ self.weight  # (B, 2)
        return features, features[:, 0] + features[:, 1].tanh()


@exercise(
    "6.3",
    reference=discriminator_loss_of,
    name="discriminator_loss_of",
    title="The decoder that hears nothing",
    kind="bug hunt",
    minutes=15,
    points=3,
    difficulty=2,
    hints=[
        "The formula is right. Whose parameters does `backward()` reach from this loss?",
        "`rec` and `fake` were made by the decoder. In the discriminator's loss they are just pictures: cut them off.",
        "`tensor.detach()` is the same picture without its history. The logits must keep theirs.",
    ],
)
def _discriminator_loss_of(answer, fresh):
    batch, shape = 2 * fresh.integer(2, 5) + 1, (3, 2 * fresh.integer(3, 6), 6)
    discriminator = _Discriminator(fresh, shape[0] * shape[1] * shape[2])
    x, rec, fake = (fresh.normal(batch, *shape, mean=mean, dtype=torch.float64, grad=True) for mean in (0.3, 0.0, -0.3))
    got = answer(discriminator, x, rec, fake)
    d_real, d_rec, d_fake = (discriminator(images)[1].detach() for images in (x, rec, fake))
    parts = F.softplus(-d_real), F.softplus(d_rec), F.softplus(d_fake)
    yield differs(got, sum(parts)), "One value per image. A loss is one number: keep the mean over the batch."
    yield is_scalar(got), "The result has shape {got}; a loss is one number, shape {want}."
    yield differs(got, sum(F.softplus(-part) for part in (-d_real, d_rec, d_fake)).mean()), "Labels swapped: real images are pushed down, fakes up. The formula was right before."
    yield differs(got, (parts[0] + parts[1]).mean()), "Samples of the prior no longer count. The formula was right: what is wrong is how far its gradient goes."
    yield differs(got, (parts[0] + parts[2]).mean()), "Reconstructions no longer count. The formula was right: what is wrong is how far its gradient goes."
    yield differs(got, parts[0].mean()), "No fakes are left in the loss. Cut off their history, not the pictures."
    yield close(got, sum(parts).mean()), "The value of the loss has changed, {want:.5g} before, {got:.5g} now. It was right: what is wrong is how far its gradient goes."
    alive = has_gradient(got, discriminator.weight)
    yield alive, "Now the discriminator itself gets no gradient: the logits were detached, or computed without gradients. Cut the *pictures* off, before they are judged."
    yield no_gradient(got, rec, fake) or has_gradient(got, rec, fake), "Half mended: one kind of fake still carries the gradient back to the decoder. Which one?"
    yield no_gradient(got, rec, fake), "Still no sound: from this loss `backward()` runs through `rec` and `fake` into the decoder. Print whether `rec.requires_grad` where they enter the discriminator."
    # The discriminator must still learn from all three kinds.
    slope = torch.autograd.grad(got, discriminator.weight, retain_graph=True)[0]
    right = torch.autograd.grad(discriminator_loss_of(discriminator, x, rec, fake), discriminator.weight)[0]
    yield close(slope, right), "The discriminator's own gradient has changed: it no longer learns from all three kinds of picture. Detach pictures, not logits."


# A public implementation's networks, and the weight that it gives to the feature term.
FEATURES, LATENTS, WEIGHT = 256 * 8 * 8, 128, 5


@exercise(
    "6.4",
    reference=FEATURES / (2 * WEIGHT * LATENTS),
    name="answer_6_4",
    title="Two means, one beta",
    kind="predict",
    minutes=10,
    points=2,
    difficulty=2,
    hints=[
        "Write each mean as a sum: `mse_loss` is the sum over so many numbers, divided by that many. Which sum is twice L_feat?",
        "The loss is (5 x 2 / features) L_feat + (1 / latents) KL. Take the first factor out of both.",
    ],
)
def answer_6_4(answer, fresh):
    right = FEATURES / (2 * WEIGHT * LATENTS)
    yield differs(answer, 1), "Beta would be 1 if no factor stood before either term. Count what each mean divides by."
    summed = all(differs(answer, 1 / (k * WEIGHT)) and differs(answer, k * WEIGHT) for k in (1, 2))
    yield summed, "That is the 5 alone. The two means divide, too, and by different numbers: features and latents."
    yield differs(answer, WEIGHT * right), "Where is the 5? It makes the feature term five times as large, so the KL weighs five times less beside it."
    yield differs(answer, WEIGHT**2 * right), "The 5 went to the wrong side: it stands before the feature term, so it makes the KL weigh *less*."
    yield differs(answer, 2 * right), "L_feat has a 1/2 that `mse_loss` has not: `mse_loss` is 2 L_feat / features."
    yield differs(answer, 4 * right), "The 1/2 went to the other side: `mse_loss` is *twice* L_feat, divided by the number of features."
    upside_down = all(differs(answer, 1 / (k * right)) for k in (1, 2, 4, WEIGHT))
    yield upside_down, "Upside down: the feature term is divided by more numbers than the KL, so it is the KL that gains weight."
    yield all(differs(answer, k * right * LATENTS) for k in (1, 2)), "The KL is averaged too, over 128 latents."
    yield all(differs(answer, k / (2 * WEIGHT * LATENTS)) for k in (1, 2)), "The features are averaged too, over 256 x 8 x 8 numbers."
    yield close(answer, right), "Not {got:g}. Write the loss as a constant times (L_feat + beta KL)."


@exercise(
    "6.5",
    reference=mean_difference,
    name="attribute_vector",
    title="A direction, from twins",
    minutes=15,
    points=3,
    difficulty=2,
    hints=[
        "Go through the keys, each once: `set(twins)`. For each, which rows are its images *with* the attribute, which *without*?",
        "A key that lacks one of the two kinds says nothing about the difference: skip it.",
        "First the mean within each key and kind, then the difference, then the mean over the keys that are left.",
    ],
)
def _attribute_vector(answer, fresh):
    codes, has, twins = _family(fresh)
    got = answer(codes, has, twins)
    keys = sorted(set(twins))
    rows = {key: torch.tensor([twin == key for twin in twins]) for key in keys}
    both = [key for key in keys if has[rows[key]].any() and not has[rows[key]].all()]
    gaps = torch.stack([codes[rows[k] & has].mean(0) - codes[rows[k] & ~has].mean(0) for k in both])  # (K, Z)
    want = gaps.mean(0)
    yield differs(got, gaps), "One vector per key. Take their mean: one direction for the attribute."
    yield same_shape(got, want), "The result has shape {got}; a direction in latent space means {want}."
    yield (
        differs(got, codes[has].mean(0) - codes[~has].mean(0)),
        "The means over all images: whatever else the two kinds differ in, on average, is in this vector too. Take the difference *within* each key.",
    )
    yield differs(got, -want), "The sign: your vector points from *with* to *without*."
    yield differs(got, gaps.sum(0)), "The sum over keys. Take the mean: the vector is the step of *one* picture."
    yield differs(got, gaps.sum(0) / len(keys)), "You divide by the number of all keys. Those that lack one kind have no difference: count the others."
    sizes = torch.tensor([float(rows[key].sum()) for key in both])[:, None]
    yield (
        differs(got, (sizes * gaps).sum(0) / sizes.sum()),
        "Keys with more images count more here. Each key is one comparison: all should count the same.",
    )
    pooled = torch.stack([rows[key] for key in both]).any(0)
    yield (
        differs(got, codes[pooled & has].mean(0) - codes[pooled & ~has].mean(0)),
        "You skip the keys that lack one kind, and then pool the others: a key with many images *with* pulls the result its way. Take the difference within each key first.",
    )
    yield differs(got, want / want.norm()), "Scaled to length 1. The length matters: `z + vector` should arrive at the twin."
    yield finite(got), "{got} of {want} numbers are not finite: the mean over no images is NaN. Some keys hold images of one kind only: skip them."
    sums = torch.stack([codes[rows[k] & has].sum(0) - codes[rows[k] & ~has].sum(0) for k in both])
    yield differs(got, sums.mean(0)), "Within a key you add up the codes. Where it holds three images with and one without, the difference is then no step from one to the other: take means."
    yield close(got, want), "Expected the mean over keys of (mean with - mean without); the largest difference is {error:.2g}."


def _family(fresh):
    """Codes (N, Z), has (N,), keys (N,): five keys with both kinds in unequal numbers, two with one kind alone, mixed."""
    width = 2 * fresh.integer(3, 8)
    step, codes, has, twins = fresh.normal(width), [], [], []
    counts = [(3, 1), (1, 2), (1, 4), (2, 2), (1, 1), (3, 0), (0, 2)]  # (with, without) of each key
    for key, count in enumerate(counts):
        home = fresh.normal(width, std=3.0)
        for shown, number in zip((True, False), count, strict=True):
            for _ in range(number):
                codes.append(home + shown * step + fresh.normal(width, std=0.3))
                has.append(shown)
                twins.append(f"person {key}")
    order = torch.randperm(len(codes), generator=fresh.generator())
    return torch.stack(codes)[order], torch.tensor(has)[order], [twins[i] for i in order.tolist()]


# The sliders of the chapter's panel, (attribute, present, absent): from absent to present.
SLIDERS = {
    "skin tone: light to dark": ("skin_tone", "dark", "light"),
    "gender: man to woman": ("gender", "woman", "man"),
    "hair: as drawn to bald": ("hair", "bald", "none"),
}
SLIDER_NAMES = tuple(name.partition(":")[0] for name in SLIDERS)
START = "thumbs up: medium-dark skin tone"  # what 6.6 looks at


@functools.cache
def changes() -> dict[str, float]:
    """How far (squared error) the picture of START moves when each slider goes from 0 to 1, on the shipped VAE-GAN."""
    model = checkpoints.load("vae_gan_emoji")
    train, test = (data.load("noto-emoji", split, size=32) for split in ("train", "test"))
    z, _ = encoded(model, test.floats(test.attributes["name"].index(START)))
    moved = {}
    for name, contrasted in zip(SLIDER_NAMES, SLIDERS.values(), strict=True):
        images, has, twins, _ = contrast(train, *contrasted)
        kinds = set(zip(twins, has.tolist(), strict=True))
        rows = [i for i, key in enumerate(twins) if {(key, True), (key, False)} <= kinds]  # others say nothing: not encoded
        step = vector_of(model, images.subset(torch.tensor(rows)), has[rows], [twins[i] for i in rows])
        moved[name] = squared_error(decoded(model, z), decoded(model, z + step)).item()
    return moved


def largest_change() -> str:
    """Reference of 6.6."""
    return max(changes(), key=changes().get)


@exercise(
    "6.6",
    reference=largest_change,
    name="answer_6_6",
    title="Which attribute takes most paint?",
    kind="explore",
    minutes=10,
    points=1,
    difficulty=1,
    hints=[
        "Press Reset. Set one slider to 1, leave the others at 0, and read the number under the picture.",
        "Reset before the next slider: the number counts the change of all sliders together.",
    ],
)
def _largest_change(answer, fresh):
    yield one_of(answer, SLIDER_NAMES), "Answer with the name of a slider, one of {want}; got {got!r}."
    moved = changes()
    named = next(name for name in SLIDER_NAMES if name == answer.strip().casefold())
    best = largest_change()
    yield (
        named == best,
        f"With *{named}* alone at 1, the picture moves by {moved[named]:.0f}; another slider moves it further. "
        "Press Reset between two tries, and check the emoji and the model.",
    )
