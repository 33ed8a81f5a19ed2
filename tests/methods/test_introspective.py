"""What IntroVAE and Soft-IntroVAE share: as models, in the loop, and batch norm's statistics for eval mode."""

import math

import pytest
import torch
from introspective_helpers import DOUBLE, NETWORKS, build, data, draw, fixed_noise, loops_updater
from toys import NoReading, fit_until, gradients, images, same, terms_of, tiny_run, weights

from course_utils import checkpoints, methods, recipes
from course_utils.data.points import points
from course_utils.errors import CourseError
from course_utils.methods.autoencoder import sse
from course_utils.methods.base import evaluating
from course_utils.metrics import importance_weighted_log_likelihood
from course_utils.networks.normalization import BatchNorm, use_statistics
from course_utils.training import Diverged, evaluate
from course_utils.training import state as run_state
from course_utils.training.loop import Run

METHODS = ("intro-vae", "soft-intro-vae")
SHAPE = (3, 16, 16)
each_method = pytest.mark.parametrize("method", METHODS)
each_network = pytest.mark.parametrize("network", NETWORKS)


# As a model


@each_method
@each_network
def test_it_encodes_decodes_samples_and_rebuilds(method, network):
    model = build(method, network, torch.float32).eval()
    x = data(model)
    posterior = model.encode(x)
    assert posterior.mean.shape == posterior.logvar.shape == (6, model.latent_dim)
    z = 50 * torch.randn(6, model.latent_dim)
    made, raw = model.decode(z), model.decoder(z)
    if network == "points":
        assert torch.equal(made, raw) and made.abs().max() > 1  # a point is where it is
    else:
        assert torch.equal(made, raw.clamp(0, 1)) and not torch.equal(made, raw)
    torch.testing.assert_close(model.reconstruct(x), model.decode(posterior.mean).detach())
    assert model.sample(5).shape == (5, *model.data_shape) and model.latent_importance(x).shape == (model.latent_dim,)


@each_method
@each_network
def test_training_sees_the_decoders_output_as_it_is_and_not_clamped(method, network):
    model = build(method, network)
    fixed_noise(model)
    with torch.no_grad():
        list(model.decoder.modules())[-1].bias.add_(3.0)  # far outside [0, 1]
    x = data(model)
    terms = model.step(x, lambda player, loss, retain_graph=False: None)
    assert terms["sse"] > 2 * x[0].numel()


@each_method
@each_network
def test_elbo_and_importance_weighting(method, network):
    model = build(method, network, decoder_variance=0.3).eval()
    x = data(model)
    q = model.encode(x)
    z = q.mean + (0.5 * q.logvar).exp() * torch.randn(q.mean.shape, generator=torch.Generator().manual_seed(2), dtype=DOUBLE)
    normal = torch.distributions.Normal(model.decoder(z), math.sqrt(0.3))
    likelihood = normal.log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(model.log_likelihood(x, z), likelihood)
    torch.testing.assert_close(model.elbo(x, torch.Generator().manual_seed(2)), (likelihood - q.kl()).detach())
    found = importance_weighted_log_likelihood(model, x, 4, torch.Generator().manual_seed(2))
    assert found.shape == (6,) and torch.isfinite(found).all()


@each_method
@each_network
def test_evaluation_terms_are_one_value_an_image(method, network):
    model = build(method, network).eval()
    x = data(model)
    terms = model.evaluation_terms(x, torch.Generator().manual_seed(0))
    assert all(value.shape == (6,) for value in terms.values())
    assert {"sse", "rec", "kl", "elbo", "kl_rec", "kl_fake"} == terms.keys()
    torch.testing.assert_close(terms["elbo"], -(terms["rec"] + terms["kl"]))
    torch.testing.assert_close(terms["sse"], terms["rec"])  # variance 1/2
    generator = torch.Generator().manual_seed(0)
    q = model.encode(x)
    rec = model.decoder(q.sample(generator=generator))
    torch.testing.assert_close(terms["sse"], sse(x, rec))
    fake = model.decoder(torch.randn(q.mean.shape, generator=generator).double())
    torch.testing.assert_close(terms["kl_fake"], model.posterior(fake).kl())
    torch.testing.assert_close(terms["kl_rec"], model.posterior(rec).kl())


@each_method
@each_network
@pytest.mark.parametrize("training", [True, False])
def test_a_sample_is_the_same_alone_and_in_any_batch(method, network, training):
    model = build(method, network, torch.float32)
    for _ in range(2):
        model.step(data(model, 8), lambda player, loss, retain_graph=False: None)
    model.prepare_evaluation(images(64, SHAPE))
    model.train(training)
    together = model.sample(6, torch.Generator().manual_seed(1))
    z = torch.randn(6, model.latent_dim, generator=torch.Generator().manual_seed(1))
    with evaluating(model), torch.no_grad():
        alone = torch.cat([model.decode(z[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert model.training == training


@each_method
def test_input_noise_reaches_the_encoder_alone(method):
    model = build(method, input_noise=0.5)
    drawn = fixed_noise(model)
    plain, noise = model.noise, draw(6, *SHAPE)
    model.noise = lambda *shape: noise if len(shape) == 4 else plain(*shape)
    x = data(model)
    terms = model.step(x, lambda player, loss, retain_graph=False: None)
    q = model.posterior(x + 0.5 * noise)
    torch.testing.assert_close(terms["kl_real"], q.kl().mean().detach())
    torch.testing.assert_close(terms["sse"], sse(x, model.decoder(q.sample(drawn[1]))).mean().detach())


@each_method
def test_wrong_images_are_refused(method):
    model = build(method)
    for use in (model.encode, model.elbo, lambda x: model.step(x, None), model.evaluation_terms):
        with pytest.raises(CourseError, match=r"images: got .*allowed: \(B, 3, 16, 16\)"):
            use(torch.rand(2, 3, 16, 8))


@pytest.mark.parametrize(
    ("values", "message"),
    [({"norm": "bach"}, "norm: got.*Did you mean 'batch'"), ({"statistics": "live"}, "statistics: got"),
     ({"beta_rec": -1.0}, "beta_rec"), ({"encoder_beta_rec_end": 0.0}, "encoder_beta_rec_end"),
     ({"encoder_beta_rec_end": math.nan}, "encoder_beta_rec_end"),
     ({"beta_rec": 0.0, "encoder_beta_rec_end": 0.1}, "encoder_beta_rec_end"),
     ({"encoder_lr_factor": 0.0}, "encoder_lr_factor"), ({"beta_kl": math.nan}, "beta_kl"), ({"warmup": 1.5}, "warmup"),
     ({"warmup": math.nan}, "warmup"), ({"decoder_variance": 0.0}, "decoder_variance"), ({"latent_dim": 0}, "latent_dim"),
     ({"widths": (0,)}, "widths"), ({"network": "resnet"}, "network")],
    ids=str,
)  # fmt: skip
@each_method
def test_a_bad_configuration_is_refused_by_name(method, values, message):
    with pytest.raises(CourseError, match=message):
        methods.build(method, methods.METHODS[method].Config(**values), SHAPE)


# Schedules


@each_method
def test_the_encoders_weight_of_the_error_falls_from_the_warm_up_to_the_end_by_equal_factors(method):
    def step(progress, **config):
        model = build(method, "points", warmup=0.2, **config)
        model.progress = progress
        fixed_noise(model)
        slopes, _, terms = gradients(model, data(model))
        return slopes, terms

    for progress, weight in ((0.1, 0.8), (0.2, 0.8), (0.6, 0.4), (0.8, 0.2 * 2**0.5)):
        slopes, terms = step(progress, beta_rec=0.8, encoder_beta_rec_end=0.2)
        for player, theirs in (("encoder", weight), ("decoder", 0.8)):  # the decoder's stays
            wanted = step(progress, beta_rec=theirs)
            torch.testing.assert_close(slopes[player], wanted[0][player], msg=f"{player} at {progress}")
            name = f"{player}_loss"
            assert name not in terms or torch.isclose(terms[name], wanted[1][name])


@each_method
def test_the_encoder_has_a_rate_of_its_own_once_the_game_has_begun(method):
    model = build(method, "points", warmup=0.5, encoder_lr_factor=0.25)
    for model.progress, factor in ((0.0, 1.0), (0.49, 1.0), (0.5, 0.25), (0.9, 0.25)):
        assert (model.lr_factor("encoder"), model.lr_factor("decoder")) == (factor, 1.0)


# Batch norm's statistics for eval mode


def shifted(model):
    """Some steps that leave running statistics of a mixture, and weights that are not the first."""
    fixed_noise(model)
    update = loops_updater(model, 1e-3, tiny_run())
    for _ in range(5):
        model.step(data(model), update)
    return model


@each_method
def test_estimating_changes_statistics_alone_and_is_repeatable(method):
    model, train = shifted(build(method, dtype=torch.float32)), images(300, SHAPE)
    before, modes = weights(model), [module.training for module in model.modules()]
    torch.manual_seed(3)
    want = torch.rand(2)
    torch.manual_seed(3)
    model.prepare_evaluation(train)
    assert torch.equal(torch.rand(2), want)  # nobody's random state has moved
    after = weights(model)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if "estimated" in name} and changed
    assert [module.training for module in model.modules()] == modes
    model.prepare_evaluation(train)
    assert same(weights(model), after)


@each_method
def test_estimated_statistics_are_those_of_real_images_and_of_prior_samples(method):
    model, train = shifted(build(method, dtype=torch.float32)), images(512, SHAPE)
    model.prepare_evaluation(train)
    first = model.encoder.stages[1]
    assert isinstance(first, BatchNorm)
    h = model.encoder.stages[0](train.floats())  # the first layer's input does not depend on batches
    torch.testing.assert_close(first.estimated_mean, h.mean((0, 2, 3)).detach(), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(first.estimated_var, h.var((0, 2, 3)).detach(), rtol=2e-2, atol=1e-4)
    block = model.decoder.stages[0]
    z = torch.randn(20_000, model.latent_dim)
    h = block.conv(model.decoder.stem(z).unflatten(1, model.decoder.start)).detach()
    torch.testing.assert_close(block.body[0].estimated_mean, h.mean((0, 2, 3)), rtol=0, atol=0.02)
    torch.testing.assert_close(block.body[0].estimated_var, h.var((0, 2, 3)), rtol=0.05, atol=1e-3)


@pytest.mark.parametrize(("pixels", "sizes", "each"), [(16 * 16 * 32, [32, 32, 32], 32), (1 << 19, [100], 128), (1, 12 * [8], 8)])
def test_estimation_is_in_whole_batches_that_shrink_with_the_image(monkeypatch, pixels, sizes, each):
    monkeypatch.setattr("course_utils.methods.introspective.ESTIMATION_PIXELS", pixels)
    model, seen = build("soft-intro-vae", dtype=torch.float32), {"encoder": [], "decoder": []}
    for part, kept in seen.items():
        getattr(model, part).register_forward_hook(lambda module, args, out, kept=kept: kept.append(len(args[0])))
    model.prepare_evaluation(images(100, SHAPE))
    assert seen == {"encoder": sizes, "decoder": 40 * [each]}


def collapsed(method):
    """A model whose samples and images lie far apart in every layer: their mixture is the statistics of neither."""
    model, train = build(method, dtype=torch.float32), images(256, SHAPE)
    with torch.no_grad():
        model.decoder.stages[-1].bias.add_(4.0)
    fixed_noise(model)
    for _ in range(60):
        model.step(train.floats(slice(0, 64))[:6], lambda player, loss, retain_graph=False: None)
    return model, train


@each_method
def test_one_switch_shows_the_collapse_and_its_cure_on_one_set_of_weights(method):
    """How far eval mode is from what train mode makes of a large batch: encoder on real images."""
    model, train = collapsed(method)
    model.prepare_evaluation(train)
    with torch.no_grad():
        want = model.encoder(train.floats())
        model.eval()
        errors = {}
        for statistics in ("running", "estimated"):
            use_statistics(model, statistics)
            errors[statistics] = (model.encoder(train.floats()) - want).square().mean().item()
    assert errors["estimated"] < 0.01 * errors["running"]


@each_method
def test_the_configuration_has_the_switch(method, tmp_path):
    """One checkpoint, loaded with either value: the same weights, other pictures."""
    model, train = collapsed(method)
    model.prepare_evaluation(train)
    made = {}
    for statistics in ("running", "estimated"):
        cls = type(model)
        other = cls(cls.Config(**{**NETWORKS["batch"][1], "statistics": statistics}), SHAPE)
        other.load_state_dict(model.state_dict())
        checkpoints.export(tmp_path / "model.safetensors", other, {}, stored="float32")
        made[statistics] = checkpoints.load(tmp_path / "model.safetensors").encode(train.floats()).mean
        assert same(weights(other), weights(model))
    assert not torch.allclose(made["running"], made["estimated"], rtol=0.1)


@each_method
@pytest.mark.parametrize("network", ["group", "points"])
def test_without_batch_norm_there_is_nothing_to_estimate(method, network):
    model = build(method, network)
    before = weights(model)
    model.prepare_evaluation(None)
    assert same(weights(model), before) and not any(isinstance(m, BatchNorm) for m in model.modules())
    x = data(model)
    torch.testing.assert_close(model.encoder(x), model.eval().encoder(x))  # train and eval mode are one


# In the loop


def train(out, method, *, stop_at=None, network="batch", resume=True, **options):
    run = {"steps": 12, "checkpoint_every": 3, "eval_every": 4, "log_every": 2, "lr": 1e-4}
    run |= {name: options.pop(name) for name in list(options) if name in run or name in ("ema", "lr_schedule", "optimizer")}
    model = build(method, network, torch.float32, **options)
    kept, held_out = images(64, SHAPE), images(9, SHAPE, 1)
    if network == "points":
        kept, held_out = (points("8-gaussians", n) for n in (256, 20))
    return fit_until(stop_at, model, kept, tiny_run(**run), out=out, evaluation=held_out, resume=resume)


@pytest.mark.parametrize(
    ("method", "options"),
    [("soft-intro-vae", {}), ("soft-intro-vae", {"bootstrap": 4, "gamma_r": 1.0, "ema": 0.9}),
     ("soft-intro-vae", {"bootstrap": 4, "warmup": 0.5}), ("soft-intro-vae", {"network": "points", "warmup": 0.25}),
     ("intro-vae", {"ema": 0.9, "warmup": 0.25})],
    ids=str,
)  # fmt: skip
def test_a_stopped_game_goes_on_as_if_it_had_not_stopped(tmp_path, method, options):
    want = train(tmp_path / "whole", method, **options)
    assert train(tmp_path / "cut", method, stop_at=8, **options) is None
    got = train(tmp_path / "cut", method, **options)
    assert same(weights(got.model), weights(want.model))
    assert terms_of(tmp_path / "cut") == terms_of(tmp_path / "whole")


def test_a_warm_up_has_rows_of_its_own(tmp_path):
    train(tmp_path, "soft-intro-vae", warmup=0.25)
    rows = {row["step"]: row for row in terms_of(tmp_path)}
    assert "kl_fake" not in rows[2] and "loss" in rows[2] and "kl_real" in rows[2]
    assert "loss" in rows[3] and "kl_fake" not in rows[3]
    assert {"kl_fake", "kl_real", "exp_elbo_rec", "val_kl", "val_sse"} <= rows[4].keys() and "loss" not in rows[4]


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_finished_run_has_estimated_statistics(tmp_path, ema):
    """Of the model that is returned, the averaged one too: no picture depends on the mixture of the run."""
    model = train(tmp_path, "soft-intro-vae", ema=ema).model
    found = weights(model)
    model.prepare_evaluation(images(64, SHAPE))
    assert same(weights(model), found)
    norms = [module for module in model.modules() if isinstance(module, BatchNorm)]
    assert norms and all(norm.estimated_mean.abs().sum() > 0 for norm in norms)


def test_evaluations_on_the_way_change_nothing_of_the_run(tmp_path):
    often = train(tmp_path / "often", "soft-intro-vae").model
    once = train(tmp_path / "once", "soft-intro-vae", eval_every=0).model
    assert same(weights(often), weights(once))


@each_method
@each_network
def test_low_precision_computes_about_the_same(method, network):
    losses = {}
    for enabled in (False, True):
        model = build(method, network, torch.float32)
        fixed_noise(model)
        found = losses[enabled] = {}
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            def update(player, loss, retain_graph=False, found=found):
                found[player] = loss.item()

            model.step(data(model), update)
    for player in ("encoder", "decoder"):
        assert losses[True][player] == pytest.approx(losses[False][player], rel=0.05)


@pytest.mark.parametrize(
    ("method", "options"),
    [("intro-vae", {}), ("soft-intro-vae", {}), ("soft-intro-vae", {"bootstrap": 1, "gamma_r": 1.0}),
     ("soft-intro-vae", {"detach_target": False, "gamma_r": 1e-8}), ("soft-intro-vae", {"warmup": 1.0, "bootstrap": 2})],
    ids=str,
)  # fmt: skip
@each_network
def test_a_step_never_waits_for_the_device(tmp_path, method, network, options):
    model = build(method, network, torch.float32, **options)
    kept = points("8-gaussians", 256) if network == "points" else images(64, SHAPE)
    config = tiny_run(lr=1e-4, grad_clip=1.0)
    run = Run(model, kept, config, out=tmp_path, evaluation=None, hooks=(), header={}, resume=False, quiet=True)
    model.rng = torch.Generator()
    run._one_step()
    with pytest.raises(AssertionError, match="on the host"), NoReading():
        torch.ones(()).item()
    make, given = model.step, []

    def watched(x, update):
        with NoReading():
            given.append(make(x, lambda *args, **kwargs: update(*args, **kwargs)))
        return given[-1]

    model.step = watched
    run._one_step()
    run._one_step()
    assert len(given) == 2


def test_a_game_that_blows_up_leaves_a_state_to_go_on_from(tmp_path):
    """A NaN ends the run with a message; the state before it is whole, and a smaller rate goes on from it."""
    train(tmp_path, "soft-intro-vae", steps=6)
    with pytest.raises(Diverged, match="not finite.*state-"):
        train(tmp_path, "soft-intro-vae", steps=40, lr=1e18, optimizer="adam")
    flat, header = run_state.load_newest(tmp_path)
    assert header["step"] >= 6 and all(torch.isfinite(v).all() for k, v in flat.items() if k.startswith("model."))
    done = train(tmp_path, "soft-intro-vae", steps=20, lr=1e-4).model
    assert torch.isfinite(done.sample(4)).all()


def test_a_live_game_of_points_brings_samples_to_the_modes():
    """The share of samples within 0.2 of a mode of 8 Gaussians: of the game, and of a plain VAE as long."""
    kept = points("8-gaussians", 4096)
    centers = 2 / 1.414 * torch.tensor([[math.cos(a * math.pi / 4), math.sin(a * math.pi / 4)] for a in range(8)])
    near, found = {}, {}
    for warmup in (0.2, 1.0):
        config = methods.METHODS["soft-intro-vae"].Config(
            latent_dim=2, network="mlp", widths=(64, 64, 64), beta_rec=0.2, beta_kl=0.3, beta_neg=0.9, warmup=warmup
        )
        model, found[warmup] = recipes.quick(config, kept, 500, batch_size=128, lr=2e-3, log_every=50)
        made = model.sample(2000, torch.Generator().manual_seed(0))
        near[warmup] = (torch.cdist(made, centers).min(1).values < 0.2).float().mean().item()
    assert near[0.2] > 0.1 > 5 * near[1.0]
    curve = found[0.2]["exp_elbo_fake"]
    assert 0 < curve[-1] < 1 and math.isnan(curve[0]) and "exp_elbo_fake" not in found[1.0]


def test_evaluate_works_on_points_and_images():
    for network in ("points", "batch"):
        model = build("soft-intro-vae", network, torch.float32)
        kept = points("8-gaussians", 30) if network == "points" else images(30, SHAPE)
        found = evaluate(model, kept, batch_size=7)
        assert found == evaluate(model, kept, batch_size=7) and found["sse"] > 0
