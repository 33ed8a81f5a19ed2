"""How often a game diverges: short runs of many seeds, with a hard and with a soft threshold (chapter 07).

    python -m course_utils.stability        plays all of them and writes the record, checkpoints/stability.json

About ten minutes of one core; the same machine gives the same numbers again. The networks are small and the rates five to
ten times the recipes', so that what can break does.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import torch

from . import data, methods, recipes, tensors
from .errors import CourseError
from .files import write_text
from .paths import checkpoint_dir
from .training import Diverged, RunConfig, evaluate, fit
from .training.state import saved

RECORD = "stability.json"
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
    path = (folder or checkpoint_dir()) / RECORD
    if not path.is_file():
        raise CourseError(f"{path}: no such record. It comes with the repository; `python -m course_utils.stability` makes it.")
    found = json.loads(path.read_text(encoding="utf-8"))
    if found["settings"] != settings():
        raise CourseError(f"{path}: made with other settings. `python -m course_utils.stability` makes it again.")
    return found["runs"]


def main() -> None:
    """Play all runs and write the record."""
    parser = argparse.ArgumentParser("course_utils.stability", description=__doc__)
    parser.add_argument("--out", type=Path, default=checkpoint_dir() / RECORD, help="where to write")
    out = parser.parse_args().out
    torch.set_num_threads(1)  # networks this small are no faster on more
    runs, start = [], time.perf_counter()
    for dataset, method in itertools.product(SEEDS, METHODS):
        for seed in range(SEEDS[dataset]):
            runs.append(play(dataset, method, seed))
            print(f"{runs[-1]} ({time.perf_counter() - start:.0f} s)", flush=True)
    lines = ",\n".join(json.dumps(run) for run in runs)  # a line each: small, and a change shows whose it is
    write_text(out, f'{{"settings": {json.dumps(settings())}, "runs": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
