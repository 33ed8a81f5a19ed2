"""Figures of chapter 04 on losses and images: what each loss pushes, distances over a run, a critic's scores, latent grids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.ticker import LogFormatter
from torch import Tensor

from ..errors import reject
from ..methods.base import LatentModel
from ..methods.gan_losses import LOSSES
from . import models as ask
from .pixels import rows_figure
from .style import COLORS, INK, MUTED, CourseFigure, colors, new_figure, styled, with_alt

LOSS_COLORS = dict(zip(LOSSES, colors(len(LOSSES)), strict=True))
LOSS_DASHES = dict(zip(LOSSES, ("-", (0, (5, 1.5)), "-", "-", (0, (1.5, 1.5))), strict=True))


def _pushes(function, logits: Tensor) -> np.ndarray:
    """-d loss / d logit, at each logit by itself: how hard, and which way, a step of descent pushes it."""
    d = logits.clone().requires_grad_()
    return -torch.autograd.grad(torch.stack([function(one) for one in d.split(1)]).sum(), d)[0].numpy()


@styled
def logit_gradients(*, reach: float = 6.0, title: str = "How hard each loss pushes a logit") -> CourseFigure:
    """-d loss / d logit: of a fake by the generator, and of a real image and a fake by the critic; a line per loss."""
    d = torch.linspace(-reach, reach, 241)
    far, roles = torch.zeros(1), {
        "generator, on a fake": lambda game, x: game.generator(x),
        "critic, on a real": lambda game, x: game.critic(x, far) - game.critic(far.detach(), far),
        "critic, on a fake": lambda game, x: game.critic(far, x),
    }  # fmt: skip
    figure = new_figure(height=330)
    panels, facts = figure.subplots(1, 3), []
    for axes, (role, function) in zip(panels, roles.items(), strict=True):
        axes.axhline(0, color=MUTED, lw=1)
        for name, game in LOSSES.items():
            push = _pushes(lambda x, game=game, function=function: function(game, x), d)
            axes.plot(d.numpy(), push, color=LOSS_COLORS[name], ls=LOSS_DASHES[name], label=name)
            facts.append(f"{role}, {name}: {push[0]:.2g} at -{reach:g}, {push[-1]:.2g} at {reach:g}")
        axes.set(title=role, xlabel="logit", ylim=(-2.2, 2.2))
    panels[0].set_ylabel("push: up > 0, down < 0")
    panels[0].legend(loc="lower left", fontsize=8)
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"{title}: minus the derivative of each loss by a logit. {'; '.join(facts)}.")


@styled
def gradient_sizes(steps: Sequence[int], sizes: Mapping[str, Sequence[float]], *, title: str = "") -> CourseFigure:
    """The length of the generator's gradient over the steps that the critic alone has trained; a line per loss, log axis."""
    if not sizes:
        raise reject("sizes", "none", "one or more losses, each with a length per step")
    figure = new_figure(height=300)
    axes = figure.add_subplot()
    for name, values in sizes.items():
        axes.plot(steps, values, color=LOSS_COLORS[name], ls=LOSS_DASHES[name], marker="o", ms=3, label=name)
    axes.set(xlabel="steps of the critic alone", ylabel="length of the generator's gradient", yscale="log", title=title)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    listed = "; ".join(f"{name} from {values[0]:.2g} to {values[-1]:.2g}" for name, values in sizes.items())
    return with_alt(figure, f"Length of the generator's gradient while the critic alone trains. {listed}.")


@styled
def distance_curves(
    runs: Mapping[str, Sequence[Mapping[str, np.ndarray]]], term: str = "fd_fashion", *, title: str = ""
) -> CourseFigure:
    """A distance of samples over the generator's steps, log axis, a panel per loss and a line per seed; each run's best marked.

    runs: for each loss the curves of its runs, seed 0 first."""
    if not runs or any(term not in curves for those in runs.values() for curves in those):
        raise reject("term", term, sorted(set().union(*(c for those in runs.values() for c in those))))
    figure = new_figure(height=300)
    panels, facts = figure.subplots(1, len(runs), sharex=True, sharey=True, squeeze=False)[0], []
    for axes, (loss, those) in zip(panels, runs.items(), strict=True):
        for seed, (curves, dashes) in enumerate(zip(those, ("-", "--", ":"), strict=False)):
            kept = np.isfinite(curves[term])
            steps, values = curves["step"][kept], curves[term][kept]
            best = int(values.argmin())
            look = {"color": LOSS_COLORS.get(loss, INK), "ls": dashes, "lw": 1.4, "marker": "o", "ms": 2.5}
            axes.plot(steps, values, label=f"seed {seed}", **look)
            axes.plot(steps[best], values[best], "*", color=INK, ms=9)
            facts.append(f"{loss} seed {seed}: best {values[best]:.3g} at step {steps[best]:.0f}, last {values[-1]:.3g}")
        axes.set(xlabel="step", yscale="log")
        axes.set_title(loss, size=9.5)
        axes.yaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False))
        axes.yaxis.set_major_formatter(LogFormatter())
    panels[0].set_ylabel(f"{term}, lower is better")
    panels[-1].legend(loc="upper right", fontsize=8)
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"{term} over the steps, the best of each run with a star. {'; '.join(facts)}.")


@styled
def critic_scores(runs: Mapping[str, Mapping[str, np.ndarray]], *, title: str = "") -> CourseFigure:
    """The critic's mean logit on training images, on held-out real ones, and on fakes, over the steps; a panel per run.

    runs: curves by name, with real, val_real and val_fake."""
    if not runs:
        raise reject("runs", "none", "one or more curves by name")
    figure = new_figure(height=290)
    panels, facts = figure.subplots(1, len(runs), squeeze=False)[0], []
    looks = {"real": (COLORS["blue"], "-", "training images"), "val_real": (COLORS["sky"], "--", "held-out images"),
             "val_fake": (COLORS["orange"], "-", "fakes")}  # fmt: skip
    for axes, (name, curves) in zip(panels, runs.items(), strict=True):
        for term, (color, dashes, label) in looks.items():
            kept = np.isfinite(curves[term])
            axes.plot(curves["step"][kept], curves[term][kept], color=color, ls=dashes, label=label)
        last = {term: curves[term][np.isfinite(curves[term])][-1] for term in looks}
        facts.append(f"{name}: training {last['real']:.2g}, held-out {last['val_real']:.2g}, fakes {last['val_fake']:.2g}")
        axes.set_title(name, size=9.5)
        axes.set_xlabel("step")
    panels[0].set_ylabel("mean logit")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"The critic's mean logits over the steps. At the end, {'; '.join(facts)}.")


@styled
def latent_grid(
    model: LatentModel, extent: float, n: int = 10, *, dims: tuple[int, int] = (0, 1), base: Tensor | None = None,
    title: str = "",
) -> CourseFigure:  # fmt: skip
    """n x n images over two latent dimensions, each evenly from -extent to extent; all others held at base (Z,).

    The first dimension grows to the right, the second upward. base: default a draw from the prior, seed 0."""
    if len(set(dims)) != 2 or not all(0 <= d < model.latent_dim for d in dims):
        raise reject("dims", dims, f"two of 0 to {model.latent_dim - 1}")
    values = torch.linspace(-extent, extent, n)
    base = torch.randn(model.latent_dim, generator=torch.Generator().manual_seed(0)) if base is None else base
    z = base.repeat(n * n, 1)  # (n * n, Z)
    z[:, dims[1]], z[:, dims[0]] = torch.cartesian_prod(values.flip(0), values).T  # rows from the top down
    images = ask.decoded(model, z)
    title = title or f"z[{dims[0]}] and z[{dims[1]}] from {-extent:g} to {extent:g}"
    return rows_figure(
        list(images.split(n)), title=title, gap=1, row_labels=[f"{v:.2g}" for v in values.flip(0).tolist()],
        column_labels=[f"{v:.2g}" for v in values.tolist()],
        note=f"z[{dims[0]}] to the right, z[{dims[1]}] upward; the other {model.latent_dim - 2} numbers are held.",
        alt=f"{title}: {n} by {n} images decoded from codes that differ in these two numbers alone.",
    )  # fmt: skip


__all__ = ["critic_scores", "distance_curves", "gradient_sizes", "latent_grid", "logit_gradients"]
