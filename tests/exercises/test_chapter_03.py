"""Chapter 03, exercises 3.4 and 3.5: the answers read off the shipped model, and the gaps of the package."""

import re

import numpy as np
import torch
from chapter_03_answers import MADE_UP, prepare

from course_utils.exercises import chapter_03
from course_utils.paths import repository_root


def test_the_dimension_of_a_factor_on_a_made_up_model(accepts, rejects, monkeypatch):
    prepare(monkeypatch)
    accepts("3.4", 1)
    accepts("3.4", np.int64(1))
    runner_up = MADE_UP.copy()
    runner_up[[0, 1, 2, 3, 5]] = 0.0  # now z[2] follows nothing but x, and less than z[1] does
    prepare(monkeypatch, runner_up)
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
