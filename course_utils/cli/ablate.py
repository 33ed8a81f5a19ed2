"""`course ablation`: every regularizer on the same few pictures, from the record, or measured from finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from .. import ablation as record_of
from ..errors import reject
from .common import check_out, command, option, table

TABLES = {
    "reconstruction: squared error of an image; KL of the posterior, in nats": {
        "sse_held_out": "error, held-out", "sse_train": "error, train", "kl_held_out": "KL, held-out", "kl_train": "KL, train",
        "kl_fake": "KL, samples",
    },
    "samples: Fréchet (fd) and kernel distance (kd) on features of the CIFAR-10 classifier": {
        "fd_cifar_held_out": "fd, held-out", "fd_cifar_train": "fd, train", "kd_cifar_held_out": "kd, held-out",
        "kd_cifar_train": "kd, train",
    },
    "memorization: 0.5 without memory, 1 for copies; share of copies: 0.05 by chance": {
        "nearer_cifar": "nearer, features", "nearer_relative_cifar": "relatively", "copies_cifar": "copies",
        "nearer_pixels": "nearer, pixels", "nearer_relative_pixels": "relatively", "copies_pixels": "copies",
    },
    "the encoder's gaps, of all training images: 0 alike, near 1 told apart": {
        "gap_train": "train, samples", "gap_held_out": "held-out, samples", "gap_unseen": "train, held-out",
    },
}  # fmt: skip


@command
def ablation(
    runs: Annotated[Path | None, option("FOLDER")] = None,
    out: Annotated[Path | None, option("PATH")] = None,
) -> None:
    """What each regularizer does to Soft-IntroVAE on emoji: print the record, or measure runs and put them into it first.

    Args:
        runs: the folder of `course train --recipe NAME --out FOLDER/NAME`: its finished runs are measured, but for those whose
            weights are in the record
        out: the record that they are put into, that of the checkpoint folder if not given
    """
    if runs is None:
        if out is not None:
            raise reject("out", str(out), "nothing without --runs", "Only what is measured is written.")
        record = record_of.read()
    else:
        if not runs.is_dir():
            raise reject("runs", str(runs), "a folder", "It is the one that holds a folder for each run.")
        check_out(out)
        record = record_of.measure_runs(runs, out or record_of.path_of())
    print(_shown(record))


def _shown(record: dict) -> str:
    """All tables and what to read beside them."""
    settings, facts = record["settings"], record["data"]
    held_out, twins = facts["held_out"]["images"], len(facts["mirror_twins"])
    parts = []
    for title, columns in TABLES.items():
        rows = [["recipe", *columns.values()], *_rows(record, columns)]
        parts.append(f"{title}\n{table(rows)}")
    budgets = {row["steps"] for row in record["runs"]}
    notes = [
        f"± standard deviation over {len(settings['seeds'])} draws of {settings['samples']:,} samples of one run. train and "
        f"held-out: {held_out} images each.",
        f"Memorization without the {twins} held-out images that are a training image's mirror image.",
    ]
    if record_of.between_seeds(record):
        notes.append("seeds apart: how far two runs are apart that differ in their seed alone. A smaller difference is none.")
    if len(budgets) > 1:
        notes.append(f"NOT equal budgets: runs of {', '.join(f'{steps:,}' for steps in sorted(budgets))} steps.")
    if lacking := record_of.missing(record):
        notes.append(f"Not measured yet: {', '.join(lacking)}.")
    return "\n\n".join([*parts, "\n".join(notes)])


def _rows(record: dict, columns) -> list[list[str]]:
    rows = [[row["recipe"], *(_cell(row["values"][key]) for key in columns)] for row in record["runs"]]
    for name, apart in record_of.between_seeds(record).items():
        rows.append([f"seeds apart, {name}", *(f"{apart[key]:.2g}" for key in columns)])
    if real := [record["data"]["real"].get(key) for key in columns if key in record["data"]["real"]]:
        rows.append(["other training images", *(f"{value:.4g}" for value in real)])
    return rows


def _cell(values) -> str:
    mean, deviation = record_of.spread(values)
    return f"{mean:.4g}" + (f" ± {deviation:.1g}" if deviation else "")
