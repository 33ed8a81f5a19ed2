"""Every method from the command line: its options, a short run, what is measured of it."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
from cli_helpers import QUICK

from course_utils.methods import METHODS
from course_utils.methods.introspective import IntrospectiveConfig
from course_utils.methods.regularized import RegularizedConfig

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED_OPTIONS = """dataset num_epochs z_dim seed num_vae lr beta_rec beta_kl beta_neg gamma_r batch_size pretrained device fid
    gn_real_sigma nn_sigma_enc nn_sigma_dec nn_gn_rel p_enc_s p_enc_e p_dec_s p_dec_e drop_dis p_augment p_ls_enc p_ls_dec"""


@pytest.mark.parametrize("method", METHODS)
def test_help_has_every_option_of_the_method(course, method):
    done = course("train", method, "--help")
    assert done.code == 0
    for field in fields(METHODS[method].Config):
        assert f"--{field.name.replace('_', '-')}" in done.out + done.err


@pytest.mark.parametrize("method", ["vae-gan", "intro-vae", "soft-intro-vae"])
def test_a_short_run_can_be_measured_and_drawn(course, pictures, tmp_path, method):
    out = tmp_path / "run"
    done = course("train", method, "--dataset", f"folder:{pictures}", *QUICK, "--steps", 4, "--lr", "1e-4", "--out", out)
    assert done.code == 0, done.err
    assert f"course train {method}" in done.out  # the command that makes it again
    done = course("evaluate", out, "--dataset", f"folder:{pictures}")
    assert done.code == 0 and "sse" in done.out and "kl" in done.out
    assert course("generate", out, "--n", 4).code == 0


def test_the_readme_maps_published_options_to_ones_that_exist(course):
    """Each row of its table: published names on the left, options of `course train soft-intro-vae` on the right."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text[text.index("## Coming from the published code") :].split("\n## ")[0]
    rows = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| `")]
    published = set(re.findall(r"--[a-z_]+", " ".join(old for old, _ in rows)))
    assert published == {f"--{name}" for name in PUBLISHED_OPTIONS.split()}
    here = " ".join(new for _, new in rows) + section[section.rindex("|") :]
    options = set(re.findall(r"--[a-z][a-z-]*", here))
    assert options - {"--recipe", "--metrics"} <= set(re.findall(r"--[a-z-]+", course("train", "soft-intro-vae", "--help").out))


def test_regularization_is_on_the_command_line_with_its_defaults(course, pictures, tmp_path):
    shown = " ".join(course("train", "soft-intro-vae", "--help").out.replace("│", " ").split())
    own = {field.name for field in fields(RegularizedConfig)} - {field.name for field in fields(IntrospectiveConfig)}
    own |= {"label_switch_encoder", "label_switch_decoder"}
    assert len(own) == 16
    for field in fields(METHODS["soft-intro-vae"].Config):
        if field.name in own:
            default = " ".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
            flag = f"--{field.name.replace('_', '-')}" + ("," if isinstance(default, bool) else " ")
            about = shown[shown.index(flag) :]
            assert about[about.index("(default: ") :].startswith(f"(default: {default})"), field.name
    run = ["train", "soft-intro-vae", "--dataset", f"folder:{pictures}", *QUICK, "--steps", 2, "--out", tmp_path / "run"]
    given = ["--augment", "everywhere", "--augment-policy", "translate+erase+flip", "--augment-erase", "0.1", "0.4"]
    given += ["--noise-encoder", "0.1", "--noise-learned", "--dropout-decoder-last", "0.2", "--dropout-alone"]
    given += ["--label-switch-encoder", "0.1"]
    done = course(*run, *given)
    assert done.code == 0 and " ".join(given) in " ".join(done.out.split()), done.err  # the command that makes it again
    refused = [(["--augment-p", "1.5"], "augment_p: got 1.5"), (["--augment-erase", "0.5", "0"], "augment_erase: got")]
    refused += [(["--augment-p", "0.5"], "augment: got 'off'"), (["--augment_p=0.5"], "off --augment_p=0.5 does nothing")]
    for bad, message in refused:
        done = course(*run[:-1], tmp_path / "none", *bad)
        assert done.code == 2 and message in done.err and not (tmp_path / "none").exists()


def test_a_soft_intro_vae_may_begin_with_a_vae_of_its_networks(course, pictures, tmp_path):
    run = ["--dataset", f"folder:{pictures}", *QUICK, "--steps", 2, "--lr", "1e-4", "--network", "introspective"]
    vae, soft = tmp_path / "vae", tmp_path / "soft"
    assert course("train", "vae", *run, "--out", vae).code == 0
    done = course("train", "soft-intro-vae", *run, "--start", vae, "--out", soft)
    assert done.code == 0 and f"--start {vae}" in done.out, done.err  # in the command that makes it again
    done = course("train", "soft-intro-vae", *run, "--start", tmp_path / "none", "--out", tmp_path / "other")
    assert done.code == 2 and "checkpoint" in done.err
