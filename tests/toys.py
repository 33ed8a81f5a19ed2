"""Small data sets and models that the tests of training and checkpoints share."""

from __future__ import annotations

import math
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from course_utils import methods
from course_utils.data.image_set import ImageSet
from course_utils.methods.base import LatentModel
from course_utils.methods.trainable import Trainable
from course_utils.methods.vae import VAEConfig
from course_utils.training import RunConfig, fit
from course_utils.training.log import read

# Two stages of more than one channel each, so that channels_last weights differ in memory from plain ones.
TINY = VAEConfig(latent_dim=3, widths=(4, 6))


def images(n=64, shape=(3, 8, 8), seed=0) -> ImageSet:
    """n random pictures."""
    generator = torch.Generator().manual_seed(seed)
    return ImageSet(torch.randint(0, 256, (n, *shape), generator=generator, dtype=torch.uint8), None, "toy", "train")


def tiny_vae(seed=0, config=TINY, shape=(3, 8, 8)):
    return methods.build("vae", config, shape, seed=seed)


def tiny_run(**changes) -> RunConfig:
    """20 steps of 16 images in float32 on the CPU."""
    values = {"steps": 20, "batch_size": 16, "lr": 1e-2, "precision": "32", "accelerator": "cpu", "log_every": 5}
    return RunConfig(**{**values, "checkpoint_every": 5, **changes})


def weights(model) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def same(a: dict, b: dict) -> bool:
    """Bit for bit the same tensors under the same names."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Stopped(Exception):
    """Raised by the hook of `fit_until`."""


def fit_until(stop_at, model, train, config, **options):
    """`fit` quietly, until an exception after the evaluation at step `stop_at`, None for the whole run; None if stopped."""

    def hook(step, model):
        if step == stop_at:
            raise Stopped
        return {}

    try:
        return fit(model, train, config, hooks=[hook], quiet=True, **options)
    except Stopped:
        return None


def terms_of(folder):
    """A run's log without the speed, which no two runs share."""
    return [{k: v for k, v in row.items() if k != "images_per_second"} for row in read(Path(folder) / "log.csv")]


def gradients(model, x):
    """One step in which nobody moves: each player's gradient (a tensor or None for each parameter), loss, and the terms.

    As the loop does it, but a parameter that the loss does not reach shows as None."""
    slopes, losses = {}, {}

    def update(player, loss, retain_graph=False):
        losses[player] = loss.detach()
        slopes[player] = torch.autograd.grad(loss, model.parameters_of(player), retain_graph=True, allow_unused=True)

    terms = model.step(x, update)
    return slopes, losses, terms


class NoReading(TorchDispatchMode):
    """Refuses to copy a number from the device to the host."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default):
            raise AssertionError("a step reads a tensor's value on the host")
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class DuelConfig:
    latent_dim: int = 2


class DecoderOnly(LatentModel):
    """What a GAN looks like to a figure or a panel: it decodes and samples, and has no encoder."""

    has_encoder = False

    def __init__(self, latent_dim=5, shape=(1, 32, 32)):
        super().__init__(SimpleNamespace(latent_dim=latent_dim), shape)
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.net = nn.Linear(latent_dim, math.prod(shape))
        self.eval()

    def decode(self, z):
        return self.net(z).sigmoid().unflatten(1, self.data_shape)


class Duel(Trainable):
    """Two players on two linear layers; each one's loss runs through both layers."""

    Config = DuelConfig
    players = ("left", "right")

    def __init__(self, config=DuelConfig(), data_shape=(3, 8, 8)):  # noqa: B008  (a frozen constant)
        super().__init__(config, data_shape)
        self.left, self.right = nn.Linear(192, 8), nn.Linear(8, 192)

    def step(self, x, update):
        x = x.flatten(1)
        loss = (self.right(self.left(x)) - x).square().mean()
        before = weights(self)
        update("left", loss)
        between = weights(self)
        second = self.right(self.left(x)).abs().mean()
        update("right", second)
        self.seen = {"before": before, "between": between, "after": weights(self), "x": x, "second": second.detach()}
        return {"loss": loss.detach(), "second": second.detach()}

    def evaluation_terms(self, x, generator=None):
        return {"loss": (self.right(self.left(x.flatten(1))) - x.flatten(1)).square().mean(1)}


class Bomb:
    """Unpickled, it makes a folder: a stand-in for any code."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (os.mkdir, (str(self.target),))

    def works(self) -> bool:
        pickle.loads(pickle.dumps(self))
        return self.target.is_dir()
