"""`course grade`: runs students' notebooks, one kernel each, and makes a table and a page of feedback per notebook.

This is no security sandbox. It survives mistakes (endless loops, `exit()`, a hunger for memory, deleted cells), and its
limits end what a notebook has started; but a notebook runs with your rights and can read and change whatever you can,
its own grade included. Grade strangers' work in a container or a virtual machine.
"""

from __future__ import annotations

import collections
import csv
import glob
import html
import io
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from course_utils.errors import CourseError, reject
from course_utils.exercises import cards, framework
from course_utils.files import write_text
from course_utils.grading_kernel import LimitedKernel
from course_utils.grading_notebook import WARM_UP, Limits, NotebookGrade, NotebookRun, chapter_of, plan, read_cells

NO_SANDBOX = "This is no security sandbox: notebooks run with your rights. Grade strangers' work in a container."


@dataclass
class Row:
    """One student. points: by exercise number, None where no notebook of theirs covers it."""

    student: str
    files: list[str] = field(default_factory=list)
    points: dict[str, float | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def total(self) -> float:
        return sum(p for p in self.points.values() if p)


@dataclass
class GradeTable:
    """One row per student, one column per exercise. notebooks: what was found, notebook by notebook."""

    rows: list[Row]
    numbers: list[str]
    notebooks: list[NotebookGrade]

    def cells(self) -> list[list[str]]:
        """Header and rows as texts: student, files, one column per exercise, total, out of, notes."""
        best = _number(sum(framework.find(n).points for n in self.numbers))
        lines = [["student", "files", *self.numbers, "total", "out of", "notes"]]
        for r in self.rows:
            points = [_number(r.points.get(n)) for n in self.numbers]
            lines.append([r.student, " ".join(r.files), *points, _number(r.total), best, "; ".join(r.notes)])
        return lines

    def write(self, path: Path) -> None:
        """As CSV (UTF-8), atomically."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(self.cells())
        write_text(path, text.getvalue())

    def __str__(self) -> str:
        rows = [[c for i, c in enumerate(row) if i != 1] for row in self.cells()]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
        lines = [
            "  ".join([*(f"{c:<{w}}" for c, w in zip(row, widths, strict=False)), row[-1]]).rstrip() for row in rows
        ]
        return "\n".join([*lines, "", NO_SANDBOX])


def grade(
    paths: Iterable[str | Path],
    out: str | Path | None = None,
    *,
    timeout_s: float = 600.0,
    cell_timeout_s: float = 30.0,
    memory_mb: int = 4096,
    roster: str | Path | None = None,
    jobs: int = 1,
    feedback_dir: str | Path | None = None,
) -> GradeTable:
    """Grades notebooks and returns the table.

    paths: notebooks, folders of them, or patterns. out: a CSV file to write; with it, feedback pages go to its
    `feedback_folder` unless `feedback_dir` names another. timeout_s: for a whole notebook,
    cell_timeout_s: for one cell or one check, in seconds. memory_mb: for a notebook's kernel and its children. roster:
    a CSV file with columns `file` (with its folder where names repeat: `ada/02.ipynb`) and `student`; without it, the
    file's name stands for the student. jobs: notebooks at a time. A student with several notebooks gets one row; of
    two attempts at one exercise the better counts.

    Raises CourseError for no notebooks, a roster that cannot be read, limits that are not positive, places that cannot
    be written to, no kernel. A
    notebook that cannot be read or graded gets a row that says why.
    """
    for name, value in {
        "timeout_s": timeout_s,
        "cell_timeout_s": cell_timeout_s,
        "memory_mb": memory_mb,
        "jobs": jobs,
    }.items():
        if not value > 0:
            raise reject(name, value, "a number above 0")
    pages = feedback_dir or (feedback_folder(Path(out)) if out else None)
    if out and Path(out).is_dir():
        raise reject("out", str(out), "a CSV file's name", "It is a folder.")
    if pages and Path(pages).is_file():
        raise reject("feedback_dir", str(pages), "a folder, existing or new")
    files = _found(paths)
    students = _read_roster(roster) if roster else {}
    limits = Limits(cell_timeout_s, timeout_s, memory_mb)
    with ThreadPoolExecutor(max_workers=int(jobs)) as pool:
        graded = list(pool.map(lambda path: grade_notebook(path, limits), files))
    table = _table(graded, students)
    if pages:
        _write_pages(graded, Path(pages))
    if out:
        table.write(Path(out))
    return table


def feedback_folder(out: Path) -> Path:
    """Where the feedback pages of a CSV file go, if nothing else is said: `grades.csv` -> `grades_feedback/` beside it."""
    return out.with_name(f"{out.stem}_feedback")


def grade_notebook(path: Path, limits: Limits | None = None) -> NotebookGrade:
    """Grades one notebook in a kernel of its own, in a temporary folder. Raises CourseError if no kernel starts."""
    limits, started = limits or Limits(), time.monotonic()
    try:
        cells = read_cells(path)
    except ValueError as error:
        return NotebookGrade(path, chapter_of([], path), notes=[str(error)])
    chapter = chapter_of(cells, path)
    if chapter is None:
        return NotebookGrade(path, None, notes=["no chapter of this course is recognizable in it"])
    exercises = framework.exercises(chapter)
    with tempfile.TemporaryDirectory(prefix="course-grade-", ignore_cleanup_errors=True) as folder:
        with LimitedKernel(Path(folder), limits.memory_mb, WARM_UP.format(chapter=chapter)) as kernel:
            run = NotebookRun(kernel, plan(cells, exercises), exercises, limits)
            outcomes = run.grade()
    return NotebookGrade(path, chapter, outcomes, run.notes, time.monotonic() - started)


def _found(paths: Iterable[str | Path]) -> list[Path]:
    listed = [paths] if isinstance(paths, (str, Path)) else list(paths)
    files: list[Path] = []
    for path in map(Path, listed):
        if path.is_dir():
            files += sorted(path.glob("*.ipynb"))
        elif path.is_file():
            files.append(path)
        else:  # a shell without patterns hands them on
            matches = sorted(map(Path, glob.glob(str(path))))
            if not matches:
                raise reject("paths", str(path), "a notebook, a folder of notebooks, or a pattern that matches some")
            files += matches
    if not files:
        raise reject("paths", ", ".join(map(str, listed)), "at least one notebook (*.ipynb)")
    return list(dict.fromkeys(files))


def _read_roster(path: str | Path) -> dict[str, str]:
    """File name (or its stem) -> student."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CourseError(
            f"roster: {path} cannot be read ({error}). Give a CSV file with columns file and student."
        ) from error
    if not {"file", "student"} <= set(reader.fieldnames or []):
        raise reject("roster", reader.fieldnames, "columns file and student", "Put them into the first line.")
    return {row["file"].strip(): row["student"].strip() for row in rows if row["file"] and row["student"]}


def _table(graded: list[NotebookGrade], students: dict[str, str]) -> GradeTable:
    chapters = sorted({g.chapter for g in graded if g.chapter is not None})
    numbers = [e.number for chapter in chapters for e in framework.exercises(chapter)]
    rows: dict[str, Row] = {}
    stems = collections.Counter(g.path.stem for g in graded)
    for g in graded:
        longer = f"{g.path.parent.name}/{g.path.name}"  # tells ada/02.ipynb from bob/02.ipynb
        student = next((students[key] for key in (longer, g.path.name, g.path.stem) if key in students), None)
        name = student or (g.path.stem if stems[g.path.stem] == 1 else longer)
        row = rows.setdefault(name, Row(name))
        row.files.append(g.path.name)
        if students and not student:
            row.notes.append(f"{g.path.name} is not on the roster")
        row.notes += g.notes
        covered = [n for n in numbers if framework.find(n).chapter == g.chapter]
        for number in covered:
            row.points[number] = max(row.points.get(number) or 0.0, g.points(number))
    for student in sorted(set(students.values()) - rows.keys()):
        rows[student] = Row(student, notes=["no notebook"])
    return GradeTable(list(rows.values()), numbers, graded)


def _write_pages(graded: list[NotebookGrade], folder: Path) -> None:
    used: set[str] = set()
    for g in graded:
        name, n = g.path.stem, 2
        while name.casefold() in used:  # the same file name from two folders; Windows and macOS see no capitals
            name, n = f"{g.path.stem}_{n}", n + 1
        used.add(name.casefold())
        write_text(folder / f"{name}.html", feedback_page(g))


def feedback_page(g: NotebookGrade) -> str:
    """An HTML page with a card per exercise: state, diagnosis, hints."""
    exercises = [framework.find(number) for number in g.outcomes]
    best, total = sum(e.points for e in exercises), sum(g.points(e.number) for e in exercises)
    body = [f"<h1>{html.escape(g.path.stem)}</h1>", f"<p><strong>{total:g} of {best:g} points</strong></p>"]
    body += [f"<p>{html.escape(note)}</p>" for note in g.notes]
    body += [cards.outcome_card(e, g.outcomes[e.number], in_notebook=False)._repr_html_() for e in exercises]
    body_style = "font-family:system-ui,sans-serif;max-width:54em;margin:2em auto;padding:0 1em"
    style = f":root{{color-scheme:light dark}}body{{{body_style}}}"
    title = html.escape(g.path.stem)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Feedback: {title}</title>'
        f"<style>{style}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
