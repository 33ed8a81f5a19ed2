"""What every model of the course can do, and the posterior that encoders return."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import CourseError, reject

# exp(-30 / 2) and exp(20 / 2) still fit every precision used here; an unbounded logvar overflows to inf, then NaN.
LOGVAR_RANGE = (-30.0, 20.0)


def kl_standard_normal(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, I)) in nats, *summed* over the latent dimensions: (B, Z), (B, Z) -> (B,).

    -1/2 sum_z (1 + logvar - mu^2 - exp(logvar)); Kingma & Welling, arXiv 1312.6114, appendix B."""
    return kl_per_dimension(mu, logvar).sum(1)


def kl_per_dimension(mu: Tensor, logvar: Tensor) -> Tensor:
    """The same KL, one value per latent dimension, in nats: (B, Z), (B, Z) -> (B, Z)."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


def reparameterize(mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
    """One sample of N(mu, exp(logvar)) as a differentiable function of mu and logvar: all (B, Z) -> (B, Z).

    noise: standard normal. The standard deviation is exp(logvar / 2). Kingma & Welling, arXiv 1312.6114, section 2.4."""
    return mu + noise * (0.5 * logvar).exp()


@dataclass(frozen=True)
class Posterior:
    """q(z|x): a Gaussian with diagonal covariance, or, where logvar is None, the single point an autoencoder encodes to.

    mean: (B, Z). logvar: (B, Z), log of the variance, or None."""

    mean: Tensor
    logvar: Tensor | None = None

    def sample(self, noise: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """One sample per image, (B, Z), differentiable. noise: standard normal (B, Z); drawn from `generator` if not given."""
        if self.logvar is None:
            return self.mean
        if noise is None:
            noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype)
        return reparameterize(self.mean, self.logvar, noise)

    def kl(self) -> Tensor:
        """KL to the standard normal prior in nats, summed over the latent dimensions: (B,)."""
        return self.kl_per_dim().sum(1)

    def kl_per_dim(self) -> Tensor:
        """KL to the standard normal prior in nats, per latent dimension: (B, Z)."""
        if self.logvar is None:
            raise TypeError("an autoencoder's code is a point, not a distribution: it has no KL to a prior")
        return kl_per_dimension(self.mean, self.logvar)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z|x) in nats, summed over the latent dimensions: (..., B, Z) -> (..., B)."""
        if self.logvar is None:
            raise TypeError("an autoencoder's code is a point, not a distribution: it has no density")
        return gaussian_log_prob(z, self.mean, self.logvar)


def gaussian_log_prob(z: Tensor, mean: Tensor | float = 0.0, logvar: Tensor | float = 0.0) -> Tensor:
    """log N(z; mean, exp(logvar)) in nats, summed over the last dimension: (..., Z) -> (...)."""
    logvar = torch.as_tensor(logvar, dtype=z.dtype, device=z.device)
    log_two_pi = 1.8378770664093453
    return -0.5 * (log_two_pi + logvar + (z - mean).square() * (-logvar).exp()).sum(-1)


class Model(nn.Module, ABC):
    """A network that knows its configuration and the shape of what it sees: (C, H, W) of an image, (D,) of a point."""

    def __init__(self, config, data_shape):
        super().__init__()
        self.config = config
        self.data_shape = tuple(int(side) for side in data_shape)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def check_images(self, x: Tensor) -> Tensor:
        """Return x if its shape fits this model; raise CourseError otherwise."""
        if tuple(x.shape[1:]) != self.data_shape:
            remedy = "Load the data at this model's size and number of channels, or another checkpoint."
            raise reject("images", tuple(x.shape), f"(B, {', '.join(map(str, self.data_shape))})", remedy)
        return x


class LatentModel(Model):
    """What figures, widgets, metrics and the command line know of a model: how to decode, to sample, and, often, to encode.

    Images are in [0, 1] at every method below. What also trains is a `Trainable`."""

    has_encoder = True

    def __init__(self, config, data_shape):
        super().__init__(config, data_shape)
        self.latent_dim = config.latent_dim

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """(B, Z) -> (B, C, H, W) in [0, 1]."""

    def encode(self, x: Tensor) -> Posterior:
        """(B, C, H, W) in [0, 1] -> q(z|x). CourseError where `has_encoder` is False."""
        raise CourseError(f"model: {type(self).__name__} has no encoder. It decodes and samples; take a model that encodes.")

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None, truncation: float = 1.0) -> Tensor:
        """n images decoded from the prior N(0, truncation^2 I), in eval mode: an image does not depend on its batch."""
        z = torch.randn(n, self.latent_dim, generator=generator, device=generator.device if generator else self.device)
        with evaluating(self):
            return self.decode(truncation * z.to(self.device))

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """Decode the posterior's mean, in eval mode: (B, C, H, W) -> (B, C, H, W), the same picture every time."""
        with evaluating(self):
            return self.decode(self.encode(x.to(self.device)).mean)

    @torch.no_grad()
    def latent_importance(self, x: Tensor) -> Tensor:
        """How much each latent dimension carries, (Z,): mean KL in nats, or the code's variance where there is no KL."""
        with evaluating(self):
            posterior = self.encode(x.to(self.device))
        return posterior.mean.var(0, correction=0) if posterior.logvar is None else posterior.kl_per_dim().mean(0)


class evaluating:
    """Context manager: the model in eval mode inside, each of its modules back in its own mode after."""

    def __init__(self, model: nn.Module):
        self.model = model

    def __enter__(self):
        self.modes = [(module, module.training) for module in self.model.modules()]
        self.model.eval()
        return self.model

    def __exit__(self, *_):
        for module, mode in self.modes:  # one by one: a part that was frozen in eval mode stays so
            module.training = mode
