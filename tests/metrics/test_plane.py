"""Scores of models of points, the floor of real points, and the published measures they replace."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from stand_ins import Generator, images
from torch import nn

from course_utils import checkpoints, data, methods, recipes
from course_utils.data.points import PLANE, density, points
from course_utils.errors import CourseError
from course_utils.methods.base import LatentModel, Posterior
from course_utils.methods.gan import GANConfig
from course_utils.metrics import POINT_METRICS, generate_points, measure, mode_coverage, real_against_real, score
from course_utils.metrics.divergence import divergences, typical
from course_utils.metrics.published import normalized_by_sum, published_divergences, published_gnelbo
from course_utils.metrics.samples import codes
from course_utils.training import RunConfig

EIGHT = density("8-gaussians")


def toy(latent_dim=2):
    return methods.build("gan", GANConfig(network="mlp", latent_dim=latent_dim, width=4), (2,), seed=0).eval()


def drawn(p, n=20_000, seed=0):
    return p.sample(n, torch.Generator().manual_seed(seed))


class Ideal(LatentModel):
    """Decodes a code to the real point of the same number, whatever the code: a perfect generator."""

    has_encoder = False

    def __init__(self, p):
        super().__init__(SimpleNamespace(latent_dim=1), (2,))
        self.p, self.seen, self.weight = p, 0, nn.Parameter(torch.zeros(1))

    def decode(self, z):
        self.seen += 1
        return drawn(self.p, len(z), 100 + self.seen)


@pytest.mark.parametrize("name", PLANE)
def test_a_perfect_model_scores_what_real_points_score(name):
    p = density(name)
    floor = real_against_real(p, 10_000, seeds=6)
    found = measure(Ideal(p), data.load(name, "test"), "plane", samples=10_000)["values"]
    assert set(found) == {key for key in floor if not key.endswith("_std")}
    for key, value in found.items():
        assert abs(value - floor[key]) <= 6 * floor[f"{key}_std"], key


def test_the_floor_of_twenty_thousand_points_on_eight_gaussians():
    floor = real_against_real(EIGHT, 20_000)
    assert floor["jsd"] == pytest.approx(0.0007, abs=0.0001) and 0 < floor["jsd_std"] < 0.0003
    assert floor["modes"] == 8 and floor["modes_std"] == 0 and floor == real_against_real(EIGHT, 20_000)
    assert floor["within"] == pytest.approx(1 - math.exp(-4.5), abs=1e-3)


def test_scores_are_those_of_their_functions():
    samples = drawn(EIGHT) * 1.001
    found, coverage = score(samples, EIGHT), mode_coverage(samples, EIGHT)
    assert tuple(found) == POINT_METRICS
    assert found["within"] == coverage.within and found["modes"] == coverage.covered == 8
    assert (found["share_min"], found["share_max"]) == (coverage.nearest.min(), coverage.nearest.max())
    assert {key: found[key] for key in ("jsd", "kl_data_model", "kl_model_data")} == divergences(samples, EIGHT)
    rings = density("rings")
    found = score(drawn(rings), rings)
    assert tuple(found) == POINT_METRICS and found["modes"] == 4
    assert found["within"] == pytest.approx(float(typical(drawn(rings), rings).double().mean()))
    assert score(drawn(rings), rings, ["within"]) == {"within": found["within"]}


def test_measuring_a_model_of_points():
    model, real, spirals = toy().train(), data.load("two-spirals", "test"), density("two-spirals")
    record = measure(model, real, ["jsd", "within"], samples=3000, batch_size=700)
    assert list(record["values"]) == ["jsd", "within"] and record["density"] == "two-spirals" and record["samples"] == 3000
    assert measure(model, real, ["jsd", "within"], samples=3000, batch_size=700) == record and model.training
    fakes = torch.cat(list(generate_points(model, 3000, batch_size=501)))
    with torch.no_grad():
        torch.testing.assert_close(fakes, model.decode(codes(2, 0, 3000, 0)))
    assert record["values"]["jsd"] == pytest.approx(divergences(fakes, spirals)["jsd"], rel=1e-3)
    assert measure(model, real, "jsd", samples=3000, seed=1)["values"] != measure(model, real, "jsd", samples=3000)["values"]


def test_a_recipe_watches_points(tmp_path):
    """What is watched stands in the log at each evaluation and in the header, and is found again in the stored model."""
    run = RunConfig(steps=6, batch_size=16, eval_every=2, log_every=2, checkpoint_every=0, precision="32", accelerator="cpu")
    config = GANConfig(network="mlp", latent_dim=2, width=8)
    recipe = recipes.Recipe("gan", config, "rings", run, watch=("jsd", "within"), watch_samples=1000)
    header = recipes.train(recipe, tmp_path / "run", quiet=True)
    curves = checkpoints.read_curves(tmp_path / "run" / "log.csv")
    watched = {name: curves[name][~np.isnan(curves[name])] for name in ("jsd", "within")}
    assert all(len(values) == 3 for values in watched.values()) and 0.2 < watched["jsd"].min() <= math.log(2) + 1e-9
    model, facts = checkpoints.load_file(tmp_path / "run" / "model.safetensors")
    found = recipes.measured(model, data.load("rings", "test"), facts["watched"])
    assert {name: found[name] for name in watched} == pytest.approx({name: header["metrics"][name] for name in watched}, rel=1e-4)
    assert facts["dataset_sha256"] == data.load("rings").sha256()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: measure(toy(), data.load("rings", "test"), "fd_fashion"), "need images"),
        (lambda: measure(toy(), data.load("rings", "test"), []), "metrics"),
        (lambda: measure(toy(), points("gaussian", 10), "jsd"), "points in the plane"),
        (lambda: measure(Generator(), data.load("rings", "test"), "jsd"), "model: got 'Generator'"),
        (lambda: measure(Generator(), images(), "jsd"), "metrics: got 'jsd'.*points in the plane"),
        (lambda: measure(toy(), images(), "fd_fashion"), "samples images"),
        (lambda: measure(toy(), data.load("rings", "test"), "jsd", train_mode=("model",)), "reference"),
        (lambda: measure(toy(), data.load("rings", "test"), "jsd", samples=0), "samples"),
        (lambda: real_against_real(EIGHT, 100, seeds=1), "seeds"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(CourseError, match=message):
        make()


def test_the_published_measures_tell_real_from_real():
    """Both should be 0; a perfect model cannot get below these, and with other numbers of samples they are others."""

    def mean(n, p=EIGHT):
        rows = [published_divergences(drawn(p, n, 2 * seed), drawn(p, n, 2 * seed + 1), p) for seed in range(5)]
        return {name: sum(row[name] for row in rows) / 5 for name in rows[0]}

    few, many = mean(5000), mean(20_000)
    assert few["kl"] == pytest.approx(0.6, abs=0.15) and few["jsd"] == pytest.approx(0.3, abs=0.08)
    assert many["kl"] < 0.3 * few["kl"] and many["jsd"] < 0.3 * few["jsd"]
    assert mean(5000, density("checkerboard"))["jsd"] > 10 * math.log(2)  # no Jensen-Shannon divergence exceeds log 2


def test_the_published_divergences_do_not_see_what_lies_outside():
    real, fake = drawn(EIGHT, 5000), drawn(EIGHT, 5000, 1)
    stray = torch.cat([fake, torch.full((5000, 2), 30.0)])
    assert published_divergences(real, stray, EIGHT) == pytest.approx(published_divergences(real, fake, EIGHT))
    assert score(stray, EIGHT, ["jsd"])["jsd"] > 0.2


class Flat(LatentModel):
    """Encodes to the point itself with unit variance and decodes to it times `factor`: everything in closed form."""

    def __init__(self, factor):
        super().__init__(SimpleNamespace(latent_dim=2), (2,))
        self.factor = nn.Parameter(torch.tensor(factor))

    def encode(self, x):
        return Posterior(x, torch.zeros_like(x))

    def decode(self, z):
        return self.factor * z


def test_the_published_gnelbo():
    data_, grid = torch.tensor([1.0, 3.0]), torch.tensor([2.0, 4.0])
    assert normalized_by_sum(data_, grid) == pytest.approx((0.1 + 0.3) / 2)
    assert normalized_by_sum(10 * data_, 10 * grid) == pytest.approx(normalized_by_sum(data_, grid))  # ten times worse, the same
    x = drawn(EIGHT, 500)
    coarse, fine = (published_gnelbo(Flat(0.5), x, EIGHT, steps) for steps in (64, 128))
    assert fine == pytest.approx(coarse / 4, rel=0.1)  # four times as many points in the sum
    axis = torch.linspace(-2, 2, 64)
    r = torch.cartesian_prod(axis, axis).square().sum(1)
    terms = (0.25 + 0.5) * x.square().sum(1)  # sse at the mean, and the KL of N(x, 1)
    assert coarse == pytest.approx(float(terms.mean() / (terms.sum() + 0.75 * r.sum())), rel=1e-4)
