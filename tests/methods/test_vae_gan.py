"""The VAE-GAN: its terms, who sees which loss, one shared graph against separate passes, resuming, bad input."""

import copy
import math

import pytest
import torch
from torch.nn import functional as F
from toys import fit_until, gradients, images, same, terms_of, tiny_run, weights

from course_utils import methods
from course_utils.errors import CourseError
from course_utils.methods.base import evaluating
from course_utils.methods.vae_gan import (
    GAN_LOSSES,
    VAEGAN,
    VAEGANConfig,
    decoder_gan_loss,
    discriminator_loss,
    feature_loss,
)
from course_utils.training import evaluate, fit
from course_utils.training.loop import Run, Updater
from course_utils.training.parts import make_fabric

DOUBLE = torch.float64
SHAPE = (3, 8, 8)
PLAYERS = ("encoder", "decoder", "discriminator")


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def build(dtype=DOUBLE, shape=SHAPE, **config):
    config = {"latent_dim": 3, "widths": (4, 6), "gamma": 0.3, **config}
    return methods.build("vae-gan", VAEGANConfig(**config), shape, seed=0).to(dtype)


def pictures(n=6, shape=SHAPE, seed=5, dtype=DOUBLE):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def fixed_noise(model, n=6, seed=7):
    """Give the model the same two draws each step, and return them: for the posterior's sample, for the prior's."""
    drawn = [draw(n, model.latent_dim, seed=seed), draw(n, model.latent_dim, seed=seed + 1)]
    queue = []

    def noise(*shape):
        queue[:] = queue or drawn
        return queue.pop(0)

    model.noise = noise
    return drawn


# The terms


def test_feature_loss_is_the_negative_log_density_of_a_unit_gaussian():
    real, rec = draw(4, 2, 3, 3, seed=1), draw(4, 2, 3, 3, seed=2)
    density = torch.distributions.Normal(rec, torch.ones_like(rec)).log_prob(real).flatten(1).sum(1)
    torch.testing.assert_close(feature_loss(real, rec), -density - 9 * math.log(2 * math.pi), rtol=1e-12, atol=1e-12)
    one, three = torch.ones(1, 2, 3, 3, dtype=DOUBLE), torch.full((1, 2, 3, 3), 4.0, dtype=DOUBLE)
    assert feature_loss(one, three).item() == 0.5 * 18 * 9  # summed, not averaged, and halved


def test_discriminator_loss_is_the_cross_entropy_of_three_classes_of_images():
    d_real, d_rec, d_fake = draw(5, seed=1), draw(5, seed=2), draw(5, seed=3)
    bce = lambda d, label: F.binary_cross_entropy(d.sigmoid(), torch.full_like(d, label), reduction="none")  # noqa: E731
    want = bce(d_real, 1.0) + bce(d_rec, 0.0) + bce(d_fake, 0.0)
    torch.testing.assert_close(discriminator_loss(d_real, d_rec, d_fake), want)
    zero = torch.zeros(2, dtype=DOUBLE)
    torch.testing.assert_close(discriminator_loss(zero, zero, zero), torch.full_like(zero, 3 * math.log(2)))
    sure = discriminator_loss(zero + 50, zero - 50, zero - 50)
    assert (sure < 1e-20).all()  # reals up, both kinds of fake down: labels are not swapped
    assert (discriminator_loss(zero - 50, zero, zero) > 50).all() and (discriminator_loss(zero, zero + 50, zero) > 50).all()


@pytest.mark.parametrize("kind", GAN_LOSSES)
def test_decoder_gan_loss_and_its_slope_on_the_logits(kind):
    d_rec, d_fake = draw(5, seed=2).requires_grad_(), draw(5, seed=3).requires_grad_()
    loss = decoder_gan_loss(d_rec, d_fake, kind)
    p_rec, p_fake = d_rec.sigmoid(), d_fake.sigmoid()
    if kind == "minimax":  # what the discriminator gains on its fakes, with the sign turned
        torch.testing.assert_close(loss, (1 - p_rec).log() + (1 - p_fake).log())
        slopes = -p_rec, -p_fake
    else:
        torch.testing.assert_close(loss, -p_rec.log() - p_fake.log())
        slopes = p_rec - 1, p_fake - 1
    for found, want in zip(torch.autograd.grad(loss.sum(), (d_rec, d_fake)), slopes, strict=True):
        torch.testing.assert_close(found, want.detach())


def test_the_terms_do_not_overflow():
    far = torch.tensor([-1e4, 1e4])
    for loss in (discriminator_loss(far, far, far), *(decoder_gan_loss(far, far, kind) for kind in GAN_LOSSES)):
        assert torch.isfinite(loss).all()


# One step


def separate_losses(model, x, noise):
    """The three losses as three separate computations, each with its own passes and what it must not see detached."""
    x = 2 * x - 1
    softplus = F.softplus

    def passes(detach_z=False, detach_images=False):
        mean, logvar = model.encoder(x).chunk(2, 1)
        kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum(1).mean()
        z = mean + (0.5 * logvar).exp() * noise[0]
        both = model.decoder(torch.cat([z.detach() if detach_z else z, noise[1]]))
        rec, fake = (both.detach() if detach_images else both).chunk(2)
        (f_real, d_real), (f_rec, d_rec), (_, d_fake) = (model.discriminator(images) for images in (x, rec, fake))
        return kl, 0.5 * (f_real - f_rec).square().sum((1, 2, 3)).mean(), d_real, d_rec, d_fake

    kl, feat, *_ = passes()
    losses = {"encoder": kl + feat}
    _, feat, _, d_rec, d_fake = passes(detach_z=True)
    gan = {
        "minimax": -(softplus(d_rec) + softplus(d_fake)).mean(),
        "non-saturating": (softplus(-d_rec) + softplus(-d_fake)).mean(),
    }
    losses["decoder"] = model.config.gamma * feat + gan[model.config.gan_loss]
    _, _, d_real, d_rec, d_fake = passes(detach_images=True)
    losses["discriminator"] = (softplus(-d_real) + softplus(d_rec) + softplus(d_fake)).mean()
    return losses


@pytest.mark.parametrize("kind", GAN_LOSSES)
def test_three_steps_on_one_graph_equal_a_straight_line_of_separate_passes(kind):
    """Through the loop's own Updater, which steps each player at once: weights that moved too early would show."""
    model = build(gan_loss=kind).train()
    plain = copy.deepcopy(model)
    noise, x = fixed_noise(model), pictures()
    made = [{p: torch.optim.RMSprop(m.parameters_of(p), 3e-4) for p in PLAYERS} for m in (model, plain)]
    update = Updater(make_fabric(tiny_run())[0], model, made[0], 0.0)
    for _ in range(3):
        model.step(x, update)
        for player, loss in separate_losses(plain, x, noise).items():  # all three before any step
            for parameter, slope in zip(
                plain.parameters_of(player), torch.autograd.grad(loss, plain.parameters_of(player)), strict=True
            ):
                parameter.grad = slope
        for optimizer in made[1].values():
            optimizer.step()
    moved = 0.0
    for (name, found), start in zip(model.named_parameters(), build(gan_loss=kind).parameters(), strict=True):
        torch.testing.assert_close(found, plain.get_parameter(name), rtol=0, atol=1e-10)
        moved = max(moved, (found - start).abs().max().item())
    assert moved > 1e-3


@pytest.mark.parametrize("kind", GAN_LOSSES)
def test_where_nothing_mixes_a_batch_the_shared_passes_are_exact(kind):
    """With BatchNorm in eval mode, against one pass for each kind of image and each use, as published code does it."""
    model = build(gan_loss=kind).train()
    noise, x = fixed_noise(model), pictures()
    gradients(model, x)  # running statistics of their own
    model.eval()
    slopes, losses, _ = gradients(model, x)

    inner, dis, config = 2 * x - 1, lambda images: model.discriminator(images), model.config

    def encoded():
        mean, logvar = model.encoder(inner).chunk(2, 1)
        kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum(1).mean()
        return kl, model.decoder(mean + (0.5 * logvar).exp() * noise[0])

    def l_feat(rec):
        return 0.5 * (dis(inner)[0] - dis(rec)[0]).square().sum((1, 2, 3)).mean()

    _, rec = encoded()
    fake = model.decoder(noise[1])
    bce = F.binary_cross_entropy_with_logits

    def against(d, label):
        return bce(d, torch.full_like(d, label))

    d_loss = against(dis(inner)[1], 1.0) + against(dis(rec.detach())[1], 0.0) + against(dis(fake.detach())[1], 0.0)
    if kind == "minimax":
        gan = -against(dis(rec)[1], 0.0) - against(dis(fake)[1], 0.0)
    else:
        gan = against(dis(rec)[1], 1.0) + against(dis(fake)[1], 1.0)
    kl, again = encoded()
    want = {"encoder": kl + l_feat(again), "decoder": config.gamma * l_feat(rec) + gan, "discriminator": d_loss}
    for player in PLAYERS:
        torch.testing.assert_close(losses[player], want[player].detach(), rtol=1e-10, atol=1e-10)
        plain = torch.autograd.grad(want[player], model.parameters_of(player), retain_graph=True)
        for found, slope in zip(slopes[player], plain, strict=True):
            torch.testing.assert_close(found, slope, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("player", PLAYERS)
@pytest.mark.parametrize("kind", GAN_LOSSES)
def test_gradients_against_finite_differences(player, kind):
    model = build(gan_loss=kind).train()
    noise, x = fixed_noise(model), pictures()
    slopes, losses, _ = gradients(model, x)
    parameters, step = model.parameters_of(player), 1e-6
    for seed in range(3):
        direction = [draw(*p.shape, seed=100 + seed) for p in parameters]
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                for p, v in zip(parameters, direction, strict=True):
                    p.add_(v, alpha=sign * step)
                values.append(separate_losses(model, x, noise)[player].item())
                for p, v in zip(parameters, direction, strict=True):
                    p.sub_(v, alpha=sign * step)
        found = sum((s * v).sum() for s, v in zip(slopes[player], direction, strict=True)).item()
        assert abs(found) > 1e-3 and found == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5)
    assert losses[player].item() == pytest.approx(separate_losses(model, x, noise)[player].item(), rel=1e-12)


def test_the_encoder_sees_nothing_of_the_gan_term_and_the_others_do():
    """Logits come from the discriminator's head alone: whatever it says, the encoder's gradient stays, bit for bit."""
    slopes = []
    for scale in (1.0, -5.0):
        model = build()
        fixed_noise(model)
        with torch.no_grad():
            model.discriminator.head[-1].weight.mul_(scale)
        slopes.append(gradients(model, pictures())[0])
    assert all(torch.equal(a, b) for a, b in zip(slopes[0]["encoder"], slopes[1]["encoder"], strict=True))
    for player in ("decoder", "discriminator"):
        assert not any(torch.equal(a, b) for a, b in zip(slopes[0][player], slopes[1][player], strict=True))


def test_the_discriminator_sees_nothing_of_the_feature_loss_and_the_decoder_does():
    slopes = []
    for gamma in (0.0, 100.0):
        model = build(gamma=gamma)
        fixed_noise(model)
        slopes.append(gradients(model, pictures())[0])
    for player in ("encoder", "discriminator"):  # gamma is the decoder's alone
        assert all(torch.equal(a, b) for a, b in zip(slopes[0][player], slopes[1][player], strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(slopes[0]["decoder"], slopes[1]["decoder"], strict=True))
    model = build()
    noise, x = fixed_noise(model), pictures()
    alone = separate_losses(model, x, noise)["discriminator"]  # no feature loss in it, images detached
    alone = torch.autograd.grad(alone, model.parameters_of("discriminator"))
    for found, want in zip(slopes[1]["discriminator"], alone, strict=True):
        torch.testing.assert_close(found, want, rtol=1e-10, atol=1e-12)


def test_each_update_changes_its_own_player_and_leaves_no_gradient_behind(tmp_path):
    model = build(torch.float32)
    config = tiny_run(optimizer="rmsprop", lr=1e-3)
    run = Run(model, images(shape=SHAPE), config, out=tmp_path, evaluation=None, hooks=(), header={}, resume=True, quiet=True)
    changed, update = {}, run.update

    def watched(player, loss, retain_graph=False):
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        update(player, loss, retain_graph)
        changed[player] = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
        assert all(p.grad is None for p in model.parameters())

    model.rng, run.update = torch.Generator(), watched
    run._one_step()
    assert list(changed) == list(PLAYERS)
    for player, names in changed.items():
        assert names and all(name.startswith(f"{player}.") for name in names)
    assert {name for names in changed.values() for name in names} >= {
        name for name, p in model.named_parameters() if p.ndim > 1
    }


def idle_biases(model):
    """Biases of layers that a BatchNorm follows, which subtracts them again."""
    names = []
    for where, chain in model.named_modules():
        if isinstance(chain, torch.nn.Sequential):
            for (a, layer), (_, after) in zip(list(chain.named_children()), list(chain.named_children())[1:], strict=False):
                if "BatchNorm" in type(after).__name__ and "BatchNorm" not in type(layer).__name__:
                    names.append(f"{where}.{a}.bias")
    return set(names)


@pytest.mark.parametrize("network", ["vae-gan32", "conv"])
def test_every_parameter_of_every_network_gets_a_gradient_from_its_player(network):
    model = build(network=network)
    fixed_noise(model)
    slopes, _, _ = gradients(model, pictures())
    flat, found = idle_biases(model), set()
    for player in PLAYERS:
        for (name, _), slope in zip(getattr(model, player).named_parameters(), slopes[player], strict=True):
            assert slope is not None, name
            if slope.abs().max() < 1e-12:
                found.add(f"{player}.{name}")
    assert found == flat  # zero by the BatchNorm's doing, and nowhere else
    assert len(flat) == (2 + 1 + 2 + 1 + 2 + 1 if network == "vae-gan32" else 2 + 1)
    owned = [id(p) for player in PLAYERS for p in model.parameters_of(player)]
    assert sorted(owned) == sorted(id(p) for p in model.parameters())  # each parameter has one player


def test_the_discriminators_rate_is_its_own(tmp_path):
    model = build(torch.float32, discriminator_lr_factor=0.25)
    config = tiny_run(optimizer="rmsprop", lr=1e-3)
    run = Run(model, images(shape=SHAPE), config, out=tmp_path, evaluation=None, hooks=(), header={}, resume=True, quiet=True)
    model.rng = torch.Generator()
    run._one_step()
    rates = {player: optimizer.param_groups[0]["lr"] for player, optimizer in run.optimizers.items()}
    assert rates == {"encoder": 1e-3, "decoder": 1e-3, "discriminator": 0.25e-3}
    with pytest.raises(CourseError, match="discriminator_lr_factor: got 0, allowed: more than 0"):
        VAEGANConfig(discriminator_lr_factor=0)


def test_a_step_passes_each_image_once_and_the_discriminators_batches_are_of_one_kind():
    model, calls = build(), []
    for player in PLAYERS:
        getattr(model, player).register_forward_hook(lambda m, args, out, name=player: calls.append((name, len(args[0]))))
    fixed_noise(model)
    gradients(model, pictures())
    assert calls == [("encoder", 6), ("decoder", 12)] + 3 * [("discriminator", 6)]


def test_logged_terms_are_detached_means_and_make_up_the_losses():
    model = build()
    fixed_noise(model)
    _, losses, terms = gradients(model, pictures())
    assert not any(value.requires_grad or value.ndim for value in terms.values())
    torch.testing.assert_close(losses["encoder"], terms["kl"] + terms["feat"])
    torch.testing.assert_close(losses["decoder"], 0.3 * terms["feat"] + terms["gan"])
    torch.testing.assert_close(losses["discriminator"], terms["dis"])
    assert {"sse", "logit_real", "logit_rec", "logit_fake"} < terms.keys()


def test_losses_are_means_over_the_batch():
    """Copies of a batch, with copies of its noise, give the same gradients."""
    model, slopes = build(), []
    noise = fixed_noise(model)
    for copies in (1, 3):
        queue = [n.repeat(copies, 1) for n in noise]
        model.noise = lambda *shape, queue=queue: queue.pop(0)
        slopes.append(gradients(model, pictures().repeat(copies, 1, 1, 1))[0])
    for player in PLAYERS:
        for one, three in zip(slopes[0][player], slopes[1][player], strict=True):
            torch.testing.assert_close(one, three, rtol=1e-8, atol=1e-10)


# Held-out terms, sampling


def test_evaluation_terms_are_one_value_an_image_and_do_not_depend_on_the_batch():
    model, x = build(), pictures()
    fixed_noise(model)
    gradients(model, x)
    model.eval()
    terms = model.evaluation_terms(x, torch.Generator().manual_seed(0))
    posterior = model.encode(x)
    noise = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    raw = model.decoder(posterior.mean + (0.5 * posterior.logvar).exp() * noise)
    (real, d_real), (rec, d_rec) = model.discriminator(2 * x - 1), model.discriminator(raw)
    want = {
        "kl": posterior.kl(), "feat": 0.5 * (real - rec).square().sum((1, 2, 3)),
        "sse": (2 * x - 1 - raw).square().sum((1, 2, 3)), "logit_real": d_real, "logit_rec": d_rec,
    }  # fmt: skip
    assert terms.keys() == want.keys()
    for name, value in terms.items():
        assert value.shape == (6,)
        torch.testing.assert_close(value, want[name])
    found = evaluate(model.float(), images(30, SHAPE), batch_size=7)
    whole = evaluate(model, images(30, SHAPE), batch_size=30)
    for name in ("kl", "logit_real"):  # the other terms draw their noise batch by batch
        assert found[name] == pytest.approx(whole[name], rel=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_samples_and_reconstructions_are_the_same_alone_and_in_any_batch(training):
    model = build()
    fixed_noise(model)
    gradients(model, pictures())
    model.train(training)
    z, x = draw(6, 3), pictures()
    with evaluating(model), torch.no_grad():
        batch, alone = model.decode(z), torch.cat([model.decode(row[None]) for row in z])
    torch.testing.assert_close(batch, alone)
    rec = model.reconstruct(x)
    torch.testing.assert_close(rec, torch.cat([model.reconstruct(image[None]) for image in x]))
    torch.testing.assert_close(rec, model.reconstruct(x.flip(0)).flip(0))
    assert torch.equal(rec, model.reconstruct(x)) and model.training == training
    assert 0 <= rec.min() and rec.max() <= 1 and rec.shape == x.shape
    sample = model.float().sample(6, torch.Generator().manual_seed(1))
    z = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    with evaluating(model), torch.no_grad():
        torch.testing.assert_close(sample, torch.cat([model.decode(row[None]) for row in z]), rtol=1e-4, atol=1e-5)
    assert not sample.requires_grad and model.training == training


# The loop


def train(out, stop_at=None, **changes):
    config = tiny_run(optimizer="rmsprop", lr=3e-4, eval_every=1, **changes)
    data, held_out = images(shape=SHAPE), images(16, SHAPE, seed=1)
    return fit_until(stop_at, build(torch.float32), data, config, out=out, evaluation=held_out)


def test_a_resumed_run_ends_bit_for_bit_where_a_whole_one_does(tmp_path):
    whole = train(tmp_path / "whole")
    assert train(tmp_path / "broken", stop_at=13) is None
    resumed = train(tmp_path / "broken")
    assert same(weights(whole.model), weights(resumed.model))
    assert whole.metrics == resumed.metrics and not whole.model.training
    rows = [terms_of(tmp_path / name) for name in ("whole", "broken")]
    assert rows[0] == rows[1]
    assert {"kl", "feat", "gan", "dis", "sse", "val_kl", "val_feat", "val_sse"} <= set().union(*rows[0])


def test_low_precision_trains_with_finite_terms(tmp_path):
    found = train(tmp_path, precision="bf16", steps=5)
    assert all(math.isfinite(value) for value in found.metrics.values())


def test_two_kinds_of_pictures_are_told_apart(tmp_path):
    """The players pull the right way: a reconstruction becomes more like its own kind than like the other."""
    data = images(32, SHAPE)
    data.images.div_(4, rounding_mode="floor")
    data.images[:16, :, :, :4] += 150  # half are bright on the left, half on the right
    data.images[16:, :, :, 4:] += 150
    model = build(torch.float32, widths=(8, 16), gamma=0.1)
    fit(model, data, tiny_run(optimizer="rmsprop", lr=1e-3, steps=80, checkpoint_every=0), out=tmp_path, quiet=True)
    rec = model.reconstruct(data.floats())
    for own, half in ((slice(0, 16), slice(0, 4)), (slice(16, 32), slice(4, 8))):
        there = rec[own][..., half].mean((1, 2, 3))
        elsewhere = rec[own].mean((1, 2, 3)) * 2 - there
        assert (there > elsewhere + 0.2).all()


# Bad input


@pytest.mark.parametrize(
    ("values", "argument"),
    [
        ({"latent_dim": 0}, "latent_dim"),
        ({"latent_dim": 1.5}, "latent_dim"),
        ({"gamma": -0.1}, "gamma"),
        ({"gamma": math.nan}, "gamma"),
        ({"gamma": math.inf}, "gamma"),
        ({"gan_loss": "minmax"}, "Did you mean 'minimax'"),
        ({"widths": (8, 0)}, "widths"),
    ],
)
def test_a_bad_configuration_is_refused_by_name(values, argument):
    with pytest.raises(CourseError, match=argument):
        VAEGANConfig(**values)


def test_other_bad_input_is_refused():
    with pytest.raises(CourseError, match="network: got 'vaegan32'"):
        VAEGAN(VAEGANConfig(network="vaegan32"), (3, 32, 32))
    model = build()
    with pytest.raises(CourseError, match="images: got"):
        model.step(torch.rand(2, 1, 8, 8, dtype=DOUBLE), lambda *a, **k: None)
    with pytest.raises(CourseError, match="images: got"):
        model.evaluation_terms(torch.rand(2, 3, 8, 12, dtype=DOUBLE))
    with pytest.raises(CourseError, match="player: got 'critic'"):
        model.parameters_of("critic")
