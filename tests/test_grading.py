"""Notebooks as students hand them in, most of them damaged, and the table that must come of each."""

import csv
import itertools
import json
from pathlib import Path

import pytest

from course_utils import grading
from course_utils.errors import CourseError
from course_utils.exercises import framework
from course_utils.exercises.examine import FAILED, MISSING, NOT_ATTEMPTED, PASSED, Outcome
from course_utils.grading_notebook import Limits, NotebookGrade, chapter_of, plan, read_cells

TOY = Path(__file__).parent / "exercises" / "toy"
NUMBERS = ["90.1", "90.2", "90.3", "90.4", "90.5"]
SETUP = "import torch\nSCALE = 2"
RIGHT = {
    "90.1": "def reparameterize(mu, logvar, noise):\n    return mu + noise * (logvar / 2).exp()",
    "90.2": "def row_sums(x):\n    return x.flatten(1).sum(1)",
    "90.3": "answer_90_3 = 'b'",
    "90.4": "def mean_and_std(x):\n    return x.mean(), x.std()",
    "90.5": "answer_90_5 = 1.02",
}
EMPTY = {
    "90.1": "def reparameterize(mu, logvar, noise):\n    raise NotImplementedError  # your code here",
    "90.2": "def row_sums(x):\n    return x.flatten(1).mean(1)",
    "90.3": "answer_90_3 = ...",
    "90.4": "def mean_and_std(x):\n    raise NotImplementedError  # your code here",
    "90.5": "answer_90_5 = ...",
}


IDS = itertools.count()


def cell(source, *tags, grade_id=None):
    nbgrader = {"nbgrader": {"grade_id": grade_id, "schema_version": 3}} if grade_id else {}
    meta = {"tags": list(tags)} | nbgrader
    return {
        "cell_type": "code",
        "id": f"c{next(IDS)}",
        "execution_count": None,
        "metadata": meta,
        "outputs": [],
        "source": source,
    }


def cells_of(answers):
    """The cells of a whole notebook: setup, a figure that takes too long, and per exercise its cell and its check."""
    cells = [cell(SETUP, "setup"), cell("import time\ntime.sleep(1000)", "figure")]
    for number, source in answers.items():
        cells.append(cell(source, "exercise", grade_id=f"exercise-{number}"))
        cells.append(cell(f'check("{number}")', "check", grade_id=f"check-{number}"))
    return cells


def write(path, cells):
    meta = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": meta, "cells": cells}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def toy(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_EXERCISES", str(TOY))
    monkeypatch.setenv("COURSE_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.setenv("COURSE_SEED", "5")
    framework.load_chapter(90)


def graded(tmp_path, cells, **limits):
    path = write(tmp_path / "90_toy.ipynb", cells)
    return grading.grade_notebook(path, Limits(**{"cell_s": 4.0, "notebook_s": 60.0, "memory_mb": 2048} | limits))


def states(result):
    return [result.outcomes[n].state for n in NUMBERS]


def test_a_perfect_notebook_and_one_that_shadows_check(tmp_path):
    cells = cells_of(RIGHT)
    cells[1] = cell("def check(number): raise SystemExit\ncheck = None")
    result = graded(tmp_path, cells)
    assert states(result) == [PASSED] * 5
    assert sum(result.points(n) for n in NUMBERS) == 8
    assert result.notes == []


def test_an_untouched_notebook_gets_nothing_and_says_why(tmp_path):
    result = graded(tmp_path, cells_of(EMPTY))
    assert states(result) == [NOT_ATTEMPTED, FAILED, NOT_ATTEMPTED, NOT_ATTEMPTED, NOT_ATTEMPTED]
    assert "shrink" in result.outcomes["90.2"].message


def test_each_disaster_costs_its_own_exercise(tmp_path):
    """An endless loop that no interrupt ends, exit() in a function, a syntax error, all in one notebook."""
    deaf = "    import signal\n    signal.signal(signal.SIGINT, signal.SIG_IGN)\n    while True: pass"
    answers = {
        "90.1": "def reparameterize(mu, logvar, noise):\n" + deaf,
        "90.2": "def row_sums(x):\n    exit()",
        "90.3": "answer_90_3 = 'b'",
        "90.4": "def mean_and_std(x)\n    return x.mean(), x.std()",
        "90.5": "answer_90_5 = 1.02",
    }
    cells = cells_of(answers)
    cells[2:2] = [cell("def helper(v):\n    return v")]
    cells[-2]["source"] = "answer_90_5 = helper(1.0)"  # known only if helper survives the new kernels
    result = graded(tmp_path, cells, cell_s=2.0)
    assert states(result) == [FAILED, FAILED, PASSED, FAILED, PASSED]
    assert "still running after 2 s" in result.outcomes["90.1"].message
    assert "exit()" in result.outcomes["90.2"].message
    assert "SyntaxError" in result.outcomes["90.4"].message


def test_a_polite_endless_loop_keeps_its_kernel(tmp_path):
    result = graded(tmp_path, cells_of(RIGHT | {"90.4": "def mean_and_std(x):\n    while True: pass"}), cell_s=1.5)
    assert states(result) == [PASSED, PASSED, PASSED, FAILED, PASSED]
    assert "endless loop" in result.outcomes["90.4"].message


def test_loops_and_exits_outside_of_functions(tmp_path):
    answers = RIGHT | {"90.1": RIGHT["90.1"] + "\nwhile True: pass", "90.3": "answer_90_3 = 'b'\nexit()"}
    result = graded(tmp_path, cells_of(answers), cell_s=1.5)
    assert states(result) == [FAILED, PASSED, FAILED, PASSED, PASSED]


def test_a_memory_hog(tmp_path):
    hog = "def row_sums(x):\n    kept = []\n    while True: kept.append(torch.ones(10_000_000))"
    result = graded(tmp_path, cells_of(RIGHT | {"90.2": hog}), memory_mb=1200, cell_s=20.0)
    assert states(result) == [PASSED, FAILED, PASSED, PASSED, PASSED]
    assert "1200 MB" in result.outcomes["90.2"].message


def test_deleted_cells_and_a_renamed_function(tmp_path):
    cells = cells_of(RIGHT | {"90.4": RIGHT["90.4"].replace("mean_and_std", "mean_and_sdt")})
    del cells[4:6]  # 90.2 and its check
    cells = [c for c in cells if "check" not in c["metadata"]["tags"]]
    result = graded(tmp_path, cells)
    assert states(result) == [PASSED, MISSING, PASSED, MISSING, PASSED]
    assert "mean_and_sdt" in result.outcomes["90.4"].message


def test_a_notebook_out_of_time_keeps_what_it_had(tmp_path):
    slow = "def row_sums(x):\n    while True: pass"
    result = graded(tmp_path, cells_of(RIGHT | {"90.2": slow}), cell_s=60.0, notebook_s=7.0)
    assert result.outcomes["90.1"].passed
    assert {result.outcomes[n].state for n in NUMBERS[1:]} == {FAILED}
    assert "used up its 7 s" in result.outcomes["90.5"].message


def test_table_roster_pages_and_jobs(tmp_path):
    folder = tmp_path / "submissions"
    folder.mkdir()
    write(folder / "ada.ipynb", cells_of(RIGHT))
    write(folder / "bob_90.ipynb", cells_of(EMPTY | {"90.3": "answer_90_3 = '<b>'"}))
    (folder / "90_eve.ipynb").write_text("{not json", encoding="utf-8")
    roster = tmp_path / "roster.csv"
    roster.write_text("file,student\nada.ipynb,Ada L.\nbob_90,Bob\nzoe.ipynb,Zoe\n", encoding="utf-8")
    out = tmp_path / "new" / "grades.csv"
    table = grading.grade([folder], out, roster=roster, jobs=2, cell_timeout_s=10)
    with open(out, encoding="utf-8", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert [rows["Ada L."][n] for n in [*NUMBERS, "total", "out of"]] == ["2", "1", "1", "3", "1", "8", "8"]
    assert [rows["Bob"][n] for n in [*NUMBERS, "total"]] == ["0"] * 6
    assert "not readable" in rows["90_eve"]["notes"] and "not on the roster" in rows["90_eve"]["notes"]
    assert rows["Zoe"]["notes"] == "no notebook" and rows["Zoe"]["90.1"] == ""
    page = (tmp_path / "new" / "grades_feedback" / "bob_90.html").read_text(encoding="utf-8")
    assert "0 of 8 points" in page and "shrink" in page and "<b>" not in page.replace("<body>", "")
    assert "no security sandbox" in str(table)
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("line", ["import nothing_like_this", "this is no Python"])
def test_a_bad_line_in_the_setup_costs_nothing(tmp_path, line):
    answers = RIGHT | {"90.2": "def row_sums(x):\n    return torch.stack([i.sum() for i in x])"}
    cells = cells_of(answers)
    cells[0]["source"] = f"{line}\n{SETUP}"
    result = graded(tmp_path, cells)
    assert states(result) == [PASSED] * 5
    assert "cell 1 stops with" in result.notes[0]


def fake_grades(monkeypatch, passed):
    """Replaces the kernels: `passed` says which exercises a path has solved."""

    def fake(path, limits):
        outcomes = {n: Outcome(n, "name", PASSED if n in passed(path) else FAILED) for n in NUMBERS}
        return NotebookGrade(path, 90, outcomes)

    monkeypatch.setattr(grading, "grade_notebook", fake)


def test_equal_file_names_are_different_students(tmp_path, monkeypatch):
    for name in ("ada", "bob"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "90.ipynb", [])
    (tmp_path / "roster.csv").write_text("student,file\nBob,bob/90.ipynb\n", encoding="utf-8")
    fake_grades(monkeypatch, lambda path: NUMBERS if path.parent.name == "ada" else [])
    table = grading.grade([str(tmp_path / "*" / "90.ipynb")], tmp_path / "g.csv", roster=tmp_path / "roster.csv")
    assert {row.student: row.total for row in table.rows} == {"ada/90.ipynb": 8, "Bob": 0}
    assert len(list((tmp_path / "g_feedback").iterdir())) == 2


def test_a_missing_kernel_is_said(tmp_path, monkeypatch):
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    def none(self, name):
        raise NoSuchKernel(name)

    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", none)
    write(tmp_path / "a.ipynb", cells_of(RIGHT))
    with pytest.raises(CourseError, match="no kernel for grading: install ipykernel"):
        grading.grade([tmp_path / "a.ipynb"])


def test_no_notebook_runs_for_a_table_that_cannot_be_written(tmp_path, monkeypatch):
    write(tmp_path / "first.ipynb", [])
    monkeypatch.setattr(grading, "grade_notebook", lambda path, limits: pytest.fail("ran"))
    with pytest.raises(CourseError, match="out: got"):
        grading.grade([tmp_path / "first.ipynb"], tmp_path)


def test_pages_of_names_that_differ_in_capitals_only(tmp_path, monkeypatch):
    for folder, name in (("a", "Ada"), ("b", "ada"), ("c", "ADA")):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / f"{name}.ipynb", [])
    fake_grades(monkeypatch, lambda path: [])
    grading.grade([tmp_path / folder for folder in "abc"], tmp_path / "g.csv")
    assert {page.name for page in (tmp_path / "g_feedback").iterdir()} == {"Ada.html", "ada_2.html", "ADA_3.html"}


def test_one_student_two_attempts(tmp_path, monkeypatch):
    write(tmp_path / "first.ipynb", [])
    write(tmp_path / "second.ipynb", [])
    (tmp_path / "r.csv").write_text("file,student\nfirst,Ada\nsecond,Ada\n", encoding="utf-8")
    fake_grades(monkeypatch, lambda path: ["90.1"] if path.stem == "first" else ["90.4"])
    (row,) = grading.grade([tmp_path], roster=tmp_path / "r.csv").rows
    assert row.points == {"90.1": 2, "90.2": 0, "90.3": 0, "90.4": 3, "90.5": 0} and row.total == 5


def test_nbgrader_reads_the_same_grades_from_executed_checks(tmp_path, monkeypatch):
    """COURSE_GRADING=1 as nbgrader's autograding would set it: what passes is silent, what does not raises."""
    pytest.importorskip("nbgrader")
    import nbformat
    from nbclient import NotebookClient
    from nbgrader.utils import determine_grade

    monkeypatch.setenv("COURSE_GRADING", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    noisy = "def row_sums(x):\n    import warnings\n    warnings.warn('old')\n    return x.flatten(1).sum(1)"
    cells = cells_of(EMPTY | {"90.2": noisy, "90.3": RIGHT["90.3"], "90.4": RIGHT["90.4"].replace("std", "var")})
    cells[1] = cell("from course_utils.exercises import check")
    for c in cells:
        if "check" in c["metadata"]["tags"]:
            number = c["metadata"]["nbgrader"]["grade_id"].removeprefix("check-")
            c["metadata"]["nbgrader"] |= {"grade": True, "solution": False, "locked": True, "task": False}
            c["metadata"]["nbgrader"] |= {"points": framework.find(number).points, "cell_type": "code"}
    book = nbformat.read(write(tmp_path / "n.ipynb", cells), as_version=4)
    NotebookClient(book, timeout=60, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}}).execute()
    grades = [determine_grade(c)[0] for c in book.cells if c.metadata.get("nbgrader", {}).get("grade")]
    assert grades == [0, 1, 1, 0, 0]


def test_plan_takes_answers_definitions_and_nothing_else(tmp_path):
    cells = [
        cell("%matplotlib inline\nimport torch", "setup"),
        cell("from math import pi\nx = torch.ones(3)\nLIMIT = 3\ndef f():\n    return 1\nprint(x)"),
        cell("!touch somewhere\nmodel.train()"),
        cell("def row_sums(x):\n    return x"),  # an exercise without any tag
        cell("row_sums(1)", "check"),
    ]
    chosen = plan(read_cells(write(tmp_path / "n.ipynb", cells)), framework.exercises(90))
    assert [c.numbers for c in chosen] == [(), (), ("90.2",)]
    assert chosen[1].code == "from math import pi\nLIMIT = 3\ndef f():\n    return 1"


def test_chapter_by_cells_then_by_file_name(tmp_path):
    read = read_cells(write(tmp_path / "whatever.ipynb", cells_of(RIGHT)))
    assert chapter_of(read, Path("02_other.ipynb")) == 90
    assert chapter_of([], Path("90_toy.ipynb")) == 90
    assert chapter_of([], Path("essay.ipynb")) is None
    result = grading.grade_notebook(write(tmp_path / "essay.ipynb", [cell("print(1)")]))
    assert result.outcomes == {} and "no chapter" in result.notes[0]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"paths": ["missing.ipynb"]}, "missing.ipynb"),
        ({"paths": []}, "at least one notebook"),
        ({"paths": ["here"], "timeout_s": 0}, "timeout_s"),
        ({"paths": ["here"], "memory_mb": 20}, "no kernel"),
        ({"paths": ["here"], "roster": "nowhere.csv"}, "nowhere.csv"),
        ({"paths": ["here"], "feedback_dir": "bad.csv"}, "feedback_dir: got 'bad.csv'"),
        ({"paths": ["here"], "roster": "bad.csv"}, "columns file and student"),
    ],
)
def test_bad_arguments_leave_nothing_behind(tmp_path, monkeypatch, arguments, word):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    write(tmp_path / "here" / "a.ipynb", cells_of(RIGHT))
    (tmp_path / "bad.csv").write_text("name;mark\n", encoding="utf-8")
    with pytest.raises(CourseError, match=word):
        grading.grade(out="out.csv", **arguments)
    assert not (tmp_path / "out.csv").exists()
