"""Soft-IntroVAE: a VAE whose encoder tells its own decoder's images from real ones (Daniel and Tamar, arXiv 2012.13253).

Both players maximize an objective (section 3 of the paper; alpha = 2, gamma = 1):

    encoder   ELBO(x) - 1/alpha exp(alpha ELBO(D(z)))
    decoder   ELBO(x) + gamma ELBO(D(z))

where D(z) is a sample or a reconstruction, half and half. What is minimized below is minus that, each ELBO with its
weights and times `scale`, as published code has it. Units and reduction: `introspective.py`.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import reject
from .autoencoder import sse
from .base import Posterior
from .introspective import Introspective, IntrospectiveConfig


def weighted_elbo_loss(rec: Tensor, kl: Tensor, *, beta_rec: float, beta_kl: float, scale: float) -> Tensor:
    """scale (beta_rec rec + beta_kl kl), per image: (B,), (B,) -> (B,). A negative, weighted and scaled ELBO.

    rec: squared error summed over pixels. kl: nats, summed over latent dimensions."""
    return scale * (beta_rec * rec + beta_kl * kl)


def exp_elbo(rec: Tensor, kl: Tensor, *, beta_rec: float, beta_neg: float, scale: float, alpha: float = 2.0) -> Tensor:
    """exp(-alpha scale (beta_rec rec + beta_neg kl)), per image, in (0, 1]: (B,), (B,) -> (B,).

    rec: squared error of an image of the decoder's and its own reconstruction, summed over pixels; kl: of its posterior,
    in nats, summed over latent dimensions. Near 1 it passes as real; near 0 it is known, and the encoder's gradient from it
    is gone. The second term of the encoder's objective, arXiv 2012.13253, section 3."""
    return torch.exp(-alpha * scale * (beta_rec * rec + beta_neg * kl))


@dataclass(frozen=True)
class SoftIntroVAEConfig(IntrospectiveConfig):
    # New: the soft threshold, and the switches where published code differs from the paper.
    beta_neg: float = 256.0
    """weight of the KL of reconstructions and samples inside exp(ELBO): how hard the encoder pushes them from the prior"""
    alpha: float = 2.0
    """sharpness of the soft threshold"""
    gamma: float = 1.0
    """weight of the KL of reconstructions and samples in the decoder's loss: how hard it pulls them back"""
    gamma_r: float = 0.0
    """weight of their squared error there, to their own reconstructions; published image code has 1e-8, which costs two
    passes of the decoder and moves nothing, and 1 with a target decoder"""
    detach_target: bool = True
    """whether the encoder's exp(ELBO) sends no gradient into the reconstruction it starts from, as an image of the
    decoder's; published code for images and points lets it through"""
    scale: float = 0.0
    """factor of every ELBO; 0: 1 / (C H W), the inverse of how many numbers an image or a point has"""
    bootstrap: int = 0
    """if not 0: second reconstructions are a target decoder's, a copy of the decoder renewed after so many steps;
    published: an epoch's, with gamma_r 1"""

    def __post_init__(self):
        super().__post_init__()
        self.check_weights("beta_neg", "gamma", "gamma_r", "scale")
        if not 0 < self.alpha < math.inf:
            raise reject("alpha", self.alpha, "more than 0", "2 is the paper's.")
        if not isinstance(self.bootstrap, int) or self.bootstrap < 0:
            raise reject("bootstrap", self.bootstrap, "a whole number of steps, 0 or more", "0 has no target decoder.")


class SoftIntroVAE(Introspective):
    """The game with a soft threshold. `target`, where there is one, belongs to no player."""

    Config = SoftIntroVAEConfig

    def __init__(self, config: SoftIntroVAEConfig, data_shape):
        super().__init__(config, data_shape)
        self.target = copy.deepcopy(self.decoder).requires_grad_(False) if config.bootstrap else None
        self.scale = config.scale or 1 / math.prod(self.data_shape)

    def renew_target(self) -> None:
        """Make the target decoder, if there is one, a copy of the decoder as it is now."""
        if self.target is not None:
            self.target.load_state_dict(self.decoder.state_dict())

    def warm_up(self, x, update):
        terms = super().warm_up(x, update)
        self.renew_target()
        return terms

    def elbo_loss(self, rec: Tensor, kl: Tensor) -> Tensor:
        """`weighted_elbo_loss` with this configuration's weights: (B,), (B,) -> (B,)."""
        return weighted_elbo_loss(rec, kl, beta_rec=self.config.beta_rec, beta_kl=self.config.beta_kl, scale=self.scale)

    def exp_elbo_of(self, rec: Tensor, kl: Tensor) -> Tensor:
        """`exp_elbo` with this configuration's weights: (B,), (B,) -> (B,)."""
        c = self.config
        return exp_elbo(rec, kl, beta_rec=c.beta_rec, beta_neg=c.beta_neg, scale=self.scale, alpha=c.alpha)

    def play(self, x, update):  # x: (B, C, H, W)
        c = self.config
        if c.bootstrap and self.steps_done % c.bootstrap == 0:
            self.renew_target()
        z_p, noise, *later = self.noise(6 if c.gamma_r else 4, len(x), self.latent_dim)  # (B, Z) each

        # Encoder: real images to the prior, reconstructions and samples away from it. Its gradient runs through how it sees
        # these, not through how they were made.
        real = self.posterior(self.corrupted(x))  # mean, logvar: (B, Z)
        rec, fake = self.images(self.decoder, real.sample(noise)), self.images(self.decoder, z_p)
        made = torch.cat([rec, fake])  # (2B, C, H, W)
        seen = self.each_posterior(made.detach())  # mean, logvar: (2B, Z)
        again = self.each_image(self.target if c.bootstrap else self.decoder, seen.sample(torch.cat(later[:2])))
        error, kl_real, kl_made = sse(x, rec), real.kl(), seen.kl()  # (B,), (B,), (2B,)
        passed = self.exp_elbo_of(sse(made.detach() if c.detach_target else made, again), kl_made)  # (2B,)
        encoder_loss = self.elbo_loss(error, kl_real).mean() + passed.mean() / c.alpha
        update("encoder", encoder_loss, retain_graph=True)

        # Decoder: rebuild x, and pull its own images back to the prior, as the encoder, which has moved, now sees them.
        # The decoder has not moved yet: `error` and `made` are what it would compute again.
        seen = self.each_posterior(made)
        decoder_loss = self.elbo_loss(error.mean(), c.gamma * seen.kl().mean())
        if c.gamma_r:
            decoder_loss = decoder_loss + self.scale * c.gamma_r * c.beta_rec * self.second_error(made, seen, later[2:]).mean()
        update("decoder", decoder_loss)

        terms = {"encoder_loss": encoder_loss, "decoder_loss": decoder_loss, "sse": error, "kl_real": kl_real}
        terms |= dict(zip(("kl_rec", "kl_fake"), kl_made.chunk(2), strict=True))
        terms |= dict(zip(("exp_elbo_rec", "exp_elbo_fake"), passed.chunk(2), strict=True))
        return {name: value.detach().mean() for name, value in terms.items()}

    def second_error(self, made: Tensor, seen: Posterior, noise: list[Tensor]) -> Tensor:
        """Squared error of the decoder's images and their own reconstructions: (2B, C, H, W), (2B, Z) -> (2B,).

        A target decoder compares what it makes of them with them, and the decoder learns through both; without one, with
        both detached, it learns as an autoencoder of its own images. As published."""
        z = seen.sample(torch.cat(noise))
        if self.target is not None:
            return sse(made, self.each_image(self.target, z))
        return sse(made.detach(), self.each_image(self.decoder, z.detach()))
