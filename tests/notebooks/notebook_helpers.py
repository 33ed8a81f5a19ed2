"""What several test modules of this folder need."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from course_utils import paths
from course_utils.publishing.execute import run

TOY = Path(__file__).parent / "toy"
ROOT = paths.PACKAGE.parent
# The course promises 60 s a notebook and 20 s to the first figure on two cores; a shared machine gets three times that.
SECONDS, FIRST_FIGURE = 180, 60


def toy_entry(number: str) -> SimpleNamespace:
    """What the registry would say of a toy exercise."""
    hints = ("Think of $2x$.", "Add it to itself.")
    return SimpleNamespace(
        number=number, title=f"Task {number}", kind="implement", minutes=5, difficulty=2, points=1.5, hints=hints
    )


def tree() -> set[Path]:
    """Files where a notebook might leave something behind: beside the notebooks, the data, the weights, at the top."""
    folders = [ROOT / name for name in ("notebooks", "data", "checkpoints")]
    below = {path for folder in folders for path in folder.rglob("*") if path.is_file()}
    return below | {path for path in ROOT.iterdir() if path.is_file() or path.name == "runs"}


def first_figure(path: Path) -> float:
    """Seconds from the kernel's start to the first picture, running no further than the cell that shows it."""
    done = run(path, until_figure=True)
    assert done.first_figure is not None, f"{path.name} shows no figure"
    return done.first_figure
