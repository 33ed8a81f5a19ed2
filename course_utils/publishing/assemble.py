"""A chapter's two notebooks from its source: header, set-up, cards, cells, with stable ids and nbgrader's metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course_utils import paths
from course_utils.errors import CourseError
from course_utils.publishing import regions
from course_utils.publishing.source import Cell, Chapter

ASSETS = Path(__file__).parent / "assets"
BRANCH = "main"
COLAB_BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
MODE_CELL = """\
# LOAD takes trained weights from checkpoints/, FAST trains small versions here, FULL trains as the recipes say.{costs}
MODE = os.environ.get("COURSE_MODE", "LOAD")
assert MODE in ("LOAD", "FAST", "FULL"), f'MODE is "LOAD", "FAST" or "FULL", not {{MODE!r}}'
"""


def registered(number: str):
    """The exercise's entry in the registry: number, title, kind, minutes, difficulty, points, hints."""
    from course_utils.exercises.framework import find

    return find(number)


def assemble(chapter: Chapter, solved: bool, entry: Callable = registered) -> nbformat.NotebookNode:
    """The chapter as a notebook without outputs; `entry(number)` gives what the card of an exercise says.

    CourseError when a solution stands outside an exercise cell, or an exercise cell has none.
    """
    cells = [_header(chapter, solved), _setup(), _mode(chapter)]
    carded: set[str] = set()
    for cell in chapter.cells:
        if "exercise" in cell.tags and cell.exercise not in carded:
            carded.add(cell.exercise)
            cells.append(_card(cell, entry(cell.exercise)))
            if cell.kind == "markdown":
                continue
        if solved or "solution" not in cell.tags:
            cells.append(_cell(cell, solved, entry))
    _number_ids(cells)
    course = {"chapter": chapter.number, "title": chapter.front.title, "question": chapter.front.question}
    course |= {"minutes": chapter.front.minutes, "goals": chapter.front.goals, "exercises": len(chapter.exercises)}
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "course": course | {"form": "solution" if solved else "exercise"},
    }
    notebook = new_notebook(cells=cells, metadata=metadata)
    notebook.nbformat_minor = 5
    return notebook


def notebook_path(stem: str, solved: bool) -> str:
    """Where the notebook lies in the repository, with forward slashes."""
    return f"notebooks/{'solutions/' if solved else ''}{stem}.ipynb"


def colab_link(path: str) -> str:
    """The address that opens the repository's notebook at `path` in Colab."""
    github = paths.repository_url().removeprefix("https://github.com/")
    return f"https://colab.research.google.com/github/{github}/blob/{BRANCH}/{path}"


def colab_badge(path: str) -> str:
    """Markdown of a badge with that link."""
    return f"[![Open in Colab]({COLAB_BADGE})]({colab_link(path)})"


def _header(chapter: Chapter, solved: bool):
    front, url = chapter.front, paths.repository_url()
    here, other = notebook_path(chapter.stem, solved), notebook_path(chapter.stem, not solved)
    lines = [f"# {chapter.number} · {front.title}", "", f"**{front.question}**", ""]
    lines += [colab_badge(here)]
    lines += [f"[{'Exercises' if solved else 'Solutions'}]({url}/blob/{BRANCH}/{other})", ""]
    lines += [f"About {front.minutes} minutes. You will be able to"] + [f"- {goal}" for goal in front.goals]
    if front.prerequisites:
        lines += ["", "You need: " + "; ".join(front.prerequisites) + "."]
    if front.checkpoints:
        lines += ["", "Trained weights used: " + ", ".join(f"`{name}`" for name in front.checkpoints) + "."]
    return new_markdown_cell("\n".join(lines), id="header", metadata={"tags": ["header"]})


def _setup():
    text = (ASSETS / "setup_cell.py").read_text(encoding="utf-8").replace("@REPOSITORY@", paths.repository_url())
    hidden = {"tags": ["setup"], "cellView": "form", "jupyter": {"source_hidden": True}}
    return new_code_cell(text.rstrip(), id="setup", metadata=hidden)


def _mode(chapter: Chapter):
    costs = "".join(f"\n# {mode}: {cost}" for mode, cost in chapter.front.modes.items())
    return new_code_cell(MODE_CELL.format(costs=costs).rstrip(), id="mode", metadata={"tags": ["mode"]})


def _card(cell: Cell, entry):
    """Title line and hints of an exercise, around the source's own text if the exercise begins with a markdown cell."""
    points = f"{entry.points:g} point{'' if entry.points == 1 else 's'}"
    level = "●" * entry.difficulty + "○" * (3 - entry.difficulty)
    lines = [f"### Exercise {entry.number} · {entry.title}", ""]
    lines += [f"*{str(entry.kind).capitalize()} · {entry.minutes} minutes · difficulty {level} · {points}*"]
    if cell.kind == "markdown":
        lines += ["", cell.text]
    for i, hint in enumerate(entry.hints, 1):
        lines += ["", "<details>", f"<summary>Hint {i} of {len(entry.hints)}</summary>", "", hint, "", "</details>"]
    return new_markdown_cell("\n".join(lines), id=_id("card", cell.exercise), metadata={"tags": ["card"]})


def _cell(cell: Cell, solved: bool, entry: Callable):
    if cell.kind == "markdown":
        return new_markdown_cell(cell.text, id=_hashed(cell.text), metadata=_metadata(cell))
    is_exercise = "exercise" in cell.tags
    if regions.has_regions(cell.text) != is_exercise:
        where = "an exercise cell without a SOLUTION region" if is_exercise else "a solution outside an exercise cell"
        raise CourseError(f"{where}: {cell.text[:60]!r}")
    text = cell.text
    if is_exercise:
        text = regions.solved(text) if solved else regions.unsolved(text)
    made = new_code_cell(text, id=_hashed(cell.text), metadata=_metadata(cell))
    if is_exercise:
        made.id = _id("exercise", cell.exercise)
        made.metadata["nbgrader"] = _nbgrader(made.id, solution=True)
    elif "check" in cell.tags:
        made.id = _id("check", cell.exercise)
        made.metadata["nbgrader"] = _nbgrader(made.id, points=entry(cell.exercise).points)
    return made


def _metadata(cell: Cell) -> dict:
    return ({"tags": list(cell.tags)} if cell.tags else {}) | ({"alt": cell.alt} if cell.alt else {})


def _nbgrader(grade_id: str, solution: bool = False, points: float | None = None) -> dict:
    """nbgrader's metadata, schema 3: a solution cell that students fill in, or a locked test cell worth `points`."""
    made = {"schema_version": 3, "grade_id": grade_id, "cell_type": "code", "task": False}
    made |= {"grade": not solution, "solution": solution, "locked": not solution}
    return made if solution else made | {"points": points}


def _id(word: str, number: str) -> str:
    return f"{word}-{number.replace('.', '-')}"


def _hashed(text: str) -> str:
    """An id that changes with the cell's text alone, so that inserting a cell leaves the others' ids as they are."""
    return "cell-" + hashlib.sha1(text.encode("utf-8")).hexdigest()[:10]


def _number_ids(cells: list) -> None:
    """Make repeated ids (equal cells, two code cells of one exercise) different: -2, -3 ...; grade ids likewise."""
    seen: dict[str, int] = {}
    for cell in cells:
        seen[cell.id] = nth = seen.get(cell.id, 0) + 1
        if nth > 1:
            cell.id += f"-{nth}"
            if "nbgrader" in cell.metadata:
                cell.metadata["nbgrader"]["grade_id"] += f"-{nth}"
