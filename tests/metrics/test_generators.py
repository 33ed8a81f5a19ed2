"""Measuring a generator whole: the same number twice, samples that do not depend on their batch, what is refused."""

import json
import time
import warnings

import pytest
import torch
from stand_ins import SHAPE, Generator, images, network, random_inception_weights
from torch import nn

from course_utils import data, methods
from course_utils.errors import CourseError
from course_utils.methods.gan import GANConfig
from course_utils.methods.vae import VAE, VAEConfig
from course_utils.metrics import (
    Moments,
    classifier_features,
    generate,
    generators,
    inception,
    inception_features,
    kernel_distance,
    measure,
    metric_names,
    precision_recall_density_coverage,
)
from course_utils.metrics.generators import parse_metrics
from course_utils.metrics.samples import BLOCK, codes
from course_utils.recipes import RECIPES

TOY = {"toy": network()}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def figures(model=None, reference=None, metrics="toy", **settings):
    settings = {"samples": 200, "networks": TOY, "progress": False, **settings}
    return measure(model or Generator(), reference or images(150), metrics, **settings)


def drawn(model, samples, **settings):
    return torch.cat(list(generate(model, samples, **settings)))


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000, 3000])
def test_samples_do_not_depend_on_the_batch_or_their_number(batch_size):
    model = Generator()
    whole = drawn(model, BLOCK + 50, batch_size=250)
    part = drawn(model, 60, batch_size=batch_size)
    assert part.dtype == torch.uint8 and part.shape == (60, *SHAPE)
    assert (part.int() - whole[:60].int()).abs().max() <= 1  # rounding may differ with the batch
    assert (part != whole[:60]).float().mean() < 1e-3
    values = 255 * model.decode(codes(5, 0, BLOCK + 50, 0))
    assert (values - whole).abs().max() < 0.501  # the nearest of 256 levels
    alone = model.decode(codes(5, BLOCK + 3, BLOCK + 4, 0))
    assert ((alone * 255).round() - whole[BLOCK + 3]).abs().max() <= 1


def test_codes_are_one_sequence_per_seed_of_standard_normals():
    whole = codes(4, 0, 3 * BLOCK, 7)
    for start, stop in ((0, 1), (5, 8), (BLOCK - 2, BLOCK + 2), (BLOCK, 2 * BLOCK), (999, 2500)):
        assert torch.equal(codes(4, start, stop, 7), whole[start:stop])
    assert not torch.equal(codes(4, 0, 10, 8), whole[:10]) and not torch.equal(whole[:BLOCK], whole[BLOCK : 2 * BLOCK])
    assert len(whole.unique()) > 0.99 * whole.numel() and abs(whole.mean()) < 0.05 and abs(whole.std() - 1) < 0.05


def test_measuring_twice_gives_the_same_record():
    state = torch.get_rng_state()
    first = figures()
    assert figures() == first and figures(cache=False)["values"] == pytest.approx(first["values"], rel=1e-6)
    assert torch.equal(torch.get_rng_state(), state)
    assert figures(seed=1)["values"] != first["values"]


@pytest.mark.parametrize("batch_size", [7, 199])
def test_the_batch_size_changes_no_figure(batch_size):
    found, expected = figures(batch_size=batch_size)["values"], figures()["values"]
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_figures_are_those_of_the_pieces_on_all_features_at_once():
    model, pictures = Generator(), images(200)
    real, fake = Moments(), Moments()
    x = TOY["toy"].extract(pictures.floats()[torch.randperm(200, generator=torch.Generator().manual_seed(0))])
    y = TOY["toy"].extract(drawn(model, 200).float() / 255)
    real.add(x)
    fake.add(y)
    expected = {"fd": real.distance(fake), "kd": kernel_distance(x, y)[0], **precision_recall_density_coverage(x, y)}
    found = figures(model, pictures)["values"]
    assert list(found) == [*metric_names("toy"), "kd_toy_std"]
    assert found.pop("kd_toy_std") < 1e-9  # all 200 are in each subset
    assert found == pytest.approx({f"{name}_toy": value for name, value in expected.items()}, rel=1e-6)


def test_images_of_the_set_itself_are_close_and_noise_is_far():
    class Copies(Generator):
        def decode(self, z):
            shift = int(z[0, 0] * 1e6) % 50  # any images of the set
            return images(150).floats(torch.arange(shift, shift + len(z)) % 150)

    close, far = figures(Copies(), samples=150, batch_size=150)["values"], figures()["values"]
    assert close["fd_toy"] < 1e-9 < 0.01 < far["fd_toy"] and close["kd_toy"] < far["kd_toy"]
    assert close["precision_toy"] == close["recall_toy"] == close["coverage_toy"] == 1 > far["coverage_toy"]


def test_the_record_states_what_a_figure_depends_on():
    pictures = images(150)
    found = figures(reference=pictures, metrics=["fd_toy", "precision_toy"], seed=4)
    assert json.loads(json.dumps(found)) == found
    assert set(found["values"]) == {"fd_toy", "precision_toy"}
    kinds = {"weights_sha256": TOY["toy"].sha256, "dimension": 8, "resize": "none"}
    assert found["networks"] == {"toy": kinds}
    assert found["reference"] == {"dataset": "blobs", "split": "train", "images": 150, "sha256": pictures.sha256()}
    assert (found["samples"], found["compared"], found["seed"]) == (200, 150, 4)
    assert found["pixels"] == "8 bit" and found["train_mode"] == [] and found["notes"] == []


def test_fewer_samples_than_dimensions_are_warned_of_and_noted():
    with pytest.warns(UserWarning, match="8 samples for features of 8 dimensions"):
        found = figures(samples=8, metrics=["fd_toy", "kd_toy"])
    assert "rank 7" in found["notes"][0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert figures(samples=8, metrics=["kd_toy"])["notes"] == []
        assert figures(samples=9, metrics=["fd_toy"])["notes"] == []


@pytest.mark.parametrize("model", [Generator(), VAE(VAEConfig(latent_dim=3, network="dcgan64"), SHAPE)])
def test_the_model_is_measured_in_eval_mode_and_gets_its_modes_back(model):
    expected = figures(model.eval())["values"]
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert any("running_mean" in name for name in before)
    assert figures(model)["values"] == expected
    assert all(part.training for part in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_model_that_goes_on_training_in_eval_mode_is_refused():
    class Stubborn(nn.BatchNorm1d):
        def train(self, mode=True):
            return super().train(True)

    model = Generator()
    model.net[1] = Stubborn(16)
    with pytest.raises(CourseError, match="the sampled model: 1 of its parts are in training mode .first: net.1"):
        figures(model)


def test_features_are_kept_only_where_images_are_compared_one_by_one(monkeypatch):
    made = []

    class Watched(generators.Statistics):
        def __init__(self, **settings):
            super().__init__(**settings)
            made.append(self)

    monkeypatch.setattr(generators, "Statistics", Watched)
    assert figures(metrics=["fd_toy"], samples=500)["compared"] == 0 and made[0].kept == 0
    monkeypatch.setattr(generators, "KEPT", 120)
    found = figures(metrics=["fd_toy", "recall_toy"], samples=500)
    assert found["compared"] == made[1].kept == 120 and made[1].moments.count == 500


@pytest.mark.parametrize("mode", [("features",), ("model",), ("features", "model")])
def test_one_network_left_in_train_mode_changes_the_figures(mode):
    model = Generator()
    right, wrong = figures(model), figures(model, train_mode=mode)
    assert abs(wrong["values"]["fd_toy"] / right["values"]["fd_toy"] - 1) > 0.01
    assert wrong["train_mode"] == list(mode) and not model.training and not TOY["toy"].module.training
    assert figures(model) == right  # nothing of it stays, in no network and in no cache


def test_a_gan_and_a_vae_can_be_measured_and_several_networks_at_once():
    nets = {"toy": network(shape=(3, 16, 16)), "other": network(shape=(3, 16, 16), seed=1)}
    pictures = images(30, (3, 16, 16))
    gan = methods.build("gan", GANConfig(width=4, latent_dim=3), (3, 16, 16), seed=0)
    vae = methods.build("vae", VAEConfig(widths=(4, 4), latent_dim=3), (3, 16, 16), seed=0)
    for model in (gan, vae):
        found = figures(model, pictures, ["fd_toy", "kd_other", "recall_toy"], networks=nets, samples=20)
        assert set(found["values"]) == {"fd_toy", "kd_other", "kd_other_std", "recall_toy"}
        assert found["compared"] == 20 and set(found["networks"]) == {"toy", "other"}


def test_names_of_metrics():
    assert metric_names("fashion")[:3] == ["fd_fashion", "kd_fashion", "precision_fashion"]
    assert metric_names("inception")[:3] == ["fid", "kid", "precision_inception"]
    assert parse_metrics(["kid", "fd_cifar", "fid", "fid"]) == {"inception": ["kd", "fd"], "cifar": ["fd"]}
    assert parse_metrics("cifar") == {"cifar": ["fd", "kd", "precision", "recall", "density", "coverage"]}
    for wrong in ("fid_fashion", "fd_inception", "kid_cifar", "fd", "fd_toy"):
        with pytest.raises(CourseError, match=f"metrics: got '{wrong}', allowed: fid, kid"):
            parse_metrics([wrong])
    with pytest.raises(CourseError, match="metrics: got"):
        parse_metrics([])


@pytest.mark.parametrize(
    "settings, match",
    [
        ({"samples": 1}, "samples: got 1"),
        ({"samples": 2.5}, "samples: got 2.5"),
        ({"samples": 4}, "k = 3 and 5 with 4 real and 4 fake images"),
        ({"batch_size": 0}, "batch_size: got 0"),
        ({"train_mode": "model"}, "train_mode: got 'model'"),
        ({"train_mode": ("generator",)}, "train_mode: got"),
        ({"reference": images(1)}, "reference: got '1 images'"),
        ({"reference": images(9, (3, 8, 8))}, r"images: got \(1, 3, 8, 8\), allowed: \(B, 1, 8, 8\)"),
        ({"reference": images(9, (1, 16, 16))}, r"images: got \(1, 1, 16, 16\)"),
        ({"networks": {"toy": network(shape=(3, 8, 8))}}, r"images: got .*allowed: \(B, 3, 8, 8\).*'toy'"),
        ({"model": network().module}, "model: got 'Classifier'"),
        ({"model": methods.build("gan", GANConfig(network="mlp", width=4), (2,), seed=0)}, "model: got 'GAN'"),
    ],
)
def test_bad_input(settings, match):
    with pytest.raises(CourseError, match=match), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figures(**settings)


def test_an_autoencoder_has_no_prior():
    model = methods.build("autoencoder", methods.Autoencoder.Config(widths=(4, 4), latent_dim=3), SHAPE, seed=0)
    with pytest.raises(CourseError, match="model: got 'Autoencoder', allowed: a model with a prior"):
        figures(model)


@pytest.mark.parametrize("wrong, shown", [(lambda x: 2 * x - 1, "values from -"), (lambda x: x * float("nan"), "nan")])
def test_a_model_whose_images_are_out_of_range_is_refused(monkeypatch, wrong, shown):
    model = Generator()
    decode = model.decode
    model.decode = lambda z: wrong(decode(z))
    with pytest.raises(CourseError, match=f"images: got '.*{shown}"):
        figures(model)


@pytest.mark.slow
def test_ten_thousand_images_take_less_than_a_minute():
    """All six metrics on the Fashion-MNIST classifier's architecture, nothing cached: 60 s of one core, so of two as well."""
    recipe = RECIPES["classifier_fashion"]
    net = classifier_features("toy", methods.build("classifier", recipe.config, (1, 32, 32), seed=0).eval())
    started = time.process_time()
    found = figures(Generator((1, 32, 32)), data.load("fashion-mnist-mini", "test"), samples=10_000, networks={"toy": net})
    assert found["compared"] == found["samples"] == found["reference"]["images"] == 10_000
    assert time.process_time() - started < 60


@pytest.mark.slow
def test_fid_whole_against_pytorch_fid_on_the_same_images(tmp_path, monkeypatch):
    """From the model to the figure: pytorch-fid's own script functions, same random weights, on PNG files of the images."""
    from PIL import Image
    from pytorch_fid import fid_score
    from pytorch_fid import inception as library

    weights = random_inception_weights()
    monkeypatch.setattr(library, "load_state_dict_from_url", lambda *_, **__: weights)
    model, reference = Generator(shape=(1, 32, 32)), images(12, (1, 32, 32))
    for name, pictures in (("real", reference.images), ("fake", drawn(model, 14))):
        (tmp_path / name).mkdir()
        for i, picture in enumerate(pictures):
            Image.fromarray(picture[0].numpy()).save(tmp_path / name / f"{i:03}.png")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few images for 2048 dimensions; an argument of scipy's that is to go
        folders = [str(tmp_path / "real"), str(tmp_path / "fake")]
        expected = fid_score.calculate_fid_given_paths(folders, 5, "cpu", 2048, num_workers=0)
        networks = {"inception": inception_features(inception.build(weights))}
        found = figures(model, reference, "fid", samples=14, batch_size=4, networks=networks)
    assert expected > 1 and found["values"]["fid"] == pytest.approx(expected, rel=1e-4)
    assert found["networks"]["inception"]["resize"].startswith("bilinear to 299x299")
