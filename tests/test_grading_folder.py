"""A folder of twenty-four notebooks, most of them wrong or damaged, graded by `course grade` and some by nbgrader."""

import csv
import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from submissions import NUMBERS, POINTS, ROOT, TRUNCATED, WRONG, answer_cells, submissions, write

CELL_S = 15  # for a cell or a check; the set-up cells take about 2 s on an idle machine


def test_there_are_twenty_four_and_every_known_wrong_answer_is_among_them():
    made = submissions()
    assert len(made) + 1 == 24  # and one that is no notebook at all
    typed = {n: {"".join(answer_cells(book)[n]["source"]) for k, (book, _, _) in made.items() if "wrong" in k}
             for n in NUMBERS}  # fmt: skip
    assert all(source in typed[n] for n, known in WRONG.items() for source, _ in known)
    assert all(len(WRONG[n]) >= 3 for n in NUMBERS)


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The folder, graded once, by the command: .rows of the CSV and .pages, by student."""
    base = tmp_path_factory.mktemp("grading")
    for name, (book, _, _) in submissions().items():
        write(base / "submissions" / f"{name}.ipynb", book)
    (base / "submissions" / "truncated.ipynb").write_text(TRUNCATED, encoding="utf-8")
    command = [sys.executable, "-m", "course_utils.cli", "grade", "submissions", "--out", "grades.csv"]
    command += ["--cell-timeout", str(CELL_S), "--memory", "2000", "--jobs", "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COURSE_SEED": "3"}
    done = subprocess.run(command, cwd=base, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    with open(base / "grades.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    pages = {p.stem: text_of(p) for p in (base / "grades_feedback").glob("*.html")}
    return rows, pages, done.stdout


def text_of(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", page.read_text(encoding="utf-8")))


@pytest.mark.slow
def test_course_grade_gives_the_right_table(graded):
    rows, _, printed = graded
    best = f"{sum(POINTS.values()):g}"
    expected = [["student", "files", *NUMBERS, "total", "out of", "notes"]]
    for name, (_, right, note) in submissions().items():
        points = [f"{POINTS[n] if n in right else 0:g}" for n in NUMBERS]
        total = f"{sum(POINTS[n] for n in right):g}"
        expected.append([name, f"{name}.ipynb", *points, total, best, note])
    with pytest.raises(json.JSONDecodeError) as error:
        json.loads(TRUNCATED)
    note = f"not readable as a notebook (JSONDecodeError: {error.value})"
    expected.append(["truncated", "truncated.ipynb", *[""] * len(NUMBERS), "0", best, note])
    assert rows[0] == expected[0]
    assert rows[1:] == sorted(expected[1:], key=lambda row: row[1])
    assert "no security sandbox" in printed and "wrote grades.csv" in printed


@pytest.mark.slow
@pytest.mark.parametrize("i", range(max(map(len, WRONG.values()))))
def test_feedback_pages_hold_the_diagnosis_of_each_wrong_answer(graded, i):
    page = graded[1][f"wrong_{i + 1}"].lower()
    for number, known in WRONG.items():
        if i < len(known):
            assert known[i][1].replace("`", "").lower() in page.replace("`", ""), (number, known[i])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("student", "said"),
    [
        ("endless_loop", "endless loop"),
        ("exit", "exit"),
        ("memory_hog", "used more than 2000 MB of memory"),
        ("syntax_error", "SyntaxError"),
        ("deleted_cells", "There is no reparameterize here"),
        ("renamed_function", "kl_of_prior"),
        ("empty", "0 of 13 points"),
        ("perfect", "13 of 13 points"),
    ],
)
def test_feedback_pages_say_what_went_wrong(graded, student, said):
    assert said in graded[1][student]
