"""Speed of a VAE step on the CIFAR-10 assignment's net: the course's loop against a plain one, side by side in one run.

    python benchmarks/bench_vae_step.py [--steps 30] [--rounds 5] [--epoch] [--threads 2]

The plain loop is what tutorials write: float32, contiguous images, torchvision transforms in a DataLoader, a loss
fetched with .item() every step. Both train the same net with the same loss from the same weights. Rounds alternate, so
that a machine that slows down slows both; the ratio of each round is taken, and the median reported. --epoch trains one
whole epoch both ways and compares the held-out losses. Where CIFAR-10 is not there, 32x32 emoji stand in, and it says so.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from dataclasses import replace

import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from course_utils import data, methods
from course_utils.errors import CourseError
from course_utils.training import RunConfig, evaluate
from course_utils.training.loop import Run

BATCH = 256
CONFIG = methods.VAE.Config(latent_dim=1024, network="cifar-assignment")
OURS = RunConfig(batch_size=BATCH, lr=1e-3, grad_clip=1.0, checkpoint_every=0, log_every=50)


class Pictures(Dataset):
    """What torchvision's CIFAR10 class does for an image: an array in memory -> PIL -> transforms."""

    def __init__(self, images):
        from torchvision import transforms

        self.arrays = images.permute(0, 2, 3, 1).contiguous().numpy()
        half = (0.5, 0.5, 0.5)
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(half, half)])

    def __len__(self):
        return len(self.arrays)

    def __getitem__(self, index):
        from PIL import Image

        return self.transform(Image.fromarray(self.arrays[index]))


def plain_loop(model, loader, steps):
    """Train for some steps as tutorials do; the seconds it took."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    done, start, running = 0, time.perf_counter(), 0.0
    while done < steps:
        for x in loader:
            mu, log_std = model.encoder(x).chunk(2, 1)
            z = mu + log_std.exp() * torch.randn_like(mu)
            rec = model.decoder(z)
            rec_loss = ((rec - x) ** 2).flatten(1).sum(1).mean()
            kl = (0.5 * (mu**2 + (2 * log_std).exp() - 1) - log_std).sum(1).mean()
            loss = rec_loss + kl
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            running += loss.item()
            done += 1
            if done == steps:
                break
    return time.perf_counter() - start


def our_loop(model, train, steps, out):
    """The same steps in the course's loop; the seconds it took."""
    run = Run(model, train, replace(OURS, steps=steps), out=out, evaluation=None, hooks=(), header={}, resume=False, quiet=True)
    model.rng = torch.Generator()
    start = time.perf_counter()
    while run.step < steps:
        run._one_step()
    return time.perf_counter() - start


def matrix_peak(dtype, size=2048, rounds=8):
    """Best measured rate of a square matrix product on this machine, in FLOP/s."""
    a, b = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def flop_per_image(model, shape):
    with FlopCounterMode(display=False) as counter:
        model.step(torch.rand(8, *shape), lambda player, loss: loss.backward())
    model.zero_grad()
    return counter.get_total_flops() / 8


def dataset():
    try:
        return data.load("cifar10", "train"), data.load("cifar10", "test")
    except CourseError:
        print("CIFAR-10 is not here (COURSE_DATA names where to look): the 32x32 emoji stand in, repeated.")
        train, test = data.load("noto-emoji", "train", size=32), data.load("noto-emoji", "test", size=32)
        return train.subset(torch.arange(13 * len(train)) % len(train)), test


def cpu_name():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=30, help="steps a round, each loop (default 30)")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds (default 5)")
    parser.add_argument("--workers", type=int, default=2, help="the plain DataLoader's workers (default 2)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="torch threads (default: torch's own)")
    parser.add_argument("--epoch", action="store_true", help="also train one epoch both ways and compare the losses")
    parser.add_argument("--out", default="build/bench", help="folder for the figures as JSON (default build/bench)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    train, test = dataset()
    torch.manual_seed(0)
    loader = DataLoader(
        Pictures(train.images), BATCH, shuffle=True, drop_last=True, num_workers=args.workers,
        persistent_workers=args.workers > 0,
    )
    build = lambda: methods.build("vae", CONFIG, train.shape, seed=0)  # noqa: E731
    plain_loop(build(), loader, 3), our_loop(build(), train, 3, args.out)  # start workers, warm caches
    ratios, speeds = [], []
    for number in range(args.rounds):
        theirs, ours = plain_loop(build(), loader, args.steps), our_loop(build(), train, args.steps, args.out)
        speeds.append((args.steps * BATCH / theirs, args.steps * BATCH / ours))
        ratios.append(theirs / ours)
        plain, course = speeds[-1]
        print(f"round {number + 1}: plain {plain:.0f} images/s, course {course:.0f} images/s, ratio {ratios[-1]:.2f}")
    peak, flop = matrix_peak(torch.bfloat16), flop_per_image(build(), train.shape)
    ours = statistics.median(s[1] for s in speeds)
    found = {
        "cpu": cpu_name(), "threads": args.threads, "torch": torch.__version__, "dataset": train.name,
        "ratio_median": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios),
        "images_per_second": ours, "gflop_per_image": flop / 1e9,
        "share_of_bf16_matrix_peak": ours * flop / peak, "bf16_matrix_peak_gflops": peak / 1e9,
    }
    if args.epoch:
        steps = len(train) // BATCH
        mine, plain = build(), build()
        our_loop(mine, train, steps, args.out)
        plain_loop(plain, loader, steps)
        losses = [evaluate(model, test)["loss"] for model in (mine, plain)]
        found |= {"loss_course": losses[0], "loss_plain": losses[1], "loss_difference": losses[0] / losses[1] - 1}
    from course_utils.files import write_json

    write_json(f"{args.out}/vae_step.json", found)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
