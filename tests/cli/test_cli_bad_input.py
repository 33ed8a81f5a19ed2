"""Bad input: one clear message on stderr, exit code 2, and nothing half-written."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import torch
from cli_helpers import QUICK, draw_pictures, tree
from PIL import Image

from course_utils import checkpoints, files, tensors
from course_utils.cli import main


@pytest.fixture
def refused(course, tmp_path):
    """refused("generate", "nope", says=[...]): exit code 2, all the words on stderr, every file as it was."""

    def call(*argv, says=()):
        before = tree(tmp_path)
        done = course(*argv)
        assert done.code == 2, done.err
        assert "Traceback" not in done.err
        for words in says:
            assert words in done.err, done.err
        assert tree(tmp_path) == before
        return done

    return call


@pytest.fixture
def quick(pictures):
    return ["train", "vae", "--dataset", f"folder:{pictures}", *QUICK]


class TestNames:
    def test_unknown_ones_list_what_there_is(self, refused, trained):
        refused("trian", says=["command: got 'trian'", "Did you mean 'train'?"])
        refused("train", "vea", says=["method: got 'vea'", "autoencoder, ", ", vae"])
        refused("train", "--recipe", "vae_fashion_z31", says=["recipe: got", "Did you mean 'vae_fashion_z32'?"])
        refused(
            "train", "vae", "--dataset", "fashon-mnist", says=["dataset: got 'fashon-mnist'", "fashion-mnist, mnist"]
        )
        refused("reconstruct", trained, "--dataset", "nope", says=["dataset: got 'nope'", "cifar10"])
        refused("describe", "vae", "--network", "resnet", says=["network: got 'resnet'", "cifar-assignment"])
        refused("describe", "classifier", says=["method: got 'classifier', allowed: autoencoder, vae"])
        refused("data", "get", "nope", says=["dataset: got 'nope'"])
        refused("data", "get", says=["NAME"])
        refused("generate", "nope", says=["checkpoint: got 'nope'"])
        refused("generate", "no/such/file.safetensors", says=["there is no such file"])
        refused("checkpoints", "verify", "nope", says=["checkpoint: got 'nope'"])

    def test_unknown_flags_and_choices(self, refused, trained):
        refused("train", "vae", "--latent-dmi", "3", says=["--latent-dmi", "--latent-dim"])
        refused("train", "--latent-dim", "3", says=["METHOD"])
        refused("train", "vae", "--recipe", "vae_fashion_z2", says=["not both"])
        refused("reconstruct", trained, "--split", "validation", says=["validation"])
        refused("generate", trained, "--n", "many", says=["many"])
        refused("generate", says=["CHECKPOINT"])
        refused("doctor", "--now", says=["--now"])

    def test_a_missing_package_is_named(self, refused, monkeypatch):
        monkeypatch.setitem(sys.modules, "torchinfo", None)
        refused("describe", "vae", says=["torchinfo", "course doctor"])


class TestNumbers:
    @pytest.mark.parametrize(
        ("flag", "value", "name"),
        [
            ("--latent-dim", 0, "latent_dim"),
            ("--beta", -1, "beta"),
            ("--batch-size", 100, "batch_size"),
            ("--batch-size", 0, "batch_size"),
            ("--steps", 0, "steps"),
            ("--lr", 0, "lr"),
            ("--precision", "8", "precision"),
            ("--optimizer", "lion", "optimizer"),
            ("--likelihood", "poisson", "likelihood"),
            ("--devices", 0, "devices"),
            ("--name", "../up", "name"),
            ("--seed", -1, "seed"),
            ("--seed", 2**63, "seed"),
        ],
    )
    def test_of_training(self, refused, quick, flag, value, name):
        refused(*quick, flag, value, says=[f"{name}: got", "allowed"])

    def test_batch_larger_than_the_data_names_both(self, refused, quick):
        refused(*quick, "--batch-size", 100, says=["batch_size: got 100", "the number of training images"])

    def test_of_pictures(self, refused, trained):
        refused("generate", trained, "--n", 0, says=["n: got 0"])
        refused("generate", trained, "--truncation", -1, says=["truncation"])
        refused("generate", trained, "--truncation", "nan", says=["truncation: got nan"])
        refused("reconstruct", trained, "--first", 999, says=["first: got 999"])
        refused("interpolate", trained, "--from", 0, "--to", 999, says=["to: got 999"])
        refused("interpolate", trained, "--steps", 1, says=["steps: got 1"])
        refused("traverse", trained, "--dims", "0,3", says=["dims: got '0,3'", "0 to 2"])
        refused("traverse", trained, "--dims", "first", says=["dims: got 'first'"])
        refused("evaluate", trained, "--batch-size", 0, says=["batch_size"])

    def test_of_seeds(self, refused, trained):
        for command in (["generate"], ["evaluate"], ["inpaint", "noto-emoji", "--checkpoint"], ["overfitting"]):
            refused(*command, trained, "--seed", 2**64, says=["seed: got 18446744073709551616", "2^63 - 1"])

    def test_of_metrics(self, refused, trained, pointwise, tmp_path, monkeypatch):
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
        measuring = ["evaluate", trained, "--metrics"]
        refused(*measuring, "fid_fashion", says=["metrics: got 'fid_fashion'", "fd_fashion", "fid, kid"])
        refused(*measuring, "fd_cifar", "--samples", 1, says=["samples: got 1"])
        refused(*measuring, "fd_cifar", says=["checkpoint: got 'classifier_cifar10'"])
        refused("evaluate", pointwise, "--metrics", "fd_cifar", says=["model: got 'Autoencoder'", "no prior"])
        refused("evaluate", trained, "--samples", 50, says=["--samples", "--metrics NAME"])
        weights = tmp_path / "weights.pth"
        refused(*measuring, "fid", "--inception-weights", weights, says=["weights.pth is not a file"])
        weights.write_bytes(b"cut off")
        refused(*measuring, "fid", "--inception-weights", weights, says=["has 7 bytes, not 95,628,359", "SHA-256"])
        (tmp_path / "empty").mkdir()
        refused(*measuring, "fid", "--dataset", f"folder:{tmp_path / 'empty'}", says=["no picture"])

    @pytest.mark.skipif(torch.cuda.is_available(), reason="has CUDA")
    def test_devices_that_are_not_there(self, refused, trained, quick):
        refused("generate", trained, "--device", "cuda", says=["device: got 'cuda'", "cpu"])
        refused(*quick, "--accelerator", "cuda", says=["accelerator"])

    def test_several_machines_without_an_address(self, refused, quick, monkeypatch):
        monkeypatch.delenv("MASTER_ADDR", raising=False)
        refused(*quick, "--num-nodes", 2, says=["num_nodes", "MASTER_ADDR"])

    def test_publish_needs_a_name(self, refused, quick):
        refused(*quick, "--publish", says=["--publish needs --name"])


class TestData:
    @pytest.fixture
    def offline(self, monkeypatch, tmp_path):
        """No network, and an empty folder for data."""
        from course_utils import paths

        def urlopen(*args, **kwargs):
            raise urllib.error.URLError("no network here")

        monkeypatch.setattr(urllib.request, "urlopen", urlopen)
        monkeypatch.setattr(paths, "data_dir", lambda: tmp_path / "data")
        monkeypatch.setenv("COURSE_DATA", str(tmp_path / "empty"))

    def test_missing_download_without_a_network(self, refused, offline, tmp_path):
        refused(
            "train",
            "vae",
            "--dataset",
            "cifar10",
            says=["'cifar10' is not on this machine", "COURSE_DATA", "course data get"],
        )
        refused("data", "get", "cifar10", says=["the download of 'cifar10'", "network"])
        refused("train", "--recipe", "cifar_vae_b1", says=["'cifar10' is not on this machine"])

    def test_embedded_data_that_are_gone(self, refused, offline):
        refused("train", "vae", "--dataset", "fashion-mnist-mini", says=["comes with the repository"])

    def test_wrong_sizes_and_channels(self, refused, trained, quick):
        refused("reconstruct", trained, "--size", 24, says=["(1, 3, 24, 24)", "(B, 3, 16, 16)"])
        refused(
            "evaluate", trained, "--dataset", "fashion-mnist-mini", says=["1, 16, 16)", "(B, 3, 16, 16)", "channels"]
        )
        refused(*quick, "--size", 30, says=["data_shape", "multiples of 4"])
        refused(*quick, "--size", 4, says=["size: got 4"])
        refused("describe", "vae", "--channels", 2, says=["1 or 3 channels"])
        refused("describe", "vae", "--size", 30, says=["multiples of 8"])

    def test_folders_without_enough_pictures(self, refused, tmp_path):
        refused("train", "vae", "--dataset", f"folder:{tmp_path / 'none'}", says=["is not a folder"])
        (tmp_path / "texts").mkdir()
        (tmp_path / "texts" / "a.txt").write_text("no picture")
        refused("train", "vae", "--dataset", f"folder:{tmp_path / 'texts'}", says=["no picture", "a.txt"])
        one = draw_pictures(tmp_path / "one", 1)
        refused("train", "vae", "--dataset", f"folder:{one}", says=["one picture only", "at least two"])

    def test_what_is_skipped_is_said_and_the_rest_is_used(self, course, tmp_path):
        mixed = draw_pictures(tmp_path / "mixed", 6)
        (mixed / "notes.txt").write_text("no picture")
        (mixed / "torn.png").write_bytes((mixed / "00.png").read_bytes()[:60])
        Image.new("RGBA", (20, 30), (255, 0, 0, 128)).save(mixed / "clear.png")
        Image.new("I;16", (20, 30), 40000).save(mixed / "deep.png")
        done = course("train", "autoencoder", "--dataset", f"folder:{mixed}", *QUICK, "--steps", 1)
        assert done.code == 0 and "note: " in done.err and "2 of 10 files skipped" in done.err
        assert ".py" not in done.err.split("note: ")[1].splitlines()[0]


class TestCheckpoints:
    def test_damaged_files(self, refused, run_copy):
        path = run_copy / "model.safetensors"
        whole = path.read_bytes()
        bad = {
            "truncated": whole[: len(whole) // 2],
            "flipped": whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:],
            "empty": b"",
            "pickle": b"\x80\x04N.",
            "text": b"not a checkpoint at all, but long enough to look like a header",
        }
        for name, content in bad.items():
            path.write_bytes(content)
            for command in ("generate", "reconstruct", "interpolate", "traverse", "evaluate"):
                refused(command, path, says=[str(path)])
            assert name

    def test_a_flipped_hash_in_the_manifest(self, refused, shelf):
        path = shelf / "manifest.json"
        text = path.read_text()
        sha = checkpoints.entry("tiny")["sha256"]
        path.write_text(text.replace(sha, sha[::-1]))
        refused("generate", "tiny", says=["SHA-256", "was not loaded"])
        refused("checkpoints", "verify", says=["1 of these checks failed", "SHA-256"])
        path.write_text(text[:-20])
        refused("checkpoints", says=["not valid JSON"])

    def test_weights_of_another_architecture(self, refused, run_copy):
        path = run_copy / "model.safetensors"
        state, header = tensors.load(path)
        tensors.save(path, state, {**header, "config": {**header["config"], "latent_dim": 4}})
        refused("generate", path, says=["another architecture"])
        tensors.save(path, state, {**header, "method": "diffusion"})
        refused("generate", path, says=["method: got 'diffusion'"])
        tensors.save(path, state, {**header, "config": {**header["config"], "heads": 4}})
        refused("generate", path, says=["heads", "another version"])

    def test_a_run_state_is_no_model(self, refused, trained):
        refused("generate", trained / "state-000000006.safetensors", says=["holds no model"])

    def test_going_on_with_another_architecture_or_data(self, refused, run_copy, quick, tmp_path):
        other = draw_pictures(tmp_path / "others", 24)
        refused(*quick, "--steps", 8, "--latent-dim", 4, "--out", run_copy, says=["resume", "--no-resume"])
        argv = ["train", "vae", "--dataset", f"folder:{other}", *QUICK, "--steps", 8]
        refused(*argv, "--out", run_copy, says=["resume", "dataset"])

    def test_no_resume_starts_over(self, course, run_copy, quick):
        assert course(*quick, "--steps", 2, "--latent-dim", 4, "--no-resume", "--out", run_copy).code == 0
        assert checkpoints.load(run_copy).latent_dim == 4

    def test_nothing_to_list_or_draw(self, refused):
        for command in ("checkpoints", "figures"):
            refused(command, says=["no checkpoint in", "course fetch"])

    def test_unknown_figures(self, refused, shelf):
        refused("figures", "--only", "samples_tyni", says=["Did you mean 'samples_tiny'?"])
        refused("figures", "--only", "bottleneck_sweep", says=["needs two or more autoencoders"])


class TestPlaces:
    def test_out_is_a_file(self, refused, trained, quick, tmp_path):
        (tmp_path / "file").write_text("mine")
        refused("generate", trained, "--out", tmp_path / "file", says=["file"])
        refused(*quick, "--steps", 1, "--out", tmp_path / "file", says=["out: got"])

    def test_no_room_for_a_file_is_said_before_anything_is_computed(self, refused, trained, pictures, tmp_path, monkeypatch):
        def compute(*_, **__):
            raise AssertionError("computed before it was known that nothing can be written")

        for name in ("course_utils.inpainting.measure", "course_utils.metrics.measure_memorization",
                     "course_utils.ablation.measure_runs", "course_utils.training.evaluate"):  # fmt: skip
            monkeypatch.setattr(name, compute)
        (tmp_path / "file").write_text("mine")
        (tmp_path / "locked").mkdir()
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "locked")
        inpaint = ["inpaint", f"folder:{pictures}", "--checkpoint", trained]
        commands = {"json": [*inpaint, "--json"], "out": ["overfitting", trained, "--k", 3, "--out"]}
        others = [("out", ["ablation", "--runs", tmp_path, "--out"]), ("out", ["evaluate", trained, "--out"])]
        for argument, argv in (*commands.items(), *others):
            refused(*argv, tmp_path, says=[f"{argument}: got", "a file, existing or new", "is there, and is no file"])
            refused(*argv, os.devnull, says=[f"{argument}: got", "is there, and is no file"])
            refused(*argv, tmp_path / "file" / "m.json", says=[f"{argument}: got", "file is there, and is no folder"])
            refused(*argv, tmp_path / "locked" / "new" / "m.json", says=[f"{argument}: got", "a file that may be written"])
        refused(*inpaint, "--out", tmp_path / "file", says=["out: got", "a folder, existing or new"])
        refused(*inpaint, "--out", tmp_path / "locked", says=["out: got", "a folder that may be written"])

    def test_a_name_that_no_file_system_takes(self, refused, trained):
        refused("generate", "a" * 300, says=["File name too long"])
        refused("generate", trained, "--out", "a" * 300, says=["File name too long"])

    def test_full_disk_while_training(self, course, quick, tmp_path, monkeypatch):
        """The states that were whole stay, the one that did not fit leaves nothing, and the run goes on from there."""
        assert course(*quick, "--steps", 2, "--out", "run").code == 0
        before, real = tree(Path("run")), os.fsync

        def fsync(handle):
            if os.fstat(handle).st_size > 4000:  # the log still fits, a state does not
                raise OSError(errno.ENOSPC, "No space left on device")
            real(handle)

        monkeypatch.setattr(files.os, "fsync", fsync)
        done = course(*quick, "--steps", 4, "--out", "run")
        assert done.code == 2 and "the disk is full" in done.err and "state-000000004" in done.err
        after = tree(Path("run"))
        assert {k: v for k, v in after.items() if k != "log.csv"} == {k: v for k, v in before.items() if k != "log.csv"}
        monkeypatch.setattr(files.os, "fsync", real)
        assert course(*quick, "--steps", 4, "--out", "run").code == 0

    def test_full_disk_while_writing_pictures(self, refused, trained, monkeypatch):
        def fsync(handle):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(files.os, "fsync", fsync)
        refused("generate", trained, "--n", 2, says=["generated.png", "the disk is full"])
        refused("evaluate", trained, "--out", "m.json", says=["m.json", "the disk is full"])

    def test_a_disk_that_is_really_full(self, course, trained, quick, tmp_path):
        place = tmp_path / "small"
        place.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
        if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("needs the right to mount a small file system")
        try:
            done = course(*quick, "--steps", 2, "--latent-dim", 200, "--out", place / "run")
            assert done.code == 2 and "the disk is full" in done.err
            assert not [path for path in place.rglob("*") if path.suffix != ".csv" and path.is_file()]
            done = course("generate", trained, "--n", 500, "--out", place)
            assert done.code == 2 and "the disk is full" in done.err
        finally:
            subprocess.run(["umount", str(place)], check=True)

    def test_a_folder_that_may_not_be_written(self, refused, trained, monkeypatch):
        def touch(path, **options):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        monkeypatch.setattr(Path, "touch", touch)
        refused("generate", trained, "--out", "closed", says=["Permission denied", "closed"])


class TestTrainingGoesWrong:
    def test_a_loss_that_is_not_finite(self, course, quick):
        assert course(*quick, "--steps", 4, "--out", "run").code == 0
        before = {name: body for name, body in tree(Path("run")).items() if name.startswith("state")}
        done = course(*quick, "--steps", 20, "--lr", "1e30", "--out", "run")
        assert done.code == 2 and "loss term" in done.err and "not finite" in done.err
        assert "state-000000004" in done.err
        after = {name: body for name, body in tree(Path("run")).items() if name.startswith("state")}
        assert after == before
        assert course(*quick, "--steps", 8, "--out", "run").code == 0

    def test_from_the_first_step(self, course, quick):
        done = course(*quick, "--steps", 20, "--lr", "1e30", "--out", "run")
        assert done.code == 2 and "loss term" in done.err and "not finite" in done.err and "--lr" in done.err
        assert [path.name for path in Path("run").glob("state*")] == ["state-000000000.safetensors"]  # the first weights
        assert course(*quick, "--steps", 8, "--out", "run").code == 0

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
    def test_interrupted_from_the_keyboard(self, quick, tmp_path):
        """A real SIGINT to a real process."""
        argv = [sys.executable, "-m", "course_utils.cli", *map(str, quick), "--steps", "100000", "--out", "run"]
        # A shell's background jobs ignore SIGINT, and so would this process if the tests run in one.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        signal.signal(signal.SIGINT, before)
        deadline = time.monotonic() + 120
        while not list(Path("run").glob("state-*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130 and "Traceback" not in err
        assert shlex.split(err.split("To go on: ")[1])[0] == "course"


class TestTeach:
    def test_grade_and_release(self, refused, tmp_path):
        refused("grade", says=["NOTEBOOK"])
        refused("grade", "missing.ipynb", says=["missing.ipynb"])
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "file").write_text("mine")
        refused("release", tmp_path / "full", says=["out: got"])


def test_exit_code_of_the_process(tmp_path):
    command = [sys.executable, "-m", "course_utils.cli", "generate", "no-such-checkpoint"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("error: checkpoint: got")


def test_only_the_first_process_complains(capsys, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert main(["generate", "nope"]) == 2
    assert capsys.readouterr().err == ""
