"""Every method from the command line: its options, a short run, what is measured of it."""

from __future__ import annotations

from dataclasses import fields

import pytest
from cli_helpers import QUICK

from course_utils.methods import METHODS


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
