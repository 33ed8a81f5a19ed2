"""Health of introspective runs (chapters 07 and 08): the soft threshold, a run's signs, batch norm's two sets of statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from ..errors import reject
from .curves import array
from .style import COLORS, INK, MUTED, CourseFigure, colors, new_figure, styled, with_alt

Curves = Mapping[str, np.ndarray]
# Of each term: its color, its line, and its name in a legend. Real data, reconstructions and samples look alike everywhere.
KLS = {
    "kl_real": (COLORS["blue"], "-", "real"),
    "kl_rec": (COLORS["green"], "--", "reconstructions"),
    "kl_fake": (COLORS["orange"], "-", "samples"),
}
PASSED = {"exp_elbo_rec": KLS["kl_rec"], "exp_elbo_fake": KLS["kl_fake"]}
HINGE = {"hinge": (COLORS["purple"], "-", "both hinges")}


@styled
def soft_threshold(
    betas: Sequence[float], scale: float, *, alpha: float = 2.0, beta_kl: float = 1.0, reach: float = 30.0,
    marks: Mapping[str, float] | None = None, title: str = "Who passes as real",
) -> CourseFigure:  # fmt: skip
    """Left expELBO of an image without error over its KL, a line per beta_neg; right how hard the encoder pushes such an image.

    The push is minus the derivative of expELBO / alpha by the KL; the dashed line is how hard a real image's KL is pulled down.
    marks: KLs to mark, by name, in nats."""
    if not betas or scale <= 0:
        raise reject("betas, scale", (tuple(betas), scale), "one or more betas, and a scale above 0")
    kl, facts = np.linspace(0, reach, 301), []
    figure = new_figure(height=310)
    left, right = figure.subplots(1, 2)
    for beta, color in zip(betas, colors(len(betas)), strict=True):
        passed = np.exp(-alpha * scale * beta * kl)
        left.plot(kl, passed, color=color, label=f"β_neg = {beta:g}")
        right.plot(kl, scale * beta * passed, color=color)
        facts.append(f"beta_neg {beta:g}: {passed[kl.searchsorted(1)]:.2g} at 1 nat, {passed[kl.searchsorted(10)]:.2g} at 10")
    right.axhline(scale * beta_kl, color=INK, ls="--", lw=1.2)
    pull = {"xytext": (-2, 3), "textcoords": "offset points", "size": 8, "ha": "right"}
    right.annotate("pull on a real image's KL", (reach, scale * beta_kl), **pull)
    for name, value in (marks or {}).items():
        for axes in (left, right):
            axes.axvline(value, color=MUTED, ls=":", lw=1.2)
        left.annotate(name, (value, 0.92), xytext=(3, 0), textcoords="offset points", size=8, color=MUTED, va="top")
        facts.append(f"{name} at {value:.3g} nats")
    left.set(xlabel="KL of the decoder's image (nats)", ylabel="expELBO", ylim=(0, 1.05), title=title)
    right.set(xlabel="KL of the decoder's image (nats)", ylabel="loss per nat", yscale="log", title="How hard the encoder pushes")
    right.set_ylim(1e-6, 2 * scale * max(betas))
    left.legend(loc="center right", bbox_to_anchor=(1.0, 0.55))
    return with_alt(figure, f"expELBO falls with the KL, the faster the larger beta_neg. {'; '.join(facts)}.")


def _drawn(axes, run: Curves, terms: Mapping, log: bool) -> list[str]:
    """Draw those of the terms that a run has; say where each begins and ends."""
    facts = []
    for term, (color, dashes, label) in terms.items():
        if term in run:
            steps, values = array(run["step"]), array(run[term])
            kept = np.isfinite(values) & (~np.array(log) | (values > 0))
            axes.plot(steps[kept], values[kept], dashes, color=color, lw=1.5, label=label)
            ends = values[np.isfinite(values)]
            facts.append(f"{term} from {ends[0]:.3g} to {ends[-1]:.3g}")
    return facts


def _plain(axis) -> None:
    """A logarithmic axis in plain numbers, the more of each decade the fewer decades it shows."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7) if high < 20 * low else (1, 2, 5) if high < 500 * low else (1,)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


@styled
def health_signs(run: Curves, *, score: str = "", title: str = "Health signs") -> CourseFigure:
    """A run of an introspective model over its steps: the three KLs; expELBO, or the hinges; and a score, if one is named.

    run: its curves, as `checkpoints.curves` gives them. score: a column, such as fd_fashion, on a log axis, lower is better."""
    if "kl_real" not in run or (score and score not in run):
        raise reject("run", sorted(run), f"curves with kl_real{f' and {score}' if score else ''}", "Give an introspective run.")
    figure = new_figure(height=300)
    panels = figure.subplots(1, 3 if score else 2)
    facts = _drawn(panels[0], run, KLS, log=False)
    panels[0].set(xlabel="step", title="KL (nats)", ylim=(0, None))
    soft = "exp_elbo_fake" in run
    facts += _drawn(panels[1], run, PASSED if soft else HINGE, log=soft)
    if soft:
        panels[1].set(yscale="log", title="expELBO")
    else:
        panels[1].set(ylim=(0, None), title="sum of both hinges (nats)")
    panels[1].set_xlabel("step")
    if score:
        kept = np.isfinite(run[score])
        steps, values = run["step"][kept], run[score][kept]
        panels[2].plot(steps, values, "-o", ms=3.5, color=INK)
        panels[2].set(xlabel="step", yscale="log", title=score)
        _plain(panels[2].yaxis)
        facts.append(f"{score} from {values[0]:.3g} to {values[-1]:.3g}, lowest {values.min():.3g}")
    for axes in panels:
        axes.xaxis.set_major_locator(MaxNLocator(3))  # more labels of five digits run into each other
    panels[0].legend(fontsize=8)
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"{title}: terms over the steps. {'; '.join(facts)}.")


@styled
def clinic(runs: Mapping[str, Curves], *, skip: int = 0, title: str = "") -> CourseFigure:
    """Introspective runs side by side on the same axes, a column per run: above the KLs, below expELBO, both logarithmic.

    runs: curves by name. skip: steps at the start left out. A run without an expELBO (IntroVAE, VAE) has no lower panel."""
    if not runs or any("kl_real" not in run for run in runs.values()):
        raise reject("runs", list(runs) or "none", "one or more runs of IntroVAE or Soft-IntroVAE, by name")
    figure = new_figure(height=400)
    panels, facts = figure.subplots(2, len(runs), sharex="col", sharey="row", squeeze=False), []
    for (above, below), (name, run) in zip(panels.T, runs.items(), strict=True):
        kept = array(run["step"]) >= skip
        run = {term: array(values)[kept] for term, values in run.items()}
        facts.append(f"{name}: {', '.join(_drawn(above, run, KLS, log=True) + _drawn(below, run, PASSED, log=True))}")
        above.set(yscale="log")
        above.set_title(name, size=9.5)
        below.set(xlabel="step", yscale="log")
        if "exp_elbo_fake" not in run:
            below.set_visible(False)
            above.set_xlabel("step")
            above.tick_params(labelbottom=True)
    _plain(panels[0, 0].yaxis)
    panels[0, 0].set_ylabel("KL (nats, log)")
    if shown := [axes for axes in panels[1] if axes.get_visible()]:
        shown[0].set_ylabel("expELBO (log)")
        shown[0].tick_params(labelleft=True)
        # It is at most 1; below 1e-8 it is 0 for the encoder.
        shown[0].set_ylim(max(1e-8, shown[0].get_ylim()[0]), 2)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    if title:
        figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"{title or 'Runs side by side'}: KLs and expELBO over the steps. {'; '.join(facts)}.")


@styled
def statistics_apart(networks: Mapping[str, tuple], *, title: str = "") -> CourseFigure:
    """Batch norm's running statistics against those measured again, a dot per channel, a panel per network; equal on the line.

    networks: {name: (running standard deviations (C,), measured ones (C,))} of all channels of its layers."""
    if not networks:
        raise reject("networks", "none", "one or more, each with two sets of standard deviations")
    figure = new_figure(640, 320)
    facts = []
    for axes, (name, pair) in zip(figure.subplots(1, len(networks), squeeze=False)[0], networks.items(), strict=True):
        running, measured = (array(values) for values in pair)
        ends = [min(running.min(), measured.min()), max(running.max(), measured.max())]
        axes.plot(ends, ends, "--", color=MUTED, lw=1.2)
        axes.plot(measured, running, ".", color=COLORS["blue"], ms=5, alpha=0.5)
        off = np.median(np.abs(np.log(running / measured)))
        axes.set(xscale="log", yscale="log", xlabel="measured again", title=name)
        _plain(axes.xaxis)
        _plain(axes.yaxis)
        facts.append(f"{name}: {len(running)} channels, the typical one off by a factor of {np.exp(off):.2f}")
    figure.axes[0].set_ylabel("running average")
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"Standard deviations of channels, running against measured again. {'; '.join(facts)}.")


__all__ = ["clinic", "health_signs", "soft_threshold", "statistics_apart"]
