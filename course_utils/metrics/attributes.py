"""Attribute arithmetic: the mean latent with an attribute minus the mean latent without, and how often it works.

Larsen et al., arXiv 1512.09300, section 3.2 shows pictures of it. Here a judge that has seen real images alone decides
whether an edited picture shows the attribute, and the same rule is applied to unedited reconstructions and to a random
direction of the same length, without which a success rate says nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data.image_set import ImageSet
from ..errors import CourseError, reject
from ..methods.base import evaluating

DRAWN_WITH = ("skin_tone", "gender", "hair")  # what Unicode says of a drawn person


def contrast(images: ImageSet, attribute: str, present: str, absent: str) -> tuple[ImageSet, Tensor, list, list]:
    """The emoji whose attribute is `present` or `absent`: (images, has, twins, bases), one entry an image.

    has: bool (N,), True where it is `present`. twins: keys; images of one key are the same emoji and differ in this
    attribute alone. bases: the base emoji of each, to split by. Where several drawings share
    base, tone, gender and hair, a key holds them all."""
    if attribute not in DRAWN_WITH:
        raise reject("attribute", attribute, DRAWN_WITH)
    values = images.attributes.get(attribute)
    if values is None:
        raise reject("images", images.name, "noto-emoji", "Other sets do not know who has which attribute.")
    for name, value in (("present", present), ("absent", absent)):
        if value not in values:
            raise reject(name, value, sorted(set(values)))
    if present == absent:
        raise reject("absent", absent, sorted(set(values) - {present}))
    rows = [i for i, value in enumerate(values) if value in (present, absent)]
    kept = images.subset(torch.tensor(rows))
    known = kept.attributes
    same = [known[key] for key in ("base", *DRAWN_WITH) if key != attribute]
    has = torch.tensor([value == present for value in known[attribute]])
    return kept, has, list(zip(*same, strict=True)), list(known["base"])


@torch.no_grad()
def posterior_means(model, images: ImageSet, batch_size: int = 500) -> Tensor:
    """The mean of q(z|x) of each image, in eval mode, on the CPU: (N, Z)."""
    with evaluating(model):
        chunks = torch.arange(len(images)).split(batch_size)
        return torch.cat([model.encode(images.floats(rows).to(model.device)).mean.float().cpu() for rows in chunks])


@torch.no_grad()
def decoded(model, z: Tensor, batch_size: int = 500) -> Tensor:
    """Codes (N, Z) as images in [0, 1], in eval mode, on the CPU: (N, C, H, W)."""
    with evaluating(model):
        return torch.cat([model.decode(part.to(model.device)).float().cpu() for part in z.split(batch_size)])


def mean_difference(codes: Tensor, has: Tensor, twins: Sequence[Hashable] | None = None) -> Tensor:
    """Mean code with the attribute minus mean code without: (N, Z), bool (N,) -> (Z,).

    twins: one key an image; then the difference is taken within each key that holds both kinds, and averaged over keys,
    so that whatever else the two kinds differ in on average cancels."""
    if len(codes) != len(has) or (twins is not None and len(twins) != len(has)):
        raise reject("has", f"{len(has)} entries", f"one per image, {len(codes)}", "So it is with twins.")
    if has.all() or not has.any():
        raise reject("has", f"{int(has.sum())} of {len(has)} images", "some with and some without the attribute")
    if twins is None:
        return codes[has].mean(0) - codes[~has].mean(0)
    sides: dict[Hashable, tuple[list, list]] = {}
    for code, shown, key in zip(codes, has.tolist(), twins, strict=True):
        sides.setdefault(key, ([], []))[int(shown)].append(code)
    both = [torch.stack(w).mean(0) - torch.stack(wo).mean(0) for wo, w in sides.values() if w and wo]
    if not both:
        raise reject("twins", "no key with both kinds", "keys that images with and without share", "Or leave twins out.")
    return torch.stack(both).mean(0)


def attribute_vector(model, images: ImageSet, has: Tensor, twins: Sequence[Hashable] | None = None) -> Tensor:
    """The direction of an attribute in latent space, (Z,), on the CPU: `decode(z + t * vector)` adds t times of it.

    has: bool (N,). twins: see `mean_difference`. From posterior means, in eval mode. arXiv 1512.09300, section 3.2."""
    return mean_difference(posterior_means(model, images), torch.as_tensor(has), twins)


@dataclass(frozen=True)
class AttributeSuccess:
    """Shares in [0, 1]. The first two say whether the judge can be believed, the next two what to compare `edited` with.

    judge_real, judge_rec: balanced accuracy on held-out real images, and on their unedited reconstructions.
    unedited, random, edited: of held-out images *without* the attribute, the share judged to show it as reconstructed,
    moved in a random direction of the vector's length, and moved along the vector. images: how many those are.
    """

    judge_real: float
    judge_rec: float
    unedited: float
    random: float
    edited: float
    images: int


def looks(x: Tensor) -> np.ndarray:
    """What the judge sees of images (N, C, H, W) in [0, 1]: the pixels, and how much of which color there is: (N, D).

    Colors are counted in 4 bins a channel. Their weight of 30 makes a judge of skin tone, which is a color anywhere, about as
    good as one of hair, which is a shape in one place."""
    numbers = (4 ** torch.arange(x.shape[1]))[:, None]
    colors = ((x.flatten(2) * 4).long().clamp(0, 3) * numbers).sum(1)  # (N, H W)
    shares = torch.nn.functional.one_hot(colors, 4 ** x.shape[1]).float().mean(1)
    return torch.cat([x.flatten(1) - 0.5, 30 * shares], 1).numpy()


def make_judge(real: np.ndarray, has: np.ndarray):
    """A logistic regression on the looks (N, D) of real images alone, has bool (N,): `predict` gives bools."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000).fit(real, has)


def group_folds(has: np.ndarray, groups: Sequence[Hashable], folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(train rows, held-out rows) for each fold; a group is wholly on one side, and both kinds are on either."""
    from sklearn.model_selection import StratifiedGroupKFold

    numbers = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    group = np.array([numbers[g] for g in groups])
    least = min(len(set(group[has])), len(set(group[~has])))
    if folds < 2 or least < folds:
        remedy = "Split by something that varies more: no image may be judged by a judge that saw its twin."
        raise reject("folds", folds, f"2 to {least}, the groups that hold the rarer kind", remedy)
    parts = list(StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(has, has, group))
    if any(len(set(has[rows])) < 2 for part in parts for rows in part):
        raise CourseError(f"folds: with {folds} folds one lacks images with or without the attribute. Take fewer.")
    return parts


def attribute_success(
    model,
    images: ImageSet,
    has: Tensor,
    groups: Sequence[Hashable],
    *,
    twins: Sequence[Hashable] | None = None,
    t: float = 1.0,
    folds: int = 5,
    seed: int = 0,
) -> AttributeSuccess:
    """How often z + t * vector makes a picture without an attribute show it, judged on images of other groups.

    has: bool (N,). groups: one entry an image, the base emoji, say; judge and vector of a fold come from the other folds'
    groups, so that neither has seen a twin of what it is applied to. (The model may have: give it held-out images if that
    matters.) Each image is held out once. CourseError where too few groups hold either kind."""
    has = torch.as_tensor(has).cpu()
    if len(groups) != len(images) or len(has) != len(images):
        raise reject("groups", f"{len(groups)} entries", f"one per image, {len(images)}, and so has")
    codes = posterior_means(model, images)
    real, rec = looks(images.floats().cpu()), looks(decoded(model, codes))
    truth, generator = has.numpy(), torch.Generator().manual_seed(seed)
    says = {name: np.zeros(len(truth), dtype=bool) for name in ("real", "rec", "random", "edited")}
    for train, held in group_folds(truth, groups, folds, seed):
        judge = make_judge(real[train], truth[train])
        keys = None if twins is None else [twins[i] for i in train]
        vector = mean_difference(codes[train], has[train], keys)
        noise = torch.randn(len(held), len(vector), generator=generator)
        noise *= vector.norm() / noise.norm(dim=1, keepdim=True)
        moved = {"random": noise, "edited": vector.expand_as(noise)}
        pictures = {name: looks(decoded(model, codes[held] + t * step)) for name, step in moved.items()}
        for name, x in {"real": real[held], "rec": rec[held], **pictures}.items():
            says[name][held] = judge.predict(x)
    balanced = {name: (says[name][truth].mean() + (~says[name][~truth]).mean()) / 2 for name in ("real", "rec")}
    shares = {name: float(says[name][~truth].mean()) for name in ("rec", "random", "edited")}
    return AttributeSuccess(
        float(balanced["real"]), float(balanced["rec"]), shares["rec"], shares["random"], shares["edited"], int((~truth).sum())
    )
