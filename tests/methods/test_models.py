"""The autoencoder and the VAE as models: steps, ELBO, sampling, ranges, bad input."""

import math

import pytest
import torch
from torch import distributions as D

from course_utils import methods
from course_utils.errors import CourseError
from course_utils.methods.autoencoder import Autoencoder, AutoencoderConfig, sse
from course_utils.methods.base import evaluating
from course_utils.methods.vae import VAE, VAEConfig

NETWORKS = {"conv": (3, 16, 16), "cifar-assignment": (3, 32, 32), "dcgan64": (1, 64, 64)}


def build(method="vae", network="conv", shape=None, **config):
    cls = methods.method_class(method).Config
    return methods.build(method, cls(latent_dim=4, network=network, **config), shape or NETWORKS[network], seed=0)


def pictures(model, n=5, seed=0):
    return torch.rand(n, *model.data_shape, generator=torch.Generator().manual_seed(seed))


def collect(model, x):
    """Run one step; return its terms and the loss it asked to update with."""
    asked = {}
    terms = model.step(x, lambda player, loss: asked.update({player: loss}))
    return terms, asked


# One step


def test_step_of_the_autoencoder_is_the_squared_error():
    model = build("autoencoder")
    x = pictures(model)
    terms, asked = collect(model, x)
    want = (x - model.reconstruct(x)).square().sum((1, 2, 3)).mean()
    torch.testing.assert_close(asked["model"].detach(), want)
    assert terms.keys() == {"loss", "sse"} and not any(value.requires_grad for value in terms.values())


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
def test_step_of_the_vae_is_sse_plus_beta_kl(network, beta):
    model = build(network=network, beta=beta).eval()
    x = pictures(model)
    noise = torch.randn(5, 4)
    model.noise = lambda *shape: noise
    terms, asked = collect(model, x)
    low, high = model.data_range
    inner = low + (high - low) * x
    posterior = model.encode(x)
    raw = model.decoder(posterior.mean + noise * (posterior.logvar / 2).exp())
    rec = (inner - (raw.sigmoid() if model.output == "sigmoid" else raw)).square().sum((1, 2, 3)).mean()
    torch.testing.assert_close(terms["rec"], rec)
    torch.testing.assert_close(terms["kl"], posterior.kl().mean())
    torch.testing.assert_close(asked["model"], rec + beta * posterior.kl().mean())


def test_loss_is_a_mean_over_the_batch():
    """Copies of a batch give the same loss and the same gradients."""
    model = build("autoencoder")
    x = pictures(model)
    slopes = []
    for batch in (x, x.repeat(3, 1, 1, 1)):
        _, asked = collect(model, batch)
        slopes.append(torch.autograd.grad(asked["model"], list(model.parameters())))
    for one, three in zip(*slopes, strict=True):
        torch.testing.assert_close(one, three, rtol=1e-4, atol=1e-5)


def test_a_squared_error_in_minus_one_to_one_is_four_times_that_in_zero_to_one():
    model = build("autoencoder", "cifar-assignment")
    with torch.no_grad():  # an output inside the range, which decode() does not clip
        model.decoder.stages[-1].weight.mul_(0.1)
    x = pictures(model)
    terms, _ = collect(model, x)
    torch.testing.assert_close(terms["sse"], 4 * sse(x, model.reconstruct(x)).mean())
    torch.testing.assert_close(model.evaluation_terms(x)["sse"].mean(), terms["sse"])


def test_denoising_noises_the_input_and_keeps_the_target():
    model = build("autoencoder", input_noise=0.5)
    x = pictures(model)
    noise = torch.randn(x.shape)
    model.noise = lambda *shape: noise
    terms, _ = collect(model, x)
    seen = model.decode(model.encode(x + 0.5 * noise).mean)
    torch.testing.assert_close(terms["sse"], sse(x, seen).mean())
    torch.testing.assert_close(model.evaluation_terms(x)["sse"], sse(x, model.reconstruct(x)))


def test_a_denoising_vae_encodes_noisy_images_and_rebuilds_clean_ones():
    model = build(input_noise=0.5).eval()
    x = pictures(model)
    noise = {x.shape: torch.randn(x.shape), (5, 4): torch.randn(5, 4)}
    model.noise = lambda *shape: noise[shape]
    terms, _ = collect(model, x)
    posterior = model.encode(x + 0.5 * noise[x.shape])
    torch.testing.assert_close(terms["rec"], sse(x, model.decode(posterior.sample(noise[5, 4]))).mean())
    torch.testing.assert_close(terms["kl"], posterior.kl().mean())


def test_free_bits_enter_the_loss_and_not_the_reported_kl():
    model = build(free_bits=2.0)
    x = pictures(model)
    terms, _ = collect(model, x)
    floored = model.encode(x).kl_per_dim().mean(0).clamp_min(2.0).sum()
    torch.testing.assert_close(terms["kl"], model.encode(x).kl().mean())
    torch.testing.assert_close(terms["loss"], terms["rec"] + floored)


def test_beta_zero_leaves_the_scale_of_the_posterior_to_the_reconstruction():
    """Without KL and noise, the gradient is an autoencoder's: none reaches the logvar half of the head."""
    model = build(beta=0.0)
    model.noise = lambda *shape: torch.zeros(shape)
    _, asked = collect(model, pictures(model))
    slope = torch.autograd.grad(asked["model"], model.encoder.head.weight)[0]
    assert slope[:4].abs().sum() > 0 and slope[4:].abs().sum() == 0


# ELBO


@pytest.mark.parametrize("config", [{}, {"decoder_variance": 0.1}, {"likelihood": "bernoulli"}])
def test_elbo_against_direct_computation(config):
    model = build(shape=(1, 8, 8), widths=(4,), **config).eval()
    x = (pictures(model) > 0.5).float()
    posterior = model.encode(x)
    n = 2000
    generator = torch.Generator().manual_seed(0)
    found = torch.stack([model.elbo(x, generator) for _ in range(n)])
    # E_q[log p(x|z) + log p(z) - log q(z|x)], every density by torch.distributions, with other samples.
    q, prior = D.Normal(posterior.mean, (posterior.logvar / 2).exp()), D.Normal(0.0, 1.0)
    with torch.no_grad():
        z = q.sample((n,))
        images = model.decoder(z.flatten(0, 1)).unflatten(0, (n, 5))
        if model.config.likelihood == "bernoulli":
            likelihood = D.Bernoulli(logits=images).log_prob(x)
        else:
            likelihood = D.Normal(images.sigmoid(), math.sqrt(model.config.decoder_variance)).log_prob(x)
        direct = likelihood.sum((2, 3, 4)) + (prior.log_prob(z) - q.log_prob(z)).sum(2)
    error = ((found.var(0) + direct.var(0)) / n).sqrt()
    assert (error < 0.2).all() and ((found.mean(0) - direct.mean(0)).abs() < 4 * error).all()


def test_evaluation_terms_are_one_value_an_image_and_add_up():
    model = build(beta=3.0)
    x = pictures(model)
    terms = model.evaluation_terms(x, torch.Generator().manual_seed(0))
    assert all(value.shape == (5,) for value in terms.values())
    torch.testing.assert_close(terms["elbo"], -(terms["rec"] + terms["kl"]))  # the ELBO, whatever beta is
    torch.testing.assert_close(terms["loss"], terms["rec"] + 3 * terms["kl"])
    torch.testing.assert_close(terms["sse"], terms["rec"])  # decoder variance 1/2


# Sampling, reconstruction, modes


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("training", [True, False])
def test_a_sample_is_the_same_alone_and_in_any_batch(network, training):
    model = build(network=network).train()
    for _ in range(2):  # running statistics of their own, where there are any
        collect(model, pictures(model, 8))
    model.train(training)
    batch = model.sample(6, torch.Generator().manual_seed(1))
    z = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    with evaluating(model), torch.no_grad():
        alone = torch.cat([model.decode(z[i : i + 1]) for i in range(6)])
        other = model.decode(z.flip(0)).flip(0)
    torch.testing.assert_close(batch, alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(batch, other, rtol=1e-4, atol=1e-5)
    assert model.training == training and not batch.requires_grad
    assert batch.shape == (6, *model.data_shape) and 0 <= batch.min() and batch.max() <= 1


def test_batch_statistics_would_be_noticed():
    """In train mode the BatchNorm network does depend on the batch: the test above can fail."""
    model = build(network="dcgan64").train()
    z = torch.randn(6, 4)
    assert (model.decode(z)[:1] - model.decode(z[:2])[:1]).abs().max() > 1e-3


@pytest.mark.parametrize("network", NETWORKS)
def test_reconstructions_do_not_flicker(network):
    model = build(network=network).train()
    x = pictures(model)
    first = model.reconstruct(x)
    assert torch.equal(first, model.reconstruct(x)) and first.shape == x.shape
    torch.testing.assert_close(first[:1], model.reconstruct(x[:1]), rtol=1e-4, atol=1e-5)
    assert model.training


def test_truncation_scales_the_code():
    model = build()
    images = [model.sample(4, torch.Generator().manual_seed(0), truncation=t) for t in (0.0, 0.5, 1.0)]
    z = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(images[1], model.decode(0.5 * z).detach())
    torch.testing.assert_close(images[0], model.decode(torch.zeros(4, 4)).detach())


def test_each_module_gets_its_own_mode_back():
    model = build(network="dcgan64").train()
    model.encoder.eval()
    with evaluating(model):
        assert not any(module.training for module in model.modules())
    assert model.training and model.decoder.training and not model.encoder.training
    with pytest.raises(RuntimeError), evaluating(model):
        raise RuntimeError
    assert model.decoder.training and not model.encoder.stages.training


def test_latent_importance():
    vae, ae = build(), build("autoencoder")
    x = pictures(vae, 8)
    torch.testing.assert_close(vae.latent_importance(x), vae.encode(x).kl_per_dim().mean(0).detach())
    torch.testing.assert_close(ae.latent_importance(x), ae.encode(x).mean.var(0, correction=0).detach())
    assert torch.isfinite(ae.latent_importance(x[:1])).all()


def test_building_with_a_seed_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    want = torch.rand(3)
    torch.manual_seed(0)
    a, b, c = (methods.build("vae", VAEConfig(latent_dim=2), (1, 8, 8), seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.rand(3), want)
    states = [list(m.parameters()) for m in (a, b, c)]
    assert all(torch.equal(p, q) for p, q in zip(states[0], states[1], strict=True))
    assert not all(torch.equal(p, q) for p, q in zip(states[0], states[2], strict=True))


# Bad input


@pytest.mark.parametrize(
    ("cls", "values", "argument"),
    [
        (AutoencoderConfig, {"latent_dim": 0}, "latent_dim"),
        (AutoencoderConfig, {"latent_dim": 2.5}, "latent_dim"),
        (AutoencoderConfig, {"latent_dim": "8"}, "latent_dim"),
        (AutoencoderConfig, {"input_noise": -0.1}, "input_noise"),
        (AutoencoderConfig, {"input_noise": math.nan}, "input_noise"),
        (AutoencoderConfig, {"widths": (32, 0)}, "widths"),
        (VAEConfig, {"beta": -1.0}, "beta"),
        (VAEConfig, {"beta": math.nan}, "beta"),
        (VAEConfig, {"beta": math.inf}, "beta"),
        (VAEConfig, {"beta_schedule": "liner"}, "Did you mean 'linear'"),
        (VAEConfig, {"beta_fraction": 0.0}, "beta_fraction"),
        (VAEConfig, {"beta_cycles": 0}, "beta_cycles"),
        (VAEConfig, {"decoder_variance": 0.0}, "decoder_variance"),
        (VAEConfig, {"likelihood": "normal"}, "likelihood"),
        (VAEConfig, {"free_bits": -1.0}, "free_bits"),
    ],
)
def test_a_bad_configuration_is_refused_by_name(cls, values, argument):
    with pytest.raises(CourseError, match=argument):
        cls(**values)


def test_wrong_images_and_codes_are_refused():
    model = build()
    for shape in ((2, 3, 16, 12), (2, 1, 16, 16), (3, 16, 16)):
        for use in (model.encode, model.reconstruct, lambda x: collect(model, x), model.evaluation_terms, model.elbo):
            with pytest.raises(CourseError, match=r"images: got .*allowed: \(B, 3, 16, 16\)"):
                use(torch.rand(shape))
    for shape in ((2, 5), (4,), (1, 2, 4)):
        with pytest.raises(CourseError, match=r"z: got .*allowed: \(B, 4\)"):
            model.decode(torch.zeros(shape))


def test_unknown_names_are_refused():
    with pytest.raises(CourseError, match="Did you mean 'vae'"):
        methods.build("vea", VAEConfig(), (1, 8, 8))
    with pytest.raises(CourseError, match="network: got 'convv'"):
        VAE(VAEConfig(network="convv"), (1, 8, 8))
    with pytest.raises(CourseError, match="player: got 'critic'"):
        build().parameters_of("critic")
    with pytest.raises(CourseError, match="likelihood: got 'bernoulli'"):  # the network works in [-1, 1]
        build(network="cifar-assignment", likelihood="bernoulli")
    with pytest.raises(CourseError, match="model: got 'Other'"):
        methods.name_of(type("Other", (Autoencoder,), {})(AutoencoderConfig(latent_dim=2), (1, 8, 8)))


def test_every_method_is_known_by_its_name():
    for name, cls in methods.METHODS.items():
        assert methods.name_of(methods.build(name, cls.Config(), (1, 32, 32))) == name
