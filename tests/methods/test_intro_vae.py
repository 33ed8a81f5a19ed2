"""IntroVAE: the hinge by hand, the step against separate passes, who gets gradients, bad input."""

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
    fixed_noise,
    kl_of_fakes_after,
    loops_updater,
    sgd,
)
from toys import gradients, tiny_run

from course_utils.errors import CourseError
from course_utils.methods.intro_vae import IntroVAEConfig, hinge

WEIGHTS = {"beta_rec": 0.3, "beta_kl": 0.8, "alpha": 0.25, "alpha_decoder": 0.5}


def test_hinge_by_hand():
    kl = torch.tensor([2.0, 6.0], dtype=DOUBLE, requires_grad=True)
    assert hinge(kl, 10.0).item() == 6.0  # of the mean, 4: each alone would give (8 + 4) / 2 as well, but
    assert hinge(kl, 5.0).item() == 1.0  # here (3 + 0) / 2 = 1.5
    assert hinge(kl, 3.0).item() == 0.0
    assert torch.equal(torch.autograd.grad(hinge(kl, 5.0), kl)[0], torch.full((2,), -0.5, dtype=DOUBLE))
    assert torch.equal(torch.autograd.grad(hinge(kl, 3.0), kl)[0], torch.zeros(2, dtype=DOUBLE))


def straight_line(model, optimizers, x, noise, margin, *, beta_rec, beta_kl, alpha, alpha_decoder):
    """One step from the formulas, each forward pass made where it is needed, each player's loss with all else detached."""
    encoder, decoder = model.encoder, model.decoder
    kl = lambda mean, logvar: 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum(1).mean()  # noqa: E731
    error = lambda rec: (x - rec).square().flatten(1).sum(1).mean()  # noqa: E731
    mean, logvar = encoder(x).chunk(2, 1)
    z = mean + (logvar / 2).exp() * noise[1]
    loss = beta_rec * error(decoder(z)) + beta_kl * kl(mean, logvar)
    for code in (z.detach(), noise[0]):
        with torch.no_grad():
            image = decoder(code)
        loss = loss + alpha * torch.clamp(margin - kl(*encoder(image).chunk(2, 1)), min=0)
    slopes = torch.autograd.grad(loss, list(encoder.parameters()))
    for parameter, slope in zip(encoder.parameters(), slopes, strict=True):
        parameter.grad = slope
    optimizers["encoder"].step()
    losses = {"encoder": loss.item()}
    rec = decoder(z.detach())
    loss = beta_rec * error(rec)
    for image in (rec, decoder(noise[0])):
        loss = loss + alpha_decoder * kl(*encoder(image).chunk(2, 1))
    slopes = torch.autograd.grad(loss, list(decoder.parameters()))
    for parameter, slope in zip(decoder.parameters(), slopes, strict=True):
        parameter.grad = slope
    optimizers["decoder"].step()
    return losses | {"decoder": loss.item()}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("margin", [0.0, 2.0, 50.0])
def test_a_step_equals_separate_passes(network, margin):
    model = build("intro-vae", network, margin=margin, **WEIGHTS)
    line, noise, x = copy.deepcopy(model), fixed_noise(model), data(model)
    lr = 0.01 if network == "points" else 1e-4  # any faster and the losses explode, in either
    update, optimizers = loops_updater(model, lr, tiny_run()), sgd(line.encoder, line.decoder, lr)
    for _ in range(2):
        terms = model.step(x, update)
        theirs = straight_line(line, optimizers, x, noise, margin, **WEIGHTS)
    assert {player: terms[f"{player}_loss"].item() for player in PLAYERS} == pytest.approx(theirs, rel=1e-9)
    for (name, value), other in zip(model.named_parameters(), line.parameters(), strict=True):
        torch.testing.assert_close(value, other, rtol=0, atol=1e-10, msg=name)
    started = build("intro-vae", network)
    for player in PLAYERS:
        pairs = zip(model.parameters_of(player), started.parameters_of(player), strict=True)
        assert max((now - then).abs().max().item() for now, then in pairs) > 1e-5


def test_terms_make_up_the_encoders_loss():
    model = build("intro-vae", margin=7.0, **WEIGHTS)
    fixed_noise(model)
    _, losses, terms = gradients(model, data(model))
    hinges = sum(max(0.0, 7.0 - terms[name].item()) for name in ("kl_rec", "kl_fake"))
    assert terms["hinge"].item() == pytest.approx(hinges)
    want = 0.3 * terms["sse"] + 0.8 * terms["kl_real"] + 0.25 * hinges
    assert losses["encoder"].item() == pytest.approx(want.item())
    assert not any(value.requires_grad or value.ndim for value in terms.values())


def test_each_weight_reaches_whom_it_says():
    def slopes(**config):
        model = build("intro-vae", **{**WEIGHTS, "margin": 50.0, **config})
        fixed_noise(model)
        return gradients(model, data(model))[0]

    plain = slopes()
    for config, reached in [({"alpha": 1.0}, "encoder"), ({"beta_kl": 0.1}, "encoder"), ({"margin": 0.0}, "encoder"),
                            ({"alpha_decoder": 1.0}, "decoder")]:  # fmt: skip
        other = slopes(**config)
        for player in PLAYERS:
            unmoved = all(torch.equal(a, b) for a, b in zip(plain[player], other[player], strict=True))
            assert unmoved == (player != reached), (config, player)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_parameter_gets_a_gradient_from_its_player(network):
    model = build("intro-vae", network)
    fixed_noise(model)
    slopes, _, _ = gradients(model, data(model))
    for player in PLAYERS:
        for (name, _), slope in zip(getattr(model, player).named_parameters(), slopes[player], strict=True):
            assert slope is not None and slope.abs().sum() > 0, name
    owned = [id(p) for player in PLAYERS for p in model.parameters_of(player)]
    assert sorted(owned) == sorted(id(p) for p in model.parameters())


def test_the_decoder_pulls_what_the_encoder_pushes():
    """By the terms that do it alone: without squared errors, and for the encoder without the KL of real images."""
    before, after = kl_of_fakes_after(build("intro-vae", "group", beta_rec=0.0, beta_kl=0.0), "encoder", 1e-4)
    assert after > before
    before, after = kl_of_fakes_after(build("intro-vae", "group", beta_rec=0.0), "decoder", 1e-4)
    assert after < before
    model = build("intro-vae", "group", beta_rec=0.0, beta_kl=0.0, margin=0.0)  # beyond the margin nobody pushes
    assert len(set(kl_of_fakes_after(model, "encoder", 1e-4))) == 1


@pytest.mark.parametrize("name", ["margin", "alpha", "alpha_decoder", "beta_rec"])
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_a_bad_configuration_is_refused_by_name(name, value):
    with pytest.raises(CourseError, match=f"^{name}: got"):
        IntroVAEConfig(**{name: value})
