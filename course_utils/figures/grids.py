"""Figures made of images: inputs, reconstructions, samples, walks through the latent space."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import reject
from ..methods.base import LatentModel
from . import models as ask
from .models import Models, batch, named
from .pixels import CAPTION_CHAR_PX, fitting_scale, label_width, rows_figure
from .style import WIDTH, CourseFigure, styled

ERROR_NOTE = "Numbers: squared error, summed over the pixels of an image in [0, 1]."
PANEL_COLUMNS = 7  # models side by side; more go on below


def _numbers(values: Tensor) -> list[str]:
    return [f"{v:.3g}" if abs(v) < 100 else f"{v:.0f}" for v in values.tolist()]


@styled
def image_grid(
    images: Tensor,
    columns: int = 8,
    titles: Sequence[str] = (),
    *,
    title: str = "",
    alt: str = "",
    scale: int | None = None,
) -> CourseFigure:
    """Images (N, C, H, W), in [0, 1] or uint8, in rows of `columns`. titles: a line under each image."""
    images, titles = batch(images), list(titles)
    if titles and len(titles) != len(images):
        raise reject("titles", f"{len(titles)} titles", f"one for each of the {len(images)} images")
    columns = min(columns, len(images))
    rows = [images[i : i + columns] for i in range(0, len(images), columns)]
    captions = [titles[i : i + columns] for i in range(0, len(titles), columns)]
    shown = f": {', '.join(dict.fromkeys(titles))}" if titles else ""
    text = alt or f"{title or 'Images'}: {len(images)} images in {len(rows)} rows of {columns}{shown}."
    return rows_figure(rows, title=title, captions=captions, alt=text, scale=scale)


@styled
def reconstructions(models: Models, images: Tensor, *, title: str = "Reconstructions") -> CourseFigure:
    """The images in the first row, each model's reconstructions below, the squared error under each.

    models: a model or a dict of them by name. images: (N, C, H, W) in [0, 1]; eight or so are shown well."""
    return _against(named(models, "reconstruction"), batch(images), batch(images), [("input", batch(images))], title)


@styled
def bottleneck_sweep(models: Models, images: Tensor, *, title: str = "What a bottleneck keeps") -> CourseFigure:
    """Reconstructions of the same images by models of growing latent_dim, the narrowest first."""
    ordered = sorted(named(models).values(), key=lambda m: m.latent_dim)
    labeled = {f"{m.latent_dim} number{'s' * (m.latent_dim > 1)}": m for m in ordered}
    if len(labeled) < len(ordered):
        raise reject("models", [m.latent_dim for m in ordered], "one model of each latent_dim")
    return _against(labeled, batch(images), batch(images), [("input", batch(images))], title)


@styled
def denoising(
    models: Models, images: Tensor, noise: float = 0.3, *, generator: torch.Generator | None = None, title="Denoising"
) -> CourseFigure:
    """Clean images, the same with Gaussian noise of this standard deviation, and what each model makes of the noisy
    ones.

    The models see the noisy images as they are; only the picture of them is clipped to [0, 1]. The errors are those
    to the clean images. generator: for the noise (default: seed 0)."""
    if noise < 0:
        raise reject("noise", noise, "0 or more", "It is a standard deviation, in units of pixel values.")
    images, generator = batch(images), generator or torch.Generator().manual_seed(0)
    noisy = images.cpu() + noise * torch.randn(images.shape, generator=generator)
    rows = [("clean", images), (f"noise {noise:g}", noisy)]
    return _against(named(models, "denoised"), images, noisy, rows, title)


def _against(models: dict[str, LatentModel], clean: Tensor, seen: Tensor, rows: list, title: str) -> CourseFigure:
    """Given rows, then each model's reconstruction of `seen` with its squared error to `clean`."""
    labels, pictures, captions, means = [], [], [], []
    for name, given in rows:
        labels.append(name)
        pictures.append(given.clamp(0, 1) if given is seen and seen is not clean else given)
        captions.append(_numbers(ask.squared_error(clean, given)) if given is not clean else [])
    for name, model in models.items():
        made = ask.reconstructed(model, seen)
        errors = ask.squared_error(clean, made)
        labels.append(f"{name}\nmean {errors.mean():.3g}")
        means.append(f"{name} {errors.mean():.3g}")
        pictures.append(made)
        captions.append(_numbers(errors))
    alt = f"{title}: rows of {len(clean)} images: {', '.join(n for n, _ in rows)}, then one row per model. "
    alt += f"Mean squared error per image: {'; '.join(means)}."
    return rows_figure(pictures, title=title, row_labels=labels, captions=captions, note=ERROR_NOTE, alt=alt)


@styled
def samples(
    models: Models, n: int = 32, generator: torch.Generator | None = None, *, truncation: float = 1.0, columns: int = 8,
    title: str = "Samples from the prior",
) -> CourseFigure:  # fmt: skip
    """n images decoded from the prior; with a dict of models, one row of min(n, columns) images for each.

    generator: default seed 0. It is set back for every model, so models of the same latent_dim decode the same
    codes."""
    generator = generator or torch.Generator().manual_seed(0)
    state, rows = generator.get_state(), {}
    one = not isinstance(models, dict)
    for name, model in named(models, "").items():
        generator.set_state(state)
        rows[name] = model.sample(n if one else min(n, columns), generator=generator, truncation=truncation).cpu()
    if one:
        images = rows[""]
        parts = [images[i : i + columns] for i in range(0, n, columns)]
        return rows_figure(parts, title=title, alt=f"{title}: {n} images decoded from random codes.")
    alt = f"{title}: a row of images decoded from random codes for each of {', '.join(rows)}."
    return rows_figure(list(rows.values()), title=title, row_labels=list(rows), alt=alt)


@styled
def comparison_panel(
    models: Models, x: Tensor, *, samples: int = 2, title="One image through every method"
) -> CourseFigure:
    """One column per model: the image's reconstruction with its squared error, and samples below, all from one seed.

    x: (C, H, W) or (1, C, H, W). A model without an encoder has samples alone. More than seven models go on below."""
    models, x = named(models, "model"), batch(x)
    made, facts = {}, {}
    for name, model in models.items():
        drawn = list(model.sample(samples, generator=torch.Generator().manual_seed(0)).cpu()) if samples else []
        made[name] = [ask.reconstructed(model, x)[0] if model.has_encoder else None, *drawn]
        error = f"{ask.squared_error(x, made[name][0][None]).item():.3g}" if model.has_encoder else "no encoder"
        facts[name] = error
    width = math.ceil(len(made) / math.ceil(len(made) / PANEL_COLUMNS))  # columns of each block: as even as they get
    scale = min(3, fitting_scale(x.shape[3], width + 1, WIDTH - label_width(["reconstruction"])))
    rows, labels, captions = [], [], []
    for start in range(0, len(made), width):
        part = list(made)[start : start + width]
        rows += [[x[0] if k == 0 else None, *(made[n][k] for n in part)] for k in range(1 + samples)]
        cell = x.shape[3] * scale
        captions += [["input", *(f"{_wrapped(n, cell)}\n{facts[n]}" for n in part)], *[[]] * samples]
        labels += ["reconstruction", *["sample"] * samples]
    listed = "; ".join(f"{name}: {fact}" for name, fact in facts.items())
    alt = (
        f"{title}: the input, then a column per model, its reconstruction on top and {samples} samples below. {listed}."
    )
    return rows_figure(rows, title=title, row_labels=labels, captions=captions, note=ERROR_NOTE, alt=alt, scale=scale)


def _wrapped(name: str, pixels: int) -> str:
    """A name in lines that fit into a cell of this width, cut at spaces, underscores and hyphens."""
    return "\n".join(textwrap.wrap(name.replace("_", " "), max(6, int(pixels / CAPTION_CHAR_PX))))
