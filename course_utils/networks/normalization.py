"""What a network normalizes by in eval mode: batch norm whose statistics are estimated again, or groups of channels.

In train mode BatchNorm normalizes each batch by its own mean and variance; in eval mode by averages of these that it kept
on the way. An introspective step shows one network real images, reconstructions and samples in turn, so those averages
are of a mixture that none of the three has, and of weights that have moved on: in eval mode samples collapse. The cure
costs some forward passes and changes no weight: average again, over the one kind of input that eval mode is for.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import reject

NORMS = ("batch", "group")
STATISTICS = ("estimated", "running")


class BatchNorm(_BatchNorm):
    """BatchNorm over (B, C) or (B, C, H, W) that has two sets of statistics for eval mode, and a switch between them.

    `running_mean` and `running_var` are BatchNorm's own; `estimated_mean` and `estimated_var` are what
    `estimate_statistics` measured last, and the running ones' first values before. `statistics`: which eval mode uses."""

    statistics = "estimated"
    seen = None  # batches so far while statistics are being estimated, else None

    def __init__(self, width: int, **options):
        super().__init__(width, **options)
        self.register_buffer("estimated_mean", torch.zeros(width))
        self.register_buffer("estimated_var", torch.ones(width))

    def _check_input_dim(self, x: Tensor) -> None:
        """Any number of dimensions: it stands for BatchNorm1d and BatchNorm2d alike."""

    def forward(self, x: Tensor) -> Tensor:
        if self.seen is None and (self.training or self.statistics == "running"):
            return super().forward(x)
        batch, momentum = self.seen is not None, 0.0
        if batch:  # 1, 1/2, 1/3, ...: the plain mean over all batches
            self.seen += 1
            momentum = 1 / self.seen
        mean, var = self.estimated_mean, self.estimated_var
        return F.batch_norm(x, mean, var, self.weight, self.bias, batch, momentum, self.eps)


class GroupNorm(nn.GroupNorm):
    """GroupNorm over (B, C) or (B, C, H, W) that goes through float32 where torch's own bfloat16 kernels are slow: on a CPU, in
    channels_last, they take up to four times as long (torch 2.15), and so a step of the emoji recipes 1.3 times."""

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or x.dtype != torch.bfloat16:
            return super().forward(x)
        return super().forward(x.float()).to(x.dtype)


def renormalize(network: nn.Module, norm: str) -> nn.Module:
    """Put this kind of normalization in the place of each BatchNorm of a network, in place; it starts as the identity.

    batch: `BatchNorm` of this module. group: GroupNorm over eight channels at a time, over all where eight do not divide
    them; an image is then normalized by itself, in train and in eval mode alike (Wu and He, arXiv 1803.08494)."""
    if norm not in NORMS:
        raise reject("norm", norm, NORMS)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm):
                width = child.num_features
                groups = width // 8 if width % 8 == 0 else 1
                made = BatchNorm(width, eps=child.eps, momentum=child.momentum) if norm == "batch" else None
                setattr(module, name, made or GroupNorm(groups, width))
    return network


def batch_norms(network: nn.Module) -> list[BatchNorm]:
    """The layers of a network whose statistics can be estimated."""
    return [module for module in network.modules() if isinstance(module, BatchNorm)]


def use_statistics(network: nn.Module, statistics: str) -> nn.Module:
    """Make eval mode use the "estimated" statistics, or the "running" ones, in place."""
    if statistics not in STATISTICS:
        raise reject("statistics", statistics, STATISTICS)
    for layer in batch_norms(network):
        layer.statistics = statistics
    return network


@torch.no_grad()
def estimate_statistics(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Estimate the statistics of eval mode from passes over these inputs, in place; weights and modes stay as they are.

    Each layer sees what it sees in training, activations normalized by their batch, and keeps the plain mean of the
    batches' means and (unbiased) variances. Large batches: a small one's statistics are noise in the layers above."""
    layers = batch_norms(network)
    if not layers:
        return
    for layer in layers:
        layer.seen = 0
    try:
        for batch in batches:
            network(batch)
    finally:
        for layer in layers:
            layer.seen = None
