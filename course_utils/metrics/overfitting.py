"""Has a model learned its few training images by heart? Two questions, both asked with the help of held-out images.

Does the generator copy: do samples lie nearer to training images than held-out images do? And does the encoder know its
training images: does it judge held-out ones as it judges fakes? Where images come in families, as emoji in skin tones, all
of a family must be on one side of the split: a held-out twin of a training image would make copies look like news.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ..augment import real_fake_gap
from ..data.image_set import ImageSet
from ..errors import reject
from ..methods.base import LatentModel, evaluating
from .features import FeatureNetwork
from .neighbors import nearest
from .samples import generate

NEIGHBORHOOD = 50


def distances_to_training(x: Tensor, train: Tensor, k: int = NEIGHBORHOOD, *, label: str = "") -> tuple[Tensor, Tensor]:
    """How near each row of x (N, D) comes to a row of train (M, D): absolute (N,) and relative (N,), in float64.

    absolute: Euclidean distance to the nearest. relative: that over the mean distance to the k nearest, in [0, 1]: 0 for a
    copy, near 1 for an image that is about as far from many. A blurred image is nearer to all images than a sharp one, and
    relatively it is not. After Carlini et al., arXiv 2301.13188, whose k is 50 as well; they divide by half of the mean.
    label: of a progress bar, if there shall be one."""
    found = nearest(x, train, k, label=label)[0]  # (N, k)
    mean = found.mean(1)
    first = found[:, 0].contiguous()
    return first, torch.where(mean > 0, first / mean.clamp_min(1e-300), 0.0)


def memorization(
    samples: Tensor, train: Tensor, held_out: Tensor, *, k: int = NEIGHBORHOOD, share: float = 0.05, progress: bool = False
) -> dict[str, float]:
    """Do samples (N, D) copy training images (M, D) more than held-out images (L, D) by chance do? Rows are features, or pixels.

    nearer: the probability that a sample is nearer to its nearest training image than a held-out image is to its own; ties
    count half. 0.5: as a generator without memory; 1: a copyist; below 0.5: samples are further from the training images than
    real ones are, as poor samples are. It is the Mann-Whitney statistic of Meehan et al., arXiv 2004.05675, over the number of
    pairs, for one cell. ratio: median distance of samples over that of held-out images. copies: share of samples that are
    nearer than all but `share` of the held-out images; `share` by chance. "_relative" is of the relative distances of
    `distances_to_training`, which blur does not lower.

    It does not depend on N, and on M alike for both. What counts as near is the features' affair: in pixels a copy that is
    moved by two pixels is none, and to features of a network noise is far off. Nothing is said of parts of the data that
    samples leave out. CourseError for k >= M, and for features that do not fit or are not finite."""
    if not 0 < share < 1:
        raise reject("share", share, "more than 0 and less than 1", "It is the share of held-out images that count as copies.")
    found = {}
    sets = {"samples' neighbors": samples, "held-out images' neighbors": held_out}
    distances = [distances_to_training(rows, train, k, label=label * progress) for label, rows in sets.items()]
    for suffix, fake, real in zip(("", "_relative"), *distances, strict=True):
        found[f"nearer{suffix}"] = probability_less(fake, real)
        found[f"ratio{suffix}"] = (fake.median() / real.median().clamp_min(1e-300)).item()
        found[f"copies{suffix}"] = (fake < real.quantile(share)).double().mean().item()
    return found


def probability_less(x: Tensor, y: Tensor) -> float:
    """P(x < y) + P(x = y) / 2 of one value of each, (N,) and (M,): the Mann-Whitney statistic over N M."""
    ordered = y.sort().values
    above = len(y) - torch.searchsorted(ordered, x, right=True)
    equal = len(y) - torch.searchsorted(ordered, x, right=False) - above
    return ((above + equal / 2).double().mean() / len(y)).item()


def measure_memorization(
    model: LatentModel,
    train: ImageSet,
    held_out: ImageSet,
    *,
    network: FeatureNetwork | None = None,
    samples: int = 1000,
    seed: int = 0,
    batch_size: int = 250,
    k: int = NEIGHBORHOOD,
    progress: bool = False,
) -> dict:
    """`memorization` of images drawn from a model's prior: a record for JSON, its figures under "values".

    network: whose features are compared; None: pixels in [0, 1]. progress: bars of the search. CourseError for a model without
    a prior and for images that do not fit."""
    _check(model, train, held_out, samples)

    def features(batches: Iterable[Tensor]) -> Tensor:
        return torch.cat([(network.extract(x) if network else x.flatten(1)).cpu() for x in batches])

    drawn = features(_drawn(model, samples, seed, batch_size))
    real = [features(_batches(images, batch_size)) for images in (train, held_out)]
    values = memorization(drawn, *real, k=k, progress=progress)
    space = {"features": network.name, "weights_sha256": network.sha256} if network else {"features": "pixels"}
    return {"values": values, **space, "k": k, "samples": samples, "seed": seed, **_facts(train, held_out)}


@torch.no_grad()
def real_fake_gaps(
    model: LatentModel, train: ImageSet, held_out: ImageSet, *, samples: int = 1000, seed: int = 0, batch_size: int = 250
) -> dict:
    """What an encoder, in eval mode, holds of training images, held-out images and samples: a record for JSON.

    kl_train, kl_held_out, kl_fake: mean KL of the posterior to the prior, in nats. gap_train and gap_held_out: the
    `real_fake_gap` of either kind of real image and the fakes, in [-1, 1]. gap_unseen: that of training images and held-out ones
    in the fakes' place: 0 for an encoder that has learned nothing by heart; where it nears gap_train, what it has not seen is
    to it as good as fake. Samples are in [0, 1] and of 8 bit, as real images are: values that no image has give none away, and
    kl_fake is another number than in training. CourseError for a model without an encoder or a prior."""
    _check(model, train, held_out, samples)
    if not model.has_encoder:
        raise reject("model", type(model).__name__, "a model with an encoder", "A GAN has none.")
    sources = {"train": _batches(train, batch_size), "held_out": _batches(held_out, batch_size)}
    sources["fake"] = _drawn(model, samples, seed, batch_size)
    with evaluating(model):
        kl = {name: torch.cat([model.encode(x.to(model.device)).kl().cpu().double() for x in batches])
              for name, batches in sources.items()}  # fmt: skip
    pairs = {"gap_train": ("train", "fake"), "gap_held_out": ("held_out", "fake"), "gap_unseen": ("train", "held_out")}
    values = {f"kl_{name}": each.mean().item() for name, each in kl.items()}
    values |= {name: real_fake_gap(kl[real], kl[fake]).item() for name, (real, fake) in pairs.items()}
    return {"values": values, "samples": samples, "seed": seed, **_facts(train, held_out)}


def _check(model: LatentModel, train: ImageSet, held_out: ImageSet, samples: int) -> None:
    """CourseError unless the model has a prior and makes images like those of both sets."""
    if not isinstance(model, LatentModel) or len(model.data_shape) != 3:
        raise reject("model", type(model).__name__, "a model that samples images: a VAE, a GAN")
    for name, images in (("train", train), ("held_out", held_out)):
        if not len(images):
            raise reject(name, "no image", "1 or more")
        model.check_images(images.images[:1])
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise reject("samples", samples, "a whole number of 1 or more")
    if model.has_encoder:
        with torch.no_grad(), evaluating(model):
            if model.encode(train.floats([0]).to(model.device)).logvar is None:
                remedy = "An autoencoder has no prior, so nothing says which codes to decode."
                raise reject("model", type(model).__name__, "a model with a prior to sample from", remedy)


def _batches(images: ImageSet, batch_size: int) -> Iterable[Tensor]:
    return (images.floats(rows) for rows in torch.arange(len(images), device=images.images.device).split(batch_size))


def _drawn(model: LatentModel, samples: int, seed: int, batch_size: int) -> Iterable[Tensor]:
    return (images.float().div_(255) for images in generate(model, samples, seed=seed, batch_size=batch_size))


def _facts(train: ImageSet, held_out: ImageSet) -> dict:
    sets = (("train", train), ("held_out", held_out))
    return {name: {"dataset": s.name, "split": s.split, "images": len(s), "sha256": s.sha256()} for name, s in sets}
