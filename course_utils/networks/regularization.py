"""Layers that make a network's activations random in training, and the places where the introspective networks have them.

A place is put in beside the stages there are, under a name of its own: every weight keeps the name it has without.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from ..errors import reject
from .introspective import IntrospectiveDecoder, IntrospectiveEncoder, ResidualBlock


class Dropout(nn.Dropout):
    """Dropout that rests while `resting` is set, as it does in eval mode."""

    resting = False

    def forward(self, x: Tensor) -> Tensor:
        return x if self.resting else super().forward(x)


class LayerNoise(nn.Module):
    """Multiplicative noise, x + sigma x N(0, 1), a draw for each number, in training only; x of any shape.

    sigma: a number, or, if `learned`, a parameter that starts there, one for the whole layer; its sign means nothing.
    The gradient into x is that of the formula, (1 + sigma N(0, 1)), nothing detached."""

    def __init__(self, sigma: float, learned: bool = False):
        super().__init__()
        self.sigma = nn.Parameter(torch.tensor(float(sigma))) if learned else float(sigma)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.sigma * x * torch.randn_like(x) if self.training else x


def check_places(encoder: nn.Module, decoder: nn.Module, argument: str) -> None:
    """Raise CourseError unless both networks have the places of this module: the introspective pair does."""
    if not isinstance(encoder, IntrospectiveEncoder) or not isinstance(decoder, IntrospectiveDecoder):
        remedy = "Its places are stages of the introspective networks: take network='introspective', or leave it at 0."
        raise reject(argument, type(encoder).__name__, "an introspective encoder and decoder", remedy)


def with_layers(stages: nn.Sequential, after: dict[int, tuple[str, nn.Module]]) -> nn.Sequential:
    """The same stages, with a named layer behind those whose position is given. No stage is renamed."""
    found = OrderedDict()
    for index, (name, stage) in enumerate(stages.named_children()):
        found[name] = stage
        if index in after:
            found.update([after[index]])
    return nn.Sequential(found)


def positions(stages: nn.Sequential, kind: type) -> list[int]:
    return [index for index, stage in enumerate(stages) if isinstance(stage, kind)]


def add_noise(network: IntrospectiveEncoder | IntrospectiveDecoder, sigma: float, learned: bool = False) -> None:
    """Put `LayerNoise` behind every stage, in place.

    Encoder: behind each pool, and behind the last block. Decoder: behind each block, with what doubles it."""
    ends = positions(network.stages, nn.AvgPool2d) + positions(network.stages, ResidualBlock)[-1:]
    if isinstance(network, IntrospectiveDecoder):
        ends = positions(network.stages, ResidualBlock)
    layers = {end: (f"noise_{i}", LayerNoise(sigma, learned)) for i, end in enumerate(ends)}
    network.stages = with_layers(network.stages, layers)


def add_encoder_dropout(encoder: IntrospectiveEncoder, first: float, last: float) -> None:
    """Put dropout behind the first pool (first) and before the last Linear (last), in place; 0 has no layer."""
    layers = {}
    if first:
        layers[positions(encoder.stages, nn.AvgPool2d)[0]] = ("dropout_first", Dropout(first))
    if last:
        layers[len(encoder.stages) - 1] = ("dropout_last", Dropout(last))
    encoder.stages = with_layers(encoder.stages, layers)


def add_decoder_dropout(decoder: IntrospectiveDecoder, first: float, last: float) -> None:
    """Put dropout behind the first Linear and its ReLU (first) and before the last block (last), in place; 0 has no layer.

    The last block doubles its image itself: each number that is dropped there is dropped for four pixels."""
    if first:
        decoder.stem = with_layers(decoder.stem, {len(decoder.stem) - 1: ("dropout_first", Dropout(first))})
    if last:
        before = positions(decoder.stages, ResidualBlock)[-1] - 1
        decoder.stages = with_layers(decoder.stages, {before: ("dropout_last", Dropout(last))})
