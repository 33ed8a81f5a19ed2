"""Named runs: one recipe is one recorded run and one command that makes it again, `course train --recipe NAME`."""

from __future__ import annotations

import logging
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch

from .. import checkpoints, data, methods, tensors
from ..errors import reject
from ..metrics import measure
from ..paths import runs_dir
from ..training import FitResult, RunConfig, evaluate, fit
from .table import NOT_YET_RECORDED, RECIPES, Recipe, get

__all__ = ["FAST_STEPS", "NOT_YET_RECORDED", "RECIPES", "Recipe"]
__all__ += ["begin_with", "fast", "get", "measured", "obtain", "quick", "sampled", "train"]


def train(
    recipe: Recipe, out: Path | str, *, name: str = "", command: str = "", start: Path | str | None = None, resume=True,
    quiet=False, root=None,
) -> dict:
    """Train as the recipe says into the folder `out` (log.csv, states, model.safetensors); return the model's header.

    Interrupted, the same call goes on from the last whole state. A finished run is not trained again. Of several
    processes that train together only the first writes the model; the others get an empty header. start: a checkpoint
    whose weights are the first ones (`begin_with`)."""
    from lightning_fabric.utilities.rank_zero import rank_zero_only

    out = Path(out)
    train_set = data.load(recipe.dataset, "train", size=recipe.size, root=root)
    test_set = data.load(recipe.dataset, "test", size=recipe.size, root=root)
    model = methods.build(recipe.method, recipe.config, train_set.shape, seed=recipe.run.seed)
    begun = begin_with(model, start) if start is not None else {}
    identity = {"method": recipe.method, "config": _jsonable(asdict(recipe.config)), "data_shape": list(train_set.shape)}
    identity |= begun
    watched = {"metrics": list(recipe.watch), "samples": recipe.watch_samples} if recipe.watch else None
    hooks = [lambda step, model: sampled(model, test_set, watched)] if watched else []
    if recipe.film:
        from ..snapshots import recorder

        hooks.append(recorder(out, recipe.dataset))
    result = fit(
        model, train_set, recipe.run, out=out, evaluation=test_set, hooks=hooks, header=identity, resume=resume, quiet=quiet
    )
    if rank_zero_only.rank:
        return {}
    facts = {"recipe": name or None, "command": command, **begun, **_facts(recipe, train_set, result), "watched": watched}
    # Measured on the weights as they are on disk, in float32: what anybody who loads them will measure again.
    rounded = out / "unmeasured.safetensors"
    checkpoints.export(rounded, result.model, facts, stored=recipe.stored)
    loaded, _ = checkpoints.load_file(rounded)
    facts["metrics"] = {k: float(f"{v:.6g}") for k, v in measured(loaded, test_set, watched).items()}
    written = checkpoints.export(out / "model.safetensors", loaded, facts, stored=recipe.stored)
    rounded.unlink()
    return written


def begin_with(model, start: Path | str) -> dict:
    """Put a checkpoint's weights into a new model; what a record says of it. Its configuration may be another, but for what
    decides the networks: a VAE's weights begin a Soft-IntroVAE of the same networks, with or without augmentation, noise and
    dropout. Averages, optimizers and what `_begins_anew` start anew.

    start: a name of the manifest, a model.safetensors or a run's folder. CourseError if a weight is missing or of another
    shape."""
    loaded = {name: value for name, value in checkpoints.load(start).state_dict().items() if not _begins_anew(name)}
    mine = {name: tuple(value.shape) for name, value in model.state_dict().items() if not _begins_anew(name)}
    theirs = {name: tuple(value.shape) for name, value in loaded.items()}
    off = sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))
    if off:
        first = f"{off[0]} is {theirs.get(off[0], 'not there')}, and here {mine.get(off[0], 'not there')}"
        every = len(mine.keys() | theirs.keys())
        remedy = f"Of {every} tensors {len(off)} differ; {first}. Give --network, --widths, --latent-dim, --norm as it has them."
        raise reject("start", str(start), "a checkpoint of the same networks and image size", remedy)
    model.load_state_dict(loaded, strict=False)
    return {"start": {"checkpoint": Path(start).name, "sha256": tensors.digest(loaded, {})}}


def _begins_anew(name: str) -> bool:
    """Whether this entry of a state is no weight that a run may begin with, but what its own configuration and data decide:
    batch norm's estimates (`networks.normalization`), the augmentation's p, a learned sigma, the target decoder's copy."""
    return ".estimated_" in name or name == "augmentation.p" or name.endswith(".sigma") or name.startswith("target.")


def _facts(recipe: Recipe, train_set, result: FitResult) -> dict:
    """What a run was, and how it went."""
    return {
        "dataset": recipe.dataset,
        "dataset_sha256": train_set.sha256(),
        "size": recipe.size,
        "run": _jsonable(asdict(recipe.run)),
        "seed": recipe.run.seed,
        "steps": result.steps,
        "minutes": round(result.minutes, 2),
        "images_per_second": round(result.images_per_second, 1),
        "precision": result.precision,
        "threads": torch.get_num_threads(),
        "device": str(result.model.device),
        "finished": time.strftime("%Y-%m-%d", time.gmtime()),
        "parameters": sum(p.numel() for p in result.model.parameters()),
    }


def measured(model, test_set, watched: dict | None = None) -> dict[str, float]:
    """What a record holds of a model: its held-out terms, and the watched metrics of its samples, if there are any."""
    return evaluate(model, test_set) | sampled(model, test_set, watched)


def sampled(model, test_set, watched: dict | None) -> dict[str, float]:
    """The watched metrics {"metrics": [...], "samples": n} of a model's samples against the test images; {} for None."""
    if not watched:
        return {}
    return measure(model, test_set, watched["metrics"], samples=watched["samples"], progress=False)["values"]


def _jsonable(values: dict) -> dict:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


FAST_STEPS = 400


def fast(recipe: Recipe) -> Recipe:
    """The same run in little: a few hundred steps, on the embedded part of Fashion-MNIST where the full set is named."""
    run = replace(recipe.run, epochs=0, steps=FAST_STEPS, eval_every=0, checkpoint_every=0)
    dataset = "fashion-mnist-mini" if recipe.dataset == "fashion-mnist" else recipe.dataset
    return replace(recipe, run=run, dataset=dataset)


def obtain(name: str, mode: str = "LOAD", *, folder: Path | str | None = None):
    """The model of a recipe, in eval mode, the way a notebook's MODE says.

    LOAD: the shipped checkpoint. FAST: trained here and now, 400 steps (under a minute, and visibly worse).
    FULL: trained here as the recipe says; interrupted, it goes on where it was. Both leave folder/NAME or folder/fast-NAME;
    folder: COURSE_RUNS, or runs/ of the checkout."""
    if mode not in ("LOAD", "FAST", "FULL"):
        raise reject("mode", mode, ("LOAD", "FAST", "FULL"), "Set MODE in the cell at the top.")
    if mode == "LOAD":
        return checkpoints.load(name)
    recipe, out = get(name), Path(folder or runs_dir()) / (name if mode == "FULL" else f"fast-{name}")
    train(recipe if mode == "FULL" else fast(recipe), out, name=name, command=f"course train --recipe {name}")
    return checkpoints.load(out)


def quick(config, train_set, steps: int, *, seed: int = 0, hooks=(), **run):
    """A short live run for a notebook: (model in eval mode, its curves as columns). Nothing is kept on disk.

    config: a method's configuration, such as VAE.Config(latent_dim=8). train_set: an ImageSet or a PointSet. hooks:
    f(step, model) -> more numbers, called every `eval_every` steps. run: further RunConfig fields."""
    logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)  # no line on precision in a notebook
    method = next((name for name, cls in methods.METHODS.items() if cls.Config is type(config)), None)
    if method is None:
        raise reject("config", config, [f"{cls.__name__}.Config(...)" for cls in methods.METHODS.values()])
    model = methods.build(method, config, train_set.shape, seed=seed)
    settings = {"batch_size": 128, "log_every": 10, "checkpoint_every": 0, **run}
    with tempfile.TemporaryDirectory() as out:
        result = fit(model, train_set, RunConfig(steps=steps, seed=seed, **settings), out=out, hooks=hooks, quiet=True)
        return result.model.requires_grad_(False), checkpoints.read_curves(Path(out) / "log.csv")
