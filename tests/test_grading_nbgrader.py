"""nbgrader on what `make release` writes: it makes the assignment, grades the same folder, and gives the same points.

Left out are the memory hog and exit(): nbgrader has no limit on memory, and a kernel that ends is an error it reports for
that student, with or without points, as the kernel goes at once or a moment later. sys.exit() it can grade."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from submissions import EXIT, NUMBERS, POINTS, ROOT, SOLUTIONS, STEM, TRUNCATED, but, handed_in, submissions, write

from course_utils.publishing.release import release

CELL_S = 12  # for a cell; set-up cells take about 2 s on an idle machine
STUDENTS = {name: made[:2] for name, made in submissions().items() if name != "memory_hog"}
STUDENTS["exit"] = (handed_in(SOLUTIONS | {"2.3": EXIT.replace("exit()", "__import__('sys').exit()")}), but("2.3"))


def short(book):
    """The chapter without figures and training: its set-up, its exercises and their checks, and what a student added."""
    kept = {"setup", "mode", "exercise", "check"}
    code = [c for c in book["cells"] if c["cell_type"] == "code"]
    book["cells"] = [c for c in code if c["id"] == "added" or kept & set(c["metadata"].get("tags", []))]
    return book


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A release as nbgrader's course folder, with the assignment and what students made of it."""
    pytest.importorskip("nbgrader", reason="nbgrader is not installed (extra 'test')")
    folder = tmp_path_factory.mktemp("nbgrader") / "course"
    release(ROOT, folder)
    released = json.loads((folder / "notebooks" / f"{STEM}.ipynb").read_text(encoding="utf-8"))
    write(folder / "source" / "chapter02" / f"{STEM}.ipynb", short(released))
    nbgrader(folder, "generate_assignment", "chapter02")
    for student, (book, _) in STUDENTS.items():
        write(folder / "submitted" / student / "chapter02" / f"{STEM}.ipynb", short(book))
    nbgrader(folder, "autograde", "chapter02", f"--Execute.timeout={CELL_S}")
    return folder


def nbgrader(folder: Path, *arguments: str, status: int = 0) -> str:
    """One command in the course folder, as a teacher gives it there; COURSE_GRADING=1 makes checks raise."""
    environment = os.environ | {"COURSE_GRADING": "1", "PYTHONPATH": str(folder), "COURSE_SEED": "3"}
    # nbgrader calls alembic by its name.
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    own = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    environment |= {name: str(folder.parent / name.lower()) for name in own}
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == status, f"{' '.join(arguments)}:\n{done.stderr[-4000:]}"
    return done.stderr


def scores(course: Path, student: str) -> dict[str, tuple[float, float]]:
    """Exercise -> (points, points there are), from nbgrader's gradebook."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        grades = gradebook.find_submission_notebook(STEM, "chapter02", student).grades
        return {g.name.removeprefix("check-").replace("-", "."): (g.score, g.max_score) for g in grades}


@pytest.mark.slow
def test_the_assignment_that_students_get_is_the_one_released(course):
    made = json.loads((course / "release" / "chapter02" / f"{STEM}.ipynb").read_text(encoding="utf-8"))
    blank = short(handed_in({}))
    assert ["".join(c["source"]) for c in made["cells"]] == ["".join(c["source"]) for c in blank["cells"]]


@pytest.mark.slow
@pytest.mark.parametrize("student", STUDENTS)
def test_points_in_nbgraders_gradebook(course, student):
    right = STUDENTS[student][1]
    assert scores(course, student) == {n: (POINTS[n] if n in right else 0, POINTS[n]) for n in NUMBERS}


@pytest.mark.slow
def test_a_file_that_is_no_notebook_is_reported_and_gets_nothing(course):
    file = course / "submitted" / "truncated" / "chapter02" / f"{STEM}.ipynb"
    file.parent.mkdir(parents=True)
    file.write_text(TRUNCATED, encoding="utf-8")
    said = nbgrader(course, "autograde", "chapter02", "--student", "truncated", status=1)
    assert "error processing assignment 'chapter02' for student 'truncated'" in said
    assert all(points == 0 for points, _ in scores(course, "truncated").values())
