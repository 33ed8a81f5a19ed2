"""Figures of walks through the latent space: its plane, one dimension at a time, from one code to another."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import reject
from ..methods.base import LatentModel
from . import models as ask
from .models import Models, batch, named
from .pixels import rows_figure
from .style import CourseFigure, styled


@styled
def decoded_grid(
    model: LatentModel, n: int = 12, extent: float | tuple[float, float, float, float] | None = None, *, title: str = ""
) -> CourseFigure:
    """A 2-D latent space as a grid of n x n decoded images, z[0] to the right, z[1] upward.

    extent: None for the prior's own grid, the inverse normal CDF at (i + 1/2) / n, so that each image stands for the
    same share of the prior; a number e for an even grid from -e to e; or (left, right, bottom, top)."""
    if model.latent_dim != 2:
        raise reject("model", f"latent_dim {model.latent_dim}", "2", "More dimensions: use traversal.")
    across, up = _axis_values(n, extent)
    z = torch.cartesian_prod(up.flip(0), across).flip(1)  # (n * n, 2): rows from the top down, each from left to right
    images = ask.decoded(model, z)
    title = title or "The plane of codes, decoded"
    spacing = "equal shares of the prior" if extent is None else "even steps"
    return rows_figure(
        list(images.split(n)), title=title, row_labels=[f"{v:.2g}" for v in up.flip(0).tolist()], gap=0,
        column_labels=[f"{v:.2g}" for v in across.tolist()], note=f"z[0] to the right, z[1] upward; {spacing}",
        alt=f"{title}: {n} by {n} images decoded from codes with z[0] from {across[0]:.2g} to {across[-1]:.2g} "
            f"and z[1] from {up[0]:.2g} to {up[-1]:.2g}.",
    )  # fmt: skip


def _axis_values(n: int, extent) -> tuple[Tensor, Tensor]:
    if extent is None:
        shares = (torch.arange(n) + 0.5) / n
        return (torch.special.ndtri(shares),) * 2
    left, right, bottom, top = extent if isinstance(extent, tuple) else (-extent, extent, -extent, extent)
    return torch.linspace(left, right, n), torch.linspace(bottom, top, n)


@styled
def interpolation_strip(
    models: Models, x0: Tensor, x1: Tensor, steps: int = 9, *, spherical: bool = False, pixels: bool = True,
    title: str = "From one image to another",
) -> CourseFigure:  # fmt: skip
    """Decoded codes on the way between two images' codes, a row per model; pixels: below, the mix of the images
    themselves.

    spherical: along the great circle instead of the straight line. x0, x1: (C, H, W) or (1, C, H, W)."""
    ends = [batch(x0).cpu(), batch(x1).cpu()]
    t, rows, labels = torch.linspace(0, 1, steps), [], []
    for name, model in named(models, "codes").items():
        (start, end), _ = ask.encoded(model, torch.cat(ends))
        between = ask.decoded(model, ask.path_between(start, end, t, spherical))
        rows.append([ends[0][0], *between, ends[1][0]])
        labels.append(name)
    if pixels:
        mix = (1 - t.view(-1, 1, 1, 1)) * ends[0] + t.view(-1, 1, 1, 1) * ends[1]
        rows.append([None, *mix, None])
        labels.append("pixels")
    alt = f"{title}: the first image, {steps} steps between its code and the second's, decoded, and the second image; "
    alt += (
        f"rows: {', '.join(labels)}. The pixel row shows two images fading through each other."
        if pixels
        else "one row."
    )
    columns = ["input", *(f"{v:.3g}" for v in t.tolist()), "input"]
    return rows_figure(rows, title=title, row_labels=labels, column_labels=columns, alt=alt)


@styled
def traversal(
    model: LatentModel, x: Tensor | None = None, dims: Sequence[int] | None = None, span: float = 3.0,
    steps: int = 9, *, base: int = 0, names: Sequence[str] = (), title: str = "",
) -> CourseFigure:  # fmt: skip
    """One latent dimension a row, the others held at the code of image x[base] (the origin without x).

    With a prior the dimension takes values from -span to span; an autoencoder's, which has none, moves by -span to
    span of its own standard deviations over x around the image's code, so x must hold two or more images.
    dims: default the six that carry most, measured on x. names: of the rows, in place of z[i]."""
    x = None if x is None else batch(x)
    leading, _, _ = ask.leading_dims(model, x, 6)
    dims = leading if dims is None else list(dims)
    if not dims or not all(0 <= d < model.latent_dim for d in dims):
        raise reject("dims", dims, f"one or more of 0 to {model.latent_dim - 1}")
    values, rows = torch.linspace(-span, span, steps), []
    codes, logvar = (torch.zeros(1, model.latent_dim), torch.zeros(1)) if x is None else ask.encoded(model, x)
    if logvar is None and len(codes) < 2:
        raise reject("x", "one image", "two or more", "An autoencoder's codes have no scale of their own.")
    for dim in dims:
        z = codes[base].repeat(steps, 1)  # (steps, Z)
        z[:, dim] = values if logvar is not None else z[:, dim] + values * codes[:, dim].std()
        rows.append(ask.decoded(model, z))
    unit = "value of the dimension" if logvar is not None else "standard deviations away from the image's own value"
    title = title or "Traversals: one dimension at a time"
    labels = list(names) or [f"z[{d}]" for d in dims]
    return rows_figure(
        rows, title=title, row_labels=labels, column_labels=[f"{v:+.3g}" if v else "0" for v in values.tolist()],
        note=f"Columns: {unit}.", alt=f"{title}: a row of {steps} decoded images for each of {', '.join(labels)}, "
        f"from {-span:g} to {span:g} ({unit}), all else held.",
    )  # fmt: skip
