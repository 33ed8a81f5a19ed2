"""Every regularizer on the same few pictures (chapter 09): what finished runs of the emoji recipes are measured by.

    course ablation                  prints the record, checkpoints/ablation_emoji.json
    course ablation --runs runs/     measures the finished runs in runs/NAME and puts them into the record

A minute or so of one core for each run; the same machine gives the same numbers again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor

from . import checkpoints, data, tensors
from .data.image_set import ImageSet
from .errors import CourseError, reject
from .files import write_text
from .methods.base import LatentModel
from .metrics import feature_network, generate, memorization, nearest, real_fake_gaps, reference_statistics
from .metrics.features import FeatureNetwork
from .metrics.generators import compare
from .metrics.references import Statistics
from .paths import checkpoint_dir
from .recipes import RECIPES
from .training import evaluate

FILE = "ablation_emoji.json"
PREFIX = "soft_intro_vae_emoji"
SAMPLES, SEEDS, NEIGHBORS = 2000, (0, 1, 2), 50
TWIN = 0.05  # of the pixels' range, root mean square: between the farthest twin, 0.035, and the next nearest picture, 0.072
LABELS = {
    "": "nothing",
    "_augment-real": "(i) augment real images",
    "_augment-encoder": "(ii) augment in encoder's step",
    "_augment": "(iii) augment everywhere",
    "_augment-adaptive": "augment, adaptive p",
    "_dropout": "dropout",
    "_noise": "layer noise",
    "_label-switch": "label switching",
}


def names() -> list[str]:
    """The recipes that are compared, in their order."""
    return [name for name in RECIPES if name.startswith(PREFIX)]


def label(recipe: str) -> str:
    """What a recipe does against overfitting, in words; the same for its second seed."""
    suffix = recipe.removeprefix(PREFIX).removesuffix("_s1")
    return LABELS.get(suffix, suffix.strip("_"))


def settings() -> dict:
    """What the record is a record of."""
    on = {"dataset": RECIPES[PREFIX].dataset, "size": RECIPES[PREFIX].size}
    return on | {"samples": SAMPLES, "seeds": list(SEEDS), "k": NEIGHBORS, "twin": TWIN}


def mirror_twins(train: ImageSet, held_out: ImageSet, tolerance: float = TWIN) -> Tensor:
    """Which held-out images are the mirror image of a training image, (L,) bool: a root mean square difference below `tolerance`.

    To features that hardly tell left from right they are nearer to a training image than a held-out image should be: on emoji
    they lower a `nearer` by up to 0.01. So memorization is measured without them."""
    mirrored = held_out.floats().flip(-1).flatten(1)  # (L, C H W)
    distance = nearest(mirrored, train.floats().flatten(1))[0][:, 0]
    return distance / math.sqrt(mirrored.shape[1]) < tolerance


def equal_part(train: ImageSet, held_out: ImageSet) -> tuple[ImageSet, ImageSet]:
    """(as many training images as held-out ones, drawn at random, the same each time; the other training images)."""
    if len(train) <= len(held_out):
        raise reject("train", f"{len(train)} images", f"more than the {len(held_out)} held-out ones")
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    return train.subset(order[: len(held_out)]), train.subset(order[len(held_out) :])


def measure_run(
    model: LatentModel, train: ImageSet, held_out: ImageSet, *, network: FeatureNetwork | None = None,
    samples: int = SAMPLES, seeds: Sequence[int] = SEEDS, k: int = NEIGHBORS,
) -> dict[str, float | list[float]]:  # fmt: skip
    """Everything the table shows of a model, in eval mode, by name; of what depends on samples, a value for each of `seeds`.

    sse_ and kl_: of held_out, and of train, means over as many images (`training.evaluate`). fd_cifar_, kd_cifar_: of
    samples against held_out, and against train, of which as many images are taken: Fréchet's bias is the same. nearer_cifar and
    the others of `memorization`: in the network's features and in pixels, all of train against held_out without
    `mirror_twins`. kl_fake and gap_: of `real_fake_gaps`. network: the CIFAR-10 classifier, if not given."""
    network = network or feature_network("cifar", device=model.device)
    part, _ = equal_part(train, held_out)
    sets = {"train": part, "held_out": held_out}
    values: dict = {}
    for name, images in sets.items():
        found = evaluate(model, images)
        values |= {f"{term}_{name}": found[term] for term in ("sse", "kl")}
    real = {name: reference_statistics(images, network, progress=False) for name, images in sets.items()}
    known = [_rows(images, network) for images in (train, held_out.subset(~mirror_twins(train, held_out)))]
    drawn = []
    for seed in seeds:
        made = ImageSet(torch.cat(list(generate(model, samples, seed=seed))).cpu(), None, "samples", "drawn")
        gaps = real_fake_gaps(model, train, held_out, samples=samples, seed=seed)["values"]
        drawn.append(_of_samples(_rows(made, network), real, known, seed, k) | gaps)
    return values | {name: [each[name] for each in drawn] for name in drawn[0] if name not in ("kl_train", "kl_held_out")}


def _rows(images: ImageSet, network: FeatureNetwork) -> dict[str, Tensor]:
    """Images as rows to compare: features (N, D) and pixels in [0, 1] (N, C H W)."""
    batches = torch.arange(len(images)).split(250)
    features = torch.cat([network.extract(images.floats(rows)).cpu() for rows in batches])
    return {"cifar": features, "pixels": images.floats().flatten(1)}


def _of_samples(made: dict, real: dict[str, Statistics], known: list[dict], seed: int, k: int) -> dict[str, float]:
    """The distances of samples to each real set, and their memorization."""
    fake, found = Statistics(), {}
    fake.add(made["cifar"])
    for name, statistics in real.items():
        found |= {f"{measure}_{name}": value for measure, value in compare("cifar", ["fd", "kd"], statistics, fake, seed).items()}
    for space, rows in made.items():
        found |= {f"{measure}_{space}": value
                  for measure, value in memorization(rows, *(each[space] for each in known), k=k).items()}  # fmt: skip
    return {name: value for name, value in found.items() if "_std" not in name}


def real_images(train: ImageSet, held_out: ImageSet, network: FeatureNetwork, samples: int = SAMPLES) -> dict[str, float]:
    """What real images score in the samples' place: distances of other training images to both sets."""
    part, rest = equal_part(train, held_out)
    other = reference_statistics(rest.subset(slice(0, samples)), network, progress=False)
    sets = {"train": part, "held_out": held_out}
    real = {name: reference_statistics(images, network, progress=False) for name, images in sets.items()}
    return {f"{measure}_{name}": _short(value) for name, statistics in real.items()
            for measure, value in compare("cifar", ["fd", "kd"], statistics, other).items() if "_std" not in measure}  # fmt: skip


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def path_of(folder: Path | None = None) -> Path:
    return (folder or checkpoint_dir()) / FILE


def read(path: Path | None = None) -> dict:
    """The record: {"settings", "data": what was measured on, "runs": a row each}. CourseError if it is missing, damaged, or was
    made with other settings."""
    path = path or path_of()
    if not path.is_file():
        raise CourseError(f"{path}: no such record. It comes with the repository; `course ablation --runs FOLDER` makes one.")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise CourseError(f"{path}: not valid JSON ({error}). Restore it from the repository.") from error
    if not isinstance(found, dict) or found.get("settings") != settings():
        remedy = "Move it away, and `course ablation --runs FOLDER` makes one."
        raise CourseError(f"{path}: made with other settings than these, {settings()}. {remedy}")
    return found


def measured_on() -> tuple[ImageSet, ImageSet, FeatureNetwork, dict]:
    """(training images, held-out ones, the network, what the record says of these)."""
    train, held_out = (data.load(RECIPES[PREFIX].dataset, split, size=RECIPES[PREFIX].size) for split in ("train", "test"))
    network = feature_network("cifar")
    twins = [name for name, twin in zip(held_out.attributes["name"], mirror_twins(train, held_out).tolist(), strict=True) if twin]
    sets = {"train": train, "held_out": held_out}
    facts: dict = {name: {"images": len(images), "sha256": images.sha256()} for name, images in sets.items()}
    facts |= {"network_sha256": network.sha256, "mirror_twins": twins}
    return train, held_out, network, facts | {"real": real_images(train, held_out, network)}


def opened(name: str, folder: Path) -> tuple[LatentModel, dict] | None:
    """The model of a recipe's finished run in `folder`, and its row without values; None if there is none, or it is not finished.

    CourseError for a run of other settings than the recipe's; its steps are in the row, and whoever compares rows looks there."""
    path = folder / name / "model.safetensors"
    if not path.is_file():
        return None
    recipe, (model, header) = RECIPES[name], checkpoints.load_file(path)
    wanted = {"method": recipe.method, "dataset": recipe.dataset, "size": recipe.size, "seed": recipe.run.seed}
    off = [key for key, value in wanted.items() if header.get(key) != value] + ["config"] * (model.config != recipe.config)
    if off:
        raise CourseError(f"{path}: is no run of the recipe {name}, but of another {', '.join(off)}. Leave this folder out.")
    weights = tensors.digest(model.state_dict(), {})  # of the file's bytes no hash is the same where it is copied to be shipped
    return model, {"recipe": name, "weights_sha256": weights, "seed": header["seed"], "steps": header["steps"]}


def add(path: Path, rows: Sequence[dict], facts: dict) -> dict:
    """Put rows into the record at `path`, in the place of those of the same recipes, and return it; written whole or not at all.

    CourseError if the record there was measured on other data or by another network."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / ".manifest.lock"):  # as for the manifest: one who writes at a time
        record = _there(path, facts)
        by_name = {row["recipe"]: row for row in (*record["runs"], *rows)}
        record["runs"] = [by_name[name] for name in names() if name in by_name]
        lines = ",\n".join(json.dumps(row) for row in record["runs"])  # a line each: a change shows whose it is
        head = ", ".join(f'"{key}": {json.dumps(record[key], ensure_ascii=False)}' for key in ("settings", "data"))
        write_text(path, f'{{{head}, "runs": [\n{lines}\n]}}\n')
    return record


def _there(path: Path, facts: dict) -> dict:
    """The record at `path`, or one without rows; CourseError as `add`."""
    record = read(path) if path.is_file() else {"settings": settings(), "data": facts, "runs": []}
    if {**record["data"], "real": 0} != {**facts, "real": 0}:
        raise CourseError(f"{path}: measured on other images, or by another network. Move it away to make one anew.")
    return record


def measure_runs(folder: Path, path: Path, say=print) -> dict:
    """Measure the finished runs in `folder` and put each into the record at once; those there with these weights are kept.

    say: told a line of each. CourseError if there is no finished run, before anything is measured or written."""
    found = {name: run for name in names() if (run := opened(name, folder))}
    if not found:
        raise reject("runs", str(folder), f"a folder with finished runs, such as {names()[0]}/model.safetensors",
                     f"`course train --recipe {names()[0]}` makes one.")
    if path.is_file():
        read(path)  # refuse a record of other settings before images are read
    train, held_out, network, facts = measured_on()
    record = _there(path, facts)
    there = {row["recipe"]: row["weights_sha256"] for row in record["runs"]}
    for name, (model, row) in found.items():
        if there.get(name) == row["weights_sha256"]:
            say(f"{name}: measured before")
            continue
        values = measure_run(model, train, held_out, network=network)
        short = {key: [_short(v) for v in value] if isinstance(value, list) else _short(value) for key, value in values.items()}
        record = add(path, [{**row, "samples": SAMPLES, "values": short}], facts)
        say(f"{name}: measured")
    return record


def missing(record: dict) -> list[str]:
    """Recipes that have no row yet."""
    return [name for name in names() if name not in {row["recipe"] for row in record["runs"]}]


def spread(values: float | Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation over sampling seeds, of one value itself and 0."""
    values = torch.tensor([values] if isinstance(values, float | int) else values, dtype=torch.float64)
    return values.mean().item(), values.std().item() if len(values) > 1 else 0.0


def between_seeds(record: dict) -> dict[str, dict[str, float]]:
    """By label, of each two runs that differ in their training seed alone, how far their means are apart, value by value.

    A difference of two regularizers that is not larger than this may be the seed's."""
    by_label: dict[str, list[dict]] = {}
    for row in record["runs"]:
        by_label.setdefault(label(row["recipe"]), []).append(row["values"])
    return {name: {key: abs(spread(pair[0][key])[0] - spread(pair[1][key])[0]) for key in pair[0]}
            for name, pair in by_label.items() if len(pair) == 2}  # fmt: skip
