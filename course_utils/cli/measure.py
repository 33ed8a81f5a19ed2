"""Measuring checkpoints: evaluate one; list the shipped ones, or verify that they are what their records say."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tqdm.auto import tqdm

from ..errors import CourseError, check_seed, reject
from . import legacy
from .common import (
    Checkpoint,
    Dataset,
    Device,
    Name,
    Opened,
    Size,
    Split,
    at_least,
    check_out,
    command,
    open_checkpoint,
    open_images,
    option,
    table,
)

TOLERANCE = 1e-3  # relative: other processors round otherwise; the same seed draws the same noise on every CPU


@command
def evaluate(
    checkpoint: Checkpoint,
    /,
    dataset: Dataset = None,
    split: Split = "test",
    size: Size = None,
    batch_size: Annotated[int | None, option("N")] = None,
    seed: int = 0,
    metrics: Annotated[tuple[str, ...], option("NAME ...")] = (),
    samples: Annotated[int | None, option("N")] = None,
    inception_weights: Annotated[Path | None, option("FILE")] = None,
    legacy_train_mode_bn: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    out: Annotated[Path | None, option("PATH")] = None,
    device: Device = "auto",
) -> None:
    """Measure a checkpoint on a whole split: means over images of sums over pixels and latent dimensions.

    rec, kl and elbo are in nats, without the likelihood's constant; sse is a squared error in the network's pixel range.
    With --metrics: how far images drawn from the model's prior are from the split's.

    Args:
        batch_size: images at a time, 500 if not given; it does not change deterministic terms
        seed: of the codes that are sampled
        metrics: fid, kid, and on the course's classifiers fd_fashion, kd_fashion, fd_cifar, kd_cifar; for each network
            also precision_, recall_, density_ and coverage_; a network's name (inception, fashion, cifar): all of its own;
            for points in the plane jsd, kl_data_model, kl_model_data, within, modes, share_min and share_max, or plane: all
        samples: images to draw for the metrics, 10,000 if not given; points, 20,000
        inception_weights: for fid and kid, in place of the file that pytorch-fid keeps in torch hub's cache
        legacy_train_mode_bn: beside the standard fid, what published Soft-IntroVAE code calls so: Inception, for real images
            and for samples, and the measured model are in train mode, so that every batch norm uses the statistics of its batch,
            of 32 images unless --batch-size is given. As published: --split train --samples 50000
        out: a JSON file to write the measures to
    """
    at_least("batch_size", 500 if batch_size is None else batch_size, 1)
    check_seed(seed)
    check_out(out)
    if not metrics and (samples is not None or inception_weights is not None):
        raise reject("metrics", "none", "names of metrics", "--samples and --inception-weights are for --metrics NAME.")
    opened = open_checkpoint(checkpoint, device, latent=bool(metrics), points=True)
    images = open_images(opened, dataset, split, size)
    samples = samples if samples is not None else 20_000 if len(images.shape) == 1 else 10_000
    if legacy_train_mode_bn:
        legacy.check(opened, images, metrics, samples, batch_size)
    settings = {"samples": samples, "seed": seed, "batch_size": batch_size or 500, "inception_weights": inception_weights}
    started = time.perf_counter()
    found = _measured(opened, images, metrics, settings)
    if legacy_train_mode_bn:
        found["legacy_train_mode_bn"] = legacy.measured(opened, images, {**settings, "batch_size": batch_size})
    seen = samples * (1 + legacy_train_mode_bn) if metrics else len(images)
    _finish(opened, found, _what(images), seen / (time.perf_counter() - started), out)


def _measured(opened: Opened, images, metrics, settings: dict) -> dict:
    """What is asked for: held-out terms, or with metrics those of samples."""
    if not metrics:
        return _held_out(opened, images, settings["seed"], settings["batch_size"])
    return (_of_points if len(images.shape) == 1 else _of_samples)(opened, images, metrics, settings)


def _finish(opened: Opened, found: dict, what: str, speed: float, out: Path | None) -> None:
    """Say how fast it was, and write the measures."""
    from ..files import write_json

    print(f"{speed:,.0f} {what} per second on {opened.model.device}")
    if out is not None:
        write_json(out, {"checkpoint": opened.label, **found, f"{what}_per_second": round(speed, 1)})
        print(f"wrote {out}")


def _held_out(opened: Opened, images, seed: int, batch_size: int) -> dict:
    from ..training import evaluate as measure

    found = measure(opened.model, images, batch_size=batch_size, seed=seed)
    print(f"{opened.label} on {images.name}, {images.split}: {len(images):,} {_what(images)} {images.shape}")
    print(_beside(found, _recorded(opened, images)))
    return {"dataset": images.name, "split": images.split, _what(images): len(images), "seed": seed, "metrics": found}


def _sampled(opened: Opened, images, metrics, settings: dict) -> tuple[dict, dict[str, float]]:
    """Measure samples of the model's prior: (the record, its figures under "metrics"; what was measured after the training)."""
    from ..metrics import measure

    found = measure(opened.model, images, metrics, **settings)
    found["metrics"] = found.pop("values")
    return found, _recorded_of_samples(opened, images, settings["samples"], settings["seed"])


def _of_samples(opened: Opened, images, metrics, settings: dict) -> dict:
    found, recorded = _sampled(opened, images, metrics, settings)
    print(f"{opened.label}: {found['samples']:,} samples against {len(images):,} images of {images.name}, {images.split}")
    print(_beside(found["metrics"], recorded))
    if found["compared"]:
        print(f"all but the Fréchet distance on {found['compared']:,} of each; kernel distance: mean over subsets, spread")
    return found


def _of_points(opened: Opened, points, metrics, settings: dict) -> dict:
    from ..data.points import density
    from ..metrics import real_against_real

    found, recorded = _sampled(opened, points, metrics, settings)
    floor = real_against_real(density(points.name), found["samples"], metrics)
    rows = [["term", "measured", *(["recorded"] if recorded else []), "real points", "their spread"]]
    for name, value in found["metrics"].items():
        rows.append([name, value, *([recorded.get(name)] if recorded else []), floor[name], floor[f"{name}_std"]])
    print(f"{opened.label}: {found['samples']:,} samples against the density {points.name}; divergences in nats")
    print(table(rows))
    print("real points: what as many points of the density itself score, mean and standard deviation of 10 draws")
    return {**found, "real_against_real": floor}


def _what(images) -> str:
    return "points" if len(images.shape) == 1 else "images"


def _recorded_of_samples(opened: Opened, images, samples: int, seed: int) -> dict[str, float]:
    """What was measured after the training on as many samples of the same seed."""
    same = (opened.facts.get("watched") or {}).get("samples") == samples and seed == 0
    return _recorded(opened, images) if same else {}


def _recorded(opened: Opened, images) -> dict[str, float]:
    """What was measured after the training, if these are the same images."""
    same = (images.split, images.name) == ("test", opened.facts.get("dataset"))
    return opened.facts.get("metrics", {}) if same else {}


def _beside(found: dict[str, float], recorded: dict[str, float]) -> str:
    head = ["term", "measured", *(["recorded"] if recorded else [])]
    return table([head, *([name, value, recorded.get(name)][: len(head)] for name, value in found.items())])


@command
def checkpoints(
    action: Annotated[Literal["list", "verify"], tyro.conf.Positional] = "list",
    name: Name = None,
    /,
) -> None:
    """List the shipped checkpoints, or verify them: hash the files again, load them, and measure them again.

    Args:
        action: list, or verify (exit code 2 if anything differs from the record)
        name: one checkpoint only
    """
    from .. import checkpoints as store

    known = store.manifest()
    if name is not None:
        known = {name: store.entry(name)}
    if not known:
        raise CourseError(
            f"no checkpoint in {store.checkpoint_dir()}. `course fetch` gets them; `course train` makes some."
        )
    if action == "verify":
        return _verify(known)
    rows = [["name", "method", "data", "Z", "parameters", "steps", "minutes", "measured on held-out data", "weights"]]
    for key, facts in known.items():
        measured = ", ".join(f"{k} {v:.5g}" for k, v in facts.get("metrics", {}).items() if k in ("sse", "kl"))
        size = (store.checkpoint_dir() / facts["file"]) if facts.get("file") else None
        weights = (
            "not shipped" if size is None else f"{size.stat().st_size / 1e6:.1f} MB" if size.is_file() else "MISSING"
        )
        shown = [facts.get(k) for k in ("method", "dataset")] + [facts["config"].get("latent_dim")]
        rows.append([key, *shown, *(facts.get(k) for k in ("parameters", "steps", "minutes")), measured, weights])
    print(table(rows))
    print(f"in {store.checkpoint_dir()}; `course checkpoints verify` checks them; `course train --recipe NAME`")


def _verify(known: dict[str, dict]) -> None:
    """Print one line per checkpoint; CourseError at the end if any failed."""
    rows, failed = [["name", "hash and load", "curves", "measured again", "largest difference"]], []
    cache: dict = {}
    for name, facts in tqdm(known.items(), desc="verify", unit="checkpoint", file=sys.stderr):
        row, problems = verify_one(name, facts, cache)
        rows.append([name, *row])
        failed += [f"{name}: {problem}" for problem in problems]
    print(table(rows))
    if failed:
        raise CourseError("\n  ".join([f"{len(failed)} of these checks failed:", *failed]))


def verify_one(name: str, facts: dict, cache: dict) -> tuple[list[str], list[str]]:
    """Re-hash, re-load, re-measure one checkpoint on the CPU. Returns cells for the table, and what failed."""
    from .. import checkpoints as store

    problems = []
    try:
        store.curves(name)
        curves = "ok"
    except CourseError as error:
        curves = "FAILED"
        problems.append(str(error))
    if not facts.get("file"):
        return ["weights not shipped", curves, "", ""], problems
    try:
        model = store.load(name)
    except CourseError as error:
        return ["FAILED", curves, "", ""], [*problems, str(error)]
    why_not, found = _measure_again(model, facts, cache)
    if why_not:
        return ["ok", curves, f"no: {why_not}", ""], problems
    pairs = {term: (found.get(term, math.nan), old) for term, old in facts["metrics"].items()}
    off = {term: _difference(*pair) for term, pair in pairs.items()}
    wrong = [term for term in pairs if off[term] > TOLERANCE]
    problems += ["{} is {:.6g}, recorded {:.6g}".format(term, *pairs[term]) for term in wrong]
    return ["ok", curves, "DIFFERS" if wrong else "ok", f"{max(off.values()):.1e}"], problems


def _difference(new: float, old: float) -> float:
    """Relative; infinite where one of them is not a number."""
    off = abs(new - old) / max(abs(old), 1e-6)
    return math.inf if math.isnan(off) else off


def _measure_again(model, facts: dict, cache: dict) -> tuple[str, dict[str, float]]:
    """(why it cannot be done, or "", the measures)."""
    from ..recipes import measured

    if not facts.get("metrics"):
        return "no measures are recorded", {}
    try:
        train, test = _data_of(facts, cache)
    except CourseError:
        return f"{facts.get('dataset')} is not on this machine", {}
    if facts.get("dataset_sha256") and train != facts["dataset_sha256"]:
        return f"{facts['dataset']} is not the data it was trained on (another hash)", {}
    return "", measured(model, test, facts.get("watched"))


def _data_of(facts: dict, cache: dict):
    """(hash of the training images, test images) of a checkpoint's data, each data set read once."""
    from .. import data

    key = (facts["dataset"], facts.get("size"))
    if key not in cache:
        train, test = (data.load(key[0], split, size=key[1]) for split in ("train", "test"))
        cache[key] = (train.sha256(), test)
    return cache[key]
