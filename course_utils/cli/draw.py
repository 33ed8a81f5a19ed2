"""`course figures`: every figure that follows from shipped checkpoints and recorded curves, drawn again."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import torch

from .. import checkpoints, data
from ..data.points import PLANE
from ..errors import CourseError, reject
from ..methods import METHODS, LatentModel
from .common import command

IMAGES = 8  # shown in a row
STUDIED = 500  # images over which a dimension's importance is taken
POINTS = 20_000  # of a model of the plane


@cache
def _model(name: str):
    return checkpoints.load(name)


@cache
def _images(dataset: str, size: int | None):
    return data.load(dataset, "test", size=size)


def _test_set(entry: dict):
    return _images(entry["dataset"], entry.get("size"))


def _shipped(known: dict, **wanted) -> dict[str, dict]:
    """Entries with weights whose facts, or configuration, are as wanted."""
    return {
        name: entry
        for name, entry in known.items()
        if entry.get("file") and all(entry["config"].get(k, entry.get(k)) == v for k, v in wanted.items())
    }


def bottleneck_sweep(known: dict):
    from ..figures import bottleneck_sweep

    found = _shipped(known, method="autoencoder", dataset="fashion-mnist", input_noise=0.0)
    if len(found) < 2:
        raise CourseError("needs two or more autoencoders on fashion-mnist")
    return bottleneck_sweep(
        {name: _model(name) for name in found}, _test_set(next(iter(found.values()))).floats(slice(0, IMAGES))
    )


def rate_distortion(known: dict):
    from ..figures import rate_distortion

    found = _shipped(known, method="vae", dataset="fashion-mnist", latent_dim=32, likelihood="gaussian")
    if len(found) < 2:
        raise CourseError("needs two or more VAEs with 32 latents on fashion-mnist")
    points = []
    for name, entry in found.items():
        config, metrics = entry["config"], entry["metrics"]
        scheduled = config["beta_schedule"] != "constant"
        label = {"name": name} if scheduled else {}
        point = {
            "kl": metrics["kl"],
            "sse": metrics["sse"],
            "beta": config["beta"],
            "schedule": config["beta_schedule"],
        }
        points.append({**point, **label})
    return rate_distortion(points)


def curves(term: str, dataset: str, method: str) -> Callable:
    def draw(known: dict):
        from ..figures import training_curves

        names = [n for n, e in known.items() if e["dataset"] == dataset and e["method"] == method]
        recorded = {n: columns for n in names if term in (columns := checkpoints.curves(n))}
        if not recorded:
            raise CourseError(f"no recorded run of {method} on {dataset} has {term!r}")
        first = next(iter(recorded.values()))["step"]
        return training_curves(recorded, term, skip=int(first[min(3, len(first) - 1)]), title=f"{method} on {dataset}")

    return draw


# The figures that several checkpoints share, by the name of their file.
FIGURES: dict[str, Callable] = {
    "bottleneck_sweep": bottleneck_sweep,
    "rate_distortion": rate_distortion,
    "curves_autoencoder_fashion": curves("sse", "fashion-mnist", "autoencoder"),
    "curves_vae_fashion_kl": curves("kl", "fashion-mnist", "vae"),
    "curves_vae_fashion_rec": curves("rec", "fashion-mnist", "vae"),
    "curves_vae_shapes_kl": curves("kl", "shapes", "vae"),
    "curves_autoencoder_cifar": curves("sse", "cifar10", "autoencoder"),
    "curves_vae_cifar_rec": curves("rec", "cifar10", "vae"),
    "curves_vae_cifar_kl": curves("kl", "cifar10", "vae"),
}


def samples(name: str, entry: dict):
    from ..figures import samples

    return samples(_model(name), title=f"{name}: samples from the prior")


def reconstructions(name: str, entry: dict):
    from ..figures import reconstructions

    return reconstructions({name: _model(name)}, _test_set(entry).floats(slice(0, IMAGES)), title=name)


def latent_map(name: str, entry: dict):
    from ..figures import latent_map

    return latent_map(_model(name), _test_set(entry), title=f"{name}: where the classes lie")


def decoded_grid(name: str, entry: dict):
    from ..figures import decoded_grid

    return decoded_grid(_model(name), title=f"{name}: the plane of codes, decoded")


def kl_per_dimension(name: str, entry: dict):
    from ..figures import kl_per_dimension

    return kl_per_dimension({name: _model(name)}, _test_set(entry).floats(slice(0, STUDIED)))


def traversal(name: str, entry: dict):
    from ..figures import traversal

    return traversal(_model(name), _test_set(entry).floats(slice(0, STUDIED)), title=f"{name}: one dimension a row")


def plane_samples(name: str, entry: dict):
    from ..figures.plane import plane_samples
    from ..metrics import generate_points

    return plane_samples({entry["dataset"]: {name: torch.cat(list(generate_points(_model(name), POINTS)))}})


def _own(entry: dict) -> list[Callable]:
    """The figures that a checkpoint has to itself."""
    method = METHODS.get(entry["method"])
    if method is None or not issubclass(method, LatentModel):
        return []
    if entry["dataset"] in PLANE:
        return [plane_samples] if entry["method"] != "autoencoder" else []
    encodes, has_prior, plane = method.has_encoder, entry["method"] != "autoencoder", entry["config"]["latent_dim"] == 2
    fits = {
        reconstructions: encodes,
        samples: has_prior,
        kl_per_dimension: encodes and has_prior,
        latent_map: encodes and plane,
        decoded_grid: plane,
        traversal: encodes and entry["dataset"] == "shapes",
    }
    return [draw for draw, fitting in fits.items() if fitting]


def registered(known: dict) -> dict[str, Callable[[], object]]:
    """All figures by name, not yet drawn: the shared ones, then each shipped checkpoint's own."""
    found = {name: partial(draw, known) for name, draw in FIGURES.items()}
    for name, entry in _shipped(known).items():
        found |= {f"{draw.__name__}_{name}": partial(draw, name, entry) for draw in _own(entry)}
    return found


@command
def figures(out: Path = Path("build/figures"), only: tuple[str, ...] = ()) -> None:
    """Draw the figures of the shipped checkpoints and recorded runs again, as PNG.

    Args:
        out: folder to write to
        only: names of figures; all if not given
    """
    known = checkpoints.manifest()
    if not known:
        raise CourseError(f"no checkpoint in {checkpoints.checkpoint_dir()}. `course fetch` gets them.")
    todo = registered(known)
    for name in only:
        if name not in todo:
            raise reject("only", name, sorted(todo))
    from .pictures import write_figure

    for name in only or todo:
        try:
            figure = todo[name]()
        except CourseError as error:  # one figure's missing data or weights are no reason to leave out the others
            if only:
                raise
            print(f"skipped {name}: {error}")
            continue
        print(f"wrote {write_figure(figure, out / f'{name}.png')}")
