"""Samples of a model's prior for measuring: each the same, alone and in any batch."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor

from ..methods.base import LatentModel, evaluating
from .features import check_range, require_eval

BLOCK = 1000  # codes drawn from one seed


def generate(
    model: LatentModel, samples: int, *, seed: int = 0, batch_size: int = 250, train_mode: bool = False
) -> Iterator[Tensor]:
    """`samples` images of the model's prior, uint8 (B, C, H, W) on the model's device, a batch at a time.

    Sample i depends on the seed and on i only, not on the batch or the number of samples. 8 bit, because the real images
    are: values in between would be a difference of file formats, and a network could see it.

    train_mode: a mistake made on purpose, for chapter 05: a copy of the model in train mode draws, and its batch norm
    makes each image depend on its batch."""
    if train_mode:
        model = copy.deepcopy(model).train()
    for start in range(0, samples, batch_size):
        z = codes(model.latent_dim, start, min(start + batch_size, samples), seed)
        yield _decode(model, z.to(model.device), train_mode)


def codes(latent_dim: int, start: int, stop: int, seed: int) -> Tensor:
    """Codes number `start` to `stop` - 1 of a seed's endless sequence: standard normal, (stop - start, Z), on the CPU."""
    first = start // BLOCK
    drawn = torch.cat([_block(latent_dim, seed, index) for index in range(first, (stop - 1) // BLOCK + 1)])
    return drawn[start - first * BLOCK : stop - first * BLOCK]


def _block(latent_dim: int, seed: int, index: int) -> Tensor:
    digest = hashlib.sha256(f"{seed}, {index}".encode()).digest()  # so that no two seeds share a block
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    return torch.randn(BLOCK, latent_dim, generator=generator)


@torch.no_grad()
def _decode(model: LatentModel, z: Tensor, train_mode: bool) -> Tensor:
    if train_mode:
        images = model.decode(z)
    else:
        with evaluating(model):
            require_eval(model, "the sampled model")
            images = model.decode(z)
    return (check_range(images) * 255).round().to(torch.uint8)
