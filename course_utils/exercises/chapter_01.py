"""Exercises of chapter 01, autoencoders."""

from __future__ import annotations

import torch
from torch import nn

from ..methods import build
from ..methods.autoencoder import AutoencoderConfig, sse
from .framework import close, differs, equals, exercise, has_gradient, is_scalar, one_of, same_shape


def reconstruction_loss(x, x_hat):
    """Reference of 1.1."""
    return sse(x, x_hat).mean()


@exercise(
    "1.1",
    reference=reconstruction_loss,
    name="reconstruction_loss",
    title="One number for how wrong a batch is",
    minutes=10,
    points=2,
    difficulty=1,
    hints=[
        "First one number per image: square the differences, `.flatten(1)` lays each image out as a row, `.sum(1)` "
        "adds it up.",
        "Then the mean over the batch.",
    ],
)
def _reconstruction_loss(answer, fresh):
    batch, channels, size = 2 * fresh.integer(3, 8) + 1, 3, 4 * fresh.integer(2, 5)  # no two equal: an axis taken for another shows
    x = fresh.images(batch, channels, size) * torch.linspace(0.2, 1, batch).view(-1, 1, 1, 1)  # (B, C, H, W), dark to bright
    x_hat = fresh.uniform(*x.shape, grad=True)
    got = answer(x, x_hat)
    gap = x - x_hat
    per_image = gap.square().flatten(1).sum(1)  # (B,)
    pixels = x[0].numel()
    yield differs(got, per_image), "One number per image. A loss is one number: take the mean over the batch at the end."
    yield is_scalar(got), "The result has shape {got}; a loss is one number, shape {want}."
    yield (
        differs(got, gap.square().mean()),
        f"Your loss is {pixels} times too small: averaged over the {pixels} values of an image as well. The course *sums* over pixels, so that the error can be weighed against other terms later.",
    )
    yield (
        differs(got, per_image.sum()),
        f"Your loss is {batch} times too large: summed over the {batch} images as well. The size of a step would then depend on the batch size. Take the mean over images.",
    )
    yield differs(got, gap.square().sum(0).mean()), "Sum and mean are swapped: averaged over the pixels, summed over the batch. Sum over C, H and W, then take the mean over images."
    yield differs(got, 1024 * gap.square().mean()), "1024 values are right for 1 x 32 x 32 images only; count those of the images given."
    yield differs(got, gap.square().sum((2, 3)).mean()), "Summed over height and width, but averaged over the channels. An image's error is the sum over C, H and W."
    yield differs(got, gap.abs().flatten(1).sum(1).mean()), "Absolute differences. The squared error squares them: one large miss costs more than many small ones."
    yield differs(got, per_image.sqrt().mean()), "You took the root of each image's error: the distance, not the squared error."
    yield differs(got, 0.5 * per_image.mean()), "Half of what was asked for. There is no 1/2 in front of the squared error here."
    yield differs(got, gap.flatten(1).sum(1).mean()), "The differences are not squared, so that too bright and too dark cancel."
    yield close(got, per_image.mean()), "Expected the squared error summed over C, H, W, mean over the batch: {want:.5g}. Got {got:.5g}."
    yield has_gradient(got, x_hat), "No gradient reaches `x_hat`: was something detached, or turned into a Python number?"


@exercise(
    "1.2",
    reference="a",
    name="answer_1_2",
    title="What does the squared error care about?",
    kind="predict",
    minutes=5,
    points=1,
    difficulty=1,
    hints=[
        "An error counts with its *square* in every pixel. Which change alters pixels where the "
        "contrast is strongest?",
        "Moved by one pixel, an outline between black background and bright cloth is wrong by the full contrast "
        "all along it.",
    ],
)
def answer_1_2(answer, fresh):
    yield one_of(answer, "abcd"), "Answer with one letter, one of {want}; got {got!r}."
    yield differs(answer, "b"), "The blur takes away the whole print, but prints have low contrast: many small errors, and squares make small errors smaller."
    yield differs(answer, "c"), "A tenth of the brightness is an error of at most 0.1 in each pixel, so at most 0.01 after squaring."
    yield differs(answer, "d"), "This noise has a standard deviation of 0.05: 0.0025 in each of the 1024 pixels after squaring. Compare that with an outline."
    yield equals(answer, "a"), "Look at the numbers under the pictures."


def interpolate(model, x0, x1, steps):
    """Reference of 1.3."""
    z0, z1 = model.encode(x0).mean, model.encode(x1).mean  # (1, Z) each
    t = torch.linspace(0, 1, steps).unsqueeze(1)  # (steps, 1)
    return model.decode((1 - t) * z0 + t * z1)


def _bent_model(fresh):
    """A small autoencoder with random weights, large enough that its decoder is far from linear."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(fresh.seed())
        model = build("autoencoder", AutoencoderConfig(latent_dim=fresh.integer(3, 7), widths=(8,)), (1, 16, 16))
    for part in model.modules():
        if isinstance(part, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            part.weight.data.mul_(3.0)
    return model.eval().requires_grad_(False)


@exercise(
    "1.3",
    reference=interpolate,
    name="interpolate",
    title="Half way between two garments",
    minutes=10,
    points=2,
    difficulty=1,
    hints=[
        "Encode both images first: `model.encode(x0).mean` is a code, (1, Z). Mix the codes, and decode the mixtures.",
        "`torch.linspace(0, 1, steps)` holds both ends; `.unsqueeze(1)` makes it (steps, 1), which broadcasts "
        "against (1, Z).",
    ],
)  # fmt: skip
def _interpolate(answer, fresh):
    model, steps = _bent_model(fresh), fresh.integer(11, 17)
    x0, x1 = fresh.images(2, 1, 16).split(1)  # (1, 1, 16, 16) each
    got = answer(model, x0, x1, steps)
    z0, z1 = model.encode(x0).mean, model.encode(x1).mean

    def decoded(t):
        return model.decode(z0 + t.unsqueeze(1) * (z1 - z0))

    t = torch.linspace(0, 1, steps)
    share, column = t.view(-1, 1, 1, 1), t.unsqueeze(1)
    yield same_shape(got, (steps, 1, 16, 16)), "The result has shape {got}; `steps` images mean {want}."
    yield differs(got, (1 - share) * x0 + share * x1), "That mixes the *pixels*: one picture fades through the other. Mix the codes, and decode."
    yield (
        differs(got, (1 - share) * model.decode(z0) + share * model.decode(z1)),
        "You decode first and mix then: that is again a mix of pixels, of the two reconstructions. Mix the codes, and decode the mixtures.",
    )
    yield differs(got, decoded(1 - t)), "The path runs backwards: the first image returned should be the reconstruction of `x0`."
    yield (
        differs(got, decoded(torch.arange(steps) / steps)),
        "The far end is missing: the last image should be the reconstruction of `x1`. `linspace` includes both ends, `arange(steps) / steps` does not.",
    )
    yield differs(got, decoded((torch.arange(steps) + 1) / steps)), "The near end is missing: the first image should be the reconstruction of `x0`, at share 0."
    yield differs(got, decoded(torch.linspace(0, 1, steps + 2)[1:-1])), "Both ends are missing: the first and the last image should be the two reconstructions."
    yield differs(got, decoded(torch.arange(steps).float())), "You go on beyond `x1`: the share of the way has to stay between 0 and 1."
    yield differs(got, model.decode(z0 + column * z1)), "The first code keeps its full weight: at share t it should be (1 - t) z0 + t z1."
    yield close(got, decoded(t)), "Expected the decoded codes (1 - t) z0 + t z1, with t evenly from 0 to 1; the largest difference is {error:.2g}."


def denoising_loss(model, x, std):
    """Reference of 1.4."""
    return sse(x, model(x + std * torch.randn_like(x))).mean()


class _Spy:
    """Stands for the network: returns a fixed function of what it is given and of its weight, and remembers it."""

    def __init__(self):
        self.seen, self.calls, self.weight = None, 0, torch.ones((), requires_grad=True)

    def __call__(self, x):
        self.seen, self.calls = x.detach().clone(), self.calls + 1
        return 1.0 + 0.3 * self.weight * x  # far off, and not half way: then clean and noisy targets would be equally far from the output


def _right_noise(noise, x, std):
    """Verdicts on noise (B, C, H, W) added to x: Gaussian, of standard deviation std, another number everywhere."""
    seen, spread = x + noise, noise.std()
    yield differs(noise, torch.zeros_like(x)), "The network sees the clean images: it then learns to copy, not to denoise. Add the noise to its *input*."
    for axis, those in enumerate(("images of the batch", "channels of an image", "rows of an image", "columns of an image")):
        same = noise.narrow(axis, 0, 1).expand_as(noise)
        yield differs(noise, same, rtol=1e-3), f"All {those} get the same noise. Draw it with the shape of `x`: another number for each pixel of each image."
    yield bool((noise[x == 0] != 0).any()), "Where the image is black there is no noise: you multiply the image by it. Add it instead."
    yield bool(noise.min() < 0), "Your noise is never negative. `torch.rand` is uniform in [0, 1); Gaussian noise, `torch.randn_like`, darkens as often as it brightens."
    yield (
        bool(seen.min() < 0 and seen.max() > 1),
        "The noisy images were clipped to [0, 1]. On a black background half of the noise is then gone, and what is left only brightens.",
    )
    centered = x - x.mean()
    kept = (seen * centered).mean() / centered.square().mean()
    yield close(kept, 1.0, atol=0.1), "What the network sees holds {got:.2f} times the image. The image stays whole; the noise is added to it."
    yield bool(noise.abs().max() > 2.5 * spread), "Your noise ends at a sharp edge, as uniform noise does. Gaussian noise is `torch.randn_like`."
    yield close(noise.mean(), 0.0, atol=0.1 * std), "The noise has a mean of {got:.2f}: it brightens or darkens all images. Its mean should be 0."
    yield differs(spread, std**0.5, rtol=0.05), "The noise has a standard deviation of {got:.2f}, the root of `std`. `std` is no variance: multiply standard noise by it."
    yield differs(spread, std**2, rtol=0.05), "The noise has a standard deviation of {got:.2f}, the square of `std`: it was multiplied twice."
    yield differs(spread, 1.0, rtol=0.05), "The noise has a standard deviation of 1: it was not scaled by `std`."
    yield close(spread, std, rtol=0.05), "The noise has a standard deviation of {got:.3f}; asked for {want:.3f}."


@exercise(
    "1.4",
    reference=denoising_loss,
    name="denoising_loss",
    title="A loss that removes noise",
    minutes=10,
    points=3,
    difficulty=2,
    hints=[
        "Two pictures: a noisy one that only the network sees, and the clean one that its output is compared with.",
        "`torch.randn_like(x)` draws standard normal noise, another for each pixel of each image. A standard "
        "deviation multiplies it.",
    ],
)
def _denoising_loss(answer, fresh):
    x, std = fresh.images(2 * fresh.integer(6, 10) + 1, 3, 20), fresh.number(0.2, 0.4)
    spy, another = _Spy(), _Spy()
    got = answer(spy, x, std)
    yield is_scalar(got), "The result has shape {got}; a loss is one number, shape {want}: sum over pixels, mean over the batch."
    yield spy.calls > 0, "The model was never called: it has to see the noisy images."
    yield spy.calls == 1, "The model is called more than once. One call is enough, on the noisy images: its output is compared with the clean `x` itself."
    yield same_shape(spy.seen, x), "The network was given images of shape {got}; the noisy images have the shape of the clean ones, {want}."
    yield from _right_noise(spy.seen - x, x, std)
    rec = 1.0 + 0.3 * spy.seen
    yield differs(got, sse(spy.seen, rec).mean()), "You compare with the *noisy* images. The least error is then reached by reproducing the noise: the target is the clean `x`."
    yield differs(got, sse(x, spy.seen).mean()), "You compare the noisy images with the clean ones; the network's output is not in the loss."
    yield differs(got, (x - rec).square().mean()), "The squared error is averaged over the pixels. Sum over them, then take the mean over the batch."
    yield differs(got, (x - rec).square().sum((2, 3)).mean()), "Summed over height and width, but averaged over the channels: an image's error is the sum over C, H and W."
    yield differs(got, sse(x, rec).sum()), "Summed over the batch: take the mean over images."
    yield close(got, sse(x, rec).mean()), "Expected the squared error between `model(noisy)` and the clean `x`, {want:.5g}; got {got:.5g}."
    yield has_gradient(got, spy.weight), "No gradient reaches the network: was its output detached, or turned into a Python number? It could not learn."
    answer(another, x, std)
    yield differs(another.seen, spy.seen), "Two calls draw the same noise. A network that sees the same noise in every step learns that noise by heart: draw fresh noise each time."


def channels_first(images):
    """Reference of 1.5."""
    return images.permute(0, 3, 1, 2)


@exercise(
    "1.5",
    reference=channels_first,
    name="channels_first",
    title="The garments that lie down",
    kind="bug hunt",
    minutes=15,
    points=3,
    difficulty=2,
    hints=[
        "The loss compares the network's output with its input, and both went through the same function. What can "
        "it therefore not notice?",
        "Write down the axes of `images` with their numbers, then the axes wanted: which number stands where?",
    ],
)
def _channels_first(answer, fresh):
    n, height, width = fresh.integer(4, 8), 2 * fresh.integer(5, 8), 2 * fresh.integer(9, 12)
    square, wide = fresh.integers(n, 16, 16, 3, high=256), fresh.integers(n, height, width, 3, high=256)
    square, wide = square.to(torch.uint8), wide.to(torch.uint8)  # (N, H, W, C)
    got, want = answer(square), square.permute(0, 3, 1, 2)
    yield differs(got, square), "Nothing has moved: the channels still come last."
    yield same_shape(got, want), "The result has shape {got}; channels first means {want}."
    yield (
        differs(got, square.permute(0, 3, 2, 1)),
        "Still lying on their side: rows have become columns. Follow height and width separately; on square images no shape gives it away.",
    )
    yield (
        differs(got, square.reshape(n, 3, 16, 16)),
        "`reshape` and `view` rename axes, they move nothing. With one channel that happens to be right; here, with three, neighboring values of red, green and blue are taken for neighboring pixels, and the picture is scrambled.",
    )
    turned = square.permute(0, 3, 2, 1)
    yield (
        differs(got, turned.flip(2)) and differs(got, turned.flip(3)),
        "Upright or not, they are *turned*: a transposed picture and a flip make a quarter turn. Do not mend a wrong axis order by a second wrong.",
    )
    mirrored = [want.flip(axes) for axes in ((2,), (3,), (2, 3))]
    yield all(differs(got, flipped) for flipped in mirrored), "The axes are right now, but the pictures are mirrored. Nothing needs to be flipped."
    yield differs(got, want.flip(1)), "The pictures stand, but red has become blue: the channels are in reverse order."
    yield differs(got, want / 255), "The pictures stand, but their values were divided by 255. The contract is uint8 in, uint8 out."
    yield isinstance(got, torch.Tensor), "The pictures stand, but in a numpy array. The contract is a tensor in, a tensor out."
    yield equals(str(got.dtype), "torch.uint8"), "The pictures stand, but they are {got} now. The contract is uint8 in, uint8 out."
    yield close(got, want), "Not the same pictures with the channels first: {error:.0f} gray levels off somewhere."
    yield same_shape(answer(wide), wide.permute(0, 3, 1, 2)), "Images that are wider than high come out as {got} instead of {want}."
    yield close(answer(wide), wide.permute(0, 3, 1, 2)), "Right for square images, wrong for others."
    gray = wide[..., :1]
    yield same_shape(answer(gray), gray.permute(0, 3, 1, 2)), "Images of one channel come out as {got} instead of {want}."
