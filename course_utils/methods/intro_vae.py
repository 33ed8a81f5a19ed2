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
from .introspective import Introspective, IntrospectiveConfig


def hinge(kl: Tensor, margin: float) -> Tensor:
    """max(0, margin - mean kl): (B,) -> (). kl: nats, summed over latent dimensions; the mean is taken before the threshold.

    What the encoder pays while the decoder's images are nearer to the prior than the margin; no gradient beyond it.
    Huang et al., arXiv 1807.06358, section 3.2."""
    return (margin - kl.mean()).relu()


@dataclass(frozen=True)
class IntroVAEConfig(IntrospectiveConfig):
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


class IntroVAE(Introspective):
    """The game with a hard threshold."""

    Config = IntroVAEConfig

    def play(self, x, update):  # x: (B, C, H, W)
        c, (z_p, noise) = self.config, self.noise(2, len(x), self.latent_dim)

        # Encoder: real images to the prior, reconstructions and samples to the margin.
        real = self.posterior(self.corrupted(x))  # mean, logvar: (B, Z)
        rec = self.images(self.decoder, real.sample(noise))
        made = torch.cat([rec, self.images(self.decoder, z_p)])  # (2B, C, H, W): reconstructions, then samples
        error, kl_real = sse(x, rec).mean(), real.kl().mean()
        kl_rec, kl_fake = self.each_posterior(made.detach()).kl().chunk(2)
        pushed = hinge(kl_rec, c.margin) + hinge(kl_fake, c.margin)
        encoder_loss = c.beta_rec * error + c.beta_kl * kl_real + c.alpha * pushed
        update("encoder", encoder_loss, retain_graph=True)

        # Decoder: rebuild x, and pull its own images to the prior, as the encoder, which has moved, now sees them.
        pulled = 2 * self.each_posterior(made).kl().mean()  # of reconstructions and samples together
        decoder_loss = c.beta_rec * error + c.alpha_decoder * pulled
        update("decoder", decoder_loss)

        terms = {"encoder_loss": encoder_loss, "decoder_loss": decoder_loss, "sse": error, "kl_real": kl_real}
        terms |= {"kl_rec": kl_rec.mean(), "kl_fake": kl_fake.mean(), "hinge": pushed}
        return {name: value.detach() for name, value in terms.items()}
