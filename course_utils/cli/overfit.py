"""`course overfitting`: has a model learned its training images by heart?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from ..errors import check_seed, reject
from .common import (
    Checkpoint,
    Dataset,
    Device,
    Opened,
    Size,
    at_least,
    check_out,
    command,
    open_checkpoint,
    open_images,
    option,
    table,
)

OF_SHAPE = {(3, 32, 32): ("pixels", "cifar"), (1, 32, 32): ("pixels", "fashion")}
LEGEND = {
    "nearer": "how often a sample is nearer to a training image than a held-out image is: 0.5 without memory, 1 copies",
    "ratio": "median distance to the nearest training image, samples over held-out images",
    "copies": "share of samples nearer than 95 % of held-out images: 0.05 by chance",
    "nearer_relative": "as nearer, of the distance over the mean of the {k} nearest ones, which blur does not lower",
    "ratio_relative": "as ratio, of these",
    "copies_relative": "as copies, of these",
}
OF_ENCODER = {
    "kl_train": "mean KL of training images, in nats",
    "kl_held_out": "of held-out images",
    "kl_fake": "of samples",
    "gap_train": "(fake - train) / (fake + train) of these KLs: 0 alike, near 1 told apart",
    "gap_held_out": "the same with held-out images for training images",
    "gap_unseen": "the same with held-out images for samples: 0 if none is known by heart",
}


@command
def overfitting(
    checkpoint: Checkpoint,
    /,
    dataset: Dataset = None,
    size: Size = None,
    samples: int = 1000,
    seed: int = 0,
    features: Annotated[tuple[Literal["pixels", "cifar", "fashion"], ...], option("NAME ...")] = (),
    k: int = 50,
    out: Annotated[Path | None, option("PATH")] = None,
    device: Device = "auto",
) -> None:
    """Ask whether samples copy training images, and whether the encoder knows these from images that it has never seen.

    Args:
        samples: images to draw from the model's prior
        seed: of these
        features: what images are compared in: pixels, or a classifier's features, cifar (3x32x32) or fashion (1x32x32); pixels
            and the classifier of the model's shape if not given
        k: nearest training images whose mean distance the relative ones are divided by
        out: a JSON file to write the measures to
    """
    from ..files import write_json

    at_least("samples", samples, 1)
    check_seed(seed)
    check_out(out)
    opened = open_checkpoint(checkpoint, device)
    train, held_out = (open_images(opened, dataset, split, size) for split in ("train", "test"))
    features = features or OF_SHAPE.get(tuple(opened.model.data_shape), ("pixels",))
    found = _measured(opened, train, held_out, features, {"samples": samples, "seed": seed}, k)
    print(f"{opened.label}: {samples:,} samples, {len(train):,} training and {len(held_out):,} held-out images of {train.name}")
    print(_rows(found, k))
    if out is not None:
        write_json(out, {"checkpoint": opened.label, **found})
        print(f"wrote {out}")


def _measured(opened: Opened, train, held_out, features, settings: dict, k: int) -> dict:
    """{"memorization": a record for each of `features`, "encoder": a record, or None without an encoder}."""
    from ..metrics import feature_network, measure_memorization, real_fake_gaps

    if not 1 <= k <= len(train):
        raise reject("k", k, f"from 1 to {len(train)}, the number of training images")
    device = opened.model.device
    networks = {name: None if name == "pixels" else feature_network(name, device=device) for name in dict.fromkeys(features)}
    measured = {name: measure_memorization(opened.model, train, held_out, network=network, k=k, progress=True, **settings)
                for name, network in networks.items()}  # fmt: skip
    gaps = real_fake_gaps(opened.model, train, held_out, **settings) if opened.model.has_encoder else None
    return {"memorization": measured, "encoder": gaps}


def _rows(found: dict, k: int) -> str:
    """Both tables, a line for each number with what it says."""
    spaces = found["memorization"]
    rows = [["samples", *spaces, "what it is"]]
    rows += [[name, *(each["values"][name] for each in spaces.values()), text.format(k=k)] for name, text in LEGEND.items()]
    if found["encoder"] is None:
        return f"{table(rows)}\n\nThere is no encoder to ask."
    asked = [["encoder", "value", "what it is"]]
    asked += [[name, found["encoder"]["values"][name], text] for name, text in OF_ENCODER.items()]
    return f"{table(rows)}\n\n{table(asked)}"
