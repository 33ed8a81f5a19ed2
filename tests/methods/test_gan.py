"""The GAN: losses and penalties against closed forms and finite differences, who gets gradients, sampling, resuming."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from toys import fit_until, images, same, terms_of, tiny_run, weights

from course_utils import methods, recipes
from course_utils.data.points import points
from course_utils.errors import CourseError
from course_utils.methods.base import evaluating
from course_utils.methods.gan import GAN, GANConfig
from course_utils.methods.gan_losses import LOSSES, gradient_penalty, r1_penalty, slopes
from course_utils.training import Diverged, evaluate

SMALL = {"latent_dim": 4, "width": 4}
SHAPE = (1, 16, 16)


def build(shape=SHAPE, seed=0, **config):
    return methods.build("gan", GANConfig(**{**SMALL, **config}), shape, seed=seed)


def pictures(model, n, seed=0):
    return torch.rand(n, *model.data_shape, generator=torch.Generator().manual_seed(seed))


def apply(model):
    """An `update` that only sends gradients, to the player's parameters alone, as the loop's does."""
    return lambda player, loss: loss.backward(inputs=model.parameters_of(player))


# Losses on logits


def log_sigmoid(d):
    return math.log(1 / (1 + math.exp(-d)))


def closed_forms(r, f):
    """What methods' tables say of a critic that answers r on every real image and f on every fake."""
    entropy = -log_sigmoid(r) - log_sigmoid(-f)
    return {
        "minimax": (entropy, log_sigmoid(-f)),
        "non-saturating": (entropy, -log_sigmoid(f)),
        "lsgan": (((r - 1) ** 2 + f**2) / 2, (f - 1) ** 2 / 2),
        "wgan-gp": (f - r, -f),
        "hinge": (max(0, 1 - r) + max(0, 1 + f), -f),
    }


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("r", "f"), [(0.0, 0.0), (2.0, -3.0), (-0.5, 0.25), (1.5, -1.5)])
def test_losses_of_a_constant_critic(loss, r, f):
    game, want = LOSSES[loss], closed_forms(r, f)[loss]
    real, fake = torch.full((7,), r).double(), torch.full((3,), f).double()
    assert float(game.critic(real, fake)) == pytest.approx(want[0], abs=1e-12)
    assert float(game.generator(fake)) == pytest.approx(want[1], abs=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_a_mean_of_what_each_logit_costs(loss):
    real, fake = torch.randn(6).double(), torch.randn(4).double()
    alone = [closed_forms(float(r), float(f))[loss] for r in real for f in fake]
    critic, generator = (sum(values) / len(values) for values in zip(*alone, strict=True))
    assert float(LOSSES[loss].critic(real, fake)) == pytest.approx(critic)
    assert float(LOSSES[loss].generator(fake)) == pytest.approx(generator)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_of_the_losses_by_finite_differences(loss):
    real, fake = (torch.randn(5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(LOSSES[loss].critic, (real, fake))
    assert torch.autograd.gradcheck(LOSSES[loss].generator, (fake,))


def test_a_sure_critic_leaves_a_slope_only_to_the_losses_that_do_not_saturate():
    fake = torch.tensor([-30.0], requires_grad=True)
    slope = {loss: float(torch.autograd.grad(LOSSES[loss].generator(fake), fake)[0]) for loss in LOSSES}
    assert abs(slope["minimax"]) < 1e-12
    assert slope["non-saturating"] == pytest.approx(-1) and slope["wgan-gp"] == slope["hinge"] == -1
    assert slope["lsgan"] == -31


@pytest.mark.parametrize("loss", LOSSES)
def test_huge_logits_stay_finite(loss):
    for sign in (-1, 1):
        logits = torch.full((2,), sign * 1e4)
        assert LOSSES[loss].critic(logits, -logits).isfinite() and LOSSES[loss].generator(logits).isfinite()


# Penalties on the slope


class Linear(nn.Module):
    """D(x) = w . x: its slope is w everywhere."""

    def __init__(self, norm, shape=(3, 4, 4)):
        super().__init__()
        w = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        self.w = nn.Parameter(norm * w / w.norm())

    def forward(self, x):
        return (self.w * x).flatten(1).sum(1)


def batch(n=5, shape=(3, 4, 4)):
    return torch.randn(2, n, *shape, dtype=torch.float64).unbind(0)


@pytest.mark.parametrize("norm", [0.0, 0.5, 1.0, 3.0])
def test_penalties_of_a_linear_critic(norm):
    critic, (real, fake) = Linear(norm), batch()
    eps = torch.rand(5).double()
    torch.testing.assert_close(gradient_penalty(critic, real, fake, eps), torch.full((5,), (norm - 1) ** 2).double())
    torch.testing.assert_close(r1_penalty(critic, real), torch.full((5,), norm**2 / 2).double())


def quadratic(x):
    return 0.5 * x.flatten(1).square().sum(1)  # its slope at x is x


def test_the_penalty_is_taken_between_real_and_fake_with_one_eps_and_one_norm_a_sample():
    real, fake = batch()
    eps = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]).double()
    want = torch.stack([((e * r + (1 - e) * f).norm() - 1) ** 2 for e, r, f in zip(eps, real, fake, strict=True)])
    torch.testing.assert_close(gradient_penalty(quadratic, real, fake, eps), want)


def test_a_batch_of_one_gives_the_same_penalty_as_that_sample_in_a_batch():
    model = build(loss="wgan-gp").double()
    real, fake = batch(6, SHAPE)
    eps = torch.rand(6).double()
    together = gradient_penalty(model.critic, real, fake, eps)
    alone = [gradient_penalty(model.critic, real[i : i + 1], fake[i : i + 1], eps[i : i + 1]) for i in range(6)]
    torch.testing.assert_close(together, torch.cat(alone))
    assert together.std() > 0
    torch.testing.assert_close(r1_penalty(model.critic, real)[:1], r1_penalty(model.critic, real[:1]))


def test_gradients_of_the_penalties_by_finite_differences():
    """Of a smooth critic: at the kinks of a ReLU a difference is not a derivative."""
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.Softplus(), nn.Linear(6, 1), nn.Flatten(0)).double()
    real, fake = batch(3, (3, 2, 2))
    eps = torch.rand(3).double()
    parameters = tuple(critic.parameters())
    names = [name for name, _ in critic.named_parameters()]

    def with_parameters(penalty):
        def value(*values):
            def function(x):
                return torch.func.functional_call(critic, dict(zip(names, values, strict=True)), (x,))

            return penalty(function)

        return value

    assert torch.autograd.gradcheck(with_parameters(lambda c: gradient_penalty(c, real, fake, eps)), parameters)
    assert torch.autograd.gradcheck(with_parameters(lambda c: r1_penalty(c, real)), parameters)


def test_gradient_of_the_penalty_through_the_residual_critic_is_that_of_plain_layers(monkeypatch):
    from course_utils.networks import residual

    model, (real, fake) = build(loss="wgan-gp").double(), batch(4, SHAPE)
    eps = torch.rand(4).double()

    def gradients():
        loss = gradient_penalty(model.critic, real, fake, eps).mean()
        return torch.autograd.grad(loss, model.critic.parameters(), materialize_grads=True)

    ours = gradients()
    monkeypatch.setattr(residual, "relu", F.relu)
    for block in model.critic.blocks[:2]:
        block.pool = lambda x: F.avg_pool2d(x, 2)
    for mine, plain in zip(ours, gradients(), strict=True):
        torch.testing.assert_close(mine, plain)


def test_the_penalty_in_bfloat16_is_that_of_float32_within_a_percent():
    model = methods.build("gan", GANConfig(loss="wgan-gp", latent_dim=4, width=32), (3, 32, 32), seed=0)
    real, fake = 2 * torch.rand(2, 8, 3, 32, 32) - 1
    eps, found = torch.rand(8), []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = gradient_penalty(model.critic, real, fake, eps).mean()
        slope = torch.autograd.grad(loss, model.critic.head.weight)[0]
        found.append((loss.detach(), slope))
    torch.testing.assert_close(found[1][0], found[0][0], rtol=0.01, atol=0)
    assert (found[1][1] - found[0][1]).norm() < 0.03 * found[0][1].norm()


def test_fakes_get_no_gradient_from_the_penalty():
    real, fake = batch()
    fake.requires_grad_()
    penalty = gradient_penalty(Linear(2.0), real, fake, torch.rand(5).double()).mean()
    assert torch.autograd.grad(penalty, fake, allow_unused=True) == (None,)
    assert slopes(quadratic, real).requires_grad and not real.requires_grad


# A step


def collect(model, x):
    """One step: its terms, and in order who was updated, with which loss."""
    asked = []
    terms = model.step(x, lambda player, loss: asked.append((player, loss)))
    return terms, asked


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("options", [{}, {"r1_weight": 3.0}, {"n_critic": 2}])
def test_a_step_is_the_formulas_one_after_the_other(loss, options):
    model = build(loss=loss, **options)
    game, n = LOSSES[loss], options.get("n_critic", 5 if loss == "wgan-gp" else 1)
    x = pictures(model, 3 * n)
    model.rng = torch.Generator().manual_seed(7)
    terms, asked = collect(model, x)
    assert [player for player, _ in asked] == n * ["critic"] + ["generator"] and model.batches_per_step == n
    random = torch.Generator().manual_seed(7)
    for real, (_, got) in zip((2 * x - 1).chunk(n), asked, strict=False):
        fake = model.generator(torch.randn(3, 4, generator=random))
        r, f = model.critic(real), model.critic(fake)
        want = game.critic(r, f)
        if loss == "wgan-gp":
            penalty = gradient_penalty(model.critic, real, fake, torch.rand(3, generator=random)).mean()
            want = want + 10 * penalty
        if "r1_weight" in options:
            want = want + 3.0 * r1_penalty(model.critic, real).mean()
        torch.testing.assert_close(got, want)
    torch.testing.assert_close(terms["critic_loss"], want.detach())  # terms are of the last critic step
    torch.testing.assert_close(terms["real"], r.mean().detach())
    torch.testing.assert_close(terms["fake"], f.mean().detach())
    want = game.generator(model.critic(model.generator(torch.randn(3, 4, generator=random))))
    torch.testing.assert_close(asked[-1][1], want)
    torch.testing.assert_close(terms["generator_loss"], want.detach())
    if loss == "wgan-gp":
        torch.testing.assert_close(terms["penalty"], penalty.detach())
    penalties = {"penalty": loss == "wgan-gp", "r1": "r1_weight" in options}
    names = {"critic_loss", "generator_loss", "real", "fake"} | {name for name, there in penalties.items() if there}
    assert terms.keys() == names
    assert not any(value.requires_grad for value in terms.values())


@pytest.mark.parametrize("loss", LOSSES)
def test_each_player_alone_gets_gradients_in_its_own_step(loss):
    model, got = build(loss=loss, r1_weight=1.0), {}
    ids = {id(p): name for name, p in model.named_parameters()}

    def update(player, value):
        """All that this loss could move, not only what the loop lets it."""
        value.backward(retain_graph=True)
        moved = {ids[id(p)] for p in model.parameters() if p.grad is not None}
        got.setdefault(player, set()).update(moved)
        model.zero_grad(set_to_none=True)

    model.step(pictures(model, 3 * model.batches_per_step), update)
    assert {name.split(".")[0] for name in got["critic"]} == {"critic"}  # the fakes are cut off from their generator
    generator = {f"generator.{name}" for name, _ in model.generator.named_parameters()}
    assert generator <= got["generator"]

    def frozen(player, value):
        before = {name: p.grad for name, p in model.named_parameters()}
        value.backward(inputs=model.parameters_of(player))
        changed = {name for name, p in model.named_parameters() if p.grad is not before[name]}
        assert changed and all(name.startswith("critic" if player == "critic" else "generator") for name in changed)
        model.zero_grad(set_to_none=True)

    model.step(pictures(model, 3 * model.batches_per_step), frozen)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("spectral_norm", [False, True])
@pytest.mark.parametrize(("network", "shape"), [("residual", (3, 32, 32)), ("residual", SHAPE), ("mlp", (2,)), ("mlp", (1,))])
def test_every_parameter_gets_a_gradient_from_somebody(network, shape, spectral_norm, loss):
    model = build(shape, network=network, spectral_norm=spectral_norm, loss=loss, width=8 if network == "residual" else 32)
    x = pictures(model, 16 * model.batches_per_step)
    model.step(x if network == "residual" else 20 * x - 10, apply(model))
    idle = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    # A constant added to every logit changes nothing where the loss is linear in them: wgan-gp, hinge within its margins.
    linear = {"critic.head.bias", "critic.6.bias"} if loss in ("wgan-gp", "hinge") else set()
    assert idle <= linear
    assert sorted(id(p) for player in model.players for p in model.parameters_of(player)) == sorted(map(id, model.parameters()))


def test_the_generators_gradient_survives_low_precision():
    """Autocast keeps copies of weights; those made without gradients must not serve where gradients are wanted."""
    model = build(loss="wgan-gp", n_critic=2)
    with torch.autocast("cpu", torch.bfloat16):
        def update(player, loss):
            apply(model)(player, loss)
            torch.clear_autocast_cache()

        model.step(pictures(model, 8), update)
    assert all(p.grad is not None for p in model.generator.parameters())


def test_fakes_and_noise_are_new_in_every_update():
    model, seen = build(n_critic=3), []
    model.generator.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    model.step(pictures(model, 6), lambda player, loss: None)
    assert len(seen) == 4 and all(z.shape == (2, 4) for z in seen)
    assert len({float(z[0, 0]) for z in seen}) == 4


def test_real_images_are_new_in_every_update_and_in_the_networks_range():
    model, seen = build(n_critic=2), []
    model.critic.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    x = pictures(model, 6)
    model.step(x, lambda player, loss: None)
    torch.testing.assert_close(torch.cat([seen[0][:3], seen[1][:3]]), 2 * x - 1)


def test_players_and_rates():
    model = build(critic_lr_factor=4.0)
    assert (model.lr_factor("critic"), model.lr_factor("generator")) == (4.0, 1.0)
    with pytest.raises(CourseError, match="critic, generator"):
        model.parameters_of("encoder")


# As a LatentModel


@pytest.mark.parametrize("training", [True, False])
def test_a_sample_is_the_same_alone_and_in_any_batch(training):
    model = build((3, 32, 32), width=8).train()
    for seed in range(3):  # running statistics of their own
        model.step(pictures(model, 8, seed), lambda player, loss: None)
    model.train(training)
    together = model.sample(6, torch.Generator().manual_seed(1))
    z = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    with evaluating(model), torch.no_grad():
        alone = torch.cat([model.decode(z[i : i + 1]) for i in range(6)])
        other = model.decode(z.flip(0)).flip(0)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together, other, rtol=1e-4, atol=1e-5)
    assert model.training == training and not together.requires_grad
    assert together.shape == (6, 3, 32, 32) and 0 <= together.min() and together.max() <= 1
    model.train()  # with its batch's statistics an image does depend on the others: the test can fail
    assert (model.decode(z)[:1] - model.decode(z[:2])[:1]).abs().max() > 1e-3


def test_it_decodes_and_has_no_encoder():
    model = build().eval()
    z = torch.randn(3, 4)
    torch.testing.assert_close(model.decode(z), (model.generator(z) + 1) / 2)
    with pytest.raises(CourseError, match="no encoder"):
        model.encode(pictures(model, 1))
    with pytest.raises(CourseError, match=r"\(B, 4\)"):
        model.decode(torch.randn(3, 5))
    game = build((2,), network="mlp").eval()
    assert torch.equal(game.decode(5 * z), game.generator(5 * z))  # points are not clipped
    assert game.sample(7).shape == (7, 2)


def test_evaluation_terms_are_the_critics_logits():
    model = build().eval()
    x = pictures(model, 5)
    terms = model.evaluation_terms(x, torch.Generator().manual_seed(3))
    torch.testing.assert_close(terms["real"], model.critic(2 * x - 1))
    fakes = model.sample(5, torch.Generator().manual_seed(3))
    torch.testing.assert_close(terms["fake"], model.critic(2 * fakes - 1), rtol=1e-4, atol=1e-4)
    held_out = images(12, SHAPE)
    assert evaluate(model, held_out) == evaluate(model, held_out)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "wgan"}, "Did you mean 'wgan-gp'"),
        ({"latent_dim": 0}, "latent_dim"),
        ({"width": 2.5}, "width"),
        ({"n_critic": -1}, "n_critic"),
        ({"gp_weight": -1.0}, "gp_weight"),
        ({"r1_weight": math.inf}, "r1_weight"),
        ({"critic_lr_factor": 0.0}, "critic_lr_factor"),
        ({"network": "conv"}, "network"),
        ({"network": "mlp"}, "network='residual'"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(CourseError, match=message):
        build(**options)
    with pytest.raises(CourseError, match="images"):
        build().step(torch.rand(2, 3, 16, 16), lambda player, loss: None)


# In the loop


def train(out, *, stop_at=None, config=None, **run):
    model = build(loss="wgan-gp", **{"n_critic": 2, "spectral_norm": True, **(config or {})})
    settings = {"steps": 8, "checkpoint_every": 2, "eval_every": 1, "ema": 0.9, "betas": (0.0, 0.9), "lr": 1e-3, **run}
    data, held_out = images(64, SHAPE), images(9, SHAPE, 1)
    return fit_until(stop_at, model, data, tiny_run(**settings), out=out, evaluation=held_out)


def test_a_stopped_game_goes_on_as_if_it_had_not_stopped(tmp_path):
    want = train(tmp_path / "whole")
    assert train(tmp_path / "cut", stop_at=5) is None
    got = train(tmp_path / "cut")
    assert isinstance(want.model, GAN) and same(weights(got.model), weights(want.model))
    assert terms_of(tmp_path / "cut") == terms_of(tmp_path / "whole")
    assert {"critic_loss", "generator_loss", "penalty", "val_real", "val_fake"} <= terms_of(tmp_path / "whole")[-1].keys()


def test_the_rate_falls_linearly_over_a_horizon_longer_than_the_run(tmp_path):
    """lr (1 - step / lr_steps) for both players; the critic's times its factor."""
    from course_utils.training.loop import Run

    model = build(critic_lr_factor=3.0)
    settings = tiny_run(steps=8, lr=0.1, lr_schedule="linear", lr_steps=80, optimizer="sgd")
    run = Run(model, images(64, SHAPE), settings, out=tmp_path, evaluation=None, hooks=(), header={}, resume=False, quiet=True)
    model.rng, seen = torch.Generator(), []
    for _ in range(8):
        run._one_step()
        seen.append([run.optimizers[player].param_groups[0]["lr"] for player in ("generator", "critic")])
    assert seen == [pytest.approx([0.1 * (1 - k / 80), 0.3 * (1 - k / 80)]) for k in range(8)]


def test_a_game_that_blows_up_is_reported(tmp_path):
    with pytest.raises(Diverged, match="is not finite"):
        train(tmp_path, config={"spectral_norm": False}, lr=1e12, optimizer="sgd", steps=30)


def test_a_live_game_of_points_moves_towards_its_data():
    data, snapshots = points("two-gaussians", 2000), []

    def hook(step, model):
        snapshots.append(model.sample(500, torch.Generator().manual_seed(0)))
        return {"spread": float(snapshots[-1].std())}

    config = GANConfig(latent_dim=2, loss="non-saturating", network="mlp", width=32)
    model, curves = recipes.quick(config, data, 300, lr=2e-3, betas=(0.0, 0.9), eval_every=100, hooks=[hook])
    assert len(snapshots) == 3 and curves["spread"][-1] == pytest.approx(float(snapshots[-1].std()), rel=1e-4)

    def distance(x):  # Wasserstein-1 in one dimension: sorted against sorted
        return float((x.flatten().sort().values - data.images[:500].flatten().sort().values).abs().mean())

    start = methods.build("gan", config, (1,), seed=0).sample(500, torch.Generator().manual_seed(0))
    assert distance(snapshots[-1]) < 0.5 * distance(start)
