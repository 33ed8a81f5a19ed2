"""A small residual classifier whose last features measure generators. It ends in a mean over space, not in a flatten."""

from __future__ import annotations

from torch import Tensor, nn


def conv_norm(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU: (B, inputs, H, W) -> (B, outputs, H, W)."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class Residual(nn.Module):
    """x + two convolutions of x, the same width: (B, W, H, W) -> the same shape."""

    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(conv_norm(width, width), conv_norm(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class ClassifierNet(nn.Module):
    """(B, C, H, W) -> features (B, widths[-1]) -> logits (B, classes). Each width after the first halves the side."""

    def __init__(self, channels: int, widths: tuple[int, ...], classes: int):
        super().__init__()
        stages = [conv_norm(channels, widths[0])]
        for index, (before, width) in enumerate(zip(widths, widths[1:], strict=False)):
            stages += [conv_norm(before, width), nn.MaxPool2d(2)]
            if index % 2 == 0:  # every other stage has a residual block: half the depth's gain for a quarter of its cost
                stages += [Residual(width)]
        self.body = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(widths[-1], classes)

    def features(self, x: Tensor) -> Tensor:
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))
