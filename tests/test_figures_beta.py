"""Figures of chapter 03: they show what they were given, and carry their alternative text."""

import numpy as np
import pytest
import torch

from course_utils.data import factors
from course_utils.errors import CourseError
from course_utils.figures import beta as drawn
from course_utils.metrics.disentanglement import Disentanglement, mutual_information_gap

POINTS = [{"beta": b, "kl": kl, "sse": sse} for b, kl, sse in ((4.0, 4.0, 25.0), (0.5, 10.0, 14.0), (1.0, 8.0, 16.0))]


def run(kl, sse):
    """Curves with a row without held-out values between any two."""
    blank = np.full(len(kl), np.nan)
    return {"val_kl": np.column_stack([blank, kl]).ravel(), "val_sse": np.column_stack([blank, sse]).ravel()}


def test_price_tangents_have_slope_minus_beta():
    figure = drawn.price_tangents(POINTS)
    tangents = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    slopes = [np.ptp(line.get_ydata()) / -np.ptp(line.get_xdata()) for line in tangents]
    assert np.allclose(slopes, [-0.5, -1, -4])
    assert all(f"beta {p['beta']:g}" in figure.course_alt for p in POINTS)


def test_price_tangents_of_a_single_point_and_of_beta_zero():
    figure = drawn.price_tangents([{"beta": 0.0, "kl": 5.0, "sse": 3.0}])
    level = next(line for line in figure.axes[0].lines if len(line.get_xdata()) == 2)
    assert np.allclose(level.get_ydata(), 3.0)
    with pytest.raises(CourseError, match="points"):
        drawn.price_tangents([])


def test_schedules_state_their_end_and_mean():
    published = [e / 20 for e in range(20)]
    alt = drawn.schedules({"constant": [1.0] * 20, "published": published}).course_alt
    assert "constant: ends at 1, mean 1" in alt and "published: ends at 0.95, mean 0.475" in alt
    with pytest.raises(CourseError, match="weights"):
        drawn.schedules({})


def test_training_paths_mark_the_last_held_out_values_and_join_the_sweep():
    runs = {"a": run([9, 8.0], [30, 20.0]), "b": run([7, 6.0], [40, 25.0]), "scheduled": run([300, 7.0], [10, 22.0])}
    figure = drawn.training_paths(runs, line=["a", "b"])
    ends = {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}
    assert ends["scheduled"].tolist() == [[7.0, 22.0]]
    assert ends["ends of the constant runs"].tolist() == [[6.0, 25.0], [8.0, 20.0]]
    assert figure.axes[0].get_xlim()[1] < 100  # the far beginning of a run does not squeeze the ends together
    with pytest.raises(CourseError, match="line"):
        drawn.training_paths(runs, line=["c"])


def test_factor_rows_show_every_value_of_every_factor():
    alt = drawn.factor_rows().course_alt
    assert all(f"{name} ({count})" in alt for name, count in factors.SIZES.items())


def test_information_panels_show_shares_of_the_entropy():
    generator = torch.Generator().manual_seed(0)
    known = torch.randint(0, 4, (4000, 2), generator=generator)
    codes = torch.cat([known[:, 1:].float(), torch.randn(4000, 2, generator=generator)], 1)  # z[0] knows factor 1 alone
    figure = drawn.information_panels({"made up": mutual_information_gap(codes, known)}, ["first", "second"])
    share = figure.axes[0].images[0].get_array()
    assert share[1, 0] == pytest.approx(1, abs=1e-6) and share[0].max() < 0.05 and share[1, 1:].max() < 0.05
    assert "second 100 % in z[0]" in figure.course_alt
    # A factor that never varies has an entropy of 0: no division by it.
    constant = Disentanglement(np.zeros((1, 2)), np.zeros(1), np.zeros(1))
    assert drawn.information_panels({"still": constant}, ["none"]).axes[0].images[0].get_array().max() == 0
    with pytest.raises(CourseError, match="measured"):
        drawn.information_panels({}, [])
