"""Every subcommand does what it says, on a tiny model."""

from __future__ import annotations

import inspect
import io
import json
import os
import shlex
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_helpers import QUICK, draw_pictures, tree
from PIL import Image

from course_utils import __version__, checkpoints, methods
from course_utils.cli import COMMANDS, main, pictures
from course_utils.cli.common import table
from course_utils.metrics import metric_names

COMMAND = [sys.executable, "-m", "course_utils.cli"]


class TestEntry:
    def test_alone_and_help_list_every_command(self, course):
        for argv in ([], ["--help"]):
            shown = course(*argv)
            assert shown.code == 0 and all(f"  {name} " in shown.out for name in COMMANDS)

    def test_version(self, course):
        assert course("--version").out == f"course {__version__}\n"

    def test_help_is_quick_and_needs_no_torch(self):
        started = time.perf_counter()
        code = "import sys; from course_utils.cli import main; main(['--help']); sys.exit('torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
        assert time.perf_counter() - started < 6  # 0.2 s on an idle machine; importing torch alone takes 2 s or more

    @pytest.mark.parametrize("name", [name for name in COMMANDS if name != "train"])
    def test_every_command_explains_each_of_its_options(self, course, name):
        shown = course(name, "--help")
        assert shown.code == 0 and f"course {name}" in shown.out and "None" not in shown.out
        text = shown.out.replace("│", "").splitlines()
        flags = [line.split() for line in text if line.strip().startswith("--")]
        for words, line in zip(flags, [line for line in text if line.strip().startswith("--")], strict=True):
            following = text[text.index(line) + 1]
            assert len(words) > 3 or following.strip(), f"{name} {words[0]} is not explained"

    def test_train_help_shows_defaults_of_method_and_run(self, course):
        shown = course("train", "vae", "--help").out
        for words in (
            "--latent-dim INT",
            "--beta FLOAT",
            "--batch-size INT",
            "nats per latent dimension",
            "default: 0.5",
        ):
            assert words in shown
        assert "None" not in shown
        assert "(default: 256)" in course("train", "--recipe", "cifar_vae_b1", "--help").out  # the recipe's own values

    @pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
    def test_a_reader_who_is_gone_is_no_error(self):
        line = f"(sleep 0.2; {shlex.join(COMMAND)} --help; echo code $? >&2) | true"
        assert subprocess.run(line, shell=True, capture_output=True, text=True).stderr == "code 0\n"

    def test_a_stream_that_takes_few_characters_is_no_error(self):
        for encoding in ("cp1252", "ascii"):  # what Windows gives a pipe, and a bare POSIX locale
            env = {**os.environ, "PYTHONIOENCODING": encoding}
            done = subprocess.run([*COMMAND, "describe", "vae", "--size", "16", "--widths", "4"], env=env, capture_output=True)
            assert done.returncode == 0 and b"parameters: " in done.stdout, done.stderr

    def test_an_unexpected_error_keeps_its_traceback(self, monkeypatch):
        monkeypatch.setitem(COMMANDS, "doctor", ("machine", "nothing_of_this_name", ""))
        with pytest.raises(AttributeError):
            main(["doctor"])


class TestTrain:
    def test_leaves_model_curves_and_pictures_and_says_where(self, trained, course, pictures):
        names = {path.name for path in trained.iterdir()}
        assert {"model.safetensors", "log.csv", "reconstructed_test.png", "generated.png"} <= names
        again = course("train", "vae", "--dataset", f"folder:{pictures}", *QUICK, "--steps", 6, "--out", trained)
        for name in ("model.safetensors", "log.csv", "reconstructed_test.png", "generated.png"):
            assert str(trained / name) in again.out
        assert again.code == 0

    def test_the_recorded_command_makes_the_same_weights(self, trained, course):
        _, header = checkpoints.load_file(trained / "model.safetensors")
        words = shlex.split(header["command"])
        assert words[:3] == ["course", "train", "vae"] and header["size"] == 16
        assert course(*words[1:], "--out", "again").code == 0
        fresh, old = checkpoints.load("again").state_dict(), checkpoints.load(trained).state_dict()
        assert all(torch.equal(fresh[name], old[name]) for name in old)

    def test_default_folder_is_named_after_method_and_data(self, course, pictures):
        assert course("train", "autoencoder", "--dataset", f"folder:{pictures}", *QUICK, "--steps", 1).code == 0
        assert Path("runs/autoencoder_folder-blobs_16/model.safetensors").is_file()
        # An autoencoder has no prior to sample from.
        assert not Path("runs/autoencoder_folder-blobs_16/generated.png").exists()

    def test_interrupted_says_how_to_go_on_and_the_command_goes_on(self, course, pictures, monkeypatch, trained):
        from course_utils.training import loop

        whole = loop.Run._one_step

        def step(run):
            if run.step == 5:
                raise KeyboardInterrupt
            return whole(run)

        monkeypatch.setattr(loop.Run, "_one_step", step)
        stopped = course("train", "vae", "--dataset", f"folder:{pictures}", *QUICK, "--steps", 6, "--out", "run")
        assert stopped.code == 130 and "state-000000004" in stopped.err
        monkeypatch.setattr(loop.Run, "_one_step", whole)
        words = shlex.split(stopped.err.split("To go on: ")[1])
        assert words[0] == "course" and course(*words[1:]).code == 0
        fresh, old = checkpoints.load("run").state_dict(), checkpoints.load(trained).state_dict()
        assert all(torch.equal(fresh[name], old[name]) for name in old)

    def test_publish_puts_weights_and_curves_into_the_manifest(self, course, pictures, tmp_path):
        data = ("--dataset", f"folder:{pictures}")
        done = course("train", "vae", *data, *QUICK, "--steps", 2, "--name", "mine", "--publish")
        assert done.code == 0 and "published as mine" in done.out
        made = set(tree(tmp_path / "checkpoints")) - {".manifest.lock"}
        assert made == {"manifest.json", "mine.csv", "mine.safetensors.xz"}
        assert checkpoints.load("mine").latent_dim == 3

    def test_recipe_takes_overrides_of_the_run(self, course, monkeypatch, pictures, tmp_path):
        from course_utils import recipes
        from course_utils.methods.vae import VAEConfig
        from course_utils.training import RunConfig

        run = RunConfig(steps=50, batch_size=4, precision="32", accelerator="cpu")
        config, folder = VAEConfig(latent_dim=2, widths=(4, 8)), f"folder:{pictures}"
        recipe = recipes.Recipe("vae", config, folder, run, size=16, weights=False, keep=3)
        monkeypatch.setitem(recipes.RECIPES, "little", recipe)
        assert course("train", "--recipe", "little", "--steps", 2, "--publish").code == 0
        made = set(tree(tmp_path / "checkpoints")) - {".manifest.lock"}
        assert made == {"manifest.json", "little.csv", "little.samples.safetensors.xz"}
        _, header = checkpoints.load_file(Path("runs/little/model.safetensors"))
        assert (header["recipe"], header["steps"]) == ("little", 2)
        assert header["command"] == "course train --recipe little --steps 2"
        assert "little" in course("train", "--list").out

    def test_a_classifier_is_trained_and_measured_and_makes_no_pictures(self, course, tmp_path):
        argv = ["--dataset", "fashion-mnist-mini", *QUICK[7:], "--widths", 4, 4, "--steps", 3, "--out", tmp_path / "run"]
        done = course("train", "classifier", *argv)
        assert done.code == 0 and "accuracy" in done.out and not list((tmp_path / "run").glob("*.png"))
        assert "accuracy" in course("evaluate", tmp_path / "run").out
        refused = course("generate", tmp_path / "run")
        assert refused.code == 2 and "a model that decodes" in refused.err

    def test_quiet_about_precision(self, course, pictures, caplog):
        argv = ["--dataset", f"folder:{pictures}", *QUICK, "--steps", 1, "--precision", "bf16"]
        assert "Mixed Precision" not in course("train", "vae", *argv).err + caplog.text

    @pytest.mark.slow
    def test_two_processes_speak_once(self, pictures, tmp_path):
        argv = [*COMMAND, "train", "vae", "--dataset", f"folder:{pictures}", *QUICK, "--steps", "4", "--devices", "2"]
        done = subprocess.run([*argv, "--out", str(tmp_path / "two")], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("images per second") == 1
        assert checkpoints.load(tmp_path / "two").latent_dim == 3


class TestPictures:
    def test_sheet_has_two_pixels_between_nearest_enlarged_images(self):
        images = torch.rand(3, 1, 16, 16)
        page = np.asarray(pictures.sheet([images]))  # scale 96 // 16 = 6
        assert page.shape == (2 + 96 + 2, 2 + 3 * 98, 3)
        assert (page[:, 98:100] == 255).all() and (page[:2] == 255).all()
        want = np.repeat(np.repeat((images[1, 0] * 255).round().numpy().astype(np.uint8), 6, 0), 6, 1)
        assert (page[2:98, 100:196, 0] == want).all()

    def test_color_and_large_images_stay_as_they_are(self):
        image = torch.rand(1, 3, 128, 96)
        page = np.asarray(pictures.sheet([image]))
        assert page.shape == (132, 100, 3)
        assert (page[2:-2, 2:-2] == (image[0] * 255).round().permute(1, 2, 0).numpy().astype(np.uint8)).all()

    def test_a_ragged_last_row_is_left_white(self):
        page = np.asarray(pictures.sheet(torch.zeros(3, 1, 96, 96).split(2)))
        assert (page[100:, 100:] == 255).all() and (page[100:196, 2:98] == 0).all()

    def test_labels_and_heads_stand_beside_the_images_not_on_them(self):
        rows = torch.zeros(2, 2, 1, 96, 96)
        page = np.asarray(pictures.sheet(list(rows), labels=("first", "second"), heads=("-1", "+1")))
        bare = np.asarray(pictures.sheet(list(rows)))
        assert (page[pictures.HEAD :, -bare.shape[1] :] == bare).all()
        assert (page[: pictures.HEAD] < 255).any() and (page[:, : -bare.shape[1]] < 255).any()

    @pytest.mark.parametrize("n", [1, 2, 7, 16, 32, 64, 100, 1000])
    def test_grids_are_about_square(self, n):
        columns = pictures.columns_for(n)
        assert 1 <= columns <= 16 and columns <= n


class TestLook:
    def test_generate(self, course, trained):
        for out, seed in (("a", 1), ("b", 1), ("c", 2)):
            done = course("generate", trained, "--n", 5, "--seed", seed, "--files", "--out", out)
            assert done.code == 0 and str(Path(out, "generated.png")) in done.out
        assert tree(Path("a")) == tree(Path("b")) != tree(Path("c"))
        assert len(list(Path("a/generated").glob("*.png"))) == 5
        assert Image.open("a/generated/000.png").size == (16, 16)

    def test_generate_shows_what_the_model_samples(self, course, trained):
        course("generate", trained, "--n", 3, "--files", "--truncation", 0.5, "--out", "a")
        want = checkpoints.load(trained).sample(3, torch.Generator().manual_seed(0), 0.5)
        got = np.stack([np.asarray(Image.open(f"a/generated/{i:03d}.png")) for i in range(3)])
        assert np.array_equal(got, (want * 255).round().byte().permute(0, 2, 3, 1).numpy())

    def test_generate_by_name_from_the_manifest(self, course, shelf):
        assert course("generate", "tiny", "--n", 2).code == 0
        assert Path("build/pictures/tiny/generated.png").is_file()

    def test_reconstruct(self, course, trained):
        done = course("reconstruct", trained, "--split", "train", "--n", 5, "--files")
        assert done.code == 0 and "squared error" in done.out
        names = {path.name for path in Path("build/pictures/tiny/reconstructed_train").iterdir()}
        assert names == {f"{kind}_{i:03d}.png" for kind in ("original", "reconstruction") for i in range(5)}
        # 16 pixels enlarged 6 times; the row of images and the row of reconstructions.
        assert Image.open("build/pictures/tiny/reconstructed_train.png").size == (2 + 5 * 98, 2 + 2 * 98)

    def test_interpolate(self, course, trained):
        path = ["--split", "train", "--from", 0, "--to", 3, "--steps", 4]
        assert course("interpolate", trained, *path, "--files", "--out", "line").code == 0
        assert course("interpolate", trained, *path, "--files", "--spherical", "--out", "arc").code == 0
        line, arc = tree(Path("line/interpolated_0_3")), tree(Path("arc/interpolated_0_3"))
        assert len(line) == 4
        assert (
            line["000.png"] == arc["000.png"]
            and line["003.png"] == arc["003.png"]
            and line["001.png"] != arc["001.png"]
        )

    def test_traverse(self, course, trained, pointwise):
        assert course("traverse", trained, "--steps", 5).code == 0
        chosen = course("traverse", trained, "--dims", "2,0", "--steps", 5, "--out", "chosen")
        assert chosen.code == 0 and Path("chosen/traversed_0.png").is_file()
        assert course("traverse", pointwise, "--split", "train", "--out", "ae").code == 0

    def test_pictures_of_images_from_elsewhere(self, course, trained, tmp_path):
        other = draw_pictures(tmp_path / "other", 6, side=40)
        assert course("reconstruct", trained, "--dataset", f"folder:{other}", "--n", 2).code == 0


class TestMeasure:
    def test_evaluate_finds_what_was_recorded(self, course, trained):
        done = course("evaluate", trained, "--out", "found.json")
        assert done.code == 0 and "images per second" in done.out
        found, (_, header) = (
            json.loads(Path("found.json").read_text()),
            checkpoints.load_file(trained / "model.safetensors"),
        )
        assert (
            found["metrics"] == pytest.approx(header["metrics"], rel=1e-5)
            and found["metrics"].keys() == header["metrics"].keys()
        )

    @pytest.fixture
    def small_classifier(self, tmp_path, monkeypatch):
        """An untrained classifier of 16x16 images in the place of the shipped one; cached statistics in the test's folder."""
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        model = methods.build("classifier", methods.Classifier.Config(widths=(4, 8)), (3, 16, 16), seed=0)
        run = tmp_path / "classifier"
        checkpoints.export(run / "model.safetensors", model, {})
        (run / "log.csv").write_text("step,loss\n1,1.0\n", encoding="utf-8")
        checkpoints.publish("classifier_cifar10", run, tmp_path / "checkpoints")

    def test_evaluate_measures_samples(self, course, trained, small_classifier):
        argv = ["evaluate", trained, "--split", "train", "--metrics", "cifar", "--samples", 30, "--out", "found.json"]
        done = course(*argv)
        assert done.code == 0 and "30 samples against" in done.out and "kd_cifar_std" in done.out and "30/30" in done.err
        found = json.loads(Path("found.json").read_text())
        assert found["metrics"].keys() == {*metric_names("cifar"), "kd_cifar_std"}
        assert found["samples"] == 30 and found["reference"]["split"] == "train" and found["networks"]["cifar"]["dimension"] == 8
        again = course(*argv, "--batch-size", 7)
        rows = [line.split() for line in done.out.splitlines() if "_cifar" in line]
        assert len(rows) == 7
        for name, value in (row[:2] for row in rows):
            assert float(value) == pytest.approx(found["metrics"][name], rel=1e-5, abs=1e-12)
        assert again.code == 0
        repeated = json.loads(Path("found.json").read_text())["metrics"]
        assert repeated == pytest.approx(found["metrics"], rel=1e-3, abs=1e-6)

    def test_list(self, course, shelf):
        shown = course("checkpoints")
        assert shown.code == 0 and "tiny" in shown.out and "vae" in shown.out

    def test_verify_passes_and_tells_what_differs(self, course, shelf):
        done = course("checkpoints", "verify")
        assert done.code == 0 and done.out.splitlines()[-1].split()[:4] == ["tiny", "ok", "ok", "ok"]
        path = shelf / "manifest.json"
        known = json.loads(path.read_text())
        known["tiny"]["metrics"]["kl"] *= 1.01
        path.write_text(json.dumps(known))
        done = course("checkpoints", "verify", "tiny")
        assert done.code == 2 and "tiny: kl is" in done.err and "DIFFERS" in done.out

    def test_a_measure_that_is_not_a_number_or_gone_differs(self, course, shelf, monkeypatch):
        from course_utils import recipes

        real = recipes.measured
        monkeypatch.setattr(recipes, "measured", lambda *given: real(*given) | {"kl": float("nan")})
        done = course("checkpoints", "verify")
        assert done.code == 2 and "tiny: kl is nan" in done.err and done.out.split()[-2:] == ["DIFFERS", "inf"]
        monkeypatch.setattr(recipes, "measured", lambda *given: {k: v for k, v in real(*given).items() if k != "sse"})
        assert "tiny: sse is nan" in course("checkpoints", "verify").err

    def test_verify_says_what_it_could_not_measure(self, course, shelf):
        path = shelf / "manifest.json"
        known = json.loads(path.read_text())
        known["tiny"]["dataset"] = "folder:/nowhere/at/all"
        path.write_text(json.dumps(known))
        done = course("checkpoints", "verify")
        assert done.code == 0 and "is not on this machine" in done.out

    def test_verify_notices_other_data(self, course, shelf):
        path = shelf / "manifest.json"
        known = json.loads(path.read_text())
        known["tiny"]["dataset_sha256"] = "0" * 64
        path.write_text(json.dumps(known))
        assert "another hash" in course("checkpoints", "verify").out

    def test_recorded_runs_without_weights_are_verified_by_their_curves(self, course, shelf, trained):
        checkpoints.publish("recorded", trained, weights=False)
        assert course("checkpoints", "verify", "recorded").code == 0
        (shelf / "recorded.csv").unlink()
        done = course("checkpoints", "verify", "recorded")
        assert done.code == 2 and "curves" in done.err


class TestDescribe:
    @pytest.mark.parametrize(
        ("argv", "count"),
        [
            (["autoencoder", "--network", "cifar-assignment", "--latent-dim", 16], "1,212,819"),
            (["autoencoder", "--network", "cifar-assignment", "--latent-dim", 128], "2,130,435"),
            (["autoencoder", "--network", "cifar-assignment", "--latent-dim", 1024], "9,471,363"),
            (["vae", "--network", "cifar-assignment", "--latent-dim", 1024], "13,666,691"),
            (["vae", "--network", "dcgan64", "--latent-dim", 64], "1,767,041"),
        ],
    )
    def test_published_parameter_counts(self, course, argv, count):
        shown = course("describe", *argv)
        assert shown.code == 0 and f"parameters: {count}" in shown.out and "Conv2d" in shown.out

    def test_other_sizes_and_channels(self, course):
        shown = course("describe", "vae", "--size", 24, "--channels", 3).out
        assert "[1, 3, 24, 24]" in shown


class TestFigures:
    def test_draws_what_the_shelf_allows_and_says_what_not(self, course, shelf):
        done = course("figures", "--out", "figures")
        assert done.code == 0 and "skipped bottleneck_sweep" in done.out
        assert {path.stem for path in Path("figures").iterdir()} == {
            f"{kind}_tiny" for kind in ("reconstructions", "samples", "kl_per_dimension")
        }

    def test_a_method_gets_the_figures_of_what_it_can_do(self, shelf):
        from course_utils.cli import draw

        entry = checkpoints.entry("tiny")
        known = {"c": entry | {"method": "classifier", "config": {}}, "g": entry | {"method": "gan"}, "v": entry}
        made = [name for name in draw.registered(known) if name not in draw.FIGURES]
        assert made == ["samples_g", "reconstructions_v", "samples_v", "kl_per_dimension_v"]

    def test_rate_distortion_and_curves_of_recorded_runs(self, course, shelf, trained):
        from course_utils.files import write_json

        entry = checkpoints.entry("tiny")
        entry |= {"dataset": "fashion-mnist", "config": entry["config"] | {"latent_dim": 32}}
        scheduled = entry | {"config": entry["config"] | {"beta_schedule": "linear"}}
        write_json(shelf / "manifest.json", {"one": entry, "two": scheduled})
        only = ("rate_distortion", "curves_vae_fashion_kl")
        assert course("figures", "--out", "figures", "--only", *only).code == 0
        assert {path.stem for path in Path("figures").iterdir()} == set(only)


class TestPoints:
    """A model of points: trained, measured with the floor beside, drawn; what makes pictures refuses it."""

    def test_evaluate(self, course, plane_run):
        assert "20,000 points" in course("evaluate", plane_run).out and (plane_run / "generated.png").stat().st_size > 10_000
        done = course("evaluate", plane_run, "--metrics", "jsd", "within", "--samples", 2000, "--out", "found.json")
        found = json.loads(Path("found.json").read_text(encoding="utf-8"))
        assert list(found["metrics"]) == ["jsd", "within"] and found["samples"] == 2000
        assert found["real_against_real"]["jsd"] == pytest.approx(0.19, abs=0.03)
        row = next(line.split() for line in done.out.splitlines() if line.startswith("jsd"))
        assert [float(cell) for cell in row[1:]] == pytest.approx(
            [found["metrics"]["jsd"], found["real_against_real"]["jsd"], found["real_against_real"]["jsd_std"]], rel=1e-4
        )
        assert "real points" in done.out and "points per second" in done.out

    @pytest.mark.parametrize("command", ["generate", "reconstruct", "interpolate", "traverse"])
    def test_no_pictures(self, course, plane_run, command):
        done = course(command, plane_run)
        assert done.code == 2 and "a model of images" in done.err and "course evaluate" in done.err

    def test_of_images_or_of_points(self, course, plane_run, trained):
        assert "need images" in course("evaluate", plane_run, "--metrics", "fd_fashion").err
        assert "points in the plane" in course("evaluate", trained, "--metrics", "jsd").err
        assert "(1, 2)" in course("evaluate", trained, "--dataset", "rings").err

    def test_figures(self, course, plane_run, tmp_path):
        checkpoints.publish("circles", plane_run)
        assert course("figures", "--out", "figures").code == 0
        assert Path("figures/plane_samples_circles.png").stat().st_size > 10_000


class TestData:
    def test_list(self, course):
        shown = course("data")
        for words in ("two-spirals", "8 MB", "fashion-mnist-mini", "cifar10", "folder:PATH", "MIT", "10000", "yes"):
            assert words in shown.out

    def test_get_what_is_here(self, course):
        assert "10,000" in course("data", "get", "fashion-mnist-mini").out


def archive(path: Path, files: dict[str, bytes]) -> str:
    with tarfile.open(path, "w:gz") as tar:
        for name, body in files.items():
            member = tarfile.TarInfo(f"course-HEAD/{name}")
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return path.as_uri()


class TestFetch:
    @pytest.fixture
    def source(self, shelf, tmp_path, monkeypatch):
        """The shelf's files as an archive; an empty place to fetch them to."""
        from course_utils.cli import datasets

        files = {f"checkpoints/{name}": body for name, body in tree(shelf).items() if name != ".manifest.lock"}
        monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path / "fetched"))
        monkeypatch.setattr(datasets, "data_dir", lambda: tmp_path / "fetched_data")
        return files | {"data/set/images.bin": b"pixels", "README.md": b"no", "data/../../evil": b"no", "data/..\\evil": b"no"}

    def test_gets_weights_and_data_and_nothing_else(self, course, source, tmp_path):
        url = archive(tmp_path / "a.tar.gz", source)
        assert "3 files written, 0 were here" in course("fetch", "--url", url).out
        assert set(tree(tmp_path / "fetched")) == {"manifest.json", "tiny.csv", "tiny.safetensors.xz"}
        assert tree(tmp_path / "fetched_data") == {"set/images.bin": b"pixels"}
        assert checkpoints.load("tiny").latent_dim == 3
        assert not (tmp_path / "evil").exists()

    def test_keeps_what_differs_unless_told_to(self, course, source, tmp_path):
        url = archive(tmp_path / "a.tar.gz", source)
        mine = tmp_path / "fetched_data" / "set" / "images.bin"
        mine.parent.mkdir(parents=True)
        mine.write_bytes(b"mine")
        assert "1 differ" in course("fetch", "--url", url).out and mine.read_bytes() == b"mine"
        assert course("fetch", "--url", url, "--replace").code == 0 and mine.read_bytes() == b"pixels"

    def test_damaged_weights_are_not_written(self, course, source, tmp_path):
        source["checkpoints/tiny.safetensors.xz"] = source["checkpoints/tiny.safetensors.xz"][:-1] + b"!"
        done = course("fetch", "--url", archive(tmp_path / "a.tar.gz", source))
        assert done.code == 2 and "do not match their hash" in done.err and not (tmp_path / "fetched").exists()

    def test_any_flipped_byte_of_the_archive_is_noticed(self, course, source, tmp_path):
        source["data/set/images.bin"] = bytes(range(256)) * 20
        archive(tmp_path / "a.tar.gz", source)
        whole = (tmp_path / "a.tar.gz").read_bytes()
        start = whole.index(b"\0", 10) + 1  # behind the name that gzip keeps and nobody reads
        for place in (*range(start, len(whole), len(whole) // 40), len(whole) - 6):
            (tmp_path / "bad.tar.gz").write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
            done = course("fetch", "--url", (tmp_path / "bad.tar.gz").as_uri())
            assert done.code == 2 and "not a whole" in done.err
        assert not (tmp_path / "fetched").exists() and not (tmp_path / "fetched_data").exists()

    def test_a_damaged_manifest_on_either_side(self, course, source, tmp_path):
        bad = archive(tmp_path / "b.tar.gz", source | {"checkpoints/manifest.json": b"{"})
        assert "not a whole" in course("fetch", "--url", bad).err
        (tmp_path / "fetched").mkdir()
        (tmp_path / "fetched" / "manifest.json").write_text("{", encoding="utf-8")
        done = course("fetch", "--url", archive(tmp_path / "a.tar.gz", source))
        assert done.code == 2 and "not valid JSON" in done.err and not (tmp_path / "fetched_data").exists()

    def test_half_an_archive_and_no_network(self, course, source, tmp_path):
        archive(tmp_path / "a.tar.gz", source)
        half = (tmp_path / "a.tar.gz").read_bytes()
        (tmp_path / "half.tar.gz").write_bytes(half[: len(half) // 2])
        done = course("fetch", "--url", (tmp_path / "half.tar.gz").as_uri())
        assert done.code == 2 and "not a whole" in done.err
        done = course("fetch", "--url", "http://127.0.0.1:9/a.tar.gz")
        assert done.code == 2 and "could not be fetched" in done.err and "by hand" in done.err
        assert not (tmp_path / "fetched").exists() and not (tmp_path / "fetched_data").exists()


class TestDoctor:
    def test_this_machine_is_usable(self, course, shelf):
        shown = course("doctor")
        assert shown.code == 0 and "The course runs here" in shown.out
        for words in ("python", "torch", "cpu", "fashion-mnist-mini", "1 in ", "COURSE_CHECKPOINTS"):
            assert words in shown.out

    def test_a_missing_and_an_old_package(self, course, monkeypatch):
        from course_utils import doctor

        versions = {"torch": "2.1.0", "kornia": None}
        real = doctor.metadata.version

        def version(name):
            if versions.get(name, "") is None:
                raise doctor.metadata.PackageNotFoundError(name)
            return versions.get(name) or real(name)

        monkeypatch.setattr(doctor.metadata, "version", version)
        shown = course("doctor")
        assert shown.code == 1 and "torch 2.1.0 is older than 2.6" in shown.out
        assert 'pip install "torch>=2.6" "kornia>=' in shown.out and "kornia is missing (for augmentation)" in shown.out

    def test_only_optional_packages_missing_is_a_note(self, course, shelf, monkeypatch):
        from course_utils import doctor

        monkeypatch.setattr(doctor, "requirements", lambda: {"": ["no-such-package>=1"]})
        shown = course("doctor")
        assert shown.code == 0 and "no-such-package is missing" in shown.out

    def test_damaged_weights_and_wrong_variables(self, course, shelf, monkeypatch):
        path = shelf / "tiny.safetensors.xz"
        path.write_bytes(path.read_bytes()[:-1] + b"!")
        monkeypatch.setenv("COURSE_DATA", "/no/such/folder")
        monkeypatch.setenv("COURSE_DTAA", "x")
        shown = course("doctor")
        assert shown.code == 1 and "tiny is damaged" in shown.out
        assert "/no/such/folder, which is not a folder" in shown.out and "COURSE_DTAA = x means nothing" in shown.out

    def test_a_check_that_breaks_is_reported(self, monkeypatch):
        from course_utils import doctor

        monkeypatch.setattr(doctor, "requirements", lambda: 1 / 0)
        broken = [check for check in doctor.examine() if check.topic == "packages"]
        assert broken[0].status == doctor.PROBLEM and "ZeroDivisionError" in broken[0].found


class TestTeach:
    def test_grade_passes_everything_on(self, course, monkeypatch):
        from course_utils import grading

        signature, seen = inspect.signature(grading.grade), {}

        def grade(*args, **kwargs):
            seen.update(signature.bind(*args, **kwargs).arguments)
            return "the table"

        monkeypatch.setattr(grading, "grade", grade)
        argv = ["--out", "g.csv", "--roster", "r.csv", "--timeout", 9, "--memory", 512, "--feedback", "f", "--jobs", 2]
        done = course("grade", "a.ipynb", "b.ipynb", *argv)
        assert done.code == 0 and "the table" in done.out
        assert tuple(seen["paths"]) == ("a.ipynb", "b.ipynb") and seen["out"] == Path("g.csv")
        assert (seen["timeout_s"], seen["memory_mb"], seen["jobs"]) == (9.0, 512, 2)
        assert (seen["roster"], seen["feedback_dir"]) == (Path("r.csv"), Path("f"))

    def test_release_passes_the_folder_on(self, course, monkeypatch):
        from course_utils.publishing import release

        monkeypatch.setattr(release, "release", lambda root, out: f"{root.name and 12}:{out}")
        assert "wrote 12:somewhere files" in course("release", "somewhere").out


def test_table_aligns_numbers_right_and_words_left():
    shown = table([["name", "value"], ["a", 1], ["long", 100]])
    assert shown.splitlines() == ["name  value", "----  -----", "a         1", "long    100"]
