"""The fid of published Soft-IntroVAE code, which leaves networks in train mode: beside the standard one, never in its place."""

from __future__ import annotations

from ..errors import reject
from .common import Opened

BATCH = 32  # of published runs on CIFAR-10, whose batches are the training's: a number in train mode depends on it


def check(opened: Opened, images, metrics, samples: int, batch_size: int | None) -> None:
    """CourseError unless fid of images is measured, and no batch, of samples or of real images, has one image alone."""
    from ..metrics.generators import parse_metrics

    if len(images.shape) == 1:
        remedy = "This one is of points in the plane, which are measured without a network."
        raise reject("legacy_train_mode_bn", opened.label, "a checkpoint of images", remedy)
    if not metrics or "fd" not in parse_metrics(metrics).get("inception", ()):
        remedy = "The number published in train mode is Inception's. Other networks, in Python: measure(..., train_mode=...)."
        raise reject("legacy_train_mode_bn", f"--metrics {' '.join(metrics)}".strip(), "--metrics fid", remedy)
    size = batch_size or BATCH
    for name, count in (("samples", samples), (f"images of {images.name}, {images.split}", len(images))):
        if size == 1 or count % size == 1:
            remedy = "Batch norm in train mode would see one image alone. Give another --batch-size."
            raise reject(f"{name}; batch_size", (count, size), "batches of 2 images or more", remedy)


def measured(opened: Opened, images, settings: dict) -> dict:
    """Measure with Inception and the model in train mode, and print it under a name of its own: a record for JSON.

    As published but for one thing: there samples are cut off to 8 bit, here they are rounded."""
    from ..metrics import measure

    settings = {**settings, "batch_size": settings["batch_size"] or BATCH}
    found = measure(opened.model, images, ["fid"], train_mode=("features", "model"), **settings)
    found["metrics"] = {"fid_train_mode": found.pop("values")["fid"]}
    print(f"\nfid_train_mode  {found['metrics']['fid_train_mode']:.6g}")
    print("fid, above, is the standard number: all is in eval mode. fid_train_mode is that of published Soft-IntroVAE code:")
    print(f"Inception and the model in train mode, in batches of {settings['batch_size']}. Compare it only with numbers made so.")
    return found
