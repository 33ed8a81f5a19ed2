"""Figures of chapter 09: they show what they were given, and carry their alternative text."""

import numpy as np
import pytest
import torch

from course_utils import methods
from course_utils.data.points import density
from course_utils.errors import CourseError
from course_utils.figures import augmentation
from course_utils.methods import SoftIntroVAE

TRUTH = density("gaussian")


def model(seed=0, shape=(1,)):
    config = SoftIntroVAE.Config(latent_dim=1, network="mlp", widths=(8, 8))
    return methods.build("soft-intro-vae", config, shape, seed=seed).eval()


def test_a_column_holds_the_encoders_kl_and_the_decoders_samples():
    a, b = model(0), model(1)
    points = torch.tensor([[-1.0], [0.5]])
    figure = augmentation.on_a_line({"a": a, "b": b}, TRUTH, {"b": points}, title="Two games")
    (above_a, above_b), below = figure.axes[:2], figure.axes[2:]
    x = torch.tensor(above_a.lines[0].get_xdata(), dtype=torch.float32)[:, None]
    for axes, net in ((above_a, a), (above_b, b)):
        np.testing.assert_allclose(axes.lines[0].get_ydata(), net.encode(x).kl().detach(), rtol=1e-4, atol=1e-5)
    assert len(above_a.lines) == 1 and above_b.lines[1].get_xdata().tolist() == [-1.0, 0.5]
    drawn = a.sample(augmentation.SAMPLES, generator=torch.Generator().manual_seed(0))
    bins = np.linspace(-TRUTH.window, TRUTH.window, 61)
    heights = np.histogram(drawn, bins, density=True)[0]
    outline = max((patch for patch in below[0].patches), key=lambda patch: len(patch.get_xy()))
    assert outline.get_xy()[:, 1].max() == pytest.approx(heights.max())
    assert f"a: lowest KL {a.encode(x).kl().min():.2g}" in figure.course_alt and figure.course_alt.startswith("Two games.")
    assert f"samples have mean {drawn.mean():.2f}" in figure.course_alt


def test_axes_are_common_and_the_title_may_be_missing():
    figure = augmentation.on_a_line({"a": model(0), "b": model(1)}, TRUTH, ceiling=5.0)
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim() == (0, 5)
    assert figure.axes[2].get_ylim() == figure.axes[3].get_ylim()
    assert figure.course_alt.startswith("The encoder's KL")


@pytest.mark.parametrize(
    ("models", "truth"), [({"plane": model(0, (2,))}, "gaussian"), ({"line": model()}, "8-gaussians"), ({}, "gaussian")]
)
def test_what_is_no_game_on_a_line_is_refused(models, truth):
    with pytest.raises(CourseError, match="models"):
        augmentation.on_a_line(models, density(truth))
