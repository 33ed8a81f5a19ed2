"""Figures of the latent space: where codes lie, what each dimension carries, what it knows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..data.image_set import ImageSet
from ..errors import reject
from . import models as ask
from .models import Models, batch, named
from .pixels import as_bytes
from .style import COLORS, INK, MUTED, CourseFigure, colors, new_figure, styled, with_alt

MARKERS = "osD^vPX"
ACTIVE_NATS = 0.1  # a dimension below this mean KL tells next to nothing of the image


@styled
def latent_map(model, images: ImageSet, *, limit: int = 3000, title: str = "") -> CourseFigure:
    """Codes of labeled images as points, one color and mark per class, its name near the class's median.

    More than two dimensions: the first two principal components. limit: points drawn, the first ones of the set. For a
    model with a prior the circles hold 39 % and 86 % of it (radius 1 and 2)."""
    if images.labels is None:
        raise reject("images", f"{images.name} without labels", "a labeled set")
    images = images.subset(slice(0, limit))
    mean, logvar = ask.encoded(model, images.floats())
    spots, labels = _plane(mean)
    figure = new_figure(700, 560)
    axes = figure.add_subplot()
    classes = images.labels.cpu().unique().tolist()
    owned = [spots[images.labels.cpu().numpy() == k] for k in classes]
    places = _apart(np.stack([np.median(own, 0) for own in owned]), spots)
    for i, (k, own, place, color) in enumerate(zip(classes, owned, places, colors(len(classes)), strict=True)):
        name = images.class_names[k] if images.class_names else str(k)
        mark = MARKERS[i // len(COLORS) % len(MARKERS)]
        axes.scatter(*own.T, s=9, alpha=0.55, lw=0, color=color, marker=mark, label=name, rasterized=True)
        box = {"boxstyle": "round,pad=0.2", "fc": "white", "ec": color, "alpha": 0.85}
        axes.text(*place, name, ha="center", va="center", fontsize=8, color=INK, bbox=box, zorder=5)
    if logvar is not None and model.latent_dim == 2:
        turn = np.linspace(0, 2 * np.pi, 200)
        for radius in (1, 2):
            axes.plot(radius * np.cos(turn), radius * np.sin(turn), color=MUTED, lw=1, ls="--", zorder=4)
    title = title or f"Codes of {len(images)} images of {images.name} ({images.split})"
    axes.set(xlabel=labels[0], ylabel=labels[1], title=title)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=2.2, handletextpad=0.1)
    low, high = spots.min(0), spots.max(0)
    runs = " and ".join(f"{n} from {a:.2g} to {b:.2g}" for n, a, b in zip(labels, low, high, strict=True))
    alt = f"{title} as a scatter plot, colored by class: {runs}. Each class's name stands near its median."
    return with_alt(figure, alt)


def _apart(places: np.ndarray, spots: np.ndarray, room=(0.17, 0.042), rounds: int = 200) -> np.ndarray:
    """Label positions (K, 2), pushed up and down until no two are closer than `room` (shares of the sides)."""
    low, size = spots.min(0), np.maximum(np.ptp(spots, 0), 1e-9)
    at = (places - low) / size
    for _ in range(rounds):
        for i, j in itertools.combinations(np.argsort(at[:, 1], kind="stable"), 2):  # i is the lower one
            gap = at[j] - at[i]
            if abs(gap[0]) < room[0] and abs(gap[1]) < room[1]:
                push = (room[1] - gap[1]) / 2 + 1e-4
                at[i, 1], at[j, 1] = at[i, 1] - push, at[j, 1] + push
    return low + at * size


def _plane(codes: Tensor) -> tuple[np.ndarray, tuple[str, str]]:
    """(N, Z) -> (N, 2) and names for the two axes: the codes themselves, or their first two principal components."""
    if codes.shape[1] == 1:
        raise reject("model", "latent_dim 1", "2 or more", "A histogram shows one dimension.")
    if codes.shape[1] == 2:
        return codes.numpy(), ("z[0]", "z[1]")
    centered = codes - codes.mean(0)
    _, s, v = torch.linalg.svd(centered, full_matrices=False)
    share = (s.square() / s.square().sum() * 100).tolist()
    names = tuple(f"principal component {i + 1} ({share[i]:.0f} % of the variance)" for i in range(2))
    return (centered @ v[:2].T).numpy(), names


@styled
def kl_per_dimension(
    models: Models, images: Tensor, *, threshold: float = ACTIVE_NATS, title: str = ""
) -> CourseFigure:
    """Mean KL of each latent dimension over the images, in nats, the largest first, with the dimensions above
    `threshold` in color. A dict of models gives panels side by side on one scale."""
    models = named(models)
    figure = new_figure(height=320)
    panels = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
    facts = []
    for axes, (name, model) in zip(panels, models.items(), strict=True):
        facts.append(_kl_bars(axes, model, images, threshold, name))
    panels[0].set_ylabel("mean KL (nats)")
    figure.suptitle(title or "What each latent dimension carries", x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"Bars of the mean KL per latent dimension, sorted. {' '.join(facts)}")


def _kl_bars(axes, model, images: Tensor, threshold: float, name: str) -> str:
    """Draw one model's bars; return the sentence that says what they show."""
    mean, logvar = ask.encoded(model, images)
    if logvar is None:
        raise reject("model", name or type(model).__name__, "a model with a posterior (a VAE)", "A point has no KL.")
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean(0)
    kl = kl.sort(descending=True).values.numpy()
    active = int((kl > threshold).sum())
    shades = [COLORS["blue"] if v > threshold else "#B8B8B8" for v in kl]
    axes.bar(range(1, len(kl) + 1), kl, color=shades, width=0.8)
    axes.axhline(threshold, color=COLORS["vermilion"], lw=1.1, ls="--")
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("latent dimension, sorted")
    words = f"{active} of {len(kl)} above {threshold:g} nats, {kl.sum():.1f} in all"
    axes.set_title(f"{name}\n{words}" if name else words, size=9, weight="normal")
    return f"{name + ': ' if name else ''}{words}, the largest {kl[0]:.2g}."


@styled
def prior_vs_aggregate(
    models: Models, images: Tensor, dims: int = 4, *, generator: torch.Generator | None = None, title: str = ""
) -> CourseFigure:
    """Histograms of the codes of many images against the prior's density N(0, 1), a row per model, for the `dims`
    dimensions that carry most. A VAE's codes are samples of q(z|x), so that their mixture is the aggregate
    posterior."""
    models, generator = named(models), generator or torch.Generator().manual_seed(0)
    shown = min(dims, *(m.latent_dim for m in models.values()))
    figure = new_figure(height=60 + 190 * len(models))
    grid, facts = figure.subplots(len(models), shown, squeeze=False), []
    for row, (name, model) in zip(grid, models.items(), strict=True):
        mean, logvar = ask.encoded(model, images)
        noise = torch.randn(mean.shape, generator=generator)
        z = mean if logvar is None else mean + noise * (logvar / 2).exp()
        leading = ask.leading_dims(model, images[:512], shown)[0]
        for axes, dim in zip(row, leading, strict=True):
            _against_prior(axes, z[:, dim].numpy(), f"z[{dim}]")
        row[0].set_ylabel(f"{name}\ndensity" if name else "density")
        stds = ", ".join(f"{z[:, d].std():.2g}" for d in leading)
        facts.append(f"{name + ': ' if name else ''}standard deviations {stds}")
    grid[0, 0].legend(loc="upper left", fontsize=7.5, handlelength=1.2)
    title = title or "Codes of many images, and the prior that samples come from"
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(
        figure, f"Histograms of codes against the standard normal density. {'; '.join(facts)} (the prior has 1)."
    )


def _against_prior(axes, values: np.ndarray, name: str) -> None:
    reach = max(3.5, np.abs(values).max())
    x = np.linspace(-reach, reach, 200)
    axes.hist(values, 50, density=True, color=COLORS["sky"], alpha=0.75, label="codes")
    axes.plot(x, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), color=COLORS["vermilion"], lw=1.6, label="N(0, 1)")
    axes.set_xlabel(name)
    axes.set_title(f"mean {values.mean():.2g}, std {values.std():.2g}", size=8.5, weight="normal")


@styled
def posterior_collapse(
    models: Models, images: Tensor, *, kl_images: Tensor | None = None, threshold: float = ACTIVE_NATS,
    title: str = "When the code is ignored",
) -> CourseFigure:  # fmt: skip
    """A row per model: up to six images above their reconstructions, and beside them the KL of each latent dimension.

    kl_images: those over which the KL is taken (default: all of `images`)."""
    models, images = named(models, "model"), batch(images)
    figure = new_figure(height=50 + 230 * len(models))
    grid, facts = figure.subplots(len(models), 2, squeeze=False, width_ratios=(1.25, 1)), []
    for (left, right), (name, model) in zip(grid, models.items(), strict=True):
        shown = images[:6].cpu()
        pairs = [[as_bytes(im) for im in batch_] for batch_ in (shown, ask.reconstructed(model, shown))]
        framed = [
            np.concatenate([np.pad(im, ((1, 1), (1, 1), (0, 0)), constant_values=255) for im in row], 1)
            for row in pairs
        ]
        left.imshow(np.concatenate(framed, 0), interpolation="nearest")
        left.set_axis_off()
        error = ask.squared_error(images, ask.reconstructed(model, images)).mean()
        left.set_title(f"{name}: images, reconstructions", size=9.5)
        facts.append(_kl_bars(right, model, images if kl_images is None else kl_images, threshold, ""))
        facts[-1] = f"{name}: {facts[-1]} Mean squared error {error:.3g}."
        right.set_ylabel("mean KL (nats)")
    top = max(axes.get_ylim()[1] for axes in grid[:, 1])
    for axes in grid[:, 1]:
        axes.set_ylim(0, top)
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"{title}: images, reconstructions and KL per latent dimension. {' '.join(facts)}")


@styled
def mutual_information(
    information, factor_names: Sequence[str], *, mig: float | None = None, unit: str = "nats", title: str = ""
) -> CourseFigure:
    """A heat map of how much each latent dimension (column) knows of each factor (row), with the numbers in the cells.

    information: (F, Z), as Disentanglement.information (nats); divide by its entropy for shares and say so in
    `unit`."""
    table = np.asarray(information, dtype=float)
    if table.ndim != 2 or len(table) != len(factor_names):
        raise reject("factor_names", f"{len(factor_names)} names", f"one per row of {table.shape}")
    figure = new_figure(height=110 + 40 * len(table))
    axes = figure.add_subplot()
    shades = axes.imshow(table, cmap="Blues", vmin=0, vmax=max(table.max(), 1e-9), aspect="auto")
    axes.grid(False)
    for (row, column), value in np.ndenumerate(table):
        ink = "white" if value > 0.6 * table.max() else INK
        if table.shape[1] <= 16:
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color=ink)
    axes.set_xticks(range(table.shape[1]), [f"z[{z}]" for z in range(table.shape[1])])
    axes.set_yticks(range(len(table)), list(factor_names))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    gap = "" if mig is None else f", MIG {mig:.2f}"
    axes.set_title(title or f"What each latent dimension knows of each factor ({unit}){gap}")
    figure.colorbar(shades, ax=axes, label=unit, pad=0.01).outline.set_visible(False)
    best = "; ".join(f"{f}: most in z[{r.argmax()}], {r.max():.2f}" for f, r in zip(factor_names, table, strict=True))
    return with_alt(
        figure, f"Heat map of the mutual information between factors and latent dimensions in {unit}{gap}. {best}."
    )
