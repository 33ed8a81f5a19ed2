"""A student's answer while it is checked, and the reference that stands in for it afterwards."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np
import torch

from course_utils.errors import reject
from course_utils.exercises.verdicts import Diagnosis, describe

MARK = "course_reference"


def is_reference(value: Any) -> bool:
    """Whether this object was bound by a check in place of an answer."""
    return hasattr(value, MARK)


def mark_reference(value: Any, number: str, name: str) -> Any:
    """The same value with the attribute `course_reference`; the original stays unmarked."""
    if inspect.isclass(value):
        return type(name, (value,), {MARK: number, "__doc__": value.__doc__})
    if isinstance(value, torch.Tensor):
        marked = value.detach().clone()
    elif callable(value):

        @functools.wraps(value)
        def marked(*args, **kwargs):
            return value(*args, **kwargs)

        marked.__name__ = name
    elif isinstance(value, (str, int, float, tuple, list, dict)) and not isinstance(value, bool):
        # A plain value has no room for an attribute; a subclass of its type has, and behaves the same.
        marked = type(type(value).__name__, (type(value),), {})(value)
    else:
        raise reject("reference", value, "a function, a class, a tensor, a text, a number, a tuple, a list or a dict")
    setattr(marked, MARK, number)
    return marked


class Answer:
    """The student's function or class as a check calls it: inputs are copied and watched, the last call remembered."""

    def __init__(self, function):
        self.function = function
        self.given = ""  # the last call's arguments, in words
        self.returned = ""  # and what came back

    def __call__(self, *args, **kwargs):
        """Calls with copies of tensors and arrays, also in lists, tuples, dicts; gradients reach the originals."""
        ours, theirs = (args, kwargs), _copied((args, kwargs))
        result = self.uncloned(*theirs[0], **theirs[1])
        for name, before, after in zip(*self._named(ours, theirs), strict=True):
            if not _unchanged(before, after):
                raise Diagnosis(
                    f"The function changes its argument `{name}` in place. Whoever passed it in still needs it: "
                    "compute a new tensor instead (x = x + 1, not x += 1; exp(), not exp_())."
                )
        return result

    def uncloned(self, *args, **kwargs):
        """Calls with the originals, for a function whose task is to change them."""
        names, values, _ = self._named((args, kwargs), (args, kwargs))
        self.given = ", ".join(f"{n} = {describe(v)}" for n, v in zip(names, values, strict=True))
        self.returned = "nothing yet"
        result = self.function(*args, **kwargs)
        self.returned = describe(result)
        return result

    def _named(self, ours, theirs) -> tuple[list[str], list, list]:
        try:
            names = list(inspect.signature(self.function).parameters)[: len(ours[0])]
        except (TypeError, ValueError):
            names = []
        names += [f"number {i + 1}" for i in range(len(names), len(ours[0]))]
        keys = list(ours[1])
        return names + keys, [*ours[0], *ours[1].values()], [*theirs[0], *(theirs[1][k] for k in keys)]


def _copied(value):
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) in (list, tuple):
        return type(value)(_copied(part) for part in value)
    if type(value) is dict:
        return {key: _copied(part) for key, part in value.items()}
    return value


def _unchanged(before, after) -> bool:
    if isinstance(before, torch.Tensor):
        return before.shape == after.shape and before.dtype == after.dtype and _same(before.detach(), after.detach())
    if isinstance(before, np.ndarray):
        return before.shape == after.shape and _same(torch.from_numpy(before), torch.from_numpy(after))
    if type(before) in (list, tuple):
        return len(before) == len(after) and all(map(_unchanged, before, after))
    if type(before) is dict:
        return before.keys() == after.keys() and all(_unchanged(v, after[k]) for k, v in before.items())
    return True


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool(((a == b) | ((a != a) & (b != b))).all())
