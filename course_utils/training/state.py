"""The state of a run on disk: weights, averages, optimizers, step. No random state: draws follow from (seed, step)."""

from __future__ import annotations

import json
from dataclasses import asdict
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
    """The newest state that is whole, as (tensors, header); None if there is none. Says which it passed over."""
    for path in saved(folder):
        try:
            return tensors.load(path)
        except CourseError as error:
            print(f"passed over a damaged state: {error}", flush=True)
    return None


def clear(folder: Path) -> None:
    """Delete the states of a run that is started over."""
    for path in saved(folder):
        path.unlink()


# What decides the numbers of a run and cannot change on the way. The rest may: a run is made longer, a diverged one
# goes on with a smaller lr. What was changed is said aloud.
FIXED = ("seed", "batch_size", "optimizer", "ema")


def defaults_of(config: type) -> dict:
    """A configuration's defaults, as JSON gives them back. What was made before a setting existed was made with its default."""
    return json.loads(json.dumps(asdict(config())))


def check_same_run(folder: Path, found: dict, wanted: dict, defaults: dict | None = None) -> None:
    """Raise CourseError unless the state with header `found` belongs to the run that the header `wanted` describes.

    defaults: `defaults_of` the method's configuration, for what a header lacks."""
    if defaults and found.get("config") and wanted.get("config"):
        found, wanted = ({**header, "config": {**defaults, **header["config"]}} for header in (found, wanted))
    remedy = "Use the saved run's own settings, another folder (--out), or start over (--no-resume)."
    before, now = found.get("run", {}), wanted["run"]
    pairs = [(key, found.get(key), wanted.get(key)) for key in ("method", "config", "data_shape", "dataset", "start")]
    for key, old, new in pairs + [(key, before.get(key), now[key]) for key in FIXED]:
        if new is not None and old != new and (old is not None or key == "start"):
            if key == "config":  # what differs, and no more
                old, new = ({k: v for k, v in a.items() if b.get(k, a) != v} for a, b in ((old, new), (new, old)))
            raise CourseError(f"resume: {folder} holds a run with another {key}: {old}; now it is {new}. {remedy}")
    if found["step"] > wanted["total_steps"]:
        total = wanted["total_steps"]
        raise CourseError(f"resume: {folder} holds a run at step {found['step']}, past the {total} asked for. {remedy}")
    changed = [f"{key} was {before[key]}, is {now[key]}" for key in now if key in before and before[key] != now[key]]
    if changed:
        print(f"resume: {'; '.join(changed)}", flush=True)


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
    """Give each moment its parameter's memory layout. Files hold plain (C, H, W) order, and fused kernels walk weights
    and moments side by side in memory: a moment in another order than a channels_last weight would be misread."""
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
