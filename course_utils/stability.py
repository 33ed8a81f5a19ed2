"""How often a game diverges: short runs of many seeds, with a hard and with a soft threshold (chapter 07).

    python -m course_utils.stability        plays all of them and writes the record, checkpoints/stability.json

About ten minutes of one core; the same machine gives the same numbers again. The networks are small and the rates five to
ten times the recipes', so that what can break does.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch

from . import data, methods, recipes, tensors
from .records import Record
from .training import Diverged, RunConfig, evaluate, fit
from .training.state import defaults_of, saved

METHODS = ("intro-vae", "soft-intro-vae")
PLANE, IMAGES = "8-gaussians", "fashion-mnist-mini"
SEEDS = {PLANE: 20, IMAGES: 5}
MEASURED = ("jsd", "within", "modes")  # of a run in the plane
SHARED = {
    PLANE: {"latent_dim": 2, "network": "mlp", "widths": (64, 64, 64), "warmup": 0.1},
    IMAGES: {"latent_dim": 16, "widths": (8, 16, 32), "norm": "group", "warmup": 0.25},
}
OWN = {
    (PLANE, "intro-vae"): {"margin": 5.0, "beta_rec": 1.0},
    (PLANE, "soft-intro-vae"): {"beta_kl": 0.3, "beta_rec": 0.2, "beta_neg": 0.9},
    (IMAGES, "intro-vae"): {"margin": 40.0, "beta_rec": 0.5},
    (IMAGES, "soft-intro-vae"): {"beta_neg": 128.0},
}
RUNS = {
    PLANE: RunConfig(steps=2000, batch_size=128, lr=2e-3, lr_schedule="cosine", ema=0.99, log_every=20, checkpoint_every=200),
    IMAGES: RunConfig(steps=300, batch_size=32, lr=2e-3, log_every=10, checkpoint_every=50),
}


def config(dataset: str, method: str):
    """The configuration of these runs."""
    return methods.METHODS[method].Config(**SHARED[dataset], **OWN[dataset, method])


def settings() -> dict:
    """What the record is a record of."""
    runs = {name: asdict(run) for name, run in RUNS.items()}
    configs = {f"{method} {name}": asdict(config(name, method)) for name, method in OWN}
    return json.loads(json.dumps({"seeds": SEEDS, "samples": 20_000, "runs": runs, "configs": configs}))


def today(found: dict) -> dict:
    """Settings of a record, with those of a configuration that have come since."""
    defaults = {name: defaults_of(methods.METHODS[name].Config) for name in METHODS}
    configs = {name: {**defaults[name.split()[0]], **config} for name, config in found["configs"].items()}
    return {**found, "configs": configs}


RECORD = Record("stability.json", "course_utils.stability", "runs", settings, today)


def play(dataset: str, method: str, seed: int) -> dict:
    """One run: dataset, method, seed; diverged (a loss was not finite); usable (a state or the model is there and loads);
    and at the end, unless it diverged, jsd, within and modes in the plane, or sse and kl of held-out images."""
    train, test = (data.load(dataset, split) for split in ("train", "test"))
    model = methods.build(method, config(dataset, method), train.shape, seed=seed)
    found = {"dataset": dataset, "method": method, "seed": seed, "diverged": False}
    with tempfile.TemporaryDirectory() as out:
        try:
            model = fit(model, train, RunConfig(**{**asdict(RUNS[dataset]), "seed": seed}), out=out, quiet=True).model
        except Diverged:
            found["diverged"] = True
        states = saved(Path(out))
        found["usable"] = bool(states) and all(value.isfinite().all() for value in _weights(states[0]))
    if found["diverged"]:
        return found
    watched = {"metrics": list(MEASURED), "samples": 20_000} if dataset == PLANE else None
    values = recipes.sampled(model, test, watched) or {k: v for k, v in evaluate(model, test).items() if k in ("sse", "kl")}
    return found | {name: float(f"{value:.4g}") for name, value in values.items()}


def _weights(path: Path) -> list[torch.Tensor]:
    return [value for value in tensors.load(path)[0].values() if value.is_floating_point()]


def recorded(folder: Path | None = None) -> list[dict]:
    """The runs of the record, as `play` gives them. CourseError where it is missing or made with other settings."""
    return RECORD.read(folder)


def main() -> None:
    """Play all runs and write the record."""
    plays = ((dataset, method, seed) for dataset in SEEDS for method in METHODS for seed in range(SEEDS[dataset]))
    RECORD.make(play, plays, str, __doc__)


if __name__ == "__main__":
    main()
