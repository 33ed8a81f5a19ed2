"""Reading notebooks/source/NN_topic.py: a YAML header, then cells in jupytext's py:percent format.

The header holds title, question, minutes and goals and, where there are any, prerequisites, checkpoints, modes (what FAST
and FULL cost) and draft: true, for a chapter that is not to be built yet. Cell tags: exercise, check, and solution for a
cell that only the solution notebook shows. A markdown cell tagged exercise is the text of the exercise's card. `alt="..."`
on a code cell's marker is the alternative text of the figures that the cell shows. A cell tagged no-output runs, and its
output is not kept: it tells of one machine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from pathlib import Path

from course_utils.errors import CourseError, reject

NAME = re.compile(r"^(\d\d)_[a-z0-9_]+$")
DRAFT = re.compile(r"\A# ---\n(# .*\n)*?# draft: true\n")
CHECK = re.compile(r"""\bcheck\(\s*["'](\d+\.\d+)["']""")


@dataclass(frozen=True)
class Front:
    """The header of a chapter."""

    title: str
    question: str  # what the chapter answers, one sentence
    minutes: int  # reading and exercises, in LOAD mode
    goals: list[str]  # what the reader is able to do afterwards
    prerequisites: list[str] = field(default_factory=list)
    checkpoints: list[str] = field(default_factory=list)  # names in checkpoints/manifest.json that the chapter loads
    modes: dict[str, str] = field(default_factory=dict)  # {"FAST": "trains for 3 minutes", ...}
    draft: bool = False  # built only when it is named: a chapter whose checkpoints are not recorded yet


@dataclass(frozen=True)
class Cell:
    kind: str  # "markdown" or "code"
    text: str
    tags: tuple[str, ...] = ()
    alt: str = ""  # alternative text of the cell's figures
    exercise: str = ""  # "2.1" on the cells of exercise 2.1


@dataclass(frozen=True)
class Chapter:
    stem: str  # "02_variational_autoencoders"
    front: Front
    cells: tuple[Cell, ...]

    @property
    def number(self) -> str:
        return self.stem[:2]

    @property
    def exercises(self) -> list[str]:
        """Numbers of the chapter's exercises, in order."""
        return list(dict.fromkeys(cell.exercise for cell in self.cells if cell.exercise))


def source_files(source_dir: Path, *, drafts: bool = False) -> list[Path]:
    """The chapters' sources in order, without those whose header says draft. CourseError when there is none."""
    found = sorted(p for p in Path(source_dir).glob("*.py") if NAME.match(p.stem))
    if not found:
        raise reject("source_dir", str(source_dir), "a folder with files named NN_topic.py", "Run from the checkout.")
    return [path for path in found if drafts or not DRAFT.search(path.read_text(encoding="utf-8"))]


def read(path: Path) -> Chapter:
    """One chapter. CourseError names the file and what is wrong with its header or its cells."""
    import jupytext

    path = Path(path)
    if not NAME.match(path.stem):
        raise reject("path", path.name, "NN_topic.py: two digits, then lower-case words", "Rename the file.")
    notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    try:
        if not notebook.cells or notebook.cells[0].cell_type != "raw":
            raise CourseError("the file starts with no YAML header (# ---, # title: ..., # ---)")
        front = _front(notebook.cells[0].source)
        return Chapter(path.stem, front, tuple(_numbered([_cell(c) for c in notebook.cells[1:]])))
    except CourseError as error:
        raise CourseError(f"{path.name}: {error}") from error


def _front(text: str) -> Front:
    import yaml

    try:
        given = yaml.safe_load(text.strip().strip("-")) or {}
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise CourseError(f"header: not valid YAML ({reason}). Put quotes around a text with a colon in it.") from error
    if not isinstance(given, dict):
        raise reject("header", given, "lines of the form `name: value`")
    known = {f.name for f in fields(Front)}
    unknown, missing = set(given) - known, {"title", "question", "minutes", "goals"} - set(given)
    if unknown:
        raise reject("header", sorted(unknown)[0], sorted(known), "Correct the YAML header.")
    if missing:
        raise CourseError(f"header: {', '.join(sorted(missing))} missing; add it to the YAML header")
    if not isinstance(given["minutes"], int) or not isinstance(given["goals"], list):
        raise CourseError("header: minutes is a whole number and goals is a list")
    return Front(**given)


def _cell(cell) -> Cell:
    if cell.cell_type not in ("markdown", "code"):
        raise CourseError(f"a {cell.cell_type} cell; chapters hold markdown and code cells only")
    return Cell(cell.cell_type, cell.source, tuple(cell.metadata.get("tags", ())), cell.metadata.get("alt", ""))


def _numbered(cells: list[Cell]) -> list[Cell]:
    """Give each exercise cell the number of the check that follows it."""
    numbered, open_cells = list(cells), []
    for i, cell in enumerate(cells):
        if "exercise" in cell.tags:
            open_cells.append(i)
        if "check" in cell.tags:
            number = CHECK.search(cell.text)
            if not number:
                raise CourseError(f'a check cell without check("N.M"): {cell.text[:60]!r}')
            for j in (*open_cells, i):
                numbered[j] = Cell(cells[j].kind, cells[j].text, cells[j].tags, cells[j].alt, number[1])
            open_cells = []
    if open_cells:
        raise CourseError(f'an exercise cell that no check("N.M") follows: {cells[open_cells[0]].text[:60]!r}')
    return numbered
