"""Figures and panels of chapter 04: they show what they were given, and carry their alternative text."""

import numpy as np
import pytest
import torch

from course_utils import methods, widgets
from course_utils.data.points import density
from course_utils.errors import CourseError
from course_utils.figures import games as game_figures
from course_utils.figures import gan as drawn
from course_utils.games import Film
from course_utils.methods.gan_losses import LOSSES


def film(name="two-gaussians", frames=4):
    """A film whose fakes are real points, moved by the number of the frame."""
    mixture = density(name)
    made = Film(mixture, torch.linspace(-6, 6, 61)[:, None] if mixture.shape == (1,) else None)
    for i in range(frames):
        made.steps.append(10 * (i + 1))
        made.fakes.append(mixture.sample(400, torch.Generator().manual_seed(0)) + i)
        made.logits.append(torch.full((61,), float(i)))
    return made


def recorded(covered=((8, 2), (1, 8))):
    return [
        {"loss": loss, "schedule": schedule, "seed": seed, "steps": [10, 20], "covered": list(row), "within": [0.5, 0.6],
         "shares": [[0.1] * n + [0.0] * (8 - n) for n in row]}
        for loss in ("minimax", "hinge") for schedule in ("linear", "constant") for seed, row in enumerate(covered)
    ]  # fmt: skip


def curves(values):
    blank = np.full(len(values), np.nan)
    steps = np.arange(1, 2 * len(values) + 1)
    held = np.column_stack([blank, values]).ravel()
    return {"step": steps, "fd_fashion": held, "real": steps / 10, "val_real": held, "val_fake": -held}


def test_game_frames_show_d_and_the_fakes_of_their_step():
    figure = game_figures.game_frames({"a": film(), "b": film()}, [1, 3])
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]
    assert titles == ["step 20", "step 40"] * 2
    lines = [line for axes in figure.axes for line in axes.lines if len(line.get_xdata()) == 61]
    assert [line.get_ydata()[0] for line in lines] == pytest.approx([torch.tensor(d).sigmoid().item() for d in (1.0, 3.0)] * 2)
    assert "a step 20: mean 0.9" in figure.course_alt and "b step 40" in figure.course_alt
    with pytest.raises(CourseError, match="one-dimensional"):
        game_figures.game_frames(film("8-gaussians"))


def test_planes_count_the_modes_of_each_frame():
    figure = game_figures.planes(film("8-gaussians"))
    assert "step 10: 8 modes" in figure.course_alt and "step 40: 0 modes" in figure.course_alt
    assert "x: 0 modes" in game_figures.planes({"x": film("8-gaussians")}).course_alt
    with pytest.raises(CourseError, match="two-dimensional"):
        game_figures.planes(film())


def test_best_answer_says_how_far_a_critic_is_off():
    x = torch.linspace(-1, 1, 5)
    half = torch.full((5,), 0.5)
    alt = game_figures.best_answer(x, half, half, half, {"far": half + 0.25, "near": half}).course_alt
    assert "far is off by at most 0.25" in alt and "near is off by at most 0.00" in alt


def test_mode_histories_draw_each_seed_and_the_mean():
    figure = game_figures.mode_histories(recorded())
    lines = figure.axes[0].lines
    assert [line.get_ydata().tolist() for line in lines] == [[8, 2], [1, 8], [4.5, 5.0]]
    assert "hinge, constant: at the end 2, 8" in figure.course_alt
    with pytest.raises(CourseError, match="games"):
        game_figures.mode_histories([])


def test_rings_are_as_large_as_the_shares():
    figure = game_figures.rings(recorded()[:2])
    sizes = figure.axes[1].collections[1].get_sizes()  # seed 0, the last step: two modes
    assert (sizes[:2] > 0).all() and (sizes[2:] == 0).all()
    assert "seed 0: 8, 2; seed 1: 1, 8" in figure.course_alt


def test_logit_gradients_are_the_derivatives_in_closed_form():
    figure = drawn.logit_gradients(reach=6)
    d = np.linspace(-6, 6, 241)
    sigmoid = 1 / (1 + np.exp(-d))
    want = {
        "minimax": (sigmoid, 1 - sigmoid, -sigmoid), "non-saturating": (1 - sigmoid, 1 - sigmoid, -sigmoid),
        "lsgan": (1 - d, 1 - d, -d), "wgan-gp": (1 + 0 * d, 1 + 0 * d, -1 + 0 * d),
        "hinge": (1 + 0 * d, 1.0 * (d < 1), -1.0 * (d > -1)),
    }  # fmt: skip
    for role, axes in enumerate(figure.axes):
        found = {line.get_label(): line.get_ydata() for line in axes.lines if len(line.get_xdata()) == 241}
        assert set(found) == set(LOSSES)
        for name, values in found.items():
            away = np.abs(np.abs(d) - 1) > 1e-6  # the hinge has no derivative at its margin
            np.testing.assert_allclose(values[away], want[name][role][away], atol=1e-5, err_msg=f"{name} {role}")


def test_distance_curves_mark_the_best_and_state_the_last():
    figure = drawn.distance_curves({"minimax": [curves([9.0, 3.0, 30.0]), curves([5.0, 4.0, 4.5])]})
    stars = [line.get_xydata()[0].tolist() for line in figure.axes[0].lines if line.get_marker() == "*"]
    assert stars == [[4, 3.0], [4, 4.0]]
    assert "minimax seed 0: best 3 at step 4, last 30" in figure.course_alt
    with pytest.raises(CourseError, match="fid"):
        drawn.distance_curves({"minimax": [curves([1.0])]}, "fid")


def test_critic_scores_and_gradient_sizes_state_their_ends():
    assert "a: training 0.4, held-out 7, fakes -7" in drawn.critic_scores({"a": curves([1.0, 7.0])}).course_alt
    assert "hinge from 1 to 0.5" in drawn.gradient_sizes([0, 9], {"hinge": [1.0, 0.5]}).course_alt
    for function in (drawn.critic_scores, lambda none: drawn.gradient_sizes([], none)):
        with pytest.raises(CourseError):
            function({})


def test_latent_grid_moves_two_numbers_and_holds_the_rest(monkeypatch):
    model = methods.build("gan", methods.GAN.Config(latent_dim=5, width=4), (1, 8, 8), seed=0).eval()
    seen = []
    monkeypatch.setattr(model, "decode", lambda z: (seen.append(z), torch.zeros(len(z), 1, 8, 8))[1])
    base = torch.arange(5.0)
    drawn.latent_grid(model, 3.0, 3, dims=(0, 1), base=base)
    z = seen[0]
    assert z[:, 0].tolist() == [-3, 0, 3] * 3 and z[:, 1].tolist() == [3] * 3 + [0] * 3 + [-3] * 3
    assert (z[:, 2:] == base[2:]).all() and base.tolist() == [0, 1, 2, 3, 4]
    drawn.latent_grid(model, 1.0, 3)
    drawn.latent_grid(model, 3.0, 3)
    assert torch.equal(seen[1][:, 2:], seen[2][:, 2:])  # shared between the two grids
    with pytest.raises(CourseError, match="dims"):
        drawn.latent_grid(model, 1.0, dims=(0, 5))


def test_the_panels_follow_their_sliders():
    panel = widgets.GameExplorer({"a": film(), "b": film(frames=3)})
    before = panel.image.value
    panel.at.value = 2
    assert panel.image.value != before and "step 30" in panel.status.value and panel.at.max == 2
    panel.model_choice.value = "b"
    assert panel.film is panel.models["b"]
    assert "b step 30" in panel.static_figure().course_alt
    modes = widgets.ModeExplorer(recorded())
    assert "step 20: 2 of 8" in modes.status.value
    modes.seed.value = 1
    assert "8 of 8" in modes.status.value
    modes.at.value = 0
    assert "step 10: 1 of 8" in modes.status.value
    assert "hinge, constant" in modes.static_figure().course_alt
    with pytest.raises(CourseError, match="start"):
        widgets.ModeExplorer(recorded(), start=("hinge", "cosine"))
