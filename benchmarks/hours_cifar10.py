"""How long the whole CIFAR-10 recipe takes: measured on this machine, projected for two GPUs.

    python benchmarks/hours_cifar10.py [--steps 20] [--rounds 3] [--threads 2] [--recipe soft_intro_vae_cifar10_augment]

The recipe is 1,000 passes over 50,000 images, in batches of 32. On the device at hand it is the recipe's own step in the
course's loop that is timed, and multiplied. A GPU that is not at hand cannot be timed. Two things bound it, and both are
measured here: the operations of a step, which it computes no faster than its data sheet's rate times the share of the
matrix product's rate that the step reaches on this machine; and what a step costs the *host*, which hands one small operation
after the other to the device. The second is the time of the same step with hardly anything to compute (4 to 16 channels,
2 images) on this CPU. The larger bound is the projection: a lower limit, for one GPU and an operation at a time. (Compiling
the networks, `--compile`, makes the second one smaller.) Evaluations and checkpoints are not in it.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import replace

import torch
from bench_soft_intro_vae_step import build, flop_per_image
from common import machine, matrix_peak, options, our_loop

from course_utils import data, recipes
from course_utils.files import write_json

IMAGES = 1000 * 50_000
# Data sheets of NVIDIA: half precision on tensor cores, without sparsity, in FLOP/s.
PEAKS = {"T4": 65e12, "H200": 989e12}


def seconds_per_step(config, run, images, args, batch=None) -> float:
    """The median over rounds of the mean time of a step."""
    run = replace(run, batch_size=batch or run.batch_size, checkpoint_every=0, eval_every=0)
    times = [our_loop(build(config, images.shape), images, run, args.steps, args.out) for _ in range(args.rounds + 1)]
    return statistics.median(times[1:]) / args.steps  # the first warms caches


def projection(recipe, images, step, args) -> dict:
    """Hours on the GPUs of PEAKS, from what a step of the recipe takes here, in seconds."""
    batch, flop = recipe.run.batch_size, flop_per_image(recipe.config, images.shape)[1]
    share = flop * batch / step / matrix_peak(torch.bfloat16)
    host = seconds_per_step(replace(recipe.config, widths=(4, 8, 16)), recipe.run, images, args, batch=2)
    bounds = {
        name: {"arithmetic": IMAGES * flop / (peak * share) / 3600, "host": IMAGES / batch * host / 3600}
        for name, peak in PEAKS.items()
    }
    return {
        "gflop_per_image": flop / 1e9, "share_of_matrix_peak": share, "host_milliseconds_per_step": host * 1000,
        "bounds_in_hours": bounds, "projected_hours": {name: max(bound.values()) for name, bound in bounds.items()},
    }  # fmt: skip


def main():
    parser = options(__doc__, steps=20)
    parser.set_defaults(rounds=3)
    parser.add_argument("--recipe", default="soft_intro_vae_cifar10_augment", help="which one (default %(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    recipe = recipes.get(args.recipe)
    pixels = torch.randint(0, 256, (5000, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = data.ImageSet(pixels, None, "random", "train")

    batch, cuda = recipe.run.batch_size, torch.cuda.is_available()
    step = seconds_per_step(recipe.config, recipe.run, images, args)
    hours = {torch.cuda.get_device_name() if cuda else "this CPU": IMAGES / batch * step / 3600}
    found = machine(args.threads) | {"recipe": args.recipe, "images_per_second": batch / step, "measured_hours": hours}
    if not cuda:
        found |= projection(recipe, images, step, args)
    write_json(f"{args.out}/hours_cifar10.json", found)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
