"""Figures of chapter 01: error against code size and frequency, codes and noise on one map, denoising at many
strengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ..data.image_set import ImageSet
from ..errors import reject
from . import models as ask
from .curves import array
from .models import Models, named
from .pixels import rows_figure
from .style import COLORS, MUTED, CourseFigure, colors, new_figure, styled, with_alt

NARROW = 640  # pixels: figures of a few lines need no more


@styled
def error_by_code_size(
    errors: Mapping[str, Mapping[int, float]], *, title: str = "What a number in the code buys"
) -> CourseFigure:
    """Squared error per image over the numbers in a code, both axes logarithmic, a line per method.

    errors: {method: {code size: squared error summed over the pixels of an image}}."""
    if not errors or not all(errors.values()):
        raise reject("errors", "none", "{method: {code size: squared error}} with one or more of each")
    figure = new_figure(NARROW, 330)
    axes = figure.add_subplot()
    facts = []
    for (name, by_size), color, mark in zip(errors.items(), colors(len(errors)), "osD^vPX"[: len(errors)], strict=True):
        sizes = sorted(by_size)
        axes.plot(sizes, [by_size[k] for k in sizes], "-" + mark, ms=5, color=color, label=name)
        facts.append(f"{name}: " + ", ".join(f"{by_size[k]:.3g} with {k}" for k in sizes))
    ticks = sorted({k for by_size in errors.values() for k in by_size})
    axes.set(xscale="log", yscale="log", xlabel="numbers in a code", ylabel="squared error per image", title=title)
    _plain_ticks(axes.xaxis, ticks)
    low, high = axes.get_ylim()
    _plain_ticks(axes.yaxis, [v for v in (1, 2, 5, 10, 20, 50, 100, 200) if low <= v <= high])
    axes.legend()
    return with_alt(figure, f"Squared error per image over the size of the code, falling. {'; '.join(facts)} numbers.")


def _plain_ticks(axis, values: Sequence[float]) -> None:
    axis.set_ticks(list(values), [f"{v:g}" for v in values])
    axis.set_ticks([], minor=True)


@styled
def loss_by_frequency(models: Models, images: Tensor, *, title: str = "Fine detail goes first") -> CourseFigure:
    """The share of the images' variation that reconstructions lose, by spatial frequency: 0 all is there, 1 all is
    lost.

    images: (N, C, H, H). Variation: squared Fourier amplitudes of the images minus their mean image, summed over
    rings of one cycle per image's width. Lost: the same of the errors."""
    side = images.shape[-1]
    if images.shape[-2] != side or len(images) < 2:
        raise reject("images", tuple(images.shape), "two or more square images (N, C, H, H)")
    whole = _ring_power(images - images.mean(0), side)
    figure = new_figure(NARROW, 310)
    axes = figure.add_subplot()
    cycles, facts, models = np.arange(len(whole)), [], named(models)
    for (name, model), color in zip(models.items(), colors(len(models)), strict=True):
        share = (_ring_power(images.cpu() - ask.reconstructed(model, images), side) / whole).numpy()
        axes.plot(cycles, share, "-o", ms=4, color=color, label=name)
        facts.append(f"{name}: {share[1]:.0%} at 1 cycle, {share[-1]:.0%} at {cycles[-1]}")
    axes.set(
        xlabel="cycles per image: coarse on the left, fine on the right",
        ylabel="share of the variation lost",
        title=title,
    )
    axes.set_ylim(0, max(1.02, axes.get_ylim()[1]))
    axes.legend()
    return with_alt(
        figure, f"Share of the variation that reconstructions lose, by spatial frequency. {'; '.join(facts)}."
    )


def _ring_power(x: Tensor, side: int) -> Tensor:
    """(N, C, H, H) -> power in rings of one cycle, 0 to H / 2, summed over images and channels."""
    frequency = torch.fft.fftfreq(side) * side  # cycles per image
    ring = (frequency[:, None].square() + frequency[None].square()).sqrt().round().long().flatten()  # (H * H,)
    power = torch.fft.fft2(x.cpu()).abs().square().sum((0, 1)).flatten()
    return torch.zeros(int(ring.max()) + 1).index_add_(0, ring, power)[: side // 2 + 1]


@styled
def codes_and_noise(
    model, images: ImageSet, noise: Tensor, *, title: str = "Where the codes are, and where noise falls"
) -> CourseFigure:
    """The codes (dots) of an image set on the plane of a model with latent_dim 2, and points of noise (N, 2)
    (crosses)."""
    if model.latent_dim != 2 or noise.shape[1] != 2:
        raise reject(
            "model", f"latent_dim {model.latent_dim}, noise {tuple(noise.shape)}", "latent_dim 2 and noise (N, 2)"
        )
    codes = ask.encoded(model, images.floats())[0]
    figure = new_figure(NARROW, 400)
    axes = figure.add_subplot()
    axes.scatter(*codes.T.numpy(), s=8, lw=0, color=COLORS["sky"], label="codes of garments", rasterized=True)
    axes.scatter(*noise.T.numpy(), s=24, lw=1.1, marker="x", color=COLORS["vermilion"], label="noise, N(0, I)")
    axes.set(xlabel="z[0]", ylabel="z[1]", title=title)
    axes.legend(loc="best", markerscale=1.4)
    inside = (codes.abs() <= noise.abs().max()).all(1).float().mean().item()
    return with_alt(
        figure,
        f"{len(codes)} codes in the plane, standard deviation {codes[:, 0].std():.2g} by {codes[:, 1].std():.2g}, and "
        f"{len(noise)} points of noise near the origin. The square that the noise covers holds {inside:.1%} of the codes.",
    )


@styled
def denoising_errors(
    models: Models, images: Tensor, stds: Sequence[float], *, trained_at: float | None = None,
    generator: torch.Generator | None = None, title: str = "Denoising at every strength",
) -> CourseFigure:  # fmt: skip
    """Squared error to the clean images over the noise's standard deviation: of each model, and of the noisy image as
    it is.

    trained_at: marked by a line. generator: for the noise (default: seed 0); every model sees the same noise."""
    generator = generator or torch.Generator().manual_seed(0)
    noise = torch.randn(images.shape, generator=generator)
    lines = {"the noisy image itself": [ask.squared_error(images, images + s * noise).mean().item() for s in stds]}
    for name, model in named(models, "model").items():
        made = (ask.reconstructed(model, images + s * noise) for s in stds)
        lines[name] = [ask.squared_error(images, one).mean().item() for one in made]
    figure = new_figure(NARROW, 310)
    axes = figure.add_subplot()
    for (name, values), color in zip(lines.items(), colors(len(lines)), strict=True):
        axes.plot(stds, values, "-o", ms=4, color=color, label=name)
    if trained_at is not None:
        axes.axvline(trained_at, color=MUTED, ls="--", lw=1.1)
    tallest = max(max(v) for n, v in lines.items() if n != "the noisy image itself")
    axes.set(
        xlabel="standard deviation of the noise",
        ylabel="squared error per image",
        title=title,
        ylim=(0, 1.15 * tallest),
    )
    axes.legend()
    facts = "; ".join(f"{n}: {v[0]:.3g} at {stds[0]:g}, {v[-1]:.3g} at {stds[-1]:g}" for n, v in lines.items())
    return with_alt(figure, f"Squared error to the clean image over the strength of the noise. {facts}.")


@styled
def curves_with_limit(
    curves: Mapping[str, Mapping], limit: float, name: str, *, term: str, title: str = ""
) -> CourseFigure:
    """Curves of one term over the steps, a color each, and a dashed line at `limit`, called `name`.

    curves: {run: {"step": [...], term: [...]}}."""
    figure = new_figure(NARROW, 300)
    axes = figure.add_subplot()
    for (run, columns), color in zip(curves.items(), colors(len(curves)), strict=True):
        axes.plot(array(columns["step"]), array(columns[term]), "-o", ms=3.5, color=color, label=run)
    axes.axhline(limit, color=MUTED, ls="--", lw=1.3, label=name)
    last = {run: float(array(columns[term])[-1]) for run, columns in curves.items()}
    axes.set(xlabel="step", ylabel="squared error per test image", title=title)
    axes.set_ylim(0.5 * min(limit, *last.values()), 2 * max(limit, *last.values()))
    axes.legend()
    facts = "; ".join(f"{run} ends at {value:.4g}" for run, value in last.items())
    return with_alt(figure, f"Curves over the training steps: {facts}. Dashed: {name}, {limit:.4g}.")


@styled
def image_rows(rows: Mapping[str, Tensor], *, title: str) -> CourseFigure:
    """Rows of images (N, C, H, W) by name; values outside [0, 1] are clipped for the picture."""
    names = [name.replace("\n", " ") for name in rows]
    alt = f"{title}: a row of up to {max(map(len, rows.values()))} images for each of {', '.join(names)}."
    return rows_figure([x.clamp(0, 1) for x in rows.values()], title=title, row_labels=list(rows), alt=alt)
