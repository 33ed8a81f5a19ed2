"""Speed of a VAE-GAN step at 64x64, batch 64: the course's loop against a plain one, side by side in one run.

    python benchmarks/bench_vae_gan_step.py [--steps 4] [--rounds 5] [--threads 2] [--detach]

The plain loop is what published code does: float32, contiguous images, torchvision transforms in a DataLoader, and in a
step 10 forward passes of the discriminator, 2 of the encoder, 3 of the decoder, with gradients into all weights from each
loss. The discriminator's step does not detach its images there; --detach makes the plain loop do so. Both train the same
networks with the same losses from the same weights; the course's step is one pass of each network, in which BatchNorm
sees together what the plain loop shows it apart. Rounds alternate, so that a machine that slows down slows both; the ratio
of each round is taken, and the median reported. Images are the course's emoji; operations of a step are counted too.
"""

from __future__ import annotations

import json
from itertools import chain, repeat
from time import perf_counter

import torch
from common import machine, matrix_peak, options, our_loop, plain_loader, rounds
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from course_utils import data, methods
from course_utils.files import write_json
from course_utils.training import RunConfig

BATCH = 64
CONFIG = methods.VAEGAN.Config(latent_dim=128, network="vae-gan64", gan_loss="minimax")
OURS = RunConfig(batch_size=BATCH, lr=3e-4, optimizer="rmsprop", checkpoint_every=0, log_every=50)


def plain_step(model, optimizers, x, detach=False):
    """One step as published code writes it. x: (B, C, H, W) in [-1, 1]. Returns the three losses as numbers."""
    enc, dec, dis, bce = model.encoder, model.decoder, model.discriminator, F.binary_cross_entropy_with_logits
    ones, zeros = torch.ones(len(x), device=x.device), torch.zeros(len(x), device=x.device)

    def reconstruction():
        mean, logvar = enc(x).chunk(2, 1)
        return mean, logvar, dec(mean + (0.5 * logvar).exp() * torch.randn_like(mean))

    def gan(rec, fake):
        return bce(dis(x)[1], ones) + bce(dis(rec)[1], zeros) + bce(dis(fake)[1], zeros)

    def feature_error(rec):
        f_rec, f_real = dis(rec)[0], dis(x)[0]
        return 0.5 * (f_rec - f_real).square().flatten(1).sum(1).mean()

    def apply(player, loss):
        optimizers[player].zero_grad()
        loss.backward(retain_graph=True)
        optimizers[player].step()
        return loss.item()

    mean, logvar, rec = reconstruction()
    fake = dec(torch.randn_like(mean))
    losses = [apply("discriminator", gan(rec.detach(), fake.detach()) if detach else gan(rec, fake))]
    losses.append(apply("decoder", model.config.gamma * feature_error(rec) - gan(rec, fake)))
    mean, logvar, rec = reconstruction()
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum(1).mean()
    return [*losses, apply("encoder", kl + feature_error(rec))]


def rmsprops(model):
    return {player: torch.optim.RMSprop(model.parameters_of(player), 3e-4) for player in model.players}


def plain_loop(model, loader, steps, device, detach):
    """Train for some steps as published code does; the seconds it took."""
    model.to(device).train()
    optimizers, start = rmsprops(model), perf_counter()
    for _, x in zip(range(steps), chain.from_iterable(repeat(loader)), strict=False):
        plain_step(model, optimizers, x.to(device), detach)
    return perf_counter() - start  # each loss was fetched: nothing is still under way


def passes_and_flop(step, model):
    """Forward passes of each network in one step, in images, and its floating-point operations; both an image of the batch."""
    seen = dict.fromkeys(model.players, 0)

    def count(player):
        return lambda module, args: seen.__setitem__(player, seen[player] + len(args[0]))

    handles = [getattr(model, player).register_forward_pre_hook(count(player)) for player in model.players]
    with FlopCounterMode(display=False) as counter:
        step()
    for handle in handles:
        handle.remove()
    return {player: images / 8 for player, images in seen.items()}, counter.get_total_flops() / 8


def count_work(build, shape, detach):
    """What one step of either loop computes, counted on 8 images in float32 on the CPU."""
    theirs, ours, x = build(), build(), torch.rand(8, *shape)
    optimizers = rmsprops(ours)

    def update(player, loss, retain_graph=False):
        loss.backward(inputs=ours.parameters_of(player), retain_graph=retain_graph)
        optimizers[player].step()

    plain = passes_and_flop(lambda: plain_step(theirs, rmsprops(theirs), 2 * x - 1, detach), theirs)
    course = passes_and_flop(lambda: ours.step(x, update), ours)
    return plain, course


def main():
    parser = options(__doc__, steps=4)
    parser.add_argument("--detach", action="store_true", help="the plain loop detaches in the discriminator's step")
    parser.add_argument("--count", action="store_true", help="count the operations of a step and stop")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    train = data.load("noto-emoji", "train", size=64)
    build = lambda: methods.build("vae-gan", CONFIG, train.shape, seed=0)  # noqa: E731
    plain, course = count_work(build, train.shape, args.detach)
    found = {
        "detach": args.detach, "plain_passes": plain[0], "course_passes": course[0],
        "plain_gflop_per_image": plain[1] / 1e9, "course_gflop_per_image": course[1] / 1e9, "flop_ratio": plain[1] / course[1],
    }  # fmt: skip
    if not args.count:
        found |= measure(args, train, build)
    write_json(f"{args.out}/vae_gan_step{'_detach' if args.detach else ''}.json", found)
    print(json.dumps(found, indent=2))


def measure(args, train, build):
    """The alternating rounds: images a second of either loop, and their ratio."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loader = plain_loader(train.images, BATCH, args.workers)
    plain = lambda steps: plain_loop(build(), loader, steps, device, args.detach)  # noqa: E731
    course = lambda steps: our_loop(build(), train, OURS, steps, args.out)  # noqa: E731
    plain(1), course(1)  # start workers, warm caches
    found = machine(args.threads) | {"device": device, "dataset": train.name}
    found |= rounds(args.rounds, args.steps * BATCH, lambda: plain(args.steps), lambda: course(args.steps), "VAE-GAN")
    return found | ({} if device == "cuda" else {"bf16_matrix_peak_gflops": matrix_peak(torch.bfloat16) / 1e9})


if __name__ == "__main__":
    main()
