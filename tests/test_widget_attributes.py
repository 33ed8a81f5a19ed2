"""The panel of attributes, driven without a browser."""

import time

import numpy as np
import pytest
import torch
from panels import displayed, every_widget, stand_in

from course_utils import methods, widgets
from course_utils.data.image_set import ImageSet
from course_utils.errors import CourseError
from course_utils.figures import models as ask
from course_utils.methods.vae import VAEConfig
from course_utils.methods.vae_gan import VAEGANConfig

SHAPE = (3, 32, 32)
VECTORS = {"skin tone": torch.tensor([2.0, 0, 0, 0, 0, 0]), "hair": torch.tensor([0.0, 0, 3, 0, -1, 0])}


def model(seed=0, method="vae", config=None):
    made = methods.build(method, config or VAEConfig(latent_dim=6, widths=(8, 8, 8)), SHAPE, seed=seed).eval()
    with torch.no_grad():
        for p in made.parameters():
            p.mul_(2.5 if p.ndim > 1 else 1)  # so that every code gives another picture
    return made


@pytest.fixture(scope="module")
def images():
    pixels = torch.randint(0, 256, (5, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageSet(pixels, None, "noise", "test", (), {"name": [f"picture {letter}" for letter in "abcde"]})


@pytest.fixture
def panel(images):
    models = {"A": model(), "B": model(1)}
    return widgets.AttributeExplorer(models, {"A": VECTORS, "B": {k: -v for k, v in VECTORS.items()}}, images, start=2)


def test_a_slider_adds_its_vector_to_the_images_code(panel, images):
    z, start = ask.encoded(panel.model, images.floats(2))[0], panel.image.value
    assert torch.equal(panel.z, z) and "edited: nothing; squared error to the reconstruction 0.0" in panel.status.value
    panel.sliders["skin tone"].value = 1.5
    panel.sliders["hair"].value = -1.0
    torch.testing.assert_close(panel.z, z + 1.5 * VECTORS["skin tone"] - VECTORS["hair"])
    assert panel.image.value != start and "skin tone +1.5, hair -1.0" in panel.status.value
    moved = ask.squared_error(ask.decoded(panel.model, z), ask.decoded(panel.model, panel.z)).item()
    assert f"reconstruction {moved:.1f}" in panel.status.value and moved > 1
    panel.reset()
    assert panel.image.value == start and torch.equal(panel.z, z)


def test_another_image_and_another_model_keep_the_sliders(panel, images):
    panel.sliders["hair"].value = 1.0
    panel.index.value = 4
    torch.testing.assert_close(panel.z, ask.encoded(panel.models["A"], images.floats(4))[0] + VECTORS["hair"])
    panel.model_choice.value = "B"
    torch.testing.assert_close(panel.z, ask.encoded(panel.models["B"], images.floats(4))[0] - VECTORS["hair"])


def test_reset_redraws_once(panel, monkeypatch):
    for slider in panel.sliders.values():
        slider.value = 1.0
    drawn, plain = [], panel.picture
    monkeypatch.setattr(panel, "picture", lambda: drawn.append(1) or plain())
    panel.reset()
    assert len(drawn) == 1


def test_images_are_offered_by_name(panel, images):
    assert [name for name, _ in panel.index.options][:2] == ["0: picture a", "1: picture b"]
    plain = ImageSet(images.images, None, "noise", "test")
    alone = widgets.AttributeExplorer(model(), VECTORS, plain)
    assert alone.index.options[3] == ("3: image 3", 3) and alone.index.description == "image"


def test_every_control_says_what_it_is(panel):
    found = [w for w in every_widget(panel.panel) if type(w).__name__ in ("FloatSlider", "Dropdown", "Button")]
    assert len(found) == 5
    for widget in found:
        told = widget.tooltip if hasattr(widget, "tooltip") else widget.description_tooltip
        assert widget.description and told


def test_an_error_is_raised_and_written_under_the_picture(panel, monkeypatch):
    monkeypatch.setattr(panel.model, "decode", lambda z: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        panel.sliders["hair"].value = 1.0
    assert "ZeroDivisionError" in panel.status.value and 'role="alert"' in panel.status.value


def test_the_picture_that_stands_in_shows_each_slider(panel, monkeypatch):
    data, alt = stand_in(panel, monkeypatch)
    assert data["image/png"] and "picture c" in alt and "skin tone, hair" in alt


def test_with_a_kernel_the_controls_are_shown(panel, monkeypatch):
    assert displayed(panel, monkeypatch) == [panel.panel]


def test_a_redraw_is_quick(images):
    """Median of nine moves, on networks of the size the course trains."""
    config = VAEGANConfig(latent_dim=64, network="vae-gan32", widths=(16, 32, 64))
    full = methods.build("vae-gan", config, SHAPE, seed=0).eval()
    explorer = widgets.AttributeExplorer(full, {"skin tone": torch.randn(64)}, images)
    seconds = []
    for value in np.linspace(-2, 2, 9):
        start = time.perf_counter()
        explorer.sliders["skin tone"].value = float(value)
        seconds.append(time.perf_counter() - start)
    assert np.median(seconds) < 0.3


@pytest.mark.parametrize(
    ("vectors", "start", "message"),
    [
        ({"A": VECTORS}, 0, "vectors: got .*directions of each model"),
        ({"A": VECTORS, "B": {"hair": VECTORS["hair"]}}, 0, "the same for each model"),
        ({"A": {"x": torch.ones(3)}, "B": {"x": torch.ones(6)}}, 0, r"\(6,\) for 'x' of 'A'"),
        ({"A": {}, "B": {}}, 0, "one or more labels"),
        ({"A": VECTORS, "B": VECTORS}, 5, "start: got 5"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(images, vectors, start, message):
    with pytest.raises(CourseError, match=message):
        widgets.AttributeExplorer({"A": model(), "B": model(1)}, vectors, images, start=start)
