"""Every figure function: it runs, shows what it was given, and carries its alternative text."""

import base64
import io

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image
from toys import DecoderOnly

from course_utils import figures, methods
from course_utils.data.image_set import ImageSet
from course_utils.errors import CourseError
from course_utils.figures.models import encoded, leading_dims, path_between
from course_utils.figures.pixels import as_bytes
from course_utils.methods.autoencoder import AutoencoderConfig
from course_utils.methods.vae import VAEConfig

SHAPE = (1, 32, 32)


def vae(z=6, seed=0, shape=SHAPE):
    return methods.build("vae", VAEConfig(latent_dim=z, widths=(8, 8, 8)), shape, seed=seed).eval()


def autoencoder(z=6, seed=0):
    return methods.build("autoencoder", AutoencoderConfig(latent_dim=z, widths=(8, 8, 8)), SHAPE, seed=seed).eval()


@pytest.fixture(scope="module")
def image_set():
    pixels = torch.randint(0, 256, (40, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageSet(pixels, torch.arange(40) % 10, "noise", "test", tuple(f"class {k}" for k in range(10)))


@pytest.fixture(scope="module")
def x(image_set):
    return image_set.floats(slice(0, 4))


def words(figure):
    """All text in a figure, joined."""
    return " | ".join(t.get_text() for t in figure.findobj(matplotlib.text.Text))


def canvas(figure):
    """The pixels that a figure of images shows, uint8 (H, W, 3)."""
    return np.asarray(figure.axes[0].images[0].get_array())


def png(figure):
    return np.asarray(Image.open(io.BytesIO(figures.to_png(figure))).convert("RGB"))


FIGURES = {
    "image_grid": lambda x, s: figures.image_grid(x, 2, ["a", "b", "c", "d"], title="Four"),
    "reconstructions": lambda x, s: figures.reconstructions({"AE": autoencoder(), "VAE": vae()}, x),
    "bottleneck_sweep": lambda x, s: figures.bottleneck_sweep({"wide": autoencoder(8), "narrow": autoencoder(1)}, x),
    "denoising": lambda x, s: figures.denoising(autoencoder(), x, 0.5),
    "samples": lambda x, s: figures.samples(DecoderOnly(), 12),
    "samples of several": lambda x, s: figures.samples({"VAE": vae(), "GAN": DecoderOnly(6)}, 6),
    "comparison_panel": lambda x, s: figures.comparison_panel({"VAE": vae(), "GAN": DecoderOnly()}, x[0]),
    "decoded_grid": lambda x, s: figures.decoded_grid(vae(2), 4),
    "interpolation_strip": lambda x, s: figures.interpolation_strip(vae(), x[0], x[1], spherical=True),
    "traversal": lambda x, s: figures.traversal(vae(), x),
    "latent_map of 2": lambda x, s: figures.latent_map(vae(2), s),
    "latent_map of 6": lambda x, s: figures.latent_map(autoencoder(), s),
    "kl_per_dimension": lambda x, s: figures.kl_per_dimension({"a": vae(), "b": vae(4)}, x),
    "prior_vs_aggregate": lambda x, s: figures.prior_vs_aggregate({"AE": autoencoder(), "VAE": vae()}, s.floats(), 3),
    "posterior_collapse": lambda x, s: figures.posterior_collapse({"a": vae(), "b": vae(seed=1)}, x),
    "mutual_information": lambda x, s: figures.mutual_information(np.eye(3, 5), ["shape", "x", "y"], mig=0.5),
    "training_curves": lambda x, s: figures.training_curves({"run": CURVES}, "kl"),
    "rate_distortion": lambda x, s: figures.rate_distortion(POINTS),
    "iwae_bound": lambda x, s: figures.iwae_bound([1, 10, 100], [-9.0, -8.5, -8.2], [0.1, 0.1, 0.1], exact=-8.0),
    "elbo_decomposition": lambda x, s: figures.elbo_decomposition({"a": {"rec": 3.0, "kl": 4.0}}),
    "histogram": lambda x, s: figures.histogram({"a": x[0], "b": x[1]}, "pixel value"),
}
CURVES = {"step": np.array([10.0, 20, 30]), "kl": np.array([1.0, 2, 3]), "val_kl": np.array([np.nan, 2.5, np.nan])}
POINTS = [{"beta": 4, "kl": 5.0, "sse": 30.0}, {"beta": 1, "kl": 12.0, "sse": 20.0},
          {"name": "ramp", "beta": 1, "kl": 11.0, "sse": 21.0, "schedule": "linear"}]  # fmt: skip


@pytest.mark.parametrize("name", FIGURES)
def test_each_figure_draws_has_alternative_text_stays_small_and_cuts_no_text(name, x, image_set):
    figure = FIGURES[name](x, image_set)
    data, metadata = figure._repr_mimebundle_()
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB"))
    assert metadata["image/png"]["alt"] == figure.course_alt and len(figure.course_alt) > 40
    assert "nan" not in figure.course_alt.lower().split() and "nan" not in words(figure).split()
    assert picture.std() > 5, "the picture is empty"
    assert picture.shape[1] <= 860 and len(data["image/png"]) < 250_000
    edges = [picture[0], picture[-1], picture[:, 0], picture[:, -1]]
    assert all((edge > 200).all() for edge in edges), "ink touches the border"


def test_the_readers_matplotlib_settings_are_left_alone(x, image_set):
    before = dict(matplotlib.rcParams)
    for make in FIGURES.values():
        make(x, image_set)
    assert dict(matplotlib.rcParams) == before


def test_figures_stay_out_of_pyplot(x):
    from matplotlib import pyplot

    figures.image_grid(x)
    assert pyplot.get_fignums() == []


# Images


def test_image_grid_shows_every_pixel_of_every_image(x):
    shown = canvas(figures.image_grid(x, 2, scale=3))
    want = as_bytes(x[3]).repeat(3, 0).repeat(3, 1)
    h = len(want)
    found = [
        (i, j) for i in range(shown.shape[0] - h + 1) for j in range(shown.shape[1] - h + 1)
        if (shown[i, j] == want[0, 0]).all() and np.array_equal(shown[i : i + h, j : j + h], want)
    ]  # fmt: skip
    assert len(found) == 1


def test_the_png_holds_the_images_pixel_for_pixel(x):
    figure = figures.image_grid(x[:1], 1, scale=2)
    assert np.array_equal(png(figure), canvas(figure))


@pytest.mark.parametrize(
    "images", [torch.full((1, 1, 8, 8), -0.5), torch.full((1, 1, 8, 8), torch.nan), torch.ones(1, 2, 8, 8)]
)
def test_what_is_no_picture_is_refused(images):
    with pytest.raises(CourseError, match="images"):
        figures.image_grid(images)


def test_titles_must_be_one_for_each_image(x):
    with pytest.raises(CourseError, match="titles"):
        figures.image_grid(x, 2, ["only one"])


def test_reconstructions_prints_the_squared_error_summed_over_pixels(x):
    model = autoencoder()
    error = (model.reconstruct(x) - x).square().sum((1, 2, 3))
    figure = figures.reconstructions({"my model": model}, x)
    assert all(f" {e:.3g} " in f"{words(figure)} " for e in error.tolist())
    assert f"my model {error.mean():.3g}" in figure.course_alt


def test_reconstructions_needs_an_encoder(x):
    with pytest.raises(CourseError, match="encoder"):
        figures.reconstructions(DecoderOnly(), x)


def test_bottleneck_sweep_starts_with_the_narrowest(x):
    text = words(figures.bottleneck_sweep({"b": autoencoder(8), "a": autoencoder(1)}, x))
    assert text.index("1 number\n") < text.index("8 numbers\n")


def test_denoising_feeds_the_noise_and_measures_against_the_clean_image(x):
    model, seen = autoencoder(), []
    hook = model.encoder.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    figure = figures.denoising(model, x, 0.5, generator=torch.Generator().manual_seed(7))
    hook.remove()
    noisy = x + 0.5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(7))
    assert torch.equal(seen[0], noisy)
    assert f"denoised {(model.reconstruct(noisy) - x).square().sum((1, 2, 3)).mean():.3g}" in figure.course_alt


def test_samples_are_those_of_the_generator(x):
    model = DecoderOnly()
    a, b, c = (canvas(figures.samples(model, 4, torch.Generator().manual_seed(s))) for s in (0, 0, 1))
    assert np.array_equal(a, b) and not np.array_equal(a, c)
    first = as_bytes(model.sample(4, torch.Generator().manual_seed(0))[0])
    side = 4 * 32
    assert np.array_equal(a[34 : 34 + side : 4, 4 : 4 + side : 4], first)  # below the title, four screen pixels each


def test_comparison_panel_says_which_model_has_no_encoder(x):
    figure = figures.comparison_panel({"VAE": vae(), "GAN": DecoderOnly()}, x[0])
    assert "GAN\nno encoder" in words(figure) and "GAN: no encoder" in figure.course_alt


def test_comparison_panel_of_many_models_stays_within_the_page(x):
    many = {f"beta_vae_fashion_number_{i}": vae(seed=i) for i in range(12)}
    figure = figures.comparison_panel(many, x[0], samples=1)
    assert figure.bbox.width <= 841 and words(figure).count("reconstruction") == 2


def test_decoded_grid_has_the_priors_quantiles_and_z1_upward():
    model, n = vae(2), 5
    shown = canvas(figures.decoded_grid(model, n))
    z = torch.special.ndtri((torch.arange(n) + 0.5) / n)
    top_right = as_bytes(model.decode(torch.stack([z[-1], z[-1]])[None])[0])
    bottom_right = as_bytes(model.decode(torch.stack([z[-1], z[0]])[None])[0])
    side = 32 * 4
    right = slice(shown.shape[1] - 4 - side, -4, 4)
    top = shown.shape[0] - 20 - n * side
    difference = np.abs(shown[top : top + side : 4, right].astype(int) - top_right)
    assert difference.max() <= 1
    below = slice(top + (n - 1) * side, top + n * side, 4)
    assert np.abs(shown[below, right].astype(int) - bottom_right).max() <= 1
    assert not np.array_equal(top_right, bottom_right)


def test_decoded_grid_wants_two_dimensions():
    with pytest.raises(CourseError, match="latent_dim 6"):
        figures.decoded_grid(vae(6))


def test_traversal_moves_one_dimension_and_holds_the_rest(x):
    model, asked = vae(), []
    plain = model.decode
    model.decode = lambda z: asked.append(z) or plain(z)
    figures.traversal(model, x, [2], span=2.0, steps=5)
    z, base = asked[-1], encoded(model, x)[0][0]
    assert torch.allclose(z[:, 2], torch.linspace(-2, 2, 5))
    others = [0, 1, 3, 4, 5]
    assert torch.equal(z[:, others], base[others].expand(5, -1))


def test_traversal_of_an_autoencoder_goes_in_its_own_units(x):
    model, asked = autoencoder(), []
    plain = model.decode
    model.decode = lambda z: asked.append(z) or plain(z)
    figures.traversal(model, x, [2], span=2.0, steps=5)
    codes = encoded(model, x)[0]
    assert torch.allclose(asked[-1][:, 2], codes[0, 2] + torch.linspace(-2, 2, 5) * codes[:, 2].std())
    with pytest.raises(CourseError, match="two or more"):
        figures.traversal(model, x[:1], [2])


def test_leading_dims_of_a_decoder_are_those_that_change_the_image():
    model = DecoderOnly()
    with torch.no_grad():
        model.net.weight.mul_(0.01)
        model.net.weight[:, 3].mul_(300)
    assert leading_dims(model, count=2)[0][0] == 3


@pytest.mark.parametrize("spherical", [False, True])
def test_a_path_starts_and_ends_at_its_codes(spherical):
    a, b = torch.randn(2, 7, generator=torch.Generator().manual_seed(0))
    way = path_between(a, b, torch.linspace(0, 1, 5), spherical)
    assert torch.allclose(way[0], a, atol=1e-5) and torch.allclose(way[-1], b, atol=1e-5)


def test_the_spherical_path_keeps_the_length_where_the_straight_one_cuts_through():
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    assert torch.allclose(path_between(a, b, 0.5, True), torch.tensor([[2**0.5, 2**0.5]]), atol=1e-5)
    assert torch.allclose(path_between(a, b, 0.5), torch.tensor([[1.0, 1.0]]))
    assert torch.allclose(path_between(a, -a, 0.5, True), torch.zeros(1, 2))  # no plane to turn in: the straight line


# Numbers


def test_latent_map_has_every_class_once_and_the_prior_for_two_dimensions(image_set):
    with_prior = figures.latent_map(vae(2), image_set).axes[0]
    labels = [t.get_text() for t in with_prior.get_legend().get_texts()]
    assert labels == [f"class {k}" for k in range(10)]
    assert len(with_prior.lines) == 2 and len(figures.latent_map(autoencoder(2), image_set).axes[0].lines) == 0
    drawn = np.concatenate([c.get_offsets() for c in with_prior.collections])
    codes = encoded(vae(2), image_set.floats())[0].numpy()
    assert len(drawn) == 40 and np.allclose(np.sort(drawn[:, 0]), np.sort(codes[:, 0]), atol=1e-6)


def test_names_on_a_latent_map_do_not_cover_each_other(image_set):
    figure = figures.latent_map(autoencoder(2), image_set)  # untrained: all classes lie on the same spot
    figures.to_png(figure)
    boxes = [t.get_window_extent() for t in figure.axes[0].texts]
    assert len(boxes) == 10 and not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_kl_per_dimension_draws_the_mean_kl_sorted(x):
    model = vae()
    figure = figures.kl_per_dimension(model, x, threshold=0.0)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    want = model.encode(x).kl_per_dim().mean(0).sort(descending=True).values
    assert np.allclose(heights, want.detach().numpy(), atol=1e-6)
    assert "6 of 6 above 0 nats" in figure.course_alt


def test_kl_per_dimension_refuses_an_autoencoder(x):
    with pytest.raises(CourseError, match="posterior"):
        figures.kl_per_dimension(autoencoder(), x)


def test_training_curves_leave_out_missing_values_and_early_steps():
    axes = figures.training_curves({"run": CURVES}, "kl", skip=15).axes[0]
    train, held = axes.lines
    assert train.get_xdata().tolist() == [20, 30] and held.get_xdata().tolist() == [20]
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["run"]


def test_training_curves_name_the_terms_there_are():
    with pytest.raises(CourseError, match="kl"):
        figures.training_curves({"run": CURVES}, "kll")


def test_rate_distortion_joins_the_sweep_in_order_of_beta_and_leaves_schedules_out():
    sweep, ramp = figures.rate_distortion(POINTS).axes[0].lines
    assert sweep.get_xdata().tolist() == [12.0, 5.0] and sweep.get_ydata().tolist() == [20.0, 30.0]
    assert ramp.get_xdata().tolist() == [11.0]


def test_elbo_decomposition_adds_up():
    figure = figures.elbo_decomposition({"a": {"rec": 3.0, "kl": 4.0}, "b": {"rec": 1.0, "kl": 0.5}})
    assert "7.0" in words(figure) and "3.0 + 4.0 = 7.0" in figure.course_alt and "1.0 + 0.5 = 1.5" in figure.course_alt


def test_mutual_information_writes_the_numbers_in_their_cells():
    table = np.array([[0.1, 0.9], [0.7, 0.2]])
    figure = figures.mutual_information(table, ["shape", "x"])
    assert all(f"{v:.2f}" in words(figure) for v in table.ravel())
    assert "shape: most in z[1], 0.90" in figure.course_alt
    with pytest.raises(CourseError, match="factor_names"):
        figures.mutual_information(table, ["shape"])


def test_histogram_refuses_what_is_not_finite():
    with pytest.raises(CourseError, match="values"):
        figures.histogram({"a": torch.tensor([1.0, torch.nan])}, "x")


# Alternative text and showing


def test_show_sends_the_alternative_text_and_refuses_to_go_without(monkeypatch, x):
    sent = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: sent.append((data, options)))
    figures.show(figures.image_grid(x, alt="Four squares of noise."))
    data, options = sent[0]
    assert options["metadata"]["image/png"]["alt"] == "Four squares of noise." and options["raw"]
    with pytest.raises(CourseError, match="alt"):
        figures.show(matplotlib.figure.Figure())


def test_nbconvert_writes_the_alternative_text_into_the_page(x):
    nbformat, nbconvert = pytest.importorskip("nbformat"), pytest.importorskip("nbconvert")
    data, metadata = figures.image_grid(x, alt="Four squares of noise.")._repr_mimebundle_()
    output = nbformat.v4.new_output("execute_result", data, execution_count=1, metadata=metadata)
    cell = nbformat.v4.new_code_cell("figure", outputs=[output], execution_count=1)
    page, _ = nbconvert.HTMLExporter(template_name="classic").from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    assert 'alt="Four squares of noise."' in page


# Tables

ROWS = [{"name": "AE <2>", "sse": 21.456, "steps": 9360}, {"name": "VAE", "sse": 13.9, "kl": 16.0, "steps": 9360}]


def test_metric_table_as_text_and_html():
    table = figures.metric_table(ROWS, {"name": "method", "sse": "squared error", "kl": "KL"}, best={"sse": "min"})
    lines = str(table).splitlines()
    assert lines[0].split() == ["method", "squared", "error", "KL"]
    assert lines[2].split() == ["AE", "<2>", "21.46", "–"] and lines[3].split() == ["VAE", "13.9*", "16"]
    html = table._repr_html_()
    assert "AE &lt;2&gt;" in html and "<strong>13.9</strong>" in html and html.count("<tr>") == 3


def test_metric_table_refuses_a_column_that_is_not_there():
    with pytest.raises(CourseError, match="best"):
        figures.metric_table(ROWS, ["name"], best={"fid": "min"})
