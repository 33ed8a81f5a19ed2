"""What IntroVAE and Soft-IntroVAE share: an encoder and a decoder that play against each other, and how they are built.

There is no discriminator. The encoder judges: by the KL of q(z|s) it says how far from the data an image s is. It pulls
real images to the prior and pushes reconstructions and samples away; the decoder pulls these back. Huang et al., arXiv
1807.06358; Daniel and Tamar, arXiv 2012.13253. Units and reduction of every term: `sse` is summed over pixels, in the
network's range; every KL is in nats, summed over latent dimensions; terms are means over the batch.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..errors import reject
from ..networks.normalization import NORMS, STATISTICS, batch_norms, estimate_statistics, renormalize, use_statistics
from .autoencoder import AutoencoderConfig, sse
from .base import Posterior, evaluating
from .vae import VAE

# Batches from which batch norm's statistics for eval mode are estimated, and pixels in each: 128 images of 64x64 or
# smaller, fewer of larger ones, so that they fit where training did.
ESTIMATION_BATCHES, ESTIMATION_PIXELS = 40, 1 << 19


@dataclass(frozen=True)
class IntrospectiveConfig(AutoencoderConfig):
    latent_dim: int = 128
    """numbers in a code: 128 for 32x32 in color, 32 for Fashion-MNIST, 2 for points in the plane"""
    network: str = "introspective"
    """introspective (images) or mlp (points); any other pair of encoder and decoder plays as well"""
    widths: tuple[int, ...] = ()
    """channels of each stage, () for the network's own: 64, 128, 256; of mlp, units of each layer, 256, 256, 256, 256"""
    norm: str = "batch"
    """what stands where the network has BatchNorm: batch, or group (slower to train, the same in train and eval mode)"""
    statistics: str = "estimated"
    """what batch norm uses in eval mode: estimated (measured for it before each evaluation) or running (BatchNorm's own,
    with which samples collapse); no effect on training"""
    beta_rec: float = 1.0
    """weight of the squared error"""
    encoder_beta_rec_end: float | None = None
    """the encoder's weight of the squared error at the end of the run, to which it falls from the end of the warm-up, by equal
    factors in equal times; none: it stays, as the decoder's does. A judge that need not rebuild judges densities better"""
    beta_kl: float = 1.0
    """weight of the KL of real images, and in Soft-IntroVAE of the decoder's images in its own step"""
    warmup: float = 0.0
    """share of the run, at its start, that trains a plain VAE: beta_rec sse + beta_kl KL"""
    encoder_lr_factor: float = 1.0
    """the encoder's learning rate over the decoder's, in the game: less than 1 where the encoder wins, and fakes end far from
    the prior"""
    decoder_variance: float = 0.5
    """variance of the Gaussian decoder in `elbo` and `log_likelihood`; training does not know it"""

    likelihood: ClassVar[str] = "gaussian"

    def __post_init__(self):
        super().__post_init__()
        for name, allowed in (("norm", NORMS), ("statistics", STATISTICS)):
            if getattr(self, name) not in allowed:
                raise reject(name, getattr(self, name), allowed)
        self.check_weights("beta_rec", "beta_kl")
        end = self.encoder_beta_rec_end
        if end is not None and not (0 < end < math.inf and self.beta_rec):
            raise reject("encoder_beta_rec_end", end, "more than 0, as beta_rec then is", "It is reached by factors.")
        if not 0 <= self.warmup <= 1:
            raise reject("warmup", self.warmup, "a share of the run, from 0 to 1")
        if not 0 < self.encoder_lr_factor < math.inf:
            raise reject("encoder_lr_factor", self.encoder_lr_factor, "more than 0")
        if not 0 < self.decoder_variance < math.inf:
            raise reject("decoder_variance", self.decoder_variance, "more than 0", "It is a variance; 0.5 is sse + KL.")

    def check_weights(self, *names: str) -> None:
        """Raise CourseError unless each of these fields is 0 or more."""
        for name in names:
            if not 0 <= getattr(self, name) < math.inf:
                raise reject(name, getattr(self, name), "0 or more", "A negative weight would turn its term around.")


class Introspective(VAE):
    """Encoder and decoder as two players, images in [0, 1] or points. A subclass says how they play.

    Which images share a batch, where batch norm makes it matter: real images, reconstructions and samples pass each
    network apart, as published. Where images do not see each other reconstructions and samples pass together."""

    players = ("encoder", "decoder")

    def __init__(self, config: IntrospectiveConfig, data_shape):
        super().__init__(config, data_shape)
        for network in (self.encoder, self.decoder):
            use_statistics(renormalize(network, config.norm), config.statistics)
        self.apart = bool(batch_norms(self))

    def lr_factor(self, player):
        judging = player == "encoder" and self.progress >= self.config.warmup
        return self.config.encoder_lr_factor if judging else 1.0

    def step(self, x, update):  # x: (B, C, H, W)
        x = self.to_network(self.check_images(x))
        return self.warm_up(x, update) if self.progress < self.config.warmup else self.play(x, update)

    @property
    def encoder_beta_rec(self) -> float:
        """The encoder's weight of the squared error at this point of the run."""
        c = self.config
        if c.encoder_beta_rec_end is None or self.progress <= c.warmup:
            return c.beta_rec
        return c.beta_rec * (c.encoder_beta_rec_end / c.beta_rec) ** ((self.progress - c.warmup) / (1 - c.warmup))

    @abstractmethod
    def play(self, x: Tensor, update) -> dict[str, Tensor]:
        """One step of the game on x (B, C, H, W) in the network's range."""

    def warm_up(self, x: Tensor, update) -> dict[str, Tensor]:
        """One step of a plain VAE on x (B, C, H, W) in the network's range."""
        real = self.posterior(self.corrupted(x))
        rec = self.images(self.decoder, real.sample(self.noise(*real.mean.shape)))
        error, kl = sse(x, rec).mean(), real.kl().mean()
        loss = self.config.beta_rec * error + self.config.beta_kl * kl
        update("encoder", loss, retain_graph=True)
        update("decoder", loss)  # its gradient needs no weight of the encoder, which has moved
        return {name: value.detach() for name, value in {"loss": loss, "sse": error, "kl_real": kl}.items()}

    def images(self, decoder: nn.Module, z: Tensor) -> Tensor:
        """One pass of a decoder: (B, Z) -> (B, C, H, W) in the network's range, in float32."""
        return self.mean_image(decoder(z))

    def each_image(self, decoder: nn.Module, z: Tensor) -> Tensor:
        """The images of two batches of codes, one after the other: (2B, Z) -> (2B, C, H, W)."""
        return torch.cat([self.images(decoder, half) for half in z.chunk(2)]) if self.apart else self.images(decoder, z)

    def each_posterior(self, x: Tensor) -> Posterior:
        """q(z|x) of two batches of images, one after the other: (2B, C, H, W) -> (2B, Z)."""
        if not self.apart:
            return self.posterior(x)
        first, second = (self.posterior(half) for half in x.chunk(2))
        return Posterior(torch.cat([first.mean, second.mean]), torch.cat([first.logvar, second.logvar]))

    def prepare_evaluation(self, images, seed: int = 0) -> None:
        """Estimate batch norm's statistics for eval mode, in place; without batch norm there is nothing to do.

        The encoder's over real images, because eval mode encodes these. The decoder's over samples of the prior: over codes
        of real images, or both, samples are further from the data than train mode's, while reconstructions gain little.
        images: a set with `floats(index)`, the training images. No weight changes, and no random state of anybody's."""
        if not self.apart:
            return
        generator = torch.Generator().manual_seed(seed)
        size = min(128, max(8, ESTIMATION_PIXELS // math.prod(self.data_shape[1:])))
        count = min(ESTIMATION_BATCHES, max(len(images) // size, 1)) * size  # whole batches: all weigh the same
        order = torch.randperm(len(images), generator=generator)[:count].split(size)
        real = (self.to_network(images.floats(index).to(self.device)) for index in order)
        codes = (torch.randn(size, self.latent_dim, generator=generator).to(self.device) for _ in range(ESTIMATION_BATCHES))
        with evaluating(self):
            estimate_statistics(self.encoder, real)
            estimate_statistics(self.decoder, codes)

    def evaluation_terms(self, x, generator=None):
        """Per image (B,): sse, rec, kl and elbo as of a VAE, from one posterior sample; kl_rec and kl_fake, in nats.

        rec and elbo are of a Gaussian decoder of variance `decoder_variance`, without the constant. With batch norm the
        encoder sees reconstructions and samples by the statistics of real images, in training by their own: kl_rec and
        kl_fake are then another number than a step's."""
        x = self.to_network(self.check_images(x))
        posterior = self.posterior(x)
        rec = self.images(self.decoder, posterior.sample(generator=generator))
        z = torch.randn(posterior.mean.shape, generator=generator, device=x.device)
        fake = self.images(self.decoder, z.to(posterior.mean))
        nll, kl = self.nll(x, rec), posterior.kl()
        terms = {"rec": nll, "kl": kl, "elbo": -(nll + kl), "sse": sse(x, rec)}
        return terms | {"kl_rec": self.posterior(rec).kl(), "kl_fake": self.posterior(fake).kl()}
