"""What students get: everything they need, and nothing that gives the answers away."""

import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from notebook_helpers import ROOT

from course_utils.errors import CourseError
from course_utils.exercises.framework import exercises
from course_utils.publishing.release import _tracked, encoded, hide, release

MODULE = '''"""Doc."""

from __future__ import annotations

import functools


def kept():
    return answer(1) + Box().value()


@functools.cache
def answer(x: Later):
    return x + 41


class Box:
    size = 2

    def value(self):
        return self.size * 50

    def other(self):
        pass
'''


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release") / "for-students"
    count = release(ROOT, folder)
    assert count == sum(1 for p in folder.rglob("*") if p.is_file())
    return folder


def test_students_get_notebooks_package_data_and_weights(released):
    assert {p.name for p in (released / "notebooks").iterdir()} == {p.name for p in ROOT.glob("notebooks/*.ipynb")}
    for name in ("course_utils/__init__.py", "pyproject.toml", "constraints.txt", "Makefile", "nbgrader_config.py"):
        assert (released / name).is_file()


def test_without_git_the_same_folders_are_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    wanted = ["README.md", "notebooks/01_a.ipynb", "course_utils/a.py", "data/set/a.bin"]
    others = ["notebooks/solutions/01_a.ipynb", "tests/a.py", "data/downloads/big.bin", "course_utils/__pycache__/a.pyc"]
    for name in wanted + others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert {p.relative_to(tmp_path).as_posix() for p in _tracked(tmp_path)} == set(wanted)


def test_no_solutions_sources_or_tests(released):
    assert not (released / "notebooks" / "solutions").exists() and not (released / "notebooks" / "source").exists()
    assert not (released / "tests").exists() and not (released / ".git").exists()
    text = "".join(p.read_text(encoding="utf-8") for p in (released / "notebooks").glob("*.ipynb"))
    assert "BEGIN SOLUTION" not in text


def test_answers_are_encoded_and_the_rest_is_readable(released):
    for exercise in exercises():
        text = (released / Path(inspect.getsourcefile(exercise.checks)).relative_to(ROOT)).read_text(encoding="utf-8")
        assert text.startswith('"""Encoded') and "yield" not in text
        if inspect.isfunction(exercise.reference):
            file = Path(inspect.getsourcefile(exercise.reference)).relative_to(ROOT)
            text = (released / file).read_text(encoding="utf-8")
            assert f"def {exercise.reference.__name__}(" not in text
    assert "def repository_url" in (released / "course_utils" / "paths.py").read_text(encoding="utf-8")


def test_hiding_a_function_leaves_its_module_working_and_readable():
    text = hide(MODULE, {"answer", "Box.value"}, "m.py")
    assert "x + 41" not in text and "self.size * 50" not in text and "def value" not in text
    assert "return answer(1) + Box().value()" in text and "def other(self)" in text
    names = {"__name__": "m"}
    exec(compile(text, "m.py", "exec"), names)
    assert names["kept"]() == 142


def test_the_released_package_works(released):
    code = "import course_utils as c, course_utils.exercises.framework as f; print(len(f.exercises()), c.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=released, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count, file = done.stdout.split(maxsplit=1)
    assert int(count) == len(exercises()) and str(released.resolve()) in file


def test_an_encoded_module_runs_as_before_and_cannot_be_read(tmp_path):
    source = '"""Doc."""\nfrom __future__ import annotations\n\n\ndef answer(x: Later) -> int:\n    return 2 * x  # µ\n'
    text = encoded(source, "m.py")
    names = {"__name__": "m"}
    exec(compile(text, "m.py", "exec"), names)
    assert names["answer"](21) == 42 and "answer(" not in text and "2 * x" not in text


def test_refused_places(tmp_path):
    (tmp_path / "here.txt").touch()
    with pytest.raises(CourseError, match="an empty or a new folder"):
        release(ROOT, tmp_path)
    with pytest.raises(CourseError, match="outside the checkout"):
        release(ROOT, ROOT / "build" / "release")
    assert [p.name for p in tmp_path.iterdir()] == ["here.txt"] and not (ROOT / "build" / "release").exists()
