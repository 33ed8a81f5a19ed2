"""A small chapter of the tests' own, built and executed once, and a way to run notebooks as a reader would."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from notebook_helpers import TOY, toy_entry, tree

from course_utils import notebooks
from course_utils.publishing.execute import environment


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """The toy chapter's built notebooks, the solution executed: .exercise and .solution are paths, .run its timing."""
    folder = tmp_path_factory.mktemp("toy")
    exercise, solution = notebooks.build(TOY, folder, entry=toy_entry)
    return SimpleNamespace(folder=folder, exercise=exercise, solution=solution, run=notebooks.execute(solution))


@pytest.fixture
def nbval(tmp_path):
    """nbval(notebook) -> seconds: run it under nbval in a folder of its own, or fail with nbval's report."""

    def run(notebook: Path, cell_timeout: int = 120) -> float:
        copy = tmp_path / notebook.name
        shutil.copy2(notebook, copy)
        (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        before = tree()
        command = [sys.executable, "-m", "pytest", "-c", "pytest.ini", "-q", "-p", "no:cacheprovider", "--nbval-lax"]
        command += ["--nbval-current-env", f"--nbval-cell-timeout={cell_timeout}", copy.name]
        kernel = environment(tmp_path, static=False, threads=None)
        start = time.perf_counter()
        done = subprocess.run(command, cwd=tmp_path, env=kernel, capture_output=True, text=True, timeout=600)
        seconds = time.perf_counter() - start
        assert done.returncode == 0, f"{notebook.name} under nbval:\n{done.stdout[-6000:]}{done.stderr[-2000:]}"
        assert not tree() - before, f"{notebook.name} wrote into the repository"
        return seconds

    return run
