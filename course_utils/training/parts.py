"""The parts of a run: the launched Fabric, its precision, the optimizers."""

from __future__ import annotations

import torch

from ..errors import CourseError
from .config import RunConfig


def native_precision(device: torch.device) -> str:
    """bf16 where the device computes in it, fp16 on older CUDA GPUs, else 32."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if device.type == "cpu":
        # torch has no public name for the question; a build that cannot answer it computes in 32 bits.
        asked = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        return "bf16" if asked is not None and asked() else "32"
    return "32"


def make_fabric(run: RunConfig):
    """A launched Fabric for this configuration, and the precision it was given."""
    from lightning_fabric import Fabric
    from lightning_fabric.accelerators import CUDAAccelerator, MPSAccelerator

    accelerator = run.accelerator
    if accelerator == "auto":
        accelerator = "cuda" if CUDAAccelerator.is_available() else "mps" if MPSAccelerator.is_available() else "cpu"
    elif not {"cpu": True, "cuda": CUDAAccelerator.is_available(), "mps": MPSAccelerator.is_available()}[accelerator]:
        remedy = "Use auto or cpu; `course doctor` says what is there."
        raise CourseError(f"accelerator: got {accelerator!r}, but this machine has no such device. {remedy}")
    precision = native_precision(torch.device(accelerator)) if run.precision == "auto" else run.precision
    names = {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
    strategy = "auto" if run.devices * run.num_nodes == 1 else "ddp"
    fabric = Fabric(
        accelerator=accelerator,
        devices=run.devices,
        num_nodes=run.num_nodes,
        strategy=strategy,
        precision=names[precision],
    )
    fabric.launch()
    return fabric, precision


def make_optimizer(run: RunConfig, parameters, precision: str) -> torch.optim.Optimizer:
    """The optimizer of one player. precision: what "auto" came to."""
    common = {"lr": run.lr, "weight_decay": run.weight_decay}
    if run.optimizer in ("adam", "adamw"):
        kind = torch.optim.Adam if run.optimizer == "adam" else torch.optim.AdamW
        # One kernel for all parameters; but with fp16 gradients must be unscaled before clipping, and the fused one
        # would do it itself, afterwards. As floats, because Adam refuses a decay rate written as the integer 0.
        return kind(parameters, betas=tuple(map(float, run.betas)), fused=precision != "fp16" or None, **common)
    return {"rmsprop": torch.optim.RMSprop, "sgd": torch.optim.SGD}[run.optimizer](parameters, **common)
