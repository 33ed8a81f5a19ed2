"""Figures of chapter 08: they show what they were given, and carry their alternative text."""

import numpy as np
import pytest

from course_utils.errors import CourseError
from course_utils.figures import health

STEPS = np.array([10.0, 20, 30, 40])
SOFT = {"step": STEPS, "kl_real": STEPS / 10, "kl_rec": STEPS / 5, "kl_fake": STEPS / 2, "exp_elbo_rec": np.full(4, 0.1),
        "exp_elbo_fake": np.array([0.5, 0.2, 0.0, 0.01]), "fd_fashion": np.array([np.nan, 9, 3, 4])}  # fmt: skip
HARD = {"step": STEPS, "kl_real": STEPS, "kl_rec": STEPS, "kl_fake": STEPS, "hinge": np.array([9.0, 5, 0, 0])}


def lines(axes):
    return {line.get_label(): (line.get_xdata().tolist(), line.get_ydata().tolist()) for line in axes.lines}


def test_the_soft_threshold_is_the_exponential_and_its_slope():
    figure = health.soft_threshold([256, 1024], 1 / 1024, marks={"real": 12.0}, reach=30)
    passed, push = figure.axes[0].lines[0], figure.axes[1].lines[0]
    kl = passed.get_xdata()
    np.testing.assert_allclose(passed.get_ydata(), np.exp(-0.5 * kl))
    np.testing.assert_allclose(push.get_ydata()[:-1], -np.diff(passed.get_ydata() / 2) / np.diff(kl), rtol=0.06)
    assert "beta_neg 256: 0.61 at 1 nat, 0.0067 at 10" in figure.course_alt and "real at 12 nats" in figure.course_alt
    with pytest.raises(CourseError, match="betas"):
        health.soft_threshold([], 1 / 1024)


def test_health_signs_show_each_term_of_a_soft_run_and_leave_gaps_out():
    figure = health.health_signs(SOFT, score="fd_fashion", title="A run")
    kls, passed, score = figure.axes
    assert lines(kls)["samples"] == (STEPS.tolist(), [5, 10, 15, 20])
    assert lines(passed)["samples"] == ([10, 20, 40], [0.5, 0.2, 0.01])  # a zero has no place on a log axis
    assert score.lines[0].get_ydata().tolist() == [9, 3, 4]
    assert "kl_real from 1 to 4" in figure.course_alt and "fd_fashion from 9 to 4, lowest 3" in figure.course_alt


def test_health_signs_of_a_hinge():
    figure = health.health_signs(HARD)
    assert len(figure.axes) == 2
    assert lines(figure.axes[1]) == {"both hinges": (STEPS.tolist(), [9, 5, 0, 0])}
    with pytest.raises(CourseError, match="kl_real"):
        health.health_signs({"step": STEPS, "loss": STEPS})
    with pytest.raises(CourseError, match="fd_fashion"):
        health.health_signs(HARD, score="fd_fashion")


def test_the_clinic_has_a_column_for_each_run_on_common_axes():
    figure = health.clinic({"A": SOFT, "B": SOFT | {"kl_fake": 100 * STEPS}}, title="Two runs")
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["A", "B"]
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert lines(figure.axes[1])["samples"][1] == (100 * STEPS).tolist()
    assert "B: kl_real from 1 to 4" in figure.course_alt
    with pytest.raises(CourseError, match="runs"):
        health.clinic({"vae": {"step": STEPS, "kl": STEPS}})


def test_the_clinic_leaves_out_what_a_run_lacks_and_its_first_steps():
    figure = health.clinic({"soft": SOFT, "hinge": HARD}, skip=int(STEPS[1]), title="Health")
    above, _, below, empty = figure.axes
    assert lines(above)["samples"][0] == STEPS[1:].tolist()
    assert lines(below)["samples"][1] == [0.2, 0.01] and not empty.get_visible()
    assert 1e-8 <= below.get_ylim()[0] < 0.01



def test_statistics_apart_counts_channels_and_names_the_typical_factor():
    measured = np.array([1.0, 2.0, 4.0])
    figure = health.statistics_apart({"decoder": (2 * measured, measured), "encoder": (measured, measured)})
    assert "decoder: 3 channels, the typical one off by a factor of 2.00" in figure.course_alt
    assert "encoder: 3 channels, the typical one off by a factor of 1.00" in figure.course_alt
    dots = figure.axes[0].lines[1]
    assert dots.get_xdata().tolist() == [1, 2, 4] and dots.get_ydata().tolist() == [2, 4, 8]
    with pytest.raises(CourseError, match="networks"):
        health.statistics_apart({})
