"""What a notebook calls: `check` and `hint`. Nothing here raises, except for `check` under COURSE_GRADING=1."""

from __future__ import annotations

import difflib
import os
import sys
from typing import Any

from course_utils.errors import CourseError
from course_utils.exercises import cards, framework
from course_utils.exercises.answers import is_reference
from course_utils.exercises.examine import BROKEN, FAILED, MISSING, NOT_ATTEMPTED, REFERENCE, Outcome
from course_utils.exercises.progress import progress, record

last_outcome: Outcome | None = None  # of `evaluate`, for the grader


class NotPassed(AssertionError):
    """Raised by `check` under COURSE_GRADING=1, so that an autograder gives no points; the message is the diagnosis."""


def check(number: str, *, namespace: dict | None = None) -> None:
    """Check the exercise with this number and show a card. namespace: where the answer is; by default the notebook.

    When the answer does not pass, its name is bound to the reference, so that the rest of the notebook works; the card
    says so. Never raises, except under COURSE_GRADING=1: NotPassed, with nothing shown and nothing kept."""
    grading = os.environ.get("COURSE_GRADING") == "1"
    exercise, note = None, ""
    try:
        exercise = framework.find(number)
        outcome = evaluate(number, _notebook() if namespace is None else namespace)
        note = "" if grading else record(exercise, outcome)
    except Exception as error:  # noqa: BLE001  (a notebook goes on, whatever happens in here)
        text = str(error) if isinstance(error, CourseError) else f"The check itself failed: {error!r}"
        outcome = Outcome(str(number), "", BROKEN, text)
    if grading:
        if not outcome.passed:
            raise NotPassed(f"{outcome.number} {outcome.state}: {outcome.message}")
        return
    cards.show(cards.outcome_card(exercise, outcome, note))


def hint(number: str, n: int | None = None) -> None:
    """Show hint `n` (1 is the first) of an exercise; without `n` all of them, folded where the output can fold."""
    try:
        exercise = framework.find(number)
        if n is not None and (not isinstance(n, int) or not 1 <= n <= len(exercise.hints)):
            usage = f"hint({number!r}, 1) shows the first."
            cards.show(cards.Card(BROKEN, f"{number} has {len(exercise.hints)} hints", [usage]))
            return
        cards.show(cards.hint_card(exercise, n))
    except Exception as error:  # noqa: BLE001
        cards.show(cards.Card(BROKEN, "No hint", [str(error)]))


def evaluate(number: str, namespace: dict) -> Outcome:
    """Examine the answer found in a namespace, and bind the reference there unless it passes. Raises CourseError on an
    unknown number."""
    global last_outcome
    exercise = framework.find(number)
    outcome = last_outcome = _examined(exercise, namespace)
    if not outcome.passed:
        namespace[exercise.name] = exercise.solution()
    return outcome


def probe(number: str) -> None:
    """For the grader, inside a kernel: `evaluate` in the notebook's namespace; the result is left in `last_outcome`."""
    global last_outcome
    last_outcome = None
    evaluate(number, _notebook())


def _examined(exercise: framework.Exercise, namespace: dict) -> Outcome:
    name = exercise.name
    if name not in namespace:
        text = f"There is no `{name}` here. Run its cell first.{_lookalike(name, namespace)}"
        return Outcome(exercise.number, name, MISSING, text)
    answer = namespace[name]
    if is_reference(answer):
        text = f"`{name}` is the reference that an earlier check put there. Run the cell with yours, then check again."
        return Outcome(exercise.number, name, REFERENCE, text)
    if answer is exercise.reference and not exercise.is_value:
        text = f"`{name}` is the course's own function. Write yours in the cell above."
        return Outcome(exercise.number, name, FAILED, text)
    return framework.examine(exercise.number, answer)


def _lookalike(name: str, namespace: dict[str, Any]) -> str:
    own = [k for k, v in namespace.items() if isinstance(k, str) and not k.startswith("_") and not is_reference(v)]
    near = difflib.get_close_matches(name, own, n=1, cutoff=0.75)
    return f" There is a `{near[0]}`: was it renamed?" if near else ""


def _notebook() -> dict:
    """The namespace of the notebook, or, outside IPython, the globals of whoever called into this package."""
    shell = cards.shell()
    if shell is not None:
        return shell.user_ns
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("course_utils."):
        frame = frame.f_back
    return frame.f_globals


__all__ = ["NOT_ATTEMPTED", "NotPassed", "check", "evaluate", "hint", "probe", "progress"]
