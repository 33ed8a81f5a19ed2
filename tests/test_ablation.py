"""The record of chapter 09's ablation: what is measured of a run, how runs come into the record, and what is refused."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from ablation_records import record

from course_utils import ablation, checkpoints, data, methods, recipes, tensors
from course_utils.cli import main
from course_utils.data.image_set import ImageSet
from course_utils.errors import CourseError
from course_utils.metrics import classifier_features, measure, measure_memorization, real_fake_gaps
from course_utils.metrics.frechet import Moments
from course_utils.training import evaluate

PREFIX = ablation.PREFIX
SHAPE = (3, 16, 16)


def pictures(n, seed=0) -> ImageSet:
    """n pictures of random blobs."""
    coarse = torch.rand(n, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return ImageSet((torch.nn.functional.interpolate(coarse, SHAPE[1:]) * 255).to(torch.uint8), None, "blobs", "train")


def classifier():
    return methods.build("classifier", methods.Classifier.Config(widths=(4, 8)), SHAPE, seed=0).eval()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Statistics are cached in the test's own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder of tiny finished runs of four recipes, one unfinished, and the shelf with a tiny classifier of 16x16 emoji."""
    folder, shelf = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("shelf")
    checkpoints.export(shelf / "run" / "model.safetensors", classifier(), {})
    (shelf / "run" / "log.csv").write_text("step,loss\n1,1.0\n", encoding="utf-8")
    checkpoints.publish("classifier_cifar10", shelf / "run", shelf)
    tiny = {}
    for suffix in ("", "_s1", "_augment", "_noise", "_dropout"):
        recipe = recipes.RECIPES[PREFIX + suffix]
        run = replace(recipe.run, steps=2, batch_size=4, eval_every=0, checkpoint_every=0, log_every=1, precision="32")
        config = replace(recipe.config, widths=(4, 8), latent_dim=4, warmup=0.0)
        tiny[PREFIX + suffix] = replace(recipe, run=run, config=config, size=16, watch=())
    for name in list(tiny)[:3]:
        recipes.train(tiny[name], folder / name, name=name, quiet=True)
    (folder / f"{PREFIX}_noise").mkdir()  # which is still training
    return folder, shelf, tiny


@pytest.fixture
def small(world, tmp_path, monkeypatch):
    """The tiny runs' folder, to change at will, with tiny recipes, an eighth of the emoji, and few samples."""
    folder, shelf, tiny = world
    load = data.load
    monkeypatch.setattr(data, "load", lambda *names, **more: load(*names, **more).subset(slice(None, None, 8)))
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(shutil.copytree(shelf, tmp_path / "shelf")))
    monkeypatch.setattr(ablation, "RECIPES", tiny)
    for name, value in (("SAMPLES", 30), ("SEEDS", (0, 1)), ("NEIGHBORS", 5)):
        monkeypatch.setattr(ablation, name, value)
    measured = ablation.measure_run
    monkeypatch.setattr(ablation, "measure_run", lambda *args, **more: measured(*args, **more, samples=30, seeds=(0, 1), k=5))
    return shutil.copytree(folder, tmp_path / "runs")


class TestMeasures:
    def test_each_is_what_its_own_function_measures(self):
        train, held_out = pictures(60), pictures(20, seed=1)
        flipped = ImageSet(torch.cat([held_out.images, train.images[:5].flip(-1)]), None, "blobs", "test")
        net = classifier_features("cifar", classifier())
        config = methods.SoftIntroVAE.Config(latent_dim=4, widths=(4, 8), norm="batch")
        model = methods.build("soft-intro-vae", config, SHAPE, seed=0)
        model.prepare_evaluation(train)
        model.train()
        found = ablation.measure_run(model, train, flipped, network=net, samples=40, seeds=(0, 3), k=5)
        assert model.training and json.loads(json.dumps(found)) == found
        part, _ = ablation.equal_part(train, flipped)
        expected = {f"{term}_{name}": evaluate(model, images)[term] for term in ("sse", "kl")
                    for name, images in (("train", part), ("held_out", flipped))}  # fmt: skip
        given = {"networks": {"cifar": net}, "progress": False, "samples": 40}
        by_seed = []
        for seed in (0, 3):
            each = {}
            for name, images in (("train", part), ("held_out", flipped)):
                values = measure(model, images, ["fd_cifar", "kd_cifar"], seed=seed, **given)["values"]
                each |= {f"{measured}_{name}": values[measured] for measured in ("fd_cifar", "kd_cifar")}
            for space, network in (("cifar", net), ("pixels", None)):
                values = measure_memorization(model, train, held_out, network=network, samples=40, seed=seed, k=5)["values"]
                each |= {f"{measured}_{space}": value for measured, value in values.items()}
            gaps = real_fake_gaps(model, train, flipped, samples=40, seed=seed)["values"]
            by_seed.append(each | {name: gaps[name] for name in ("kl_fake", "gap_train", "gap_held_out", "gap_unseen")})
        expected |= {name: [each[name] for each in by_seed] for name in by_seed[0]}
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=1e-3, abs=1e-6), name
        changing = [name for name, value in found.items() if isinstance(value, list) and value[0] != value[1]]
        assert {"fd_cifar_train", "kd_cifar_held_out", "ratio_pixels", "ratio_cifar", "gap_train", "kl_fake"} <= set(changing)

    def test_real_images_stand_in_the_samples_place(self):
        train, held_out, net = pictures(60), pictures(20, seed=1), classifier_features("cifar", classifier())
        part, rest = ablation.equal_part(train, held_out)
        found = ablation.real_images(train, held_out, net, samples=30)
        moments = []
        for images in (part, held_out, rest.subset(slice(0, 30))):
            moments.append(Moments())
            moments[-1].add(net.extract(images.floats()))
        assert found["fd_cifar_train"] == pytest.approx(moments[0].distance(moments[2]), rel=1e-4)
        assert found["fd_cifar_held_out"] == pytest.approx(moments[1].distance(moments[2]), rel=1e-4)
        assert set(found) == {f"{name}_cifar_{where}" for name in ("fd", "kd") for where in ("train", "held_out")}

    def test_the_two_parts_of_the_training_images(self):
        train, held_out = pictures(50), pictures(20, seed=1)
        part, rest = ablation.equal_part(train, held_out)
        assert (len(part), len(rest)) == (20, 30) and torch.equal(part.images, ablation.equal_part(train, held_out)[0].images)
        both = torch.cat([part.images, rest.images]).flatten(1)
        assert sorted(map(tuple, both.tolist())) == sorted(map(tuple, train.images.flatten(1).tolist()))
        assert not torch.equal(part.images, train.images[:20])
        with pytest.raises(CourseError, match="train: got '20 images', allowed: more than the 20"):
            ablation.equal_part(held_out, held_out)

    def test_the_spread_and_what_a_training_seed_changes(self):
        assert ablation.spread(3.0) == (3.0, 0.0) and ablation.spread([1.0, 2.0, 3.0]) == (2.0, 1.0)
        apart = ablation.between_seeds(record())
        assert list(apart) == ["nothing", "(iii) augment everywhere"]  # those with two seeds
        order = [ablation.names().index(f"{PREFIX}{suffix}") for suffix in ("", "_s1", "_augment", "_augment_s1")]
        for name, number in (("nothing", order[1] - order[0]), ("(iii) augment everywhere", order[3] - order[2])):
            assert apart[name]["sse_held_out"] == apart[name]["fd_cifar_train"] == pytest.approx(number)
            assert apart[name]["nearer_cifar"] == pytest.approx(number / 100)


class TestTwins:
    def test_an_image_is_a_twin_of_a_mirrored_training_image_alone(self):
        train, other = pictures(30), pictures(4, seed=1)
        mirrored = train.images[:4].flip(-1)
        near = (mirrored.int() + 10).clamp(0, 255).to(torch.uint8)  # 0.04 of the range
        far = (mirrored.int() + 20).clamp(0, 255).to(torch.uint8)
        images = torch.cat([mirrored, near, far, train.images[:4], other.images])
        found = ablation.mirror_twins(train, ImageSet(images, None, "blobs", "test"))
        assert found.tolist() == [True] * 8 + [False] * 12

    def test_those_of_the_emoji(self):
        train, held_out = (data.load("noto-emoji", split, size=32) for split in ("train", "test"))
        twins = held_out.subset(ablation.mirror_twins(train, held_out))
        kinds = [name.split(":")[0] for name in twins.attributes["name"]]
        assert kinds.count("right-facing fist") == kinds.count("leftwards hand") == 6
        assert set(kinds) == {"right-facing fist", "leftwards hand", "seven o’clock", "nine-thirty", "twelve-thirty"}


class TestRecord:
    def test_finished_runs_are_measured_and_the_others_named(self, small, tmp_path, capsys):
        path = tmp_path / "shelf" / ablation.FILE
        assert main(["ablation", "--runs", str(small)]) == 0
        shown = capsys.readouterr().out
        found = ablation.read()
        assert [row["recipe"] for row in found["runs"]] == [PREFIX, f"{PREFIX}_s1", f"{PREFIX}_augment"]
        assert ablation.missing(found) == [f"{PREFIX}_noise", f"{PREFIX}_dropout"]
        assert f"Not measured yet: {PREFIX}_noise, {PREFIX}_dropout." in shown and shown.count(": measured\n") == 3
        train, held_out, network, facts = ablation.measured_on()
        assert found["data"] == facts and facts["held_out"] == {"images": len(held_out), "sha256": held_out.sha256()}
        assert len(facts["mirror_twins"]) == int(ablation.mirror_twins(train, held_out).sum())
        for row in found["runs"]:
            checkpoints.publish(row["recipe"], small / row["recipe"])
            shipped = checkpoints.load(row["recipe"])
            assert row["weights_sha256"] == tensors.digest(shipped.state_dict(), {})
            expected = ablation.measure_run(shipped, train, held_out, network=network)
            assert row["values"].keys() == expected.keys()
            for name, value in expected.items():
                assert row["values"][name] == pytest.approx(value, rel=1e-4, abs=1e-6)
            assert (row["seed"], row["steps"], row["samples"]) == (int(row["recipe"].endswith("_s1")), 2, 30)
        assert path.read_text(encoding="utf-8").count("\n") == 5  # a line for each run

    def test_a_run_that_comes_later_is_added_and_one_with_other_weights_replaced(self, small, tmp_path, monkeypatch):
        path, said = tmp_path / "record.json", []
        shutil.move(small / f"{PREFIX}_s1", tmp_path / "later")
        first = ablation.measure_runs(small, path, said.append)
        assert said == [f"{PREFIX}: measured", f"{PREFIX}_augment: measured"]
        shutil.move(tmp_path / "later", small / f"{PREFIX}_s1")
        model, header = checkpoints.load_file(small / PREFIX / "model.safetensors")
        next(model.decoder.parameters()).mul_(1.5)
        checkpoints.export(small / PREFIX / "model.safetensors", model, header, stored="float32")
        second = ablation.measure_runs(small, path, said.append)
        assert said[2:] == [f"{PREFIX}: measured", f"{PREFIX}_s1: measured", f"{PREFIX}_augment: measured before"]
        assert [row["recipe"] for row in second["runs"]] == [PREFIX, f"{PREFIX}_s1", f"{PREFIX}_augment"]
        assert second["runs"][2] == first["runs"][1] and second == ablation.read(path)
        assert second["runs"][0]["weights_sha256"] != first["runs"][0]["weights_sha256"]
        assert second["runs"][0]["values"]["sse_train"] != first["runs"][0]["values"]["sse_train"]

    def test_what_was_measured_before_an_interruption_is_kept(self, small, tmp_path, monkeypatch):
        path, measured, count = tmp_path / "record.json", ablation.measure_run, []

        def interrupted(*args, **more):
            count.append(1)
            if len(count) == 2:
                raise KeyboardInterrupt
            return measured(*args, **more)

        monkeypatch.setattr(ablation, "measure_run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ablation.measure_runs(small, path)
        assert [row["recipe"] for row in ablation.read(path)["runs"]] == [PREFIX]

    def test_a_failing_disk_leaves_the_record_as_it_was(self, small, tmp_path, monkeypatch):
        path = tmp_path / "record.json"
        monkeypatch.setattr("course_utils.files.os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
        with pytest.raises(CourseError, match="the disk is full"):
            ablation.measure_runs(small, path)
        assert not path.exists() and not list(tmp_path.glob(".*.part"))

    def test_a_run_of_another_recipe_is_refused(self, small, tmp_path):
        for wrong, word in ((f"{PREFIX}_s1", "seed"), (f"{PREFIX}_noise", "config")):
            shutil.rmtree(small / wrong)
            shutil.copytree(small / PREFIX, small / wrong)
            with pytest.raises(CourseError, match=f"is no run of the recipe {wrong}, but of another {word}"):
                ablation.measure_runs(small, tmp_path / "record.json")
            shutil.rmtree(small / wrong)
        assert not (tmp_path / "record.json").exists()

    def test_a_record_of_other_settings_or_data_is_refused_and_left_alone(self, small, tmp_path):
        path = tmp_path / "record.json"
        ablation.measure_runs(small, path)
        found = json.loads(path.read_text(encoding="utf-8"))
        changes = [("settings", {**found["settings"], "samples": 31}, "made with other settings")]
        changes += [("data", {**found["data"], "network_sha256": "0"}, "measured on other images, or by another network")]
        changes += [("data", {**found["data"], "train": {"images": 3, "sha256": "0"}}, "measured on other images")]
        for key, value, match in changes:
            path.write_text(json.dumps({**found, key: value}), encoding="utf-8")
            before = path.read_bytes()
            with pytest.raises(CourseError, match=match):
                ablation.measure_runs(small, path)
            assert path.read_bytes() == before

    def test_nothing_to_measure_and_nothing_to_read(self, small, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(CourseError, match=f"runs: got .*, allowed: a folder with finished runs, such as {PREFIX}/model"):
            ablation.measure_runs(tmp_path / "empty", tmp_path / "record.json")
        with pytest.raises(CourseError, match="no such record"):
            ablation.read(tmp_path / "record.json")
        (tmp_path / "record.json").write_text("{", encoding="utf-8")
        with pytest.raises(CourseError, match="not valid JSON"):
            ablation.read(tmp_path / "record.json")


def test_every_recipe_has_words_of_its_own():
    words = [ablation.label(name) for name in ablation.names()]
    assert len(words) == 10 and len(set(words)) == 8 and ablation.label(f"{PREFIX}_augment_s1") == "(iii) augment everywhere"
    assert set(ablation.LABELS) == {name.removeprefix(PREFIX) for name in ablation.names() if not name.endswith("_s1")}


class TestTheShippedRecord:
    def test_it_is_of_the_recorded_runs_with_equal_budgets(self):
        record, shipped = ablation.read(), checkpoints.manifest()
        rows = {row["recipe"]: row for row in record["runs"]}
        assert set(rows) == {name for name in ablation.names() if name in shipped}
        assert {row["steps"] for row in rows.values()} == {recipes.RECIPES[PREFIX].run.steps}
        for name, row in rows.items():
            assert (row["seed"], row["samples"]) == (shipped[name]["seed"], ablation.SAMPLES)
            assert row["values"]["sse_held_out"] == pytest.approx(shipped[name]["metrics"]["sse"], rel=1e-3)
            if shipped[name]["file"]:
                assert row["weights_sha256"] == tensors.digest(checkpoints.load(name).state_dict(), {})

    def test_measured_again_it_says_the_same(self):
        train, held_out, _, facts = ablation.measured_on()
        record, model = ablation.read(), checkpoints.load(PREFIX)
        assert {**record["data"], "real": 0} == {**facts, "real": 0}
        assert record["data"]["real"] == pytest.approx(facts["real"], rel=0.02, abs=1e-4)
        [values] = [row["values"] for row in record["runs"] if row["recipe"] == PREFIX]
        part, _ = ablation.equal_part(train, held_out)
        assert values["sse_train"] == pytest.approx(evaluate(model, part)["sse"], rel=1e-3)
        gaps = real_fake_gaps(model, train, held_out, samples=record["settings"]["samples"], seed=0)["values"]
        assert values["gap_unseen"][0] == pytest.approx(gaps["gap_unseen"], abs=1e-3)
        assert values["kl_fake"][0] == pytest.approx(gaps["kl_fake"], rel=1e-2)
