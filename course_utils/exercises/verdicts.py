"""What a check can say about an answer: each function compares and returns a `Verdict`, which knows what it saw.

A check yields `(verdict, message)`; when the verdict is false its message is shown, filled in with what the verdict
saw: `{got}`, `{want}`, `{error}` (largest absolute difference) and `{factor}` (got / want, where they differ most).
Each function below says which of these it offers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from numbers import Number

import numpy as np
import torch

# How far apart two right answers may lie: a reordered sum in float32 is off by some 1e-6 of its terms.
TOLERANCE = {torch.float64: 1e-7, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 3e-2}


class Diagnosis(Exception):
    """Raised inside a check to end it with this message; the student sees it as the diagnosis."""


@dataclass(frozen=True)
class Verdict:
    """Truth value plus what was seen, for the message."""

    ok: bool
    details: dict = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.ok


def describe(value) -> str:
    """A value in a few words: 'float32 tensor (64, 8)', 'None', \"'b'\", 'a function'."""
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} tensor {tuple(value.shape)}"
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array {value.shape}"
    if value is None or isinstance(value, (bool, int, float, str)):
        text = repr(value)
        return text if len(text) <= 60 else text[:57] + "..."
    if isinstance(value, (tuple, list)) and len(value) <= 4:
        return f"{type(value).__name__} of ({', '.join(describe(part) for part in value)})"
    return f"a {type(value).__name__}"


def as_tensor(value) -> torch.Tensor:
    """A detached tensor on the CPU; a `Diagnosis` when the value is nothing that holds numbers."""
    if value is None:
        raise Diagnosis("The answer is None where numbers are expected: is the `return` missing?")
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, (Number, np.ndarray, np.generic, list, tuple)):
        try:
            plain = isinstance(value, Number) and not isinstance(value, np.generic)
            return torch.tensor(value, dtype=torch.float64) if plain else torch.as_tensor(value).detach().cpu()
        except (TypeError, ValueError, RuntimeError):
            pass
    raise Diagnosis(f"The answer is {describe(value)} where a tensor or a number is expected.")


def parts(value, count: int, names: str) -> tuple:
    """The `count` things an answer returns together, or a diagnosis that says what was expected (`names`)."""
    if isinstance(value, (tuple, list)) and len(value) == count:
        return tuple(value)
    lost = " Is the `return` missing?" if value is None else ""
    raise Diagnosis(f"Expected {count} values ({names}), got {describe(value)}.{lost}")


def _dtype(value) -> torch.dtype:
    # A number typed into Python has no precision of its own.
    known = torch.as_tensor(value).dtype if isinstance(value, (torch.Tensor, np.ndarray, np.generic)) else torch.float32
    return known if known in TOLERANCE else torch.float64


def _compare(got, want, rtol: float | None, loosen: float = 1.0, atol: float | None = None) -> Verdict:
    """Element by element, in float64, with the tolerance of the coarser of both dtypes."""
    ours, theirs = as_tensor(got).double(), as_tensor(want).double()
    rtol = max(TOLERANCE[_dtype(got)], TOLERANCE[_dtype(want)]) * loosen if rtol is None else rtol
    scale = theirs[theirs.isfinite()].abs().max().item() if theirs.isfinite().any() else 0.0
    atol = rtol * 1e-2 * (1 + scale) if atol is None else atol
    if ours.numel() == 0:
        return Verdict(True, {"got": (), "want": (), "error": 0.0, "factor": 1.0})
    gap = torch.where((ours == theirs) | (ours.isnan() & theirs.isnan()), torch.zeros_like(ours), (ours - theirs).abs())
    excess = gap.nan_to_num(nan=math.inf) - (atol + rtol * theirs.abs()).nan_to_num(nan=0.0, posinf=0.0)
    worst = int(excess.argmax())
    mine, right = ours.flatten()[worst].item(), theirs.flatten()[worst].item()
    factor = mine / right if right else math.inf
    return Verdict(bool((excess <= 0).all()), {"got": mine, "want": right, "error": gap.max().item(), "factor": factor})


def _plain(value):
    return value.strip().casefold() if isinstance(value, str) else value


def _no_list(got, want) -> None:
    """A diagnosis for a list where a tensor is wanted: the notebook goes on with tensor methods."""
    if isinstance(want, torch.Tensor) and want.ndim and isinstance(got, (list, tuple)):
        mend = ": `torch.stack` makes one of a list" if isinstance(got, list) else ""
        raise Diagnosis(f"The answer is {describe(got)} where one tensor is expected{mend}.")


def close(got, want, *, rtol: float | None = None, atol: float | None = None) -> Verdict:
    """True when both agree within rounding (or `rtol`, `atol`); a different shape is a diagnosis of its own.

    Message: {got}, {want} (numbers, where they differ most), {error}, {factor}."""
    _no_list(got, want)
    if isinstance(want, torch.Tensor) and want.ndim and isinstance(got, np.ndarray):
        raise Diagnosis(f"The answer is a numpy {describe(got)} where a tensor is expected: stay with torch.")
    ours, theirs = as_tensor(got), as_tensor(want)
    if ours.shape != theirs.shape:
        raise Diagnosis(f"The answer has shape {tuple(ours.shape)}; expected {tuple(theirs.shape)}.")
    return _compare(got, want, rtol, atol=atol)


def differs(got, wrong, *, rtol: float | None = None) -> Verdict:
    """False when `got` is the known wrong value, within ten times the tolerance of `close`.

    The message names the mistake. Another shape than `wrong` differs. `wrong` may happen to be right for some draws: the
    check then draws again, since no diagnosis is shown that the reference would get too. Message: as for `close`."""
    if isinstance(wrong, str) or wrong is None:
        return Verdict(_plain(got) != _plain(wrong), {"got": got, "want": wrong})
    ours, theirs = as_tensor(got), as_tensor(wrong)
    if ours.shape != theirs.shape:
        return Verdict(True, {"got": tuple(ours.shape), "want": tuple(theirs.shape)})
    same = _compare(got, wrong, rtol, loosen=10.0)
    return Verdict(not same.ok, same.details)


def same_shape(got, want) -> Verdict:
    """`want`: a tensor, or a shape as a tuple. Message: {got}, {want} (shapes)."""
    _no_list(got, want)
    shape = tuple(want.shape) if isinstance(want, (torch.Tensor, np.ndarray)) else tuple(want)
    ours = tuple(as_tensor(got).shape)
    return Verdict(ours == shape, {"got": ours, "want": shape})


def is_scalar(got) -> Verdict:
    """One number: shape (), or a Python number. Message: {got} (shape)."""
    ours = tuple(as_tensor(got).shape)
    return Verdict(ours == (), {"got": ours, "want": ()})


def finite(got) -> Verdict:
    """No NaN and no infinity. Message: {got} (how many are not finite), {want} (how many there are)."""
    ours = as_tensor(got)
    return Verdict(bool(ours.isfinite().all()), {"got": int((~ours.isfinite()).sum()), "want": ours.numel()})


def between(got, low: float, high: float) -> Verdict:
    """All values in [low, high], NaN outside. Message: {got} (the value furthest out), {want} (the interval)."""
    ours = as_tensor(got).double()
    out = torch.maximum(low - ours, ours - high).nan_to_num(nan=math.inf)
    seen = ours.flatten()[int(out.argmax())].item() if out.numel() else math.nan
    return Verdict(bool((out <= 0).all()), {"got": seen, "want": f"[{low:g}, {high:g}]"})


def equals(got, want) -> Verdict:
    """The same value exactly; texts without regard to case and outer blanks. Message: {got}, {want}."""
    if isinstance(want, (torch.Tensor, np.ndarray)):
        ours, theirs = as_tensor(got), as_tensor(want)
        return Verdict(ours.shape == theirs.shape and bool((ours == theirs).all()), {"got": got, "want": want})
    return Verdict(bool(_plain(got) == _plain(want)), {"got": got, "want": want})


def one_of(got, options: Iterable) -> Verdict:
    """Among `options`, compared as by `equals`: for the letters of a question. Message: {got}, {want} (the options)."""
    listed = list(options)
    return Verdict(any(equals(got, o).ok for o in listed), {"got": got, "want": ", ".join(map(repr, listed))})


def has_gradient(got, *inputs: torch.Tensor) -> Verdict:
    """A finite, non-zero gradient of the sum of `got` reaches every input (drawn with `grad=True`).

    Message: {got} (which inputs it does not reach, counted from 1), {want} (how many there are)."""
    blind = [i for i, gradient in enumerate(_gradients(got, inputs), 1) if not _alive(gradient)]
    return Verdict(not blind, {"got": ", ".join(map(str, blind)), "want": len(inputs)})


def no_gradient(got, *inputs: torch.Tensor) -> Verdict:
    """No gradient of `got` reaches any input: for what has to be detached. Message: {got} (which inputs it reaches)."""
    reached = [i for i, g in enumerate(_gradients(got, inputs), 1) if g is not None and bool((g != 0).any())]
    return Verdict(not reached, {"got": ", ".join(map(str, reached)), "want": len(inputs)})


def _gradients(got, inputs) -> tuple:
    if not all(x.requires_grad for x in inputs):
        raise ValueError("a check asks for gradients of inputs drawn without grad=True")
    as_tensor(got)
    if not isinstance(got, torch.Tensor) or not got.requires_grad:
        return (None,) * len(inputs)
    return torch.autograd.grad(got.sum(), inputs, retain_graph=True, allow_unused=True)


def _alive(gradient) -> bool:
    return gradient is not None and bool(gradient.isfinite().all()) and bool((gradient != 0).any())
