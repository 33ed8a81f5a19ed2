"""The first cell of every notebook: it installs what is missing, upgrades nothing, finds the package from anywhere."""

import ast
import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import nbformat
import pytest
from notebook_helpers import ROOT
from packaging.requirements import Requirement

from course_utils import paths

# What Colab brings of the packages that the course's own dependencies need.
ON_COLAB = {"torch", "torchvision", "numpy", "scipy", "pillow", "fsspec", "packaging", "typing-extensions"}
LACKING = {"kornia", "kornia_rs", "lightning_fabric", "lightning_utilities", "pytorch_fid", "torchinfo"}
NEVER = ("torch", "torchvision", "numpy", "ipywidgets", "matplotlib", "ipython", "pillow")


@pytest.fixture
def cell(toy):
    return next(c.source for c in nbformat.read(toy.exercise, as_version=4).cells if c.id == "setup")


@pytest.fixture
def colab(monkeypatch, tmp_path):
    """A pretended Colab in an empty folder: run(cell, lacking, **replaced) -> the commands it would run."""
    found = importlib.util.find_spec

    def run(cell, lacking=frozenset(), drive=False):
        commands, mounted = [], []
        google, fake = types.ModuleType("google"), types.ModuleType("google.colab")
        fake.drive = types.SimpleNamespace(mount=mounted.append)
        google.colab = fake
        monkeypatch.setitem(sys.modules, "google", google)
        monkeypatch.setitem(sys.modules, "google.colab", fake)
        monkeypatch.setattr(sys, "path", [p for p in sys.path if Path(p or ".").resolve() != ROOT])
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in lacking else found(name))

        def record(command, check):
            assert check is True
            commands.append(command)
            if command[0] == "git":
                (Path(command[-1]) / "course_utils").mkdir(parents=True)
                (Path(command[-1]) / "course_utils" / "__init__.py").touch()

        monkeypatch.setattr(subprocess, "run", record)
        monkeypatch.chdir(tmp_path)
        if drive:
            cell = cell.replace("USE_DRIVE = False", "USE_DRIVE = True").replace("/content/drive", str(tmp_path / "d"))
        exec(compile(cell, "setup", "exec"), {})
        return commands, mounted

    return run


def test_colab_clones_once_and_installs_only_what_is_missing(cell, colab, tmp_path):
    commands, _ = colab(cell, LACKING)
    clone, install = commands
    assert clone[:5] == ["git", "clone", "--quiet", "--depth", "1"] and clone[5] == paths.repository_url()
    assert install[:4] == [sys.executable, "-m", "pip", "install"] and "--no-deps" in install
    assert {p.replace("-", "_") for p in install if not p.startswith("-")} >= LACKING
    assert {p.replace("-", "_") for p in install[6:]} == LACKING
    assert sys.path[0] == str(tmp_path / paths.repository_url().rpartition("/")[2])
    assert not any("upgrade" in part or part == "-U" for part in install)

    again, _ = colab(cell)  # the second run finds the clone and has nothing to do
    assert again == []


def test_colab_never_touches_what_breaks_it(cell, colab):
    modules = next(n.value for n in ast.parse(cell).body if isinstance(n, ast.Assign) and n.targets[0].id == "MODULES")
    names = set(ast.literal_eval(modules))
    commands, _ = colab(cell, names)
    for command in commands:
        assert not [part for part in command if re.split(r"[=<>~\[]", part)[0].lower() in NEVER]


def test_the_list_is_closed_under_dependencies(cell):
    """--no-deps installs no dependency: each must be in the list itself, or Colab brings it."""
    modules = next(n.value for n in ast.parse(cell).body if isinstance(n, ast.Assign) and n.targets[0].id == "MODULES")
    packages = {p.lower() for p in ast.literal_eval(modules).values()}
    for package in packages:
        for requirement in importlib.metadata.requires(package) or []:
            needed = Requirement(requirement)
            if needed.marker is None or needed.marker.evaluate({"extra": "", "python_version": "3.13"}):
                name = needed.name.lower().replace("_", "-")
                assert name in packages | ON_COLAB, f"{package} needs {name}"


def test_drive_keeps_runs_and_progress(cell, colab, monkeypatch, tmp_path):
    for name in ("COURSE_RUNS", "COURSE_PROGRESS"):
        monkeypatch.setenv(name, "x")
    _, mounted = colab(cell, drive=True)
    assert mounted == [str(tmp_path / "d")]
    assert os.environ["COURSE_RUNS"].startswith(str(tmp_path / "d"))
    assert os.environ["COURSE_PROGRESS"].startswith(str(tmp_path / "d"))


@pytest.mark.parametrize("folder", ["notebooks", "notebooks/solutions", "."])
def test_in_a_checkout_the_package_is_found_without_installing_it(cell, folder):
    """-S leaves out site-packages: nothing but the cell can make the package importable."""
    code = cell + "\nimport course_utils; print(course_utils.__file__)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd=ROOT / folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == ROOT / "course_utils" / "__init__.py"


def test_elsewhere_it_says_what_to_do(cell, tmp_path):
    done = subprocess.run([sys.executable, "-I", "-S", "-c", cell], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and "inside a checkout of https://" in done.stderr
