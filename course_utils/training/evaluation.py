"""Held-out terms, in eval mode, every image weighted the same."""

from __future__ import annotations

import torch

from ..methods.base import evaluating
from ..methods.trainable import Trainable


@torch.no_grad()
def evaluate(model: Trainable, images, *, batch_size: int = 500, seed: int = 0) -> dict[str, float]:
    """Means of the model's evaluation terms over an ImageSet. One seed gives the same numbers twice.

    Units and range are the terms' own (`evaluation_terms` of the method). The sums are kept in float64, and a ragged last
    batch weighs what it holds."""
    generator = torch.Generator(model.device).manual_seed(seed)
    totals: dict[str, torch.Tensor] = {}
    with evaluating(model):
        for start in range(0, len(images), batch_size):
            index = torch.arange(start, min(start + batch_size, len(images)))
            x = images.floats(index).to(model.device)
            labels = [images.labels[index].to(model.device)] if model.supervised else []
            for name, values in model.evaluation_terms(x, generator, *labels).items():
                totals[name] = totals.get(name, 0) + values.cpu().double().sum()  # Apple's GPUs have no float64
    return {name: float(total) / len(images) for name, total in totals.items()}
