"""For teachers: grade students' notebooks, write what students get."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from ..errors import CourseError
from .common import command, option


@command
def grade(
    submissions: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NOTEBOOK ...")],
    /,
    out: Path = Path("grades.csv"),
    roster: Annotated[Path | None, option("PATH")] = None,
    timeout: float = 600.0,
    cell_timeout: float = 30.0,
    memory: int = 4096,
    jobs: int = 1,
    feedback: Annotated[Path | None, option("PATH")] = None,
) -> None:
    """Run notebooks, each in its own process, and write a table of points: a row a student, a column an exercise.

    This is no security sandbox: the notebooks run with your rights.

    Args:
        submissions: notebooks, folders of them, or patterns
        out: the CSV file to write
        roster: a CSV file with the columns file and student
        timeout: seconds for a whole notebook
        cell_timeout: seconds for one cell, or one check
        memory: MB for one notebook
        jobs: notebooks at a time
        feedback: folder of the feedback pages; beside the CSV file, with _feedback in its name, if not given
    """
    from ..grading import feedback_folder
    from ..grading import grade as run

    if not submissions:
        raise CourseError(
            "NOTEBOOK: none given. Name notebooks, folders of them, or patterns: course grade work/*.ipynb"
        )
    pages = feedback or feedback_folder(out)
    limits = {"timeout_s": timeout, "cell_timeout_s": cell_timeout, "memory_mb": memory}
    print(run(submissions, out, roster=roster, jobs=jobs, feedback_dir=pages, **limits))
    print(f"wrote {out} and a page per notebook in {pages}")


@command
def release(folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")], /) -> None:
    """Write what students get to a new folder: exercise notebooks and the package, without solutions.

    Args:
        folder: an empty or new folder outside the checkout
    """
    from ..paths import repository_root
    from ..publishing.release import release as write

    root = repository_root()
    if root is None:
        raise CourseError("release: needs a checkout of the repository, and this package was installed without one.")
    print(f"wrote {write(root, folder)} files to {folder}")
