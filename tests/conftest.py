"""For all tests: one torch thread, progress outside the tree, and no test writes into the repository."""

import os
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
# Processes that tests start find the package as well, and keep to one thread.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)

SCRATCH = {"__pycache__", ".pytest_cache", ".ruff_cache", ".git", ".venv", ".venv-colab", "build"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_watching = False


def _refuse_writes(event: str, arguments: tuple) -> None:
    """An audit hook: opening a file of the repository for writing, or making a folder there, is an error."""
    if not _watching or event not in ("open", "os.mkdir", "os.rename"):
        return
    if not isinstance(arguments[0], (str, os.PathLike)):
        return  # a file descriptor
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITING):
        return
    path = Path(os.path.abspath(arguments[1] if event == "os.rename" else arguments[0]))
    if path.is_relative_to(ROOT) and not SCRATCH.intersection(path.relative_to(ROOT).parts):
        raise PermissionError(f"a test writes into the repository: {path}")


sys.addaudithook(_refuse_writes)


@pytest.fixture(autouse=True)
def _outside_the_tree(tmp_path, monkeypatch):
    """Progress goes to the test's own folder; a write into the repository fails the test."""
    global _watching
    monkeypatch.setenv("COURSE_PROGRESS", str(tmp_path / "progress.json"))
    _watching = True
    yield
    _watching = False
