"""The VAE-GAN: a VAE whose reconstructions are compared in a discriminator's features (Larsen et al., arXiv 1512.09300).

Units: nats. Reduction: sums over features and latent dimensions, mean over the batch. Three players, three losses:

    encoder        L_prior + L_feat                   never sees the GAN term
    decoder        gamma L_feat + L_GAN
    discriminator  the usual two-class cross-entropy  never sees L_feat
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import reject
from ..networks.vae_gan import WIDTHS, Discriminator
from .autoencoder import Autoencoder, at_least_float32, split_moments, sse
from .base import Posterior

GAN_LOSSES = ("non-saturating", "minimax")


def feature_loss(real: Tensor, rec: Tensor) -> Tensor:
    """L_feat: -log N(Dis_l(x); Dis_l(x_rec), I) in nats without its constant: (B, ...), (B, ...) -> (B,).

    1/2 squared error *summed* over the features of layer l. Larsen et al., arXiv 1512.09300, section 2.3."""
    return 0.5 * sse(real, rec)


def discriminator_loss(d_real: Tensor, d_rec: Tensor, d_fake: Tensor) -> Tensor:
    """-log Dis(x) - log(1 - Dis(x_rec)) - log(1 - Dis(x_p)) from logits: three times (B,) -> (B,).

    Reconstructions and samples of the prior both count as fakes. Larsen et al., arXiv 1512.09300, section 2.4."""
    return F.softplus(-d_real) + F.softplus(d_rec) + F.softplus(d_fake)  # softplus(-d) = -log(sigmoid(d))


def decoder_gan_loss(d_rec: Tensor, d_fake: Tensor, kind: str = "non-saturating") -> Tensor:
    """The decoder's L_GAN from logits: (B,), (B,) -> (B,).

    minimax: log(1 - Dis(x_rec)) + log(1 - Dis(x_p)), as the paper writes it; its gradient vanishes where the
    discriminator is sure. non-saturating: -log Dis(x_rec) - log Dis(x_p), the same fixed point with a gradient there."""
    if kind == "minimax":
        return -F.softplus(d_rec) - F.softplus(d_fake)
    return F.softplus(-d_rec) + F.softplus(-d_fake)


@dataclass(frozen=True)
class VAEGANConfig:
    latent_dim: int = 128
    """numbers in a code"""
    network: str = "vae-gan32"
    """vae-gan32 or vae-gan64 (they differ in widths only), or any other pair of encoder and decoder"""
    widths: tuple[int, ...] = ()
    """channels of each stage, in the discriminator too; () for (32, 64, 128), with vae-gan64 (64, 128, 256)"""
    layer: int = 0
    """which of the discriminator's convolutions is Dis_l; 0: the last, the paper's fourth of four"""
    gamma: float = 0.01
    """weight of L_feat in the decoder's loss; L_feat is a sum, over 2,048 features at 32x32 with the widths of vae-gan32"""
    gan_loss: str = "non-saturating"
    """the decoder's side of the game: non-saturating or minimax (the paper's)"""
    discriminator_lr_factor: float = 1.0
    """the discriminator's learning rate over the run's, which is that of encoder and decoder"""

    def __post_init__(self):
        if not isinstance(self.latent_dim, int) or self.latent_dim < 1:
            raise reject("latent_dim", self.latent_dim, "a whole number of 1 or more", "128 is the paper's.")
        if any(width < 1 for width in self.widths):
            raise reject("widths", self.widths, "whole numbers of 1 or more")
        if not 0 <= self.gamma < math.inf:
            raise reject("gamma", self.gamma, "0 or more", "0 leaves the decoder to the discriminator alone.")
        if self.gan_loss not in GAN_LOSSES:
            raise reject("gan_loss", self.gan_loss, GAN_LOSSES)
        if not 0 < self.discriminator_lr_factor < math.inf:
            raise reject("discriminator_lr_factor", self.discriminator_lr_factor, "more than 0")


class VAEGAN(Autoencoder):
    """Encoder, decoder and discriminator. Outside images are in [0, 1]; inside, with its own networks, in [-1, 1].

    Which images share a batch, where BatchNorm makes it matter and the paper is silent: the decoder sees the codes of the
    images and of the prior together, so that the running statistics used in eval mode are those of the mixture it was
    trained on. The discriminator sees real images, reconstructions and samples apart. Together in one batch it tells them
    apart by what they have in common with their neighbors, and wins: on emoji it then gave real images a logit of 2 and
    samples -4, and all samples became one pattern of dots; apart, -0.4 and -1.0, and they became pictures (600 steps)."""

    Config = VAEGANConfig
    players = ("encoder", "decoder", "discriminator")
    moments = 2

    def __init__(self, config: VAEGANConfig, data_shape):
        super().__init__(config, data_shape)
        widths = config.widths or WIDTHS.get(config.network, WIDTHS["vae-gan32"])
        self.discriminator = Discriminator(self.data_shape, widths, config.layer)

    def lr_factor(self, player):
        return self.config.discriminator_lr_factor if player == "discriminator" else 1.0

    def posterior(self, x: Tensor) -> Posterior:
        return split_moments(self.encoder(x), self.scale_head)

    def judge(self, *batches: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Dis_l (B, ...) and logits (B,) of each batch of images, in the network's range; no batch sees another."""
        features, logits = zip(*map(self.discriminator, batches), strict=True)
        return features, tuple(map(at_least_float32, logits))

    def step(self, x, update):  # x: (B, C, H, W)
        x = self.to_network(self.check_images(x))
        posterior = self.posterior(x)  # mean, logvar: (B, Z)
        z, z_p = posterior.sample(self.noise(*posterior.mean.shape)), self.noise(*posterior.mean.shape)
        rec, fake = self.mean_image(self.decoder(torch.cat([z, z_p]))).chunk(2)  # (B, C, H, W) each
        (f_real, f_rec, _), (d_real, d_rec, d_fake) = self.judge(x, rec, fake)

        prior, feat = posterior.kl().mean(), feature_loss(f_real, f_rec).mean()
        gan = decoder_gan_loss(d_rec, d_fake, self.config.gan_loss).mean()
        dis = discriminator_loss(d_real, d_rec, d_fake).mean()

        # All three at the weights of the forward pass, on one graph: a player's gradient runs back through the players
        # below it, never through those above, so the weights it needs have not moved yet. Nothing has to be detached:
        # an update reaches its own player alone.
        update("encoder", prior + feat, retain_graph=True)
        update("decoder", self.config.gamma * feat + gan, retain_graph=True)
        update("discriminator", dis)
        terms = {"kl": prior, "feat": feat, "gan": gan, "dis": dis, "sse": sse(x, rec).mean()}
        terms |= {"logit_real": d_real.mean(), "logit_rec": d_rec.mean(), "logit_fake": d_fake.mean()}
        return {name: value.detach() for name, value in terms.items()}

    def evaluation_terms(self, x, generator=None):
        """Per image (B,): kl in nats, and of one posterior sample's decoding feat (L_feat), sse and logit_rec; logit_real.

        sse is in the network's pixel range; that of [-1, 1] is 4 times that of [0, 1]. feat has the unit of this model's
        own discriminator: it compares no two models."""
        x = self.to_network(self.check_images(x))
        posterior = self.posterior(x)
        rec = self.mean_image(self.decoder(posterior.sample(generator=generator)))
        (f_real, f_rec), (d_real, d_rec) = self.judge(x, rec)
        terms = {"kl": posterior.kl(), "feat": feature_loss(f_real, f_rec), "sse": sse(x, rec)}
        return terms | {"logit_real": d_real, "logit_rec": d_rec}
