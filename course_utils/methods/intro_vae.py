"""IntroVAE: the introspective game with a hard threshold on the KL (Huang et al., arXiv 1807.06358).

    encoder   beta_rec sse(x, rec) + KL(x) + alpha sum_s max(0, margin - KL(E(s)))       s: a reconstruction, a sample
    decoder   beta_rec sse(x, rec) + alpha_decoder sum_s KL(E(s))

Units and reduction: `introspective.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .autoencoder import sse
from .regularized import Regularized, RegularizedConfig


def hinge(kl: Tensor, margin: float) -> Tensor:
    """max(0, margin - mean kl): (B,) -> (). kl: nats, summed over latent dimensions; the mean is taken before the threshold.

    What the encoder pays while the decoder's images are nearer to the prior than the margin; no gradient beyond it.
    Huang et al., arXiv 1807.06358, section 3.2."""
    return (margin - kl.mean()).relu()


@dataclass(frozen=True)
class IntroVAEConfig(RegularizedConfig):
    # New: the hard threshold. The values are those published for 256 pixels.
    beta_rec: float = 0.05
    """weight of the squared error"""
    margin: float = 120.0
    """nats of KL beyond which the encoder pushes reconstructions and samples no further; well above the KL of real images"""
    alpha: float = 0.25
    """weight of each of the encoder's two hinges"""
    alpha_decoder: float = 0.5
    """weight of the KL of reconstructions and of samples in the decoder's loss"""

    def __post_init__(self):
        super().__post_init__()
        self.check_weights("margin", "alpha", "alpha_decoder")


class IntroVAE(Regularized):
    """The game with a hard threshold."""

    Config = IntroVAEConfig

    def play(self, x, update):  # x: (B, C, H, W)
        c, (z_p, noise) = self.config, self.noise(2, len(x), self.latent_dim)

        # Encoder: real images to the prior, reconstructions and samples to the margin.
        self.take_turns("encoder")
        real = self.posterior(self.corrupted(x))  # mean, logvar: (B, Z)
        z = real.sample(noise)  # (B, Z)
        rec = self.images(self.decoder, z)
        made = torch.cat([rec, self.images(self.decoder, z_p)])  # (2B, C, H, W): reconstructions, then samples
        error, kl_real = sse(x, rec), real.kl()  # (B,), (B,)
        kl_made = self.each_posterior(self.shown(made.detach(), "encoder")).kl()  # (2B,)
        kl_rec, kl_fake = kl_made.chunk(2)
        pushed = hinge(kl_rec, c.margin) + hinge(kl_fake, c.margin)
        encoder_loss = self.encoder_beta_rec * error.mean() + c.beta_kl * kl_real.mean() + c.alpha * pushed
        update("encoder", encoder_loss, retain_graph=True)

        # Decoder: rebuild x, and pull its own images to the prior, as the encoder, which has moved, now sees them.
        made, error = self.decoders_turn(x, z, z_p, made, error)
        pulled = 2 * self.each_posterior(self.shown(made, "decoder")).kl().mean()  # of reconstructions and samples together
        decoder_loss = c.beta_rec * error.mean() + c.alpha_decoder * pulled
        update("decoder", decoder_loss)

        terms = {"encoder_loss": encoder_loss, "decoder_loss": decoder_loss, "sse": error, "kl_real": kl_real}
        terms |= {"kl_rec": kl_rec, "kl_fake": kl_fake, "hinge": pushed} | self.adapted(kl_real, kl_made)
        return {name: value.detach().mean() for name, value in terms.items()}
