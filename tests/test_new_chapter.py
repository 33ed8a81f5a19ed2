"""A teacher adds a chapter as README.md says, in a copy of the repository; nothing else has to be edited."""

import csv
import hashlib
import os
import shutil
import subprocess
import sys

import nbformat
import pytest

from course_utils import paths

ROOT = paths.PACKAGE.parent
LEFT_OUT = (".git", ".venv*", "build", "runs", "downloads", "__pycache__", ".*_cache", "*.egg-info")

SOURCE = '''\
# ---
# title: A dummy chapter
# question: What does a *new* chapter need?
# minutes: 5
# goals:
#   - write the root mean square of $x$
# ---

# %% tags=["setup"]
import matplotlib.pyplot as plt
import torch

from course_utils.exercises import check, progress

# %% [markdown]
# ## A picture first
#
# $x$ is a vector of $N$ numbers.

# %% tags=["figure"] alt="Four points on a rising line"
plt.plot(torch.arange(4), "o-")
plt.show()

# %% [markdown] tags=["exercise"]
# Its root mean square is $\\\\sqrt{\\\\frac1N \\\\sum_i x_i^2}$.

# %% tags=["exercise"]
def root_mean_square(x):
    """x: (N,). Returns a scalar."""
    ### BEGIN SOLUTION
    return x.square().mean().sqrt()
    ### END SOLUTION

# %% tags=["check"]
check("99.1")

# %% [markdown] tags=["exercise"]
# What is it for $(3, -3)$?

# %% tags=["exercise"]
### BEGIN SOLUTION
answer_99_2 = 3
### END SOLUTION

# %% tags=["check"]
check("99.2")

# %%
print(f"of 3 and 4: {root_mean_square(torch.tensor([3.0, 4.0])):.4f}")
progress()
'''.replace("\\\\", "\\")

EXERCISES = '''\
"""Exercises of chapter 99."""

from course_utils.exercises.framework import close, differs, exercise, same_shape


def reference(x):
    return x.square().mean().sqrt()


@exercise("99.1", reference=reference, title="The root of the mean of the squares", minutes=3, points=2, hints=["Inside out."])
def root_mean_square(answer, fresh):
    x = fresh.normal(fresh.integer(5, 20))
    got = answer(x)
    yield same_shape(got, ()), "The result has shape {got}; one number has {want}."
    yield differs(got, x.square().mean()), "The root is missing."
    yield close(got, reference(x)), "Off by {error:.2g}."


@exercise("99.2", reference=3, title="By head", kind="predict", minutes=1, points=1, hints=["Squares have no sign."])
def answer_99_2(answer, fresh):
    yield differs(answer, 0), "That is the mean."
    yield close(answer, 3), "Not {got:g}."
'''

ANSWERS = '''\
"""Chapter 99: right answers, and known wrong ones, each with a phrase of its diagnosis."""

RIGHT = {"99.1": [lambda x: (x**2).mean() ** 0.5], "99.2": [3.0]}
WRONG = [
    ("99.1", lambda x: x.square().mean(), "root is missing"),
    ("99.1", lambda x: x.square().sum().sqrt(), "off by"),
    ("99.1", lambda x: x.abs(), "one number"),
    ("99.2", 0, "the mean"),
    ("99.2", 9, "not 9"),
    ("99.2", "three", "where a tensor or a number is expected"),
]
'''


def command(folder, *arguments, seconds=300):
    """`python -m ...` at the top of the copy, with the copy's package."""
    environment = os.environ | {"PYTHONPATH": str(folder)}
    environment = {k: v for k, v in environment.items() if k not in ("COURSE_CHECKPOINTS", "COURSE_STATIC", "MPLBACKEND")}
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=folder, env=environment, capture_output=True,
                          text=True, timeout=seconds)  # fmt: skip
    assert done.returncode == 0, f"{' '.join(arguments)}:\n{done.stdout[-4000:]}{done.stderr[-2000:]}"
    return done.stdout


def contents(folder):
    files = (p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def added(tmp_path_factory):
    """The copy, with steps 1 to 3 of README's "Add a chapter" done: its folder, and the files that changed."""
    folder = tmp_path_factory.mktemp("teacher") / "course"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    before = contents(folder)
    (folder / "notebooks" / "source" / "99_dummy.py").write_text(SOURCE, encoding="utf-8")
    (folder / "course_utils" / "exercises" / "chapter_99.py").write_text(EXERCISES, encoding="utf-8")
    (folder / "tests" / "exercises" / "chapter_99_answers.py").write_text(ANSWERS, encoding="utf-8")
    command(folder, "course_utils.notebooks", "build")  # make notebooks
    command(folder, "course_utils.notebooks", "build", "--execute", "99")  # make notebooks-run CHAPTERS=99
    after = contents(folder)
    return folder, {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


@pytest.mark.slow
def test_three_files_are_written_and_the_rest_follows(added):
    folder, changed = added
    written = {"notebooks/source/99_dummy.py", "course_utils/exercises/chapter_99.py", "tests/exercises/chapter_99_answers.py"}
    made = {"notebooks/99_dummy.ipynb", "notebooks/solutions/99_dummy.ipynb", "README.md"}
    assert changed == written | made
    row = next(line for line in (folder / "README.md").read_text(encoding="utf-8").splitlines() if "99_dummy" in line)
    assert "A dummy chapter" in row and "2 (3 points)" in row


@pytest.mark.slow
def test_the_solution_is_run_and_passes_its_checks(added):
    cells = nbformat.read(added[0] / "notebooks" / "solutions" / "99_dummy.ipynb", as_version=4).cells
    outputs = {c.id: str(c.get("outputs", "")) for c in cells}
    assert "Passed" in outputs["check-99-1"] and "Passed" in outputs["check-99-2"]
    assert "image/png" in "".join(outputs.values()) and "of 3 and 4: 3.5355" in "".join(outputs.values())


@pytest.mark.slow
def test_the_other_tests_take_it_up(added):
    """`make test` runs it unsolved and solved, and holds it to the rules of all chapters."""
    files = [f"tests/notebooks/test_{name}.py" for name in ("run", "committed")]
    printed = command(added[0], "pytest", "-v", "-p", "no:cacheprovider", "-k", "99_dummy or folder_holds", *files)
    for test in ("run.py::test_runs_in_time[notebooks-99_dummy]", "run.py::test_runs_in_time[solutions-99_dummy]",
                 "test_committed_is_what_the_source_gives[solutions/99_dummy.ipynb]",
                 "test_exercises_belong_to_their_chapter_and_each_is_registered[99_dummy]"):  # fmt: skip
        assert f"{test} PASSED" in printed


@pytest.mark.slow
def test_its_answers_are_tried(added):
    printed = command(added[0], "pytest", "-v", "-p", "no:cacheprovider", "-k", "99.", "tests/exercises/test_chapters.py")
    for test in ("references_pass[99.1]", "right_answers_pass[99.2-1]", "wrong_answers_get_their_diagnosis[99.2-3]",
                 "every_exercise_has_three_wrong_answers_with_their_own_diagnoses[99.1]"):  # fmt: skip
        assert f"::test_{test} PASSED" in printed


@pytest.mark.slow
def test_the_grader_knows_it(added):
    folder, _ = added
    names = ["notebooks/99_dummy.ipynb", "notebooks/solutions/99_dummy.ipynb"]
    command(folder, "course_utils.cli", "grade", *names, "--out", "grades.csv", "--jobs", "2")
    with open(folder / "grades.csv", encoding="utf-8", newline="") as file:
        rows = {row["student"]: (row["99.1"], row["99.2"], row["out of"]) for row in csv.DictReader(file)}
    assert rows == {"notebooks/99_dummy.ipynb": ("0", "0", "3"), "solutions/99_dummy.ipynb": ("2", "1", "3")}
