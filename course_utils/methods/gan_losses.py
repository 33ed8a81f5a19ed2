"""What critic and generator minimize, as functions of the critic's logits, and the penalties on its slope (chapter 04).

Conventions: real = D(x) and fake = D(G(z)) are logits (B,), no sigmoid applied; a loss is the mean over the batch. A
sigmoid's logarithm is written as a softplus, log sigmoid(d) = -softplus(-d), which neither overflows nor rounds to log 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus


def minimax_critic(real: Tensor, fake: Tensor) -> Tensor:
    """mean softplus(-real) + mean softplus(fake) = -mean log D - mean log(1 - D). Goodfellow et al., arXiv 1406.2661."""
    return softplus(-real).mean() + softplus(fake).mean()


def minimax_generator(fake: Tensor) -> Tensor:
    """-mean softplus(fake) = mean log(1 - D): flat where the critic is sure of a fake. arXiv 1406.2661, eq. 1."""
    return -softplus(fake).mean()


def non_saturating_generator(fake: Tensor) -> Tensor:
    """mean softplus(-fake) = -mean log D: steep where the critic is sure of a fake. arXiv 1406.2661, section 3."""
    return softplus(-fake).mean()


def least_squares_critic(real: Tensor, fake: Tensor) -> Tensor:
    """1/2 mean (real - 1)^2 + 1/2 mean fake^2. Mao et al., arXiv 1611.04076, eq. 9 (a = 0, b = c = 1)."""
    return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()


def least_squares_generator(fake: Tensor) -> Tensor:
    """1/2 mean (fake - 1)^2. arXiv 1611.04076, eq. 9."""
    return 0.5 * (fake - 1).square().mean()


def wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    """mean fake - mean real, to which `gradient_penalty` belongs. Arjovsky et al., arXiv 1701.07875, eq. 3."""
    return fake.mean() - real.mean()


def wasserstein_generator(fake: Tensor) -> Tensor:
    """-mean fake. arXiv 1701.07875."""
    return -fake.mean()


def hinge_critic(real: Tensor, fake: Tensor) -> Tensor:
    """mean relu(1 - real) + mean relu(1 + fake): sure answers cost nothing. Lim & Ye, arXiv 1705.02894, section 3."""
    return relu(1 - real).mean() + relu(1 + fake).mean()


class Game(NamedTuple):
    """critic(real, fake) and generator(fake) are minimized. critic_steps: for each of the generator's, as published."""

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    critic_steps: int = 1
    penalized: bool = False  # whether the critic also pays for a slope other than 1


LOSSES: dict[str, Game] = {
    "minimax": Game(minimax_critic, minimax_generator),
    "non-saturating": Game(minimax_critic, non_saturating_generator),
    "lsgan": Game(least_squares_critic, least_squares_generator),
    "wgan-gp": Game(wasserstein_critic, wasserstein_generator, critic_steps=5, penalized=True),
    "hinge": Game(hinge_critic, wasserstein_generator),
}


def slopes(critic, x: Tensor) -> Tensor:
    """The gradient of the critic's logit at each sample, differentiable: (B, ...) -> (B, ...).

    One backward serves the batch, because a sample's logit depends on that sample alone: no BatchNorm in a critic."""
    x = x.detach().requires_grad_()
    return torch.autograd.grad(critic(x).sum(), x, create_graph=True)[0]


def gradient_penalty(critic, real: Tensor, fake: Tensor, eps: Tensor) -> Tensor:
    """(||grad D(xhat)||_2 - 1)^2 at xhat = eps real + (1 - eps) fake: (B, ...), (B, ...), (B,) -> (B,).

    eps ~ U(0, 1), one for each *sample*; the norm is over one sample's C, H, W. Gulrajani et al., arXiv 1704.00028,
    eq. 3; its weight there is 10."""
    eps = eps.reshape(-1, *[1] * (real.ndim - 1))  # (B, 1, 1, 1)
    slope = slopes(critic, torch.lerp(fake.detach(), real, eps))
    return (slope.flatten(1).norm(dim=1) - 1).square()


def r1_penalty(critic, real: Tensor) -> Tensor:
    """1/2 ||grad D(x)||^2 at real samples: (B, ...) -> (B,). Mescheder et al., arXiv 1801.04406, eq. 9 (gamma its weight)."""
    return 0.5 * slopes(critic, real).flatten(1).square().sum(1)
