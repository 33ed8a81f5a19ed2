"""Figures of chapter 06: they show what they were given, and carry their alternative text."""

import numpy as np
import pytest
import torch

from course_utils import methods
from course_utils.errors import CourseError
from course_utils.figures import vae_gan as drawn
from course_utils.methods.autoencoder import sse
from course_utils.methods.vae import VAEConfig


@pytest.fixture(scope="module")
def model():
    return methods.build("vae", VAEConfig(latent_dim=4, widths=(8, 8, 8)), (3, 32, 32), seed=0).eval()


def test_copies_carry_their_mean_distances_in_each_measure():
    x = torch.zeros(3, 1, 8, 8)
    figure = drawn.measured_copies(x, {"brighter": x + 0.5}, {"squared error": sse, "halved": lambda a, b: sse(a, b) / 2})
    assert "brighter: squared error 16, halved 8" in figure.course_alt
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words.count("16\n8") == 3 and "Numbers, from top to bottom: squared error, halved." in words
    with pytest.raises(CourseError, match="copies, measures"):
        drawn.measured_copies(x, {}, {"squared error": sse})


def test_the_players_are_drawn_with_the_losses_that_move_them():
    figure = drawn.players()
    words = [text.get_text() for text in figure.axes[0].texts]
    for needed in ("L_prior", "L_feat", "γ L_feat", "L_GAN", "L_dis"):
        assert needed in words
    assert words.count("is moved") == 3
    assert "from L_prior and L_feat to the encoder" in figure.course_alt


def test_every_lane_ends_at_its_players_own_network():
    places = {words: middle for middle, _, words in drawn.PARTS}
    for player, (_, home, sources) in drawn.LANES.items():
        assert home == places[player] and all(start > home for start, _ in sources)


def test_paired_errors_count_the_images_below_the_diagonal():
    first, second = np.array([1.0, 2, 3, 4]), np.array([0.5, 3, 2, 8])
    figure = drawn.paired_errors({"error": (first, second), "other": (second, second)}, ("A", "B"), title="two")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["B nearer in 2 of 4", "B nearer in 0 of 4"]
    assert "error: B nearer in 2 of 4" in figure.course_alt
    dots = figure.axes[0].lines[0]
    assert dots.get_xdata().tolist() == [1, 2, 3, 4] and dots.get_ydata().tolist() == [0.5, 3, 2, 8]
    with pytest.raises(CourseError, match="errors"):
        drawn.paired_errors({}, ("A", "B"))


def test_attribute_strips_decode_the_code_plus_so_many_vectors(model):
    x, vector = torch.rand(3, 32, 32), torch.ones(4)
    figure = drawn.attribute_strips(model, x, {"tone: light to dark": vector}, steps=(-1, 0, 3))
    with torch.no_grad():
        z = model.encode(x[None]).mean
        want = model.decode(torch.cat([z - vector, z, z + 3 * vector]))
    canvas = figure.axes[0].images[0].get_array()
    # A gap of 4 and images of 64 pixels each, counted from the right.
    last = canvas[-68:-4:2, -68:-4:2]
    assert np.abs(last.astype(int) - (want[2] * 255).round().permute(1, 2, 0).numpy()).max() <= 1
    assert "added -1, 0, +3 times" in figure.course_alt and "tone, light to dark" in figure.course_alt
    several = drawn.attribute_strips({"A": model, "B": model}, x, {"A": {"tone": vector}, "B": {"tone": vector}})
    assert "A, tone, B, tone" in several.course_alt
    with pytest.raises(CourseError, match="one image"):
        drawn.attribute_strips(model, torch.rand(2, 3, 32, 32), {"tone": vector})


def test_gamma_runs_mark_the_run_to_compare_with():
    runs = {"own": {"sse": [4.0] * 20}, "other": {"sse": [8.0] * 10 + [2.0] * 10}}
    figure = drawn.gamma_runs(runs, {"sse": "squared error"}, marked="own")
    lines = {line.get_label(): line for line in figure.axes[0].lines if not line.get_label().startswith("_")}
    assert lines["own"].get_color() == drawn.COLORS["black"] != lines["other"].get_color()
    assert np.allclose(lines["own"].get_ydata(), 4) and lines["other"].get_ydata()[-1] == 2
    assert "other, squared error: 8 to 2" in figure.course_alt
    with pytest.raises(CourseError, match="runs"):
        drawn.gamma_runs({}, {"sse": "squared error"})
