"""Exercises of chapter 09, augmentation and regularization."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from ..augment import MAX_ADAPTIVE_P, real_fake_gap
from ..inpainting import hole_error
from ..methods.autoencoder import sse
from ..methods.regularized import AUGMENTED
from .framework import (
    Diagnosis,
    between,
    close,
    differs,
    exercise,
    finite,
    has_gradient,
    is_scalar,
    no_gradient,
    parts,
    same_shape,
)

EXACT = {"dtype": torch.float64}


def translate(x, reach):
    """Reference of 9.1."""
    height, width = x.shape[2:]
    padded = F.pad(x, (reach,) * 4)  # (B, C, H + 2 reach, W + 2 reach)
    corners = torch.randint(0, 2 * reach + 1, (len(x), 2)).tolist()
    return torch.stack([image[:, i : i + height, j : j + width] for image, (i, j) in zip(padded, corners, strict=True)])


def _windows(x, reach: int, mode: str = "constant"):
    """All images moved in every way by up to `reach` pixels: (S, B, C, H, W), S = (2 reach + 1)^2. mode: what moves in."""
    height, width = x.shape[2:]
    padded, side = F.pad(x, (reach,) * 4, mode=mode), range(2 * reach + 1)
    return torch.stack([padded[:, :, i : i + height, j : j + width] for i in side for j in side])


def _steps(got, x, reach: int, mode: str = "constant"):
    """By how many rows and columns (B, 2) each image was moved; None unless each was moved by whole pixels up to `reach`."""
    same = (_windows(x, reach, mode) - got).flatten(2).abs().amax(2) < 1e-6  # (S, B)
    if not same.any(0).all():
        return None
    place = same.float().argmax(0)
    return torch.stack([reach - place // (2 * reach + 1), reach - place % (2 * reach + 1)], 1)


@exercise(
    "9.1",
    reference=translate,
    name="translate",
    title="Each image its own way",
    minutes=15,
    points=3,
    difficulty=2,
    hints=[
        "`torch.nn.functional.pad(x, (reach,) * 4)` puts a frame of zeros around. Then a moved image is a window of the padded one.",
        "Draw a row and a column for each image: `torch.randint(0, 2 * reach + 1, (len(x), 2))`. The upper end of `randint` is not drawn.",
        "Cut an image's window by slicing, `padded[i, :, top : top + H, left : left + W]`, and `torch.stack` the windows. Slices hand gradients on.",
    ],
)
def _translate(answer, fresh):
    reach, shape = fresh.integer(2, 4), (3, fresh.integer(8, 10), fresh.integer(10, 12))
    x = fresh.uniform(200, *shape, low=-0.5, high=1.5, grad=True)  # a decoder's images may leave [0, 1]
    got = answer(x, reach)
    yield same_shape(got, x), "The result has shape {got}, the images {want}: what moves out is lost, what moves in is 0."
    yield finite(got), "{got} of {want} pixels are not finite."
    seen, given = got.detach(), x.detach()
    moved = _steps(seen, given, reach)
    if moved is None:
        yield _steps(seen, given, reach, "circular") is None, "What moves out on one side comes in on the other (`roll` does that). A picture's right edge is no neighbor of its left one: fill with 0."
        yield _steps(seen, given, reach, "replicate") is None, "The edge is repeated where the image has moved away. Fill with 0, as the text says."
        yield _steps(seen, given, reach, "reflect") is None, "The image is mirrored where it has moved away. Fill with 0, as the text says."
        yield _steps(seen, given.clamp(0, 1), reach) is None, "You clip to [0, 1]. A decoder's images may lie outside, and where they are clipped their gradient ends: leave values as they are."
        yield _steps(seen, given, 2 * reach) is None, f"Some images move by more than `reach`, which is {reach} here."
        channels = [_steps(seen[:, [c]], given[:, [c]], reach) for c in range(3)]
        yield any(c is None for c in channels), "The three channels of an image move apart. It is one picture: one draw for all its channels."
        raise Diagnosis("These are not the images moved by whole rows and columns with zeros moved in. Show one of them beside its original.")
    yield bool(moved.any()), "No image has moved."
    yield bool((moved != moved[0]).any()), "One draw for the whole batch: all images move together. An encoder could compare images of one batch as before: draw for each image."
    for axis, name in enumerate(("rows", "columns")):
        yield bool(moved[:, axis].any()), f"Nothing moves by {name}. Draw both steps."
    yield bool((moved[:, 0] != moved[:, 1]).any()), "One draw for rows and columns: images move along a diagonal only. Draw two numbers for each image."
    yield bool((moved < 0).any()), "Images move down and to the right only. Draw from -reach to reach."
    yield bool((moved > 0).any()), "Images move up and to the left only. Draw from -reach to reach."
    for axis, name in enumerate(("rows", "columns")):
        low, high = int(moved[:, axis].min()), int(moved[:, axis].max())
        yield (low, high) == (-reach, reach), f"Steps by {name} run from {low} to {high}, and should from {-reach} to {reach}. (`randint` leaves its upper end out.)"
    yield bool((answer(x, reach) != got).any()), "A second call moves the images in the same way: is a seed set inside? Each step of the training needs new draws."
    yield has_gradient(got, x), "No gradient reaches the images. The decoder learns *through* the augmentation: nothing may be detached or computed without gradients."


class AugmentedEncoder(nn.Module):
    """Reference of 9.2."""

    def __init__(self, augmentation, encoder):
        super().__init__()
        self.augmentation, self.encoder = augmentation, encoder

    def forward(self, x):
        return self.encoder(self.augmentation(x) if self.training else x)


class Marked(nn.Module):
    """Stands for an augmentation: what it returns tells that it was applied, and in which call. Train and eval mode are one."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return (1 + 0.1 * self.calls) * x + 0.3 * self.calls


class _Encoder(nn.Module):
    """A small curved encoder of images, (B, C, H, W) -> (B, Z), in float64."""

    def __init__(self, fresh, pixels: int, latent_dim: int):
        super().__init__()
        self.into = nn.Parameter(fresh.normal(pixels, latent_dim, std=1 / pixels**0.5, **EXACT))

    def forward(self, x):
        return (x.flatten(1) @ self.into).tanh()


@exercise(
    "9.2",
    reference=AugmentedEncoder,
    name="AugmentedEncoder",
    title="The augmentation that never rests",
    kind="bug hunt",
    minutes=10,
    points=3,
    difficulty=2,
    hints=[
        "What does kornia's module do with `.eval()`? Try it alone: `RandomErasing(p=1.0).eval()(some)`.",
        "Every module has a flag that `.train()` and `.eval()` set: `self.training`. Who reads it here?",
    ],
)
def _augmented_encoder(answer, fresh):
    shape = (1, fresh.integer(3, 6), fresh.integer(3, 6))
    x = fresh.uniform(4, *shape, grad=True, **EXACT)
    encoder, augmentation = _Encoder(fresh, shape[1] * shape[2], 3), Marked()
    model = answer(augmentation, encoder)
    if not isinstance(model, nn.Module):
        raise Diagnosis("The class is no `torch.nn.Module` any more: `.eval()` would not reach it.")
    model = nn.Sequential(model)  # as a part of a larger model
    plain = encoder(x).detach()

    def shown():
        """What comes out, and whether images were augmented on the way (None: neither as they are nor once augmented)."""
        before = augmentation.calls
        out = model(x)
        copy = Marked()
        copy.calls = before
        found = {False: plain, True: encoder(copy(x)).detach()}
        return out, next((was for was, want in found.items() if not differs(out, want)), None)

    model.train()
    out, augmented = shown()
    yield augmented is not None, "In train mode the encoder gets something else than images that were augmented once."
    yield augmented, "Now nothing is augmented in training either. The encoder has few images: it needs it there."
    yield has_gradient(out, x), "In training no gradient passes the augmentation any more. The decoder learns through it: leave gradients on."
    model.eval()
    _, augmented = shown()
    if augmented and "eval" in vars(answer.function):
        yield False, "Inside a larger model `.eval()` arrives as `.train(False)`: a method `eval` of your own is not called there. Look at `self.training` in `forward`."
    if augmented and not any(part.training for part in model.modules()):
        yield False, "Still augmented after `.eval()`. Setting kornia's module to eval mode does not help: it does not look. Somebody has to ask `self.training`."
    yield augmented is False, "After `.eval()` images do not reach the encoder as they are."
    model.train()
    yield shown()[1] is True, "After `.eval()` and `.train()` again nothing is augmented any more: one evaluation in the middle of a run would end it for good."
    model.eval()
    with torch.no_grad():
        yield shown()[1] is False, "In eval mode under `torch.no_grad()` images are augmented. Both together are how every evaluation runs."
        model.train()
        yield shown()[1] is True, "In train mode under `torch.no_grad()` nothing is augmented. Whether gradients are recorded is another question than whether the model trains: ask `self.training`."
    yield any(part is encoder for part in model.modules()), "The encoder is not the one that was handed in: its weights have to be those that the optimizer holds."


def encoder_inputs(place, augment, x, made):
    """Reference of 9.3."""
    real, judged, pulled = x, made.detach(), made
    if place != "off":
        real = augment(real)
    if place in ("encoder", "everywhere"):
        judged = augment(judged)
    if place == "everywhere":
        pulled = augment(pulled)
    return real, judged, pulled


NUMERALS = {"off": "off", "real": "(i) real", "encoder": "(ii) encoder", "everywhere": "(iii) everywhere"}
INPUTS = {"real": "real images", "encoder": "the decoder's images in the *encoder's* step", "decoder": "the decoder's images in *its own* step"}


@exercise(
    "9.3",
    reference=encoder_inputs,
    name="encoder_inputs",
    title="Who sees what",
    minutes=12,
    points=3,
    difficulty=2,
    hints=[
        "Three inputs, and for each the question: in which of the four placements is it augmented? The table above has the answer.",
        "In the encoder's step the decoder's images are cut off, `made.detach()`, whatever is augmented. In the decoder's step they are not.",
    ],
)
def _encoder_inputs(answer, fresh):
    batch, shape = fresh.integer(2, 5), (1, fresh.integer(3, 6), 4)
    x = fresh.uniform(batch, *shape, **EXACT)
    made = fresh.uniform(2 * batch, *shape, grad=True, **EXACT)
    for place, augmented in AUGMENTED.items():
        augment = Marked()
        got = parts(answer(place, augment, x, made), 3, "real images, the decoder's in the encoder's step, and in its own")
        at = f"With place = \"{place}\": "
        for (key, name), given, image in zip(INPUTS.items(), (x, made, made), got, strict=True):
            yield same_shape(image, given), at + f"{name} have shape {{got}}; expected {{want}}."
            looks = {0: given.detach()} | {k: (1 + 0.1 * k) * given.detach() + 0.3 * k for k in range(1, augment.calls + 1)}
            look = next((k for k, want in looks.items() if not differs(image, want)), None)
            yield look is not None, at + f"{name} are neither as they were nor augmented once. Were they augmented twice, or exchanged?"
            if key in augmented:
                leak = " Whatever tells augmented images from others then tells real from fake." if key == "encoder" else ""
                blind = " The decoder would be judged by images that the encoder has never met." if key == "decoder" else ""
                yield look > 0, at + f"{name} are augmented in {NUMERALS[place]}, and yours are as they were." + leak + blind
            else:
                yield look == 0, at + f"{name} are not augmented in {NUMERALS[place]}, and yours are."
        _, judged, pulled = got
        yield no_gradient(judged, made), at + "in the encoder's step the gradient runs back into the decoder's images: `made` has to be cut off there (`detach`)."
        yield has_gradient(pulled, made), at + "in the decoder's step no gradient reaches its images. It has to run through the encoder, *and* through the augmentation: do not detach here."


def reconstruction_error(encode, decode, augment, x):
    """Reference of 9.4."""
    return sse(x, decode(encode(augment(x))))


@exercise(
    "9.4",
    reference=reconstruction_error,
    name="reconstruction_error",
    title="The hole in the target",
    kind="bug hunt",
    minutes=10,
    points=3,
    difficulty=2,
    hints=[
        "Which images does the decoder have to paint so that this error becomes 0?",
        "`x` stands for two things here: what the encoder is shown, and what the reconstruction is compared with. Give the first a name of its own.",
    ],
)
def _reconstruction_error(answer, fresh):
    batch, shape, latent_dim = 2 * fresh.integer(2, 5) + 1, (1, fresh.integer(3, 6), fresh.integer(3, 6)), 3
    x = fresh.uniform(batch, *shape, **EXACT)
    encode = _Encoder(fresh, shape[1] * shape[2], latent_dim)
    out = fresh.normal(latent_dim, shape[1] * shape[2], grad=True, **EXACT)

    def decode(z):
        return (z @ out).sigmoid().unflatten(1, shape)

    augment = Marked()
    got = answer(encode, decode, augment, x)
    once, twice = (1.1 * x + 0.3), (1.2 * x + 0.6)  # the first and the second call
    clean, shown = decode(encode(x)).detach(), decode(encode(once)).detach()
    want = sse(x, shown)
    yield same_shape(got, (batch,)), "The result has shape {got}; one error per image means {want}, as before."
    yield differs(got, sse(once, shown)), "Still the same: the reconstruction is compared with the *augmented* image. A decoder without error would have to paint the holes, too."
    yield differs(got, sse(x, clean)), "Now nothing is augmented: the encoder is shown the images as they are. What must stay as it was is the other image in the error."
    yield differs(got, sse(once, clean)), "Turned around: the encoder is shown the image, and the decoder has to paint an augmented one."
    yield differs(got, sse(twice, shown)) and differs(got, sse(once, decode(encode(twice)).detach())), "Two draws, one for each side: the target is still augmented, and now the decoder cannot even know how."
    yield differs(got, sse(1.2 * x + 0.6, 1.2 * shown + 0.6)) and differs(got, sse(once, 1.2 * shown + 0.6)), "The *reconstruction* is augmented as well. It is what the decoder has painted: compare it as it is, with the image as it was."
    yield close(got, want), "Expected the squared error of the image as it was and the reconstruction of the augmented one; the largest difference is {error:.2g}."
    yield has_gradient(got, encode.into), "No gradient reaches the encoder: was something detached? It learns from this error."
    yield has_gradient(got, out), "No gradient reaches the decoder: was something detached? It learns from this error."


def adapted_p(p, kl_real, kl_fake, target, images):
    """Reference of 9.5."""
    step = len(kl_real) / images
    p = p + step if real_fake_gap(kl_real, kl_fake) > target else p - step
    return min(max(p, 0.0), MAX_ADAPTIVE_P)


def _kls(fresh, real: float, fake: float, batch: int):
    """KLs of `batch` real images and twice as many fakes, whose means are these."""
    drawn = [fresh.uniform(n, low=0.5, high=1.5, **EXACT) for n in (batch, 2 * batch)]
    return [mean * kl / kl.mean() for mean, kl in zip((real, fake), drawn, strict=True)]


@exercise(
    "9.5",
    reference=adapted_p,
    name="adapted_p",
    title="As much as it takes",
    minutes=12,
    points=2,
    difficulty=2,
    hints=[
        "The gap: `(fake - real) / (fake + real)` of the two *means*. It is in no unit.",
        "The step has one size: the batch's share of `images`. Only whether it goes up or down depends on the gap.",
        "Keep p in [0, 0.8] after the step, whichever way it goes.",
    ],
)
def _adapted_p(answer, fresh):
    batch, images, target = fresh.integer(20, 40), fresh.integer(1000, 2000), fresh.number(0.25, 0.3)
    step, p, real = batch / images, fresh.number(0.3, 0.5), fresh.number(30, 40)
    # Gaps of 0.6, 0.13, 0, 0.2 and -0.38.
    pairs = {"far": (real, 4 * real), "near": (real, 1.3 * real), "equal": (real, real), "tiny": (0.2, 0.3), "low": (real, 0.45 * real)}
    pairs = {name: _kls(fresh, *means, batch) for name, means in pairs.items()}
    found = {name: answer(p, *kls, target, images) for name, kls in pairs.items()}
    up, down = found["far"], found["near"]
    yield is_scalar(up), "The result has shape {got}; p is one number."
    yield finite(up), "p is not finite."
    yield differs(up, p - step), "The sign: the gap is *above* the target here, the encoder knows the fakes too well, and p falls. Raise it."
    yield differs(up, p + 1 / images), "The step is 1 / images, whatever the batch. A batch of B images is B of them."
    yield differs(up, p + 2 * step), "The step counts the fakes, which are twice as many. Count real images."
    yield differs(up, p + 3 * step), "The step counts real images and fakes. Count real images."
    yield differs(up, p + step * 0.6) and differs(up, p + step * (0.6 - target)), "The step grows with the gap. It has one size here, so that p moves evenly: only its sign depends on the gap."
    yield differs(up, target) and differs(up, 0.6), "p is set to the gap or to the target. It should *move*, by a small step."
    yield close(up, p + step), "With a gap above the target p should rise by batch / images, to {want:.6g}; got {got:.6g}."
    yield differs(found["low"], p + step), "p rises though fakes are *nearer* to the prior than real images. A gap is a difference of the two KLs, over their sum: a ratio alone is never below 0."
    yield differs(found["equal"], p + step), "Sums, not means: there are twice as many fakes as real images, so their KLs add up to more even if the encoder finds both alike."
    yield differs(found["tiny"], p + step), "The difference is divided by the mean of real images alone. Divide by the *sum* of both means: then the gap ends at 1."
    yield differs(down, p + step), "The gap was compared in nats: here fakes are ten nats above real images, and yet only 0.13 of their sum. Divide by the sum of both means, or the target depends on how large KLs are."
    yield differs(down, p), "p stays where the gap is below the target. It should fall: else it could only ever rise."
    yield close(down, p - step), "With a gap below the target p should fall by batch / images: expected {want:.6g}, got {got:.6g}."
    bottom = answer(step / 3, *pairs["near"], target, images)
    yield between(bottom, 0.0, 1.0), "p has become {got:.4g}: a probability ends at 0."
    yield close(bottom, 0.0), "Near 0 p should end at 0 exactly: expected {want:.4g}, got {got:.4g}."
    top = answer(MAX_ADAPTIVE_P - step / 3, *pairs["far"], target, images)
    yield between(top, 0.0, MAX_ADAPTIVE_P), f"p has become {{got:.4g}}. Above {MAX_ADAPTIVE_P} the encoder hardly ever sees an image as it is, and what augmented images look like leaks: stop there."
    yield close(top, MAX_ADAPTIVE_P), "Near its upper end p should end at {want:.4g} exactly; got {got:.4g}."


def switched_loss(as_real, as_fake, made_as_real, made_as_fake, rows):
    """Reference of 9.6."""
    made = torch.where(rows.repeat(2), made_as_real, made_as_fake)
    return torch.where(rows, as_fake, as_real).mean() + made.mean()


@exercise(
    "9.6",
    reference=switched_loss,
    name="switched_loss",
    title="Some labels are wrong on purpose",
    minutes=12,
    points=2,
    difficulty=2,
    hints=[
        "`torch.where(rows, as_fake, as_real)` chooses for each row. What does it choose between for the decoder's images?",
        "The 2B images of the decoder's are all reconstructions, then all samples: row i of the batch is at i and at B + i. `rows.repeat(2)` is such a mask.",
    ],
)
def _switched_loss(answer, fresh):
    batch = fresh.integer(6, 10)
    real, fake = (fresh.uniform(batch, low=low, high=low + 1, grad=True, **EXACT) for low in (1.0, 3.0))
    made_real, made_fake = (fresh.uniform(2 * batch, low=low, high=low + 1, grad=True, **EXACT) for low in (6.0, 10.0))
    rows = torch.zeros(batch, dtype=torch.bool)
    rows[: fresh.integer(2, 4)] = True
    rows = rows[torch.randperm(batch, generator=fresh.generator())]
    terms, both = (real, fake, made_real, made_fake), rows.repeat(2)
    got = answer(*terms, rows)
    r, f, mr, mf = (term.detach() for term in terms)
    first, second = torch.where(rows, f, r), torch.where(both, mr, mf)
    want = first.mean() + second.mean()
    yield differs(got, first + second.reshape(2, -1).mean(0)), "One value per row. A loss is one number: take the mean over the batch."
    yield is_scalar(got), "The result has shape {got}; a loss is one number, shape {want}."
    yield differs(got, r.mean() + mf.mean()), "No label is switched: this is the usual loss."
    yield differs(got, first.mean() + mf.mean()), "Only real images change their label. The row's reconstruction and its sample swap with them: they are labeled *real* then."
    yield differs(got, r.mean() + second.mean()), "Only the decoder's images change their label. The row's real image swaps with them: it is labeled *fake* then."
    yield differs(got, torch.where(rows, r, f).mean() + torch.where(both, mf, mr).mean()), "The other rows are switched: all those that `rows` does *not* name."
    swapped = rows.repeat_interleave(2)
    yield differs(got, first.mean() + torch.where(swapped, mr, mf).mean()), "The mask of the decoder's images is that of other rows: they are not rec, sample, rec, sample, ... but all reconstructions first, then all samples."
    for half, name in ((slice(0, batch), "reconstructions"), (slice(batch, None), "samples")):
        alone = torch.where(torch.zeros_like(both).index_fill(0, torch.arange(2 * batch)[half], True) & both, mr, mf)
        yield differs(got, first.mean() + alone.mean()), f"Of the decoder's images only the {name} change their label. Both kinds do."
    yield differs(got, first.mean() + 2 * second.mean()), "The two kinds of fake are added. They share one term: its mean over all 2B."
    yield differs(got, torch.cat([first, second]).mean()), "One mean over all 3B values: the decoder's images then weigh twice as much as real ones. Each side has a mean of its own."
    yield differs(got, f.mean() + mr.mean()), "All labels are switched. Only those of `rows` are."
    kept = [r[~rows].mean() + f[rows].mean() + mf[~both].mean() + mr[both].mean(), r[~rows].mean() + mf[~both].mean()]
    yield differs(got, kept[0]), "A mean over the switched rows *plus* a mean over the others: a few switched rows then weigh as much as all the rest. One mean over all rows."
    yield differs(got, kept[1]), "The rows that are switched are left out. They stay in the loss, with the other label."
    yield close(got, want), "Expected the mean of real images' terms plus the mean of the decoder's, {want:.5g}; got {got:.5g}."
    yield has_gradient(got, *terms), "No gradient reaches argument {got} of the four terms: was something detached?"
    nobody = answer(*terms, torch.zeros_like(rows))
    yield finite(nobody), "Where no row is switched the loss is not finite: the mean over no rows is NaN. Choose with `torch.where`."
    yield close(nobody, r.mean() + mf.mean()), "Where no row is switched the loss should be the usual one, {want:.5g}; got {got:.5g}."


def fill(reconstruct, x, hole, passes):
    """Reference of 9.7."""
    filled = x.masked_fill(hole, 0.0)
    for _ in range(passes):
        filled = torch.where(hole, reconstruct(filled), x)
    return filled, hole_error(x, filled, hole)


def _filled(reconstruct, x, hole, passes, *, peek=False, composite="each"):
    """`fill`'s picture with a known mistake."""
    filled = x if peek else x.masked_fill(hole, 0.0)
    for _ in range(passes):
        made = reconstruct(filled)
        filled = torch.where(hole, made, x) if composite == "each" else made
    return torch.where(hole, filled, x) if composite == "end" else filled


@exercise(
    "9.7",
    reference=fill,
    name="fill",
    title="Fill a hole, and measure the filling",
    minutes=15,
    points=3,
    difficulty=2,
    hints=[
        "`x.masked_fill(hole, 0.0)` hides the hole, `torch.where(hole, a, b)` takes `a` inside the hole and `b` elsewhere. Both spread the hole over the channels.",
        "In each pass: reconstruct what you have, then put the known pixels back, *before* the next pass.",
        "The error: squared differences, summed over channels, times the hole; their sum, divided by the number of the hole's pixels of that image.",
    ],
)
def _fill(answer, fresh):
    batch, shape = fresh.integer(3, 6), (3, fresh.integer(5, 8), fresh.integer(5, 8))
    x = fresh.uniform(batch, *shape, low=0.2, **EXACT)
    pixels = shape[1] * shape[2]
    hole = torch.zeros(batch, 1, pixels, dtype=torch.bool)
    for i, part in enumerate(hole):  # another size for each image
        part[0, torch.randperm(pixels, generator=fresh.generator())[: 3 + 2 * i]] = True
    hole = hole.view(batch, 1, *shape[1:])
    mix, passes = fresh.normal(pixels, pixels, std=1 / pixels**0.5, **EXACT), fresh.integer(2, 5)

    def reconstruct(images):
        return (images.flatten(2) @ mix).sigmoid().view_as(images)

    filled, error = parts(answer(reconstruct, x, hole, passes), 2, "filled, error")
    want = _filled(reconstruct, x, hole, passes)
    yield same_shape(filled, x), "The filled images have shape {got}; expected {want}."
    yield differs(filled, _filled(reconstruct, x, hole, passes, peek=True)), "The first pass was shown what is in the hole: start from the images *without* it. (The error will be flattering until then.)"
    yield differs(filled, _filled(reconstruct, x, hole, passes, composite="never")) and differs(filled, _filled(reconstruct, x, hole, passes, composite="never", peek=True)), "The known pixels are not put back. What is outside the hole need not be guessed."
    yield differs(filled, _filled(reconstruct, x, hole, passes, composite="end")), "The known pixels are put back at the end alone. In between each pass starts from a picture that has drifted: put them back after *every* pass."
    yield differs(filled, _filled(reconstruct, x, hole, 1)), "One pass. Asked for are `passes`, each of which starts from what the one before has filled."
    yield differs(filled, _filled(reconstruct, x, hole, passes - 1)) and differs(filled, _filled(reconstruct, x, hole, passes + 1)), "One pass too few, or one too many."
    yield differs(filled, _filled(reconstruct, x, ~hole, passes)), "The hole is turned around: True is where a pixel is *missing*."
    yield close(filled, want), "The filled images are not those of `passes` passes with the known pixels put back after each; the largest difference is {error:.2g}."
    off = (want - x).square()
    inside = (off * hole).sum((1, 2, 3))
    right, count = inside / hole.sum((1, 2, 3)), hole.sum((1, 2, 3))
    yield differs(error, right.mean()), "One error for the whole batch. Return one per image."
    yield differs(error, off.sum((1, 2, 3)) / pixels) and differs(error, inside / (3 * pixels)) and differs(error, off.mean((1, 2, 3))), "Divided by *all* pixels: the known ones, which are right by definition, make it small. Divide by the pixels of the hole."
    yield differs(error, inside), "Summed over the hole, and not divided: a large hole then has a large error, however well it is filled. Take the mean over its pixels."
    yield differs(error, right / 3), "Averaged over channels. It is summed over channels, as squared errors are everywhere in the course, and averaged over the hole's pixels."
    yield differs(error, inside / count.double().mean()), "All images are divided by the same number. Each has a hole of its own size."
    yield differs(error, (right / 3).sqrt()) and differs(error, right.sqrt()), "The root was taken. The error here is squared."
    yield same_shape(error, (batch,)), "The errors have shape {got}; one per image means {want}."
    yield close(error, right), "Expected the squared error inside the hole, summed over channels, mean over the hole's pixels; the largest difference is {error:.2g}."
