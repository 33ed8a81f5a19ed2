"""What students get: exercise notebooks and the package, without solutions, tests or readable references.

Checks and the references written beside them (course_utils/exercises/chapter_NN.py) are encoded as whole files. Where a
reference is a function of the package itself, that function alone is encoded and its module stays readable. This is
no protection against a student who wants to look: it keeps an answer from being met by accident.
"""

from __future__ import annotations

import ast
import base64
import inspect
import shutil
import subprocess
import tempfile
import textwrap
import zlib
from pathlib import Path

from course_utils.errors import CourseError, reject
from course_utils.files import write_text

TOP = ("pyproject.toml", "constraints.txt", "environment.yml", "Makefile", "README.md", "CITATION.cff", "LICENSE*")
FOLDERS = ("course_utils", "data", "checkpoints", "docs")
# nbgrader would replace whole exercise cells, signature and all: ours hold their stub already.
NBGRADER_CONFIG = "c = get_config()  # noqa: F821\nc.ClearSolutions.enabled = False\n"


def release(root: Path, out: Path) -> int:
    """Write the students' copy of the checkout `root` to `out` and return the number of its files.

    Left out: solution notebooks, sources, tests and benchmarks. CourseError when `out` is not empty or lies inside the
    checkout; then nothing is written.
    """
    root, out = Path(root).resolve(), Path(out).resolve()
    if out.is_relative_to(root):
        raise reject("out", str(out), "a folder outside the checkout", "Give another folder.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise reject("out", str(out), "an empty or a new folder", "Remove what is there, or give another folder.")
    secret = _answers(root)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".release-") as made:
        count = _copy(root, Path(made) / "release", secret)
        if out.exists():
            out.rmdir()
        shutil.move(Path(made) / "release", out)
    return count


def _copy(root: Path, made: Path, secret: dict[Path, set[str]]) -> int:
    files = _tracked(root)
    for file in files:
        target = made / file.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file in secret:
            text = file.read_text(encoding="utf-8")
            write_text(target, hide(text, secret[file], file.name) if secret[file] else encoded(text, file.name))
        else:
            shutil.copy2(file, target)
    write_text(made / "nbgrader_config.py", NBGRADER_CONFIG)
    return len(files) + 1


def _tracked(root: Path) -> list[Path]:
    """The released files: of what git tracks (without git, of everything) the listed folders and top-level files."""
    names: list[Path] = []
    if git := shutil.which("git"):
        listed = subprocess.run([git, "-C", str(root), "ls-files", "-z"], capture_output=True, encoding="utf-8", check=False)
        names = [root / name for name in listed.stdout.split("\0") if name]
    files = names or [p for p in root.rglob("*") if p.is_file()]
    kept = [p for p in files if p.is_file() and _released(p.relative_to(root))]
    if not any(p.suffix == ".ipynb" for p in kept):
        raise CourseError(f"no exercise notebooks in {root / 'notebooks'}: run make notebooks, and commit them")
    return sorted(kept)


def _released(path: Path) -> bool:
    if "__pycache__" in path.parts or path.suffix in (".pyc", ".part"):
        return False
    if path.parts[:2] == ("data", "downloads"):
        return False
    if path.parts[0] == "notebooks":
        return len(path.parts) == 2 and path.suffix == ".ipynb"
    return path.parts[0] in FOLDERS or len(path.parts) == 1 and any(path.match(pattern) for pattern in TOP)


def _answers(root: Path) -> dict[Path, set[str]]:
    """Where answers are written: {file: names of the functions or classes}, no names where it is the whole file."""
    from course_utils.exercises.framework import exercises

    found: dict[Path, set[str]] = {}
    for exercise in exercises():
        found[Path(inspect.getsourcefile(exercise.checks)).resolve()] = set()
    for exercise in exercises():
        thing = inspect.unwrap(exercise.reference) if callable(exercise.reference) else None
        path = Path(inspect.getsourcefile(thing)).resolve() if thing else None
        if path and found.get(path) != set():
            found.setdefault(path, set()).add(thing.__qualname__)
    return {path: names for path, names in found.items() if path.is_relative_to(root)}


def encoded(source: str, name: str) -> str:
    """A module that runs as the given one does and cannot be read at a glance; it works on every Python version."""
    return '"""Encoded: this module holds answers to exercises of the course."""\n\n' + _runs(source, name)


def hide(source: str, names: set[str], file: str) -> str:
    """A module's text with the named functions, methods or classes encoded and everything else as it was."""
    lines = source.splitlines(keepends=True)
    nodes = sorted(_definitions(ast.parse(source), names), key=lambda node: node.lineno, reverse=True)
    for node in nodes:
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)]) - 1
        own = "".join(lines[first : node.end_lineno])
        runs = f"# {node.name} is the answer to an exercise, and encoded.\n" + _runs(textwrap.dedent(own), file)
        lines[first : node.end_lineno] = [textwrap.indent(runs, " " * node.col_offset)]
    return "".join(lines)


def _definitions(tree: ast.AST, names: set[str], prefix: str = ""):
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            if prefix + node.name in names:
                yield node
            elif isinstance(node, ast.ClassDef):
                yield from _definitions(node, names, f"{prefix}{node.name}.")


def _runs(source: str, name: str) -> str:
    """A statement that runs `source` where it stands."""
    packed = base64.b85encode(zlib.compress(source.encode("utf-8"), 9)).decode("ascii")
    pieces = "\n".join(f'    "{packed[i : i + 96]}"' for i in range(0, len(packed), 96))
    load = '__import__("zlib").decompress(__import__("base64").b85decode(_text)).decode("utf-8")'
    return f'_text = (\n{pieces}\n)\nexec(compile({load}, "<answer in {name}>", "exec"))\n'
