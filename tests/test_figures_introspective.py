"""Figures of introspective games and the panel of films: they show what they were given, with the numbers in the text."""

import matplotlib
import numpy as np
import pytest
import torch

from course_utils import methods, widgets
from course_utils.data.points import density
from course_utils.errors import CourseError
from course_utils.figures import introspective as drawn
from course_utils.figures import to_png
from course_utils.figures.films import plane_frames
from course_utils.games import Film
from course_utils.methods import VAE
from course_utils.snapshots import JudgedFilm

LINE = torch.linspace(-4, 4, 33)[:, None]


def sampled(name, n=300, seed=0):
    return density(name).sample(n, torch.Generator().manual_seed(seed))


def line_film(frames=6):
    film = JudgedFilm(density("two-gaussians"), LINE)
    for i in range(frames):
        film.steps.append(10 * (i + 1))
        film.fakes.append(sampled("two-gaussians", seed=i))
        film.judged.append(LINE[:, 0].abs() + i / 10)
    film.terms = {"step": np.array(film.steps, float), "kl_real": np.full(frames, 0.5), "kl_fake": np.arange(frames) + 0.25}
    film.terms["exp_elbo_fake"] = np.array([np.nan, *[0.125] * (frames - 1)])
    return film


def plane_film(name="rings", frames=6):
    film = Film(density(name))
    for i in range(frames):
        film.steps.append(1000 * (i + 1))
        film.fakes.append(sampled(name, seed=i) + (frames - 1 - i))
    return film


def words(figure):
    return " | ".join(t.get_text() for t in figure.findobj(matplotlib.text.Text))


def test_the_hinge_pushes_evenly_and_the_soft_threshold_fades():
    figure = drawn.thresholds(3.0, title="Two")
    paid, pushed = figure.axes
    hard, soft = (line.get_ydata() for line in pushed.lines)
    kl = pushed.lines[0].get_xdata()
    assert set(hard[kl < 2.9]) == {1.0} and set(hard[kl > 3.1]) == {0.0}
    np.testing.assert_allclose(soft, np.exp(-2 * kl), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(paid.lines[0].get_ydata(), np.maximum(0, 1 - kl / 3), atol=1e-5)
    assert kl[-1] == 6 and "m = 3" in words(figure) and "Two" in figure.course_alt


def test_frames_of_a_line_show_fakes_and_judgement():
    film = line_film()
    figure = drawn.line_frames({"one": film, "two": line_film()}, [0, 5], title="Film")
    rights = [axes for axes in figure.axes if axes.get_ylim() == (0, 3)]
    assert len(rights) == 4
    np.testing.assert_allclose(rights[1].lines[0].get_ydata(), film.judged[5].numpy())
    assert "one step 60" in figure.course_alt and "step 10" in words(figure)
    assert len(to_png(drawn.line_frames(film, [2], width=420))) > 1000
    with pytest.raises(CourseError, match="films"):
        drawn.line_frames(plane_film())


def test_frames_of_the_plane_show_the_samples_of_their_step():
    film = plane_film()
    figure = plane_frames(film, [1, 5], title="Film")
    for axes, i in zip(figure.axes, (1, 5), strict=True):
        np.testing.assert_allclose(np.asarray(axes.collections[0].get_offsets()), film.fakes[i].numpy())
    assert "step 6,000" in words(figure) and "% within" in figure.course_alt and "4 of 4 modes" in figure.course_alt
    assert len(plane_frames(film).axes) == 5
    with pytest.raises(CourseError, match="films"):
        plane_frames(line_film())


def test_a_judges_map_is_the_kl_of_its_encoder():
    models = {name: methods.build("vae", VAE.Config(latent_dim=2, network="mlp", widths=(8,)), (2,), seed=i).eval()
              for i, name in enumerate("ab")}  # fmt: skip
    figure = drawn.judge_maps({"rings": models}, bins=20, title="Maps")
    middle = (np.arange(20) + 0.5) / 20 * 8 - 4
    for axes, model in zip(figure.axes, models.values(), strict=False):
        shown = np.asarray(axes.images[0].get_array())  # rows along x2
        with torch.no_grad():
            want = model.encode(torch.tensor([[middle[3], middle[17]]], dtype=torch.float32)).kl().item()
        assert shown[17, 3] == pytest.approx(want, rel=1e-4) and axes.images[0].origin == "lower"
    assert "rings, b: median" in figure.course_alt
    with pytest.raises(CourseError, match="models"):
        drawn.judge_maps({})


def test_shares_are_bars():
    p, d = torch.tensor([0.4, 0.6]), torch.tensor([0.1, 0.9])
    figure = drawn.shares(p, {"γ = 1": d}, title="Shares")
    np.testing.assert_allclose([bar.get_height() for bar in figure.axes[0].patches], [0.4, 0.6, 0.1, 0.9], rtol=1e-6)
    assert "γ = 1: 0.10, 0.90" in figure.course_alt


def test_seeds_are_lines_and_their_median_is_marked():
    steps, gaps = np.arange(1.0, 5), np.array([np.nan, 0.5, np.nan, 1.0])
    runs = {"VAE": [{"step": steps, "jsd": gaps * k} for k in (0.1, 0.2, 0.6)]}
    figure = drawn.seed_curves(runs, floor=0.01, title="Seeds")
    *seeds, marked, floor = figure.axes[0].lines
    assert [line.get_ydata().tolist() for line in seeds] == [[0.05, 0.1], [0.1, 0.2], [0.3, 0.6]]
    assert marked.get_ydata() == [0.2] and floor.get_ydata()[0] == 0.01
    assert "VAE: 0.1, 0.2, 0.6, median 0.2" in figure.course_alt
    with pytest.raises(CourseError, match="term"):
        drawn.seed_curves(runs, "fd")


def test_the_panel_moves_through_a_film_and_says_its_signs():
    panel = widgets.FilmExplorer({"A": line_film(), "B": line_film(5)})
    start = panel.image.value
    assert panel.status.value == "step 10: KL of real points 0.5, of fakes 0.25"  # no exp(ELBO) was logged in the warm-up
    panel.at.value = 4
    assert panel.image.value != start and "step 50" in panel.status.value
    assert "of fakes 4.25, exp(ELBO) of fakes 0.125" in panel.status.value and panel.at.max == 4
    panel.model_choice.value = "B"
    assert panel.film is panel.models["B"]
    assert "B step 50" in panel.static_figure().course_alt


def test_the_panel_takes_films_of_the_plane_without_terms():
    panel = widgets.FilmExplorer({"A": plane_film()})
    panel.at.value = 5
    assert panel.status.value == "step 6,000"
    with pytest.raises(CourseError, match="films"):
        widgets.FilmExplorer({"A": plane_film(), "B": line_film()})
