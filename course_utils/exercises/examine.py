"""Runs the checks of one exercise on one answer and says what came of it."""

from __future__ import annotations

import contextlib
import inspect
import io
import linecache
import sys
import time
import traceback
import warnings
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from course_utils.exercises.answers import Answer
from course_utils.exercises.fresh import Fresh, fenced, new_seed
from course_utils.exercises.verdicts import Diagnosis, describe

if TYPE_CHECKING:
    from course_utils.exercises.framework import Exercise

PASSED, FAILED, NOT_ATTEMPTED, MISSING = "passed", "failed", "not attempted", "missing"
REFERENCE = "reference"  # the name holds what a check has bound, no new answer
BROKEN = "broken"  # the check itself does not work: the course's mistake
DRAWS = 5  # how often a check draws again before an unlucky coincidence counts as a broken check
SLOW_S = 2.0


@dataclass(frozen=True)
class Outcome:
    """What a check found. `state` is one of the constants above; `message` is the diagnosis, in plain text."""

    number: str
    name: str
    state: str
    message: str = ""
    line: str = ""  # where the student's code raised
    given: str = ""  # what it was given then
    printed: str = ""  # what it printed meanwhile
    seconds: float = 0.0
    seed: int | None = None  # examine(number, answer, seed=...) repeats the draw

    @property
    def passed(self) -> bool:
        return self.state == PASSED

    def as_dict(self) -> dict:
        return asdict(self)


class BrokenCheck(Exception):
    """The check's own mistake, such as a message with a field no verdict fills."""


def examine_with(exercise: Exercise, answer: Any, seed: int | None = None) -> Outcome:
    """The outcome for one answer; a failure is reported only when the reference passes on the same draw."""
    early = _unfit(exercise, answer)
    if early:
        return early
    for attempt in range(DRAWS if seed is None else 1):
        drawn = new_seed(exercise.number, attempt) if seed is None else seed
        outcome, certain = _run(exercise, answer, drawn)
        if certain:
            return outcome
        control, _ = _run(exercise, _reference(exercise), drawn)
        if control.passed:
            return outcome
    reason = f"The reference does not pass this check either ({control.message}). Please tell your teacher."
    return replace(outcome, state=BROKEN, message=reason)


def _reference(exercise: Exercise) -> Any:
    return exercise.reference() if exercise.is_value and callable(exercise.reference) else exercise.reference


def _unfit(exercise: Exercise, answer: Any) -> Outcome | None:
    """The outcome where there is nothing to run: no attempt, or a value where a function belongs."""
    outcome = Outcome(exercise.number, exercise.name, FAILED)
    if exercise.is_value:
        parts = answer if isinstance(answer, (tuple, list)) else [answer]
        if any(part is None or part is ... for part in parts):
            return replace(outcome, state=NOT_ATTEMPTED)
        if callable(answer):
            text = f"`{exercise.name}` is {describe(answer)}; write the answer itself: {exercise.name} = ..."
            return replace(outcome, message=text)
        return None
    if not callable(answer):
        text = f"`{exercise.name}` is {describe(answer)}, not a function: was the name used for something else?"
        return replace(outcome, message=text)
    return None


def _run(exercise: Exercise, answer: Any, seed: int) -> tuple[Outcome, bool]:
    """One draw. The second value: whether the outcome stands without asking the reference."""
    given = answer if exercise.is_value else Answer(answer)
    printed, started = io.StringIO(), time.perf_counter()
    try:
        with fenced(seed), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            _warn_into(printed)
            state, message = _first_failure(exercise, given, seed)
        found, certain = {"state": state, "message": message}, state == PASSED
    except BrokenCheck as error:
        found, certain = {"state": BROKEN, "message": str(error)}, True
    except Diagnosis as error:
        found, certain = {"state": FAILED, "message": str(error)}, False
    except BaseException as error:  # noqa: BLE001  (exit() and the stop button must not end the notebook)
        found, certain = _of_error(error, answer, given, time.perf_counter() - started)
    seconds = time.perf_counter() - started
    seen = {"printed": _shortened(printed.getvalue()), "seconds": seconds, "seed": seed}
    return Outcome(exercise.number, exercise.name, **found, **seen), certain


def _warn_into(stream: io.StringIO) -> None:
    """Inside the fence, which undoes it: warnings are text for the card, whatever the notebook does with them."""

    def write(message, category, *_, **__):
        stream.write(f"{category.__name__}: {message}\n")

    warnings.simplefilter("default")
    warnings.showwarning = write


def _first_failure(exercise: Exercise, given: Any, seed: int) -> tuple[str, str]:
    verdicts = 0
    with contextlib.closing(exercise.checks(given, Fresh(seed))) as pairs:
        for verdict, message in pairs:
            verdicts += 1
            if not verdict:
                return FAILED, _filled(message, getattr(verdict, "details", {}))
    if not verdicts:
        raise BrokenCheck("The check yields no verdict.")
    return PASSED, ""


def _filled(message: str, details: dict) -> str:
    try:
        return message.format(**details)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise BrokenCheck(f"The message {message!r} cannot be filled in with {details}: {error!r}") from error


def _of_error(error: BaseException, answer: Any, given: Any, seconds: float) -> tuple[dict, bool]:
    """A diagnosis from what was raised while the check ran."""
    if isinstance(error, KeyboardInterrupt):
        text = f"Stopped after {seconds:.0f} s, still running. Is there an endless loop?"
        return {"state": FAILED, "message": text}, True
    frame = _students_frame(error, answer)
    if isinstance(error, NotImplementedError) and frame and not str(error):
        return {"state": NOT_ATTEMPTED, "message": ""}, True
    if isinstance(error, SystemExit):
        text = "The function ends Python (exit). A function hands back its result with return."
        return {"state": FAILED, "message": text}, True
    text = f"{type(error).__name__}: {str(error).strip() or 'no message'}"
    if frame:
        return {"state": FAILED, "message": text, "line": frame, "given": getattr(given, "given", "")}, True
    if isinstance(given, Answer) and given.returned:
        text = f"The check cannot work with what the function returned ({given.returned}). {text}"
    return {"state": FAILED, "message": text}, False


def _students_frame(error: BaseException, answer: Any) -> str:
    """'line 3: <source>' of the deepest code that lives where the answer lives, or ''."""
    home = getattr(inspect.unwrap(answer) if callable(answer) else answer, "__globals__", None)
    if inspect.isclass(answer):
        home = vars(sys.modules[answer.__module__]) if answer.__module__ in sys.modules else None
    frames = [(f, n) for f, n in traceback.walk_tb(error.__traceback__) if home is not None and f.f_globals is home]
    if not frames:
        return ""
    frame, number = frames[-1]
    source = linecache.getline(frame.f_code.co_filename, number, frame.f_globals).strip()
    return f"line {number} of the cell with `{frame.f_code.co_name}`" + (f": `{source}`" if source else "")


def _shortened(text: str, lines: int = 12, width: int = 200) -> str:
    kept = [line[:width] for line in text.strip().splitlines()]
    return "\n".join(kept[:lines] + ([f"... {len(kept) - lines} more lines"] if len(kept) > lines else []))
