"""One kind of error for bad input, so that every caller (notebook, command line, test) can show the same sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CourseError(ValueError):
    """Bad input: the message names the argument, what was given, what is allowed and the remedy. The command line exits 2."""


def reject(argument: str, given: object, allowed: object, remedy: str = "") -> CourseError:
    """Build (not raise) the standard message.

    argument: its name as the caller wrote it. given: the offending value. allowed: a sentence, or the allowed values.
    remedy: what to do about it; where `allowed` holds names, a near miss is suggested as well.
    """
    options = [str(a) for a in allowed] if isinstance(allowed, Iterable) and not isinstance(allowed, str) else None
    listed = ", ".join(options) if options is not None else str(allowed)
    near = difflib.get_close_matches(str(given), options or [], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return CourseError(f"{argument}: got {given!r}, allowed: {listed}.{hint}{' ' + remedy if remedy else ''}")


def check_seed(seed: int) -> None:
    """CourseError for a number that no generator of torch takes as its seed, or that reads otherwise than it was written."""
    if not 0 <= seed < 2**63:
        raise reject("seed", seed, "a whole number from 0 to 2^63 - 1")
