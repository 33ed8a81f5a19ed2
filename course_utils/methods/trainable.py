"""What the training loop needs of a network, whatever it is for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..errors import reject
from .base import Model

Update = Callable[..., None]  # update(player, loss, retain_graph=False)


class Trainable(Model):
    """A model with its players, and the step that trains them.

    A player is a group of parameters with an optimizer of its own. `update(player, loss)` sends the loss's gradients
    into that player's parameters alone and steps its optimizer; a step calls it as often as it needs to. With
    `retain_graph=True` a later update may use the same graph, as long as its gradient needs no weights that have moved: not
    every optimizer lets torch notice (fused Adam does not), and the gradient is silently wrong.
    """

    players: tuple[str, ...] = ("model",)
    supervised = False  # whether step and evaluation_terms are given the labels (B,) as well
    second_derivatives = False  # whether a loss holds a gradient, so that training differentiates twice
    batches_per_step = 1  # batches of real images in one step's x, which holds them one after the other

    # Set by the loop.
    rng: torch.Generator | None = None  # so that one seed decides every draw
    steps_done = 0  # steps of the run before this one
    progress = 0.0  # share of the run that is done, in [0, 1); schedules read it

    def noise(self, *shape: int) -> Tensor:
        """Standard normal noise of this shape, from the run's generator."""
        return torch.randn(shape, generator=self.rng, device=self.device)

    def parameters_of(self, player: str) -> list[nn.Parameter]:
        """The parameters that `update(player, loss)` may change: all, or those of the attribute named like the player."""
        if player not in self.players:
            raise reject("player", player, self.players)
        return list(self.parameters() if self.players == ("model",) else getattr(self, player).parameters())

    def lr_factor(self, player: str) -> float:
        """By how much this player's learning rate differs from the run's."""
        return 1.0

    def check_data(self, data) -> None:
        """Raise CourseError if a data set does not fit: images of another shape, or no labels where they are needed."""
        self.check_images(data.images[:1])
        if self.supervised and data.labels is None:
            raise reject("dataset", data.name, "a data set with classes", f"{type(self).__name__} learns from labels.")

    def prepare_evaluation(self, images) -> None:
        """What eval mode needs and training does not keep, from the training images (an ImageSet or PointSet), in place.

        The loop calls it before each evaluation and at the end of a run, on the model that is evaluated or returned. It
        changes no weight, and the run goes on as if it had not been called."""

    @abstractmethod
    def step(self, x: Tensor, update: Update) -> dict[str, Tensor]:
        """One training step on x (B, C, H, W) in [0, 1]. Returns named, detached terms (mean over the batch)."""

    @abstractmethod
    def evaluation_terms(self, x: Tensor, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Named terms, one value per image (B,), for held-out data; the loop weighs ragged batches rightly."""
