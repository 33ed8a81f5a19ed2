"""Copies are found where there are some, not where there are none; the encoder's judgment is that of eval mode."""

import pytest
import torch
from stand_ins import Generator, images, network
from torch.nn import functional as F

from course_utils import data, methods
from course_utils.augment import real_fake_gap
from course_utils.errors import CourseError
from course_utils.methods.autoencoder import AutoencoderConfig
from course_utils.methods.base import evaluating
from course_utils.metrics import generate
from course_utils.metrics.overfitting import (
    distances_to_training,
    measure_memorization,
    memorization,
    probability_less,
    real_fake_gaps,
)

SHAPE = (1, 8, 8)


def points(n, seed=0, d=4):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def vae(seed=0, method="vae", **config):
    config = methods.METHODS[method].Config(**{"latent_dim": 3, "widths": (4, 6), **config})
    return methods.build(method, config, SHAPE, seed=seed)


def test_probability_less_equals_a_count_of_all_pairs():
    x, y = torch.tensor([1.0, 2, 2, 5]), torch.tensor([2.0, 3, 1])
    pairs = [(a < b) + 0.5 * (a == b) for a in x.tolist() for b in y.tolist()]
    assert probability_less(x, y) == pytest.approx(sum(pairs) / 12)
    assert probability_less(x, x) == pytest.approx(0.5)


def test_distances_are_those_of_a_sort_over_all_pairs():
    x, train = points(6), points(20, seed=1)
    absolute, relative = distances_to_training(x, train, 5)
    for i, row in enumerate(x.double()):
        near = (train.double() - row).norm(dim=1).sort().values[:5]
        assert absolute[i].item() == pytest.approx(near[0].item(), rel=1e-9)
        assert relative[i].item() == pytest.approx((near[0] / near.mean()).item(), rel=1e-9)


def test_a_generator_without_memory_scores_what_held_out_images_score():
    found = memorization(points(2000, 1), points(1000, 2), points(2000, 3))
    for name, value in found.items():
        expected, spread = (0.5, 0.03) if "nearer" in name else (1.0, 0.08) if "ratio" in name else (0.05, 0.02)
        assert value == pytest.approx(expected, abs=spread), name


@pytest.mark.parametrize("copied", [1.0, 0.3])
def test_copies_among_the_samples_are_counted(copied):
    train, fresh = points(1000, 2), points(1000, 1)
    samples = torch.where(torch.arange(1000)[:, None] < 1000 * copied, train + 1e-3 * points(1000, 4), fresh)
    found = memorization(samples, train, points(2000, 3))
    for suffix in ("", "_relative"):
        assert found[f"nearer{suffix}"] == pytest.approx(copied + (1 - copied) / 2, abs=0.03)
        assert found[f"copies{suffix}"] == pytest.approx(copied + (1 - copied) * 0.05, abs=0.03)
    assert (found["ratio"] < 0.05) == (copied == 1)


def test_poor_samples_are_no_copies():
    found = memorization(points(500, 1) + 5, points(1000, 2), points(500, 3))
    assert found["nearer"] < 0.01 and found["copies"] == 0 and found["ratio"] > 2


def test_the_share_that_counts_as_copies_by_chance_can_be_chosen():
    found = memorization(points(2000, 1), points(1000, 2), points(2000, 3), share=0.3)
    assert found["copies"] == pytest.approx(0.3, abs=0.04) and found["copies_relative"] == pytest.approx(0.3, abs=0.04)


def test_more_copies_of_a_training_image_than_neighbors_are_no_division_by_zero():
    train = torch.cat([torch.zeros(5, 3), torch.ones(5, 3)])
    assert distances_to_training(torch.zeros(1, 3), train, 4)[1].tolist() == [0.0]


@pytest.fixture(scope="module")
def emoji():
    """Pixels of every other training emoji, of held-out ones, and of these blurred, at 32x32."""
    train, held_out = (data.load("noto-emoji", split, size=32).floats() for split in ("train", "test"))
    train = train[::2]
    blurred = held_out
    for _ in range(3):
        blurred = F.avg_pool2d(F.pad(blurred, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return train.flatten(1), held_out.flatten(1), blurred.flatten(1)


def test_blur_looks_like_copying_by_the_distance_and_not_by_the_relative_one(emoji):
    train, held_out, blurred = emoji
    found = memorization(blurred[::2], train, held_out)
    assert found["nearer"] > 0.6 and abs(found["nearer_relative"] - 0.5) < 0.05


def test_noisy_copies_of_emoji_are_found_by_both_and_other_held_out_emoji_by_none(emoji):
    train, held_out, _ = emoji
    copies = (train[::11] + 0.05 * torch.randn(train[::11].shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    found = memorization(copies, train, held_out)
    assert min(found["nearer"], found["nearer_relative"], found["copies"], found["copies_relative"]) > 0.95
    clean = memorization(held_out[::2], train, held_out[1::2])
    assert abs(clean["nearer"] - 0.5) < 0.1 and abs(clean["nearer_relative"] - 0.5) < 0.1


@pytest.mark.parametrize("features", [None, network()])
def test_a_models_samples_are_compared_in_pixels_or_features(features):
    model, train, held_out = Generator(), images(90), images(70, seed=1)
    found = measure_memorization(model, train, held_out, network=features, samples=130, seed=2, batch_size=32, k=7)
    drawn = torch.cat(list(generate(model, 130, seed=2))).float() / 255

    def of(x):
        return x.flatten(1) if features is None else features.extract(x)

    assert found["values"] == pytest.approx(memorization(of(drawn), of(train.floats()), of(held_out.floats()), k=7), rel=1e-4)
    assert found["features"] == (features.name if features else "pixels")
    assert (found["samples"], found["seed"], found["k"]) == (130, 2, 7)
    assert found["train"]["sha256"] == train.sha256() and found["held_out"]["images"] == 70


def test_gaps_are_made_of_mean_kls_in_eval_mode_and_leave_the_model_as_it_was():
    model, train, held_out = vae(method="soft-intro-vae"), images(70), images(40, seed=1)
    model.prepare_evaluation(train)
    model.train()
    found = real_fake_gaps(model, train, held_out, samples=60, seed=1, batch_size=16)["values"]
    assert model.training
    fake = torch.cat(list(generate(model, 60, seed=1))).float() / 255
    with torch.no_grad(), evaluating(model):
        kl = {"train": model.encode(train.floats()).kl(), "held_out": model.encode(held_out.floats()).kl()}
        kl["fake"] = model.encode(fake).kl()
    for name, values in kl.items():
        assert found[f"kl_{name}"] == pytest.approx(values.mean().item(), rel=1e-4)
    assert len({round(found[f"kl_{name}"], 4) for name in kl}) == 3
    assert found["gap_train"] == pytest.approx(real_fake_gap(kl["train"], kl["fake"]).item(), rel=1e-3)
    assert found["gap_held_out"] == pytest.approx(real_fake_gap(kl["held_out"], kl["fake"]).item(), rel=1e-3)
    assert found["gap_unseen"] == pytest.approx(real_fake_gap(kl["train"], kl["held_out"]).item(), rel=1e-3, abs=1e-5)


def test_an_encoder_that_was_pulled_to_its_training_images_alone_shows_it_on_held_out_ones():
    model, train, held_out = vae(widths=(16, 16)), images(8), images(60, seed=1)
    optimizer = torch.optim.Adam(model.encoder.parameters(), 1e-2)
    for _ in range(20):  # by heart: the encoder learns which images to send to the prior, and which not
        loss = model.encode(train.floats()).kl().mean() - model.encode(images(8, seed=5).floats()).kl().clamp_max(20).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = real_fake_gaps(model, train, held_out, samples=50)["values"]
    unseen = real_fake_gaps(model, held_out.subset(slice(0, 30)), held_out.subset(slice(30, 60)))["values"]
    assert found["gap_unseen"] > 0.6 and abs(unseen["gap_unseen"]) < 0.3


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: memorization(points(5), points(20), points(5), k=21), "k: got 21, allowed: from 1 to 20"),
        (lambda: memorization(points(5), points(60), points(5, d=3)), "y: got"),
        (lambda: memorization(points(5) * float("nan"), points(60), points(5)), "not finite"),
        (lambda: memorization(points(5), points(60), points(5), share=0.0), "share: got 0.0"),
        (lambda: measure_memorization(vae(), images(shape=(1, 16, 16)), images()), "images: got"),
        (lambda: measure_memorization(vae(), images(), images(), samples=0), "samples: got 0"),
        (lambda: measure_memorization(vae(), images(), images().subset([])), "held_out: got 'no image'"),
        (lambda: real_fake_gaps(Generator(), images(), images()), "model: got 'Generator', allowed: a model with an encoder"),
        (lambda: real_fake_gaps(
            methods.build("autoencoder", AutoencoderConfig(latent_dim=3, widths=(4, 6)), SHAPE), images(), images()), "no prior"),
        (lambda: real_fake_gaps(torch.nn.Linear(2, 2), images(), images()), "model: got 'Linear'"),
    ],
)  # fmt: skip
def test_bad_input(call, match):
    with pytest.raises(CourseError, match=match):
        call()
