"""Unsolved exercise notebooks and solution notebooks run to the end under nbval, in time and without leaving a trace."""

import pytest
from notebook_helpers import FIRST_FIGURE, ROOT, SECONDS, first_figure

EXERCISES, SOLUTIONS = (sorted((ROOT / folder).glob("*.ipynb")) for folder in ("notebooks", "notebooks/solutions"))


def test_there_are_notebooks():
    assert EXERCISES and [p.name for p in EXERCISES] == [p.name for p in SOLUTIONS]


@pytest.mark.slow
@pytest.mark.parametrize("path", EXERCISES + SOLUTIONS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_runs_in_time(nbval, path):
    seconds = nbval(path)
    assert seconds < SECONDS, f"{path.name} took {seconds:.0f} s, the limit of this test is {SECONDS} s"


@pytest.mark.slow
@pytest.mark.parametrize("path", EXERCISES, ids=lambda p: p.stem)
def test_first_figure_comes_soon(path):
    seconds = first_figure(path)
    assert seconds < FIRST_FIGURE, f"{path.name}: first figure after {seconds:.0f} s, the limit is {FIRST_FIGURE} s"
