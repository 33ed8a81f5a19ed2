"""Which images a step sees. Nothing is stored: the order follows from the seed, so a run resumes at any step."""

from __future__ import annotations

import torch
from torch import Tensor

# Up to this size a data set sits on the device as uint8; a larger one is sent batch by batch.
BYTES_KEPT_ON_DEVICE = 4 << 30


def mix(*numbers: int) -> int:
    """One seed out of several numbers, well spread (the finalizer of SplitMix64 after each)."""
    state, mask = 0x9E3779B97F4A7C15, (1 << 64) - 1
    for number in numbers:
        state = (state + number + 0x9E3779B97F4A7C15) & mask
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
        state ^= state >> 31
    return state >> 1  # fits a signed 64-bit integer


class Batches:
    """The training set on the device, and the batch of each step and rank.

    An epoch is a permutation of all images; its last ragged batch is dropped, and other images fall away each epoch."""

    def __init__(self, images: Tensor, batch_size, seed, device, rank=0, world=1, channels_last=True, labels=None):
        fits = images.numel() <= BYTES_KEPT_ON_DEVICE
        self.images = images.to(device) if fits else images
        self.labels = None if labels is None else labels.to(self.images.device)
        self.batch_size, self.seed, self.device, self.rank, self.world = batch_size, seed, device, rank, world
        self.memory_format = torch.channels_last if channels_last and images.ndim == 4 else torch.contiguous_format
        self.epoch, self.order = -1, None

    def __call__(self, step: int) -> tuple[Tensor, ...]:
        """The batch of this step: float32 (B / world, C, H, W) in [0, 1], or points as they are; labels, if there are any."""
        rows = self._rows(step)
        batch = self.images[rows].to(self.device, non_blocking=True)
        scale = 255 if batch.dtype == torch.uint8 else 1
        batch = batch.to(dtype=torch.float32, memory_format=self.memory_format).div_(scale)
        return (batch,) if self.labels is None else (batch, self.labels[rows].to(self.device, non_blocking=True))

    def _rows(self, step: int) -> Tensor:
        epoch, place = divmod(step, len(self.images) // self.batch_size)
        if epoch != self.epoch:
            generator = torch.Generator().manual_seed(mix(self.seed, 1, epoch))
            self.epoch = epoch
            self.order = torch.randperm(len(self.images), generator=generator).to(self.images.device)
        share = self.batch_size // self.world
        start = place * self.batch_size + self.rank * share
        return self.order[start : start + share]
