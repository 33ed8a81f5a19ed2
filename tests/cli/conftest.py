"""A folder of small pictures, a tiny trained run, and a way to call `course` as the shell does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_helpers import QUICK, Result, draw_pictures

from course_utils.cli import main


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Each test has its own working folder and its own checkpoint folder; no rank of a launcher leaks in."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path / "checkpoints"))
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID", "COURSE_DATA"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def course(capsys):
    """Run the command in this process: course("generate", path, "--n", 4) -> code, out, err."""

    def call(*argv) -> Result:
        capsys.readouterr()
        code = main([str(part) for part in argv])
        return Result(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("pictures") / "blobs", 24)


@pytest.fixture(scope="session")
def trained(pictures, tmp_path_factory) -> Path:
    """The folder of a finished tiny VAE on the pictures."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(["train", "vae", "--dataset", f"folder:{pictures}", *QUICK, "--steps", "6", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def pointwise(pictures, tmp_path_factory) -> Path:
    """The folder of a finished tiny autoencoder, which has no prior."""
    out = tmp_path_factory.mktemp("runs") / "tiny_ae"
    argv = ["train", "autoencoder", "--dataset", f"folder:{pictures}", *QUICK, "--steps", "2", "--out", str(out)]
    assert main(argv) == 0
    return out


@pytest.fixture(scope="session")
def plane_run(tmp_path_factory) -> Path:
    """The folder of a finished tiny GAN of points in the plane."""
    out = tmp_path_factory.mktemp("runs") / "plane"
    argv = ["train", "gan", "--dataset", "rings", "--network", "mlp", "--latent-dim", "2", "--width", "8", "--steps", "4"]
    assert main([*argv, "--precision", "32", "--accelerator", "cpu", "--out", str(out)]) == 0
    return out


@pytest.fixture
def shelf(trained, tmp_path, course):
    """A checkpoint folder of its own with the tiny VAE published as "tiny"."""
    from course_utils import checkpoints

    checkpoints.publish("tiny", trained)
    return tmp_path / "checkpoints"


@pytest.fixture
def run_copy(trained, tmp_path) -> Path:
    """The tiny run's folder, to change at will."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))
