"""The log of a run: a CSV file always; TensorBoard, if it is installed, and a progress bar if somebody looks."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

from tqdm.auto import tqdm

from ..files import write_text


class RunLog:
    """Rows of named numbers by step. Reopened at a step, it drops the rows that a killed run wrote after it."""

    def __init__(self, path: Path, start: int, total: int, *, quiet: bool = False):
        self.path, self.rows = Path(path), []
        if start and self.path.exists():
            self.rows = [row for row in read(self.path) if row["step"] <= start]
        self.bar = tqdm(total=total, initial=start, unit="step", disable=quiet, file=sys.stderr, mininterval=0.5)
        self.board = None if quiet else _tensorboard(self.path.parent)  # beside TensorFlow it takes seconds to import

    def write(self, step: int, values: dict[str, float]) -> None:
        """Add one row. The file is small, so it is written whole each time: it is never half a row."""
        if self.rows and self.rows[-1]["step"] == step:
            self.rows[-1].update(values)
        else:
            self.rows.append({"step": step, **values})
        write_text(self.path, dump(self.rows))
        shown = ("loss", "rec", "sse", "kl", "kl_real", "kl_fake", "critic_loss", "generator_loss", "real", "fake")
        shown += ("val_sse", "images_per_second")
        self.bar.set_postfix({k: f"{values[k]:.4g}" for k in shown if k in values}, refresh=False)
        if self.board:
            for name, value in values.items():
                self.board.add_scalar(name, value, step)

    def advance(self, steps: int = 1) -> None:
        self.bar.update(steps)

    def close(self) -> None:
        self.bar.close()
        if self.board:
            self.board.close()


def _tensorboard(folder: Path):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))


def dump(rows: list[dict]) -> str:
    """Rows -> CSV text; a column appears once it has a value, empty cells before and between."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: v if k == "step" else f"{v:.6g}" for k, v in row.items()} for row in rows)
    return out.getvalue()


def read(path: Path) -> list[dict]:
    """CSV -> rows of numbers; empty cells are left out of their row."""
    with open(path, newline="", encoding="utf-8") as file:
        return [
            {name: int(cell) if name == "step" else float(cell) for name, cell in row.items() if cell}
            for row in csv.DictReader(file)
        ]
