"""How to train, apart from the method's own hyper-parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import check_seed, reject

OPTIMIZERS = ("adam", "adamw", "rmsprop", "sgd")
PRECISIONS = ("auto", "32", "bf16", "fp16")
ACCELERATORS = ("auto", "cpu", "cuda", "mps")
LR_SCHEDULES = ("constant", "linear", "cosine", "step")


@dataclass(frozen=True)
class RunConfig:
    steps: int = 4000
    """optimizer steps of the whole run; one step sees one batch"""
    epochs: float = 0.0
    """if not 0: passes over the training data, in place of steps"""
    batch_size: int = 128
    """images a batch, over all devices together; a GAN with n critic steps sees n batches a step"""
    lr: float = 1e-3
    """learning rate at the start"""
    lr_schedule: str = "constant"
    """constant, linear (to 0), cosine (to 0) or step (x 0.1 at each lr_drop of the run)"""
    lr_drop: tuple[float, ...] = (0.5,)
    """shares of the schedule after each of which the step schedule drops"""
    lr_steps: int = 0
    """steps over which the learning rate's schedule goes; 0: the run's own. More than that stops it half way down"""
    optimizer: str = "adam"
    """adam, adamw, rmsprop or sgd"""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's two decay rates"""
    weight_decay: float = 0.0
    """weight decay"""
    grad_clip: float = 0.0
    """largest norm of a player's gradient; 0 does not clip"""
    ema: float = 0.0
    """decay of an exponential moving average of the weights, which is then what is saved as the model; 0: none"""
    seed: int = 0
    """decides the first weights, the order of the data and all noise"""
    precision: str = "auto"
    """auto (bf16 where the device has it, fp16 with scaling on older GPUs, else 32), 32, bf16 or fp16"""
    channels_last: bool = True
    """keep images as (B, H, W, C) in memory: faster convolutions"""
    compile: bool = False
    """torch.compile the networks: pays off in long runs on a GPU. Not for losses with a penalty on slopes"""
    accelerator: str = "auto"
    """auto, cpu, cuda or mps"""
    devices: int = 1
    """processes on each node, one device each"""
    num_nodes: int = 1
    """machines"""
    log_every: int = 50
    """steps between rows of the log"""
    eval_every: int = 0
    """steps between evaluations on held-out data; 0: only at the end"""
    checkpoint_every: int = 500
    """steps between checkpoints, of which the first is of step 0; 0: only at the end"""

    def __post_init__(self):
        choices = {"optimizer": OPTIMIZERS, "precision": PRECISIONS}
        choices |= {"lr_schedule": LR_SCHEDULES, "accelerator": ACCELERATORS}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise reject(name, getattr(self, name), allowed)
        for name in ("batch_size", "devices", "num_nodes", "log_every"):
            if getattr(self, name) < 1:
                raise reject(name, getattr(self, name), "1 or more")
        for name in ("epochs", "weight_decay", "grad_clip", "eval_every", "checkpoint_every", "lr_steps"):
            if not 0 <= getattr(self, name) < math.inf:
                raise reject(name, getattr(self, name), "0 or more")
        check_seed(self.seed)
        if self.steps < 1 and not self.epochs:
            raise reject("steps", self.steps, "1 or more", "Or give --epochs.")
        if not 0 < self.lr < math.inf:
            raise reject("lr", self.lr, "more than 0")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise reject("betas", self.betas, "two numbers, each at least 0 and less than 1")
        if not all(0 <= drop <= 1 for drop in self.lr_drop):
            raise reject("lr_drop", self.lr_drop, "shares of the run, each from 0 to 1", "0.5 drops once, half way.")
        if not 0 <= self.ema < 1:
            raise reject("ema", self.ema, "at least 0 and less than 1", "0.999 averages over about 1,000 steps.")

    def total_steps(self, images: int, batches_per_step: int = 1) -> int:
        """Steps of a run over a training set of this many images; an epoch drops the last ragged batch."""
        per_step = self.batch_size * batches_per_step
        if per_step > images:
            remedy = "Take a smaller --batch-size, or more data."
            shared = f" over the {batches_per_step} batches of a step" if batches_per_step > 1 else ""
            most = f"at most {images // batches_per_step}, the number of training images{shared}"
            raise reject("batch_size", self.batch_size, most, remedy)
        return max(1, round(self.epochs * (images // per_step))) if self.epochs else self.steps

    def lr_at(self, progress: float) -> float:
        """The learning rate when `progress` of its schedule is done; past 1 it stays at the end."""
        progress = min(progress, 1.0)
        if self.lr_schedule == "linear":
            return self.lr * (1 - progress)
        if self.lr_schedule == "cosine":
            return self.lr * 0.5 * (1 + math.cos(math.pi * progress))
        drops = sum(progress >= drop for drop in self.lr_drop) if self.lr_schedule == "step" else 0
        return self.lr * 0.1**drops
