"""The autoencoder: squared error through a bottleneck (chapter 01)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import reject
from ..networks import build_autoencoder
from .base import LOGVAR_RANGE, LatentModel, Posterior
from .trainable import Trainable


def at_least_float32(x: Tensor) -> Tensor:
    """x in float32, or as it is in float64: sums over thousands of pixels need more than half precision's digits."""
    return x if x.dtype == torch.float64 else x.float()


def sse(x: Tensor, y: Tensor) -> Tensor:
    """Squared error *summed* over everything but the batch: (B, ...), (B, ...) -> (B,). In float32 at least."""
    if x.shape != y.shape:  # broadcasting would hide a transposed or missing dimension and still give a falling loss
        raise reject("y", tuple(y.shape), f"the shape of x, {tuple(x.shape)}")
    return at_least_float32(x - y).square().flatten(1).sum(1)


@dataclass(frozen=True)
class AutoencoderConfig:
    latent_dim: int = 32
    """numbers in a code: the width of the bottleneck"""
    network: str = "conv"
    """conv (any size that is a multiple of 8), cifar-assignment (32x32 in [-1, 1]), dcgan64, introspective or mlp (points)"""
    widths: tuple[int, ...] = ()
    """channels of each stage, () for the network's own (32, 64, 128)"""
    input_noise: float = 0.0
    """standard deviation, in the network's pixel range, of noise added to the input only (a denoising autoencoder); the
    target stays clean"""

    def __post_init__(self):
        if not isinstance(self.latent_dim, int) or self.latent_dim < 1:
            remedy = "2 can be drawn, 32 is a good start."
            raise reject("latent_dim", self.latent_dim, "a whole number of 1 or more", remedy)
        if not 0 <= self.input_noise < math.inf:
            remedy = "It is a standard deviation, in units of pixel values."
            raise reject("input_noise", self.input_noise, "0 or more", remedy)
        if any(width < 1 for width in self.widths):
            raise reject("widths", self.widths, "whole numbers of 1 or more")


class Autoencoder(Trainable, LatentModel):
    """An encoder to a code of `latent_dim` numbers and a decoder back, trained on squared error alone."""

    Config = AutoencoderConfig
    moments = 1  # numbers the encoder gives per latent dimension

    def __init__(self, config: AutoencoderConfig, data_shape):
        super().__init__(config, data_shape)
        nets = build_autoencoder(
            config.network, data_shape, config.latent_dim, self.moments * config.latent_dim, config.widths
        )
        self.encoder, self.decoder = nets.encoder, nets.decoder
        self.output, self.data_range, self.scale_head = nets.output, nets.data_range, nets.scale_head

    # [0, 1] outside, the network's own range inside; points are as they are, on both sides.
    def to_network(self, x: Tensor) -> Tensor:
        low, high = self.data_range or (0.0, 1.0)
        return x if (low, high) == (0.0, 1.0) else low + (high - low) * x

    def from_network(self, x: Tensor) -> Tensor:
        if self.data_range is None:
            return x
        low, high = self.data_range
        return ((x - low) / (high - low)).clamp(0, 1)

    def mean_image(self, raw: Tensor) -> Tensor:
        """The decoder's raw output (B, C, H, W) -> the mean image in the network's own range."""
        raw = at_least_float32(raw)
        return raw.sigmoid() if self.output == "sigmoid" else raw

    def posterior(self, x: Tensor) -> Posterior:
        """x in the *network's* range (B, C, H, W) -> q(z|x), in float32."""
        return Posterior(at_least_float32(self.encoder(x)))

    def corrupted(self, x: Tensor) -> Tensor:
        """What the encoder is shown of x in training, both in the network's range: (B, C, H, W) -> (B, C, H, W)."""
        return x + self.config.input_noise * self.noise(*x.shape) if self.config.input_noise else x

    def encode(self, x: Tensor) -> Posterior:
        return self.posterior(self.to_network(self.check_images(x)))

    def decode(self, z: Tensor) -> Tensor:
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise reject("z", tuple(z.shape), f"(B, {self.latent_dim})", "One row per image, one column per latent dimension.")
        return self.from_network(self.mean_image(self.decoder(z)))

    def step(self, x, update):  # x: (B, C, H, W)
        target = self.to_network(self.check_images(x))
        rec = self.mean_image(self.decoder(self.posterior(self.corrupted(target)).mean))
        loss = sse(target, rec).mean()
        update("model", loss)
        return {"loss": loss.detach(), "sse": loss.detach()}

    def evaluation_terms(self, x, generator=None):
        target = self.to_network(self.check_images(x))
        error = sse(target, self.mean_image(self.decoder(self.posterior(target).mean)))
        return {"loss": error, "sse": error}


def split_moments(out: Tensor, scale_head: str) -> Posterior:
    """The encoder's output (B, 2 Z) -> q(z|x): the first half is the mean, the second logvar, or log_std = logvar / 2."""
    mean, scale = at_least_float32(out).chunk(2, 1)
    logvar = 2 * scale if scale_head == "log_std" else scale
    return Posterior(mean, logvar.clamp(*LOGVAR_RANGE))
