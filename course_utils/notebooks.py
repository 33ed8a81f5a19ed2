"""Notebooks and pages from the one source: `python -m course_utils.notebooks build | course | pages | time | release`.

build    notebooks/source/NN_topic.py -> notebooks/NN_topic.ipynb (exercises blank) and
         notebooks/solutions/NN_topic.ipynb (solved; with --execute also run, and the outputs kept)
course   run every solution notebook in a fresh kernel and write pages to build/; committed notebooks stay as they are
pages    the pages from the solution notebooks as they are
time     how long each notebook takes, and its first figure
release  what students get, in a folder of its own
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import nbformat

from course_utils import paths
from course_utils.errors import CourseError, reject
from course_utils.files import write_text
from course_utils.publishing import readme
from course_utils.publishing.assemble import assemble, registered
from course_utils.publishing.execute import NotebookFailed, Run, clean, run, run_all
from course_utils.publishing.pages import write_pages
from course_utils.publishing.source import read, source_files


def build(source_dir: Path, out_dir: Path, *, only: Sequence[str] = (), entry: Callable = registered) -> list[Path]:
    """Write both notebooks of each chapter; returns their paths. Files whose content is the same stay untouched.

    only: chapter numbers or stems, default all but drafts. A solution notebook keeps its outputs up to the first cell whose code
    changed. CourseError names the chapter and what is wrong with it; then nothing is written.
    """
    files = chosen(source_files(source_dir, drafts=bool(only)), only)
    made: dict[Path, str] = {}
    for file in files:
        chapter = read(file)
        for solved in (False, True):
            try:
                notebook = assemble(chapter, solved, entry)
            except CourseError as error:
                raise CourseError(f"{file.name}: {error}") from error
            target = Path(out_dir, *(["solutions"] if solved else []), f"{file.stem}.ipynb")
            if solved and target.is_file():
                _keep_outputs(nbformat.read(target, as_version=4), notebook)
            made[target] = dumps(notebook)
    for target, text in made.items():
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            write_text(target, text)
    return list(made)


def execute(path: Path, *, out: Path | None = None, timeout: float = 600) -> Run:
    """Run a notebook in a fresh kernel and write it with its outputs to `out` (default: over itself).

    Raises NotebookFailed when a cell fails, CourseError when the result does not belong in a repository; then nothing
    is written.
    """
    done = run(path, timeout=timeout)
    write_text(Path(out or path), dumps(clean(done.notebook, done.name)))
    return done


def pages(notebook_dir: Path, out_dir: Path | None = None) -> list[Path]:
    """Write the pages of a folder of executed solution notebooks to `out_dir` (default: the checkout's build/)."""
    return write_pages(notebook_dir, out_dir or _checkout() / "build")


def chosen(files: list[Path], only: Sequence[str]) -> list[Path]:
    """The files whose number or stem is named, or all. CourseError for a name that fits none."""
    for name in only:
        if not any(name in (f.stem, f.stem[:2]) for f in files):
            raise reject("chapter", name, [f.stem for f in files], "Give a chapter's number or name.")
    return [f for f in files if not only or f.stem in only or f.stem[:2] in only]


def dumps(notebook) -> str:
    """A notebook as text, the same on every machine."""
    return nbformat.writes(notebook, indent=1, sort_keys=True, ensure_ascii=False).rstrip("\n") + "\n"


def _keep_outputs(old, new) -> None:
    before = [c for c in old.cells if c.cell_type == "code"]
    after = [c for c in new.cells if c.cell_type == "code"]
    for was, now in zip(before, after, strict=False):
        if was.source != now.source or was.metadata.get("alt") != now.metadata.get("alt"):
            return
        now.outputs, now.execution_count = was.outputs, was.execution_count


def _checkout() -> Path:
    root = paths.repository_root()
    if root is None:
        raise CourseError("this command works on a checkout: run it where pyproject.toml and notebooks/ lie")
    return root


def _solutions(only: Sequence[str]) -> list[Path]:
    folder = _checkout() / "notebooks" / "solutions"
    files = sorted(folder.glob("*.ipynb"))
    if not files:
        raise CourseError(f"no solution notebooks in {folder}: run make notebooks (a students' release has none)")
    return chosen(files, only)


def _build(options) -> None:
    folder = _checkout() / "notebooks"
    written = build(options.source or folder / "source", options.out or folder, only=options.chapters)
    solutions = [p for p in written if p.parent.name == "solutions"]
    print(f"built {len(written)} notebooks in {options.out or folder}")
    if not options.source and not options.out:
        readme.update(_checkout() / "README.md", [read(file) for file in source_files(folder / "source")])
    if options.execute:
        for done in run_all(solutions, options.workers):
            write_text(solutions[0].parent / f"{done.name}.ipynb", dumps(clean(done.notebook, done.name)))
            print(_line(done))


def _course(options) -> None:
    out = options.out or _checkout() / "build"
    for stale in (out / "notebooks").glob("*.ipynb"):
        stale.unlink()
    for done in run_all(_solutions(options.chapters), options.workers):
        write_text(out / "notebooks" / f"{done.name}.ipynb", dumps(clean(done.notebook, done.name)))
        print(_line(done))
    print(f"pages: open {pages(out / 'notebooks', out)[0]}")


def _pages(options) -> None:
    written = pages(options.source or _checkout() / "notebooks" / "solutions", options.out)
    print(f"wrote {len(written)} pages: open {written[0]}")


def _time(options) -> None:
    for file in _solutions(options.chapters):  # one after another, with all cores, as a reader runs them
        print(_line(run(file)))


def _release(options) -> None:
    from course_utils.publishing.release import release

    if options.out is None:
        raise reject("--out", None, "an empty or new folder", "make release DIR=../for-students")
    print(f"wrote {release(_checkout(), options.out)} files to {options.out}")


def _line(done: Run) -> str:
    figure = f"first figure {done.first_figure:5.1f} s" if done.first_figure is not None else "no figure"
    return f"{done.name:32s} {done.seconds:6.1f} s   {figure}"


COMMANDS = {"build": _build, "course": _course, "pages": _pages, "time": _time, "release": _release}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "course_utils.notebooks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("chapters", nargs="*", help="chapter numbers or names, default all")
    parser.add_argument("--source", type=Path, help="folder of sources, or of notebooks for pages")
    parser.add_argument("--out", type=Path, help="folder to write to")
    parser.add_argument("--execute", action="store_true", help="build: also run the solutions and keep their outputs")
    parser.add_argument("--workers", type=int, help="notebooks at a time, default the number of cores")
    options = parser.parse_intermixed_args(arguments)  # a chapter may follow an option: build --execute 02
    try:
        COMMANDS[options.command](options)
    except (CourseError, NotebookFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, CourseError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
