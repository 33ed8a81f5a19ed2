"""Notebooks as students of chapter 02 might hand them in, made from the chapter's own notebooks and known answers."""

from __future__ import annotations

import ast
import copy
import json
from collections import defaultdict
from pathlib import Path

from course_utils import paths
from course_utils.exercises import framework

ROOT = paths.PACKAGE.parent
STEM = "02_variational_autoencoders"
KNOWN = ROOT / "tests" / "exercises" / "chapter_02_answers.py"
NUMBERS = [e.number for e in framework.exercises(2)]
POINTS = {number: framework.find(number).points for number in NUMBERS}


def notebook(solved: bool) -> dict:
    """The chapter as it lies in the repository."""
    path = ROOT / "notebooks" / ("solutions" if solved else "") / f"{STEM}.ipynb"
    return json.loads(path.read_text(encoding="utf-8"))


def answer_cells(book: dict) -> dict[str, dict]:
    """The code cell of each exercise, by number."""
    named = {c["metadata"].get("nbgrader", {}).get("grade_id"): c for c in book["cells"]}
    return {number: named[f"exercise-{number.replace('.', '-')}"] for number in NUMBERS}


SOLUTIONS = {number: "".join(cell["source"]) for number, cell in answer_cells(notebook(solved=True)).items()}


def handed_in(answers: dict[str, str]) -> dict:
    """The exercise notebook with these answers written into it; the others stay blank."""
    book = notebook(solved=False)
    cells = answer_cells(book)
    for number, source in answers.items():
        cells[number]["source"] = source
    return book


def wrong_answers() -> dict[str, list[tuple[str, str]]]:
    """The known wrong answers as a student would type them: number -> [(source of a cell, phrase of its diagnosis)]."""
    tree = ast.parse(KNOWN.read_text(encoding="utf-8"))
    listed = next(n.value for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "WRONG")
    found = defaultdict(list)
    for number, answer, phrase in (row.elts for row in listed.elts):
        found[number.value].append((_typed(number.value, answer, _helpers(tree)), phrase.value))
    return dict(found)


def _helpers(tree: ast.Module) -> str:
    """What the list's lambdas use: the module's imports and its own small functions."""
    kept = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.Import | ast.ImportFrom)]
    return "\n".join(map(ast.unparse, kept))


def _typed(number: str, answer: ast.expr, helpers: str) -> str:
    name = framework.find(number).name
    if not isinstance(answer, ast.Lambda):
        return f"{name} = {ast.unparse(answer)}"
    return f"{helpers}\n\ndef {name}({ast.unparse(answer.args)}):\n    return {ast.unparse(answer.body)}"


def code_cell(source: str) -> dict:
    """A cell that a student has added."""
    added = {"cell_type": "code", "execution_count": None, "id": "added", "metadata": {}, "outputs": []}
    return added | {"source": source}


def without(book: dict, *numbers: str) -> dict:
    """The notebook without the cells of these exercises, text and check included."""
    names = [number.replace(".", "-") for number in numbers]
    kept = copy.deepcopy(book)
    kept["cells"] = [c for c in book["cells"] if not any(c.get("id", "").endswith(name) for name in names)]
    return kept


def write(path: Path, book: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(book), encoding="utf-8")
    return path


WRONG = wrong_answers()
LOOP = "def kl_to_prior(mu, logvar):\n    while True: pass"
EXIT = "def negative_elbo(x, mean, mu, logvar, variance):\n    exit()"
HOG = "def importance_weighted_bound(w):\n    kept = []\n    while True: kept.append(torch.ones(5_000_000))"
TRUNCATED = '{"cells": [{"cell_type": "code", "source": ["import torch'


def submissions():
    """name -> (notebook, exercises that earn their points, the note in the teacher's table); with TRUNCATED, twenty-four."""
    made = {"perfect": (handed_in(SOLUTIONS), NUMBERS, ""), "empty": (handed_in({}), [], "")}
    for i in range(max(map(len, WRONG.values()))):
        wrong = {number: known[i][0] for number, known in WRONG.items() if i < len(known)}
        made[f"wrong_{i + 1}"] = (handed_in(SOLUTIONS | wrong), but(*wrong), "")
    made["endless_loop"] = (handed_in(SOLUTIONS | {"2.2": LOOP}), but("2.2"), "")
    made["exit"] = (handed_in(SOLUTIONS | {"2.3": EXIT, "2.4": "answer_2_4 = 1024\nexit()"}), but("2.3", "2.4"), "")
    made["memory_hog"] = (handed_in(SOLUTIONS | {"2.5": HOG}), but("2.5"), "")
    made["syntax_error"] = (handed_in(SOLUTIONS | {"2.6": SOLUTIONS["2.6"].replace("):", ")", 1)}), but("2.6"), "")
    made["deleted_cells"] = (without(handed_in(SOLUTIONS), "2.1", "2.4"), but("2.1", "2.4"), "")
    renamed = SOLUTIONS["2.2"].replace("kl_to_prior", "kl_of_prior")
    made["renamed_function"] = (handed_in(SOLUTIONS | {"2.2": renamed}), but("2.2"), "")
    made["crash_elsewhere"] = (crash_elsewhere(), NUMBERS, "")
    message = "cell 3 stops with ModuleNotFoundError: No module named 'torch_of_mine'"
    made["broken_setup"] = (broken_setup(), NUMBERS, message)
    return made


def but(*numbers):
    """All exercises except these."""
    return [number for number in NUMBERS if number not in numbers]


def crash_elsewhere():
    """An added cell that raises, and an exercise that uses a function defined in it."""
    book = handed_in(SOLUTIONS | {"2.1": SOLUTIONS["2.1"].replace("(logvar / 2).exp()", "std_of(logvar)")})
    own = "def std_of(logvar):\n    return (logvar / 2).exp()\n\nraise RuntimeError('my experiment')"
    book["cells"].insert(book["cells"].index(answer_cells(book)["2.1"]), code_cell(own))
    return book


def broken_setup():
    """An import that fails, on top of the chapter's own imports."""
    book = handed_in(SOLUTIONS)
    book["cells"].insert(2, code_cell("import torch_of_mine"))
    return book
