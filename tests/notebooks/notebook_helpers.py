"""What several test modules of this folder need."""

from __future__ import annotations

import os
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


def tree() -> set[str]:
    """Files of the checkout that a notebook might leave behind: all but build products and what git ignores anyway."""
    skipped = {".git", ".venv", ".venv-colab", "build", "runs", "__pycache__", ".pytest_cache", ".ruff_cache"}
    found = set()
    for folder, subfolders, files in os.walk(ROOT):
        subfolders[:] = [s for s in subfolders if s not in skipped and not s.endswith(".egg-info")]
        found |= {os.path.join(folder, f) for f in files if not f.endswith((".part", ".pyc"))}
    return found


def first_figure(path: Path) -> float:
    """Seconds from the kernel's start to the first picture, running no further than the cell that shows it."""
    done = run(path, until_figure=True)
    assert done.first_figure is not None, f"{path.name} shows no figure"
    return done.first_figure
