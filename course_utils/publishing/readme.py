"""The chapter table of README.md, written from the sources' headers, so that it never lags behind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from course_utils.errors import CourseError
from course_utils.exercises import framework
from course_utils.files import write_text
from course_utils.publishing import assemble
from course_utils.publishing.source import Chapter

REGION = re.compile(r"(<!-- chapters: [^\n]*-->\n)(.*?)(<!-- end of chapters -->)", re.DOTALL)


def table(chapters: Sequence[Chapter]) -> str:
    """A Markdown table: number, title and question, minutes, exercises, links to Colab for both forms."""
    lines = ["| | chapter | minutes | exercises | open |", "|---|---|---|---|---|"]
    for chapter in chapters:
        front, stem = chapter.front, chapter.stem
        badge, solved = (assemble.colab_badge(assemble.notebook_path(stem, form)) for form in (False, True))
        known = framework.exercises(int(chapter.number))
        points = sum(exercise.points for exercise in known)
        exercises = f"{len(known)} ({points:g} points)" if known else "–"
        title = f"[{front.title}](notebooks/{stem}.ipynb): {front.question}"
        lines.append(f"| {chapter.number} | {title} | {front.minutes} | {exercises} | {badge} · solved {solved} |")
    return "\n".join(lines) + "\n"


def written(text: str, chapters: Sequence[Chapter]) -> str:
    """README's text with the table between its two markers. CourseError if the markers are gone."""
    if not REGION.search(text):
        raise CourseError("README.md: the markers '<!-- chapters: ... -->' and '<!-- end of chapters -->' are missing")
    return REGION.sub(lambda found: found[1] + table(chapters) + found[3], text)


def update(path: Path, chapters: Sequence[Chapter]) -> None:
    """Write the table into README.md, if it is not the same already."""
    old = path.read_text(encoding="utf-8")
    if (new := written(old, chapters)) != old:
        write_text(path, new)
