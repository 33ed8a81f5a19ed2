"""Multilayer perceptrons for games in one and two dimensions."""

from __future__ import annotations

import torch
from torch import nn

from ..errors import reject


def check_points(data_shape) -> int:
    """The dimension D of points of shape (D,); CourseError for anything that is not a vector."""
    if len(data_shape) != 1 or data_shape[0] < 1:
        raise reject("data_shape", tuple(data_shape), "(D,), a point's shape", "Images take network='residual'.")
    return data_shape[0]


class MLP(nn.Sequential):
    """Linear layers of `width` with a ReLU after each of the `hidden` first ones: (B, before) -> (B, after).

    It computes in its weights' precision whatever the run's is: bfloat16's steps are as coarse as a narrow mode is wide.
    Only gradients, which need no such digits, are computed in the run's."""

    def __init__(self, before: int, width: int, after: int, *, hidden: int = 3):
        sizes = [before] + hidden * [width]
        layers = [part for a, b in zip(sizes, sizes[1:], strict=False) for part in (nn.Linear(a, b), nn.ReLU(inplace=True))]
        super().__init__(*layers, nn.Linear(sizes[-1], after))

    def forward(self, x):
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x)


class PointCritic(MLP):
    """An MLP with one output: (B, D) -> logits (B,)."""

    def __init__(self, before: int, width: int, **options):
        super().__init__(before, width, 1, **options)

    def forward(self, x):
        return super().forward(x).flatten()
