"""Grades one notebook: which of its cells run, in what order, and what a crash costs.

Setup and exercise cells run as they are. Of every other cell only the definitions run (imports, functions, classes,
constants), so that helpers a student has added are there while figures, training and widgets take no time. The
notebook's own check cells are ignored: the grader calls the check itself, right after the cell that holds the answer.
"""

from __future__ import annotations

import ast
import collections
import json
import re
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from course_utils.exercises import framework
from course_utils.exercises.examine import BROKEN, FAILED, MISSING, REFERENCE, Outcome
from course_utils.grading_kernel import LimitedKernel, Ran

MODULE = "course_utils.exercises.notebook"
PROBE = "__import__({module!r}, fromlist=['probe']).probe({number!r})"
RESULT = f"__import__('json').dumps(__import__({MODULE!r}, fromlist=['_']).last_outcome.as_dict())"
WARM_UP = "__import__('course_utils.exercises.framework', fromlist=['_']).load_chapter({chapter})"
BIND = (
    "get_ipython().user_ns[{name!r}] = "
    "__import__('course_utils.exercises.framework', fromlist=['_']).find({number!r}).solution()"
)
OWN_CELL = re.compile(r"exercise-(\d+)[.-](\d+)")  # the grade_id of an exercise's cells
DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
FATAL = {"timeout", "hung", "memory", "exit", "died"}


@dataclass(frozen=True)
class Limits:
    """cell_s: for a cell, and for a check. notebook_s: for all of it. memory_mb: for the kernel and its children."""

    cell_s: float = 30.0
    notebook_s: float = 600.0
    memory_mb: int = 4096


@dataclass(frozen=True)
class Cell:
    """A code cell that is going to run. numbers: the exercises it answers."""

    place: int  # among all cells of the notebook, from 1
    code: str
    numbers: tuple[str, ...] = ()


@dataclass
class NotebookGrade:
    """outcomes: by exercise number, in order. notes: what else the teacher should know."""

    path: Path
    chapter: int | None
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def points(self, number: str) -> float:
        outcome = self.outcomes.get(number)
        return framework.find(number).points if outcome and outcome.passed else 0.0


def read_cells(path: Path) -> list[dict]:
    """The code cells of a notebook file: source, tags, grade_id, place. Raises ValueError with the reason."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        cells = content["cells"]
        found = []
        for place, cell in enumerate(cells, 1):
            if cell["cell_type"] == "code":
                source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
                meta = cell.get("metadata", {})
                name = str(meta.get("nbgrader", {}).get("grade_id", ""))
                found.append({"place": place, "source": source, "tags": set(meta.get("tags", [])), "grade_id": name})
        return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not readable as a notebook ({type(error).__name__}: {error})") from error


def chapter_of(cells: list[dict], path: Path) -> int | None:
    """The chapter most of a notebook's cells speak of; without any such sign, the number its file name starts with."""
    text = "\n".join(c["grade_id"] + "\n" + c["source"] for c in cells)
    named = re.findall(r"(?:exercise|check)-(\d+)[.-]\d+|\bcheck\(\s*[\"'](\d+)\.\d+", text)
    votes = collections.Counter(int(a or b) for a, b in named)
    known = framework.chapters()
    best = [chapter for chapter, _ in votes.most_common() if chapter in known]
    if best:
        return best[0]
    leading = re.match(r"(\d+)", path.name)
    return int(leading[1]) if leading and int(leading[1]) in known else None


def plan(cells: list[dict], exercises: list) -> list[Cell]:
    """The cells to run. A cell answers an exercise if it binds its name, or if it is that exercise's own cell."""
    chosen = []
    for cell in cells:
        if "check" in cell["tags"] and "exercise" not in cell["tags"]:
            continue
        tree = _parsed(cell["source"])
        bound = _names_bound(tree, cell["source"])
        own = OWN_CELL.match(cell["grade_id"])
        own = f"{own[1]}.{own[2]}" if own else ""
        numbers = tuple(e.number for e in exercises if e.name in bound or e.number == own)
        if numbers or cell["tags"] & {"setup", "exercise"}:
            chosen.append(Cell(cell["place"], cell["source"], numbers))
        elif tree is not None and (kept := _definitions(tree)):
            chosen.append(Cell(cell["place"], kept))
    return chosen


def _parsed(source: str) -> ast.Module | None:
    """The syntax tree of a cell, magics included; None for a syntax error."""
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        return ast.parse(TransformerManager().transform_cell(source))
    except (SyntaxError, ValueError):
        return None


def _names_bound(tree: ast.Module | None, source: str) -> set[str]:
    if tree is None:  # a syntax error somewhere: go by the look of its lines
        return {a or b for a, b in re.findall(r"^(?:(?:def|class)\s+(\w+)|(\w+)\s*=[^=])", source, re.M)}
    bound = {node.name for node in tree.body if isinstance(node, DEFINITIONS[2:])}
    targets = [t for node in tree.body if isinstance(node, (ast.Assign, ast.AnnAssign)) for t in _targets(node)]
    return bound | {t.id for t in targets if isinstance(t, ast.Name)}


def _targets(node: ast.Assign | ast.AnnAssign) -> list:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _definitions(tree: ast.Module) -> str:
    """Imports, functions, classes, and names given a literal value; nothing that computes or calls."""
    return "\n".join(ast.unparse(node) for node in tree.body if _is_definition(node))


def _is_definition(node: ast.stmt) -> bool:
    if isinstance(node, DEFINITIONS):
        return True
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
        return False
    try:
        ast.literal_eval(node.value)
        return True
    except (ValueError, TypeError, SyntaxError):
        return False


class NotebookRun:
    """Runs the planned cells and checks after each; starts over after a crash, without the cell at fault."""

    def __init__(self, kernel: LimitedKernel, cells: list[Cell], exercises: list, limits: Limits):
        self.kernel, self.cells, self.limits = kernel, cells, limits
        self.exercises = {e.number: e for e in exercises}
        self.outcomes: dict[str, Outcome] = {}
        self.notes: list[str] = []
        self.done: list[str] = []  # code that made the kernel what it is, to be run again in a new one
        self.until = time.monotonic() + limits.notebook_s

    def grade(self) -> dict[str, Outcome]:
        """An outcome for every exercise, in order."""
        for cell in self.cells:
            ran = self._run(cell.code)
            if ran.end in FATAL:
                self._fail(cell, ran)
                continue
            self.done.append(cell.code)
            if ran.end == "error" and not cell.numbers:
                self.notes.append(f"cell {cell.place} stops with {ran.message}")
                self._salvage(cell)
            for number in cell.numbers:
                self._check(number, ran if ran.end == "error" else None)
        for number in self.exercises:
            if number not in self.outcomes:
                self._check(number, None)
        return {number: self.outcomes[number] for number in self.exercises}

    def _seconds(self) -> float:
        return min(self.limits.cell_s, self.until - time.monotonic())

    def _run(self, code: str, values: dict | None = None) -> Ran:
        if self._seconds() <= 0:
            return Ran("timeout", f"not run: the notebook had used up its {self.limits.notebook_s:g} s")
        ran = self.kernel.run(code, self._seconds(), values)
        if not ran.kernel_lives:
            self._start_over()
        return ran

    def _start_over(self) -> None:
        """A new kernel, brought to where the old one was. What crashes now, and did not before, is left out."""
        kept = []
        self.kernel.start()
        for code in self.done:
            if self._seconds() <= 0:
                break
            if self.kernel.run(code, self._seconds()).kernel_lives:
                kept.append(code)
            else:
                self.kernel.start()
                for earlier in kept:
                    self.kernel.run(earlier, max(self._seconds(), 1.0))
        self.done = kept

    def _salvage(self, cell: Cell) -> None:
        """One bad line in a set-up cell must not cost every exercise its imports: each definition on its own."""
        tree = _parsed(cell.code)
        if tree is None:
            pieces = re.findall(r"^(?:import|from)\s.*$", cell.code, re.M)
        else:
            pieces = [ast.unparse(node) for node in tree.body if _is_definition(node)]
        for code in pieces:
            if self._run(code).end == "ok":
                self.done.append(code)

    def _fail(self, cell: Cell, ran: Ran) -> None:
        if not cell.numbers:
            self.notes.append(f"cell {cell.place} was given up: {ran.message}")
        for number in cell.numbers:
            self._settle(number, FAILED, f"The cell was given up: {ran.message}.")

    def _check(self, number: str, cell_error: Ran | None) -> None:
        ran = self._run(PROBE.format(module=MODULE, number=number), {"outcome": RESULT})
        if "outcome" in ran.values:
            outcome = Outcome(**json.loads(ran.values["outcome"]))
            if outcome.state == REFERENCE and number in self.outcomes:
                return  # a later cell names it again without giving an answer
            if cell_error and outcome.state in (MISSING, REFERENCE):
                outcome = replace(outcome, state=FAILED, message=f"The cell stops with {cell_error.message}.")
            self.outcomes[number] = outcome
            if not outcome.passed:
                self.done.append(BIND.format(name=self.exercises[number].name, number=number))
            return
        # An error in here is the course's own; the student's errors come back as an outcome.
        state = BROKEN if ran.end == "error" else FAILED
        self._settle(number, state, f"The check of this answer was given up: {ran.message}.")

    def _settle(self, number: str, state: str, message: str) -> None:
        """A failure the kernel cannot report itself; the reference takes the answer's place for what follows."""
        exercise = self.exercises[number]
        self.outcomes[number] = Outcome(number, exercise.name, state, message)
        bind = BIND.format(name=exercise.name, number=number)
        if self._run(bind).end == "ok":
            self.done.append(bind)
