"""Small data sets and models that the tests of training and checkpoints share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from course_utils import methods
from course_utils.data.image_set import ImageSet
from course_utils.methods.base import LatentModel
from course_utils.methods.vae import VAEConfig
from course_utils.training import RunConfig

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


@dataclass(frozen=True)
class DuelConfig:
    latent_dim: int = 2


class Duel(LatentModel):
    """Two players on two linear layers; each one's loss runs through both layers."""

    Config = DuelConfig
    players = ("left", "right")

    def __init__(self, config=DuelConfig(), data_shape=(3, 8, 8)):  # noqa: B008  (a frozen constant)
        super().__init__(config, data_shape)
        self.left, self.right = nn.Linear(192, 8), nn.Linear(8, 192)

    def parameters_of(self, player):
        return list(getattr(self, player).parameters())

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
