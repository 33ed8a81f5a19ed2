"""Importance-weighted log-likelihood (Burda, Grosse and Salakhutdinov, arXiv 1509.00519, equation 8)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import reject
from ..methods.base import evaluating, gaussian_log_prob


def log_mean_exp(log_weights: Tensor) -> Tensor:
    """log (1/K sum_k exp(w_k)) over the first dimension, without overflow: (K, B) -> (B,)."""
    return log_weights.logsumexp(0) - math.log(len(log_weights))


@torch.no_grad()
def importance_log_weights(model, x: Tensor, k: int, generator: torch.Generator | None = None) -> Tensor:
    """log p(x|z_k) + log p(z_k) - log q(z_k|x) for k samples of q(z|x), in nats: (B, C, H, W) -> (K, B).

    model needs `encode(x) -> Posterior` and `log_likelihood(x, z) -> (B,)`, with all constants."""
    if k < 1:
        raise reject("k", k, "a whole number of 1 or more", "1 is the ELBO; 50 to 5,000 are usual.")
    weights = []
    with evaluating(model):
        posterior = model.encode(x)
        for _ in range(k):  # one sample of every image at a time: memory does not grow with k
            z = posterior.sample(generator=generator)  # (B, Z)
            weights.append(model.log_likelihood(x, z) + gaussian_log_prob(z) - posterior.log_prob(z))
    return torch.stack(weights)


def importance_weighted_log_likelihood(model, x: Tensor, k: int, generator: torch.Generator | None = None) -> Tensor:
    """The bound L_k on log p(x), in nats per image: (B, C, H, W) -> (B,).

    L_1 is a one-sample ELBO; the expectation of L_k rises with k and tends to log p(x). Equal to it for every k and every
    sample if q is the exact posterior."""
    return log_mean_exp(importance_log_weights(model, x, k, generator))
