"""Fresh inputs for every check, and a fence around it: what runs inside leaves no trace in the notebook."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import warnings
import zlib

import numpy as np
import torch
import torch.nn.functional as F


def new_seed(number: str, attempt: int = 0) -> int:
    """A seed nobody foresees; with COURSE_SEED set, always the same for an exercise and attempt."""
    fixed = os.environ.get("COURSE_SEED")
    if not fixed:
        return secrets.randbelow(2**31)
    return zlib.crc32(f"{fixed}/{number}/{attempt}".encode())


class Fresh:
    """Draws inputs from its own generator. All shapes are given as separate numbers: `fresh.normal(3, 64, 8)`."""

    def __init__(self, seed: int):
        self.seed_used = seed
        self._generator = torch.Generator().manual_seed(seed)

    def normal(
        self, *shape: int, mean: float = 0.0, std: float = 1.0, dtype=torch.float32, grad: bool = False
    ) -> torch.Tensor:
        """Normal numbers; `grad=True` for `has_gradient`. Unpack the first dimension to get several tensors."""
        drawn = mean + std * torch.randn(*shape, generator=self._generator, dtype=dtype)
        return drawn.requires_grad_(grad)

    def uniform(
        self, *shape: int, low: float = 0.0, high: float = 1.0, dtype=torch.float32, grad: bool = False
    ) -> torch.Tensor:
        """Uniform numbers in [low, high)."""
        drawn = low + (high - low) * torch.rand(*shape, generator=self._generator, dtype=dtype)
        return drawn.requires_grad_(grad)

    def images(
        self, batch: int = 8, channels: int = 1, size: int = 32, *, dtype=torch.float32, grad: bool = False
    ) -> torch.Tensor:
        """Smooth pictures in [0, 1], (B, C, size, size), with dark and bright areas."""
        coarse = torch.rand(batch, channels, 5, 5, generator=self._generator, dtype=dtype)
        smooth = F.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=True)
        low, high = smooth.amin((1, 2, 3), keepdim=True), smooth.amax((1, 2, 3), keepdim=True)
        return ((smooth - low) / (high - low)).requires_grad_(grad)

    def integers(self, *shape: int, low: int = 0, high: int = 10) -> torch.Tensor:
        """int64 numbers, low <= n < high."""
        return torch.randint(low, high, shape, generator=self._generator)

    def integer(self, low: int, high: int) -> int:
        """One Python int, low <= n < high: for sizes that no answer should have written in."""
        return int(self.integers(1, low=low, high=high))

    def number(self, low: float = 0.0, high: float = 1.0) -> float:
        """One Python float in [low, high)."""
        return float(self.uniform(1, low=low, high=high, dtype=torch.float64))

    def seed(self) -> int:
        """A seed to hand on."""
        return self.integer(0, 2**31 - 1)

    def generator(self) -> torch.Generator:
        """A new generator with a seed of its own."""
        return torch.Generator().manual_seed(self.seed())


@contextlib.contextmanager
def fenced(seed: int):
    """Runs its block with seeded global generators, float32 and gradients on; puts all of it back afterwards.

    Restores the random state of torch (CPU and CUDA), numpy and Python, the default dtype, the gradient modes and the
    warning filters."""
    # An accelerator's generators are forked only where one has been used: asking would start it up.
    started = torch.cuda.is_available() and torch.cuda.is_initialized()
    devices = list(range(torch.cuda.device_count())) if started else []
    python, numpy_state, dtype = random.getstate(), np.random.get_state(), torch.get_default_dtype()
    grad, anomaly = torch.is_grad_enabled(), torch.is_anomaly_enabled()
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(torch.random.fork_rng(devices=devices, enabled=True))
        stack.enter_context(torch.inference_mode(False))
        try:
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would leave a trace on devices not forked
            if devices:
                torch.cuda.manual_seed_all(seed)
            np.random.seed(seed % 2**32)
            random.seed(seed)
            torch.set_default_dtype(torch.float32)
            torch.set_grad_enabled(True)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy_state)
            torch.set_default_dtype(dtype)
            torch.set_grad_enabled(grad)
            torch.autograd.set_detect_anomaly(anomaly)
