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
KNOWN = ROOT / "tests" / "exercises" / "test_chapter_02.py"
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
    """What the list's lambdas use: the test module's imports of torch and math, and its own small functions."""
    kept = [n for n in tree.body if isinstance(n, ast.FunctionDef) and not n.decorator_list and "test_" not in n.name]
    imports = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    kept += [n for n in imports if any(word in ast.unparse(n) for word in ("import torch", "import math", "from torch"))]
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
