"""Measuring a generator: samples stream through feature networks and are compared with a set of real images.

A metric's name says its network. `fid` and `kid` are Inception's alone; `fd_fashion` is the Fréchet and `kd_fashion` the
kernel distance on features of the Fashion-MNIST classifier, `precision_cifar` is on those of the CIFAR-10 classifier.
Points in the plane need no features: their density is known, and `plane` has the metrics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..data.image_set import ImageSet
from ..data.points import PointSet
from ..errors import reject
from ..methods.base import LatentModel, evaluating
from .features import NETWORKS, FeatureNetwork, feature_network
from .frechet import too_few
from .kernel import kernel_distance
from .neighbors import precision_recall_density_coverage
from .plane import POINT_METRICS, measure_points
from .references import KEPT, Statistics, bar, reference_statistics
from .samples import generate

NEIGHBORS = ("precision", "recall", "density", "coverage")
MEASURES = ("fd", "kd", *NEIGHBORS)
SETTINGS = {"k": 3, "k_density": 5, "subsets": 100, "subset_size": 1000}


def measure(
    model: LatentModel,
    reference: ImageSet | PointSet,
    metrics: Sequence[str],
    *,
    samples: int = 10_000,
    seed: int = 0,
    batch_size: int = 250,
    networks: Mapping[str, FeatureNetwork] | None = None,
    inception_weights: Path | str | None = None,
    train_mode: Sequence[str] = (),
    cache: bool = True,
    progress: bool = True,
) -> dict:
    """Compare `samples` images of a model's prior with `reference`: a record for JSON, its figures under "values".

    metrics: names as `metric_names` lists them; a network's name alone stands for all of its metrics. networks: feature
    networks by name, in place of the known ones or beside them. The Fréchet distance sees all images; the others compare
    equal numbers of real and generated images, 10,000 at most ("compared"). Beyond that memory does not grow with `samples`.

    train_mode: a mistake made on purpose, for chapter 05: "features" leaves the feature networks in train mode, "model"
    the model. CourseError for a model without a prior, images that do not fit, and too few images.

    A reference of points stands for its density: the metrics are those of `plane.score`, and `networks`, `inception_weights` and
    `train_mode` have no place."""
    networks = networks or {}
    if isinstance(reference, PointSet):
        if networks or inception_weights or train_mode:
            given = "networks, inception_weights or train_mode"
            raise reject("reference", reference.name, f"a set of images with {given}", "Points are measured without features.")
        _check_numbers(samples, batch_size, train_mode)
        return measure_points(model, reference, metrics, samples=samples, seed=seed, batch_size=batch_size)
    wanted = parse_metrics(metrics, networks)
    _check_numbers(samples, batch_size, train_mode)
    _check_model(model, reference)
    used = _networks(wanted, networks, model.device, inception_weights, "features" in train_mode)
    settings = {"batch_size": batch_size, "cache": cache, "progress": progress}
    real = {name: reference_statistics(reference, network, **settings) for name, network in used.items()}
    drawn = generate(model, samples, seed=seed, batch_size=batch_size, train_mode="model" in train_mode)
    fake = _statistics(bar(drawn, samples, "samples", progress), wanted, used)
    values = {}
    for name, measures in wanted.items():
        values |= compare(name, measures, real[name], fake[name], seed)
    compared = max(min(real[name].kept, fake[name].kept) for name in used)
    about = {"samples": samples, "compared": compared, "seed": seed, "batch_size": batch_size}
    return {"values": values, **about, "train_mode": list(train_mode), **_facts(wanted, used, reference, samples)}


def _networks(wanted: Mapping, given: Mapping, device, inception_weights, in_train_mode: bool) -> dict[str, FeatureNetwork]:
    """The network of each name in `wanted`: the given one, or else the known one."""
    used = {}
    for name in wanted:
        network = given.get(name) or feature_network(name, device=device, inception_weights=inception_weights)
        used[name] = network.left_in_train_mode() if in_train_mode else network
    return used


def _statistics(drawn: Iterable[Tensor], wanted: Mapping, used: Mapping[str, FeatureNetwork]) -> dict[str, Statistics]:
    """Of the features of uint8 images (B, C, H, W), batch after batch; features are kept where a measure compares them."""
    found = {name: Statistics(keep=KEPT if set(measures) - {"fd"} else 0) for name, measures in wanted.items()}
    for images in drawn:
        for name, network in used.items():
            found[name].add(network.extract(images.float().div_(255)))
    return found


def metric_names(network: str) -> list[str]:
    """The names of a network's metrics."""
    return [_name(measure, network) for measure in MEASURES]


def parse_metrics(metrics: Sequence[str], networks: Sequence[str] | Mapping = ()) -> dict[str, list[str]]:
    """Names of metrics -> the measures wanted of each network; CourseError for an unknown name."""
    metrics = [metrics] if isinstance(metrics, str) else list(metrics)
    known = {}
    for network in dict.fromkeys((*NETWORKS, *networks)):
        known |= {_name(measure, network): (network, [measure]) for measure in MEASURES}
        known[network] = (network, list(MEASURES))
    if not metrics:
        raise reject("metrics", metrics, known)
    wanted: dict[str, list[str]] = {}
    for name in metrics:
        if name not in known:
            remedy = "That is for points in the plane." if name in POINT_METRICS else ""
            raise reject("metrics", name, known, remedy or "A network's name alone stands for all of its metrics.")
        network, measures = known[name]
        wanted.setdefault(network, []).extend(m for m in measures if m not in wanted.get(network, []))
    return wanted


def compare(network: str, measures: Sequence[str], real: Statistics, fake: Statistics, seed: int = 0) -> dict[str, float]:
    """The measures of two sets' statistics under their names; a kernel distance with the spread of its subsets."""
    found, count = {}, min(real.kept, fake.kept)
    x, y = real.features[:count], fake.features[:count]
    if "fd" in measures:
        found["fd"] = real.moments.distance(fake.moments)
    if "kd" in measures:
        settings = {"subsets": SETTINGS["subsets"], "size": SETTINGS["subset_size"]}
        found["kd"], spread = kernel_distance(x, y, **settings, generator=torch.Generator().manual_seed(seed))
    if set(NEIGHBORS) & set(measures):
        found |= precision_recall_density_coverage(x, y, SETTINGS["k"], SETTINGS["k_density"])
    named = {_name(measure, network): found[measure] for measure in measures}
    return named | ({f"{_name('kd', network)}_std": spread} if "kd" in measures else {})


def _name(measure: str, network: str) -> str:
    if network == "inception" and measure in ("fd", "kd"):
        return {"fd": "fid", "kd": "kid"}[measure]
    return f"{measure}_{network}"


def _check_numbers(samples: int, batch_size: int, train_mode: Sequence[str]) -> None:
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 2:
        raise reject("samples", samples, "a whole number of 2 or more", "10,000 is usual for figures that are compared.")
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise reject("batch_size", batch_size, "a whole number of 1 or more")
    if isinstance(train_mode, str) or not set(train_mode) <= {"features", "model"}:
        raise reject("train_mode", train_mode, "a tuple of 'features', 'model' or both", "Empty, but for chapter 05's story.")


def _check_model(model: LatentModel, reference: ImageSet) -> None:
    """CourseError unless the model has a prior and makes images like the reference's."""
    if not isinstance(model, LatentModel) or len(model.data_shape) != 3:
        raise reject("model", type(model).__name__, "a model that samples images: a VAE, a GAN")
    if len(reference) < 2:
        raise reject("reference", f"{len(reference)} images", "2 or more")
    model.check_images(reference.images[:1])
    with torch.no_grad(), evaluating(model):
        posterior = model.encode(reference.floats(slice(0, 1)).to(model.device)) if model.has_encoder else None
    if posterior is not None and posterior.logvar is None:
        remedy = "An autoencoder has no prior, so nothing says which codes to decode. Measure its reconstructions."
        raise reject("model", type(model).__name__, "a model with a prior to sample from", remedy)


def _facts(wanted: Mapping, used: Mapping[str, FeatureNetwork], reference: ImageSet, samples: int) -> dict:
    """What a figure must carry with it to be compared with another one."""
    fewest = min(samples, len(reference))
    small = [used[name].dimension for name, measures in wanted.items() if "fd" in measures and fewest <= used[name].dimension]
    kinds = {
        name: {"weights_sha256": network.sha256, "dimension": network.dimension, "resize": network.resize}
        for name, network in used.items()
    }
    real = {"dataset": reference.name, "split": reference.split, "images": len(reference), "sha256": reference.sha256()}
    notes = [too_few(fewest, dimension) for dimension in small]
    return {"networks": kinds, "reference": real, "pixels": "8 bit", "settings": SETTINGS, "notes": notes}
