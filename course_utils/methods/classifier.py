"""A classifier of images. The course trains two, and measures generators by their features (chapter 05)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import reject
from ..networks.classifier import ClassifierNet
from .trainable import Trainable


@dataclass(frozen=True)
class ClassifierConfig:
    classes: int = 10
    """number of classes"""
    widths: tuple[int, ...] = (32, 64, 128, 192)
    """channels of the stages; each after the first halves the image's side, the last is the number of features"""
    shift: int = 2
    """training images are moved by up to this many pixels"""
    flip: bool = True
    """half of the training images are mirrored"""
    label_smoothing: float = 0.1
    """share of the target that is spread over all classes: features that saturate less"""

    def __post_init__(self):
        if self.classes < 2:
            raise reject("classes", self.classes, "2 or more")
        if len(self.widths) < 2 or any(width < 1 for width in self.widths):
            raise reject("widths", self.widths, "two or more whole numbers of 1 or more")
        if self.shift < 0:
            raise reject("shift", self.shift, "0 or more pixels")
        if not 0 <= self.label_smoothing < 1:
            raise reject("label_smoothing", self.label_smoothing, "at least 0 and less than 1")


class Classifier(Trainable):
    """Cross-entropy on slightly moved and mirrored images. Its `features` are what metrics compare."""

    Config = ClassifierConfig
    supervised = True

    def __init__(self, config: ClassifierConfig, data_shape):
        super().__init__(config, data_shape)
        channels, *sides = self.data_shape
        halvings = 2 ** (len(config.widths) - 1)
        if min(sides) < halvings:
            raise reject("widths", config.widths, f"fewer: {len(config.widths) - 1} halvings do not fit {min(sides)} pixels")
        self.net = ClassifierNet(channels, config.widths, config.classes)

    def check_data(self, data):
        super().check_data(data)
        if int(data.labels.max()) >= self.config.classes:
            raise reject("classes", self.config.classes, f"{int(data.labels.max()) + 1} or more, the classes of {data.name}")

    @cached_property
    def _augment(self):
        from kornia import augmentation

        size = self.data_shape[1:]
        moves = [augmentation.RandomCrop(size, padding=self.config.shift)] if self.config.shift else []
        return moves + ([augmentation.RandomHorizontalFlip()] if self.config.flip else [])

    def features(self, x: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] -> (B, widths[-1]): activations before the last layer, averaged over space."""
        return self.net.features(self._centered(x))

    def logits(self, x: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] -> (B, classes)."""
        return self.net(self._centered(x))

    def _centered(self, x: Tensor) -> Tensor:
        return 4 * (self.check_images(x) - 0.5)  # about unit variance

    def step(self, x, update, labels):  # x: (B, C, H, W), labels: (B,)
        for move in self._augment:
            x = move(x)
        logits = self.logits(x.to(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing)
        update("model", loss)
        return {"loss": loss.detach(), "accuracy": (logits.argmax(1) == labels).float().mean()}

    def evaluation_terms(self, x, generator=None, labels=None):
        """Per image (B,): loss, the cross-entropy in nats without smoothing; accuracy, 1 where the class is right."""
        logits = self.logits(x).float()
        return {
            "loss": F.cross_entropy(logits, labels, reduction="none"),
            "accuracy": (logits.argmax(1) == labels).float(),
        }
