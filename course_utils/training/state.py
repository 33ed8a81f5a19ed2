"""The state of a run on disk: weights, averages, optimizers, step. No random state: every draw follows from (seed, step)."""

from __future__ import annotations

from pathlib import Path

import torch

from .. import tensors
from ..errors import CourseError

KEPT = 2  # the newest two: should the newest be damaged on disk, the run goes on from the one before


def path_of(folder: Path, step: int) -> Path:
    return Path(folder) / f"state-{step:09d}.safetensors"


def saved(folder: Path) -> list[Path]:
    """The states in a run's folder, newest first."""
    return sorted(Path(folder).glob("state-*.safetensors"), reverse=True)


def save(folder: Path, step: int, model, ema, optimizers: dict, header: dict) -> Path:
    """Write the state after `step` steps and drop all but the newest two. Refuses weights that are not finite."""
    flat = {f"model.{k}": v for k, v in model.state_dict().items()}
    bad = [k for k, v in flat.items() if v.is_floating_point() and not torch.isfinite(v).all()]
    if bad:
        newest = saved(folder)[0] if saved(folder) else "none yet"
        raise CourseError(f"step {step}: the weights {bad[0]!r} are not finite; not saved. Last good state: {newest}.")
    if ema is not None:
        flat |= {f"ema.{k}": v for k, v in ema.state_dict().items()}
    groups = {}
    for player, optimizer in optimizers.items():
        state = optimizer.state_dict()
        groups[player] = [{k: v for k, v in group.items() if k != "params"} for group in state["param_groups"]]
        for index, entries in state["state"].items():
            flat |= {f"optimizer.{player}.{index}.{k}": torch.as_tensor(v) for k, v in entries.items() if v is not None}
    path = path_of(folder, step)
    tensors.save(path, flat, {**header, "step": step, "param_groups": groups})
    for old in saved(folder)[KEPT:]:
        old.unlink()
    return path


def load_newest(folder: Path) -> tuple[dict, dict] | None:
    """The newest state that is whole, as (tensors, header); None if the folder has none. Damaged files are passed over, aloud."""
    for path in saved(folder):
        try:
            return tensors.load(path)
        except CourseError as error:
            print(f"passed over a damaged state: {error}", flush=True)
    return None


def restore(flat: dict, header: dict, model, ema, optimizers: dict) -> int:
    """Put a loaded state into model, average and optimizers, in place. Returns the step it was taken after."""
    _load(model, flat, "model.")
    if ema is not None:
        _load(ema, flat, "ema.")
    for player, optimizer in optimizers.items():
        state = optimizer.state_dict()
        prefix = f"optimizer.{player}."
        state["state"] = {}
        for name, value in flat.items():
            if name.startswith(prefix):
                index, key = name.removeprefix(prefix).split(".", 1)
                state["state"].setdefault(int(index), {})[key] = value
        for group, kept in zip(state["param_groups"], header["param_groups"][player], strict=True):
            group.update({k: tuple(v) if isinstance(v, list) else v for k, v in kept.items()})
        optimizer.load_state_dict(state)
        _lay_out(optimizer)
    return header["step"]


def _lay_out(optimizer) -> None:
    """Give each moment its parameter's memory layout: files hold plain (C, H, W) order, and the fused kernels walk parameter
    and moments side by side in memory, so that a moment in another order than a channels_last weight would be misread."""
    for parameter, entries in optimizer.state.items():
        for key, value in entries.items():
            if torch.is_tensor(value) and value.shape == parameter.shape:
                entries[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _load(module, flat, prefix):
    own = {name.removeprefix(prefix): value for name, value in flat.items() if name.startswith(prefix)}
    try:
        module.load_state_dict(own)
    except RuntimeError as error:
        remedy = "The saved run has another architecture: use its own configuration, or another folder (--out)."
        raise CourseError(f"resume: {str(error).splitlines()[0]} {remedy}") from error
