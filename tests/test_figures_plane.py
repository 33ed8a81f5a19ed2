"""Figures of the plane: they show the samples and densities they were given, with the numbers in panel and text."""

import matplotlib
import numpy as np
import pytest
import torch

from course_utils.data.cells import cell_masses
from course_utils.data.points import PLANE, density
from course_utils.errors import CourseError
from course_utils.figures import plane, to_png
from course_utils.metrics import score
from course_utils.metrics.density import GridDensity


def drawn(name, n=3000, seed=0):
    return density(name).sample(n, torch.Generator().manual_seed(seed))


def words(figure):
    return " | ".join(t.get_text() for t in figure.findobj(matplotlib.text.Text))


def dots(axes):
    return np.asarray(axes.collections[0].get_offsets())


def test_samples_stand_beside_their_density():
    given = {name: {"VAE": drawn(name) + 0.3, "Soft-IntroVAE": drawn(name, seed=1)} for name in PLANE}
    figure = plane.plane_samples(given, title="Four")
    assert len(figure.axes) == 12 and [axes.get_ylabel() for axes in figure.axes[::3]] == list(PLANE)
    assert [axes.get_title(loc="left") for axes in figure.axes[:4]] == ["true density", "VAE", "Soft-IntroVAE", ""]
    for row, name in enumerate(PLANE):
        truth, window = density(name), density(name).window
        assert all(axes.get_xlim() == axes.get_ylim() == (-window, window) for axes in figure.axes[3 * row : 3 * row + 3])
        for column, method in enumerate(given[name], 1):
            axes, found = figure.axes[3 * row + column], score(given[name][method], truth, ["jsd", "within"])
            np.testing.assert_allclose(dots(axes), given[name][method].numpy())
            text = f"JSD {found['jsd']:.3g}, {100 * found['within']:.1f} % within"
            assert axes.get_xlabel() == text.replace(", ", "\n") and f"{name}, {method}: {text}" in figure.course_alt
        assert "of 3,000 real points" in figure.axes[3 * row].get_xlabel()
        heat = figure.axes[3 * row].images[0]
        cells = cell_masses(truth, 200)[0].numpy()
        np.testing.assert_allclose(np.asarray(heat.get_array()).T * (2 * window / 200) ** 2, cells, atol=1e-12)
        assert heat.origin == "lower"
    assert len(to_png(figure)) < 600_000


def test_a_method_that_was_not_run_leaves_its_place_empty():
    given = {"rings": {"VAE": drawn("rings"), "GAN": drawn("rings")}, "checkerboard": {"GAN": drawn("checkerboard")}}
    figure = plane.plane_samples(given, shown=100)
    assert [axes.get_visible() for axes in figure.axes] == [True] * 4 + [False, True] and len(dots(figure.axes[5])) == 100


def test_maps_are_bright_where_the_density_is_high():
    edges = torch.linspace(-4, 4, 11, dtype=torch.float64)
    logs = torch.full((10, 10), -20.0, dtype=torch.float64)
    logs[7, 2] = 0.5  # x1 in [1.6, 2.4], x2 in [-2.4, -1.6]
    figure = plane.plane_densities({"rings": {"true": density("rings"), "exp(ELBO)": GridDensity(logs, -1.0, edges)}})
    true, found = figure.axes[0].images[0], figure.axes[1].images[0]
    picture = np.asarray(found.get_array())  # rows are x2
    assert np.unravel_index(picture.argmax(), picture.shape) == (2, 7) and picture.max() == pytest.approx(np.exp(0.5))
    assert list(found.get_extent()) == list(true.get_extent()) == [-4, 4, -4, 4]
    assert figure.axes[1].get_xlabel() == "integral 0.368" and "integral 0.368" in figure.course_alt
    assert np.asarray(true.get_array()).sum() * 0.04**2 == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: plane.plane_samples({}), "samples"),
        (lambda: plane.plane_samples({"rings": {}}), "samples"),
        (lambda: plane.plane_samples({"ring": {"VAE": drawn("rings")}}), "Did you mean 'rings'"),
        (lambda: plane.plane_densities({}), "maps"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(CourseError, match=message):
        make()
