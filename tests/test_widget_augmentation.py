"""The panel of augmentations, driven without a browser."""

import time

import numpy as np
import pytest
import torch
from panels import displayed, every_widget, stand_in

from course_utils import widgets
from course_utils.augment import OPERATIONS, Augmentation
from course_utils.data.image_set import ImageSet
from course_utils.errors import CourseError
from course_utils.widgets import augmentation as module

SHAPE = (3, 32, 32)


@pytest.fixture(scope="module")
def images():
    pixels = torch.randint(40, 256, (5, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageSet(pixels, None, "noise", "test", (), {"name": [f"picture {letter}" for letter in "abcde"]})


@pytest.fixture
def panel(images):
    return widgets.AugmentationExplorer(images, start=2)


def untouched(panel):
    return (panel.copies == panel.x).flatten(1).all(1)


def test_it_shows_what_an_augmentation_makes_of_the_image(panel, images):
    torch.manual_seed(0)
    want = Augmentation("translate+erase", 0.5)(images.floats(2).expand(module.DRAWS, -1, -1, -1))
    assert torch.equal(panel.copies, want)
    assert f"here {int(untouched(panel).sum())} of {module.DRAWS}" in panel.status.value and "25% of all" in panel.status.value


def test_the_slider_sets_p(panel):
    start = panel.image.value
    panel.p.value = 0.0
    assert untouched(panel).all() and panel.image.value != start and "100% of all" in panel.status.value
    panel.p.value = 1.0
    assert not untouched(panel).any() and "0% of all" in panel.status.value


def test_the_policy_and_the_image_are_chosen(panel, images):
    panel.p.value = 1.0
    panel.model_choice.value = "flip"
    assert torch.equal(panel.copies, images.floats(2).flip(3).expand(module.DRAWS, -1, -1, -1))
    assert "1 operation at p = 1.00: 0%" in panel.status.value
    panel.index.value = 4
    assert torch.equal(panel.copies[0], images.floats(4)[0].flip(2))
    assert set(OPERATIONS) < set(panel.model_choice.options) and panel.model_choice.description == "policy"


def test_draw_again_draws_anew_and_moves_nobodys_random_state(panel):
    state, before, picture = torch.get_rng_state(), panel.copies, panel.image.value
    panel.draw_again()
    assert not torch.equal(panel.copies, before) and panel.image.value != picture
    assert torch.equal(torch.get_rng_state(), state)


def test_every_control_says_what_it_is(panel):
    found = [w for w in every_widget(panel.panel) if type(w).__name__ in ("FloatSlider", "Dropdown", "Button")]
    assert len(found) == 4
    for widget in found:
        told = widget.tooltip if hasattr(widget, "tooltip") else widget.description_tooltip
        assert widget.description and told


def test_an_error_is_raised_and_written_under_the_picture(panel, monkeypatch):
    monkeypatch.setattr(Augmentation, "forward", lambda self, x: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        panel.p.value = 0.9
    assert "ZeroDivisionError" in panel.status.value and 'role="alert"' in panel.status.value


def test_the_picture_that_stands_in_shows_four_values_of_p_and_leaves_the_panels_own(panel, monkeypatch):
    before = panel.copies
    data, alt = stand_in(panel, monkeypatch)
    assert data["image/png"] and "picture c" in alt and "p = 0.25" in alt
    assert torch.equal(panel.copies, before)


def test_with_a_kernel_the_controls_are_shown(panel, monkeypatch):
    assert displayed(panel, monkeypatch) == [panel.panel]


def test_a_redraw_is_quick(panel):
    panel.model_choice.value = "+".join(OPERATIONS)
    seconds = []
    for value in np.linspace(0, 1, 9):
        start = time.perf_counter()
        panel.p.value = float(value)
        seconds.append(time.perf_counter() - start)
    assert np.median(seconds) < 0.3


def test_a_row_or_a_policy_that_is_not_there_is_refused(images):
    with pytest.raises(CourseError, match="start: got 5"):
        widgets.AugmentationExplorer(images, start=5)
    with pytest.raises(CourseError, match="policy: got 'zoom'|policy: got zoom"):
        widgets.AugmentationExplorer(images, policies=["zoom"])
