"""What is kept of a set's features, and the reference sets' statistics, computed once and cached on disk."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from .. import paths, tensors
from ..data.image_set import ImageSet
from ..errors import CourseError
from .features import FeatureNetwork
from .frechet import Moments

KEPT = 10_000  # features that are kept, as float32, for what compares images one by one: 82 MB in 2048 dimensions


@dataclass
class Statistics:
    """Moments of all features that came, and the first `keep` of them: (K, D), float32, on the CPU."""

    keep: int = KEPT
    moments: Moments = field(default_factory=Moments)
    parts: list[Tensor] = field(default_factory=list)

    def add(self, features: Tensor) -> None:
        """Take in features (B, D)."""
        if self.kept < self.keep:
            self.parts.append(features[: self.keep - self.kept].cpu())
        self.moments.add(features)

    @property
    def kept(self) -> int:
        return sum(map(len, self.parts))

    @property
    def features(self) -> Tensor:
        return torch.cat(self.parts) if self.parts else torch.empty(0, len(self.moments.mean))


def reference_statistics(
    images: ImageSet, network: FeatureNetwork, *, batch_size: int = 250, cache: bool = True, progress: bool = True
) -> Statistics:
    """The statistics of a whole set, from the cache if they are there: keyed by the hashes of the data and the network.

    The features that are kept are those of a random subset, the same each time: sets are often sorted by class.
    Of a network left in train mode nothing is cached: its features are those of these batches only."""
    facts = {
        "network": network.name,
        "network_sha256": network.sha256,
        "resize": network.resize,
        "data_sha256": images.sha256(),
        "images": len(images),
        "kept": KEPT,
    }
    path, cache = cache_file(facts), cache and not network.train_mode
    found = _read(path, facts) if cache else None
    if found is None:
        found = Statistics()
        label = f"{network.name} features of {images.name}, {images.split}"
        for batch in bar(_shuffled(images, batch_size), len(images), label, progress):
            found.add(network.extract(batch))
        if cache:
            _write(path, found, facts)
    return found


def cache_file(facts: dict) -> Path:
    """Where these statistics are cached: in the user's cache, never in the checkout."""
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]
    return paths.cache_dir() / "features" / f"{facts['network']}-{key}.safetensors"


def bar(batches: Iterable[Tensor], total: int, label: str, progress: bool) -> Iterator[Tensor]:
    """The batches, with a bar that counts images."""
    with tqdm(total=total, desc=label, unit="image", disable=not progress, file=sys.stderr, mininterval=0.5) as shown:
        for batch in batches:
            yield batch
            shown.update(len(batch))


def _shuffled(images: ImageSet, batch_size: int) -> Iterator[Tensor]:
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    for index in order.split(batch_size):
        yield images.floats(index.to(images.images.device))


def _read(path: Path, facts: dict) -> Statistics | None:
    """What is cached; None, and a line that says so, if the file is damaged."""
    if not path.is_file():
        return None
    try:
        state, header = tensors.load(path)
        if header != facts:
            raise CourseError(f"{path}: holds statistics of something else.")
    except CourseError as damaged:
        print(f"computed again: {damaged}", file=sys.stderr)
        return None
    moments = Moments(facts["images"], state["mean"], state["scatter"])
    return Statistics(moments=moments, parts=[state["features"]])


def _write(path: Path, found: Statistics, facts: dict) -> None:
    """Cache, or say why not: a folder that cannot be written must not cost the measurement."""
    moments = found.moments
    try:
        tensors.save(path, {"mean": moments.mean, "scatter": moments.scatter, "features": found.features}, facts)
    except (OSError, CourseError) as error:
        print(f"reference statistics not cached: {error}", file=sys.stderr)
