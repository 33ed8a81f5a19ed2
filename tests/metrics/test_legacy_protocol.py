"""`course evaluate --legacy-train-mode-bn`: the standard fid as ever, and beside it what published code calls so."""

import hashlib
import json

import pytest
import torch
from PIL import Image
from stand_ins import images, random_inception_weights

from course_utils import checkpoints, methods
from course_utils.cli import main
from course_utils.metrics import inception

FLAG = "--legacy-train-mode-bn"


@pytest.fixture(scope="module")
def weights():
    return random_inception_weights()


@pytest.fixture
def course(tmp_path, monkeypatch, capsys, weights):
    """course(*argv) measures a tiny Soft-IntroVAE with batch norm on 5 pictures, with random weights in Inception's place."""
    torch.save({name: value.half() for name, value in weights.items()}, tmp_path / "weights.pth")
    monkeypatch.setattr(inception, "SIZE", (tmp_path / "weights.pth").stat().st_size)
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256((tmp_path / "weights.pth").read_bytes()).hexdigest())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    for i, pixels in enumerate(images(5, (3, 16, 16)).images):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(tmp_path / "pictures" / f"{i:02}.png")
    config = methods.SoftIntroVAE.Config(latent_dim=3, widths=(4, 6), norm="batch")
    model = methods.build("soft-intro-vae", config, (3, 16, 16), seed=0)
    model.prepare_evaluation(images(5, (3, 16, 16)))
    facts = {"dataset": "folder:pictures", "size": 16}
    checkpoints.export(tmp_path / "model.safetensors", model, facts, stored="float32")

    def call(*argv):
        code = main(["evaluate", "model.safetensors", "--split", "train", *map(str, argv), "--out", "found.json"])
        return code, capsys.readouterr()

    return call


def read(path):
    return json.loads((path / "found.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_both_numbers_are_given_and_the_standard_one_is_as_without_the_flag(course, tmp_path):
    asked = ["--metrics", "fid", "--samples", 7, "--inception-weights", "weights.pth"]
    assert course(*asked)[0] == 0
    alone = read(tmp_path)
    code, shown = course(*asked, FLAG)
    both = read(tmp_path)
    legacy = both.pop("legacy_train_mode_bn")
    assert code == 0 and "legacy_train_mode_bn" not in alone
    for found in (alone, both):
        del found["images_per_second"]
    assert both == alone and both["train_mode"] == [] and list(both["metrics"]) == ["fid"]

    assert legacy["train_mode"] == ["features", "model"] and (legacy["batch_size"], legacy["samples"]) == (32, 7)
    assert list(legacy["metrics"]) == ["fid_train_mode"]
    assert abs(legacy["metrics"]["fid_train_mode"] / both["metrics"]["fid"] - 1) > 0.05

    lines = shown.out.splitlines()
    values = {line.split()[0]: line.split()[1] for line in lines if line.startswith("fid") and len(line.split()) == 2}
    assert values == {"fid": f"{both['metrics']['fid']:.6g}", "fid_train_mode": f"{legacy['metrics']['fid_train_mode']:.6g}"}
    for words in ("fid, above, is the standard number", "Inception and the model in train mode, in batches of 32"):
        assert words in shown.out


def test_each_number_has_its_batches(course, tmp_path, monkeypatch):
    asked = []

    def record(model, images, metrics, **settings):
        asked.append((tuple(metrics), settings.get("train_mode", ()), settings["batch_size"]))
        return {"values": {"fid": 1.0}, "samples": 7, "compared": 0}

    monkeypatch.setattr("course_utils.metrics.measure", record)
    both = ("features", "model")
    for flags, standard, legacy in (((), 500, 32), (("--batch-size", 4), 4, 4)):
        assert course("--metrics", "fid", "--samples", 7, FLAG, *flags)[0] == 0
        assert asked[-2:] == [(("fid",), (), standard), (("fid",), both, legacy)]
    assert course("--metrics", "inception", "fd_cifar", FLAG)[0] == 0  # only fid has a published number
    assert asked[-2:] == [(("inception", "fd_cifar"), (), 500), (("fid",), both, 32)]


@pytest.mark.parametrize(
    "argv, says",
    [
        ([], "legacy_train_mode_bn: got '--metrics', allowed: --metrics fid."),
        (["--metrics", "fd_cifar", "kid"], "legacy_train_mode_bn: got '--metrics fd_cifar kid', allowed: --metrics fid."),
        (["--metrics", "fid", "--samples", 33], "samples; batch_size: got (33, 32), allowed: batches of 2 images or more"),
        (["--metrics", "fid", "--batch-size", 1], "samples; batch_size: got (10000, 1)"),
        (["--metrics", "fid", "--samples", 8, "--batch-size", 2], "images of folder:pictures, train; batch_size: got (3, 2)"),
    ],
)
def test_what_has_no_such_number_is_refused_before_anything_is_measured(course, tmp_path, monkeypatch, argv, says):
    monkeypatch.setattr("course_utils.metrics.measure", lambda *_, **__: pytest.fail("measured"))
    code, shown = course(*argv, FLAG)
    assert code == 2 and says in shown.err and not (tmp_path / "found.json").exists()


def test_points_are_refused(tmp_path, monkeypatch, capsys):
    model = methods.build("gan", methods.GAN.Config(network="mlp", width=4, latent_dim=2), (2,), seed=0)
    checkpoints.export(tmp_path / "plane.safetensors", model, {"dataset": "rings"})
    for metrics in (["--metrics", "jsd"], []):
        assert main(["evaluate", str(tmp_path / "plane.safetensors"), *metrics, FLAG]) == 2
        assert "legacy_train_mode_bn: got 'plane', allowed: a checkpoint of images" in capsys.readouterr().err


def test_help_says_what_is_in_train_mode(capsys):
    main(["evaluate", "--help"])
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    words = "Inception, for real images and for samples, and the measured model are in train mode"
    assert f"{FLAG} beside the standard fid" in shown and words in shown
