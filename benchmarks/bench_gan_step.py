"""Speed of a GAN's iteration on the residual 32x32 pair: the course's loop against a plain one, side by side in one run.

    python benchmarks/bench_gan_step.py [--steps 4] [--rounds 5] [--threads 2] [--our-layers]

An iteration is five critic steps on 64 images each and one generator step, for WGAN-GP and for LSGAN. The plain loop is
what tutorials write: float32, contiguous images, torchvision transforms in a DataLoader, fakes that are not detached in
the critic's step (their gradient goes through the generator and is thrown away), nn.ReLU and nn.AvgPool2d, .item() every
step. --our-layers gives it the course's critic as well. Both play the same game from the same weights: the losses are
compared first. Rounds alternate, so that a machine that slows down slows both; the ratio of each round is taken, and the
median reported. The images are random: speed does not depend on what they show.
"""

from __future__ import annotations

import json
import time

import torch
from common import machine, matrix_peak, options, our_loop, plain_loader, rounds
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from course_utils import methods
from course_utils.data import ImageSet
from course_utils.files import write_json
from course_utils.methods.gan_losses import LOSSES
from course_utils.training import RunConfig

SHAPE, CRITIC_STEPS, BETAS = (3, 32, 32), 5, (0.0, 0.9)


def build(loss, args):
    config = methods.GAN.Config(loss=loss, width=args.width, n_critic=CRITIC_STEPS)
    return methods.build("gan", config, SHAPE, seed=0)


class PlainCritic(nn.Module):
    """The same critic out of plain layers, on the same weights."""

    def __init__(self, critic):
        super().__init__()
        self.critic, self.pool = critic, nn.AvgPool2d(2)

    def forward(self, x):
        for number, block in enumerate(self.critic.blocks):
            h = F.relu(block.conv1(F.relu(x)))
            if number < 2:
                h, x = self.pool(h), block.shortcut(self.pool(x))
            x = x + block.conv2(h)
        return self.critic.head(F.relu(x).sum((2, 3))).flatten()


class Plain:
    """A game as tutorials write it; `iteration` takes an iterator of images and returns the losses."""

    def __init__(self, model, args, random=None):
        self.generator, self.loss, self.random = model.generator, model.config.loss, random
        self.critic = model.critic if args.our_layers else PlainCritic(model.critic)
        self.adams = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=BETAS) for net in (self.critic, self.generator)]
        model.train()

    def fakes(self, n):
        return self.generator(torch.randn(n, 128, generator=self.random))

    def penalty(self, x, fake):
        eps = torch.rand(len(x), 1, 1, 1, generator=self.random)
        mixed = (eps * x + (1 - eps) * fake.data).requires_grad_()
        slope = torch.autograd.grad(self.critic(mixed).sum(), mixed, create_graph=True)[0]
        return 10 * ((slope.flatten(1).norm(2, dim=1) - 1) ** 2).mean()

    def descend(self, adam, loss):
        adam.zero_grad()
        loss.backward()
        adam.step()
        return loss.item()

    def iteration(self, batches):
        losses = []
        for _ in range(CRITIC_STEPS):
            x = next(batches)
            fake = self.fakes(len(x))
            loss = LOSSES[self.loss].critic(self.critic(x), self.critic(fake))
            if self.loss == "wgan-gp":
                loss = loss + self.penalty(x, fake)
            losses.append(self.descend(self.adams[0], loss))
        losses.append(self.descend(self.adams[1], LOSSES[self.loss].generator(self.critic(self.fakes(len(x))))))
        return losses


def forever(loader):
    while True:
        yield from loader


def plain_loop(loss, loader, args, steps):
    """Some iterations as tutorials do them; the seconds they took."""
    game, batches = Plain(build(loss, args), args), forever(loader)
    next(batches)  # the workers are up
    start = time.perf_counter()
    for _ in range(steps):
        game.iteration(batches)
    return time.perf_counter() - start


def loss_difference(loss, args, iterations=2, batch=4):
    """Largest relative difference of the two loops' losses, on the same images, weights and noise.

    In float64: in float32 Adam's first steps divide rounding errors by their own size."""
    torch.set_default_dtype(torch.float64)
    theirs, ours = build(loss, args), build(loss, args)
    x = torch.rand(iterations, CRITIC_STEPS * batch, *SHAPE, generator=torch.Generator().manual_seed(1))
    game = Plain(theirs, args, torch.Generator().manual_seed(2))
    want = [value for chunk in x for value in game.iteration(iter((2 * chunk - 1).split(batch)))]
    adams = {p: torch.optim.Adam(ours.parameters_of(p), lr=2e-4, betas=BETAS) for p in ours.players}
    got, ours.rng = [], torch.Generator().manual_seed(2)

    def update(player, value):
        value.backward(inputs=ours.parameters_of(player))
        adams[player].step()
        adams[player].zero_grad()
        got.append(float(value.detach()))

    for chunk in x:
        ours.step(chunk, update)
    torch.set_default_dtype(torch.float32)
    return max(abs(g - w) / abs(w) for g, w in zip(got, want, strict=True))


class Flops(TorchDispatchMode):
    """Counts multiplications and additions; unlike FlopCounterMode it stands a gradient taken inside of a step."""

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            self.total += flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=out)
        return out


def flops_per_iteration(loss, args):
    """(plain, ours) for a whole iteration at this batch, counted on batches of 2."""
    ours, x = build(loss, args), torch.rand(CRITIC_STEPS * 2, *SHAPE)
    with Flops() as mine:
        ours.step(x, lambda player, value: value.backward(inputs=ours.parameters_of(player)))
    game = Plain(build(loss, args), args)
    with Flops() as plain:
        game.iteration(iter(x.split(2)))
    return plain.total * args.batch / 2, mine.total * args.batch / 2


def measure(loss, train, loader, args):
    difference = loss_difference(loss, args)
    if difference > 1e-6:
        raise SystemExit(f"{loss}: the two loops do not play the same game, their losses differ by {difference:.1g}")
    config = RunConfig(batch_size=args.batch, lr=2e-4, betas=BETAS, accelerator="cpu", checkpoint_every=0, log_every=50)
    plain = lambda steps: plain_loop(loss, loader, args, steps)  # noqa: E731
    course = lambda steps: our_loop(build(loss, args), train, config, steps, args.out)  # noqa: E731
    plain(1), course(1)  # warm caches
    images = args.steps * CRITIC_STEPS * args.batch
    found = rounds(args.rounds, images, lambda: plain(args.steps), lambda: course(args.steps), loss)
    theirs, ours = flops_per_iteration(loss, args)
    rate = ours * found["images_per_second"] / (CRITIC_STEPS * args.batch)
    return found | {
        "loss_difference": difference, "gflop_plain": theirs / 1e9, "gflop_course": ours / 1e9,
        "share_of_bf16_matrix_peak": rate / matrix_peak(torch.bfloat16),
    }  # fmt: skip


def main():
    parser = options(__doc__, steps=4)
    parser.add_argument("--batch", type=int, default=64, help="images a critic step (default 64)")
    parser.add_argument("--width", type=int, default=128, help="channels (default 128, the published pair)")
    parser.add_argument("--our-layers", action="store_true", help="the plain loop uses the course's critic, too")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    pixels = torch.randint(0, 256, (5000, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    train = ImageSet(pixels, None, "random", "train")
    loader = plain_loader(pixels, args.batch, args.workers)
    found = machine(args.threads) | {"batch": args.batch, "width": args.width}
    found |= {loss: measure(loss, train, loader, args) for loss in ("wgan-gp", "lsgan")}
    write_json(f"{args.out}/gan_step.json", found)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
