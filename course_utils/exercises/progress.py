"""What has been solved so far, kept in a small JSON file over restarts."""

from __future__ import annotations

import datetime
import json
import os
import tempfile
from pathlib import Path

from course_utils.errors import CourseError, reject
from course_utils.exercises import cards
from course_utils.exercises.examine import BROKEN, PASSED, REFERENCE, Outcome
from course_utils.paths import repository_root

FILE = ".course_progress.json"
NEW = "not yet checked"
_seen: list[int] = []  # the chapters checked by this kernel, latest last


def progress_file() -> Path | None:
    """COURSE_PROGRESS ('off': none is kept); else at the checkout's root for work inside it, else here."""
    named = os.environ.get("COURSE_PROGRESS")
    if named:
        return None if named.lower() == "off" else Path(named).expanduser()
    root, here = repository_root(), Path.cwd()
    inside = root is not None and here.is_relative_to(root) and os.access(root, os.W_OK)
    return (root if inside else here) / FILE


def load() -> tuple[dict[str, dict], str]:
    """What is on record, by exercise number, and a note: '' or why an existing file could not be used."""
    path = progress_file()
    if path is None or not path.exists():
        return {}, ""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["exercises"]
        return {str(k): dict(v) for k, v in entries.items() if "state" in v}, ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{path} cannot be read as progress ({type(error).__name__})"
        return {}, f"{what}; the next check keeps it as {path.name}.bad and starts anew."


def record(exercise, outcome: Outcome) -> str:
    """Put an outcome on record; what has passed once stays passed. Returns a note: '' or why it could not be kept."""
    if exercise.chapter in _seen:
        _seen.remove(exercise.chapter)
    _seen.append(exercise.chapter)
    path = progress_file()
    if path is None or outcome.state in (BROKEN, REFERENCE):
        return ""
    entries, note = load()
    old = entries.get(exercise.number, {})
    state = PASSED if old.get("state") == PASSED else outcome.state
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    entries[exercise.number] = {"state": state, "checks": int(old.get("checks", 0)) + 1, "last": now}
    try:
        if note:
            os.replace(path, path.with_name(path.name + ".bad"))
        _write(path, entries)
    except OSError as error:
        return f"Progress could not be kept in {path}: {error.strerror}. Set COURSE_PROGRESS to a file you may write."
    return note


def _write(path: Path, entries: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"version": 1, "exercises": entries}, file, indent=1, sort_keys=True)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def table(chapter: int | str | None = None) -> tuple[list[dict], str]:
    """One row per exercise (number, title, kind, state, points, earned, minutes) and the note of `load`.

    chapter: a number, "all", or None: the chapter checked last in this session, and all of them before any check."""
    from course_utils.exercises import framework

    if chapter is None:
        chapter = _seen[-1] if _seen else "all"
    if chapter != "all" and (isinstance(chapter, bool) or not str(chapter).isdigit()):
        raise reject("chapter", chapter, "a chapter's number, or 'all'")
    entries, note = load()
    rows = []
    for e in framework.exercises(None if chapter == "all" else int(chapter)):
        state = entries.get(e.number, {}).get("state", NEW)
        row = {"number": e.number, "title": e.title, "kind": e.kind, "state": state, "minutes": e.minutes}
        rows.append(row | {"points": e.points, "earned": e.points if state == PASSED else 0})
    return rows, note


def progress(chapter: int | str | None = None) -> None:
    """Show a table of exercises: state, points, minutes. chapter: a number or "all"; by default this notebook's."""
    try:
        rows, note = table(chapter)
        kept = "" if progress_file() else "COURSE_PROGRESS is off: nothing is kept."
        cards.show(cards.ProgressTable(rows, note or kept))
    except Exception as error:  # noqa: BLE001  (a notebook goes on)
        text = str(error) if isinstance(error, CourseError) else repr(error)
        cards.show(cards.Card(BROKEN, "No progress to show", [text]))
