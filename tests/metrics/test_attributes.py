"""Attribute vectors and their measured success, on models whose answer is known, and the emoji's own attributes."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from course_utils import data
from course_utils.data.image_set import ImageSet
from course_utils.errors import CourseError
from course_utils.methods.base import LatentModel, Posterior
from course_utils.metrics import attributes
from course_utils.metrics.attributes import (
    attribute_success,
    attribute_vector,
    contrast,
    group_folds,
    looks,
    mean_difference,
    posterior_means,
)

GROUPS, TWINS = 60, 2


class Pixels(LatentModel):
    """A perfect autoencoder: the code is the picture itself, at 1x8x8."""

    def __init__(self, weight=1.0):
        super().__init__(SimpleNamespace(latent_dim=64), (1, 8, 8))
        self.weight = torch.nn.Parameter(torch.tensor(weight))
        self.modes = []

    def encode(self, x):
        self.modes.append(self.training)
        return Posterior(x.flatten(1), torch.zeros(len(x), 64))

    def decode(self, z):
        self.modes.append(self.training)
        return (self.weight * z).unflatten(1, (1, 8, 8)).clamp(0, 1)


@pytest.fixture(scope="module")
def toy():
    """60 patterns with bright spots, each without and with a bright 3x3 corner: (images, has, groups)."""
    generator = torch.Generator().manual_seed(0)
    base = torch.randint(20, 120, (GROUPS, 1, 8, 8), generator=generator, dtype=torch.uint8)
    spots = torch.rand(base.shape, generator=generator) < 0.3
    spots[:, :, :3, :3] = False
    base[spots] += 120
    pictures = base.repeat_interleave(TWINS, 0)
    has = torch.arange(GROUPS * TWINS) % 2 == 1
    pictures[has, :, :3, :3] += 120
    groups = [f"pattern {i}" for i in range(GROUPS) for _ in range(TWINS)]
    return ImageSet(pictures, None, "toy", "train"), has, groups


# The vector


def test_the_vector_is_the_mean_with_minus_the_mean_without():
    codes, has = torch.randn(7, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([1, 0, 0, 1, 1, 0, 0]).bool()
    want = codes[[0, 3, 4]].mean(0) - codes[[1, 2, 5, 6]].mean(0)
    torch.testing.assert_close(mean_difference(codes, has), want)
    torch.testing.assert_close(mean_difference(codes, ~has), -want)


def test_twins_cancel_what_the_two_kinds_differ_in_otherwise():
    """Group 0 lies far off and has the attribute more often: means mix that in, differences within groups do not."""
    step = torch.tensor([0.0, 2.0])
    off = torch.tensor([[10.0, 0.0]] * 4 + [[0.0, 0.0]] * 4 + [[3.0, 3.0]])
    has = torch.tensor([1, 1, 1, 0, 1, 0, 0, 0, 1]).bool()
    twins = ["a"] * 4 + ["b"] * 4 + ["only with"]
    codes = off + has[:, None] * step
    torch.testing.assert_close(mean_difference(codes, has, twins), step)
    assert (mean_difference(codes, has) - step).abs().max() > 3


def test_the_vector_on_pixels_is_the_painted_corner(toy):
    images, has, groups = toy
    model = Pixels().train()
    vector = attribute_vector(model, images, has, groups).unflatten(0, (8, 8))
    want = torch.zeros(8, 8)
    want[:3, :3] = 120 / 255
    torch.testing.assert_close(vector, want)
    assert model.training and model.modes == [False]  # encoded in eval mode, left as it was


def test_posterior_means_do_not_depend_on_the_batch(toy):
    images, _, _ = toy
    torch.testing.assert_close(posterior_means(Pixels(), images, 7), images.floats().flatten(1))


def test_a_vector_needs_both_kinds(toy):
    codes = torch.randn(4, 2)
    for has in ([True] * 4, [False] * 4):
        with pytest.raises(CourseError, match="has: got .*some with and some without"):
            mean_difference(codes, torch.tensor(has))
    has = torch.tensor([True, False, True, False])
    with pytest.raises(CourseError, match="twins: got 'no key with both kinds'"):
        mean_difference(codes, has, ["a", "b", "a", "b"])
    with pytest.raises(CourseError, match="has: got '3 entries'"):
        mean_difference(codes, has[:3])


# Success


def test_a_vector_that_works_is_told_from_what_does_nothing(toy):
    images, has, groups = toy
    found = attribute_success(Pixels(), images, has, groups, twins=groups)
    assert found.images == GROUPS and found.judge_real > 0.9 and found.judge_rec == found.judge_real
    # Here an edited picture is its twin with the attribute, pixel by pixel: the share is the judge's recall on real twins.
    recall = 2 * found.judge_real - (1 - found.unedited)
    assert found.edited == pytest.approx(recall) and found.edited > 0.9 > found.random + 0.4 and found.unedited < 0.15
    nothing = attribute_success(Pixels(), images, has, groups, t=0.0)
    assert nothing.edited == nothing.random == nothing.unedited == found.unedited
    backwards = attribute_success(Pixels(), images, has, groups, t=-1.0)
    assert backwards.edited <= found.unedited


def test_a_decoder_that_ignores_its_code_does_not_succeed(toy):
    found = attribute_success(Pixels(weight=0.0), *toy)
    assert found.edited == found.random == found.unedited and found.judge_rec == 0.5 and found.judge_real > 0.9


def test_no_judge_has_seen_a_twin_of_what_it_judges(toy, monkeypatch):
    """Labels by lot, twins the same picture: a judge that knows by heart what it saw is right only if it saw the twin."""
    from sklearn.neighbors import KNeighborsClassifier

    images, has, groups = toy
    pictures = images.images.clone()
    pictures[has] = pictures[~has]
    images = dataclasses.replace(images, images=pictures)
    lots = (torch.rand(GROUPS, generator=torch.Generator().manual_seed(2)) < 0.5).repeat_interleave(2)
    monkeypatch.setattr(attributes, "make_judge", lambda real, has: KNeighborsClassifier(1).fit(real, has))
    assert abs(attribute_success(Pixels(), images, lots, groups).judge_real - 0.5) < 0.2
    apart = [str(i) for i in range(len(images))]  # twins on both sides
    assert attribute_success(Pixels(), images, lots, apart).judge_real > 0.7


def test_one_seed_gives_the_same_numbers_and_the_global_generator_stays(toy):
    torch.manual_seed(3)
    want = torch.rand(2)
    torch.manual_seed(3)
    first = attribute_success(Pixels(), *toy, seed=1)
    assert torch.equal(torch.rand(2), want) and first == attribute_success(Pixels(), *toy, seed=1)


def test_no_group_is_on_both_sides_and_each_image_is_held_out_once(toy):
    _, has, groups = toy
    held = []
    for train, out in group_folds(has.numpy(), groups, 5, 0):
        assert not {groups[i] for i in train} & {groups[i] for i in out}
        assert len(set(has[out].tolist())) == 2
        held += out.tolist()
    assert sorted(held) == list(range(len(groups)))


def test_too_few_groups_are_refused(toy):
    images, has, groups = toy
    with pytest.raises(CourseError, match="folds: got 5.*2 to 1, the groups that hold the rarer kind"):
        attribute_success(Pixels(), images, has, ["same"] * len(images))
    with pytest.raises(CourseError, match="folds: got 1"):
        attribute_success(Pixels(), images, has, groups, folds=1)
    with pytest.raises(CourseError, match="groups: got '3 entries'"):
        attribute_success(Pixels(), images, has, groups[:3])


def test_the_judge_sees_pixels_and_colors():
    x = torch.zeros(2, 3, 2, 2)
    x[1, 0, 0, 0] = 1.0  # one red pixel
    seen = torch.from_numpy(looks(x))
    assert seen.shape == (2, 12 + 64)
    torch.testing.assert_close(seen[:, :12], x.flatten(1) - 0.5)
    colors = torch.zeros(2, 64)
    colors[0, 0], colors[1, 0], colors[1, 3] = 30, 22.5, 7.5
    torch.testing.assert_close(seen[:, 12:], colors)


# Emoji


@pytest.fixture(scope="module")
def emoji():
    return data.load("noto-emoji", "all", size=32)


@pytest.mark.parametrize(
    ("attribute", "present", "absent"), [("skin_tone", "dark", "light"), ("gender", "woman", "man"), ("hair", "bald", "none")]
)
def test_emoji_twins_differ_in_the_attribute_alone(emoji, attribute, present, absent):
    images, has, twins, bases = contrast(emoji, attribute, present, absent)
    known = images.attributes
    assert len(images) == len(has) == len(twins) == len(bases) and has.any() and not has.all()
    assert {v for v, h in zip(known[attribute], has.tolist(), strict=True) if h} == {present}
    assert {v for v, h in zip(known[attribute], has.tolist(), strict=True) if not h} == {absent}
    others = [key for key in ("base", "skin_tone", "gender", "hair") if key != attribute]
    where: dict = {}
    for i, key in enumerate(twins):
        where.setdefault(key, []).append(i)
    both = [rows for rows in where.values() if len({has[i].item() for i in rows}) == 2]
    assert len(both) > 15
    for rows in both:
        assert all(len({known[key][i] for i in rows}) == 1 for key in others)


def test_what_unicode_draws_on_one_base_cannot_be_split_by_base(emoji):
    """All hair emoji are one person: a judge of other bases would have seen none."""
    images, has, _, bases = contrast(emoji, "hair", "bald", "none")
    with pytest.raises(CourseError, match="the groups that hold the rarer kind"):
        group_folds(has.numpy(), bases, 5, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("eyes", "blue", "green"), "attribute: got 'eyes'"),
        (("gender", "women", "man"), "Did you mean 'woman'"),
        (("gender", "woman", "girl"), "absent: got 'girl'"),
        (("gender", "man", "man"), "absent: got 'man'"),
    ],
)
def test_unknown_attributes_are_refused(emoji, arguments, message):
    with pytest.raises(CourseError, match=message):
        contrast(emoji, *arguments)
    with pytest.raises(CourseError, match="noto-emoji"):
        contrast(ImageSet(emoji.images[:2], None, "toy", "train"), "gender", "woman", "man")
