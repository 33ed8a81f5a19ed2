"""Figures and panel of chapter 05: they show what they were given, and carry their alternative text."""

import io
import types

import numpy as np
import pytest
import torch
from PIL import Image

from course_utils import widgets
from course_utils.errors import CourseError
from course_utils.figures import measuring as drawn
from course_utils.metrics import precision_recall_density_coverage

COUNTS = (100, 200, 400)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", drawn.REAL)
def test_mean_and_width_of_a_mixture_by_integration(name):
    real, x = drawn.REAL[name], np.linspace(-10, 10, 40_001)
    mass = real.density(x) * (x[1] - x[0])
    assert mass.sum() == pytest.approx(1, abs=1e-9)
    assert real.mean == pytest.approx((x * mass).sum(), abs=1e-9)
    assert real.std == pytest.approx(np.sqrt(((x - real.mean) ** 2 * mass).sum()), abs=1e-9)
    assert real.quantiles().mean() == pytest.approx(real.mean, abs=2e-3)


def test_the_wasserstein_distance_of_normals_is_the_frechet_distance_and_else_it_is_larger():
    one, two = drawn.REAL["one peak"], drawn.REAL["two peaks"]
    for mean, width in ((0.0, 1.0), (1.5, 0.4), (-2.0, 2.5)):
        assert drawn.wasserstein_1d(one, mean, width) == pytest.approx(drawn.frechet_1d(one, mean, width), abs=2e-3)
        assert drawn.wasserstein_1d(two, mean, width) > drawn.frechet_1d(two, mean, width)
    generator = np.random.default_rng(0)  # against sorted draws
    values = np.where(generator.random(400_000) < 0.5, -0.7, 1.7) + 0.5 * generator.normal(size=400_000)
    moved = np.mean((np.sort(values) - np.sort(0.5 + 1.3 * generator.normal(size=400_000))) ** 2)
    assert drawn.wasserstein_1d(two, 0.5, 1.3) == pytest.approx(moved, abs=0.01)


def test_densities_state_their_distances():
    one = drawn.REAL["one peak"]
    figure = drawn.densities({"same": (one, 0.0, 1.0), "shifted": (one, 2.0, 1.0)}, title="Two")
    assert "same: 0" in figure.course_alt and "shifted: 4" in figure.course_alt
    heights = [line.get_ydata().max() for axes in figure.axes for line in axes.lines]
    assert np.allclose(heights, 1 / np.sqrt(2 * np.pi), atol=1e-3)
    with pytest.raises(CourseError, match="panels"):
        drawn.densities({})


def test_over_counts_draws_means_of_ragged_repeats():
    values = [[4.0, 2.0, 3.0], [2.0, 1.0], [1.0]]
    figure = drawn.over_counts(COUNTS, {"distance": {"gan": values}, "other": {"gan": values}})
    line = next(line for line in figure.axes[0].lines if line.get_label() == "gan")
    assert line.get_ydata().tolist() == [3.0, 1.5, 1.0] and line.get_xdata().tolist() == list(COUNTS)
    assert "gan: 3 at 100, 1 at 400" in figure.course_alt
    for wrong in ({}, {"distance": {"gan": values[:2]}}):
        with pytest.raises(CourseError, match="panels"):
            drawn.over_counts(COUNTS, wrong)


def test_extrapolation_of_a_straight_line_finds_its_end():
    values = [[0.5 + 300 / n, 0.5 + 300 / n] for n in COUNTS]
    assert "0.5 extrapolated" in drawn.extrapolation(COUNTS, {"gan": values}).course_alt
    bent = [[9.0], *values[1:]]
    assert "0.5 extrapolated" in drawn.extrapolation(COUNTS, {"gan": bent}, use=2).course_alt
    for use in (1, 4):
        with pytest.raises(CourseError, match="use"):
            drawn.extrapolation(COUNTS, {"gan": values}, use=use)


def test_balls_show_precision_and_recall_as_the_package_computes_them():
    real, fake = draw(40, 2), 0.5 * draw(30, 2, seed=1) + 1
    figure = drawn.balls(real, fake, k=3)
    found = precision_recall_density_coverage(real, fake, 3, 3)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[0].startswith(f"precision {found['precision']:.2f}") and titles[1].startswith(f"recall {found['recall']:.2f}")
    assert [len(axes.patches) for axes in figure.axes] == [40, 30]
    inside = [line for line in figure.axes[0].lines if line.get_label() == "fake, inside"]
    assert len(inside[0].get_xdata()) == round(30 * found["precision"])


def test_fidelity_and_variety_marks_each_row():
    rows = [{"name": n, "precision": 0.9, "recall": r, "density": 1.2, "coverage": 0.5} for n, r in (("a", 0.2), ("b", 0.8))]
    figure = drawn.fidelity_and_variety(rows)
    assert [(*line.get_xdata(), *line.get_ydata()) for line in figure.axes[0].lines] == [(0.2, 0.9), (0.8, 0.9)]
    assert "b: precision 0.90, recall 0.80, density 1.20, coverage 0.50" in figure.course_alt
    with pytest.raises(CourseError, match="rows"):
        drawn.fidelity_and_variety([])


def test_feature_means_compare_sets_feature_by_feature():
    real, fake = draw(50, 4), draw(60, 4, seed=1) + 2
    figure = drawn.feature_means({"eval": (real, fake), "same": (real, real)})
    dots = figure.axes[0].lines[1]
    assert np.allclose(dots.get_xdata(), real.mean(0)) and np.allclose(dots.get_ydata(), fake.mean(0))
    gap = (real.mean(0) - fake.mean(0)).square().sum().item()
    assert f"eval: {gap:.3g}; same: 0" in figure.course_alt
    with pytest.raises(CourseError, match="panels"):
        drawn.feature_means({})


def test_scores_over_steps_ring_the_lowest():
    step = np.arange(4)
    runs = {"hinge": [{"step": step, "fd": np.array([9.0, np.nan, 2.0, 5.0])}, {"step": step, "fd": np.full(4, 3.0)}]}
    figure = drawn.scores_over_steps(runs, "fd")
    ring = figure.axes[0].lines[1]
    assert ring.get_xydata().tolist() == [[2, 2.0]]
    assert "hinge, seed 0: last 5, lowest 2" in figure.course_alt
    for wrong in ({}, {"hinge": []}, {"hinge": [{"step": np.arange(4)}]}):
        with pytest.raises(CourseError, match="column"):
            drawn.scores_over_steps(wrong, "fd")


# The panel


@pytest.fixture
def panel():
    return widgets.FrechetExplorer()


def test_the_sliders_move_the_distance_and_the_picture(panel):
    for control, value in ((panel.mean, 1.0), (panel.width, 2.0), (panel.model_choice, "two peaks")):
        before = panel.image.value
        control.value = value
        assert panel.image.value != before
    want = (0.5 - 1.0) ** 2 + (1.3 - 2.0) ** 2
    assert panel.distances[0] == pytest.approx(want) and f"{want:.3f}" in panel.status.value
    assert panel.distances[1] > want


def test_the_picture_shows_the_densities_where_they_are(panel):
    panel.mean.value, panel.width.value = 2.0, 0.8
    pixels = np.asarray(Image.open(io.BytesIO(panel.image.value)).convert("RGB")).astype(int)
    line = np.abs(pixels - [0xD5, 0x5E, 0x00]).sum(2) < 30
    highest = np.argwhere(line)[0]  # rows come first: the peak of the fake
    assert -4.5 + 10 * highest[1] / (pixels.shape[1] - 1) == pytest.approx(2.0, abs=0.15)


def test_at_zero_the_two_curves_still_differ(panel):
    panel.model_choice.value = "two peaks"
    panel.mean.value, panel.width.value = 0.5, 1.3
    assert panel.distances[0] == pytest.approx(0, abs=1e-9) and panel.distances[1] > 0.1


def test_without_a_kernel_it_is_a_picture_and_with_one_its_controls(panel, monkeypatch):
    sent = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: sent.append(data))
    monkeypatch.setenv("COURSE_STATIC", "1")
    panel._ipython_display_()
    assert sent[0]["image/png"] and "two peaks, fitted: 0" in sent[0]["text/plain"]
    monkeypatch.delenv("COURSE_STATIC")
    monkeypatch.setattr("IPython.get_ipython", lambda: types.SimpleNamespace(kernel=object()))
    panel._ipython_display_()
    assert sent[1] is panel.panel


def test_every_control_says_what_it_is(panel):
    for control in (panel.model_choice, panel.mean, panel.width):
        told = control.tooltip if hasattr(control, "tooltip") else control.description_tooltip
        assert control.description and told and "decodes" not in told
