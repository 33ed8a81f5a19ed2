"""Speed of a VAE step on the CIFAR-10 assignment's net: the course's loop against a plain one, side by side in one run.

    python benchmarks/bench_vae_step.py [--steps 30] [--rounds 5] [--epoch] [--threads 2]

The plain loop is what tutorials write: float32, contiguous images, torchvision transforms in a DataLoader, a loss
fetched with .item() every step. Both train the same net with the same loss from the same weights. Rounds alternate, so
that a machine that slows down slows both; the ratio of each round is taken, and the median reported. --epoch trains one
whole epoch both ways and compares the held-out losses. Where CIFAR-10 is not there, 32x32 emoji stand in, and it says so.
"""

from __future__ import annotations

import json
import time

import torch
from common import machine, matrix_peak, options, our_loop, plain_loader, rounds
from torch.utils.flop_counter import FlopCounterMode

from course_utils import data, methods
from course_utils.errors import CourseError
from course_utils.files import write_json
from course_utils.training import RunConfig, evaluate

BATCH = 256
CONFIG = methods.VAE.Config(latent_dim=1024, network="cifar-assignment")
OURS = RunConfig(batch_size=BATCH, lr=1e-3, grad_clip=1.0, checkpoint_every=0, log_every=50)


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


def main():
    parser = options(__doc__, steps=30)
    parser.add_argument("--epoch", action="store_true", help="also train one epoch both ways and compare the losses")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    train, test = dataset()
    torch.manual_seed(0)
    loader = plain_loader(train.images, BATCH, args.workers)
    build = lambda: methods.build("vae", CONFIG, train.shape, seed=0)  # noqa: E731
    plain = lambda steps: plain_loop(build(), loader, steps)  # noqa: E731
    course = lambda steps: our_loop(build(), train, OURS, steps, args.out)  # noqa: E731
    plain(3), course(3)  # start workers, warm caches
    found = machine(args.threads) | {"dataset": train.name}
    found |= rounds(args.rounds, args.steps * BATCH, lambda: plain(args.steps), lambda: course(args.steps), "VAE")
    peak, flop = matrix_peak(torch.bfloat16), flop_per_image(build(), train.shape)
    share = found["images_per_second"] * flop / peak
    found |= {"gflop_per_image": flop / 1e9, "share_of_bf16_matrix_peak": share, "bf16_matrix_peak_gflops": peak / 1e9}
    if args.epoch:
        steps = len(train) // BATCH
        mine, plain = build(), build()
        our_loop(mine, train, OURS, steps, args.out)
        plain_loop(plain, loader, steps)
        losses = [evaluate(model, test)["loss"] for model in (mine, plain)]
        found |= {"loss_course": losses[0], "loss_plain": losses[1], "loss_difference": losses[0] / losses[1] - 1}
    write_json(f"{args.out}/vae_step.json", found)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
