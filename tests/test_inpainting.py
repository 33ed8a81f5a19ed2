"""Holes are where they should be, what is in them is the model's alone, and the error counts nothing else."""

from types import SimpleNamespace

import pytest
import torch
from toys import DecoderOnly, tiny_vae

from course_utils import methods
from course_utils.errors import CourseError
from course_utils.figures.inpainting import inpainting, marked
from course_utils.inpainting import box_mask, check_mask, hole_error, inpaint, mean_fill, measure, random_masks, started
from course_utils.methods.autoencoder import AutoencoderConfig
from course_utils.methods.base import LatentModel, Posterior

SHAPE = (3, 8, 8)


class Brighter(LatentModel):
    """Its code is the image; decoded, each pixel is 0.05 brighter."""

    def __init__(self):
        super().__init__(SimpleNamespace(latent_dim=192), SHAPE)
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.batches = []

    def encode(self, x):
        self.batches.append(len(x))
        return Posterior(self.check_images(x).flatten(1))

    def decode(self, z):
        return z.unflatten(1, SHAPE) + 0.05


def images(n=5, seed=0):
    return 0.4 * torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(seed)) + 0.2


@pytest.mark.parametrize("kind", ["rectangle", "scattered"])
def test_each_image_has_a_hole_of_its_own_that_depends_on_the_seed_and_its_place_alone(kind):
    many, few = random_masks(kind, 60, (8, 12), 0.25, seed=4), random_masks(kind, 7, (8, 12), 0.25, seed=4)
    assert torch.equal(many[:7], few)
    assert not torch.equal(many, random_masks(kind, 60, (8, 12), 0.25, seed=5))
    assert (many.sum((1, 2, 3)) == 24).all()
    assert len({mask.numpy().tobytes() for mask in many}) > 20
    assert many.any(0).all(), "a place that no hole reaches"


def test_a_random_rectangle_is_one_of_the_pictures_shape():
    for mask in random_masks("rectangle", 20, (8, 12), 0.25)[:, 0]:
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        assert (len(rows), len(columns)) == (4, 6) and mask[rows, columns.T].all()
        assert (rows.diff(dim=0) == 1).all() and (columns.diff(dim=0) == 1).all()


def test_scattered_pixels_are_no_rectangle():
    rows = random_masks("scattered", 20, (8, 8), 0.25)[:, 0].any(2).sum(1)
    assert (rows > 4).all()


def test_a_box_reaches_from_its_first_to_before_its_last_row_and_column():
    mask = box_mask((4, 6), (1, 2, 3, 5))[0, 0]
    assert mask.nonzero().tolist() == [[row, column] for row in (1, 2) for column in (2, 3, 4)]


def test_what_was_in_the_hole_changes_nothing():
    model, x, mask = tiny_vae(), images(), random_masks("rectangle", 5, (8, 8), 0.3)
    other = torch.where(mask, images(seed=1), x)
    for composite in (True, False):
        for start in ("zero", "mean"):
            settings = {"passes": 2, "composite": composite, "start": start}
            assert torch.equal(inpaint(model, x, mask, **settings), inpaint(model, other, mask, **settings))
    known = torch.where(mask, x, images(seed=1))
    assert not torch.equal(inpaint(model, x, mask), inpaint(model, known, mask))


def test_known_pixels_come_back_only_with_composite_and_drift_without():
    x, mask = images(), box_mask((8, 8), (2, 2, 5, 6))
    kept, drifting = (inpaint(Brighter(), x, mask, passes=3, composite=c) for c in (True, False))
    assert kept.shape == (3, 5, *SHAPE)
    hole = mask.expand_as(x)
    for index in range(3):
        assert torch.equal(kept[index][~hole], x[~hole])
        torch.testing.assert_close(drifting[index][~hole], x[~hole] + 0.05 * (index + 1))
        for made in (kept, drifting):  # the hole began at 0
            torch.testing.assert_close(made[index][hole], torch.full_like(x[hole], 0.05 * (index + 1)))


def test_a_pass_is_a_reconstruction_in_eval_mode_and_does_not_depend_on_the_batch():
    model = methods.build("soft-intro-vae", methods.METHODS["soft-intro-vae"].Config(latent_dim=3, widths=(4, 6)), SHAPE)
    model.train()
    x, mask = images(), random_masks("scattered", 5, (8, 8), 0.3)
    made = inpaint(model, x, mask, composite=False)
    torch.testing.assert_close(made[0], model.reconstruct(started(x, mask)))
    torch.testing.assert_close(made[:, 1:2], inpaint(model, x[1:2], mask[1:2], composite=False), atol=1e-5, rtol=1e-4)
    assert model.training and not made.requires_grad


def test_it_starts_from_zero_or_from_the_mean_color_of_the_known_pixels():
    x, mask = images(2), random_masks("scattered", 2, (8, 8), 0.5)
    assert (started(x, mask)[mask.expand_as(x)] == 0).all()
    filled = started(x, mask, "mean")
    for image, original, hole in zip(filled, x, mask[:, 0], strict=True):
        for channel, values in zip(image, original, strict=True):
            torch.testing.assert_close(channel[hole], values[~hole].mean().expand(32))
            assert torch.equal(channel[~hole], values[~hole])
    assert torch.equal(mean_fill(x, mask), filled)


def test_the_error_is_summed_over_channels_and_a_mean_over_the_holes_pixels_alone():
    x = images(2)
    mask = torch.cat([box_mask((8, 8), (0, 0, 2, 2)), box_mask((8, 8), (0, 0, 8, 5))])
    filled = x + 0.1 * mask + 7.0 * ~mask
    torch.testing.assert_close(hole_error(x, filled, mask), torch.full((2,), 3 * 0.01), rtol=1e-4, atol=0)
    filled[0, :, 0, 0] = x[0, :, 0, 0] + 0.5  # one of four pixels
    assert hole_error(x, filled, mask)[0].item() == pytest.approx(3 * (3 * 0.01 + 0.25) / 4, rel=1e-4)


def test_the_record_has_means_over_all_images_of_every_pass_and_of_the_mean_color(monkeypatch):
    monkeypatch.setattr("course_utils.inpainting.BATCH", 2)
    x, mask = images(), random_masks("rectangle", 5, (8, 8), 0.2)
    models = {"a": Brighter(), "b": tiny_vae()}
    found = measure(models, x, mask, passes=2, start="mean")
    assert max(models["a"].batches) == 2
    flat = hole_error(x, mean_fill(x, mask), mask)
    assert found["mean_fill"]["error"] == pytest.approx(flat.mean().item())
    for name, model in models.items():
        errors = torch.stack([hole_error(x, made, mask) for made in inpaint(model, x, mask, passes=2, start="mean")])
        assert found["models"][name]["error"] == pytest.approx(errors.mean(1).tolist(), rel=1e-5)
        assert found["models"][name]["error_std"] == pytest.approx(errors.std(1, correction=0).tolist(), rel=1e-4)
        assert found["models"][name]["better_than_mean_fill"] == pytest.approx((errors[1] < flat).double().mean().item())
    assert (found["images"], found["hole"], found["passes"]) == (5, pytest.approx(16 / 64), 2)


def test_an_autoencoder_and_gray_images_are_filled_as_well():
    model = methods.build("autoencoder", AutoencoderConfig(latent_dim=3, widths=(4, 6)), (1, 16, 16))
    x, mask = torch.rand(3, 1, 16, 16), random_masks("scattered", 3, (16, 16))
    assert inpaint(model, x, mask).shape == (1, 3, 1, 16, 16)
    assert marked(x, mask).shape == (3, 3, 16, 16)


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: box_mask((8, 8), (4, 1, 2, 5)), r"box: got \(4, 1, 2, 5\), allowed: top < bottom in 0 to 8"),
        (lambda: box_mask((8, 8), (1, 5, 2, 5)), "box: got"),
        (lambda: box_mask((8, 8), (0, 0, 9, 8)), "box: got"),
        (lambda: box_mask((8, 8), (-1, 0, 4, 8)), "box: got"),
        (lambda: box_mask((8, 8), (0, 0, 8, 8)), "box: got .* 1 to 63 missing pixels"),
        (lambda: random_masks("circle", 2, (8, 8)), "mask: got 'circle', allowed: rectangle, scattered"),
        (lambda: random_masks("scattered", 2, (8, 8), 0.0), "share: got 0.0, allowed: more than 0"),
        (lambda: random_masks("rectangle", 2, (8, 8), 1.0), "share: got 1.0"),
        (lambda: random_masks("rectangle", 2, (8, 8), float("nan")), "share: got nan"),
        (lambda: random_masks("scattered", 2, (8, 8), 0.001), "share: got 0.001.*take 0"),
        (lambda: random_masks("rectangle", 2, (8, 8), 0.999), "share: got 0.999.*take 64"),
        (lambda: inpaint(tiny_vae(), images(), torch.ones(5, 1, 8, 8, dtype=torch.bool)), "64 of 64 pixels missing"),
        (lambda: inpaint(tiny_vae(), images(), torch.zeros(5, 1, 8, 8, dtype=torch.bool)), "0 of 64 pixels missing"),
        (lambda: check_mask(torch.ones(5, 1, 8, 8), images()), "mask: got 'torch.float32"),
        (lambda: check_mask(box_mask((8, 9), (0, 0, 1, 1)), images()), r"mask: got .*\(5 or 1, 1, 8, 8\)"),
        (lambda: check_mask(random_masks("scattered", 4, (8, 8)), images()), "mask: got"),
        (lambda: inpaint(tiny_vae(), torch.rand(2, 3, 9, 9), box_mask((9, 9), (0, 0, 2, 2))), r"images: got \(2, 3, 9, 9\)"),
        (lambda: inpaint(tiny_vae(), images(), box_mask((8, 8), (0, 0, 1, 1)), passes=0), "passes: got 0, allowed: a whole"),
        (lambda: inpaint(tiny_vae(), images(), box_mask((8, 8), (0, 0, 1, 1)), passes=1.5), "passes: got 1.5"),
        (lambda: inpaint(tiny_vae(), images(), box_mask((8, 8), (0, 0, 1, 1)), start="noise"), "start: got 'noise'"),
        (lambda: inpaint(DecoderOnly(shape=SHAPE), images(), box_mask((8, 8), (0, 0, 1, 1))), "model: got 'DecoderOnly'"),
        (lambda: measure({}, images(), box_mask((8, 8), (0, 0, 1, 1))), "models: got 'none'"),
        (lambda: hole_error(images(), images()[:, :1], box_mask((8, 8), (0, 0, 1, 1))), "filled: got"),
    ],
)  # fmt: skip
def test_bad_input(call, match):
    with pytest.raises(CourseError, match=match):
        call()


def test_one_hidden_image_among_several_is_enough_to_refuse():
    mask = random_masks("scattered", 5, (8, 8))
    mask[3] = True
    with pytest.raises(CourseError, match="64 of 64 pixels missing"):
        inpaint(tiny_vae(), images(), mask)


class TestFigure:
    def test_rows_are_the_image_its_hole_every_pass_and_the_mean_color(self, monkeypatch):
        shown = {}
        monkeypatch.setattr(
            "course_utils.figures.inpainting.rows_figure", lambda rows, **texts: shown.update(rows=rows, **texts)
        )
        x, mask = images(2), box_mask((8, 8), (1, 1, 4, 4))
        inpainting({"a": Brighter()}, x, mask, passes=2)
        made = inpaint(Brighter(), x, mask, passes=2)
        for row, expected in zip(shown["rows"], [x, marked(x, mask), *made, mean_fill(x, mask)], strict=True):
            assert torch.equal(row, expected)
        assert shown["row_labels"] == ["image", "hole", "a\npass 1", "a\npass 2", "mean color"]
        for caption, filled in zip(shown["captions"][2:], shown["rows"][2:], strict=True):
            assert caption == [f"{value:.3g}" for value in hole_error(x, filled, mask).tolist()]

    def test_the_hole_is_blue_and_nothing_else(self):
        x, mask = images(2), box_mask((8, 8), (1, 1, 4, 4))
        hole = mask.expand_as(x)
        seen = marked(x, mask)
        assert torch.equal(seen[~hole], x[~hole])
        assert (seen[:, 2, 2, 2] > seen[:, 0, 2, 2] + 0.5).all()

    def test_alternative_text_has_every_mean_error(self):
        x, mask = images(3), box_mask((8, 8), (0, 0, 4, 4))
        figure = inpainting(Brighter(), x, mask, composite=False)
        error = hole_error(x, inpaint(Brighter(), x, mask)[0], mask).mean()
        flat = hole_error(x, mean_fill(x, mask), mask).mean()
        assert f"model, pass 1: {error:.3g}; mean color: {flat:.3g}" in figure.course_alt and "25%" in figure.course_alt
