"""What figures ask of a model: decode, codes, path between codes, and which latent dimensions matter."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..errors import reject
from ..methods.base import LatentModel, evaluating

CHUNK = 256
Models = LatentModel | Mapping[str, LatentModel]


def named(models: Models, default: str = "") -> dict[str, LatentModel]:
    """One model or a dict of them -> a dict; CourseError when there is none."""
    models = dict(models) if isinstance(models, Mapping) else {default: models}
    if not models:
        raise reject("models", "none", "a model, or a dict of one or more, by name")
    return models


def needs_encoder(model: LatentModel, name: str = "") -> LatentModel:
    if not model.has_encoder:
        raise reject("model", name or type(model).__name__, "a model with an encoder", "This one only decodes.")
    return model


def batch(x: Tensor) -> Tensor:
    """(C, H, W) -> (1, C, H, W); a batch stays as it is."""
    return x[None] if x.ndim == 3 else x


@torch.no_grad()
def decoded(model: LatentModel, z: Tensor) -> Tensor:
    """(B, Z) -> (B, C, H, W) on the CPU, in eval mode, a few hundred at a time."""
    with evaluating(model):
        return torch.cat([model.decode(part.to(model.device)).cpu() for part in z.split(CHUNK)])


@torch.no_grad()
def encoded(model: LatentModel, x: Tensor) -> tuple[Tensor, Tensor | None]:
    """(B, C, H, W) -> posterior mean (B, Z) and logvar (B, Z), or None, on the CPU, in eval mode."""
    with evaluating(needs_encoder(model)):
        parts = [model.encode(part.to(model.device)) for part in batch(x).split(CHUNK)]
    mean = torch.cat([p.mean.cpu() for p in parts])
    return mean, None if parts[0].logvar is None else torch.cat([p.logvar.cpu() for p in parts])


def reconstructed(model: LatentModel, x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, H, W) on the CPU: the decoded posterior means."""
    return torch.cat([needs_encoder(model).reconstruct(part).cpu() for part in batch(x).split(CHUNK)])


def squared_error(x: Tensor, y: Tensor) -> Tensor:
    """Summed over pixels, values in [0, 1]: (B, C, H, W) twice -> (B,)."""
    return (x.cpu() - y.cpu()).square().flatten(1).sum(1)


def path_between(start: Tensor, end: Tensor, t: Tensor | float, spherical: bool = False) -> Tensor:
    """The code at share t of the way: (Z,), (Z,), (T,) -> (T, Z).

    spherical: along the great circle, the length changing evenly (White, arXiv 1609.04468); where both codes point the
    same way, or one is the origin, there is no circle and the straight line is meant."""
    t = torch.as_tensor(t, dtype=start.dtype).reshape(-1, 1)  # (T, 1)
    line = (1 - t) * start + t * end
    lengths = start.norm(), end.norm()
    if not spherical or min(lengths) < 1e-8:
        return line
    angle = (start @ end / (lengths[0] * lengths[1])).clamp(-1, 1).acos()
    if angle < 1e-4 or angle > torch.pi - 1e-4:
        return line
    direction = ((1 - t) * angle).sin() * start / lengths[0] + (t * angle).sin() * end / lengths[1]
    return direction / angle.sin() * ((1 - t) * lengths[0] + t * lengths[1])


def importance(model: LatentModel, x: Tensor | None = None) -> tuple[Tensor, str]:
    """How much each latent dimension carries, (Z,), and its unit.

    With an encoder and two or more images: model.latent_importance. Else: how far (squared error) the decoded image
    moves when that dimension alone goes from -1 to 1."""
    if model.has_encoder and x is not None and len(x) > 1:
        unit = "variance" if model.encode(x[:1].to(model.device)).logvar is None else "nats"
        return model.latent_importance(x).cpu(), unit
    step = torch.eye(model.latent_dim)
    return squared_error(decoded(model, step), decoded(model, -step)), "squared error"


def leading_dims(model: LatentModel, x: Tensor | None = None, count: int = 6) -> tuple[list[int], list[float], str]:
    """The dimensions that carry most, the first the most: (dimensions, how much, its unit)."""
    carried, unit = importance(model, x)
    order = carried.argsort(descending=True, stable=True)[:count]
    return order.tolist(), carried[order].tolist(), unit
