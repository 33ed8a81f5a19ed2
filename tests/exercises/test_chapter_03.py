"""Chapter 03: right answers in several spellings pass; each known wrong answer gets its own diagnosis."""

import math
import re

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from course_utils.exercises import chapter_03, framework
from course_utils.metrics.disentanglement import Disentanglement
from course_utils.paths import repository_root

# What a made-up model knows of the six factors: z[1] most of x, z[2] second, z[4] nothing.
MADE_UP = np.array(
    [
        [0.3, 0.1, 0.0, 0.1, 0.0],  # shape
        [0.9, 0.0, 0.1, 0.0, 0.0],  # color
        [0.0, 0.2, 0.1, 0.8, 0.01],  # scale
        [0.1, 0.1, 0.1, 0.1, 0.0],  # rotation
        [0.0, 1.2, 0.4, 0.0, 0.0],  # x
        [0.0, 0.4, 0.6, 0.2, 0.0],  # y
    ]
)


@pytest.fixture
def made_up(monkeypatch):
    measured = Disentanglement(MADE_UP, np.ones(6), np.ones(6))
    monkeypatch.setattr(chapter_03, "shapes_information", lambda: measured)


def kl(mu, lv):
    return 0.5 * (mu**2 + lv.exp() - 1 - lv)


def sse(x, m):
    return (x - m).square().flatten(1).sum(1)


def by_values(information, entropy):
    best = torch.sort(information, dim=1).values
    return (best[:, -1] - best[:, -2]) / entropy


def removed_by_value(information, entropy):
    best = information.max(1, keepdim=True).values
    second = information.masked_fill(information == best, -1).max(1).values
    return (best[:, 0] - second) / entropy


def removed_by_place(information, entropy):
    best, place = information.max(1, keepdim=True)
    second = information.scatter(1, place, -1.0).max(1).values
    return best[:, 0] / entropy - second / entropy


RIGHT = {
    "3.1": [
        lambda x, m, mu, lv, b: ((x - m) ** 2).sum() / len(x) + b * kl(mu, lv).sum() / len(x),
        lambda x, m, mu, lv, b: torch.mean(
            sse(x, m) + b * kl_divergence(Normal(mu, (lv / 2).exp()), Normal(0.0, 1.0)).sum(-1)
        ),
        lambda x, m, mu, lv, b: (sse(x.double(), m.double()) + kl(mu.double(), lv.double()).sum(1) * b).mean(),
    ],
    "3.2": [
        lambda step, warmup, beta: beta * min(1.0, step / warmup),
        lambda step, warmup, beta: beta if step >= warmup else step * beta / warmup,
        lambda step, warmup, beta: float(np.interp(step, [0, warmup], [0, beta])),
        lambda step, warmup, beta: torch.tensor(step / warmup).clamp(max=1) * beta,
    ],
    "3.3": [(0.95, 0.475), [19 / 20, sum(range(20)) / 400]],
    "3.5": [by_values, removed_by_place, lambda i, h: by_values(i.double(), h.double())],
}


def gap(information):
    best = information.topk(2, 1).values
    return best[:, 0] - best[:, 1]


WRONG = [
    ("3.1", lambda x, m, mu, lv, b: b * (sse(x, m) + kl(mu, lv).sum(1)).mean(), "still one point. the printed"),
    ("3.1", lambda x, m, mu, lv, b: (sse(x, m) + kl(mu, lv).sum(1)).mean(), "nothing uses"),
    ("3.1", lambda x, m, mu, lv, b: (b * sse(x, m) + kl(mu, lv).sum(1)).mean(), "wrong way"),
    ("3.1", lambda x, m, mu, lv, b: (sse(x, m) + kl(mu, lv).sum(1) / b).mean(), "wrong way"),
    ("3.1", lambda x, m, mu, lv, b: ((1 - b) * sse(x, m) + b * kl(mu, lv).sum(1)).mean(), "negative* weight"),
    ("3.1", lambda x, m, mu, lv, b: (sse(x, m) + b * kl(mu, lv).mean(1)).mean(), "acts as beta /"),
    ("3.1", lambda x, m, mu, lv, b: ((x - m) ** 2).mean() + b * kl(mu, lv).sum(1).mean(), "over the"),
    ("3.1", lambda x, m, mu, lv, b: (sse(x, m) + b**2 * kl(mu, lv).sum(1)).mean(), "beta squared"),
    ("3.1", lambda x, m, mu, lv, b: sse(x, m) + b * kl(mu, lv).sum(1), "one value per image"),
    ("3.1", lambda x, m, mu, lv, b: (sse(x, m) + b * kl(mu, lv).sum(1)).sum(), "summed over the batch"),
    ("3.1", lambda x, m, mu, lv, b: (sse(x, m) + b * kl(mu, lv).sum(1)).mean().detach(), "no gradient"),
    ("3.2", lambda step, warmup, beta: beta, "nothing rises"),
    ("3.2", lambda step, warmup, beta: beta * step / warmup, "beyond the warm-up"),
    ("3.2", lambda step, warmup, beta: min(1, step / warmup), "ends at 1"),
    ("3.2", lambda step, warmup, beta: min(beta, step / warmup), "wrong slope"),
    ("3.2", lambda step, warmup, beta: beta * min(1, (step + 1) / warmup), "step early"),
    ("3.2", lambda step, warmup, beta: beta * min(1, step / (warmup + 1)), "step late"),
    ("3.2", lambda step, warmup, beta: beta * min(step, warmup - 1) / warmup, "never reaches beta"),
    ("3.2", lambda step, warmup, beta: beta * min(1, step // warmup), "rounds down"),
    ("3.2", lambda step, warmup, beta: step // warmup * beta, "rounds down"),
    ("3.2", lambda step, warmup, beta: beta * (step % warmup) / warmup, "falls back"),
    ("3.2", lambda step, warmup, beta: beta - beta * min(1, step / warmup), "backwards"),
    ("3.2", lambda step, warmup, beta: beta * min(1, step / warmup) / 2, "where it is off most"),
    ("3.2", lambda step, warmup, beta: print(beta * min(1, step / warmup)), "`return` missing"),
    ("3.3", (1, 0.5), "range(20)"),
    ("3.3", (0.475, 0.95), "other order"),
    ("3.3", (0.95, 0.5), "straight line"),
    ("3.3", (0.95, 0.525), "0 ... 19"),
    ("3.3", (0.95, 0.95), "last value again"),
    ("3.3", (0.9, 0.475), "e = 19"),
    ("3.3", 0.475, "expected 2 values"),
    ("3.5", lambda i, h: gap(i), "not yet a share"),
    ("3.5", lambda i, h: (gap(i) / h).mean(), "mig itself"),
    ("3.5", lambda i, h: gap(i.T), "latent dimension"),
    ("3.5", lambda i, h: (i.max(1).values - i.mean(1)) / h, "mean over all"),
    ("3.5", lambda i, h: (i.max(1).values - (i.sum(1) - i.max(1).values) / (i.shape[1] - 1)) / h, "the mean of"),
    ("3.5", lambda i, h: (i.max(1).values - i.min(1).values) / h, "the worst of"),
    ("3.5", lambda i, h: i.max(1).values / h, "best dimension knows"),
    ("3.5", lambda i, h: gap(i) / i.max(1).values, "still score 1"),
    ("3.5", lambda i, h: gap(i) / (h / math.log(2)), "mixed units"),
    ("3.5", lambda i, h: gap(i) / math.log(i.shape[1]), "number of *dimensions*"),
    ("3.5", lambda i, h: -gap(i) / h, "sign"),
    ("3.5", removed_by_value, "twin"),
    ("3.4", 4, "switched off"),
    ("3.4", 2, "of *y*"),
    ("3.4", 3, "of *scale*"),
    ("3.4", 0, "of *color*"),
    ("3.4", 5, "one of 0, 1, 2, 3, 4"),
    ("3.4", "scale", "number of a latent dimension"),
]


@pytest.mark.parametrize("number", sorted(RIGHT))
def test_right_answers_pass(accepts, number):
    accepts(number, framework.find(number).solution())
    for answer in RIGHT[number]:
        accepts(number, answer)


@pytest.mark.parametrize("case", range(len(WRONG)))
def test_wrong_answers_get_their_diagnosis(made_up, rejects, case):
    rejects(*WRONG[case])


def test_every_exercise_has_three_wrong_answers_with_their_own_diagnoses():
    for exercise in framework.exercises(3):
        phrases = {phrase for number, _, phrase in WRONG if number == exercise.number}
        assert len(phrases) >= 3, exercise.number


def test_the_dimension_of_a_factor_on_a_made_up_model(made_up, accepts, rejects, monkeypatch):
    accepts("3.4", 1)
    accepts("3.4", np.int64(1))
    runner_up = MADE_UP.copy()
    runner_up[[0, 1, 2, 3, 5]] = 0.0  # now z[2] follows nothing but x, and less than z[1] does
    monkeypatch.setattr(chapter_03, "shapes_information", lambda: Disentanglement(runner_up, np.ones(6), np.ones(6)))
    rejects("3.4", 2, "another dimension knows more")


def test_the_shipped_model_has_one_clear_answer(accepts, rejects):
    """On the weights that readers get: the best dimension stands out, and every other one is refused."""
    measured = chapter_03.shapes_information()
    row = measured.information[chapter_03._row()]
    best = chapter_03.dimension_of_factor()
    ranked = np.sort(row)
    assert ranked[-1] > 1.5 * ranked[-2], row
    assert measured.information[:, best].argmax() == chapter_03._row()
    accepts("3.4", best)
    for other in set(range(len(row))) - {best}:
        rejects("3.4", other, f"z[{other}]")


def test_the_written_solution_is_the_shipped_models_dimension():
    source = (repository_root() / "notebooks" / "source" / "03_beta_vae.py").read_text(encoding="utf-8")
    written = re.search(r"^answer_3_4 = (\d+)$", source, re.MULTILINE)
    assert int(written[1]) == chapter_03.dimension_of_factor()


def test_the_gap_agrees_with_the_package():
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 5, (2000, 3))
    codes = np.concatenate([factors + 0.3 * rng.normal(size=factors.shape), rng.normal(size=(2000, 4))], 1)
    measured = chapter_03.mutual_information_gap(codes, factors)
    got = chapter_03.information_gap(torch.tensor(measured.information), torch.tensor(measured.entropy))
    assert torch.allclose(got, torch.tensor(measured.gaps))
