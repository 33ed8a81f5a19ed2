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
from .regularized import Regularized, RegularizedConfig


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
class SoftIntroVAEConfig(RegularizedConfig):
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
    label_switch_encoder: float = 0.0
    """share of a batch whose real images and fakes swap their terms in the encoder's loss"""
    label_switch_decoder: float = 0.0
    """share of a batch whose fakes the decoder pushes from the prior, as the encoder does, instead of pulling them to it"""

    def __post_init__(self):
        super().__post_init__()
        self.check_weights("beta_neg", "gamma", "gamma_r", "scale")
        if not 0 < self.alpha < math.inf:
            raise reject("alpha", self.alpha, "more than 0", "2 is the paper's.")
        if not isinstance(self.bootstrap, int) or self.bootstrap < 0:
            raise reject("bootstrap", self.bootstrap, "a whole number of steps, 0 or more", "0 has no target decoder.")
        for name in ("label_switch_encoder", "label_switch_decoder"):
            if not 0 <= getattr(self, name) <= 1:
                raise reject(name, getattr(self, name), "a share, from 0 to 1")


class SoftIntroVAE(Regularized):
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

    def elbo_loss(self, rec: Tensor, kl: Tensor, beta_rec: float) -> Tensor:
        """`weighted_elbo_loss` with this configuration's other weights: (B,), (B,) -> (B,)."""
        return weighted_elbo_loss(rec, kl, beta_rec=beta_rec, beta_kl=self.config.beta_kl, scale=self.scale)

    def exp_elbo_of(self, rec: Tensor, kl: Tensor) -> Tensor:
        """`exp_elbo` with this configuration's weights, the encoder's: (B,), (B,) -> (B,)."""
        c = self.config
        return exp_elbo(rec, kl, beta_rec=self.encoder_beta_rec, beta_neg=c.beta_neg, scale=self.scale, alpha=c.alpha)

    def play(self, x, update):  # x: (B, C, H, W)
        c = self.config
        if c.bootstrap and self.steps_done % c.bootstrap == 0:
            self.renew_target()
        z_p, noise, *later = self.noise(6 if c.gamma_r else 4, len(x), self.latent_dim)  # (B, Z) each

        # Encoder: real images to the prior, reconstructions and samples away from it. Its gradient runs through how it sees
        # these, not through how they were made.
        self.take_turns("encoder")
        real = self.posterior(self.corrupted(x))  # mean, logvar: (B, Z)
        z = real.sample(noise)  # (B, Z)
        rec, fake = self.images(self.decoder, z), self.images(self.decoder, z_p)
        made = torch.cat([rec, fake])  # (2B, C, H, W)
        seen = self.each_posterior(self.shown(made.detach(), "encoder"))  # mean, logvar: (2B, Z)
        again = self.each_image(self.target if c.bootstrap else self.decoder, seen.sample(torch.cat(later[:2])))
        error, kl_real, kl_made = sse(x, rec), real.kl(), seen.kl()  # (B,), (B,), (2B,)
        error_made = sse(made.detach() if c.detach_target else made, again)  # (2B,)
        passed = self.exp_elbo_of(error_made, kl_made)  # (2B,)
        encoder_loss = self.elbo_loss(error, kl_real, self.encoder_beta_rec).mean() + passed.mean() / c.alpha
        if c.label_switch_encoder:
            encoder_loss = self.switched_encoder_loss(error, kl_real, error_made, kl_made)
        update("encoder", encoder_loss, retain_graph=True)

        # Decoder: rebuild x, and pull its own images back to the prior, as the encoder, which has moved, now sees them.
        # The decoder has not moved yet: unless it is random, `made` and `error` are what it would compute again.
        made, error = self.decoders_turn(x, z, z_p, made, error)
        seen = self.each_posterior(self.shown(made, "decoder"))
        decoder_loss = self.elbo_loss(error.mean(), c.gamma * seen.kl().mean(), c.beta_rec)
        if c.label_switch_decoder:
            decoder_loss = self.switched_decoder_loss(error, seen.kl())
        if c.gamma_r:
            decoder_loss = decoder_loss + self.scale * c.gamma_r * c.beta_rec * self.second_error(made, seen, later[2:]).mean()
        update("decoder", decoder_loss)

        terms = {"encoder_loss": encoder_loss, "decoder_loss": decoder_loss, "sse": error, "kl_real": kl_real}
        terms |= dict(zip(("kl_rec", "kl_fake"), kl_made.chunk(2), strict=True))
        terms |= dict(zip(("exp_elbo_rec", "exp_elbo_fake"), passed.chunk(2), strict=True))
        terms |= self.adapted(kl_real, kl_made)
        return {name: value.detach().mean() for name, value in terms.items()}

    def switched(self, n: int, share: float) -> Tensor:
        """In which of n rows of a batch labels are switched, (n,) bool: each with this probability, from the run's generator."""
        return torch.rand(n, generator=self.rng, device=self.device) < share

    def switched_encoder_loss(self, error: Tensor, kl_real: Tensor, error_made: Tensor, kl_made: Tensor) -> Tensor:
        """The encoder's loss with labels switched in some rows: (B,), (B,), (2B,), (2B,) -> ().

        A row of the batch is a real image, its reconstruction and a sample. Labeled real, an image s has the term
        R(s) = scale (beta_rec sse(s) + beta_kl KL(s)); labeled fake, F(s) = 1/alpha exp(-alpha scale (beta_rec sse(s)
        + beta_neg KL(s))). sse(s) is s against its own reconstruction. A row costs R(real) + (F(rec) + F(fake)) / 2, and if
        it is switched F(real) + (R(rec) + R(fake)) / 2. The loss is the mean over rows: at share 1 all roles are swapped."""
        c, rows, beta = self.config, self.switched(len(error), self.config.label_switch_encoder), self.encoder_beta_rec
        as_real, as_fake = self.elbo_loss(error, kl_real, beta), self.exp_elbo_of(error, kl_real) / c.alpha
        made_real, made_fake = self.elbo_loss(error_made, kl_made, beta), self.exp_elbo_of(error_made, kl_made) / c.alpha
        made = torch.where(rows.repeat(2), made_real, made_fake)
        return torch.where(rows, as_fake, as_real).mean() + made.mean()

    def switched_decoder_loss(self, error: Tensor, kl_made: Tensor) -> Tensor:
        """The decoder's loss with labels switched in some rows: (B,), (2B,) -> ().

        The decoder has its images labeled real, and pulls them to the prior: P(s) = scale gamma beta_kl KL(s). Labeled
        fake, they cost what they cost the encoder, 1/alpha exp(-alpha scale beta_neg KL(s)), without the squared error, which
        its loss has not got either: the decoder pushes them away. A row costs scale beta_rec sse(x, rec) + (P(rec) +
        P(fake)) / 2; if it is switched, the pull is replaced and the squared error is not, as no label is in it."""
        c, rows = self.config, self.switched(len(error), self.config.label_switch_decoder)
        nothing = torch.zeros_like(kl_made)
        pulled, pushed = self.elbo_loss(nothing, c.gamma * kl_made, c.beta_rec), self.exp_elbo_of(nothing, kl_made) / c.alpha
        return self.elbo_loss(error.mean(), 0.0, c.beta_rec) + torch.where(rows.repeat(2), pushed, pulled).mean()

    def second_error(self, made: Tensor, seen: Posterior, noise: list[Tensor]) -> Tensor:
        """Squared error of the decoder's images and their own reconstructions: (2B, C, H, W), (2B, Z) -> (2B,).

        A target decoder compares what it makes of them with them, and the decoder learns through both; without one, with
        both detached, it learns as an autoencoder of its own images. As published."""
        z = seen.sample(torch.cat(noise))
        if self.target is not None:
            return sse(made, self.each_image(self.target, z))
        return sse(made.detach(), self.each_image(self.decoder, z.detach()))
