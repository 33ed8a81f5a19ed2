"""One environment, described once: pyproject.toml, constraints.txt, environment.yml, Makefile, CI script agree."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
DIRECT = [Requirement(r) for r in PROJECT["dependencies"] + [r for group in EXTRAS.values() for r in group]]
MAKE = shutil.which("make")
needs_make = pytest.mark.skipif(MAKE is None, reason="make is not installed")


def constraints():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_constraints_are_exact_versions_and_nothing_else():
    for line in constraints():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line), line
    assert not [line for line in constraints() if re.match(r"nvidia|triton|cuda", line)], "platform-specific"


def test_constraints_cover_every_direct_dependency_within_its_bounds():
    pinned = {canonicalize_name(n): Version(v) for n, v in (line.split("==") for line in constraints())}
    for requirement in DIRECT:
        version = pinned[canonicalize_name(requirement.name)]
        assert version in requirement.specifier, f"{requirement} is pinned to {version}"


def test_requirements_are_lower_bounds_only():
    for requirement in DIRECT:
        assert {s.operator for s in requirement.specifier} == {">="}, f"{requirement}: an upper bound breaks Colab"


def test_conda_environment_is_the_same_environment():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    plain = [d for d in conda["dependencies"] if isinstance(d, str)]
    (pip,) = [d["pip"] for d in conda["dependencies"] if isinstance(d, dict)]
    assert f"python{PROJECT['requires-python']}" in plain and "pip" in plain
    assert conda["channels"] == ["conda-forge"]
    options = dict(line.split(" ", 1) for line in pip)
    assert (ROOT / options["--constraint"]).name == "constraints.txt"
    extras = re.fullmatch(r"\.\[(.*)\]", options["--editable"])[1].split(",")
    assert set(extras) == set(EXTRAS) and len(pip) == 2


def test_make_installs_every_extra_under_the_constraints():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(re.search(r"^EXTRAS := (.*)$", text, re.M)[1].split(",")) == set(EXTRAS)
    assert '--constraint constraints.txt --editable ".[$(EXTRAS)]"' in text


def test_python_bound_is_the_same_everywhere():
    assert SpecifierSet(PROJECT["requires-python"]) == SpecifierSet(">=3.11")
    assert "sys.version_info < (3, 11)" in (ROOT / "Makefile").read_text(encoding="utf-8")


@needs_make
def test_make_alone_lists_every_target():
    shown = subprocess.run([MAKE], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)[1].split()
    assert {line.split()[1] for line in shown.splitlines() if line.startswith("  make ")} == set(phony)


@needs_make
def test_an_old_python_is_refused_with_a_remedy(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy2(ROOT / name, tmp_path)
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.8.1 || exit 1\n', encoding="utf-8")
    old.chmod(0o755)
    done = subprocess.run([MAKE, "course", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "needs Python 3.11 or newer; found: Python 3.8.1" in done.stdout and "PYTHON=" in done.stdout
    assert not (tmp_path / ".venv").exists()


@needs_make
def test_release_without_a_folder_says_what_is_missing(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy2(ROOT / name, tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "installed").touch()
    done = subprocess.run([MAKE, "release"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and "make release DIR=" in done.stdout


@pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="the CI script runs on Linux")
def test_ci_script_runs_the_tests_and_parses():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    assert re.search(r"^make test$", script.read_text(encoding="utf-8"), re.M)


def test_no_file_of_the_setup_names_a_package_registry():
    for name in ("pyproject.toml", "constraints.txt", "environment.yml", "Makefile", ".ci/run"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"index-url|pypi\.|/simple|find-links", text), name
