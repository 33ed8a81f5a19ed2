"""Feature networks behind one interface: pytorch-fid's Inception, and the course's own classifiers.

A distance between features belongs to its network: the same images are at other distances in another one's features.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from .. import checkpoints, tensors
from ..errors import CourseError, reject
from . import inception

CLASSIFIERS = {"fashion": "classifier_fashion", "cifar": "classifier_cifar10"}
NETWORKS = ("inception", *CLASSIFIERS)


class FeatureNetwork:
    """A frozen network whose activations stand for images.

    run(module, x): (B, C, H, W) in [0, 1] -> (B, dimension). shape: (C, H, W) of the images it takes; None: gray or RGB
    at any size. resize: what it does to their size, in words. at_once: images in one pass, which bounds the memory.
    sha256: hash of its weights, in hex."""

    def __init__(
        self,
        name: str,
        module: nn.Module,
        run: Callable[[nn.Module, Tensor], Tensor],
        *,
        dimension: int,
        shape: tuple[int, int, int] | None = None,
        resize: str = "none",
        at_once: int = 100,
    ):
        self.name, self.module, self.run = name, module, run
        self.dimension, self.shape, self.resize, self.at_once = dimension, shape, resize, at_once
        self.train_mode = False
        self.sha256 = tensors.digest(module.state_dict(), {})

    @torch.no_grad()
    def extract(self, images: Tensor) -> Tensor:
        """(B, C, H, W), floats in [0, 1] -> (B, D), float32, on the network's device.

        CourseError if the network is not in eval mode: batch norm would measure images by the batch they are in."""
        self._check(images)
        if not self.train_mode:
            require_eval(self.module, f"feature network {self.name!r}")
        device = next(self.module.parameters()).device
        parts = [images] if self.train_mode else images.split(self.at_once)
        features = [self.run(self.module, part.to(device, memory_format=torch.channels_last)) for part in parts]
        return torch.cat(features).float()

    def left_in_train_mode(self) -> FeatureNetwork:
        """A copy with a mistake made on purpose, for chapter 05: batch norm uses the statistics of each batch.

        A feature then depends on its batch, and each call changes the copy's running statistics."""
        wrong = copy.copy(self)
        wrong.module = copy.deepcopy(self.module).train()
        wrong.train_mode = True
        return wrong

    def _check(self, images: Tensor) -> None:
        allowed = f"(B, {', '.join(map(str, self.shape))})" if self.shape else "(B, 1 or 3, H, W)"
        fits = images.ndim == 4 and len(images) and (images.shape[1:] == self.shape if self.shape else images.shape[1] in (1, 3))
        if not fits:
            remedy = f"Feature network {self.name!r} takes no other images; load them at its size, or choose another network."
            raise reject("images", tuple(images.shape), allowed, remedy)
        check_range(images)


def check_range(images: Tensor) -> Tensor:
    """Return images if they are floats in [0, 1]; CourseError otherwise."""
    if not images.is_floating_point():
        raise reject("images", images.dtype, "floats in [0, 1]", "Divide 8-bit images by 255: ImageSet.floats().")
    low, high = images.aminmax()
    if not (low >= 0 and high <= 1):  # so that NaN fails as well
        remedy = "From [-1, 1] it is (x + 1) / 2; NaN comes from a network that has diverged."
        raise reject("images", f"values from {low:.4g} to {high:.4g}", "values in [0, 1]", remedy)
    return images


def require_eval(module: nn.Module, what: str) -> None:
    """CourseError if any part of the module is in training mode."""
    training = [name or type(part).__name__ for name, part in module.named_modules() if part.training]
    if training:
        raise CourseError(
            f"{what}: {len(training)} of its parts are in training mode (first: {training[0]}), so what it gives for an image "
            "depends on the batch around it. Call .eval() first."
        )


def feature_network(name: str, *, device="cpu", inception_weights=None) -> FeatureNetwork:
    """inception, fashion or cifar, in eval mode. inception_weights: a file in place of the one in torch hub's cache."""
    if name not in NETWORKS:
        raise reject("feature network", name, NETWORKS)
    if name == "inception":
        return inception_features(inception.load(inception_weights).to(device))
    return classifier_features(name, checkpoints.load(CLASSIFIERS[name], device))


def classifier_features(name: str, model: nn.Module) -> FeatureNetwork:
    """The activations of a classifier before its last layer; model: `features`, `data_shape`, as methods.Classifier."""
    model = model.to(memory_format=torch.channels_last)
    with torch.no_grad():
        device = next(model.parameters()).device
        dimension = model.features(torch.zeros(1, *model.data_shape, device=device)).shape[1]
    return FeatureNetwork(name, model, lambda net, x: net.features(x), dimension=dimension, shape=model.data_shape)


def inception_features(module: nn.Module) -> FeatureNetwork:
    """The 2048 numbers of pytorch-fid's InceptionV3 after its last pooling; gray images become RGB."""
    module = module.to(memory_format=torch.channels_last)
    resize = f"bilinear to {inception.SIDE}x{inception.SIDE} without antialiasing, in the network"
    return FeatureNetwork("inception", module, _pool3, dimension=inception.DIMENSION, resize=resize, at_once=25)


def _pool3(module: nn.Module, x: Tensor) -> Tensor:
    return module(x.expand(-1, 3, -1, -1))[0].flatten(1)  # (B, 2048, 1, 1) -> (B, 2048)
