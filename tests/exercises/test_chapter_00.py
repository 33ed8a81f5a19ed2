"""Chapter 00: right answers pass, each known wrong answer gets its own diagnosis."""

import pytest
import torch

from course_utils.exercises import framework

RIGHT = [
    lambda x, y: ((x - y) ** 2).flatten(1).sum(1),
    lambda x, y: torch.einsum("bchw,bchw->b", x - y, x - y),
    lambda x, y: (x.double() - y.double()).pow(2).sum(-1).sum(-1).sum(-1),
]
WRONG = [
    ("0.1", lambda x, y: ((x - y) ** 2).mean((1, 2, 3)), "times too small"),
    ("0.1", lambda x, y: ((x - y) ** 2).sum(), "one number for the whole batch"),
    ("0.1", lambda x, y: torch.nn.functional.mse_loss(x, y), "and a mean"),
    ("0.1", lambda x, y: (x - y).flatten(1).norm(dim=1), "root"),
    ("0.1", lambda x, y: (x - y).abs().sum((1, 2, 3)), "absolute"),
    ("0.1", lambda x, y: ((x - y) ** 2).sum(1), "one number per image"),
    ("0.2", "ae_fashion_z2", "two numbers"),
    ("0.2", "the best one", "no model of that name"),
    ("0.2", "vae_fashion_z32", "not the one"),
    ("0.2", 3, "text in quotation marks"),
]


@pytest.mark.parametrize("index", range(len(RIGHT)))
def test_right_answers_pass(accepts, index):
    accepts("0.1", RIGHT[index])


def test_references_pass(accepts):
    for exercise in framework.exercises(0):
        accepts(exercise.number, exercise.solution())


@pytest.mark.parametrize("case", range(len(WRONG)))
def test_wrong_answers_get_their_diagnosis(rejects, case):
    rejects(*WRONG[case])


def test_every_exercise_has_three_wrong_answers_with_their_own_diagnoses():
    for exercise in framework.exercises(0):
        assert len({phrase for number, _, phrase in WRONG if number == exercise.number}) >= 3, exercise.number


def test_the_largest_error_is_told_apart(rejects):
    from course_utils.exercises import chapter_00

    rejects("0.2", chapter_00._ranking()[-1], "other end")
