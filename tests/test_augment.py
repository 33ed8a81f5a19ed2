"""Augmentation: what each operation does, when it does nothing, its gradient, its seed, adaptive p, bad input."""

import copy
import math
import sys

import pytest
import torch
from torch import nn
from toys import NoReading

from course_utils.augment import MAX_ADAPTIVE_P, OPERATIONS, Augmentation, random_saturation, real_fake_gap
from course_utils.errors import CourseError

EVERYTHING = "+".join(OPERATIONS)
each_operation = pytest.mark.parametrize("operation", OPERATIONS)


def pictures(n=6, channels=3, side=16, seed=0, dtype=torch.float32):
    """Every pixel well away from 0, which erased and moved ones are."""
    generator = torch.Generator().manual_seed(seed)
    return 0.2 + 0.6 * torch.rand(n, channels, side, side, generator=generator, dtype=dtype)


def seeded(augmentation, x, seed=0):
    torch.manual_seed(seed)
    return augmentation(x)


def changed(x, y):
    """(B,) bool: which images are not bit for bit the same."""
    return (x != y).flatten(1).any(1)


# When it does nothing


@pytest.mark.parametrize("policy", [*OPERATIONS, "translate+erase", EVERYTHING])
def test_at_p_0_it_is_the_identity(policy):
    x = pictures()
    assert torch.equal(Augmentation(policy, 0.0)(x), x)
    assert changed(x, Augmentation(policy, 1.0)(x)).any()


@each_operation
def test_it_is_off_in_eval_mode_though_kornias_modules_are_not(operation):
    augmentation, x = Augmentation(operation, 1.0), pictures(32)
    assert changed(x, augmentation(x)).any()
    parent = nn.Sequential(augmentation).eval()
    state = torch.get_rng_state()
    assert torch.equal(parent(x), x) and torch.equal(torch.get_rng_state(), state)  # nor does it draw
    assert changed(x, parent.train()(x)).any()
    inner = [function for functions in augmentation.operations for function in functions if isinstance(function, nn.Module)]
    assert inner and all(changed(x, module.eval()(x)).any() for module in inner)  # which is why it looks itself


# What the operations do, and to which images


@each_operation
@pytest.mark.parametrize(("channels", "dtype"), [(3, torch.float64), (1, torch.float32)])
def test_shape_type_and_layout_stay(operation, channels, dtype):
    x = pictures(channels=channels, dtype=dtype)
    for layout in (torch.channels_last, torch.contiguous_format):
        y = Augmentation(operation, 1.0)(x.contiguous(memory_format=layout))
        assert y.shape == x.shape and y.dtype == dtype and y.is_contiguous(memory_format=layout)


def test_each_operation_is_drawn_for_each_image_by_itself():
    x = pictures(1, side=8).expand(4000, -1, -1, -1)
    for p in (0.2, 0.5):
        one = changed(x, seeded(Augmentation("translate", p), x)).float().mean().item()
        both = changed(x, seeded(Augmentation("translate+erase", p), x)).float().mean().item()
        assert one == pytest.approx(p, abs=0.03) and both == pytest.approx(1 - (1 - p) ** 2, abs=0.03)


@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - {"flip"}))
def test_images_of_a_batch_are_augmented_differently(operation):
    y = Augmentation(operation, 1.0)(pictures(1).expand(8, -1, -1, -1))
    differences = (y[:, None] - y[None]).flatten(2).abs().amax(2) + torch.eye(8)
    assert differences.min() > 0 or (operation == "cutout" and differences.gt(0).float().mean() > 0.8)  # few places


@pytest.mark.parametrize("policy", [*OPERATIONS, EVERYTHING])
def test_no_image_sees_another(policy):
    augmentation, x = Augmentation(policy, 0.7), pictures()
    other = torch.cat([x[:3], pictures(3, seed=9)])
    assert torch.equal(seeded(augmentation, x)[:3], seeded(augmentation, other)[:3])


def test_translate_moves_by_up_to_an_eighth_in_both_directions():
    x = torch.zeros(400, 1, 32, 32)
    x[:, :, 15:17, 15:17] = 1.0
    y, where = Augmentation("translate", 1.0)(x), torch.arange(32.0)
    for dim in (1, 2):
        moved = (y[:, 0].sum(3 - dim) * where).sum(1) / 4 - 15.5  # the center of mass
        assert moved.abs().max() <= 4.001 and moved.min() < -3.5 and moved.max() > 3.5
    torch.testing.assert_close(y.sum((1, 2, 3)), torch.full((400,), 4.0))  # nothing turned, scaled or lost


@pytest.mark.parametrize(("erase", "low", "high"), [((0.0, 0.5), 0.0, 0.5), ((0.2, 0.3), 0.2, 0.3), ((0.4, 0.4), 0.4, 0.4)])
def test_erase_takes_a_rectangle_of_the_share_asked_for_and_leaves_the_rest(erase, low, high):
    x = pictures(300, side=32)
    y = Augmentation("erase", 1.0, erase=erase)(x)
    gone = (y == 0).all(1)
    assert torch.equal(y[~gone[:, None].expand_as(y)], x[~gone[:, None].expand_as(x)])
    area = gone.flatten(1).float().mean(1)
    rectangle = gone.any(1).sum(1) * gone.any(2).sum(1) / 32**2
    torch.testing.assert_close(area, rectangle)
    shortest = min(1, math.sqrt(3.3 * low)) * math.sqrt(low / 3.3)  # 3.3 to 1, and cut where it is longer than the image
    assert shortest - 0.03 <= area.min() and area.max() <= high + 0.03
    assert area.max() - area.min() > 0.7 * (high - low) and len(rectangle.unique()) > 5


def test_cutout_flip_and_color():
    x = pictures(50)
    assert ((Augmentation("cutout", 1.0)(x) == 0).flatten(1).float().mean(1) == 0.25).all()
    assert torch.equal(Augmentation("flip", 1.0)(x), x.flip(3))
    gray = torch.full((1, 1, 4, 4), 0.5).expand(50, 3, -1, -1)
    y = Augmentation("color", 1.0)(gray)
    assert y.flatten(1).std(1).max() < 1e-6 and y[:, 0, 0, 0].std() > 0.05  # gray stays gray, lighter or darker
    strength = (random_saturation(x[:1].expand(50, -1, -1, -1)) - x[0]).flatten(1).norm(dim=1)
    assert len(strength.unique()) > 40  # a draw for each image
    assert Augmentation("color", 1.0)(3 * x).max() > 1.5 and Augmentation("color", 1.0)(x - 1).min() < 0  # not clipped


def test_a_policy_acts_in_its_order():
    x = pictures(64)
    erased_last = (seeded(Augmentation("color+erase", 1.0), x) == 0).all(1).flatten(1).any(1)
    erased_first = (seeded(Augmentation("erase+color", 1.0), x) == 0).all(1).flatten(1).any(1)
    assert erased_last.all() and not erased_first.any()  # what is brightened after it is 0 no more


def test_low_precision_moves_nothing_elsewhere():
    """A shift computed in bfloat16 is off by a part of a pixel and more."""
    augmentation, x = Augmentation("translate+affine", 1.0), pictures()
    want = seeded(augmentation, x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(seeded(augmentation, x), want)


# Gradients, seeds, state


@pytest.mark.parametrize("policy", [*OPERATIONS, EVERYTHING])
def test_the_gradient_is_that_of_finite_differences(policy):
    augmentation, x = Augmentation(policy, 0.7), pictures(2, side=5, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: seeded(augmentation, x, 3), x, atol=1e-7, rtol=1e-6)


def test_a_generator_learns_through_an_augmented_critic():
    generator, critic = nn.Conv2d(2, 3, 1), nn.Sequential(Augmentation("translate+erase", 1.0), nn.Conv2d(3, 1, 3))
    critic(generator(torch.randn(4, 2, 8, 8))).mean().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in generator.parameters())


@pytest.mark.parametrize("policy", [*OPERATIONS, EVERYTHING])
def test_a_seed_decides_it(policy):
    x = pictures(32)
    augmentation = Augmentation(policy, 0.5)
    want = seeded(augmentation, x, 1)
    augmentation(x)
    assert torch.equal(seeded(augmentation, x, 1), want)
    assert torch.equal(seeded(Augmentation(policy, 0.5), x, 1), want)  # another instance, as after a resume
    assert not torch.equal(seeded(augmentation, x, 2), want)


def test_its_state_is_p_alone_and_it_can_be_copied_after_use():
    augmentation, x = Augmentation(EVERYTHING, 0.3), pictures()
    augmentation(x)
    assert augmentation.state_dict().keys() == {"p"} and not list(augmentation.parameters())
    augmentation.compile()  # as the loop does to each part of a model that is compiled
    twin = copy.deepcopy(augmentation)
    assert torch.equal(seeded(twin, x), seeded(augmentation, x)) and "p=0.3" in repr(twin)
    none = Augmentation(EVERYTHING, 0.0)
    none.load_state_dict(augmentation.state_dict())
    assert torch.equal(seeded(none, x), seeded(augmentation, x))  # p is where it had been


@each_operation
def test_it_never_waits_for_the_device(operation):
    augmentation, x = Augmentation(operation, 0.5, target=0.5), pictures()
    augmentation(x)  # kornia's own are made at the first call
    with NoReading():
        augmentation(x)
        augmentation.adapt(torch.tensor(0.7), 6)


# Adaptive p


def test_the_gap_by_hand():
    assert real_fake_gap(torch.tensor([1.0, 3.0]), torch.tensor([4.0, 5.0, 9.0])).item() == pytest.approx((6 - 2) / (6 + 2))
    assert real_fake_gap(torch.ones(3), torch.ones(6)) == 0 and real_fake_gap(torch.zeros(3), torch.ones(6)) == 1
    assert real_fake_gap(torch.ones(3), torch.zeros(6)) == -1 and real_fake_gap(torch.zeros(3), torch.zeros(6)) == 0


def test_p_rises_above_the_target_falls_below_it_and_has_ends():
    augmentation = Augmentation(p=0.5, target=0.4, images=1000)
    for gap, want in ((0.9, 0.51), (0.41, 0.52), (0.4, 0.52), (0.39, 0.51), (-1.0, 0.50)):
        augmentation.adapt(torch.tensor(gap), 10)
        assert augmentation.p.item() == pytest.approx(want)
    for gap, want in ((1.0, MAX_ADAPTIVE_P), (-1.0, 0.0)):
        for _ in range(100):
            augmentation.adapt(torch.tensor(gap), 10)
        assert augmentation.p.item() == pytest.approx(want)
    x = pictures()
    assert torch.equal(augmentation(x), x)  # p is what it does, not only what it says


def test_processes_agree_on_p(monkeypatch):
    """Two processes of which one sees a gap and the other does not: both move as their mean says, by both batches."""
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 2)
    monkeypatch.setattr("torch.distributed.all_reduce", lambda value: value.add_(-0.5))  # the other's
    augmentation, gap = Augmentation(p=0.5, target=0.4, images=1000), torch.tensor(0.9)
    augmentation.adapt(gap, 10)
    assert augmentation.p.item() == pytest.approx(0.48) and gap == 0.9


# Bad input, and no kornia


@pytest.mark.parametrize(
    ("options", "message"),
    [({"p": 1.5}, "p: got 1.5"), ({"p": -0.1}, "p: got"), ({"p": math.nan}, "p: got"),
     ({"erase": (0.5, 0.0)}, r"erase: got \(0.5, 0.0\).*the smaller first"), ({"erase": (-0.1, 0.5)}, "erase: got"),
     ({"erase": (0.0, 1.5)}, "erase: got"), ({"erase": (0.5,)}, "erase: got"),
     ({"policy": "transalte"}, "Did you mean 'translate'"), ({"policy": ""}, "policy: got ''"),
     ({"policy": "flip+flip"}, "each operation once"), ({"target": 1.0}, "target: got"),
     ({"target": 0.4, "p": 0.9}, "p: got 0.9.*at most 0.8"), ({"images": 0}, "images: got 0")],
    ids=str,
)  # fmt: skip
def test_bad_settings_are_refused_by_name(options, message):
    with pytest.raises(CourseError, match=message):
        Augmentation(**options)


@pytest.mark.parametrize("shape", [(6, 2), (3, 8, 8)])
@pytest.mark.parametrize("training", [True, False])
def test_points_and_single_images_are_refused(shape, training):
    with pytest.raises(CourseError, match=r"images: got .*\(B, C, H, W\)"):
        Augmentation().train(training)(torch.rand(shape))


def test_without_kornia_it_says_what_to_install_and_a_trained_model_does_not_need_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "kornia", None)  # an import of it fails
    augmentation, x = Augmentation(), pictures()
    assert torch.equal(augmentation.eval()(x), x)
    for use in (lambda: augmentation.train()(x), augmentation.require):
        with pytest.raises(CourseError, match="pip install kornia"):
            use()
