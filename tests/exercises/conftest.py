"""Fixtures for tests of exercises: the toy chapter, a progress file outside the tree, and `accepts` / `rejects`."""

from pathlib import Path

import pytest

from course_utils.exercises import framework
from course_utils.exercises.examine import FAILED, PASSED

TOY = Path(__file__).parent / "toy"
SEEDS = range(5)  # draws each answer is tried on


@pytest.fixture(autouse=True)
def outside_the_tree(tmp_path, monkeypatch):
    """No test writes progress into the tree or grades by accident; draws are new unless a test sets a seed."""
    monkeypatch.setenv("COURSE_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.delenv("COURSE_GRADING", raising=False)
    monkeypatch.delenv("COURSE_SEED", raising=False)


@pytest.fixture
def toy(monkeypatch):
    """Makes the toy chapter (90) known for one test."""
    monkeypatch.setenv("COURSE_EXERCISES", str(TOY))
    framework.load_chapter(90)


@pytest.fixture
def accepts():
    """accepts(number, answer): the check passes, whatever it draws."""

    def accept(number, answer):
        for seed in SEEDS:
            outcome = framework.examine(number, answer, seed=seed)
            assert outcome.state == PASSED, f"{number} refuses a right answer on draw {seed}: {outcome}"

    return accept


@pytest.fixture
def rejects():
    """rejects(number, answer, phrase): the check fails with a diagnosis that contains `phrase`, whatever it draws."""

    def reject(number, answer, phrase):
        for seed in SEEDS:
            outcome = framework.examine(number, answer, seed=seed)
            assert outcome.state == FAILED, f"{number} should refuse this on draw {seed}: {outcome}"
            assert phrase.lower() in outcome.message.lower(), f"{number}, draw {seed}: {outcome.message!r}"

    return reject
