"""The panels, driven without a browser: a control moves, the picture's bytes follow."""

import io
import time

import numpy as np
import pytest
import torch
from panels import displayed, every_widget
from PIL import Image
from toys import DecoderOnly

from course_utils import methods, widgets
from course_utils.data.image_set import ImageSet
from course_utils.errors import CourseError
from course_utils.methods.autoencoder import AutoencoderConfig
from course_utils.methods.vae import VAEConfig
from course_utils.widgets import panel as panels

SHAPE = (1, 32, 32)
SLOWEST = 0.3  # seconds a redraw may take: three times the promised tenth


def model(z=8, seed=0, shape=SHAPE, method="vae", lively=True):
    """A new model; lively: weights so large that every code gives another picture, as in a trained one."""
    config = (VAEConfig if method == "vae" else AutoencoderConfig)(latent_dim=z, widths=(8, 8, 8))
    made = methods.build(method, config, shape, seed=seed).eval()
    if lively:
        with torch.no_grad():
            for p in made.parameters():
                p.mul_(2.5 if p.ndim > 1 else 1)
    return made


@pytest.fixture(scope="module")
def images():
    pixels = torch.randint(0, 256, (20, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageSet(pixels, torch.arange(20) % 4, "noise", "test", ("a", "b", "c", "d"))


@pytest.fixture
def explorer(images):
    return widgets.LatentExplorer(
        {"VAE": model(8), "AE": model(2, 1, method="autoencoder"), "GAN": DecoderOnly()}, images
    )


def picture(explorer):
    return np.asarray(Image.open(io.BytesIO(explorer.image.value)).convert("RGB"))


def tile(explorer, index, side=160, gap=8):
    """The image of one tile of a row of 32x32 images, at its own size."""
    return picture(explorer)[
        16 : 16 + side : side // 32, index * (side + gap) : index * (side + gap) + side : side // 32
    ]


def as_bytes(image):
    return (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).expand(-1, -1, 3).numpy()


def changes(explorer, control, value):
    """Set a control; whether the picture became another."""
    before = explorer.image.value
    control.value = value
    return explorer.image.value != before


# LatentExplorer


def test_it_starts_at_the_code_of_the_first_image(explorer, images):
    vae = explorer.models["VAE"]
    assert torch.equal(explorer.z, vae.encode(images.floats(0)).mean.detach())
    assert np.array_equal(tile(explorer, 0), as_bytes(images.floats(0)[0]))
    for index in (1, 2):  # the reconstruction, and the code on show, which is the same yet
        assert np.abs(tile(explorer, index).astype(int) - as_bytes(vae.reconstruct(images.floats(0))[0])).max() <= 1


def test_the_sliders_are_the_dimensions_that_carry_most(explorer, images):
    carried = explorer.models["VAE"].latent_importance(images.floats())
    assert [row[0] for row in explorer.dimensions] == carried.argsort(descending=True)[:6].tolist()
    assert explorer.sliders[0].description.endswith("nats")


@pytest.mark.parametrize("index", [0, 3, 5])
def test_a_slider_moves_its_own_number_and_the_picture(explorer, index):
    before, dim = explorer.z, explorer.dimensions[index][0]
    assert changes(explorer, explorer.sliders[index], 3.25)
    moved = (explorer.z != before)[0]
    assert explorer.z[0, dim] == 3.25 and moved.sum() == 1 and moved[dim]
    shown = as_bytes(explorer.model.decode(explorer.z)[0].detach())
    assert np.abs(tile(explorer, 2).astype(int) - shown).max() <= 1


def test_reset_returns_to_the_exact_start(explorer):
    start, z = explorer.image.value, explorer.z
    explorer.sliders[1].value = 2.0
    explorer.truncation.value = 0.4
    explorer.random()
    assert explorer.image.value != start
    explorer.reset()
    assert explorer.image.value == start and torch.equal(explorer.z, z)


def test_rounding_by_the_browser_moves_nothing(explorer):
    start, z = explorer.image.value, explorer.z
    for slider in explorer.sliders:  # a browser reports the nearest of its steps as soon as it shows a slider
        slider.value = round(slider.value / slider.step) * slider.step
    assert explorer.image.value == start and torch.equal(explorer.z, z)
    explorer.sliders[0].value += explorer.sliders[0].step
    assert not torch.equal(explorer.z, z)


def test_truncation_0_gives_the_image_of_the_priors_mean(explorer):
    explorer.random()
    explorer.truncation.value = 0.0
    assert not explorer.z.any()
    mean = as_bytes(explorer.model.decode(torch.zeros(1, 8))[0].detach())
    assert np.abs(tile(explorer, 0).astype(int) - mean).max() <= 1


def test_random_draws_from_the_prior_anew_each_time_and_the_same_for_a_seed(images):
    first, second = (widgets.LatentExplorer(model(8), images, seed=4) for _ in range(2))
    draws = []
    for _ in range(3):
        first.random()
        second.random()
        assert torch.equal(first.z, second.z) and first.image.value == second.image.value
        draws.append(first.z)
    assert not torch.equal(draws[0], draws[1]) and not torch.equal(draws[1], draws[2])
    assert torch.equal(draws[0][0], torch.randn(8, generator=torch.Generator().manual_seed(4)))


def test_another_image_brings_its_own_code(explorer, images):
    assert changes(explorer, explorer.index, 7)
    assert torch.equal(explorer.z, explorer.model.encode(images.floats(7)).mean.detach())
    assert np.array_equal(tile(explorer, 0), as_bytes(images.floats(7)[0]))


def test_another_model_brings_its_own_sliders(explorer, images):
    assert changes(explorer, explorer.model_choice, "AE")
    assert torch.equal(explorer.z, explorer.models["AE"].encode(images.floats(0)).mean.detach())
    assert [s.layout.display for s in explorer.sliders] == [None, None, "none", "none", "none", "none"]
    explorer.model_choice.value = "VAE"
    assert all(s.layout.display is None for s in explorer.sliders) and explorer.z.shape == (1, 8)


def test_a_model_without_an_encoder_starts_from_the_origin(explorer):
    explorer.model_choice.value = "GAN"
    assert explorer.index.disabled and not explorer.z.any()
    assert changes(explorer, explorer.sliders[0], 1.5)
    explorer.model_choice.value = "VAE"
    assert not explorer.index.disabled


def test_it_needs_no_images_at_all():
    explorer = widgets.LatentExplorer(DecoderOnly(), dims=3)
    assert explorer.index is None and len(explorer.sliders) == 3
    assert changes(explorer, explorer.sliders[2], -2.0)
    start = explorer.z
    explorer.random()
    assert not torch.equal(explorer.z, start)
    explorer.reset()
    assert not explorer.z.any()


def test_codes_far_outside_the_sliders_range_are_kept(images):
    wild = model(4, method="autoencoder")
    with torch.no_grad():
        [m for m in wild.encoder.modules() if isinstance(m, torch.nn.Linear)][-1].bias.add_(1e4)
    explorer = widgets.LatentExplorer(wild, images)
    assert explorer.z.min() > 1e3
    explorer.random()
    explorer.reset()
    assert torch.equal(explorer.z, wild.encode(images.floats(0)).mean.detach())


def test_a_change_of_image_redraws_once(explorer, monkeypatch):
    drawn = []
    plain = explorer.picture
    monkeypatch.setattr(explorer, "picture", lambda: drawn.append(1) or plain())
    explorer.index.value = 3
    explorer.reset()
    explorer.model_choice.value = "AE"
    assert len(drawn) == 3


def test_images_of_another_size_are_refused(images):
    with pytest.raises(CourseError, match="images"):
        widgets.LatentExplorer(model(shape=(3, 32, 32)), images)


# What panels share


def make(kind, images):
    if kind == "FactorExplorer":
        return widgets.FactorExplorer(model(shape=(3, 32, 32)))
    return getattr(widgets, kind)(model(), images)


KINDS = ["LatentExplorer", "TraversalExplorer", "InterpolationExplorer", "FactorExplorer"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_in_a_redraw_is_raised_and_written_under_the_picture(kind, images, monkeypatch):
    explorer = make(kind, images)
    monkeypatch.setattr(explorer.model, "decode", lambda z: 1 / 0)
    slider = next(w for w in every_widget(explorer.panel) if type(w).__name__ in ("IntSlider", "FloatSlider"))
    with pytest.raises(ZeroDivisionError):
        slider.value = slider.max
    assert "ZeroDivisionError" in explorer.status.value and 'role="alert"' in explorer.status.value


@pytest.mark.parametrize("kind", KINDS)
def test_every_control_says_what_it_is(kind, images):
    for widget in every_widget(make(kind, images).panel):
        if type(widget).__name__ in ("IntSlider", "FloatSlider", "Dropdown", "Button"):
            told = widget.tooltip if hasattr(widget, "tooltip") else widget.description_tooltip
            assert widget.description and told


@pytest.mark.parametrize("kind", KINDS)
def test_a_static_panel_is_a_picture_with_alternative_text(kind, images, monkeypatch):
    sent = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: sent.append((data, options)))
    monkeypatch.setenv("COURSE_STATIC", "1")
    make(kind, images)._ipython_display_()
    ((data, options),) = sent
    assert data["image/png"] and len(options["metadata"]["image/png"]["alt"]) > 40


@pytest.mark.parametrize("kind", KINDS)
def test_with_a_kernel_the_controls_are_shown(kind, images, monkeypatch):
    explorer = make(kind, images)
    assert displayed(explorer, monkeypatch) == [explorer.panel]


def test_without_a_kernel_panels_are_static(monkeypatch):
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    assert panels.static()


@pytest.mark.parametrize("kind", KINDS)
def test_a_redraw_is_quick(kind, images):
    """Median of nine moves, on networks of the size the course trains."""
    shape = (3, 32, 32) if kind == "FactorExplorer" else SHAPE
    full = methods.build("vae", VAEConfig(latent_dim=32), shape, seed=0).eval()
    explorer = widgets.FactorExplorer(full) if kind == "FactorExplorer" else getattr(widgets, kind)(full, images)
    slider = [w for w in every_widget(explorer.panel) if type(w).__name__ in ("IntSlider", "FloatSlider")][-1]
    span = np.linspace(slider.min, slider.max, 9)
    moves = [type(slider.value)(v) for v in (*span, *span[::-1])]
    seconds = []
    for value in moves:
        start, before = time.perf_counter(), slider.value
        slider.value = value
        if value != before:
            seconds.append(time.perf_counter() - start)
    assert len(seconds) >= 9 and np.median(seconds) < SLOWEST


def test_an_unchanged_model_is_left_as_it_was(images):
    training = model().train()
    explorer = widgets.LatentExplorer(training, images)
    explorer.sliders[0].value = 2.0
    assert training.training and all(p.grad is None for p in training.parameters())


# The other panels


def test_traversal_strip_follows_dimension_span_and_image(images):
    explorer = widgets.TraversalExplorer({"VAE": model(), "GAN": DecoderOnly()}, images, steps=5)
    dim = explorer.dim.options[1][1]
    assert changes(explorer, explorer.dim, dim) and changes(explorer, explorer.span, 2.0)
    assert torch.allclose(explorer.z[:, dim], torch.linspace(-2, 2, 5)) and explorer.z.shape == (5, 8)
    base = explorer.model.encode(images.floats(4)).mean[0].detach()
    assert changes(explorer, explorer.index, 4)
    rest = [d for d in range(8) if d != dim]
    assert torch.equal(explorer.z[:, rest], base[rest].expand(5, -1))
    assert changes(explorer, explorer.model_choice, "GAN") and explorer.z.shape == (5, 5) and explorer.index.disabled


def test_traversal_of_an_autoencoder_goes_in_its_own_standard_deviations(images):
    net = model(method="autoencoder")
    explorer = widgets.TraversalExplorer(net, images, steps=3)
    codes, dim = net.encode(images.floats()).mean.detach(), explorer.dim.value
    want = codes[0, dim] + torch.tensor([-3.0, 0.0, 3.0]) * codes[:, dim].std()
    assert torch.allclose(explorer.z[:, dim], want, atol=1e-5)


def test_interpolation_ends_are_the_two_images(images):
    net = model()
    explorer = widgets.InterpolationExplorer(net, images)
    explorer.first.value, explorer.second.value = 3, 9
    for t, index in ((0.0, 3), (1.0, 9)):
        assert changes(explorer, explorer.t, t)
        assert torch.allclose(explorer.z, net.encode(images.floats(index)).mean.detach(), atol=1e-5)
    explorer.t.value = 0.5
    middle = explorer.z
    ends = [net.encode(images.floats(i)).mean.detach() for i in (3, 9)]
    assert torch.allclose(middle, (ends[0] + ends[1]) / 2, atol=1e-6)
    explorer.path.value = "spherical"
    assert torch.allclose(explorer.z.norm(), (ends[0].norm() + ends[1].norm()) / 2, rtol=1e-4)


def test_interpolation_without_an_encoder_goes_between_draws_from_the_prior():
    explorer = widgets.InterpolationExplorer(DecoderOnly())
    explorer.t.value = 0.0
    assert torch.allclose(explorer.z[0], torch.randn(5, generator=torch.Generator().manual_seed(0)))
    assert changes(explorer, explorer.first, 17) and explorer.static_figure().course_alt


def test_factor_sliders_render_the_picture_that_the_model_sees():
    from course_utils.data import factors

    net = model(shape=(3, 32, 32))
    explorer = widgets.FactorExplorer(net)
    start = explorer.image.value
    for name, value in {"shape": 3, "color": 2, "scale": 0, "rotation": 5, "x": 1, "y": 7}.items():
        assert changes(explorer, explorer.factors[name], value), name
    want = factors.render(torch.tensor([[3, 2, 0, 5, 1, 7]])).float() / 255
    assert torch.equal(explorer.x, want)
    assert torch.equal(explorer.z, net.encode(want).mean.detach())
    explorer.reset()
    assert explorer.image.value == start and "moved since the start: nothing" in explorer.status.value


def test_factor_explorer_refuses_models_that_cannot_see_shapes():
    for wrong in (DecoderOnly(), model()):
        with pytest.raises(CourseError):
            widgets.FactorExplorer(wrong)
