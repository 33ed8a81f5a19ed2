"""Generative adversarial networks: one game, five losses (chapter 04)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import reject
from ..networks import build_gan
from ..networks.residual import normalize_spectrum
from .base import LatentModel
from .gan_losses import LOSSES, gradient_penalty, r1_penalty
from .trainable import Trainable


@dataclass(frozen=True)
class GANConfig:
    latent_dim: int = 128
    """numbers in a code, drawn from a standard normal"""
    loss: str = "non-saturating"
    """minimax, non-saturating, lsgan, wgan-gp or hinge"""
    network: str = "residual"
    """residual (images whose sides are multiples of 8) or mlp (points)"""
    width: int = 128
    """channels (residual) or units (mlp) of every layer; 128 is the published residual pair, 32 trains on a laptop's CPU"""
    n_critic: int = 0
    """critic steps for each of the generator's; 0: the loss's own, 5 for wgan-gp and 1 for the others"""
    gp_weight: float = 10.0
    """weight of wgan-gp's penalty on slopes other than 1; the other losses have none"""
    r1_weight: float = 0.0
    """weight (gamma) of a penalty on the critic's slope at real images, with any loss"""
    spectral_norm: bool = False
    """divide each of the critic's weights by its largest singular value"""
    critic_lr_factor: float = 1.0
    """the critic's learning rate over the run's, which is the generator's"""

    def __post_init__(self):
        if self.loss not in LOSSES:
            raise reject("loss", self.loss, LOSSES)
        for name in ("latent_dim", "width"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise reject(name, getattr(self, name), "a whole number of 1 or more")
        if not isinstance(self.n_critic, int) or self.n_critic < 0:
            raise reject("n_critic", self.n_critic, "a whole number of 0 or more", "0 takes the loss's own.")
        for name in ("gp_weight", "r1_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise reject(name, getattr(self, name), "0 or more")
        if not 0 < self.critic_lr_factor < math.inf:
            raise reject("critic_lr_factor", self.critic_lr_factor, "more than 0")


class GAN(Trainable, LatentModel):
    """A generator that turns noise into images, and a critic that tells them from real ones. arXiv 1406.2661."""

    Config = GANConfig
    players = ("critic", "generator")
    has_encoder = False

    def __init__(self, config: GANConfig, data_shape):
        super().__init__(config, data_shape)
        nets = build_gan(config.network, data_shape, config.latent_dim, config.width)
        self.generator, self.data_range = nets.generator, nets.data_range
        self.critic = normalize_spectrum(nets.critic) if config.spectral_norm else nets.critic
        self.game = LOSSES[config.loss]
        self.second_derivatives = self.game.penalized or config.r1_weight > 0
        self.batches_per_step = config.n_critic or self.game.critic_steps

    def lr_factor(self, player):
        return self.config.critic_lr_factor if player == "critic" else 1.0

    # [0, 1] outside, the networks' own range inside; points are as they are, on both sides.
    def to_network(self, x: Tensor) -> Tensor:
        if self.data_range is None:
            return x
        low, high = self.data_range
        return low + (high - low) * x

    def decode(self, z: Tensor) -> Tensor:
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise reject("z", tuple(z.shape), f"(B, {self.latent_dim})", "One row per image, one column per latent dimension.")
        x = self.generator(z)
        if self.data_range is None:
            return x
        low, high = self.data_range
        return ((x - low) / (high - low)).clamp(0, 1)

    def step(self, x, update):  # x: (n_critic * B, C, H, W)
        for real in self.to_network(self.check_images(x)).chunk(self.batches_per_step):
            terms = self.critic_step(real, update)
        score = self.critic(self.generator(self.noise(len(real), self.latent_dim)))  # (B,)
        loss = self.game.generator(score)
        update("generator", loss)
        return {"generator_loss": loss.detach(), **terms}

    def critic_step(self, real: Tensor, update) -> dict[str, Tensor]:
        """One update of the critic on real images (B, C, H, W) in the network's range, and as many new fakes."""
        with torch.no_grad():  # nothing is sent back into the generator
            fake = self.generator(self.noise(len(real), self.latent_dim))
        scores = self.critic(torch.cat([real, fake])).chunk(2)  # one pass: no image sees another
        loss, penalty = self.game.critic(*scores), self.penalty(real, fake)
        for weight, value in penalty.values():
            loss = loss + weight * value
        update("critic", loss)
        terms = {"critic_loss": loss, "real": scores[0].mean(), "fake": scores[1].mean()}
        terms |= {name: value for name, (_, value) in penalty.items()}
        return {name: value.detach() for name, value in terms.items()}

    def penalty(self, real: Tensor, fake: Tensor) -> dict[str, tuple[float, Tensor]]:
        """The penalties this configuration has: name -> (weight, mean over the batch)."""
        config, found = self.config, {}
        if self.game.penalized:
            eps = torch.rand(len(real), generator=self.rng, device=real.device, dtype=real.dtype)
            found["penalty"] = config.gp_weight, gradient_penalty(self.critic, real, fake, eps).mean()
        if config.r1_weight:
            found["r1"] = config.r1_weight, r1_penalty(self.critic, real).mean()
        return found

    def evaluation_terms(self, x, generator=None):
        """The critic's logits (B,) on held-out images, and on as many fakes: if only training images score high, it overfits."""
        z = torch.randn(len(x), self.latent_dim, generator=generator, device=self.device)
        return {"real": self.critic(self.to_network(self.check_images(x))), "fake": self.critic(self.generator(z))}
