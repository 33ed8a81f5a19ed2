"""Films: frames of a long run are kept in its folder, bound, and read; short ones are made in memory."""

import pytest
import torch

from course_utils import checkpoints, methods, recipes, snapshots
from course_utils.data.points import points
from course_utils.errors import CourseError
from course_utils.methods import VAE, SoftIntroVAE
from course_utils.metrics import generate
from course_utils.training import RunConfig, fit

TINY = {"latent_dim": 1, "network": "mlp", "widths": (4,)}
LINE = torch.linspace(-3, 3, 7)[:, None]


def test_a_film_of_a_short_run_ends_with_its_model():
    config = SoftIntroVAE.Config(**TINY)
    model, film = snapshots.filmed(config, points("two-gaussians", 100), 6, frames=3, grid=LINE, n=50, batch_size=8, log_every=1)
    assert film.steps == [2, 4, 6] and [tuple(f.shape) for f in film.fakes] == [(50, 1)] * 3
    assert torch.equal(film.fakes[-1], model.sample(50, torch.Generator().manual_seed(0)))
    assert torch.equal(film.judged[-1], model.encode(LINE).kl()) and not torch.equal(film.judged[0], film.judged[-1])
    assert film.terms["step"].tolist() == [1, 2, 3, 4, 5, 6] and "exp_elbo_fake" in film.terms


@pytest.mark.parametrize("frames", [0, 4, 7])
def test_frames_must_divide_the_steps(frames):
    with pytest.raises(CourseError, match="frames"):
        snapshots.filmed(SoftIntroVAE.Config(**TINY), points("two-gaussians", 100), 6, frames=frames, grid=LINE)


def test_a_long_run_is_recorded_bound_and_read(tmp_path):
    config = VAE.Config(latent_dim=2, network="mlp", widths=(4,))
    train = points("8-gaussians", 100)

    def go(steps, resume=True):
        model = methods.build("vae", config, train.shape, seed=0)
        hooks = [snapshots.recorder(tmp_path / "run", "8-gaussians", 30)]
        run = RunConfig(steps=steps, batch_size=10, eval_every=2, checkpoint_every=2, precision="32", accelerator="cpu")
        return fit(model, train, run, out=tmp_path / "run", hooks=hooks, quiet=True, resume=resume).model

    model = go(6)
    model = go(6, resume=False)  # again over the same folder: each frame once
    checkpoints.export(tmp_path / "run" / "model.safetensors", model, {}, stored="float32")
    path = snapshots.publish("mine", tmp_path / "run", tmp_path)
    film = snapshots.recorded("mine", tmp_path)
    assert path == tmp_path / "mine.film.safetensors.xz" and film.steps == [2, 4, 6]
    assert torch.equal(film.density.centers, recipes.data.points.density("8-gaussians").centers)
    sampled = model.sample(30, torch.Generator().manual_seed(0))
    assert torch.allclose(film.fakes[-1], sampled, rtol=1e-3, atol=1e-6) and not torch.equal(film.fakes[0], film.fakes[-1])
    snapshots.publish("vae_8-gaussians_s1", tmp_path / "run", tmp_path)
    samples = snapshots.obtain_samples("vae_8-gaussians_s1", folder=tmp_path)
    assert samples.shape == (20_000, 2) and torch.allclose(samples, snapshots.drawn(model), rtol=1e-3, atol=1e-6)


def test_samples_are_recorded_or_of_a_model_trained_here(tmp_path, monkeypatch):
    asked = []
    model = methods.build("vae", VAE.Config(latent_dim=2, network="mlp", widths=(4,)), (2,), seed=1)
    monkeypatch.setattr(recipes, "obtain", lambda *given: asked.append(given) or model)
    assert torch.equal(snapshots.obtain_samples("vae_rings_s0", "FAST"), snapshots.drawn(model))
    assert asked == [("vae_rings_s0", "FAST")]
    with pytest.raises(CourseError, match="no such file"):
        snapshots.obtain_samples("vae_rings_s0", folder=tmp_path)


def test_images_are_kept_in_place_of_weights(tmp_path, monkeypatch):
    model = methods.build("vae", VAE.Config(latent_dim=2, widths=(4, 4)), (3, 16, 16), seed=1)
    checkpoints.export(tmp_path / "model.safetensors", model, {}, stored="float32")
    name = "soft_intro_vae_emoji_augment-real"
    path = snapshots.publish_samples(name, tmp_path, 5, tmp_path)
    kept = snapshots.obtain_samples(name, folder=tmp_path)
    assert path.name == f"{name}.samples.safetensors.xz" and kept.shape == (5, 3, 16, 16)
    assert torch.equal((kept * 255).round().byte(), next(generate(model.eval(), 5)))
    monkeypatch.setattr(recipes, "obtain", lambda *given: model)
    trained = snapshots.obtain_samples(name, "FAST", folder=tmp_path)
    assert len(trained) == recipes.get(name).keep and torch.equal(trained[:5], kept)
    with pytest.raises(CourseError, match="no such file"):
        snapshots.obtain_samples(name, folder=tmp_path / "elsewhere")


def test_what_has_no_weights_is_kept_otherwise_or_not_loaded():
    for name, recipe in recipes.RECIPES.items():
        assert not (recipe.keep and recipe.weights), name


def test_a_run_without_frames_and_a_missing_film_are_refused(tmp_path):
    with pytest.raises(CourseError, match="no frames"):
        snapshots.publish("mine", tmp_path, tmp_path)
    with pytest.raises(CourseError, match="no such file"):
        snapshots.recorded("mine", tmp_path)
