"""Checkpoints: weights as safetensors, their story in manifest.json, their curves as CSV beside them.

Loading verifies the file's hash against the manifest, rebuilds the model from its configuration, and never unpickles.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from . import __version__, methods, tensors
from .errors import CourseError, reject
from .files import sha256_of, write_json, write_text
from .methods.base import LatentModel
from .paths import checkpoint_dir, repository_url

SUFFIX = ".safetensors.xz"  # of what is shipped; a run's model.safetensors is not compressed
STORED = ("int8", "float16", "float32")
MANY = 2048  # a weight of fewer numbers is not worth its scales
SCALE = ":scale"  # after an int8 weight's name: the name of its scales


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A float32 weight (N, ...) as int8 of the same shape and float32 scales (N,), one for each first index.

    weight = scale * integer, off by half a step at most: max|row| / 254. The first index is the output channel of a matrix or
    a convolution, but the *input* channel of a transposed one. Quantizing again what `dequantize` gave changes nothing."""
    rows = weight.flatten(1)
    scale = (rows.abs().amax(1) / 127).contiguous()
    # Cut to 16 bits, so that 127 * scale is exact: the second time the same scale comes out, bit for bit.
    scale = (scale.view(torch.int32) & ~0xFF).view(torch.float32)
    steps = rows / torch.where(scale > 0, scale, 1.0)[:, None]  # a row of zeros has the scale 0
    return steps.round().clamp(-127, 127).to(torch.int8).view(weight.shape), scale


def dequantize(integers: Tensor, scale: Tensor) -> Tensor:
    """The float32 weight (N, ...) of int8 numbers (N, ...) and scales (N,)."""
    return integers.float() * scale.view(-1, *[1] * (integers.ndim - 1))


def _packed(state: dict[str, Tensor], stored: str) -> dict[str, Tensor]:
    """The tensors of a file, from a model's."""
    packed = {}
    for name, value in state.items():
        if stored == "float32" or value.ndim < 2 or value.dtype != torch.float32:
            packed[name] = value
        elif stored == "int8" and value.numel() >= MANY:
            if name + SCALE in state:
                remedy = f"Rename it: the scales of {name} take this name."
                raise CourseError(f"export: the model has a tensor called {name + SCALE}. {remedy}")
            packed[name], packed[name + SCALE] = quantize(value)
        else:
            packed[name] = value.half()
    return packed


def _unpacked(packed: dict[str, Tensor], path: Path | str) -> dict[str, Tensor]:
    """The tensors of a model, from a file's: float32, whatever they were stored as."""
    state = {name: value.float() if value.dtype == torch.float16 else value for name, value in packed.items()}
    for name in [name for name, value in packed.items() if value.dtype == torch.int8]:
        scale = state.pop(name + SCALE, None)
        if scale is None or scale.dtype != torch.float32 or scale.shape != state[name].shape[:1]:
            found = "is missing" if scale is None else f"has {scale.dtype} {tuple(scale.shape)}"
            raise CourseError(f"{path}: {name} is stored as int8 {tuple(state[name].shape)}, but {name + SCALE} {found}. "
                              "It takes a float32 for each first index. Fetch or export it again.")
        state[name] = dequantize(state[name], scale)
    return state


def export(path: Path | str, model: LatentModel, facts: dict, *, stored: str = "float16") -> dict:
    """Write a model's weights to `path` with all that is needed to rebuild it in the header; return that header.

    stored: "float16" or "int8", for matrices and kernels, half and a quarter of the size; "float32": as they are. Of int8 is
    what has 2,048 numbers or more (`quantize`: off by at most max|row| / 254); less is float16. Vectors (biases, norms, running
    statistics) always stay float32. CourseError if a weight is not finite, or too large for float16; nothing is written."""
    if stored not in STORED:
        raise reject("stored", stored, STORED)
    state = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    packed = _packed(state, stored)
    if stored != "float32":
        big = [name for name, value in packed.items() if value.is_floating_point() and not torch.isfinite(value).all()]
        if big:
            name = big[0].removesuffix(SCALE)
            raise CourseError(f"export: {name} does not fit {stored}; export with stored='float32'.")
    header = {
        "method": methods.name_of(model),
        "config": asdict(model.config),
        "data_shape": list(model.data_shape),
        "version": __version__,
        **facts,
        "stored": stored,
    }
    tensors.save(path, packed, header)
    return header


def rebuild(header: dict) -> LatentModel:
    """A model with the method and configuration of a header, its weights not yet loaded."""
    cls = methods.method_class(header["method"])
    known = {field.name for field in fields(cls.Config)}
    unknown = set(header["config"]) - known
    if unknown:
        raise reject("config", sorted(unknown), sorted(known), "The checkpoint comes from another version of this package.")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in header["config"].items()}
    with torch.random.fork_rng(devices=[]):  # building draws weights that are thrown away: leave the caller's state alone
        return cls(cls.Config(**values), header["data_shape"])


def load_file(path: Path | str, device="cpu") -> tuple[LatentModel, dict]:
    """A model in eval mode and its header, from a safetensors file of this course. Its weights are float32, however stored."""
    state, header = tensors.load(path)
    if not {"method", "config", "data_shape"} <= set(header) or "param_groups" in header:
        raise CourseError(f"{path}: holds no model (a run's state?). Give a model.safetensors or a name of the manifest.")
    model = rebuild(header)
    try:
        model.load_state_dict(_unpacked(state, path))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise CourseError(f"{path}: the weights are of another architecture than the configuration says. {reason}") from error
    return model.to(device).eval().requires_grad_(False), header


def manifest(folder: Path | None = None) -> dict[str, dict]:
    """The entries of manifest.json by name; empty where there is none."""
    path = (folder or checkpoint_dir()) / "manifest.json"
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise CourseError(f"{path}: not valid JSON ({error}). Restore it from the repository.") from error


def entry(name: str, folder: Path | None = None) -> dict:
    """One entry of the manifest; CourseError lists the names there are."""
    known = manifest(folder)
    if name not in known:
        where = folder or checkpoint_dir()
        raise reject("checkpoint", name, sorted(known) or f"(none in {where})", f"Weights come with {repository_url()}.")
    return known[name]


def shipped(dataset: str, *, has_encoder: bool = True) -> list[str]:
    """Names of the manifest's models of `dataset` whose weights are shipped, method by method.

    has_encoder: those that reconstruct images; False: those that only draw samples."""
    found = {name: facts for name, facts in manifest().items() if facts["file"] and facts["dataset"] == dataset}
    kinds = {name: getattr(methods.method_class(facts["method"]), "has_encoder", None) for name, facts in found.items()}
    chosen = [name for name, encodes in kinds.items() if encodes is has_encoder]  # None: a classifier does neither
    return sorted(chosen, key=lambda name: (found[name]["method"], name))


def is_file_name(path: Path) -> bool:
    """Whether this is meant as a file of weights, be it there or not: it ends in .safetensors or .safetensors.xz."""
    return path.name.endswith((".safetensors", SUFFIX))


def load(name: str | os.PathLike, device="cpu") -> LatentModel:
    """The model of a manifest's name, a .safetensors(.xz) file or a run's folder, in eval mode, its hash verified.

    A folder or file of that name in the current folder goes before the manifest. CourseError if anything is off."""
    path = Path(name)
    if is_file_name(path) or path.is_file():
        return load_file(path, device)[0]
    if path.is_dir():
        return load_file(path / "model.safetensors", device)[0]
    found = entry(str(name))
    if not found.get("file"):
        remedy = f"Train it: {found['command']}." if found.get("command") else ""
        raise CourseError(f"checkpoint: {name} is a recorded run whose weights are not shipped, only its curves. {remedy}")
    path = checkpoint_dir() / found["file"]
    if not path.is_file():
        remedy = "`course fetch` gets it." + (f" Or train it: {found['command']}." if found.get("command") else "")
        raise CourseError(f"{path}: the manifest names it, but it is missing. {remedy}")
    actual, expected = sha256_of(path), found.get("sha256")
    if actual != expected:
        raise CourseError(f"{path}: SHA-256 is {actual}, the manifest says {expected}. Restore the file; it was not loaded.")
    return load_file(path, device)[0]


def curves(name: str) -> dict[str, np.ndarray]:
    """The recorded curves of a run: columns by name, NaN where a row has no value (held-out terms come more rarely)."""
    found = entry(name)
    if not found.get("curves"):
        raise CourseError(f"checkpoint: the manifest records no curves for {name}.")
    path = checkpoint_dir() / found["curves"]
    if not path.is_file():
        raise CourseError(f"{path}: the manifest names these curves, but they are missing. Restore the file.")
    return read_curves(path)


def read_curves(path: Path | str) -> dict[str, np.ndarray]:
    """A run's log.csv as columns by name, NaN where a row has no value."""
    table = np.genfromtxt(path, delimiter=",", names=True, dtype=float, encoding="utf-8", deletechars="")
    return {column: np.atleast_1d(table[column]) for column in table.dtype.names}


def publish(name: str, run_folder: Path | str, folder: Path | None = None, *, weights: bool = True) -> dict:
    """Copy a finished run's model and curves into the checkpoint folder and write its entry into the manifest."""
    run_folder, folder = Path(run_folder), folder or checkpoint_dir()
    state, header = tensors.load(run_folder / "model.safetensors")
    log = (run_folder / "log.csv").read_text(encoding="utf-8")  # first: if it is missing, nothing has been written
    curves_file = f"{name}.csv"
    facts = {**header, "curves": curves_file, "file": None, "sha256": None}
    if weights:
        target = folder / f"{name}{SUFFIX}"
        tensors.save(target, state, header)
        facts |= {"file": target.name, "sha256": sha256_of(target)}
    write_text(folder / curves_file, log)
    with FileLock(folder / ".manifest.lock"):  # two runs may end at the same time
        write_json(folder / "manifest.json", {**manifest(folder), name: facts})
    return facts
