"""Figures of numbers: training curves, rate and distortion, bounds, histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from torch import Tensor

from ..errors import reject
from .style import COLORS, INK, MUTED, CourseFigure, colors, new_figure, styled, with_alt

TERMS = {
    "loss": "loss per image",
    "sse": "squared error per image",
    "rec": "reconstruction term (nats per image)",
    "kl": "KL (nats per image)",
    "elbo": "ELBO (nats per image)",
    "beta": "beta, the weight of the KL",
    "images_per_second": "images per second",
}


def array(values) -> np.ndarray:
    """A tensor, an array or a list as a float array."""
    return np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values, dtype=float)


def _finite(x, y) -> tuple[np.ndarray, np.ndarray]:
    x, y = array(x), array(y)
    kept = np.isfinite(x) & np.isfinite(y)
    return x[kept], y[kept]


@styled
def training_curves(
    curves: Mapping[str, Mapping[str, np.ndarray]],
    term: str = "loss",
    *,
    log: bool = False,
    skip: int = 0,
    title: str = "",
) -> CourseFigure:
    """One term over the steps, a color per run: faint while training, strong with dots on held-out images (val_<term>).

    curves: as checkpoints.curves gives them, by name. log: logarithmic axis. skip: steps at the start left out, so that
    the first, huge values do not flatten the rest."""
    known = sorted({c.removeprefix("val_") for run in curves.values() for c in run if c != "step"})
    if not curves or term not in known:
        raise reject("term", term, known, "Give the curves of at least one run that recorded it.")
    figure = new_figure(height=330)
    axes, ends = figure.add_subplot(), []
    for (name, run), color in zip(curves.items(), colors(len(curves)), strict=True):
        drawn = {}
        for column, style in ((term, {"lw": 1.2, "alpha": 0.45}), (f"val_{term}", {"marker": "o", "ms": 3.5})):
            if column in run:
                steps, values = _finite(run["step"], run[column])
                drawn[column] = steps[steps >= skip], values[steps >= skip]
                alone = style if column != term or f"val_{term}" in run else {}
                axes.plot(*drawn[column], color=color, label=name if column == list(drawn)[-1] else None, **alone)
        _, last = list(drawn.values())[-1]
        ends.append(f"{name} {last[-1]:.4g}" if len(last) else name)
        _one_label(axes, name)
    label = TERMS.get(term, term)
    axes.set(xlabel="step", ylabel=label, title=title or label[0].upper() + label[1:])
    if log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.legend()
    held = any(f"val_{term}" in run for run in curves.values())
    how = " Faint lines: training batches; lines with dots: held-out images." if held else ""
    return with_alt(figure, f"Curves of {label} over the training steps. Last values: {'; '.join(ends)}.{how}")


def _one_label(axes, name: str) -> None:
    """Keep the label on the last line of a run alone, so that the legend lists each run once."""
    for line in [line for line in axes.lines if line.get_label() == name][:-1]:
        line.set_label(None)


@styled
def rate_distortion(points: Sequence[Mapping], *, title: str = "What each beta buys") -> CourseFigure:
    """The squared error against the KL, a point per model, each with its label; the sweep over beta joined by a line.

    points: dicts with kl (nats per image), sse (squared error per image), beta, and optional name (default "beta =
    ...") and schedule: points whose schedule is other than "constant" are drawn as diamonds, outside the line."""
    if not points:
        raise reject("points", "none", "one or more dicts with kl, sse and beta")
    figure = new_figure(height=400)
    axes = figure.add_subplot()
    sweep = sorted((p for p in points if p.get("schedule", "constant") == "constant"), key=lambda p: p["beta"])
    others = [p for p in points if p not in sweep]
    axes.plot([p["kl"] for p in sweep], [p["sse"] for p in sweep], "-o", color=COLORS["blue"], label="constant beta")
    if others:
        spots = [p["kl"] for p in others], [p["sse"] for p in others]
        axes.plot(*spots, "D", color=COLORS["vermilion"], ms=7, label="beta follows a schedule")
        axes.legend()
    for point in (*sweep, *others):
        words = point.get("name") or f"β = {point['beta']:g}"
        right = point in sweep
        place = (
            {"xytext": (8, 5), "ha": "left", "va": "bottom"}
            if right
            else {"xytext": (-8, -6), "ha": "right", "va": "top"}
        )
        axes.annotate(words, (point["kl"], point["sse"]), textcoords="offset points", fontsize=8.5, color=INK, **place)
    axes.margins(x=0.14, y=0.1)
    axes.set(xlabel="rate: KL (nats per image)", ylabel="distortion: squared error per image", title=title)
    facts = ((p.get("name") or f"beta {p['beta']:g}", p["kl"], p["sse"]) for p in (*sweep, *others))
    listed = "; ".join(f"{name}: KL {kl:.3g}, squared error {sse:.3g}" for name, kl, sse in facts)
    return with_alt(figure, f"Squared error against KL, one point per model. {listed}.")


@styled
def iwae_bound(
    ks: Sequence[int], bounds: Mapping[str, Sequence[float]] | Sequence[float], spread=None, *,
    exact: float | None = None, label: str = "bound on log p(x) (nats per image)",
    title: str = "More samples, a tighter bound",
) -> CourseFigure:  # fmt: skip
    """Bounds on log p(x) over the number K of samples (log axis). bounds: nats per image, one a K, or a dict of such
    by name.

    spread: of the same form, half the height of a band (say a standard error). exact: log p(x) itself, where it is
    known."""
    many = isinstance(bounds, Mapping)
    bounds, spread = (bounds, spread or {}) if many else ({"": bounds}, {} if spread is None else {"": spread})
    figure = new_figure(height=330)
    axes = figure.add_subplot()
    for (name, values), color in zip(bounds.items(), colors(len(bounds)), strict=True):
        values = array(values)
        axes.plot(ks, values, "-o", ms=4, color=color, label=name or None)
        if name in spread:
            half = array(spread[name])
            axes.fill_between(ks, values - half, values + half, color=color, alpha=0.18, lw=0)
    if exact is not None:
        axes.axhline(exact, color=MUTED, ls="--", lw=1.2, label="exact log p(x)")
    axes.set_xscale("log")
    axes.set_xticks(list(ks), [str(k) for k in ks])
    axes.minorticks_off()
    axes.set(xlabel="K, samples from q(z|x) per image", ylabel=label, title=title)
    if many or exact is not None:
        axes.legend(loc="lower right")
    listed = "; ".join(f"{n + ' ' if n else ''}{array(v)[0]:.5g} at K = {ks[0]}, {array(v)[-1]:.5g} at K = {ks[-1]}"
                       for n, v in bounds.items())  # fmt: skip
    known = "" if exact is None else f" The exact value is {exact:.5g}."
    return with_alt(figure, f"Importance-weighted {label} over K. {listed}.{known}")


@styled
def elbo_decomposition(
    parts: Mapping[str, Mapping[str, float]], *, title: str = "What the negative ELBO is made of"
) -> CourseFigure:
    """One bar per model: the reconstruction term `rec` and the `kl`, in nats per image, with their sum at the end."""
    if not parts:
        raise reject("parts", "none", "{name: {'rec': nats, 'kl': nats}}")
    figure = new_figure(height=110 + 44 * len(parts))
    axes, rows = figure.add_subplot(), np.arange(len(parts))
    rec, kl = (np.array([float(p[key]) for p in parts.values()]) for key in ("rec", "kl"))
    axes.barh(rows, rec, color=COLORS["sky"], height=0.6, label="reconstruction")
    axes.barh(rows, kl, left=rec, color=COLORS["orange"], height=0.6, label="KL")
    longest = (rec + kl).max()
    for row, (r, k) in enumerate(zip(rec, kl, strict=True)):
        for x, value in ((r / 2, r), (r + k / 2, k)):
            if value > 0.05 * longest:
                axes.text(x, row, f"{value:.1f}", ha="center", va="center", fontsize=8.5)
        axes.text(r + k + 0.01 * longest, row, f"{r + k:.1f}", va="center", fontsize=9, weight="bold")
    axes.set_yticks(rows, list(parts))
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.09)
    axes.set(xlabel="nats per image, smaller is better", title=title)
    axes.legend(loc="lower left", bbox_to_anchor=(0.45, 1.0), ncols=2, borderaxespad=0.3)
    listed = "; ".join(f"{n}: {r:.1f} + {k:.1f} = {r + k:.1f}" for n, r, k in zip(parts, rec, kl, strict=True))
    return with_alt(figure, f"Bars of reconstruction term plus KL, in nats per image. {listed}.")


@styled
def histogram(
    values: Mapping[str, Tensor], label: str, *, bins: int = 40, density: bool = False, title: str = ""
) -> CourseFigure:
    """Histograms of named values on common bins, one color each, the means marked. label: of the axis, with its
    unit."""
    data = {name: array(v).ravel() for name, v in values.items()}
    if not data or not all(len(v) and np.isfinite(v).all() for v in data.values()):
        raise reject("values", list(data) or "none", "one or more names with finite numbers")
    edges = np.histogram_bin_edges(np.concatenate(list(data.values())), bins)
    figure = new_figure(height=300)
    axes = figure.add_subplot()
    for (name, v), color in zip(data.items(), colors(len(data)), strict=True):
        axes.hist(v, edges, density=density, histtype="stepfilled", color=color, alpha=0.28)
        axes.hist(
            v, edges, density=density, histtype="step", color=color, lw=1.5, label=f"{name} (mean {v.mean():.4g})"
        )
        axes.axvline(v.mean(), color=color, lw=1.2, ls="--")
    axes.set(xlabel=label, ylabel="density" if density else "count", title=title or label[0].upper() + label[1:])
    axes.legend()
    listed = "; ".join(f"{n}: mean {v.mean():.4g}, from {v.min():.4g} to {v.max():.4g}" for n, v in data.items())
    return with_alt(figure, f"Histograms of {label}. {listed}.")
