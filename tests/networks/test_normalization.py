"""Batch norm with two sets of statistics, and what replaces it: against torch's own layers and closed forms."""

import copy

import pytest
import torch
from torch import nn

from course_utils.errors import CourseError
from course_utils.networks import build_autoencoder
from course_utils.networks.normalization import (
    BatchNorm,
    GroupNorm,
    batch_norms,
    estimate_statistics,
    renormalize,
    use_statistics,
)


def pair(name="introspective", widths=(4, 8)):
    torch.manual_seed(0)
    return build_autoencoder(name, (1, 16, 16), 3, 6, widths).encoder


@pytest.mark.parametrize("shape", [(16, 5), (16, 5, 4, 4)])
def test_it_is_torchs_batch_norm_until_statistics_are_estimated(shape):
    ours, theirs = BatchNorm(5), (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(5)
    use_statistics(ours, "running")
    for seed in range(3):
        x = 3 + 2 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.running_mean, theirs.running_mean) and torch.equal(ours.running_var, theirs.running_var)
    assert torch.equal(ours.eval()(x), theirs.eval()(x))
    use_statistics(ours, "estimated")
    torch.testing.assert_close(ours(x), x, rtol=1e-4, atol=1e-4)  # mean 0 and variance 1 until they are estimated
    assert torch.equal(ours.train()(x), theirs.train()(x))  # in train mode the switch says nothing


def test_estimates_are_plain_means_over_the_batches():
    layer, batches = BatchNorm(3), [torch.randn(8, 3, 2, 2) * k + k for k in (1, 2, 3, 4, 5)]
    running = layer.running_mean.clone()
    estimate_statistics(layer.eval(), batches)
    means = torch.stack([b.mean((0, 2, 3)) for b in batches])
    variances = torch.stack([b.var((0, 2, 3)) for b in batches])
    torch.testing.assert_close(layer.estimated_mean, means.mean(0))
    torch.testing.assert_close(layer.estimated_var, variances.mean(0))
    assert torch.equal(layer.running_mean, running) and not layer.training and layer.seen is None
    estimate_statistics(layer, batches[:1])  # starts anew
    torch.testing.assert_close(layer.estimated_mean, means[0])
    x = batches[2]
    want = (x - means[0][:, None, None]) / (variances[0][:, None, None] + layer.eps).sqrt()
    torch.testing.assert_close(layer(x), want)


def test_layers_see_activations_normalized_by_their_batch():
    """One batch estimated: eval mode then gives what train mode gives of it, but for the variance's n / (n - 1)."""
    network = renormalize(pair(), "batch")
    for norm in batch_norms(network):
        nn.init.uniform_(norm.weight, 0.5, 2)
    x = torch.randn(256, 1, 16, 16)
    before = {name: p.clone() for name, p in network.named_parameters()}
    estimate_statistics(network, [x])
    want = copy.deepcopy(network).train()(x)
    torch.testing.assert_close(network.eval()(x), want, rtol=1e-2, atol=2e-3)
    assert all(torch.equal(p, before[name]) for name, p in network.named_parameters())
    assert not network.eval()(x).isnan().any() and not any(p.grad is not None for p in network.parameters())


def test_an_error_on_the_way_leaves_no_layer_collecting():
    network = renormalize(pair(), "batch")
    with pytest.raises(RuntimeError):
        estimate_statistics(network, [torch.randn(4, 1, 16, 16), torch.randn(4, 2, 16, 16)])
    assert all(norm.seen is None for norm in batch_norms(network))


@pytest.mark.parametrize("name", ["introspective", "dcgan64", "vae-gan32"])
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_every_batch_norm_is_replaced_and_starts_as_it_was(name, norm):
    plain = pair(name)
    number = sum("BatchNorm" in type(m).__name__ for m in plain.modules())
    network = renormalize(copy.deepcopy(plain), norm)
    kind = BatchNorm if norm == "batch" else nn.GroupNorm
    made = [m for m in network.modules() if isinstance(m, kind)]
    assert len(made) == number > 0
    assert not any(isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)) for m in network.modules())
    assert len(batch_norms(network)) == (number if norm == "batch" else 0)
    assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p in plain.parameters())
    assert all((m.weight == 1).all() and (m.bias == 0).all() for m in made)
    x = torch.randn(4, 1, 16, 16)
    if norm == "batch":
        assert torch.equal(network(x), plain(x))
    else:
        torch.testing.assert_close(network(x)[:1], network(x[:1]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(6, 16), (6, 16, 5, 4)])
def test_group_norm_is_torchs_in_each_precision(shape, dtype):
    """On a CPU bfloat16 goes through float32, and comes out as torch's own, but for the last bit of a gradient."""
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 2**-7, "atol": 2**-8}
    found = []
    for norm in (GroupNorm(2, 16), nn.GroupNorm(2, 16)):
        draws = torch.Generator().manual_seed(0)
        x, slope = (torch.randn(shape, generator=draws).to(dtype) for _ in range(2))
        layout = torch.channels_last if len(shape) == 4 else torch.contiguous_format
        x = (2 * x + 1).contiguous(memory_format=layout).requires_grad_()
        y = norm(x)
        assert y.dtype == dtype and y.is_contiguous(memory_format=layout)
        y.backward(slope)
        found.append((y, x.grad, norm.weight.grad, norm.bias.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, **tolerance)


def test_group_norm_computes_in_float32_on_a_cpu(monkeypatch):
    seen, theirs = [], nn.functional.group_norm
    monkeypatch.setattr(nn.functional, "group_norm", lambda x, *rest: seen.append(x.dtype) or theirs(x, *rest))
    GroupNorm(2, 16)(torch.zeros(1, 16, 2, 2, dtype=torch.bfloat16))
    assert seen == [torch.float32]


def test_groups_are_of_eight_channels():
    network = nn.Sequential(nn.BatchNorm2d(32), nn.BatchNorm2d(8), nn.BatchNorm2d(12))
    assert [m.num_groups for m in renormalize(network, "group")] == [4, 1, 1]


def test_bad_input():
    with pytest.raises(CourseError, match="norm: got 'layer'"):
        renormalize(pair(), "layer")
    with pytest.raises(CourseError, match="statistics: got 'batch'"):
        use_statistics(pair(), "batch")
