"""Augmentation, noise, dropout and label switching in the introspective games: where they act, and where not."""

import math
import sys

import pytest
import torch
from introspective_helpers import NETWORKS, PLAYERS, build, data, draw, fixed_noise, kl_of_fakes_after, loops_updater
from torch import nn
from toys import NoReading, fit_until, gradients, images, same, terms_of, tiny_run, weights

from course_utils import checkpoints, methods
from course_utils.errors import CourseError
from course_utils.methods.autoencoder import sse
from course_utils.metrics import importance_weighted_log_likelihood
from course_utils.networks.regularization import Dropout, LayerNoise
from course_utils.training.loop import Run

METHODS = ("intro-vae", "soft-intro-vae")
SHAPE = (3, 16, 16)
ALL = {"augment": "everywhere", "augment_p": 0.7, "noise_encoder": 0.2, "noise_decoder": 0.1, "noise_learned": True}
ALL |= {f"dropout_{place}": 0.3 for place in ("encoder_first", "encoder_last", "decoder_first", "decoder_last")}
SWITCHED = {"label_switch_encoder": 0.3, "label_switch_decoder": 0.3}
each_method = pytest.mark.parametrize("method", METHODS)


def everything(method):
    return ALL | (SWITCHED if method == "soft-intro-vae" else {})


class Marked(nn.Module):
    """Stands for an augmentation: adds 10 and counts its calls."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return x + 10


def marked(method, augment, **config):
    model = build(method, "group", augment=augment, **config)
    model.augmentation = Marked()
    return model, fixed_noise(model)


def still(player, loss, retain_graph=False):
    """An update in which nobody moves."""


# Which inputs of the encoder are augmented


@each_method
@pytest.mark.parametrize(
    ("augment", "want"), [("off", [0, 0, 0]), ("real", [1, 0, 0]), ("encoder", [1, 1, 0]), ("everywhere", [1, 1, 1])]
)
def test_where_it_augments(method, augment, want):
    """The encoder's inputs, in order: real images, the decoder's images in its own step, and in the decoder's."""
    model, _ = marked(method, augment)
    seen = []
    model.encoder.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach()))
    x = data(model)
    model.step(x, still)
    assert [len(images) for images in seen] == [6, 12, 12] and model.augmentation.calls == sum(want)
    torch.testing.assert_close(seen[0], x + 10 * want[0])
    made = seen[1] - 10 * want[1]
    assert made.abs().max() < 8
    torch.testing.assert_close(seen[2] - 10 * want[2], made)


@each_method
def test_its_policy_p_and_erased_share_are_the_configurations(method):
    torch.manual_seed(0)
    model = build(method, "group", augment="real", augment_policy="flip", augment_p=1.0)
    x = data(model)
    assert torch.equal(model.shown(x, "real"), x.flip(3))
    erasing = {"augment_policy": "erase", "augment_p": 1.0, "augment_erase": (0.4, 0.4)}
    gone = build(method, "group", augment="real", **erasing).shown(x + 1, "real") == 0
    assert gone.double().mean((1, 2, 3)).min() > 0.3


@each_method
def test_a_warm_up_augments_its_images_too(method):
    model, drawn = marked(method, "real", warmup=0.5)
    x = data(model)
    terms = model.step(x, still)
    q = model.posterior(x + 10)
    torch.testing.assert_close(terms["kl_real"], q.kl().mean().detach())
    torch.testing.assert_close(terms["sse"], sse(x, model.decoder(q.sample(drawn[0]))).mean().detach())  # the target is x


@each_method
def test_it_augments_what_input_noise_has_reached_and_targets_stay_clean(method):
    model, drawn = marked(method, "everywhere", input_noise=0.5)
    plain, noise = model.noise, draw(6, *SHAPE)
    model.noise = lambda *shape: noise if len(shape) == 4 else plain(*shape)
    x = data(model)
    terms = model.step(x, still)
    q = model.posterior(x + 0.5 * noise + 10)
    torch.testing.assert_close(terms["kl_real"], q.kl().mean().detach())
    torch.testing.assert_close(terms["sse"], sse(x, model.decoder(q.sample(drawn[1]))).mean().detach())


def test_second_reconstructions_are_compared_with_images_that_are_not_augmented():
    model, drawn = marked("soft-intro-vae", "everywhere", beta_neg=0.0, gamma_r=1.0)
    losses = gradients(model, data(model))[1:]
    fake = model.decoder(drawn[0])
    z = model.posterior(fake + 10).sample(drawn[3])
    error = sse(fake, model.decoder(z))
    torch.testing.assert_close(losses[1]["exp_elbo_fake"], torch.exp(-2 * model.scale * error).mean().detach())
    # The decoder's step, in which nobody has moved: the same again, of reconstructions and of samples.
    bare, _ = marked("soft-intro-vae", "everywhere", beta_neg=0.0)
    rec = model.decoder(model.posterior(data(model) + 10).sample(drawn[1]))
    codes = [model.posterior(made + 10).sample(noise) for made, noise in ((rec, drawn[4]), (fake, drawn[5]))]
    again = sse(rec, model.decoder(codes[0])), sse(fake, model.decoder(codes[1]))
    difference = losses[0]["decoder"] - gradients(bare, data(bare))[1]["decoder"]
    torch.testing.assert_close(difference, model.scale * torch.cat(again).mean().detach())


@each_method
def test_the_decoder_learns_through_the_augmentation(method):
    """Without squared errors all it learns comes from how the encoder sees its images: nothing, if it does not see them."""

    class Black(nn.Module):
        def forward(self, x):
            return 0 * x

    slopes = {}
    for augment in ("encoder", "everywhere"):
        model = build(method, "group", augment=augment, beta_rec=0.0)
        model.augmentation = Black()
        fixed_noise(model)
        slopes[augment] = sum(slope.abs().sum().item() for slope in gradients(model, data(model))[0]["decoder"])
    assert slopes["everywhere"] == 0 < slopes["encoder"]


@each_method
@pytest.mark.parametrize("policy", ["translate", "translate+erase", "affine+color"])
def test_the_decoders_gradient_is_that_of_finite_differences(method, policy):
    model = build(method, "group", augment="everywhere", augment_p=0.7, augment_policy=policy, beta_rec=0.01)
    fixed_noise(model)
    x, weight = data(model), model.decoder.stages[0].conv.weight
    direction = draw(*weight.shape, seed=3)

    def found(step):
        with torch.no_grad():
            weight.add_(direction, alpha=step)
        torch.manual_seed(4)
        slopes, losses, _ = gradients(model, x)
        with torch.no_grad():
            weight.sub_(direction, alpha=step)
        at = next(i for i, parameter in enumerate(model.decoder.parameters()) if parameter is weight)
        return losses["decoder"].item(), (slopes["decoder"][at] * direction).sum().item()

    slope, eps = found(0.0)[1], 1e-8  # so small that no activation crosses its kink
    assert slope == pytest.approx((found(eps)[0] - found(-eps)[0]) / (2 * eps), rel=1e-6) and slope != 0


# Off outside training, and off by default


def regular(method):
    """The same weights in a model with everything and in one with nothing, whose names are the same but for what it lacks."""
    model, plain = (build(method, "group", torch.float32, **options) for options in (everything(method), {}))
    state = model.state_dict()
    missing, extra = plain.load_state_dict(state, strict=False)
    assert not missing and all(name == "augmentation.p" or name.endswith(".sigma") for name in extra) and len(extra) == 7
    return model.eval(), plain.eval()


@each_method
def test_in_eval_mode_nothing_of_it_acts(method):
    model, plain = regular(method)
    x = data(model)
    for use in (
        lambda m: m.encode(x).mean, lambda m: m.encode(x).logvar, lambda m: m.reconstruct(x), lambda m: m.latent_importance(x),
        lambda m: m.decode(draw(4, 3).float()), lambda m: m.sample(4, torch.Generator().manual_seed(0)),
        lambda m: m.elbo(x, torch.Generator().manual_seed(0)), lambda m: m.evaluation_terms(x, torch.Generator().manual_seed(0)),
        lambda m: importance_weighted_log_likelihood(m, x, 3, torch.Generator().manual_seed(0)),
        lambda m: m.shown(x, "real"), lambda m: m.shown(x, "decoder"), lambda m: m.corrupted(x),
    ):  # fmt: skip
        torch.testing.assert_close(use(model), use(plain), rtol=0, atol=0)
    for use in (lambda m: m.reconstruct(x), lambda m: m.elbo(x, torch.Generator().manual_seed(0))):
        torch.testing.assert_close(use(model.train()), use(plain), rtol=0, atol=0)  # these go to eval mode by themselves
        assert all(module.training for module in model.modules())


@each_method
def test_without_any_of_it_a_step_draws_from_no_generator_but_the_runs(method):
    for network in NETWORKS:
        model = build(method, network, torch.float32)
        model.rng, state = torch.Generator().manual_seed(0), torch.get_rng_state()
        model.step(data(model), still)
        assert torch.equal(torch.get_rng_state(), state) and model.augmentation is None
        assert not any(isinstance(module, (Dropout, LayerNoise)) for module in model.modules())


@pytest.mark.parametrize("name", [*ALL, *SWITCHED])
def test_each_of_it_alone_changes_a_step(name):
    needs = {"noise_learned": {"noise_encoder": 0.2}, "augment_p": {"augment": "everywhere"}}.get(name, {})
    found = []
    for options in ({}, {"augment": "everywhere", "augment_p": 0.0}, {name: (ALL | SWITCHED)[name], **needs}):
        model = build("soft-intro-vae", "group", **options)
        fixed_noise(model)
        model.rng = torch.Generator().manual_seed(1)
        torch.manual_seed(1)
        terms = model.step(data(model), still)
        found.append((terms["encoder_loss"].item(), terms["decoder_loss"].item()))
    assert found[0] == found[1]  # at p = 0 it is as without
    assert found[0] != found[2]


# In the loop


def train(out, method, *, stop_at=None, ema=0.0, **options):
    model = build(method, "group", torch.float32, **options)
    run = tiny_run(steps=12, checkpoint_every=3, eval_every=4, log_every=2, lr=1e-4, ema=ema)
    return fit_until(stop_at, model, images(64, SHAPE), run, out=out, evaluation=images(9, SHAPE, 1))


@pytest.mark.parametrize(
    ("method", "options"),
    [("soft-intro-vae", {"augment_target": 0.2, "augment_images": 500, "dropout_alone": True}),
     ("soft-intro-vae", {"bootstrap": 4, "gamma_r": 1.0, "ema": 0.9}),
     ("intro-vae", {"augment_target": 0.2, "warmup": 0.25})],
    ids=str,
)  # fmt: skip
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path, method, options):
    options = everything(method) | options
    want = train(tmp_path / "whole", method, **options)
    assert want.model.augmentation.p != 0.7 or "augment_target" not in options
    assert train(tmp_path / "cut", method, stop_at=8, **options) is None
    got = train(tmp_path / "cut", method, **options)
    assert same(weights(got.model), weights(want.model)) and terms_of(tmp_path / "cut") == terms_of(tmp_path / "whole")


@each_method
@pytest.mark.parametrize(("gap", "direction"), [(0.5, 1), (0.3, -1)])
def test_an_adaptive_p_moves_with_the_gap(tmp_path, method, gap, direction, monkeypatch):
    monkeypatch.setattr("course_utils.methods.regularized.real_fake_gap", lambda real, fake: torch.tensor(gap))
    model = build(method, "group", torch.float32, augment="everywhere", augment_target=0.4, augment_images=1000)
    done = fit_until(None, model, images(64, SHAPE), tiny_run(steps=12, lr=1e-4, log_every=1), out=tmp_path)
    moved = [row["augment_p"] - 0.5 for row in terms_of(tmp_path)]
    assert moved == pytest.approx([direction * (step + 1) * 16 / 1000 for step in range(12)], abs=1e-5)
    assert done.model.augmentation.p.item() == pytest.approx(0.5 + moved[-1])


@each_method
@pytest.mark.parametrize("network", ["batch", "group"])
def test_the_gap_is_of_a_steps_images_and_a_fixed_p_stays(method, network):
    model = build(method, network, augment="everywhere", augment_target=0.9, augment_images=1000)
    fixed_noise(model)
    terms = model.step(data(model), still)
    real, fake = terms["kl_real"], (terms["kl_rec"] + terms["kl_fake"]) / 2
    torch.testing.assert_close(terms["augment_gap"], (fake - real) / (fake + real))
    assert terms["augment_p"].item() == model.augmentation.p.item() == pytest.approx(0.5 - 6 / 1000)
    model = build(method, network, augment="everywhere")
    fixed_noise(model)
    assert not {"augment_p", "augment_gap"} & model.step(data(model), still).keys() and model.augmentation.p == 0.5


def test_a_checkpoint_needs_no_kornia(tmp_path, monkeypatch):
    model = build("soft-intro-vae", "group", torch.float32, **everything("soft-intro-vae"))
    model.step(data(model), still)  # kornia's parts are made now, and are not among the weights
    checkpoints.export(tmp_path / "model.safetensors", model, {}, stored="float32")
    monkeypatch.setitem(sys.modules, "kornia", None)
    loaded = checkpoints.load(tmp_path / "model.safetensors")
    assert same(weights(loaded), weights(model)) and loaded.config == model.config
    x = data(model)
    torch.testing.assert_close(loaded.reconstruct(x), model.reconstruct(x))
    with pytest.raises(CourseError, match="pip install kornia"):
        fit_until(None, loaded, images(64, SHAPE), tiny_run(), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()  # refused before a run has begun


@each_method
@pytest.mark.parametrize("options", [{}, {"dropout_alone": True, "augment_target": 0.3}, {"warmup": 1.0}], ids=str)
def test_a_step_never_waits_for_the_device(tmp_path, method, options):
    model = build(method, "group", torch.float32, **everything(method), **options)
    config = tiny_run(lr=1e-4, grad_clip=1.0)
    run = Run(model, images(64, SHAPE), config, out=tmp_path, evaluation=None, hooks=(), header={}, resume=False, quiet=True)
    model.rng = torch.Generator()
    run._one_step()
    make, watched = model.step, []

    def step(x, update):
        with NoReading():
            watched.append(make(x, update))
        return watched[-1]

    model.step = step
    run._one_step()
    assert len(watched) == 1


@each_method
def test_low_precision_computes_about_the_same(method):
    losses = {}
    for enabled in (False, True):
        model = build(method, "group", torch.float32, **everything(method))
        fixed_noise(model)
        model.rng = torch.Generator().manual_seed(0)
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            losses[enabled] = model.step(data(model), still)
    for name in ("encoder_loss", "decoder_loss"):
        assert losses[True][name].item() == pytest.approx(losses[False][name].item(), rel=0.1)


# Places of noise and dropout. Widths 8, 16: the encoder's stages are conv, norm, LeakyReLU, pool; block, pool; block. The
# decoder's are three blocks, the last two of which double, and a convolution.

PLACES = {
    "dropout_encoder_first": ("encoder.stages.3", "encoder.stages.4"),
    "dropout_encoder_last": ("encoder.stages.6", "encoder.head"),
    "dropout_decoder_first": ("decoder.stem.1", "decoder.stages.0"),
    "dropout_decoder_last": ("decoder.stages.1", "decoder.stages.2"),
}
NOISY = {
    "noise_encoder": [PLACES["dropout_encoder_first"], ("encoder.stages.5", "encoder.stages.6"), PLACES["dropout_encoder_last"]],
    "noise_decoder": [(f"decoder.stages.{i}", f"decoder.stages.{i + 1}") for i in range(3)],
}


def factors(model, n=400):
    """By what each number has been multiplied between every two neighbors of `PLACES` and `NOISY`, where it was not 0."""
    modules, before, after, found = dict(model.named_modules()), {}, {}, {}
    pairs = {*PLACES.values(), *NOISY["noise_encoder"], *NOISY["noise_decoder"]}
    for left, right in pairs:
        modules[left].register_forward_hook(lambda m, args, out, key=left: before.__setitem__(key, out.detach().clone()))
        modules[right].register_forward_pre_hook(lambda m, args, key=right: after.__setitem__(key, args[0].detach().clone()))
    x = data(model, n)
    model.encoder(x), model.decoder(draw(n, model.latent_dim))
    for left, right in pairs:
        given, got = before[left].flatten(), after[right].flatten()
        assert got.shape == given.shape
        found[left, right] = (got / given)[given != 0]
    return found


@pytest.mark.parametrize("place", PLACES)
def test_each_dropout_sits_where_it_says(place):
    found = factors(build("soft-intro-vae", "group", **{place: 0.25}))
    for pair, factor in found.items():
        if pair != PLACES[place]:
            assert (factor == 1).all()
            continue
        dropped = factor == 0
        torch.testing.assert_close(factor[~dropped], torch.full_like(factor[~dropped], 1 / 0.75))
        assert dropped.double().mean().item() == pytest.approx(0.25, abs=0.02)
        both = dropped[1:] & dropped[:-1]  # neighbors, of which each is drawn by itself: no whole channels
        assert both.double().mean().item() == pytest.approx(0.25**2, abs=0.02)


@pytest.mark.parametrize("place", NOISY)
@pytest.mark.parametrize("learned", [True, False])
def test_noise_is_behind_every_stage_of_its_network(place, learned):
    found = factors(build("soft-intro-vae", "group", noise_learned=learned, **{place: 0.3}))
    for pair, factor in found.items():
        if pair not in NOISY[place]:
            assert (factor == 1).all()
            continue
        noise = (factor - 1) / 0.3
        assert noise.mean().abs() < 0.03 and noise.std().item() == pytest.approx(1, abs=0.03)
        assert (noise < -2).any() and (noise.quantile(0.975) - 1.96).abs() < 0.1  # normal, a draw for each number


def test_both_in_one_place_and_every_width():
    model = build("soft-intro-vae", "group", torch.float32, **everything("soft-intro-vae"), widths=(8,))
    terms = model.step(data(model), still)
    assert all(torch.isfinite(value) for value in terms.values())
    assert sum(isinstance(module, Dropout) for module in model.modules()) == 4
    assert sum(isinstance(module, LayerNoise) for module in model.modules()) == 2 + 2


# Sigma


def test_the_gradient_of_a_learned_sigma_by_hand():
    layer, x = LayerNoise(0.3, learned=True), draw(5, 4, seed=1).requires_grad_()
    torch.manual_seed(0)
    y = layer(x)
    torch.manual_seed(0)
    n = torch.randn_like(x)
    torch.testing.assert_close(y, x + 0.3 * x * n)
    up = draw(5, 4, seed=2)
    slope, into = torch.autograd.grad((y * up).sum(), [layer.sigma, x])
    torch.testing.assert_close(slope.double(), (up * x * n).sum(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(into, up * (1 + 0.3 * n))
    assert not list(LayerNoise(0.3).parameters()) and torch.equal(layer.eval()(x), x)


@each_method
def test_learned_sigmas_learn_and_fixed_ones_have_no_parameter(method):
    model = build(method, "group", noise_encoder=0.2, noise_decoder=0.1, noise_learned=True)
    sigmas = {name: value for name, value in model.named_parameters() if name.endswith("sigma")}
    assert {name: value.item() for name, value in sigmas.items()} == pytest.approx(
        {f"{part}.stages.noise_{i}.sigma": sigma for part, sigma in (("encoder", 0.2), ("decoder", 0.1)) for i in range(3)}
    )
    fixed_noise(model)
    slopes, *_ = gradients(model, data(model))
    for player in PLAYERS:
        for (name, _), slope in zip(getattr(model, player).named_parameters(), slopes[player], strict=True):
            assert slope is not None and slope.abs().sum() > 0, name
    model.step(data(model), loops_updater(model, 1e-3, tiny_run()))
    assert all(value.item() != pytest.approx(0.2 if "encoder" in name else 0.1, abs=1e-9) for name, value in sigmas.items())
    assert not any("sigma" in name for name in build(method, "group", noise_encoder=0.2).state_dict())


# Whose dropout acts, and what is made again


def watch(model):
    """What each pass of a network did, in order: (player, whether its dropout acted), and "update" between."""
    seen = []
    for player in PLAYERS:
        layer = next(m for m in getattr(model, player).modules() if isinstance(m, Dropout))
        layer.register_forward_hook(lambda m, args, out, player=player: seen.append((player, bool((out != args[0]).any()))))
    return seen, lambda player, loss, retain_graph=False: seen.append("update")


@each_method
@pytest.mark.parametrize("alone", [False, True])
def test_alone_switches_the_other_networks_dropout_off(method, alone):
    model = build(method, "group", dropout_encoder_last=0.5, dropout_decoder_first=0.5, dropout_alone=alone, warmup=0.5)
    fixed_noise(model)
    seen, update = watch(model)
    for _ in range(2):  # the second as the first
        model.progress = 0.9
        seen.clear()
        model.step(data(model), update)
        first, second = (seen[: seen.index("update")], seen[seen.index("update") + 1 : -1])
        assert set(first) == {("encoder", True), ("decoder", not alone)}
        assert set(second) == {("encoder", not alone), ("decoder", True)}
        model.progress = 0.0
        seen.clear()
        model.step(data(model), update)
        assert seen == [("encoder", True), ("decoder", True), "update", "update"]  # a warm-up trains both


def test_a_target_decoders_dropout_rests_with_the_decoders():
    options = {"bootstrap": 2, "gamma_r": 1.0, "dropout_alone": True, "dropout_decoder_first": 0.5}
    model = build("soft-intro-vae", "group", torch.float32, **options)
    seen, states = [], []
    layer = next(m for m in model.target.modules() if isinstance(m, Dropout))
    layer.register_forward_hook(lambda m, args, out: seen.append(bool((out != args[0]).any())))
    model.step(data(model), lambda player, loss, retain_graph=False: states.append(list(seen)))
    assert states == [[False], [False, True]]


@each_method
@pytest.mark.parametrize(
    ("options", "again"),
    [({}, 0), ({"dropout_encoder_last": 0.5, "noise_encoder": 0.1}, 0), ({"dropout_decoder_last": 0.5}, 2),
     ({"noise_decoder": 0.1}, 2)],
    ids=str,
)  # fmt: skip
def test_a_random_decoder_makes_its_images_again_for_its_own_step(method, options, again):
    model = build(method, "group", **options)
    fixed_noise(model)
    passes, made = {"encoder": 0, "decoder": 0}, []
    model.decoder.register_forward_hook(lambda *args: made.append(1))
    judged = []
    model.encoder.register_forward_pre_hook(lambda module, args: judged.append(args[0].detach()))

    def update(player, loss, retain_graph=False):
        passes[player] = len(made) - sum(passes.values())

    model.step(data(model), update)
    assert passes["decoder"] == again
    assert torch.equal(judged[1], judged[2]) == (not again)
    if again:  # other draws of the same codes
        assert (judged[1] - judged[2]).abs().mean() < judged[1].std()


@each_method
def test_the_decoders_loss_is_of_the_images_made_again(method):
    """With dropout that rests in the encoder's step, its loss there and in the decoder's step are of other images."""
    model = build(method, "group", dropout_decoder_last=0.5, dropout_alone=True, beta_rec=1.0)
    drawn, x = fixed_noise(model), data(model)
    torch.manual_seed(3)
    _, losses, terms = gradients(model, x)
    model.decoder.eval()
    q = model.posterior(x)
    calm = sse(x, model.decoder(q.sample(drawn[1])))
    model.decoder.train()
    torch.manual_seed(3)  # nothing had drawn from it before
    rec, fake = model.decoder(q.sample(drawn[1])), model.decoder(drawn[0])
    pulled = model.posterior(torch.cat([rec, fake])).kl().mean()
    if method == "soft-intro-vae":
        want = model.scale * (sse(x, rec).mean() + pulled)
    else:
        want = sse(x, rec).mean() + model.config.alpha_decoder * 2 * pulled
    torch.testing.assert_close(losses["decoder"], want.detach())
    assert not torch.allclose(calm, sse(x, rec))
    if method == "intro-vae":
        part = losses["encoder"] - model.config.beta_kl * terms["kl_real"] - model.config.alpha * terms["hinge"]
        torch.testing.assert_close(part, calm.mean().detach())


# Label switching


BETAS = {"beta_rec": 0.7, "beta_kl": 0.4, "beta_neg": 3.0, "alpha": 1.5, "gamma": 1.3}


def parts(model, x, drawn):
    """Per row, from the formulas: real and fake terms of real images (B,) and of fakes (B, 2), the decoder's error and KLs."""
    q = model.posterior(x)
    rec, fake = model.decoder(q.sample(drawn[1])), model.decoder(drawn[0])
    error, kl = [sse(x, rec)], [q.kl()]
    for made, noise in ((rec, drawn[2]), (fake, drawn[3])):
        seen = model.posterior(made)
        error.append(sse(made, model.decoder(seen.sample(noise))))
        kl.append(seen.kl())
    error, kl, scale = torch.stack(error, 1), torch.stack(kl, 1), 1 / 768
    as_real, as_fake = scale * (0.7 * error + 0.4 * kl), torch.exp(-1.5 * scale * (0.7 * error + 3.0 * kl)) / 1.5
    pulled, pushed = scale * 1.3 * 0.4 * kl[:, 1:], torch.exp(-1.5 * scale * 3.0 * kl[:, 1:]) / 1.5
    return as_real, as_fake, scale * 0.7 * error[:, 0], pulled, pushed


@pytest.mark.parametrize("rows", [[0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1], [1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1]], ids=str)
def test_label_switching_by_hand(rows):
    """Rows of a batch: a real image, its reconstruction and a sample. None, all, some."""
    model = build("soft-intro-vae", "group", **BETAS, label_switch_encoder=0.5, label_switch_decoder=0.5)
    drawn, x, rows = fixed_noise(model), data(model), torch.tensor(rows).bool()
    model.switched = lambda n, share: rows
    _, losses, _ = gradients(model, x)
    as_real, as_fake, rebuilt, pulled, pushed = parts(model, x, drawn)
    straight = as_real[:, 0] + as_fake[:, 1:].mean(1)
    crossed = as_fake[:, 0] + as_real[:, 1:].mean(1)
    torch.testing.assert_close(losses["encoder"], torch.where(rows, crossed, straight).mean().detach())
    torch.testing.assert_close(losses["decoder"], (rebuilt + torch.where(rows, pushed.mean(1), pulled.mean(1))).mean().detach())


@pytest.mark.parametrize("shares", [(0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)])
def test_label_switching_at_0_and_1(shares):
    model = build("soft-intro-vae", "group", **BETAS, label_switch_encoder=shares[0], label_switch_decoder=shares[1])
    drawn, x = fixed_noise(model), data(model)
    model.rng = torch.Generator().manual_seed(0)
    state = model.rng.get_state()
    _, losses, _ = gradients(model, x)
    as_real, as_fake, rebuilt, pulled, pushed = parts(model, x, drawn)
    own, other = (as_fake, as_real) if shares[0] else (as_real, as_fake)
    torch.testing.assert_close(losses["encoder"], (own[:, 0].mean() + other[:, 1:].mean()).detach())
    torch.testing.assert_close(losses["decoder"], (rebuilt.mean() + (pushed if shares[1] else pulled).mean()).detach())
    assert torch.equal(model.rng.get_state(), state) == (shares == (0, 0))  # at 0 nothing is drawn


def test_switched_labels_turn_each_players_push_around():
    """By the terms that do it alone, all labels switched: the encoder pulls fakes to the prior, the decoder pushes them off."""
    options = {"beta_rec": 0.0, "label_switch_encoder": 1.0, "label_switch_decoder": 1.0}
    before, after = kl_of_fakes_after(build("soft-intro-vae", "group", beta_neg=0.0, **options), "encoder", 1e-2)
    assert after < before
    before, after = kl_of_fakes_after(build("soft-intro-vae", "group", **options), "decoder", 1e-4)
    assert after > before


def test_rows_are_switched_with_the_probability_given_from_the_runs_generator():
    model = build("soft-intro-vae", "group")
    state = torch.get_rng_state()
    found = {}
    for seed in (0, 0, 1):
        model.rng = torch.Generator().manual_seed(seed)
        found.setdefault(seed, []).append(model.switched(20_000, 0.1))
    assert found[0][0].dtype == torch.bool and torch.equal(*found[0]) and not torch.equal(found[0][0], found[1][0])
    assert found[0][0].float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.switched(100, 1.0).all() and not model.switched(100, 0.0).any()


# Bad input


@pytest.mark.parametrize(
    ("values", "message"),
    [({"augment": "evrywhere"}, "augment: got 'evrywhere'.*Did you mean 'everywhere'"),
     ({"augment_p": 1.5}, "augment_p: got 1.5"), ({"augment_p": -0.5}, "augment_p: got"),
     ({"augment_policy": "translate+erase+cut"}, "augment_policy: got 'cut'"),
     ({"augment_erase": (0.5, 0.0)}, r"augment_erase: got \(0.5, 0.0\).*the smaller first"),
     ({"augment_target": -0.1}, "augment_target"), ({"augment_images": 0}, "augment_images"),
     ({"noise_encoder": -0.1}, "noise_encoder"), ({"noise_decoder": math.inf}, "noise_decoder"),
     ({"noise_learned": True}, "noise_learned: got True"), ({"dropout_encoder_first": 1.0}, "dropout_encoder_first: got 1.0"),
     ({"dropout_decoder_last": -0.1}, "dropout_decoder_last"), ({"dropout_alone": True}, "dropout_alone: got True")],
    ids=str,
)  # fmt: skip
@each_method
def test_a_bad_configuration_is_refused_by_name(method, values, message):
    with pytest.raises(CourseError, match=f"^{message}"):
        methods.METHODS[method].Config(**values)


@each_method
@pytest.mark.parametrize(
    "values",
    [{"augment_policy": "flip"}, {"augment_p": 0.3}, {"augment_erase": (0.1, 0.2)}, {"augment_target": 0.4},
     {"augment_images": 9}],
    ids=str,
)  # fmt: skip
def test_settings_of_an_augmentation_that_is_off_are_refused(method, values):
    Config, (name,) = methods.METHODS[method].Config, values
    with pytest.raises(CourseError, match=f"^{name}: got .* while augment is off.*Give augment: real, encoder or everywhere"):
        Config(**values)
    assert getattr(Config(augment="real", **values), name) == values[name]


@pytest.mark.parametrize("name", SWITCHED)
@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_a_share_of_labels_is_refused_by_name(name, share):
    with pytest.raises(CourseError, match=f"^{name}: got"):
        methods.METHODS["soft-intro-vae"].Config(**{name: share})


@each_method
@pytest.mark.parametrize("name", ["augment", *PLACES, *NOISY])
def test_points_have_no_augmentation_and_their_networks_no_places(method, name):
    value = "everywhere" if name == "augment" else 0.1
    with pytest.raises(CourseError, match=f"^{name}: got"):
        build(method, "points", **{name: value})


def test_points_can_switch_labels():
    model = build("soft-intro-vae", "points", torch.float32, **SWITCHED)
    terms = model.step(data(model), loops_updater(model, 1e-3, tiny_run()))
    assert all(torch.isfinite(value) for value in terms.values())
