"""Films of training: what a model of points samples at some steps of a run, kept beside its curves (chapter 07).

A long run keeps a file a frame in its folder, so that one that was killed and goes on has each frame once; `publish` binds
them into one file, with many samples of the model at the end: a sixth of the size of its weights. A short one, played in a
notebook, is filmed in memory: `filmed`. Of a model of images that is only looked at some samples are kept in place of its
weights: `publish_samples` (chapter 09).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from . import checkpoints, recipes, tensors
from .data.points import PointSet, density
from .errors import CourseError, reject
from .games import Film
from .methods.base import LatentModel
from .metrics import generate
from .metrics.plane import generate_points
from .paths import checkpoint_dir

FRAMES = "frames"  # the folder of a run's frames
FRAME_SAMPLES = 500  # 2 kB as float16, whose steps are a tenth of the narrowest mode or less
SAMPLES = 20_000  # of the model at the end


@dataclass
class JudgedFilm(Film):
    """A film of a model whose encoder judges: its KL of each point of the grid, too.

    judged: (S) tensors (G,), in nats; terms: what the steps logged, columns by name."""

    judged: list[Tensor] = field(default_factory=list)
    terms: dict = field(default_factory=dict)


def samples_of(model: LatentModel, n: int) -> Tensor:
    """n samples from the noise that every frame is made of: (n, D)."""
    return model.sample(n, generator=torch.Generator().manual_seed(0)).cpu()


def recorder(folder: Path | str, dataset: str, n: int = FRAME_SAMPLES) -> Callable[[int, LatentModel], dict]:
    """A hook for `training.fit`: at each evaluation a file of n samples in `folder`/frames. dataset: the density's name."""

    def shoot(step: int, model: LatentModel) -> dict:
        path = Path(folder) / FRAMES / f"{step:08d}.safetensors"
        tensors.save(path, {"fakes": samples_of(model, n).half()}, {"density": dataset, "step": step})
        return {}

    return shoot


def publish(name: str, run_folder: Path | str, folder: Path | None = None) -> Path:
    """Bind a finished run's frames, and 20,000 samples of its model, into NAME.film.safetensors.xz of the checkpoint folder."""
    paths = sorted((Path(run_folder) / FRAMES).glob("*.safetensors"))
    if not paths:
        raise CourseError(f"{Path(run_folder) / FRAMES}: no frames. Train with `snapshots.recorder` among the hooks.")
    frames = [tensors.load(path) for path in paths]
    fakes = torch.stack([found["fakes"][:FRAME_SAMPLES] for found, _ in frames])  # (S, N, 2)
    header = {"density": frames[0][1]["density"], "steps": [about["step"] for _, about in frames]}
    model, _ = checkpoints.load_file(Path(run_folder) / "model.safetensors")
    target = (folder or checkpoint_dir()) / f"{name}.film{checkpoints.SUFFIX}"
    tensors.save(target, {"fakes": fakes, "samples": drawn(model).half()}, header)
    return target


def recorded(name: str, folder: Path | None = None) -> Film:
    """The film of a recorded run. CourseError where there is none."""
    found, header = _kept(name, "film", folder)
    return Film(density(header["density"]), steps=header["steps"], fakes=list(found["fakes"].float()))


def drawn(model: LatentModel, n: int = SAMPLES) -> Tensor:
    """n samples of a model, those that metrics of seed 0 see: points (n, D), or images (n, C, H, W) in [0, 1], in 8-bit steps."""
    if len(model.data_shape) == 1:
        return torch.cat(list(generate_points(model, n)))
    return torch.cat(list(generate(model, n))).cpu().float() / 255


def publish_samples(name: str, run_folder: Path | str, n: int, folder: Path | None = None) -> Path:
    """Keep n images of a finished run's model, the first of `drawn`, in NAME.samples.safetensors.xz of the checkpoint folder."""
    model, _ = checkpoints.load_file(Path(run_folder) / "model.safetensors")
    target = (folder or checkpoint_dir()) / f"{name}.samples{checkpoints.SUFFIX}"
    tensors.save(target, {"samples": (drawn(model, n) * 255).round().byte()}, {"recipe": name})
    return target


def obtain_samples(name: str, mode: str = "LOAD", *, folder: Path | None = None) -> Tensor:
    """Samples of a recipe's model, the way a notebook's MODE says: 20,000 points (20000, D), or the number of images that the
    recipe keeps, (keep, C, H, W) in [0, 1].

    LOAD: the recorded ones, which need no weights. FAST, FULL: of a model trained here, as by `recipes.obtain`."""
    keep = recipes.get(name).keep
    if mode != "LOAD":
        return drawn(recipes.obtain(name, mode), keep or SAMPLES)
    if keep:
        return _kept(name, "samples", folder)[0]["samples"].float() / 255
    return _kept(name, "film", folder)[0]["samples"].float()


def _kept(name: str, what: str, folder: Path | None) -> tuple[dict[str, Tensor], dict]:
    return tensors.load((folder or checkpoint_dir()) / f"{name}.{what}{checkpoints.SUFFIX}")


def filmed(config, train: PointSet, steps: int, *, frames: int, grid: Tensor, n: int = 4000, **run) -> tuple:
    """A short live run, filmed evenly, the last frame at its end: (model in eval mode, JudgedFilm).

    grid: points (G, D) that the encoder is asked to judge. run: as for `recipes.quick`."""
    if not 1 <= frames <= steps or steps % frames:
        raise reject("frames", frames, f"a divisor of the {steps} steps")
    film = JudgedFilm(density(train.name), grid)

    @torch.no_grad()
    def shoot(step: int, model: LatentModel) -> dict:
        film.steps.append(step)
        film.fakes.append(samples_of(model, n))
        film.judged.append(model.encode(grid).kl())
        return {}

    model, film.terms = recipes.quick(config, train, steps, hooks=[shoot], eval_every=steps // frames, **run)
    return model, film
