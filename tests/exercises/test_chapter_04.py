"""Chapter 04, what no list of answers holds: counting runs, the prediction's pushes, the record and the written solution."""

import re

import numpy as np
import pytest
import torch
from chapter_04_answers import prepare

from course_utils import games
from course_utils.exercises import chapter_04, framework
from course_utils.methods import gan_losses
from course_utils.paths import repository_root


@pytest.mark.parametrize("answer", [2, np.int64(2), 2.0])
def test_the_number_of_runs_is_counted_in_the_record(monkeypatch, accepts, answer):
    prepare(monkeypatch)
    accepts("4.6", framework.find("4.6").solution())
    accepts("4.6", answer)


def test_runs_that_end_with_all_modes_are_not_runs_past_their_best(monkeypatch, rejects):
    rows = [[8, 8], [3, 8], [2, 8], [8, 5], [5, 4]]  # three end with eight, two end below their best
    those = [{"loss": "hinge", "schedule": "constant", "seed": i, "covered": row} for i, row in enumerate(rows)]
    monkeypatch.setattr(games, "recorded", lambda: those)
    rejects("4.6", 3, "*end* at their best")
    rejects("4.6", 0, "falls to zero")


def test_the_pushes_at_minus_six_are_as_the_prediction_says():
    d = torch.tensor([-6.0], requires_grad=True)
    push = {name: -torch.autograd.grad(game.generator(d), d)[0].item() for name, game in gan_losses.LOSSES.items()}
    assert min(push, key=push.get) == "minimax" and max(push, key=push.get) == "lsgan"
    assert push["minimax"] < 0.01 and push["lsgan"] == 7


def test_the_written_solution_is_what_the_record_says():
    source = (repository_root() / "notebooks" / "source" / "04_gan_losses.py").read_text(encoding="utf-8")
    written = re.search(r"^answer_4_6 = (\d+)$", source, re.MULTILINE)
    assert int(written[1]) == chapter_04.runs_past_their_best()
