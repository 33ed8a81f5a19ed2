"""Games in one and two dimensions, filmed: what the fakes and the critic are at some steps of a run (chapter 04).

    python -m course_utils.games        plays each loss on 8 Gaussians over five seeds and records the modes it covers

The record is checkpoints/gan_modes.json. About ten minutes of one core; the same machine gives the same numbers again.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from . import recipes
from .data.points import GaussianMixture, density, points
from .errors import reject
from .methods.gan import GAN, GANConfig
from .methods.gan_losses import LOSSES
from .metrics.modes import mode_coverage
from .records import Record

NETWORK = {"network": "mlp", "latent_dim": 2, "width": 128}
PLAYED = {"steps": 2000, "batch_size": 256, "lr": 1e-3, "betas": (0.0, 0.9)}
# Each game twice: learning rates that fall to zero end it, constant ones let it go on.
SCHEDULES = ("linear", "constant")
SEEDS = tuple(range(5))
FRAMES, SAMPLES = 20, 10_000


@dataclass
class Film:
    """One game at some of its steps. steps: (S). fakes: (S) tensors (N, D), from the same noise each time.

    logits: (S) tensors (G,), the critic's at `grid` (G, D); empty where no grid was given."""

    density: GaussianMixture
    grid: Tensor | None = None
    steps: list[int] = field(default_factory=list)
    fakes: list[Tensor] = field(default_factory=list)
    logits: list[Tensor] = field(default_factory=list)


def filmed(
    name: str, config: GANConfig, *, steps: int, frames: int, samples: int = 4000, grid: Tensor | None = None, **run
) -> tuple[GAN, Film, dict]:
    """Play a game on the density `name` (`data.points.DENSITIES`) and film it: (model in eval mode, film, curves).

    frames: how often, evenly, the last at the end. grid: points (G, D) at which to ask the critic. run: as for
    `recipes.quick`."""
    if not 1 <= frames <= steps or steps % frames:
        raise reject("frames", frames, f"a divisor of the {steps} steps")
    film = Film(density(name), grid)

    @torch.no_grad()
    def shoot(step: int, model: GAN) -> dict:
        film.steps.append(step)
        film.fakes.append(model.sample(samples, generator=torch.Generator().manual_seed(0)))
        if grid is not None:
            film.logits.append(model.critic(grid))
        return {}

    model, curves = recipes.quick(config, points(name), steps, hooks=[shoot], eval_every=steps // frames, **run)
    return model, film, curves


def settings() -> dict:
    """What the record is a record of."""
    games = {"losses": list(LOSSES), "schedules": SCHEDULES, "seeds": SEEDS, "frames": FRAMES, "samples": SAMPLES}
    return json.loads(json.dumps({"density": "8-gaussians", "network": NETWORK, "run": PLAYED, **games}))


RECORD = Record("gan_modes.json", "course_utils.games", "games", settings)


def play(loss: str, schedule: str, seed: int) -> dict:
    """One game of the record: loss, schedule, seed, steps (S), shares (S, 8), covered (S), within (S)."""
    run = {**PLAYED, "lr_schedule": schedule, "seed": seed, "log_every": PLAYED["steps"]}
    _, film, _ = filmed("8-gaussians", GANConfig(loss=loss, **NETWORK), frames=FRAMES, samples=SAMPLES, **run)
    rows = [mode_coverage(fakes, film.density) for fakes in film.fakes]
    return {
        "loss": loss, "schedule": schedule, "seed": seed, "steps": film.steps,
        "shares": [[round(share, 4) for share in row.shares.tolist()] for row in rows],
        "covered": [row.covered for row in rows], "within": [round(row.within, 4) for row in rows],
    }  # fmt: skip


def recorded(folder: Path | None = None) -> list[dict]:
    """The games of the record, as `play` gives them. CourseError where it is missing or made with other settings."""
    return RECORD.read(folder)


def main() -> None:
    """Play all games and write the record."""
    RECORD.make(play, itertools.product(LOSSES, SCHEDULES, SEEDS), _words, __doc__)


def _words(game: dict) -> str:
    return f"{game['loss']:15s} {game['schedule']:9s} seed {game['seed']}: {game['covered'][-1]} modes at the end"


if __name__ == "__main__":
    main()
