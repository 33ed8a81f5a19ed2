"""Filmed games, the record of modes on 8 Gaussians, and that record and code agree."""

import numpy as np
import pytest
import torch

from course_utils import games
from course_utils.errors import CourseError
from course_utils.methods.gan import GANConfig
from course_utils.methods.gan_losses import LOSSES
from course_utils.metrics.modes import mode_coverage

TINY = GANConfig(network="mlp", latent_dim=1, width=4)
LINE = torch.linspace(-3, 3, 7)[:, None]


def test_a_film_holds_its_frames_from_the_same_noise():
    model, film, curves = games.filmed("two-gaussians", TINY, steps=6, frames=3, samples=50, grid=LINE, batch_size=8, log_every=1)
    assert film.steps == [2, 4, 6] and curves["step"].max() == 6
    assert [tuple(f.shape) for f in film.fakes] == [(50, 1)] * 3 and [tuple(d.shape) for d in film.logits] == [(7,)] * 3
    assert torch.equal(film.fakes[-1], model.sample(50, torch.Generator().manual_seed(0)))  # the last frame is the end
    assert torch.equal(film.logits[-1], model.critic(LINE)) and not torch.equal(film.logits[0], film.logits[-1])


@pytest.mark.parametrize("frames", [0, 4, 7])
def test_frames_must_divide_the_steps(frames):
    with pytest.raises(CourseError, match="frames"):
        games.filmed("two-gaussians", TINY, steps=6, frames=frames)


def small(monkeypatch):
    monkeypatch.setattr(games, "PLAYED", {**games.PLAYED, "steps": 4, "batch_size": 8})
    monkeypatch.setattr(games, "NETWORK", {**games.NETWORK, "width": 4})
    monkeypatch.setattr(games, "SEEDS", (0,))
    monkeypatch.setattr(games, "FRAMES", 2)


def test_the_record_is_written_and_read(monkeypatch, tmp_path):
    small(monkeypatch)
    monkeypatch.setattr("sys.argv", ["games", "--out", str(tmp_path / games.RECORD.file)])
    games.main()
    found = games.recorded(tmp_path)
    assert [(g["loss"], g["schedule"], g["seed"]) for g in found] == [(a, b, 0) for a in LOSSES for b in games.SCHEDULES]
    assert found[0] == games.play("minimax", "linear", 0)  # the same machine, the same numbers
    monkeypatch.setattr(games, "SAMPLES", 77)
    with pytest.raises(CourseError, match="other settings"):
        games.recorded(tmp_path)
    with pytest.raises(CourseError, match="no such record"):
        games.recorded(tmp_path / "nowhere")


def test_the_modes_of_a_game_are_those_of_its_samples(monkeypatch):
    small(monkeypatch)
    game = games.play("hinge", "constant", 0)
    run = {**games.PLAYED, "lr_schedule": "constant", "seed": 0}
    config = GANConfig(loss="hinge", **games.NETWORK)
    _, film, _ = games.filmed("8-gaussians", config, frames=2, samples=games.SAMPLES, **run)
    want = mode_coverage(film.fakes[-1], film.density)
    assert game["covered"][-1] == want.covered and game["within"][-1] == pytest.approx(want.within, abs=1e-4)
    assert game["shares"][-1] == pytest.approx(want.shares.tolist(), abs=1e-4)


def test_the_shipped_record_is_whole_and_made_with_these_settings():
    found = games.recorded()
    wanted = {(loss, schedule, seed) for loss in LOSSES for schedule in games.SCHEDULES for seed in games.SEEDS}
    assert {(g["loss"], g["schedule"], g["seed"]) for g in found} == wanted and len(found) == len(wanted)
    least = 0.1 / 8  # of mode_coverage
    for game in found:
        shares = np.array(game["shares"])
        assert shares.shape == (games.FRAMES, 8) and len(game["steps"]) == games.FRAMES
        assert game["steps"][-1] == games.PLAYED["steps"]
        assert shares.sum(1) == pytest.approx(np.array(game["within"]), abs=1e-3)
        sure = np.abs(shares - least).min(1) > 1e-4  # a rounded share at the limit could count either way
        assert ((shares >= least).sum(1) == game["covered"])[sure].all()
