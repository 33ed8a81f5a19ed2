"""What the benchmarks share: the plain DataLoader's images, the course's loop for some steps, alternating rounds."""

from __future__ import annotations

import argparse
import math
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch.nn.functional import conv2d
from torch.utils.data import DataLoader, Dataset

from course_utils.training import RunConfig
from course_utils.training.loop import Run


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


def plain_loader(images, batch: int, workers: int) -> DataLoader:
    """The DataLoader of a plain loop over uint8 images (N, C, H, W): batches in [-1, 1]."""
    return DataLoader(
        Pictures(images), batch, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0
    )


def our_loop(model, train, config: RunConfig, steps: int, out: str) -> float:
    """Some steps in the course's loop; the seconds they took."""
    run = Run(model, train, replace(config, steps=steps), out=out, evaluation=None, hooks=(), header={}, resume=False, quiet=True)
    model.rng = torch.Generator(model.device)
    model.train()
    start = time.perf_counter()
    while run.step < steps:
        terms = run._one_step()
    next(iter(terms.values())).item()  # waits for the device
    return time.perf_counter() - start


def rounds(number: int, images: int, plain: Callable[[], float], course: Callable[[], float], name: str = "") -> dict:
    """Alternating rounds of two loops that see this many images each and return seconds: speeds, and the ratio's median."""
    ratios, speeds = [], []
    for done in range(number):
        theirs, ours = plain(), course()
        ratios.append(theirs / ours)
        speeds.append((images / theirs, images / ours))
        plain_speed, course_speed = speeds[-1]
        print(f"{name} round {done + 1}: plain {plain_speed:.1f} images/s, course {course_speed:.1f}, ratio {ratios[-1]:.2f}")
    return {
        "ratio_median": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios),
        "images_per_second_plain": statistics.median(s[0] for s in speeds),
        "images_per_second": statistics.median(s[1] for s in speeds),
    }  # fmt: skip


def options(about: str, steps: int) -> argparse.ArgumentParser:
    """The options that every benchmark has. steps: the default of a round, in each loop."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=steps, help=f"steps a round, each loop (default {steps})")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds (default 5)")
    parser.add_argument("--workers", type=int, default=2, help="the plain DataLoader's workers (default 2)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="torch threads (default: torch's own)")
    parser.add_argument("--out", default="build/bench", help="folder for the figures as JSON (default build/bench)")
    return parser


def machine(threads: int) -> dict:
    """What a measurement was made on."""
    return {"cpu": cpu_name(), "threads": threads, "torch": torch.__version__}


def cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def matrix_peak(dtype, size=2048, rounds=8) -> float:
    """Best measured rate of a matrix product on this machine, in FLOP/s: as a product, and as a convolution of 1x1.

    The two are computed by different libraries. On an AMD CPU the first, in float32, is less than half as fast, and a
    network of convolutions would exceed it."""
    a, b = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    side = math.isqrt(size // 32)
    pixels = torch.randn(32, size, side, side).to(dtype).contiguous(memory_format=torch.channels_last)
    kernel = torch.randn(size, size, 1, 1).to(dtype).contiguous(memory_format=torch.channels_last)
    ways = ((2 * size**3, lambda: a @ b), (2 * 32 * side**2 * size**2, lambda: conv2d(pixels, kernel)))
    return max(flop / fastest(product, rounds) for flop, product in ways)


def fastest(call: Callable, rounds: int) -> float:
    """Seconds of the fastest of so many calls."""
    best = float("inf")
    with torch.no_grad():
        for _ in range(rounds):
            start = time.perf_counter()
            call()
            best = min(best, time.perf_counter() - start)
    return best
