"""Every chapter's exercises: right answers pass; each known wrong answer gets its own diagnosis.

The answers stand in `chapter_NN_answers.py`: RIGHT (number -> answers), WRONG (number, answer, phrase of the diagnosis) and,
where a check reads its right answer off a shipped model, `prepare(monkeypatch)`, which puts a made-up one in its place."""

import importlib
from pathlib import Path

import pytest
from drafts import draft_chapters

from course_utils.exercises import framework

FILES = sorted(Path(__file__).parent.glob("chapter_*_answers.py"))
ANSWERS = [importlib.import_module(path.stem) for path in FILES]
NUMBERS = [exercise.number for exercise in framework.exercises()]


def numbered(rows):
    """Test cases named after the exercise and the place among its answers: 2.3-1, 2.3-2, ..."""
    seen = [row[0] for row in rows]
    return [pytest.param(*row, id=f"{row[0]}-{seen[: i + 1].count(row[0])}") for i, row in enumerate(rows)]


@pytest.mark.parametrize("number", NUMBERS)
def test_references_pass(accepts, monkeypatch, number):
    chapter = framework.find(number).chapter
    if chapter in draft_chapters():  # until its weights are shipped, made-up ones
        for answers in ANSWERS:
            if answers.__name__.startswith(f"chapter_{chapter:02d}") and hasattr(answers, "prepare"):
                answers.prepare(monkeypatch)
    accepts(number, framework.find(number).solution())


@pytest.mark.parametrize(
    ("number", "answer"), numbered([(n, answer) for a in ANSWERS for n, right in a.RIGHT.items() for answer in right])
)
def test_right_answers_pass(accepts, number, answer):
    accepts(number, answer)


@pytest.mark.parametrize(("number", "answer", "phrase", "answers"), numbered([(*row, a) for a in ANSWERS for row in a.WRONG]))
def test_wrong_answers_get_their_diagnosis(rejects, monkeypatch, number, answer, phrase, answers):
    if hasattr(answers, "prepare"):
        answers.prepare(monkeypatch)
    rejects(number, answer, phrase)


@pytest.mark.parametrize("number", NUMBERS)
def test_every_exercise_has_three_wrong_answers_with_their_own_diagnoses(number):
    assert len({phrase for a in ANSWERS for n, _, phrase in a.WRONG if n == number}) >= 3


def test_the_largest_error_is_told_apart(rejects):
    from course_utils.exercises import chapter_00

    rejects("0.2", chapter_00._ranking()[-1], "other end")
