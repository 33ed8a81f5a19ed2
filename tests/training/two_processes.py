"""Run by test_processes.py: train in `devices` processes; each writes its weights, before and after, into OUT.

Every process starts from other weights. Noise is supplied: one joined draw a step, of which each takes its share.
Adam, because its fused kernel reads gradients by their place in memory; with an average of the weights."""

import os
import sys
from pathlib import Path

import torch
from toys import images, tiny_run, tiny_vae, weights

from course_utils import tensors
from course_utils.training import fit

torch.set_num_threads(1)
BATCH, Z = 16, 3


def main(out, devices, steps):
    rank = int(os.environ.get("LOCAL_RANK", 0))
    model = tiny_vae(seed=rank)
    before = weights(model)
    config = tiny_run(devices=devices, steps=steps, checkpoint_every=2, log_every=2, lr=1e-3, ema=0.5)

    def noise(*shape):
        step = round(model.progress * config.steps)
        joined = torch.randn(BATCH, Z, generator=torch.Generator().manual_seed(step))
        share = BATCH // devices
        return joined[rank * share : (rank + 1) * share]

    model.noise = noise
    result = fit(model, images(), config, out=out, quiet=True)
    state = {f"before.{k}": v for k, v in before.items()} | {f"after.{k}": v for k, v in weights(result.model).items()}
    tensors.save(Path(out) / f"rank{rank}.safetensors", state, {})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
