"""What the tests of the introspective methods share: small models, fixed noise, and who was asked to move."""

from __future__ import annotations

import torch
from toys import gradients

from course_utils import methods
from course_utils.training.loop import Updater
from course_utils.training.parts import make_fabric

DOUBLE = torch.float64
# Networks: (shape of the data, configuration). Batch norm, which mixes images, and two kinds that do not. The decoders of
# images double a grid of 4 and one of 8, which are two ways to compute it.
NETWORKS = {
    "batch": ((3, 16, 16), {"widths": (8, 16), "latent_dim": 3}),
    "group": ((3, 16, 16), {"widths": (8, 16), "latent_dim": 3, "norm": "group"}),
    "points": ((2,), {"network": "mlp", "widths": (16, 16), "latent_dim": 2}),
}
PLAYERS = ("encoder", "decoder")


def draw(*shape, seed=0, dtype=DOUBLE):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def build(method, network="batch", dtype=DOUBLE, seed=0, **config):
    shape, own = NETWORKS[network]
    return methods.build(method, methods.METHODS[method].Config(**{**own, **config}), shape, seed=seed).to(dtype).train()


def data(model, n=6, seed=5):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, *model.data_shape, generator=generator, dtype=next(model.parameters()).dtype)


def fixed_noise(model, n=6, seed=7):
    """Give the model the same draws each step, and return them: six of (B, Z)."""
    drawn = draw(6, n, model.latent_dim, seed=seed, dtype=next(model.parameters()).dtype)
    model.noise = lambda *shape: drawn[0] if len(shape) == 2 else drawn[: shape[0]]
    return drawn


def sgd(encoder, decoder, lr):
    return {"encoder": torch.optim.SGD(encoder.parameters(), lr), "decoder": torch.optim.SGD(decoder.parameters(), lr)}


def loops_updater(model, lr, run):
    """`update` as the loop makes it, with plain SGD."""
    return Updater(make_fabric(run)[0], model, sgd(model.encoder, model.decoder, lr), 0.0)


def kl_of_fakes_after(model, player, rate):
    """The mean KL of reconstructions and samples before and after a small step of one player alone down its loss."""
    fixed_noise(model)
    x = data(model)
    slopes, _, terms = gradients(model, x)
    with torch.no_grad():
        for parameter, slope in zip(model.parameters_of(player), slopes[player], strict=True):
            parameter.sub_(slope, alpha=rate)
    after = gradients(model, x)[2]
    return tuple((found["kl_rec"] + found["kl_fake"]).item() / 2 for found in (terms, after))
