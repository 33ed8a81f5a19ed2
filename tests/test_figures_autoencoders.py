"""Figures of chapter 01: they show what they were given, and carry their alternative text."""

import pytest
import torch
import torch.nn.functional as F

from course_utils import methods
from course_utils.data.image_set import ImageSet
from course_utils.errors import CourseError
from course_utils.figures import autoencoders as drawn
from course_utils.methods.autoencoder import AutoencoderConfig


def autoencoder(latent_dim):
    config = AutoencoderConfig(latent_dim=latent_dim, widths=(8, 8, 8))
    return methods.build("autoencoder", config, (1, 32, 32), seed=0).eval()


class Through:
    """Stands for a model: reconstructs by a given function."""

    has_encoder = True

    def __init__(self, function):
        self.reconstruct = function


@pytest.fixture(scope="module")
def image_set():
    pixels = torch.randint(0, 256, (30, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageSet(pixels, None, "noise", "test")


def lines(figure):
    """The data of the figure's labeled lines: {label: (x, y)}."""
    return {line.get_label(): line.get_data() for line in figure.axes[0].lines if not line.get_label().startswith("_")}


def test_error_by_code_size_draws_every_point_in_order():
    figure = drawn.error_by_code_size({"pca": {8: 20.0, 2: 36.0}, "network": {2: 21.0}})
    sizes, errors = lines(figure)["pca"]
    assert list(sizes) == [2, 8] and list(errors) == [36.0, 20.0]
    assert "36" in figure.course_alt and "network" in figure.course_alt
    with pytest.raises(CourseError, match="errors"):
        drawn.error_by_code_size({})


def test_loss_by_frequency_of_a_copy_of_the_mean_and_of_a_blur(image_set):
    x = image_set.floats()
    mean = x.mean(0, keepdim=True)
    models = {
        "copy": Through(lambda y: y),
        "mean": Through(lambda y: mean.expand_as(y)),
        "blur": Through(lambda y: F.avg_pool2d(F.pad(y, (1, 1, 1, 1), mode="circular"), 3, 1)),
    }
    shares = {name: y for name, (_, y) in lines(drawn.loss_by_frequency(models, x)).items()}
    assert max(shares["copy"]) == 0
    assert shares["mean"] == pytest.approx([1] * 17, abs=1e-3)  # all that varies is lost, at every frequency
    assert shares["blur"][1] < 0.02 and shares["blur"][16] > 0.5
    with pytest.raises(CourseError, match="images"):
        drawn.loss_by_frequency(models, x[:1])


def test_codes_and_noise_counts_the_codes_where_the_noise_is(image_set):
    model = autoencoder(2)
    figure = drawn.codes_and_noise(model, image_set, torch.full((5, 2), 100.0))
    assert "100.0% of the codes" in figure.course_alt
    assert "30 codes" in figure.course_alt and "5 points of noise" in figure.course_alt
    with pytest.raises(CourseError, match="latent_dim 3"):
        drawn.codes_and_noise(autoencoder(3), image_set, torch.zeros(5, 2))


def test_denoising_errors_of_a_copy_and_of_the_truth(image_set):
    x = image_set.floats()
    models = {"copy": Through(lambda y: y), "truth": Through(lambda y: x)}
    found = lines(drawn.denoising_errors(models, x, [0, 0.1], trained_at=0.1))
    assert list(found["truth"][1]) == [0, 0]
    assert list(found["copy"][1]) == list(found["the noisy image itself"][1])
    assert found["copy"][1][1] == pytest.approx(1024 * 0.01, rel=0.05)


def test_curves_with_limit_draws_the_limit():
    figure = drawn.curves_with_limit({"run": {"step": [1, 2], "sse": [5.0, 4.0]}}, 3.0, "floor", term="sse")
    assert set(lines(figure)["floor"][1]) == {3.0}
    assert "ends at 4" in figure.course_alt and "floor, 3" in figure.course_alt


def test_image_rows_clips_and_names_its_rows(image_set):
    x = image_set.floats()[:3]
    figure = drawn.image_rows({"as it\nis": x, "too bright": 2 * x}, title="Two")
    assert "3 images" in figure.course_alt and "as it is, too bright" in figure.course_alt
    assert figure.axes[0].images[0].get_array().max() == 255
