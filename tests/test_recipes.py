"""Recipes: each is complete, and a trained one's recorded figures are those of the file it leaves."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from toys import TINY, images, same, tiny_run, weights

from course_utils import checkpoints, data, methods, metrics, recipes, tensors
from course_utils.errors import CourseError
from course_utils.files import sha256_of
from course_utils.metrics import FeatureNetwork
from course_utils.training import evaluate
from course_utils.training import state as run_state

SHIPPED = ["ae_fashion_z2", "ae_fashion_z16", "ae_fashion_z128", "vae_fashion_z2", "vae_fashion_z32",
           "beta_vae_fashion_b0.1", "beta_vae_fashion_b0.8", "beta_vae_fashion_b1.2", "beta_vae_fashion_b4",
           "beta_vae_shapes_b1", "beta_vae_shapes_high"]  # fmt: skip
ASSIGNMENT = ["cifar_ae_z16", "cifar_ae_z128", "cifar_ae_z1024", "cifar_vae_b0.8", "cifar_vae_b1", "cifar_vae_b1.2",
              "cifar_vae_linear"]  # fmt: skip
RECORDED = [*ASSIGNMENT, "beta_vae_fashion_linear"]


def load_toy(name, split="train", **_):
    return images(64, seed=5) if split == "train" else images(21, seed=4)


@pytest.fixture
def toy_data(monkeypatch):
    """data.load gives 64 toy pictures to train on and 21 to test on, whatever is asked for."""
    monkeypatch.setattr(data, "load", load_toy)


RECIPE = recipes.Recipe("vae", TINY, "toy", tiny_run(ema=0.5, eval_every=10))


def test_there_is_a_recipe_for_everything_the_course_loads_or_quotes():
    assert all(recipes.get(name).weights for name in SHIPPED)
    assert not any(recipes.get(name).weights for name in RECORDED)


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_each_recipe_builds_its_model_for_its_data(name):
    recipe = recipes.get(name)
    shape = (2,) if getattr(recipe.config, "network", "") == "mlp" else (1 if recipe.dataset == "fashion-mnist" else 3, 32, 32)
    model = methods.build(recipe.method, recipe.config, shape, seed=recipe.run.seed)
    assert methods.name_of(model) == recipe.method and recipe.about
    assert recipe.dataset in data.names() or recipe.dataset.startswith("folder:")


def test_the_assignments_recipes_are_the_assignment():
    for name in ASSIGNMENT:
        recipe = recipes.get(name)
        run = recipe.run
        assert (run.optimizer, run.lr, run.batch_size, run.epochs, run.grad_clip) == ("adam", 1e-3, 256, 20, 1.0)
        assert recipe.config.network == "cifar-assignment" and recipe.dataset == "cifar10"
    linear = recipes.get("cifar_vae_linear").config
    assert (linear.beta_schedule, linear.beta, linear.beta_stairs) == ("linear", 1.0, 20)


def test_the_assignments_gans_differ_in_their_loss_alone():
    birds = {name: recipe for name, recipe in recipes.RECIPES.items() if name.startswith("gan_cub_")}
    assert {recipe.config.loss: recipe.expected for recipe in birds.values()} == {
        "non-saturating": {"fid": 146}, "lsgan": {"fid": 52.57}, "wgan-gp": {"fid": 38.6}
    }  # fmt: skip
    assert len({(replace(recipe.config, loss="hinge"), recipe.run, recipe.size) for recipe in birds.values()}) == 1
    run, config = birds["gan_cub_lsgan"].run, birds["gan_cub_lsgan"].config
    assert (run.steps * config.n_critic, run.batch_size, run.lr, run.betas) == (30_000, 256, 2e-4, (0.0, 0.9))
    assert run.lr_at(run.steps / run.lr_steps) == pytest.approx(0.94 * run.lr)  # hardly at all
    model = methods.build("gan", config, (3, 32, 32), seed=0)
    assert [sum(p.numel() for p in net.parameters()) for net in (model.generator, model.critic)] == [1_204_099, 1_053_825]


def test_the_emoji_models_share_encoder_decoder_and_run():
    vae, gan = (recipes.get(name) for name in ("vae_emoji", "vae_gan_emoji"))
    assert (vae.run, vae.dataset, vae.size) == (gan.run, gan.dataset, gan.size)
    a, b = (methods.build(recipe.method, recipe.config, (3, 32, 32), seed=0) for recipe in (vae, gan))
    for part in ("encoder", "decoder"):
        shapes = [{name: tuple(p.shape) for name, p in getattr(model, part).named_parameters()} for model in (a, b)]
        assert shapes[0] == shapes[1]


def test_the_sweep_changes_beta_alone():
    plain = recipes.get("vae_fashion_z32")
    for name in SHIPPED:
        if name.startswith("beta_vae_fashion_b"):
            recipe = recipes.get(name)
            assert recipe.config.beta == float(name.removeprefix("beta_vae_fashion_b")) and recipe.run == plain.run
            assert replace(recipe.config, beta=1.0) == plain.config
    assert recipes.get("beta_vae_fashion_linear").config.beta == plain.config.beta  # equal final beta


def test_the_small_instrument_and_the_plane_are_stored_finely():
    for name, recipe in recipes.RECIPES.items():
        plane = getattr(recipe.config, "network", "") == "mlp" and not (recipe.weights and recipe.dataset == "rings")
        fine = name == "classifier_fashion" or plane
        assert recipe.stored == ("float16" if fine else "int8")


def test_an_unknown_recipe_lists_the_known():
    with pytest.raises(CourseError, match="recipe: got 'vae_fashion_z33'.*Did you mean 'vae_fashion_z32'"):
        recipes.get("vae_fashion_z33")


def test_a_quick_run_says_what_it_takes():
    with pytest.raises(CourseError, match=r"config: got 8, allowed: Autoencoder.Config\(...\), VAE.Config\(...\), "):
        recipes.quick(8, images(64), steps=1)


@pytest.mark.parametrize("kind", ["int8", "float16"])
def test_recorded_metrics_are_those_of_the_file(tmp_path, toy_data, kind):
    recipe = replace(RECIPE, config=replace(TINY, latent_dim=64), stored=kind)  # with weights of 2,048 numbers and more
    header = recipes.train(recipe, tmp_path / "run", name="toy", command="course train --recipe toy", quiet=True)
    loaded, stored = checkpoints.load_file(tmp_path / "run" / "model.safetensors")
    assert stored["metrics"] == header["metrics"] and stored["stored"] == kind
    kinds = {value.dtype for value in tensors.load(tmp_path / "run" / "model.safetensors")[0].values()}
    assert (torch.int8 in kinds) == (kind == "int8")
    measured = evaluate(loaded, images(21, seed=4))
    assert measured == pytest.approx(stored["metrics"], rel=1e-5) and {"sse", "kl", "elbo"} <= set(measured)
    assert stored["dataset_sha256"] == images(64, seed=5).sha256()
    expected = {"recipe": "toy", "command": "course train --recipe toy", "steps": 20, "seed": 0, "precision": "32"}
    assert {key: stored[key] for key in expected} == expected
    assert stored["parameters"] == sum(p.numel() for p in loaded.parameters())


def test_watched_metrics_stand_in_the_log_and_in_the_record(tmp_path, toy_data, monkeypatch):
    bright = FeatureNetwork("bright", torch.nn.Linear(1, 1).eval(), lambda _, x: x.mean((2, 3)), dimension=3)
    monkeypatch.setattr(recipes, "measure", partial(metrics.measure, networks={"bright": bright}, cache=False))
    recipe = replace(RECIPE, watch=("fd_bright",), watch_samples=50)
    header = recipes.train(recipe, tmp_path / "run", quiet=True)
    curve = checkpoints.read_curves(tmp_path / "run" / "log.csv")["fd_bright"]
    assert np.flatnonzero(np.isfinite(curve)).tolist() == [1, 3] and header["watched"]["samples"] == 50  # steps 10 and 20
    loaded = checkpoints.load(tmp_path / "run")
    assert recipes.measured(loaded, images(21, seed=4), header["watched"]) == pytest.approx(header["metrics"], rel=1e-5)
    assert {"sse", "fd_bright"} <= set(header["metrics"])


def test_training_a_finished_recipe_again_gives_the_same_file(tmp_path, toy_data):
    out = tmp_path / "run"
    recipes.train(RECIPE, out, quiet=True)
    before, model = sha256_of(out / "log.csv"), weights(checkpoints.load(out))
    recipes.train(RECIPE, out, quiet=True)
    assert sha256_of(out / "log.csv") == before and same(weights(checkpoints.load(out)), model)


def interrupt(recipe, out, monkeypatch):
    """Train a recipe until its state of step 10."""
    save = run_state.save

    def interrupted(folder, step, *args):
        path = save(folder, step, *args)
        if step == 10:
            raise KeyboardInterrupt
        return path

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run_state, "save", interrupted)
        recipes.train(recipe, out, quiet=True)


def test_an_interrupted_recipe_goes_on(tmp_path, toy_data, monkeypatch):
    recipes.train(RECIPE, tmp_path / "whole", quiet=True)
    interrupt(RECIPE, tmp_path / "cut", monkeypatch)
    assert not (tmp_path / "cut" / "model.safetensors").exists()  # nothing that could be taken for a result
    recipes.train(RECIPE, tmp_path / "cut", quiet=True)
    assert same(weights(checkpoints.load(tmp_path / "cut")), weights(checkpoints.load(tmp_path / "whole")))
    other = replace(RECIPE, config=replace(TINY, beta=2.0))
    with pytest.raises(CourseError, match="another config"):
        recipes.train(other, tmp_path / "cut", quiet=True)


def test_a_state_from_before_a_setting_existed_goes_on_with_its_default(tmp_path, toy_data, monkeypatch):
    interrupt(RECIPE, tmp_path, monkeypatch)
    for path in run_state.saved(tmp_path):
        state, header = tensors.load(path)
        del header["config"]["free_bits"]
        tensors.save(path, state, header)
    with pytest.raises(CourseError, match="another config"):
        recipes.train(replace(RECIPE, config=replace(TINY, free_bits=0.5)), tmp_path, quiet=True)
    recipes.train(RECIPE, tmp_path, quiet=True)
    assert checkpoints.load(tmp_path).config.free_bits == 0


def test_a_run_may_begin_with_the_weights_of_another(tmp_path, toy_data, monkeypatch):
    recipes.train(replace(RECIPE, stored="float32"), tmp_path / "first", quiet=True)
    first = checkpoints.load(tmp_path / "first")
    still = replace(RECIPE, config=replace(TINY, beta=0.5), run=tiny_run(lr=1e-30), stored="float32")
    header = recipes.train(still, tmp_path / "second", start=tmp_path / "first", quiet=True)
    second = checkpoints.load(tmp_path / "second")
    assert same(weights(second), weights(first)) and second.config.beta == 0.5
    assert header["start"]["checkpoint"] == "first" and len(header["start"]["sha256"]) == 64
    moved = recipes.train(RECIPE, tmp_path / "third", start=tmp_path / "first" / "model.safetensors", quiet=True)
    assert moved["start"]["sha256"] == header["start"]["sha256"]
    assert not same(weights(checkpoints.load(tmp_path / "third")), weights(first))
    interrupt(RECIPE, tmp_path / "cut", monkeypatch)
    with pytest.raises(CourseError, match="another start"):  # else it would go on, and --start would do nothing
        recipes.train(RECIPE, tmp_path / "cut", start=tmp_path / "first", quiet=True)


def test_a_run_begins_with_no_weights_of_another_network(tmp_path, toy_data):
    recipes.train(RECIPE, tmp_path / "first", quiet=True)
    other = replace(RECIPE, config=replace(TINY, latent_dim=TINY.latent_dim + 1))
    with pytest.raises(CourseError, match=r"start: got .*same networks.*tensors \d+ differ.*--latent-dim"):
        recipes.train(other, tmp_path / "second", start=tmp_path / "first", quiet=True)
    assert not (tmp_path / "second").exists()
    with pytest.raises(CourseError, match="nowhere"):
        recipes.train(RECIPE, tmp_path / "second", start="nowhere", quiet=True)


def test_weights_begin_a_run_with_another_augmentation_noise_or_target(tmp_path):
    """Of an augmentation, a learned sigma and a target decoder the run's own configuration decides, not the first weights'."""
    nets = {"latent_dim": 3, "widths": (4, 8), "norm": "group"}
    kinds = {
        "plain": {},
        "half": {"augment": "everywhere", "augment_p": 0.5, "noise_encoder": 0.2, "noise_learned": True},
        "other": {"augment": "real", "augment_p": 0.1, "noise_encoder": 0.3, "noise_learned": True, "bootstrap": 2,
                  "dropout_decoder_last": 0.1},
    }  # fmt: skip

    def build(kind, seed):
        config = methods.METHODS["soft-intro-vae"].Config(**nets, **kinds[kind])
        return methods.build("soft-intro-vae", config, (3, 16, 16), seed=seed)

    def networks(model):
        return {name: value for name, value in model.state_dict().items()
                if name.startswith(("encoder.", "decoder.")) and "noise" not in name}  # fmt: skip

    for first in kinds:
        given = build(first, 0)
        checkpoints.export(tmp_path / f"{first}.safetensors", given, {}, stored="float32")
        for then in kinds:
            model = build(then, 1)
            assert not same(networks(model), networks(given))
            recipes.begin_with(model, tmp_path / f"{first}.safetensors")
            assert same(networks(model), networks(given))
            if model.augmentation is not None:
                assert model.augmentation.p.item() == pytest.approx(kinds[then]["augment_p"])
                sigmas = [value.item() for name, value in model.named_parameters() if name.endswith(".sigma")]
                assert sigmas and sigmas == pytest.approx([kinds[then]["noise_encoder"]] * len(sigmas))


def test_a_stored_model_that_was_trained_in_low_precision_is_measured_in_float32(tmp_path, toy_data):
    recipe = replace(RECIPE, run=tiny_run(precision="bf16"))
    header = recipes.train(recipe, tmp_path / "run", quiet=True)
    model = checkpoints.load(tmp_path / "run")
    assert all(p.dtype == torch.float32 for p in model.parameters()) and header["precision"] == "bf16"
    assert evaluate(model, images(21, seed=4)) == pytest.approx(header["metrics"], rel=1e-5)
