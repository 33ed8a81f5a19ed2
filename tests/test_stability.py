"""The record of short games over many seeds: what is counted, and that the shipped one is of these settings."""

import math
from dataclasses import replace

import pytest
import torch

from course_utils import stability
from course_utils.errors import CourseError
from course_utils.methods.introspective import Introspective


@pytest.fixture
def small(monkeypatch):
    runs = {
        name: replace(run, steps=6, batch_size=8, log_every=1, checkpoint_every=2, precision="32")
        for name, run in stability.RUNS.items()
    }
    monkeypatch.setattr(stability, "RUNS", runs)
    monkeypatch.setattr(stability, "SEEDS", dict.fromkeys(stability.SEEDS, 1))


def test_the_record_is_written_and_read(small, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["stability", "--out", str(tmp_path / stability.RECORD.file)])
    stability.main()
    found = stability.recorded(tmp_path)
    assert [(run["dataset"], run["method"]) for run in found] == [(d, m) for d in stability.SEEDS for m in stability.METHODS]
    for run in found:
        assert not run["diverged"] and run["usable"]
        assert set(run) > ({"sse", "kl"} if run["dataset"] == stability.IMAGES else set(stability.MEASURED))
    assert found[1] == stability.play(stability.PLANE, "soft-intro-vae", 0)  # the same machine, the same numbers
    monkeypatch.setattr(stability, "SHARED", {**stability.SHARED, stability.PLANE: {"latent_dim": 2, "network": "mlp"}})
    with pytest.raises(CourseError, match="other settings"):
        stability.recorded(tmp_path)
    with pytest.raises(CourseError, match="no such record"):
        stability.recorded(tmp_path / "nowhere")


@pytest.mark.parametrize(("first", "every", "usable"), [(5, 2, True), (1, 2, True), (1, 0, False)])
def test_a_run_that_diverges_is_counted(small, monkeypatch, first, every, usable):
    """From the step `first` on a term is not a number; a state is saved at the start and every so many steps, or never."""
    step = Introspective.step
    monkeypatch.setitem(stability.RUNS, stability.PLANE, replace(stability.RUNS[stability.PLANE], checkpoint_every=every))

    def spoiled(self, x, update):
        terms = step(self, x, update)
        return {**terms, "sse": torch.tensor(math.nan)} if self.steps_done + 1 >= first else terms

    monkeypatch.setattr(Introspective, "step", spoiled)
    found = stability.play(stability.PLANE, "soft-intro-vae", 0)
    assert found == {"dataset": stability.PLANE, "method": "soft-intro-vae", "seed": 0, "diverged": True, "usable": usable}


def test_the_shipped_record_is_whole_and_made_with_these_settings():
    found = stability.recorded()
    wanted = [(d, m, seed) for d in stability.SEEDS for m in stability.METHODS for seed in range(stability.SEEDS[d])]
    assert [(run["dataset"], run["method"], run["seed"]) for run in found] == wanted
    for run in found:
        measured = {"sse", "kl"} if run["dataset"] == stability.IMAGES else set(stability.MEASURED)
        assert run["usable"] and run["diverged"] == (not measured & set(run))
        assert run["diverged"] or all(math.isfinite(run[name]) for name in measured)
