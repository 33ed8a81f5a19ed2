"""Figures of chapter 09's runs: every regularizer on one axis, and how the encoder learns its training images by heart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..ablation import between_seeds, label, spread
from ..errors import reject
from .curves import array
from .style import COLORS, FAINT, INK, MUTED, CourseFigure, new_figure, styled, with_alt

HELD_OUT, TRAIN = COLORS["blue"], COLORS["orange"]
REAL, FAKE = COLORS["blue"], COLORS["orange"]
CURVES = {
    "training": ("kl_real", "kl_fake", "training", {"lw": 1.5}),
    "held-out": ("val_kl", "val_kl_fake", "eval mode", {"marker": "o", "ms": 4, "lw": 0.8, "ls": ":"}),
}
# Of each measure: the title of its panel, and what it is for a model without memory.
MEASURES = {
    "sse_held_out": ("squared error of an image\n(lower is better)", None),
    "fd_cifar_held_out": ("fd_cifar of samples\n(lower is better)", None),
    "kd_cifar_held_out": ("kd_cifar of samples\n(lower is better)", None),
    "nearer_cifar": ("samples nearer to\ntraining images", 0.5),
    "nearer_relative_cifar": ("samples nearer to\ntraining images, relatively", 0.5),
    "nearer_pixels": ("samples nearer to training\nimages in pixels", 0.5),
    "nearer_relative_pixels": ("samples nearer to training\nimages in pixels, relatively", 0.5),
    "copies_cifar": ("share of samples\nthat are copies", 0.05),
    "copies_relative_cifar": ("share of samples that\nare copies, relatively", 0.05),
    "gap_held_out": ("encoder's gap of held-out\nimages and samples", None),
    "gap_unseen": ("encoder's gap of training\nand held-out images", 0.0),
}


@styled
def ablation(
    record: Mapping, measures: Sequence[str] = ("fd_cifar_held_out", "nearer_relative_cifar"), *,
    title: str = "Every regularizer on one axis",
) -> CourseFigure:  # fmt: skip
    """A line for each regularizer, a panel for each measure, a dot for each training seed, with the spread over draws of samples.

    record: as `course_utils.ablation.read` gives it. A measure that is there of training images as well has hollow dots for
    these. The band reaches from the mean without a regularizer as far as any two seeds of one setting are apart: within it a
    difference may be the seed's. measures: one to three of `MEASURES`."""
    unknown = [name for name in measures if name not in MEASURES]
    if unknown or not 1 <= len(measures) <= 3:
        raise reject("measures", unknown or tuple(measures), MEASURES, "One to three of these.")
    if not record["runs"]:
        raise reject("record", "one without runs", "one or more runs", "course ablation --runs FOLDER measures them.")
    lines: dict[str, list[Mapping]] = {}
    for row in record["runs"]:
        lines.setdefault(label(row["recipe"]), []).append(row["values"])
    figure, facts = new_figure(height=170 + 30 * len(lines)), []
    pairs = between_seeds(record).values()
    panels = figure.subplots(1, len(measures), sharey=True, squeeze=False)[0]
    for axes, measure in zip(panels, measures, strict=True):
        apart = max((pair[measure] for pair in pairs), default=0.0)
        found = _panel(axes, lines, measure, record["data"]["real"], apart)
        facts.append(f"{MEASURES[measure][0]}: {'; '.join(found)}")
    panels[0].set_yticks(range(len(lines)), list(lines), size=9, color=INK)
    panels[0].set_ylim(len(lines) - 0.5, -0.5)
    shown = {text: mark for axes in panels for mark, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=3, fontsize=8.5)
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"{title}, a dot for each training seed. {'. '.join(facts)}.")


def _panel(axes, lines: Mapping[str, Sequence[Mapping]], measure: str, real: Mapping[str, float], apart: float) -> list[str]:
    """One measure of all regularizers; says the value of each run. apart: how far two seeds of one setting are apart."""
    of_train, facts = measure.replace("_held_out", "_train"), []
    kinds = [(measure, INK, INK)]
    if _legend(measure):
        kinds = [(measure, HELD_OUT, HELD_OUT), (of_train, TRAIN, "white")]
    for place, (name, runs) in enumerate(lines.items()):
        offsets = np.linspace(-0.16, 0.16, len(runs)) if len(runs) > 1 else [0.0]
        for key, edge, inside in kinds:
            means, spreads = zip(*(spread(values[key]) for values in runs), strict=True)
            axes.errorbar(means, place + np.array(offsets), xerr=spreads, fmt="o", ms=6, mec=edge, mfc=inside, mew=1.4,
                          ecolor=edge, elinewidth=1.4, zorder=3, label=None if place else _legend(key))  # fmt: skip
            facts += [f"{name} {' and '.join(f'{mean:.3g}' for mean in means)}"] if key == measure else []
    base = np.mean([spread(values[measure])[0] for values in next(iter(lines.values()))])
    if apart:
        words = f"two seeds' difference, around {next(iter(lines))!r}"
        axes.axvspan(base - apart, base + apart, color=FAINT, lw=0, zorder=0, label=words)
    title, without_memory = MEASURES[measure]
    references = [(real.get(key), edge, f"real {_legend(key)}") for key, edge, _ in kinds]
    for value, color, words in [*references, (without_memory, INK, "without memory")]:
        if value is not None:
            axes.axvline(value, color=color, ls="--", lw=1.2, zorder=1, label=words)
            facts.append(f"{words} {value:.3g}")
    axes.set_title(title, size=8.5)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    return facts


def _legend(key: str) -> str | None:
    """What the dots of a measure are compared with, where there are two kinds."""
    ends = {"_held_out": "held-out images", "_train": "training images"}
    return next((words for end, words in ends.items() if key.endswith(end) and not key.startswith("gap")), None)


@styled
def gap_over_time(runs: Mapping[str, Mapping[str, np.ndarray]], *, skip: int = 0, title: str = "") -> CourseFigure:
    """An encoder's KLs over the steps, a column for each run: above of real images and samples, below the gap of the two.

    runs: curves by name, one to four, as `checkpoints.curves` gives them. Lines: batches of training, in train mode, augmented
    where the run augments. Dots: held-out images and samples in eval mode, by the averaged weights where a run averages. The
    gap is (KL of samples - KL of real) / (their sum). skip: steps at the start left out."""
    lacking = [name for name, run in runs.items() if not {"kl_real", "kl_fake", "val_kl", "val_kl_fake"} <= set(run)]
    if not 1 <= len(runs) <= 4 or lacking:
        remedy = "Their curves have kl_real and kl_fake, and of held-out images val_kl and val_kl_fake."
        raise reject("runs", lacking or list(runs) or "none", "one to four runs of an introspective method, by name", remedy)
    figure, facts = new_figure(height=400), []
    panels = figure.subplots(2, len(runs), sharex="col", sharey="row", squeeze=False, height_ratios=(3, 2))
    for (above, below), (name, run) in zip(panels.T, runs.items(), strict=True):
        run = {term: array(values)[array(run["step"]) >= skip] for term, values in run.items()}
        ends = {}
        for words, (real, fake, mode, style) in CURVES.items():
            kept = np.isfinite(run[real]) & np.isfinite(run[fake])
            steps, x, y = (run[term][kept] for term in ("step", real, fake))
            gap = (y - x) / (y + x)
            above.plot(steps, x, color=REAL, label=f"real images, {words}", **style)
            above.plot(steps, y, color=FAKE, label=f"samples, {mode}", **style)
            below.plot(steps, gap, color=INK, label=f"gap, {words}", **style)
            if len(gap):
                ends[words] = f"{words} real {x[-1]:.3g}, samples {y[-1]:.3g}, gap {gap[-1]:.2g}"
        above.set_title(name, size=9.5)
        below.set_xlabel("step")
        below.axhline(0, color=MUTED, lw=0.8)
        facts.append(f"{name} at the end: {'; '.join(ends.values())}")
    panels[0, 0].set(ylabel="KL (nats)", ylim=(0, None))
    panels[1, 0].set_ylabel("gap")
    handles = [axes.get_legend_handles_labels() for axes in (panels[0, 0], panels[1, 0])]
    figure.legend(handles[0][0] + handles[1][0], handles[0][1] + handles[1][1], loc="outside lower center", ncols=3, fontsize=8.5)
    figure.suptitle(title, x=0.01, ha="left", size=10.5, weight="bold")
    return with_alt(figure, f"{title or 'Runs side by side'}: the encoder's KLs, and their gap. {'. '.join(facts)}.")


__all__ = ["ablation", "gap_over_time"]
