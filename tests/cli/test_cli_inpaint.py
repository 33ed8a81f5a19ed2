"""`course inpaint`: pictures and measures from a data set or one picture, or one clear refusal and no file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_helpers import QUICK, refusal
from PIL import Image

from course_utils import checkpoints, data
from course_utils.cli import main
from course_utils.inpainting import box_mask, inpaint, measure, random_masks


@pytest.fixture
def picture(tmp_path) -> Path:
    path = tmp_path / "one.png"
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def gray(tmp_path_factory) -> Path:
    """A tiny VAE of gray images."""
    out = tmp_path_factory.mktemp("gray") / "gray"
    argv = ["train", "vae", "--dataset", "fashion-mnist-mini", *QUICK[2:], "--steps", "1", "--out", str(out)]
    assert main(argv) == 0
    return out


def test_a_data_set_is_filled_measured_and_written(course, trained, pointwise, pictures):
    source, argv = f"folder:{pictures}", ["--split", "train", "--first", 2, "--n", 5, "--passes", 2, "--share", 0.2, "--seed", 3]
    done = course("inpaint", source, "--checkpoint", trained, "--against", pointwise, *argv, "--json", "m.json", "--out", "o")
    assert done.code == 0, done.err
    images = data.load(source, size=16).floats(range(2, 7))
    models = {"tiny": checkpoints.load(trained), "tiny_ae": checkpoints.load(pointwise)}
    expected = measure(models, images, random_masks("rectangle", 7, (16, 16), 0.2, seed=3)[2:], passes=2)
    found = json.loads(Path("m.json").read_text(encoding="utf-8"))
    for name, values in expected["models"].items():
        assert found["models"][name]["error"] == pytest.approx(values["error"], rel=1e-6)
        assert name in done.out and f"{values['error'][1]:.6g}" in done.out
    assert found["mean_fill"]["error"] == pytest.approx(expected["mean_fill"]["error"], rel=1e-6)
    about = {key: found[key] for key in ("checkpoint", "dataset", "split", "first", "images", "mask", "share", "seed", "passes")}
    assert about == {"checkpoint": "tiny", "dataset": source, "split": "train", "first": 2, "images": 5, "mask": "rectangle",
                     "share": 0.2, "seed": 3, "passes": 2}  # fmt: skip
    with Image.open("o/inpainted.png") as made:
        assert min(made.size) > 100


@pytest.mark.parametrize("composite", [True, False])
def test_a_picture_is_filled_and_written_at_its_own_size(course, trained, picture, composite):
    flags = ["--box", 2, 3, 9, 12, "--start", "mean", "--passes", 2, "--files", "--composite" if composite else "--no-composite"]
    done = course("inpaint", picture, "--checkpoint", trained, *flags, "--out", "o")
    assert done.code == 0, done.err
    original = torch.tensor(np.asarray(Image.open(picture))).permute(2, 0, 1)[None] / 255
    mask = box_mask((16, 16), (2, 3, 9, 12))
    expected = inpaint(checkpoints.load(trained), original, mask, passes=2, start="mean", composite=composite)[1]
    made = torch.tensor(np.asarray(Image.open("o/inpainted/000.png"))).permute(2, 0, 1)[None] / 255
    torch.testing.assert_close(made, expected, atol=0.51 / 255, rtol=0)
    known = ~mask.expand_as(original)
    assert torch.equal(made[known], original[known]) == composite


def test_a_gray_model_takes_a_gray_picture_of_any_mode(course, gray, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    for mode in ("L", "RGB"):
        Image.fromarray(pixels).convert(mode).save(tmp_path / f"{mode}.png")
        assert course("inpaint", tmp_path / f"{mode}.png", "--checkpoint", gray, "--json", f"{mode}.json").code == 0
    errors = [json.loads(Path(f"{mode}.json").read_text(encoding="utf-8"))["mean_fill"] for mode in ("L", "RGB")]
    assert errors[0] == errors[1] and errors[0]["error"] > 0


def test_the_masks_are_what_was_asked_for(course, trained, pictures):
    for flags, share in ((["--mask", "scattered"], 26 / 256), (["--mask", "scattered", "--share", 0.5], 0.5), ([], 25 / 256),
                         (["--box", 0, 0, 4, 8], 32 / 256)):  # fmt: skip
        assert course("inpaint", f"folder:{pictures}", "--checkpoint", trained, *flags, "--json", "m.json").code == 0
        assert json.loads(Path("m.json").read_text(encoding="utf-8"))["hole"] == pytest.approx(share)


def test_help_shows_defaults_and_units(course):
    shown = " ".join(course("inpaint", "--help").out.replace("│", " ").split())
    texts = ("IMAGE|DATASET", "summed over channels", "0.1 if not given", "in pixels", "(default: rectangle)", "(default: 256)")
    for words in texts:
        assert words in shown


class TestBadInput:
    @pytest.fixture
    def refused(self, course, tmp_path):
        return refusal(course, tmp_path, "inpaint", "--json", "m.json", "--files")

    @pytest.mark.parametrize(
        "flags, says",
        [
            (["--box", 8, 2, 3, 9], "box: got (8, 2, 3, 9), allowed: top < bottom"),
            (["--box", 0, 0, 16, 16], "box: got (0, 0, 16, 16), allowed: 1 to 255 missing pixels"),
            (["--box", 0, 0, 3, 17], "left < right in 0 to 16"),
            (["--box", 0, 0, 3, 3, "--share", 0.2], "box: got (0, 0, 3, 3), allowed: --box alone, without --share"),
            (["--box", 0, 0, 3, 3, "--mask", "scattered"], "without --mask scattered"),
            (["--share", 0], "share: got 0.0"),
            (["--share", 1], "share: got 1.0"),
            (["--share", 0.0005], "share: got 0.0005, allowed: what takes 1 pixel or more"),
            (["--passes", 0], "passes: got 0, allowed: a whole number of 1 or more"),
            (["--mask", "circle"], "circle"),
            (["--n", 0], "n: got 0"),
            (["--first", 99], "first: got 99, allowed: 0 to"),
            (["--first", -1], "first: got -1"),
        ],
    )  # fmt: skip
    def test_of_holes(self, refused, trained, pictures, flags, says):
        refused(f"folder:{pictures}", "--checkpoint", trained, *flags, says=says)

    def test_of_images(self, refused, trained, gray, picture, tmp_path):
        Image.new("RGB", (16, 20)).save(tmp_path / "high.png")
        refused(tmp_path / "high.png", "--checkpoint", trained, says="got '16 x 20 pixels', allowed: 16 x 16")
        Image.new("RGB", (32, 32), "red").save(tmp_path / "red.png")
        refused(tmp_path / "red.png", "--checkpoint", gray, says="in color', allowed: a gray picture")
        (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
        refused(tmp_path / "text.png", "--checkpoint", trained, says="text.png cannot be used: not a picture")
        refused(tmp_path / "nope.png", "--checkpoint", trained, says="There is no such file")
        refused("nope", "--checkpoint", trained, says="dataset: got 'nope'")
        refused(tmp_path, "--checkpoint", trained, says=f"Of a folder: folder:{tmp_path}")
        refused("rings", "--checkpoint", trained, says="images: got")

    def test_of_checkpoints(self, refused, trained, gray, plane_run, pictures):
        refused(f"folder:{pictures}", "--checkpoint", trained, "--against", trained, says="against: got")
        refused(f"folder:{pictures}", "--checkpoint", trained, "--against", gray, says="images: got")
        refused(f"folder:{pictures}", "--checkpoint", plane_run, says="checkpoint: got")
        refused(f"folder:{pictures}", says="--checkpoint")
