"""The residual pair: exact sizes, what its shortcuts through the arithmetic must equal, ranges, spectral norm."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_utils.errors import CourseError
from course_utils.networks import build_gan
from course_utils.networks.residual import (
    ResidualCritic,
    ResidualGenerator,
    double,
    halve,
    normalize_spectrum,
    relu,
)


def count(module):
    return sum(p.numel() for p in module.parameters())


def seeded(seed=0):
    torch.manual_seed(seed)


def test_parameter_counts_of_the_published_pair():
    nets = build_gan("residual", (3, 32, 32), 128, 128)
    assert count(nets.generator) == 1_204_099 and count(nets.critic) == 1_053_825
    assert nets.data_range == (-1.0, 1.0)
    assert not [m for m in nets.critic.modules() if isinstance(m, nn.modules.batchnorm._NormBase)]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 32, 32), (1, 16, 40)])
def test_shapes_and_range(shape, layout):
    seeded()
    nets = build_gan("residual", shape, 5, 4)
    generator, critic = nets.generator.to(memory_format=layout), nets.critic.to(memory_format=layout)
    images = generator(10 * torch.randn(6, 5))
    assert images.shape == (6, *shape) and images.abs().max() <= 1
    assert critic(images.to(memory_format=layout)).shape == (6,)


def published_generator(net, z):
    """The generator once more from its description, with the shortcut in its own order."""
    h = net.stem(z).reshape(-1, *net.start)
    for block in net.blocks:
        up = h.repeat_interleave(2, 2).repeat_interleave(2, 3)
        g = block.conv1(block.norm1(h).clamp_min(0))
        g = block.norm2(g).clamp_min(0).repeat_interleave(2, 2).repeat_interleave(2, 3)
        h = block.conv2(g) + block.shortcut(up)
    norm, _, conv = net.head
    return conv(norm(h).clamp_min(0)).tanh()


def published_critic(net, x):
    for number, block in enumerate(net.blocks):
        h = block.conv1(x.clamp_min(0)).clamp_min(0)
        if number < 2:
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(block.shortcut(x), 2)
        x = x + block.conv2(h)
    return (net.head.weight[0] * x.clamp_min(0).sum((2, 3))).sum(1) + net.head.bias


def test_the_pair_computes_what_its_description_says():
    seeded()
    generator, critic = ResidualGenerator((3, 32, 32), 5, 8).double(), ResidualCritic((3, 32, 32), 8).double()
    z, x = torch.randn(3, 5).double(), torch.randn(3, 3, 32, 32).double()
    torch.testing.assert_close(generator(z), published_generator(generator, z))
    torch.testing.assert_close(critic(x), published_critic(critic, x))


def test_halving_averages_and_doubling_repeats():
    x = torch.randn(2, 3, 8, 12)
    torch.testing.assert_close(halve(x), F.avg_pool2d(x, 2))
    assert torch.equal(double(x), x.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_relu_and_its_first_two_derivatives():
    x = torch.randn(50, dtype=torch.float64, requires_grad=True)
    assert torch.equal(relu(x), F.relu(x))
    assert torch.autograd.gradcheck(relu, x)
    # w enters the slope: its gradient through the slope is a second derivative that is not zero.
    w = torch.randn(50, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x, w: relu(w * relu(x)).square(), (x, w))


def test_nothing_of_a_penalty_goes_back_through_the_forward_pass():
    """A bias shifts a piecewise linear critic and leaves its slope: no gradient at all, rather than a tensor of zeros."""
    seeded()
    critic, x = ResidualCritic((1, 16, 16), 4), torch.randn(2, 1, 16, 16, requires_grad=True)
    slope = torch.autograd.grad(critic(x).sum(), x, create_graph=True)[0]
    slope.square().sum().backward()
    with_gradient = {name for name, p in critic.named_parameters() if p.grad is not None}
    assert with_gradient == {name for name, _ in critic.named_parameters() if name.endswith("weight")}


def test_logits_keep_float32_under_autocast():
    seeded()
    nets = build_gan("residual", (1, 16, 16), 4, 8)
    with torch.autocast("cpu", torch.bfloat16):
        images = nets.generator(torch.randn(4, 4))
        logits = nets.critic(images)
    assert images.dtype == logits.dtype == torch.float32
    torch.testing.assert_close(logits, nets.critic(images), rtol=0.05, atol=0.2)
    assert not torch.equal(logits, nets.critic(images))  # the convolutions did compute in bfloat16


def test_points_stay_in_float32_under_autocast():
    seeded()
    nets = build_gan("mlp", (2,), 2, 16)
    z = torch.randn(8, 2)
    plain = nets.critic(nets.generator(z))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(nets.critic(nets.generator(z)), plain)


# Spectral norm


def matrices(critic):
    return [m.weight.flatten(1) for m in critic.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def test_spectral_norm_makes_the_largest_singular_value_of_every_weight_one():
    seeded()
    critic = ResidualCritic((1, 16, 16), 6)
    with torch.no_grad():
        for p in critic.parameters():
            p.mul_(7)
    normalize_spectrum(critic).train()
    for _ in range(100):  # each pass is one step of the power iteration
        critic(torch.zeros(1, 1, 16, 16))
    critic.eval()
    for matrix in matrices(critic):
        torch.testing.assert_close(torch.linalg.matrix_norm(matrix.detach(), 2), torch.tensor(1.0), rtol=1e-3, atol=0)


def test_spectral_norm_bounds_the_slope_of_a_critic_of_points():
    """1-Lipschitz layers and ReLU: no two points' logits differ by more than their distance."""
    seeded()
    critic = build_gan("mlp", (2,), 2, 32).critic
    with torch.no_grad():
        for p in critic.parameters():
            p.mul_(5)
    x, y = torch.randn(2000, 2), torch.randn(2000, 2)

    @torch.no_grad()
    def steepest():
        return float(((critic(x) - critic(y)).abs() / (x - y).norm(dim=1)).max())

    assert steepest() > 1.5  # the test can fail
    normalize_spectrum(critic).train()
    for _ in range(100):
        critic(x[:1])
    critic.eval()
    assert steepest() <= 1 + 1e-3


def test_names_and_shapes_are_checked():
    with pytest.raises(CourseError, match="network: got 'resnet', allowed: mlp, residual"):
        build_gan("resnet", (1, 32, 32), 4, 8)
    with pytest.raises(CourseError, match="multiples of 8"):
        build_gan("residual", (1, 28, 28), 4, 8)
    with pytest.raises(CourseError, match="data_shape"):
        build_gan("residual", (2,), 4, 8)
    with pytest.raises(CourseError, match="network='residual'"):
        build_gan("mlp", (1, 32, 32), 4, 8)
