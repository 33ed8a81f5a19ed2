"""Multilayer perceptrons for games in one and two dimensions."""

from __future__ import annotations

from torch import nn

from ..errors import reject


def check_points(data_shape) -> int:
    """The dimension D of points of shape (D,); CourseError for anything that is not a vector."""
    if len(data_shape) != 1 or data_shape[0] < 1:
        raise reject("data_shape", tuple(data_shape), "(D,), a point's shape", "Images take network='residual'.")
    return data_shape[0]


class MLP(nn.Sequential):
    """Linear layers of `width` with an activation after each of the `hidden` first ones: (B, before) -> (B, after)."""

    def __init__(self, before: int, width: int, after: int, *, hidden: int = 3, activation=nn.ReLU):
        sizes = [before] + hidden * [width]
        layers = [part for a, b in zip(sizes, sizes[1:], strict=False) for part in (nn.Linear(a, b), activation())]
        super().__init__(*layers, nn.Linear(sizes[-1], after))


class PointCritic(MLP):
    """An MLP with one output: (B, D) -> logits (B,)."""

    def __init__(self, before: int, width: int, **options):
        super().__init__(before, width, 1, **options)

    def forward(self, x):
        return super().forward(x).flatten()
