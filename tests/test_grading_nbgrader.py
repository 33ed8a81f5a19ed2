"""nbgrader on what `make release` writes: it makes the assignment, grades three students, and gives the same points."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from submissions import NUMBERS, POINTS, ROOT, SOLUTIONS, STEM, handed_in, write, wrong_answers

from course_utils.publishing.release import release

WRONG = wrong_answers()
FIRST_WRONG = {number: WRONG[number][0][0] for number in ("2.2", "2.4", "2.5")}
STUDENTS = {  # name -> (answers, exercises that earn their points)
    "ada": (SOLUTIONS, NUMBERS),
    "bob": ({}, []),
    "eve": (SOLUTIONS | FIRST_WRONG, [n for n in NUMBERS if n not in FIRST_WRONG]),
}


def short(book):
    """The chapter without figures and training: its set-up, its exercises and their checks."""
    kept = {"setup", "mode", "exercise", "check"}
    book["cells"] = [c for c in book["cells"] if c["cell_type"] == "code" and kept & set(c["metadata"].get("tags", []))]
    return book


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A release as nbgrader's course folder, with the assignment and what three students made of it."""
    pytest.importorskip("nbgrader", reason="nbgrader is not installed (extra 'test')")
    folder = tmp_path_factory.mktemp("nbgrader") / "course"
    release(ROOT, folder)
    released = json.loads((folder / "notebooks" / f"{STEM}.ipynb").read_text(encoding="utf-8"))
    write(folder / "source" / "chapter02" / f"{STEM}.ipynb", short(released))
    nbgrader(folder, "generate_assignment", "chapter02")
    for student, (answers, _) in STUDENTS.items():
        write(folder / "submitted" / student / "chapter02" / f"{STEM}.ipynb", short(handed_in(answers)))
    nbgrader(folder, "autograde", "chapter02")
    return folder


def nbgrader(folder: Path, *arguments: str) -> None:
    """One command in the course folder, as a teacher gives it there; COURSE_GRADING=1 makes checks raise."""
    environment = os.environ | {"COURSE_GRADING": "1", "PYTHONPATH": str(folder), "MPLBACKEND": "Agg"}
    # nbgrader calls alembic by its name.
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    own = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    environment |= {name: str(folder.parent / name.lower()) for name in own}
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{' '.join(arguments)}:\n{done.stderr[-4000:]}"


@pytest.mark.slow
def test_the_assignment_that_students_get_is_the_one_released(course):
    made = json.loads((course / "release" / "chapter02" / f"{STEM}.ipynb").read_text(encoding="utf-8"))
    blank = short(handed_in({}))
    assert ["".join(c["source"]) for c in made["cells"]] == ["".join(c["source"]) for c in blank["cells"]]


@pytest.mark.slow
@pytest.mark.parametrize("student", STUDENTS)
def test_points_in_nbgraders_gradebook(course, student):
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        grades = gradebook.find_submission_notebook(STEM, "chapter02", student).grades
        found = {g.name: (g.auto_score, g.max_score, g.needs_manual_grade) for g in grades}
    right = STUDENTS[student][1]
    names = {number: f"check-{number.replace('.', '-')}" for number in NUMBERS}
    assert found == {names[n]: (POINTS[n] if n in right else 0, POINTS[n], False) for n in NUMBERS}
