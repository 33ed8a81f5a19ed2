"""Chapter 08, what no list of answers holds: the runs of 8.3 have the illnesses that the chapter says they have."""

import pytest

from course_utils import data, recipes
from course_utils.errors import CourseError
from course_utils.exercises import chapter_08


@pytest.fixture(scope="module")
def ends():
    """Of each run: its terms at the end of the notebook's forty steps."""
    train = data.load("fashion-mnist-mini", "train")
    live = {"steps": 40, "batch_size": 32, "lr": 2e-3, "log_every": 10}
    runs = {letter: recipes.quick(chapter_08.patient(letter), train, **live)[1] for letter in chapter_08.PATIENTS}
    return {letter: {name: values[-1] for name, values in run.items()} for letter, run in runs.items()}


def test_each_run_has_its_sign_and_the_others_have_not(ends):
    assert {letter for letter, run in ends.items() if run["exp_elbo_fake"] > 0.2} == {"C"}
    assert {letter for letter, run in ends.items() if 1e-3 < run["exp_elbo_fake"] < 0.05} == {"B"}
    large = {letter for letter, run in ends.items() if run["kl_real"] > 2 * ends["B"]["kl_real"]}
    assert large - {"C"} == {"A"} and ends["D"]["exp_elbo_fake"] < 1e-6 < ends["A"]["exp_elbo_fake"] < 1e-3
    assert ends["D"]["kl_fake"] < ends["D"]["kl_real"] and ends["B"]["kl_fake"] > ends["B"]["kl_real"]


def test_patients_differ_from_the_healthy_one_in_one_number():
    healthy = chapter_08.patient("B")
    for letter, flags in chapter_08.PATIENTS.items():
        made = chapter_08.patient(letter)
        assert {name for name in vars(healthy) if getattr(made, name) != getattr(healthy, name)} == set(flags)
        assert len(flags) == (letter != "B")
    assert set(chapter_08.SIGNS) == set(chapter_08.PATIENTS) == set(chapter_08.ASKED)
    with pytest.raises(CourseError, match="letter"):
        chapter_08.patient("E")
