"""Speed of a Soft-IntroVAE step: the course's loop against the published step, side by side in one run.

    python benchmarks/bench_soft_intro_vae_step.py [--steps 4] [--rounds 5] [--threads 2] [--agree 200]

Comparisons: 32x32 images in color, widths 64, 128, 256 and batch 32, in float32 with equal results, in the default
precision, and in that with augmentation; points in the plane at batch 512. And what augmentation costs: the course's step
with it against the same step without. The plain step (published_soft_intro_vae.py) is float32,
contiguous, computes every forward pass again, doubles images before it convolves them, and reads each term; its batches
lie in memory. First a step of both in float64, from the same weights and noise, is compared. Rounds alternate, so that
a machine that slows down slows both; the ratio of each round is taken, and the median reported. --agree trains both for
so many steps on fashion-mnist-mini, from several seeds, and compares their terms.
"""

from __future__ import annotations

import copy
import json
import statistics
from dataclasses import replace
from time import perf_counter

import published_soft_intro_vae as published
import torch
from common import machine, matrix_peak, options, our_loop, rounds
from torch.utils.flop_counter import FlopCounterMode

from course_utils import data, methods
from course_utils.data.points import points
from course_utils.files import write_json
from course_utils.training import RunConfig

Config = methods.SoftIntroVAE.Config
AUGMENTED = Config(augment="everywhere")
IMAGES = Config()  # the published configuration of CIFAR-10; speed does not depend on what images show
EQUAL = replace(IMAGES, detach_target=False)  # the published step but for a term that is weighted 1e-8
POINTS = Config(latent_dim=2, network="mlp", beta_rec=0.2, beta_kl=0.3, beta_neg=0.9)
LR = 2e-4


def build(config, shape, seed=0):
    return methods.build("soft-intro-vae", config, shape, seed=seed)


def weights_of(config, shape):
    """The plain step's arguments that say the same as a configuration."""
    scale = 1 / torch.Size(shape).numel()
    return {"scale": scale, "beta_rec": config.beta_rec, "beta_kl": config.beta_kl, "beta_neg": config.beta_neg}


def adams(model):
    return {player: torch.optim.Adam(model.parameters_of(player), LR) for player in model.players}


def plain_networks(model):
    """The encoder and the decoder of a model as published code computes them."""
    return model.encoder, model.decoder if model.data_range is None else published.PlainDecoder(model.decoder)


class Plain:
    """The published step on a model's own weights; batches are drawn from images or points in memory."""

    def __init__(self, config, train, seed=0):
        self.model, self.images = build(config, train.shape, seed).train(), train.images
        self.networks, self.optimizers = plain_networks(self.model), adams(self.model)
        self.weights = weights_of(config, train.shape)
        self.random = torch.Generator().manual_seed(seed)

    def step(self, batch):
        x = self.images[torch.randint(len(self.images), (batch,), generator=self.random)]
        x = x.float() / 255 if x.dtype == torch.uint8 else x
        noise = torch.randn(6, batch, self.model.latent_dim, generator=self.random)
        return published.step(*self.networks, self.optimizers, x, noise, **self.weights)

    def loop(self, steps, batch):
        start = perf_counter()
        for _ in range(steps):
            self.step(batch)
        return perf_counter() - start


def difference(config, shape, batch=8):
    """The largest difference of a weight after one SGD step of either, in float64."""
    ours = build(config, shape).double().train()
    theirs, x = copy.deepcopy(ours), torch.rand(batch, *shape, dtype=torch.float64)
    noise = torch.randn(6, batch, ours.latent_dim, dtype=torch.float64)
    sgd = [{p: torch.optim.SGD(m.parameters_of(p), 0.1) for p in m.players} for m in (ours, theirs)]
    ours.noise = lambda *size: noise[: size[0]]

    def update(player, loss, retain_graph=False):
        loss.backward(inputs=ours.parameters_of(player), retain_graph=retain_graph)
        sgd[0][player].step()
        sgd[0][player].zero_grad()

    ours.step(x, update)
    published.step(*plain_networks(theirs), sgd[1], x, noise, **weights_of(config, shape))
    return max((a - b).abs().max().item() for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


def flop_per_image(config, shape, batch=8):
    """Floating-point operations of a step of either, an image of the batch: (plain, ours)."""
    ours, x = build(config, shape).train(), torch.rand(batch, *shape)
    with FlopCounterMode(display=False) as mine:
        ours.step(x, lambda p, loss, retain_graph=False: loss.backward(inputs=ours.parameters_of(p), retain_graph=retain_graph))
    theirs, noise = build(config, shape).train(), torch.randn(6, batch, ours.latent_dim)
    with FlopCounterMode(display=False) as plain:
        published.step(*plain_networks(theirs), adams(theirs), x, noise, **weights_of(config, shape))
    return plain.get_total_flops() / batch, mine.get_total_flops() / batch


def compare(name, config, train, batch, args, precision):
    """Alternating rounds of one comparison: ratio, speeds, operations, share of this machine's matrix product."""
    steps = args.steps * (1 if len(train.shape) == 3 else 20)
    run = RunConfig(batch_size=batch, lr=LR, precision=precision, accelerator="cpu", checkpoint_every=0)
    plain = Plain(config, train)
    theirs = lambda: plain.loop(steps, batch)  # noqa: E731
    ours = lambda: our_loop(build(config, train.shape), train, run, steps, args.out)  # noqa: E731
    plain.loop(1, batch), our_loop(build(config, train.shape), train, run, 1, args.out)  # warm caches
    found = rounds(args.rounds, steps * batch, theirs, ours, name)
    before, after = flop_per_image(config, train.shape)
    dtype = torch.float32 if precision == "32" else torch.bfloat16
    share = after * found["images_per_second"] / matrix_peak(dtype)
    return found | {
        "precision": precision, "batch": batch, "mflop_per_image_plain": before / 1e6, "mflop_per_image": after / 1e6,
        f"share_of_{str(dtype).removeprefix('torch.')}_matrix_peak": share,
    }  # fmt: skip


def cost_of_augmentation(train, batch, args):
    """Alternating rounds of the course's own step with augmentation and without: "ratio" is the time of the first over
    that of the second."""
    run = RunConfig(batch_size=batch, lr=LR, accelerator="cpu", checkpoint_every=0)

    def loop(config, steps=args.steps):
        return our_loop(build(config, train.shape), train, run, steps, args.out)

    loop(AUGMENTED, 1), loop(IMAGES, 1)  # warm caches
    with_it, without = (lambda: loop(AUGMENTED)), (lambda: loop(IMAGES))
    return rounds(args.rounds, args.steps * batch, with_it, without, "without augmentation, against with")


def agree(steps, seeds, out):
    """Terms of both, means over the last quarter of so many steps on fashion-mnist-mini: mean and spread over seeds."""
    config, batch = Config(latent_dim=32, widths=(16, 32, 64)), 32
    train, found = data.load("fashion-mnist-mini"), {"plain": [], "course": []}
    for seed in range(seeds):
        plain = Plain(config, train, seed)
        rows = [plain.step(batch) for _ in range(steps)][-steps // 4 :]
        found["plain"].append({name: statistics.fmean(row[name] for row in rows) for name in rows[0]})
        kept, model = [], build(config, train.shape, seed)
        play = model.step
        model.step = lambda x, update, play=play, kept=kept: kept.append(play(x, update)) or kept[-1]
        our_loop(model, train, RunConfig(batch_size=batch, lr=LR, seed=seed, checkpoint_every=0), steps, out)
        rows = kept[-steps // 4 :]
        found["course"].append({name: torch.stack([row[name] for row in rows]).mean().item() for name in rows[0]})
    table = {}
    for name in found["plain"][0]:
        sides = {side: [run[name] for run in found[side]] for side in found}
        means = {side: statistics.fmean(values) for side, values in sides.items()}
        spread = {side: statistics.stdev(values) for side, values in sides.items()}
        apart = abs(means["plain"] - means["course"])
        table[name] = {"mean": means, "spread": spread, "agree": apart <= spread["plain"] + spread["course"]}
    return table


def main():
    parser = options(__doc__, steps=4)
    parser.add_argument("--agree", type=int, default=0, metavar="STEPS", help="train both for so many steps, and compare")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of --agree (default 3)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    pixels = torch.randint(0, 256, (5000, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images, plane = data.ImageSet(pixels, None, "random", "train"), points("8-gaussians")
    apart = {"images": difference(EQUAL, images.shape), "points": difference(replace(POINTS, detach_target=False), (2,))}
    if max(apart.values()) > 1e-7:
        raise SystemExit(f"the two steps are not the same: after one, weights differ by {apart}")
    found = machine(args.threads) | {"difference_after_a_step": apart}
    if args.agree:
        found["agree"] = agree(args.agree, args.seeds, args.out)
    else:
        found["images_equal"] = compare("images, float32", EQUAL, images, 32, args, "32")
        found["images"] = compare("images, default", IMAGES, images, 32, args, "auto")
        found["images_augmented"] = compare("images, default, augmented", AUGMENTED, images, 32, args, "auto")
        found["augmentation"] = cost_of_augmentation(images, 32, args)
        found["points"] = compare("points, default", POINTS, plane, 512, args, "auto")
    write_json(f"{args.out}/soft_intro_vae_{'agree' if args.agree else 'step'}.json", found)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
