"""Soft-IntroVAE: its terms by hand, its step against a straight line from the formulas, its switches, bad input."""

import copy
import math

import pytest
import torch
from introspective_helpers import (
    DOUBLE,
    NETWORKS,
    PLAYERS,
    build,
    data,
    draw,
    fixed_noise,
    kl_of_fakes_after,
    loops_updater,
    sgd,
)
from toys import gradients, tiny_run

from benchmarks import published_soft_intro_vae as published
from course_utils.errors import CourseError
from course_utils.methods.base import kl_standard_normal
from course_utils.methods.soft_intro_vae import SoftIntroVAEConfig, exp_elbo, weighted_elbo_loss

BETAS = {"beta_rec": 0.7, "beta_kl": 0.4, "beta_neg": 3.0}
AS_PUBLISHED = {"detach_target": False, "gamma_r": 1e-8}


# The terms


def test_terms_by_hand():
    rec, kl = torch.tensor([2.0, 0.0], dtype=DOUBLE), torch.tensor([3.0, 0.5], dtype=DOUBLE)
    found = weighted_elbo_loss(rec, kl, beta_rec=0.5, beta_kl=2.0, scale=0.1)
    torch.testing.assert_close(found, torch.tensor([0.7, 0.1], dtype=DOUBLE))
    found = exp_elbo(rec, kl, beta_rec=0.5, beta_neg=2.0, scale=0.1)
    torch.testing.assert_close(found, torch.tensor([math.exp(-1.4), math.exp(-0.2)], dtype=DOUBLE))
    found = exp_elbo(rec, kl, beta_rec=0.5, beta_neg=2.0, scale=0.1, alpha=1.0)
    torch.testing.assert_close(found, torch.tensor([math.exp(-0.7), math.exp(-0.1)], dtype=DOUBLE))


def test_exp_elbo_is_one_for_a_perfect_fake_and_tends_to_zero():
    far = torch.tensor([0.0, 1.0, 100.0, 1e12], requires_grad=True)
    value = exp_elbo(torch.zeros(4), far, beta_rec=1.0, beta_neg=256.0, scale=1 / 3072)
    assert value[0] == 1 and (value.diff() < 0).all() and value[-1] == 0
    slope = torch.autograd.grad(value.sum(), far)[0]
    assert torch.isfinite(slope).all() and slope[0] < 0 and slope[-1] == 0  # where it is 0 it pushes no more


def test_one_step_of_points_by_hand():
    """Encoder and decoder that are one number each: every term on paper."""
    model = build("soft-intro-vae", "points", detach_target=False, gamma_r=0.5, gamma=3.0, alpha=1.5, **BETAS)
    model.encoder, model.decoder = torch.nn.Linear(2, 4).double(), torch.nn.Linear(2, 2).double()
    with torch.no_grad():
        for part in (model.encoder, model.decoder):
            part.weight.zero_(), part.bias.zero_()
        model.encoder.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))  # mean (1, 0), variance 1 whatever it sees
        model.decoder.weight.copy_(2 * torch.eye(2))  # the decoder doubles
    noise = torch.zeros(6, 1, 2, dtype=DOUBLE)
    noise[0] = torch.tensor([0.0, 1.0])  # the sample is (0, 2), each reconstruction (2, 0)
    model.noise = lambda *shape: noise
    _, losses, terms = gradients(model, torch.tensor([[1.0, 1.0]], dtype=DOUBLE))
    # sse(x, rec) = 1 + 1; KL = 1/2 everywhere; sse(rec, again) = 0, sse(fake, again) = 4 + 4; scale 1/2.
    elbo = 0.5 * (0.7 * 2 + 0.4 * 0.5)
    exp_rec, exp_fake = math.exp(-1.5 * 0.5 * 3 * 0.5), math.exp(-1.5 * 0.5 * (0.7 * 8 + 3 * 0.5))
    assert losses["encoder"].item() == pytest.approx(elbo + (exp_rec + exp_fake) / (2 * 1.5), rel=1e-12)
    assert losses["decoder"].item() == pytest.approx(
        0.5 * (0.7 * 2 + 3.0 * 0.4 * 0.5 + 0.5 * 0.7 * (0 + 8) / 2), rel=1e-12
    )
    want = {"sse": 2, "kl_real": 0.5, "kl_rec": 0.5, "kl_fake": 0.5, "exp_elbo_rec": exp_rec, "exp_elbo_fake": exp_fake}
    assert {name: terms[name].item() for name in want} == pytest.approx(want, rel=1e-12)
    assert terms["encoder_loss"] == losses["encoder"] and terms["decoder_loss"] == losses["decoder"]


# A step against the straight line


def side_by_side(network, steps=2, lr=0.05, plain=None, **config):
    """Some SGD steps of the package's model in the loop's hands, and of a straight line from the same weights and noise."""
    model = build("soft-intro-vae", network, **{**BETAS, **config})
    line, target = copy.deepcopy(model), copy.deepcopy(model.target)
    noise, x = fixed_noise(model), data(model)
    update, optimizers = loops_updater(model, lr, tiny_run()), sgd(line.encoder, line.decoder, lr)
    networks = line.encoder, line.decoder if network == "points" else published.PlainDecoder(line.decoder)
    options = {**BETAS, "scale": 1 / math.prod(model.data_shape), "target": target, **(plain or {})}
    start = {name: value.clone() for name, value in model.named_parameters()}
    for model.steps_done in range(steps):
        terms = model.step(x, update)
        theirs = published.step(*networks, optimizers, x, noise, **options)
    moved = {player: 0.0 for player in PLAYERS}
    for name, value in model.named_parameters():
        player = name.split(".")[0]
        if player in moved:
            moved[player] = max(moved[player], (value - start[name]).abs().max().item())
    assert min(moved.values()) > 1e-4  # both have moved
    return model, line, terms, theirs


def largest_difference(model, line):
    pairs = zip(model.named_parameters(), line.parameters(), strict=True)
    return max((value - other).abs().max().item() for (_, value), other in pairs)


@pytest.mark.parametrize("network", NETWORKS)
def test_as_published_it_equals_the_straight_line(network):
    model, line, terms, theirs = side_by_side(network, **AS_PUBLISHED)
    assert largest_difference(model, line) < 1e-10
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_default_differs_by_a_detached_target_and_a_term_of_1e_8(network):
    model, line, *_ = side_by_side(network, plain={"detach_target": True, "gamma_r": 0.0})
    assert largest_difference(model, line) < 1e-10
    model, line, *_ = side_by_side(network, steps=1, detach_target=False)  # gamma_r alone
    assert 0 < largest_difference(model, line) < 1e-8
    model, line, *_ = side_by_side(network, steps=1, gamma_r=1e-8)  # the attached target alone
    assert largest_difference(model, line) > 1e-6


@pytest.mark.parametrize("network", NETWORKS)
def test_with_a_target_decoder_it_equals_the_straight_line(network):
    config = {"bootstrap": 100, "gamma_r": 1.0, "detach_target": False}
    model, line, *_ = side_by_side(network, plain={"gamma_r": 1.0}, **config)
    pairs = {name: value for name, value in model.named_parameters() if not name.startswith("target")}
    theirs = dict(line.named_parameters())
    assert max((value - theirs[name]).abs().max().item() for name, value in pairs.items()) < 1e-10


def test_the_target_decoder_matters():
    config = {"bootstrap": 100, "gamma_r": 1.0, "detach_target": False}
    model, line, *_ = side_by_side("batch", steps=1, plain={"gamma_r": 1.0, "target": None}, **config)
    assert largest_difference(model.decoder, line.decoder) > 1e-4


@pytest.mark.parametrize("network", NETWORKS)
def test_warm_up_is_a_plain_vaes_step(network):
    model = build("soft-intro-vae", network, warmup=0.5, **BETAS)
    line, drawn, x = copy.deepcopy(model), fixed_noise(model), data(model)
    update, optimizers = loops_updater(model, 0.01, tiny_run()), sgd(line.encoder, line.decoder, 0.01)
    model.progress = 0.49
    terms = model.step(x, update)
    theirs = published.warm_up_step(line.encoder, line.decoder, optimizers, x, drawn[0], beta_rec=0.7, beta_kl=0.4)
    assert largest_difference(model, line) < 1e-10
    assert {name: terms[name].item() for name in theirs} == pytest.approx(theirs)
    assert terms["loss"].item() == pytest.approx(0.7 * theirs["sse"] + 0.4 * theirs["kl_real"])
    model.progress = 0.5
    assert "exp_elbo_fake" in model.step(x, update)


def test_the_decoders_step_goes_through_the_encoder_that_has_moved():
    model = build("soft-intro-vae")
    fixed_noise(model)
    x, losses = data(model), {}
    for lr in (0.0, 0.05):
        mine = copy.deepcopy(model)
        update = loops_updater(mine, lr, tiny_run())
        losses[lr] = mine.step(x, update)
    assert losses[0.0]["encoder_loss"] == losses[0.05]["encoder_loss"]
    assert losses[0.0]["decoder_loss"] != losses[0.05]["decoder_loss"]


def test_nothing_is_computed_twice():
    passes = {}
    for network in ("batch", "group"):
        model = build("soft-intro-vae", network)
        fixed_noise(model)
        counts = passes[network] = {player: [] for player in PLAYERS}
        for player in PLAYERS:
            hook = lambda module, args, out, kept=counts[player]: kept.append(len(args[0]))  # noqa: E731
            getattr(model, player).register_forward_hook(hook)
        gradients(model, data(model))
    # Images through the encoder: real, then reconstructions and samples in either step. Through the decoder: each once, and
    # their second reconstructions. Together where no image sees another.
    assert passes["batch"] == {"encoder": [6, 6, 6, 6, 6], "decoder": [6, 6, 6, 6]}
    assert passes["group"] == {"encoder": [6, 12, 12], "decoder": [6, 6, 12]}


# Who gets gradients


def test_each_switch_reaches_whom_it_says():
    def slopes(**config):
        model = build("soft-intro-vae", **{**BETAS, **config})
        fixed_noise(model)
        return gradients(model, data(model))[0]

    def same(a, b, player):
        return all(torch.equal(x, y) for x, y in zip(a[player], b[player], strict=True))

    plain = slopes()
    for config, reached in [
        ({"gamma": 0.5}, "decoder"), ({"gamma_r": 1.0}, "decoder"),
        ({"beta_neg": 5.0}, "encoder"), ({"alpha": 1.0}, "encoder"), ({"detach_target": False}, "encoder"),
    ]:  # fmt: skip
        other = slopes(**config)
        for player in PLAYERS:
            assert same(plain, other, player) == (player != reached), (config, player)
    for config in ({"beta_rec": 0.1}, {"beta_kl": 0.1}, {"scale": 0.1}):
        assert not same(plain, slopes(**config), "encoder") and not same(plain, slopes(**config), "decoder")


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("config", [{}, {"gamma_r": 1.0, "bootstrap": 5}])
def test_every_parameter_gets_a_gradient_from_its_player_and_the_target_from_nobody(network, config):
    model = build("soft-intro-vae", network, **config)
    fixed_noise(model)
    slopes, _, _ = gradients(model, data(model))
    for player in PLAYERS:
        for (name, _), slope in zip(getattr(model, player).named_parameters(), slopes[player], strict=True):
            assert slope is not None and slope.abs().sum() > 0, name
    owned = {id(p) for player in PLAYERS for p in model.parameters_of(player)}
    others = [name for name, p in model.named_parameters() if id(p) not in owned]
    assert all(name.startswith("target.") for name in others) and bool(others) == bool(config)
    assert not any(p.requires_grad for name, p in model.named_parameters() if name in others)


def test_the_encoder_pushes_its_fakes_away_and_the_decoder_pulls_them_back():
    """By the terms that do it alone: without squared errors, and for the encoder without the KL of real images."""
    before, after = kl_of_fakes_after(build("soft-intro-vae", "group", beta_rec=0.0, beta_kl=0.0), "encoder", 1e-4)
    assert after > before
    before, after = kl_of_fakes_after(build("soft-intro-vae", "group", beta_rec=0.0), "decoder", 1e-2)
    assert after < before


# The target decoder


def test_the_target_is_renewed_when_it_should_be():
    model = build("soft-intro-vae", "group", bootstrap=3, gamma_r=1.0)
    fixed_noise(model)
    x, update = data(model), loops_updater(model, 1e-3, tiny_run())
    kept = []
    for model.steps_done in range(7):
        before, current = (part.stem[0].weight.clone() for part in (model.target, model.decoder))
        model.step(x, update)
        after = model.target.stem[0].weight
        assert torch.equal(after, before) or torch.equal(after, current)
        kept.append(torch.equal(after, before))
    assert kept == [True, True, True, False, True, True, False]  # at step 0 it is the decoder already


def test_a_warm_up_trains_the_live_decoder_and_leaves_the_target_a_copy_of_it():
    model = build("soft-intro-vae", "batch", bootstrap=3, warmup=0.5)
    fixed_noise(model)
    before = model.decoder.stem[0].weight.clone()
    model.step(data(model), loops_updater(model, 0.01, tiny_run()))
    assert not torch.equal(before, model.decoder.stem[0].weight)
    mine, theirs = model.decoder.state_dict(), model.target.state_dict()
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


# Configuration


def test_the_scale_is_one_over_the_numbers_of_an_image_unless_it_is_given():
    assert build("soft-intro-vae").scale == 1 / 768
    assert build("soft-intro-vae", "points").scale == 1 / 2
    assert build("soft-intro-vae", scale=0.25).scale == 0.25


@pytest.mark.parametrize(
    ("values", "argument"),
    [({"beta_neg": -1.0}, "beta_neg"), ({"alpha": 0.0}, "alpha"), ({"alpha": math.inf}, "alpha"),
     ({"gamma": -1.0}, "gamma"), ({"gamma_r": math.nan}, "gamma_r"), ({"scale": -0.5}, "scale"),
     ({"bootstrap": -1}, "bootstrap"), ({"bootstrap": 2.5}, "bootstrap")],
    ids=str,
)  # fmt: skip
def test_a_bad_configuration_is_refused_by_name(values, argument):
    with pytest.raises(CourseError, match=f"^{argument}: got"):
        SoftIntroVAEConfig(**values)


def test_the_kl_of_the_straight_line_is_the_packages():
    mean, logvar = draw(5, 3, seed=1), draw(5, 3, seed=2)
    torch.testing.assert_close(published.kl(mean, logvar), kl_standard_normal(mean, logvar), rtol=1e-12, atol=1e-12)
