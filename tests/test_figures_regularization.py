"""Figures of chapter 09's runs: they show the record and the curves they were given, and carry their alternative text."""

import numpy as np
import pytest
from ablation_records import record
from matplotlib.colors import to_hex

from course_utils import ablation as recorded
from course_utils.errors import CourseError
from course_utils.figures import regularization
from course_utils.figures.regularization import HELD_OUT, MEASURES, TRAIN

STEPS = np.array([10.0, 20, 30, 40])
NAN = np.nan
RUN = {"step": STEPS, "kl_real": np.array([4.0, 3, 2, 1]), "kl_fake": np.array([4.0, 5, 6, 7]),
       "val_kl": np.array([NAN, 4, NAN, 5]), "val_kl_fake": np.array([NAN, 4, NAN, 15])}  # fmt: skip


def dots(axes, color=None):
    """(value, line, half of the bar) of each dot of a color."""
    found = []
    for container in axes.containers:
        line, _, (bars,) = container.lines
        if color is None or to_hex(line.get_mec()) == to_hex(color):
            for x, y, bar in zip(line.get_xdata(), line.get_ydata(), bars.get_segments(), strict=True):
                found.append((x, round(y), (bar[1][0] - bar[0][0]) / 2))
    return found


def dashed(axes):
    return sorted(line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == "--")


def test_every_run_is_a_dot_on_the_line_of_its_regularizer():
    found = record()
    figure = regularization.ablation(found)
    left, right = figure.axes
    labels = [text.get_text() for text in left.get_yticklabels()]
    assert labels == list(recorded.LABELS.values())
    expected = [(row["values"], labels.index(recorded.label(row["recipe"]))) for row in found["runs"]]
    kinds = [(left, HELD_OUT, "fd_cifar_held_out"), (left, TRAIN, "fd_cifar_train"), (right, None, "nearer_relative_cifar")]
    for axes, color, key in kinds:
        given = dots(axes, color)
        assert len(given) == 10
        for (value, place, half), (values, line) in zip(given, expected, strict=True):
            mean, deviation = recorded.spread(values[key])
            assert (value, place, half) == (pytest.approx(mean), line, pytest.approx(deviation))
    assert dashed(left) == [2.5, 3.5] and dashed(right) == [0.5]
    for words in ("nothing 5 and 6; (i) augment real images 7;", "without memory 0.5"):
        assert words in figure.course_alt
    assert "real held-out images 3.5" in figure.course_alt and "real training images 2.5" in figure.course_alt


def test_two_seeds_lie_side_by_side_and_the_band_is_as_wide_as_two_seeds_are_apart_on_either_side_of_nothing():
    figure = regularization.ablation(record())
    heights = [y for container in figure.axes[0].containers for y in container.lines[0].get_ydata()]
    assert len(set(heights)) == 10  # for both kinds of dots the same ten
    band = figure.axes[0].patches[0].get_extents().transformed(figure.axes[0].transData.inverted())
    apart = max(values["fd_cifar_held_out"] for values in recorded.between_seeds(record()).values())
    assert apart > 0 and (band.x0, band.x1) == (pytest.approx(5.5 - apart), pytest.approx(5.5 + apart))
    alone = regularization.ablation(record(f"{recorded.PREFIX}_s1", f"{recorded.PREFIX}_augment_s1"))
    assert not alone.axes[0].patches and len(dots(alone.axes[0], HELD_OUT)) == 8


def test_hollow_dots_are_of_training_images_where_there_are_such():
    axes = regularization.ablation(record(), ("gap_unseen", "sse_held_out", "gap_held_out")).axes
    assert [len(dots(each)) for each in axes] == [10, 20, 10]
    assert [dashed(each) for each in axes] == [[0.0], [], []]
    hollow = [container.lines[0].get_mfc() for container in axes[1].containers]
    assert hollow == [HELD_OUT, "white"] * 8


@pytest.mark.parametrize("measure", MEASURES)
def test_each_measure_can_be_drawn(measure):
    figure = regularization.ablation(record(), (measure,), title="One")
    assert len(figure.axes) == 1 and figure.course_alt.startswith("One, a dot for each training seed. ")


@pytest.mark.parametrize(
    "given, match",
    [
        ((record(), ("fd_fashion",)), "measures: got .*fd_fashion.*allowed: sse_held_out"),
        ((record(), ()), "measures: got"),
        ((record(), tuple(MEASURES)[:4]), "One to three"),
        ((record(*recorded.names()),), "record: got 'one without runs'"),
    ],
)
def test_what_is_no_ablation(given, match):
    with pytest.raises(CourseError, match=match):
        regularization.ablation(*given)


def lines(axes):
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}


def test_the_gap_is_that_of_each_row_that_has_both():
    figure = regularization.gap_over_time({"A": RUN, "B": RUN | {"kl_fake": RUN["kl_real"]}}, title="Two runs")
    above, other, below, zero = figure.axes
    assert lines(above)["real images, training"] == (STEPS.tolist(), [4, 3, 2, 1])
    assert lines(above)["samples, eval mode"] == ([20, 40], [4, 15]) and lines(above)["real images, held-out"][1] == [4, 5]
    assert lines(below)["gap, training"][1] == pytest.approx([0, 0.25, 0.5, 0.75])
    assert lines(below)["gap, held-out"] == ([20, 40], pytest.approx([0, 0.5]))
    assert lines(zero)["gap, training"][1] == [0, 0, 0, 0]
    assert above.get_ylim() == other.get_ylim() and below.get_ylim() == zero.get_ylim()
    assert "A at the end: training real 1, samples 7, gap 0.75; held-out real 5, samples 15, gap 0.5." in figure.course_alt
    assert "Two runs" in figure.course_alt


def test_first_steps_can_be_left_out_and_a_run_may_have_no_held_out_row_yet():
    figure = regularization.gap_over_time({"A": RUN | {"val_kl": np.full(4, NAN)}}, skip=20)
    assert lines(figure.axes[1])["gap, training"][0] == [20, 30, 40]
    assert "held-out" not in figure.course_alt and "gap 0.75" in figure.course_alt


def test_runs_that_have_no_gap_are_refused():
    for runs in ({}, {"vae": {"step": STEPS, "kl": STEPS}}, {"vae": {"step": STEPS, "kl_real": STEPS, "kl_fake": STEPS}},
                 dict.fromkeys("ABCDE", RUN)):  # fmt: skip
        with pytest.raises(CourseError, match="runs: got .* allowed: one to four"):
            regularization.gap_over_time(runs)
