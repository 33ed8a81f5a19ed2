"""Exercises and their checks: how a chapter is written, found and examined.

A chapter is one module, `chapter_NN.py`, in this folder (or in a folder named by COURSE_EXERCISES). It is found by its
number: `check("2.1")` looks into `chapter_02.py`, and no list has to be edited. An exercise in it looks like this:

    from course_utils.exercises.framework import close, differs, exercise, has_gradient, same_shape
    from course_utils.methods import vae

    @exercise("2.1", reference=vae.reparameterize, title="Sample, and keep the gradient",
              minutes=10, points=2, difficulty=1, kind="implement",
              hints=["The noise is given: shift and scale it.", "`logvar` is log(std**2), so std = exp(logvar / 2)."])
    def reparameterize(answer, fresh):
        mu, logvar, noise = fresh.normal(3, 64, 8, grad=True)                # each (B, Z)
        got = answer(mu, logvar, noise)
        yield same_shape(got, mu), "The result has shape {got}; one sample per row of mu means {want}."
        yield differs(got, mu + noise * logvar.exp()), "You scale by the variance; its root is the standard deviation."
        yield close(got, mu + noise * (logvar / 2).exp()), "Expected mu + std * noise; largest difference {error:.2g}."
        yield has_gradient(got, mu, logvar), "No gradient reaches mu or logvar: was something detached?"

**The name** of the generator function is the name of the student's function in the notebook (or give `name=`).
**The order** is the diagnosis: the first false verdict ends the check and its message is shown. So: shape first, then
each known mistake (`differs`), then the right value (`close`), then what is left (gradients, other dtypes, edge cases).
Code after a `yield` may rely on what the verdicts before it established. Say why it matters, not only what is wrong.
Text in `backticks` is shown as code; double the braces that are not fields.
**`fresh`** (`fresh.py`) draws other inputs each time; draw sizes as well, where an answer could have one written in.
Random state, dtype and gradient mode are set before and put back after a check: it may build networks freely.
**`answer`** is the student's function. It gets copies of tensors (gradients still reach the originals), and changing
them in place is a diagnosis of its own; `answer.uncloned(...)` hands over the originals where that is the task. An
error inside becomes a diagnosis with their line. Several results: `mean, logvar = parts(got, 2, "mean, logvar")`.
**`kind="predict"` and `"explore"`**: the answer is a variable (`answer_1_3 = "b"`, or a number), `answer` is its value;
`...` and None mean not attempted. `reference` is the right value, or a function without arguments that computes it.
Texts and numbers, not True and False:

    @exercise("1.3", reference="b", title="What blurs first?", minutes=3, points=1, kind="predict", hints=["Straps."])
    def answer_1_3(answer, fresh):
        yield one_of(answer, "abc"), "Answer with one of {want}; got {got!r}."
        yield differs(answer, "a"), "Edges move by less than a pixel here: compare the two rows."
        yield equals(answer, "b"), "Look at what is thinner than two pixels."

**`kind="bug hunt"`**: the function in the notebook runs and is wrong. Write messages as symptoms, and one for each way
of mending it wrongly. `"stretch"`: an implement exercise beyond the chapter's goal.
**No diagnosis is shown that the reference would get as well**: when a verdict is false, the reference is run on the
same draw, and if it fails there too (a known mistake that is right by accident), the check draws again. A check that
the reference never passes is reported as broken, never as the student's mistake. Still, draw where mistakes show.
**Tests**: list known answers in `tests/exercises/chapter_NN_answers.py`; `test_chapters.py` beside it says how.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError, reject
from course_utils.exercises.answers import Answer, mark_reference
from course_utils.exercises.examine import Outcome, examine_with
from course_utils.exercises.verdicts import (  # noqa: F401  (what a chapter imports from here)
    Diagnosis,
    Verdict,
    between,
    close,
    describe,
    differs,
    equals,
    finite,
    has_gradient,
    is_scalar,
    no_gradient,
    one_of,
    parts,
    same_shape,
)

KINDS = ("implement", "predict", "explore", "bug hunt", "stretch")
_registry: dict[str, Exercise] = {}
_loaded: set[tuple[str, int]] = set()


@dataclass(frozen=True)
class Exercise:
    """One exercise: what the student sees of it, and how it is checked."""

    number: str  # "2.1": chapter and place in it
    name: str  # what the answer is called in the notebook
    title: str
    kind: str
    minutes: int
    points: float
    difficulty: int  # 1 (a line or two) to 3 (takes thought)
    hints: tuple[str, ...]
    reference: Any
    checks: Callable[[Any, Any], Iterator]  # (answer, fresh) -> pairs (verdict, message)

    @property
    def chapter(self) -> int:
        return int(self.number.partition(".")[0])

    @property
    def is_value(self) -> bool:
        """Whether the answer is a variable; otherwise it is a function or class."""
        return self.kind in ("predict", "explore")

    def solution(self) -> Any:
        """The reference, marked as such (`course_reference`), to be bound in a notebook."""
        value = self.reference() if self.is_value and callable(self.reference) else self.reference
        return mark_reference(value, self.number, self.name)


def exercise(
    number: str,
    *,
    reference: Any,
    title: str,
    minutes: int,
    points: float,
    difficulty: int = 1,
    kind: str = "implement",
    hints: Iterable[str] = (),
    name: str | None = None,
) -> Callable:
    """Decorates a generator `(answer, fresh) -> (verdict, message) ...` and registers it; see the top of this module.

    number: "chapter.place". reference: a function or class, or a value for predict and explore. minutes: the time to
    plan. difficulty: 1 to 3. hints: one to three, from a nudge to nearly the answer. name: the answer's name in the
    notebook, by default the decorated function's. Raises CourseError on a number or name taken twice, and on a value
    not allowed."""
    if not re.fullmatch(r"\d+\.\d+", number):
        raise reject("number", number, "chapter.place, such as '2.1'")
    if kind not in KINDS:
        raise reject("kind", kind, KINDS)
    if difficulty not in (1, 2, 3):
        raise reject("difficulty", difficulty, (1, 2, 3))
    hints = tuple(hints)
    if not 1 <= len(hints) <= 3 or not all(isinstance(h, str) for h in hints):
        raise reject("hints", hints, "one to three texts", "Give a nudge first and the way last.")
    if isinstance(reference, bool):
        raise reject("reference", reference, "texts and numbers", "Ask for 'yes' or 'no'.")

    def register(checks: Callable) -> Callable:
        called = name or checks.__name__
        made = Exercise(number, called, title, kind, minutes, points, difficulty, hints, reference, checks)
        _refuse_duplicate(made)
        _registry[number] = made
        return checks

    return register


def _refuse_duplicate(made: Exercise) -> None:
    old = _registry.get(made.number)
    # The same place in the same file is a reload, not a duplicate.
    if old and old.checks.__code__.co_filename != made.checks.__code__.co_filename:
        raise CourseError(
            f"exercise {made.number}: {made.name} is already taken by {old.name} "
            f"in {old.checks.__code__.co_filename}. Give it another number."
        )
    others = [e for e in _registry.values() if e.chapter == made.chapter and e.number != made.number]
    twins = [e.number for e in others if e.name == made.name]
    if twins:
        raise CourseError(
            f"exercise {made.number}: {made.name!r} is the name of {twins[0]} too. Give it another `name=`."
        )


def find(number: str) -> Exercise:
    """The exercise with this number; loads its chapter when needed. Raises CourseError, listing those there are."""
    number = str(number)
    head = number.partition(".")[0]
    if head.isdigit():
        load_chapter(int(head))
    if number not in _registry:
        known = [e.number for e in exercises(int(head))] if head.isdigit() else []
        raise reject("exercise", number, known or [f"{c}.1" for c in chapters()], "Numbers are chapter.place.")
    return _registry[number]


def exercises(chapter: int | None = None) -> list[Exercise]:
    """The exercises of a chapter (none when there is no such chapter), or of all, in order."""
    wanted = chapters() if chapter is None else [chapter]
    for c in wanted:
        load_chapter(c)
    chosen = [e for e in _registry.values() if e.chapter in wanted]
    return sorted(chosen, key=lambda e: tuple(map(int, e.number.split("."))))


def chapters() -> list[int]:
    """The numbers of the chapters that have a module, without importing any."""
    found = {m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)])}
    found |= {p.stem for p in _teachers_files()}
    return sorted(int(name[8:]) for name in found if re.fullmatch(r"chapter_\d+", name))


def load_chapter(chapter: int) -> None:
    """Imports a chapter's module from this folder and the teacher's, where they exist, once."""
    name = f"chapter_{chapter:02d}"
    if (Path(__file__).parent / f"{name}.py").is_file():
        importlib.import_module(f"{__package__}.{name}")
    for path in _teachers_files():
        if path.stem == name and (str(path), chapter) not in _loaded:
            spec = importlib.util.spec_from_file_location(f"course_exercises_{name}", path)
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module
            spec.loader.exec_module(module)
            _loaded.add((str(path), chapter))


def _teachers_files() -> list[Path]:
    folder = os.environ.get("COURSE_EXERCISES")
    return sorted(Path(folder).expanduser().resolve().glob("chapter_*.py")) if folder else []


def examine(number: str, answer: Any, *, seed: int | None = None) -> Outcome:
    """Checks one answer (a function, or a value for predict and explore) without a notebook around it.

    Never raises on account of the answer. seed: repeats a draw; by default a new one (or COURSE_SEED's)."""
    return examine_with(find(number), answer, seed=seed)


__all__ = ["Answer", "Exercise", "chapters", "examine", "exercise", "exercises", "find", "load_chapter"]
