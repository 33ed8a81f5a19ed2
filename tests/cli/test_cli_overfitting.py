"""`course overfitting`: the measures of memory and of the encoder's judgment, each with what it says, or one clear refusal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from cli_helpers import refusal

from course_utils import checkpoints, data, methods
from course_utils.cli.overfit import LEGEND, OF_ENCODER
from course_utils.metrics import feature_network, measure_memorization, real_fake_gaps

SETTINGS = {"samples": 40, "seed": 3}
ARGV = ["--samples", 40, "--seed", 3, "--k", 5, "--out", "m.json"]


@pytest.fixture
def small_classifier(tmp_path):
    """An untrained classifier of 16x16 images in the place of the shipped one."""
    model = methods.build("classifier", methods.Classifier.Config(widths=(4, 8)), (3, 16, 16), seed=0)
    checkpoints.export(tmp_path / "classifier" / "model.safetensors", model, {})
    (tmp_path / "classifier" / "log.csv").write_text("step,loss\n1,1.0\n", encoding="utf-8")
    checkpoints.publish("classifier_cifar10", tmp_path / "classifier", tmp_path / "checkpoints")


@pytest.fixture
def gan(tmp_path, pictures) -> Path:
    """A GAN, which has no encoder."""
    model = methods.build("gan", methods.GAN.Config(latent_dim=3, width=4), (3, 16, 16), seed=0)
    checkpoints.export(tmp_path / "gan.safetensors", model, {"dataset": f"folder:{pictures}"})
    return tmp_path / "gan.safetensors"


def rows(text: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split() for line in text.splitlines() if line.split()}


def test_both_tables_hold_what_is_measured_and_what_it_says(course, trained, pictures, small_classifier):
    done = course("overfitting", trained, *ARGV, "--features", "pixels", "cifar")
    assert done.code == 0 and "held-out images' neighbors: 100%" in done.err, done.err
    model, name = checkpoints.load(trained), f"folder:{pictures}"
    train, held_out = (data.load(name, split, size=16) for split in ("train", "test"))
    found = json.loads(Path("m.json").read_text(encoding="utf-8"))
    assert found["checkpoint"] == "tiny" and list(found["memorization"]) == ["cifar", "pixels"]
    for space, network in (("pixels", None), ("cifar", feature_network("cifar"))):
        expected = measure_memorization(model, train, held_out, network=network, k=5, **SETTINGS)
        assert found["memorization"][space]["values"] == pytest.approx(expected["values"], rel=1e-4)
        assert found["memorization"][space]["train"]["sha256"] == train.sha256()
        assert found["memorization"][space]["features"] == space and found["memorization"][space]["k"] == 5
    assert found["encoder"]["values"] == pytest.approx(real_fake_gaps(model, train, held_out, **SETTINGS)["values"], rel=1e-4)
    shown = rows(done.out)
    assert shown["samples"][1:3] == ["pixels", "cifar"]
    for name, text in LEGEND.items():
        values = [found["memorization"][space]["values"][name] for space in ("pixels", "cifar")]
        assert shown[name][1:3] == [f"{value:.6g}" for value in values] and text.format(k=5) in done.out
    for name, text in OF_ENCODER.items():
        assert shown[name][1] == f"{found['encoder']['values'][name]:.6g}" and text in done.out
    assert set(LEGEND) == set(expected["values"]) and set(OF_ENCODER) == set(found["encoder"]["values"])
    assert f"40 samples, {len(train)} training and {len(held_out)} held-out images" in done.out


def test_a_copyist_is_seen_as_one(course, tmp_path, pictures, monkeypatch):
    """A model whose samples are training images is far from 0.5; one whose samples are held-out images is not near 1."""
    train, held_out = (data.load(f"folder:{pictures}", split, size=16) for split in ("train", "test"))
    found = {}
    for name, source in (("copies", train), ("news", held_out)):
        drawn = source.floats(torch.arange(40) % len(source))
        monkeypatch.setattr(methods.GAN, "decode", lambda self, z, drawn=drawn: drawn[: len(z)])
        model = methods.build("gan", methods.GAN.Config(latent_dim=3, width=4), (3, 16, 16), seed=0)
        checkpoints.export(tmp_path / f"{name}.safetensors", model, {"dataset": f"folder:{pictures}"})
        done = course("overfitting", tmp_path / f"{name}.safetensors", *ARGV)
        assert done.code == 0 and "There is no encoder to ask." in done.out
        record = json.loads(Path("m.json").read_text(encoding="utf-8"))
        assert record["encoder"] is None and list(record["memorization"]) == ["pixels"]  # no classifier takes 16x16 pixels
        found[name] = record["memorization"]["pixels"]["values"]["nearer"]
    assert found["copies"] == 1 and found["news"] == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("shape, space", [((3, 32, 32), "cifar"), ((1, 32, 32), "fashion")])
def test_the_classifier_of_the_models_own_shape_is_taken(course, tmp_path, monkeypatch, shape, space):
    model = methods.build("gan", methods.GAN.Config(latent_dim=3, width=4), shape, seed=0)
    dataset = "noto-emoji" if shape[0] == 3 else "fashion-mnist-mini"
    checkpoints.export(tmp_path / "gan.safetensors", model, {"dataset": dataset})
    asked = course("overfitting", tmp_path / "gan.safetensors", "--samples", 4)
    assert asked.code == 2 and f"checkpoint: got 'classifier_{space}" in asked.err  # which is not in this test's folder


def test_help_explains_features(course):
    shown = " ".join(course("overfitting", "--help").out.replace("│", " ").split())
    said = "pixels and the classifier of the model's shape if not given"
    for words in (said, "(default: 1000)", "(default: 50)", "cifar (3x32x32)"):
        assert words in shown


class TestBadInput:
    @pytest.fixture
    def refused(self, course, tmp_path):
        return refusal(course, tmp_path, "overfitting", "--out", "m.json")

    @pytest.mark.parametrize(
        "flags, says",
        [
            (["--samples", 0], "samples: got 0"),
            (["--k", 0], "k: got 0, allowed: from 1 to"),
            ([], "k: got 50, allowed: from 1 to"),  # of the few pictures there are
            (["--features", "inception"], "inception"),
            (["--features", "fashion", "--k", 5], "checkpoint: got 'classifier_fashion'"),
            (["--dataset", "nope"], "dataset: got 'nope'"),
            (["--dataset", "fashion-mnist-mini"], "images: got (1, 1, 16, 16)"),
            (["--size", 24], "images: got (1, 3, 24, 24)"),
        ],
    )
    def test_of_flags(self, refused, trained, flags, says):
        refused(trained, *flags, says=says)

    def test_of_features_that_do_not_fit(self, refused, trained, tmp_path):
        model = methods.build("classifier", methods.Classifier.Config(widths=(4, 8)), (1, 32, 32), seed=0)
        checkpoints.export(tmp_path / "run" / "model.safetensors", model, {})
        (tmp_path / "run" / "log.csv").write_text("step,loss\n1,1.0\n", encoding="utf-8")
        checkpoints.publish("classifier_fashion", tmp_path / "run", tmp_path / "checkpoints")
        refused(trained, "--features", "fashion", "--k", 5, says="allowed: (B, 1, 32, 32). Feature network 'fashion'")

    def test_of_checkpoints(self, refused, pointwise, plane_run):
        refused(pointwise, "--k", 5, says="model: got 'Autoencoder', allowed: a model with a prior")
        refused(plane_run, says="allowed: a model of images")
        refused("nope", says="checkpoint: got 'nope'")
