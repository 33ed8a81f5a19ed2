"""The variational autoencoder and its beta (chapters 02 and 03).

Units: nats. Reduction: sums over pixels and latent dimensions, mean over the batch. The decoder's variance is 1/2 unless
said otherwise, because then the negative log-likelihood is the plain summed squared error (up to a constant): the loss
`sse + KL` that most published code minimizes is the negative ELBO of that decoder at beta = 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import reject
from .autoencoder import Autoencoder, AutoencoderConfig, at_least_float32, split_moments, sse
from .base import Posterior, evaluating, kl_standard_normal, reparameterize

__all__ = ["VAE", "VAEConfig", "bernoulli_nll", "beta_at", "free_bits_kl", "gaussian_nll"]
__all__ += ["kl_standard_normal", "negative_elbo", "reparameterize", "sse"]


def gaussian_nll(x: Tensor, mean: Tensor, variance: float = 0.5, *, constant: bool = False) -> Tensor:
    """-log N(x; mean, variance I) in nats, summed over pixels: (B, ...), (B, ...) -> (B,).

    Without `constant` the term D/2 log(2 pi variance), which no parameter changes, is left out."""
    shift = 0.5 * x[0].numel() * math.log(2 * math.pi * variance) if constant else 0.0
    return sse(x, mean) / (2 * variance) + shift


def bernoulli_nll(x: Tensor, logits: Tensor) -> Tensor:
    """-log Bernoulli(x; sigmoid(logits)) in nats, summed over pixels: (B, ...), (B, ...) -> (B,).

    x in [0, 1]. For gray pixels it is a cross-entropy, not a likelihood: it is not zero even for a perfect image."""
    if x.shape != logits.shape:
        raise reject("logits", tuple(logits.shape), f"the shape of x, {tuple(x.shape)}")
    logits = at_least_float32(logits)
    return F.binary_cross_entropy_with_logits(logits, x.to(logits.dtype), reduction="none").flatten(1).sum(1)


def negative_elbo(rec: Tensor, kl: Tensor, beta: float | Tensor = 1.0) -> Tensor:
    """rec + beta * kl, per image: (B,), (B,) -> (B,). beta = 1 is the ELBO; Higgins et al. 2017 for other values."""
    return rec + beta * kl


def free_bits_kl(kl_per_dim: Tensor, free_bits: float) -> Tensor:
    """The KL term with a floor per latent dimension, in nats: (B, Z) -> (), sum_z max(free_bits, mean_b KL_bz).

    Below the floor a dimension costs nothing more, so it is not switched off. Kingma et al., arXiv 1606.04934."""
    return kl_per_dim.mean(0).clamp_min(free_bits).sum()


def beta_at(progress: float, *, beta, schedule="constant", start=0.0, fraction=1.0, cycles=4, stairs=0) -> float:
    """The KL's weight when `progress` (in [0, 1]) of the run is done; beta at 1, whatever the schedule.

    constant: beta. linear: from `start` to beta over the first `fraction` of the run, then beta. cyclical: `cycles` such
    ramps one after the other (Fu et al., arXiv 1903.10145). stairs > 0: the weight changes that many times a run only,
    and a step has the value of its beginning, as in code that sets it once an epoch: beta(e) = e / 20 ends at 0.95.
    """
    if schedule == "constant" or progress >= 1:
        return beta
    if stairs:
        progress = math.floor(progress * stairs + 1e-9) / stairs
    if schedule == "cyclical":
        progress = progress * cycles % 1.0
    return start + (beta - start) * min(1.0, progress / fraction)


SCHEDULES = ("constant", "linear", "cyclical")
LIKELIHOODS = ("gaussian", "bernoulli")


@dataclass(frozen=True)
class VAEConfig(AutoencoderConfig):
    # New: a likelihood for the decoder, and a weight for the KL.
    likelihood: str = "gaussian"
    """gaussian (squared error) or bernoulli (cross-entropy on logits)"""
    decoder_variance: float = 0.5
    """variance of the Gaussian decoder; 1/2 makes the loss sse + beta * KL"""
    beta: float = 1.0
    """weight of the KL; 1 is the ELBO, 0 an autoencoder with noise"""
    beta_schedule: str = "constant"
    """constant, linear or cyclical"""
    beta_start: float = 0.0
    """where a linear or cyclical schedule starts"""
    beta_fraction: float = 1.0
    """share of the run (of a cycle) in which a schedule rises; the rest stays at beta"""
    beta_cycles: int = 4
    """ramps of the cyclical schedule"""
    beta_stairs: int = 0
    """0: the weight changes every step; 20: twenty times a run, as code that sets it once an epoch does"""
    free_bits: float = 0.0
    """nats per latent dimension below which the KL costs nothing"""

    def __post_init__(self):
        super().__post_init__()
        if self.likelihood not in LIKELIHOODS:
            raise reject("likelihood", self.likelihood, LIKELIHOODS)
        if self.beta_schedule not in SCHEDULES:
            raise reject("beta_schedule", self.beta_schedule, SCHEDULES)
        for name in ("beta", "beta_start", "free_bits"):
            if not 0 <= getattr(self, name) < math.inf:
                raise reject(name, getattr(self, name), "0 or more", "A negative weight would reward a large KL.")
        if not 0 < self.decoder_variance < math.inf:
            raise reject("decoder_variance", self.decoder_variance, "more than 0", "It is a variance; 0.5 is sse + KL.")
        if not 0 < self.beta_fraction <= 1:
            raise reject("beta_fraction", self.beta_fraction, "more than 0 and at most 1")
        if self.beta_cycles < 1 or self.beta_stairs < 0:
            raise reject("beta_cycles / beta_stairs", (self.beta_cycles, self.beta_stairs), "cycles >= 1, stairs >= 0")


class VAE(Autoencoder):
    """A Gaussian encoder, a Gaussian or Bernoulli decoder, and the (beta-weighted) ELBO. arXiv 1312.6114."""

    Config = VAEConfig
    moments = 2  # New: mean and scale

    def __init__(self, config: VAEConfig, data_shape):
        super().__init__(config, data_shape)
        if config.likelihood == "bernoulli" and self.output != "sigmoid":
            raise reject("likelihood", "bernoulli", "gaussian", f"Network {config.network!r} works in {self.data_range}.")

    def posterior(self, x: Tensor) -> Posterior:
        return split_moments(self.encoder(x), self.scale_head)

    def nll(self, x: Tensor, raw: Tensor, *, constant: bool = False) -> Tensor:
        """-log p(x|z) in nats: x in the network's range, raw the decoder's output, both (B, C, H, W) -> (B,)."""
        if self.config.likelihood == "bernoulli":
            return bernoulli_nll(x, raw)
        return gaussian_nll(x, self.mean_image(raw), self.config.decoder_variance, constant=constant)

    def beta(self) -> float:
        """The KL's weight at this point of the run."""
        c = self.config
        return beta_at(
            self.progress,
            beta=c.beta,
            schedule=c.beta_schedule,
            start=c.beta_start,
            fraction=c.beta_fraction,
            cycles=c.beta_cycles,
            stairs=c.beta_stairs,
        )

    def step(self, x, update):  # x: (B, C, H, W)
        x = self.to_network(self.check_images(x))
        posterior = self.posterior(self.corrupted(x))  # mean, logvar: (B, Z)
        raw = self.decoder(posterior.sample(self.noise(*posterior.mean.shape)))
        rec, kl_per_dim, beta = self.nll(x, raw), posterior.kl_per_dim(), self.beta()
        kl = free_bits_kl(kl_per_dim, self.config.free_bits) if self.config.free_bits else kl_per_dim.sum(1).mean()
        loss = negative_elbo(rec.mean(), kl, beta)
        update("model", loss)
        terms = {"loss": loss, "rec": rec.mean(), "kl": kl_per_dim.sum(1).mean(), "beta": loss.new_full((), beta)}
        return {name: value.detach() for name, value in terms.items()}

    def evaluation_terms(self, x, generator=None):
        """Per image (B,): rec and elbo of one posterior sample, kl, and sse, the squared error of that sample's decoding.

        rec, kl and elbo are in nats, without the likelihood's constant; sse is in the network's pixel range; loss is taken
        at the final beta, whatever the schedule, and without free bits."""
        x = self.to_network(self.check_images(x))
        posterior = self.posterior(x)
        raw = self.decoder(posterior.sample(generator=generator))
        rec, kl = self.nll(x, raw), posterior.kl()
        return {
            "loss": negative_elbo(rec, kl, self.config.beta),
            "rec": rec,
            "kl": kl,
            "elbo": -negative_elbo(rec, kl),
            "sse": sse(x, self.mean_image(raw)),
        }

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats, with its constant: x (B, C, H, W) in [0, 1], z (B, Z) -> (B,).

        A density over the *network's* pixel range: where that is [-1, 1], C H W log 2 below the density over [0, 1]."""
        return -self.nll(self.to_network(x), self.decoder(z), constant=True)

    @torch.no_grad()
    def elbo(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One-sample estimate of the ELBO in nats, per image, with the likelihood's constant, in eval mode.

        (B, C, H, W) -> (B,), comparable with importance_weighted_log_likelihood."""
        with evaluating(self):
            posterior = self.encode(x)
            return self.log_likelihood(x, posterior.sample(generator=generator)) - posterior.kl()
