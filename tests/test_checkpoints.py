"""Checkpoints: round trip, every kind of damage, the manifest, and that what is shipped is what was measured."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from toys import Bomb, images, same, tiny_run, tiny_vae, weights

from course_utils import checkpoints, methods, tensors
from course_utils.errors import CourseError
from course_utils.files import sha256_of
from course_utils.methods.autoencoder import AutoencoderConfig
from course_utils.methods.vae import VAEConfig
from course_utils.recipes import NOT_YET_RECORDED, RECIPES
from course_utils.training import evaluate, fit


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty checkpoint folder."""
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path / "checkpoints"))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


@pytest.fixture
def run(tmp_path):
    """A finished run's folder, as recipes.train leaves it."""
    result = fit(tiny_vae(), images(), tiny_run(eval_every=10), out=tmp_path / "run", evaluation=images(9), quiet=True)
    facts = {"dataset": "toy", "seed": 0, "steps": 20, "command": "course train vae --steps 20", "metrics": {"sse": 1.0}}
    checkpoints.export(tmp_path / "run" / "model.safetensors", result.model, facts)
    return tmp_path / "run"


@pytest.fixture
def published(run, folder):
    checkpoints.publish("toy", run)
    return folder


MODELS = [
    ("vae", VAEConfig(latent_dim=3, widths=(4, 6), beta=0.5, free_bits=0.1, beta_schedule="linear"), (3, 8, 8)),
    ("vae", VAEConfig(latent_dim=3, network="dcgan64"), (1, 16, 24)),
    ("vae", VAEConfig(latent_dim=3, network="cifar-assignment"), (3, 32, 32)),
    ("autoencoder", AutoencoderConfig(latent_dim=2, input_noise=0.1), (1, 32, 32)),
]


@pytest.mark.parametrize(("method", "config", "shape"), MODELS)
@pytest.mark.parametrize("stored", ["float16", "float32"])
def test_a_model_comes_back_from_its_header_alone(tmp_path, method, config, shape, stored):
    model = methods.build(method, config, shape, seed=3)
    model.step(torch.rand(4, *shape), lambda player, loss: None)  # running statistics, where there are any
    header = checkpoints.export(tmp_path / "model.safetensors", model, {"note": "a"}, stored=stored)
    torch.manual_seed(0)
    want = torch.rand(2)
    torch.manual_seed(0)
    loaded, found = checkpoints.load_file(tmp_path / "model.safetensors")
    assert torch.equal(torch.rand(2), want)  # the caller's generator is left alone
    assert json.loads(json.dumps(header)) == found and found["note"] == "a" and found["method"] == method
    assert type(loaded) is type(model) and loaded.config == config and loaded.data_shape == shape
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())
    half = stored == "float16"
    for name, value in model.state_dict().items():
        got = loaded.state_dict()[name]
        assert got.dtype == value.dtype
        assert torch.equal(got, value.half().float() if half and value.ndim > 1 else value)
    x = torch.rand(2, *shape)
    torch.testing.assert_close(loaded.reconstruct(x), model.reconstruct(x), rtol=0, atol=0.01 if half else 0)


@pytest.mark.parametrize(("method", "config", "shape"), MODELS)
def test_int8_weights_come_back_within_half_a_step(tmp_path, method, config, shape):
    model = methods.build(method, config, shape, seed=3)
    model.step(torch.rand(4, *shape), lambda player, loss: None)
    header = checkpoints.export(tmp_path / "model.safetensors", model, {}, stored="int8")
    packed, _ = tensors.load(tmp_path / "model.safetensors")
    loaded, found = checkpoints.load_file(tmp_path / "model.safetensors")
    assert header == json.loads(json.dumps(found)) | {"config": header["config"]} and found["stored"] == "int8"
    for name, value in model.state_dict().items():
        got, kind = loaded.state_dict()[name], packed[name].dtype
        assert got.dtype == value.dtype
        if value.ndim > 1 and value.numel() >= 2048:
            step = value.flatten(1).abs().amax(1) / 127
            off = (got - value).abs().flatten(1).amax(1)
            assert kind == torch.int8 and packed[name].shape == value.shape
            assert (off <= step * (0.5 + 1e-5)).all() and off.max() > 0  # the 1e-5: float32 rounds a quotient near the middle
        else:
            assert kind == (torch.float16 if value.ndim > 1 else value.dtype)
            assert torch.equal(got, value.half().float() if value.ndim > 1 else value)
    kinds = [value.dtype for value in packed.values()]
    assert (torch.int8 in kinds) == any(v.ndim > 1 and v.numel() >= 2048 for v in model.state_dict().values())
    x = torch.rand(2, *shape)
    torch.testing.assert_close(loaded.reconstruct(x), model.reconstruct(x), rtol=0, atol=0.02)


def test_quantizing():
    weight = torch.tensor([[1.0, -0.25, 0.005], [0.0, 0.0, 0.0], [-2e-5, 5e-6, 0.0], [254.0, 1.2, 3.1]])
    integers, scale = checkpoints.quantize(weight)
    assert integers.tolist() == [[127, -32, 1], [0, 0, 0], [-127, 32, 0], [127, 1, 2]] and integers.dtype == torch.int8
    assert scale.tolist() == pytest.approx([1 / 127, 0, 2e-5 / 127, 2], rel=1e-4) and scale.dtype == torch.float32
    back = checkpoints.dequantize(integers, scale)
    assert back.tolist()[1] == [0.0, 0.0, 0.0] and back[3].tolist() == [254.0, 2.0, 4.0]
    transposed = torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
    integers, scale = checkpoints.quantize(transposed)
    assert integers.shape == (5, 3, 2, 2) and scale.shape == (5,)
    back = checkpoints.dequantize(integers, scale)
    assert (back - transposed).abs().max() <= transposed.abs().max() / 254
    for _ in range(2):  # again and again: the same
        again = checkpoints.quantize(checkpoints.dequantize(integers, scale))
        assert torch.equal(again[0], integers) and torch.equal(again[1], scale)
        integers, scale = again


def test_each_way_to_store_halves_the_file_and_refuses_what_does_not_fit(tmp_path):
    model = methods.build("autoencoder", AutoencoderConfig(latent_dim=16), (1, 32, 32), seed=0)
    for stored in checkpoints.STORED:
        checkpoints.export(tmp_path / f"{stored}.safetensors", model, {}, stored=stored)
    sizes = [(tmp_path / f"{stored}.safetensors").stat().st_size for stored in ("int8", "float16", "float32")]
    assert sizes[0] < 0.53 * sizes[1] and sizes[1] < 0.52 * sizes[2]
    with torch.no_grad():
        model.encoder.head.weight[0, 0] = 70_000.0
    path = tmp_path / "big.safetensors"
    with pytest.raises(CourseError, match="encoder.head.weight does not fit float16; export with stored='float32'"):
        checkpoints.export(path, model, {})
    assert not path.exists()
    for stored in ("int8", "float32"):  # a scale is no float16
        checkpoints.export(path, model, {}, stored=stored)
        assert checkpoints.load(path).encoder.head.weight[0, 0].item() == pytest.approx(70_000.0, rel=1e-4)
    path.unlink()
    for value in (float("inf"), float("nan")):
        with torch.no_grad():
            model.encoder.head.weight[0, 0] = value
        for stored in ("int8", "float16"):
            with pytest.raises(CourseError, match=f"encoder.head.weight does not fit {stored}; export with stored='float32'"):
                checkpoints.export(path, model, {}, stored=stored)
    assert not path.exists()
    with pytest.raises(CourseError, match="stored: got 'int4', allowed: int8, float16, float32"):
        checkpoints.export(path, model, {}, stored="int4")


@pytest.mark.parametrize("damage", ["missing", "short", "integers"])
def test_scales_that_do_not_fit_are_refused(tmp_path, damage):
    path = tmp_path / "model.safetensors"
    checkpoints.export(path, tiny_vae(config=VAEConfig(latent_dim=64, widths=(4, 6))), {}, stored="int8")
    state, header = tensors.load(path)
    key = next(name for name in state if name.endswith(":scale"))
    scale = state.pop(key)
    if damage != "missing":
        state[key] = scale[:1] if damage == "short" else scale.to(torch.int32)
    tensors.save(path, state, header)
    found = {"missing": "is missing", "short": r"has torch.float32 \(1,\)", "integers": "has torch.int32"}[damage]
    with pytest.raises(CourseError, match=f"model.safetensors: {key[:-6]} is stored as int8 .*, but {key} {found}.*again"):
        checkpoints.load(path)


def test_a_tensor_that_bears_the_name_of_scales_is_refused(tmp_path):
    model = tiny_vae(config=VAEConfig(latent_dim=64, widths=(4, 6)))
    layer = next(m for m in model.modules() if getattr(m, "weight", None) is not None and m.weight.numel() >= 2048)
    layer.register_buffer("weight:scale", torch.zeros(3))
    with pytest.raises(CourseError, match="export: the model has a tensor called .*weight:scale. Rename it"):
        checkpoints.export(tmp_path / "model.safetensors", model, {}, stored="int8")
    assert not (tmp_path / "model.safetensors").exists()


def test_a_file_from_before_int8_loads(tmp_path):
    """float16 matrices, no word in the header on how they are stored."""
    model = tiny_vae()
    state = {name: value.half() if value.ndim > 1 else value for name, value in model.state_dict().items()}
    header = {"method": "vae", "config": {"latent_dim": 3, "widths": [4, 6]}, "data_shape": [3, 8, 8]}
    tensors.save(tmp_path / "old.safetensors", state, header)
    want = {name: value.float() if value.ndim > 1 else value for name, value in state.items()}
    assert same(weights(checkpoints.load(tmp_path / "old.safetensors")), want)


@pytest.mark.parametrize("stored", checkpoints.STORED)
def test_exporting_what_was_loaded_changes_nothing(tmp_path, stored):
    config = VAEConfig(latent_dim=64, widths=(4, 6))  # some weights of more than 2,048 numbers
    checkpoints.export(tmp_path / "a.safetensors", tiny_vae(config=config), {"seed": 1}, stored=stored)
    model, _ = checkpoints.load_file(tmp_path / "a.safetensors")
    checkpoints.export(tmp_path / "b.safetensors", model, {"seed": 1}, stored=stored)
    (one, first), (two, second) = (tensors.load(tmp_path / f"{name}.safetensors") for name in "ab")
    assert first == second and same(one, two) and all(one[name].dtype == two[name].dtype for name in one)


# Names, folders, the manifest


def test_a_published_run_is_loaded_by_name_path_or_folder(published, run):
    loaded = [checkpoints.load(which) for which in ("toy", published / "toy.safetensors.xz", str(run), run)]
    assert all(same(weights(model), weights(loaded[0])) for model in loaded)
    entry = checkpoints.entry("toy")
    assert entry["file"] == "toy.safetensors.xz" and entry["sha256"] == sha256_of(published / "toy.safetensors.xz")
    for key in ("method", "config", "data_shape", "dataset", "seed", "steps", "metrics", "version", "curves"):
        assert key in entry
    assert {p.name for p in published.iterdir()} - {".manifest.lock"} == {"manifest.json", "toy.csv", "toy.safetensors.xz"}


def test_runs_that_end_at_the_same_time_are_all_published(run, folder):
    names = [f"toy{number}" for number in range(12)]
    with ThreadPoolExecutor(12) as threads:
        list(threads.map(lambda name: checkpoints.publish(name, run), names))
    assert sorted(checkpoints.manifest()) == sorted(names)


def test_curves_are_columns_with_gaps(published, run):
    curves = checkpoints.curves("toy")
    assert curves["step"].tolist() == [5, 10, 15, 20]
    assert np.isfinite(curves["loss"]).all() and (curves["images_per_second"] > 0).all()
    assert np.isnan(curves["val_sse"]).tolist() == [True, False, True, False]
    (published / "toy.csv").write_text("step,loss\n5,1.5\n", encoding="utf-8")
    assert checkpoints.curves("toy")["loss"].tolist() == [1.5]
    (published / "toy.csv").unlink()
    with pytest.raises(CourseError, match="toy.csv"):
        checkpoints.curves("toy")


def test_a_run_without_shipped_weights_keeps_its_curves(run, folder):
    checkpoints.publish("toy", run)
    checkpoints.publish("recorded", run, weights=False)
    assert sorted(checkpoints.manifest()) == ["recorded", "toy"]
    assert checkpoints.curves("recorded")["step"].tolist() == [5, 10, 15, 20]
    with pytest.raises(CourseError, match="not shipped, only its curves. Train it: course train vae --steps 20"):
        checkpoints.load("recorded")


def test_publishing_half_a_run_writes_nothing(run, folder):
    (run / "log.csv").unlink()
    with pytest.raises(OSError):
        checkpoints.publish("toy", run)
    assert list(folder.iterdir()) == []


def test_an_unknown_name_lists_the_known(published):
    with pytest.raises(CourseError, match="checkpoint: got 'toi'.*Did you mean 'toy'"):
        checkpoints.load("toi")


def test_an_empty_or_damaged_manifest(folder):
    assert checkpoints.manifest() == {}
    with pytest.raises(CourseError, match="none in"):
        checkpoints.load("toy")
    (folder / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(CourseError, match="manifest.json: not valid JSON"):
        checkpoints.load("toy")


def test_a_manifest_without_hash_or_curves_is_refused(published):
    entry = checkpoints.entry("toy")
    short = {key: value for key, value in entry.items() if key not in ("sha256", "curves")}
    (published / "manifest.json").write_text(json.dumps({"toy": short}), encoding="utf-8")
    with pytest.raises(CourseError, match="SHA-256"):
        checkpoints.load("toy")
    with pytest.raises(CourseError, match="no curves"):
        checkpoints.curves("toy")


# Damage


def test_a_flipped_hash_is_refused(published):
    manifest = checkpoints.manifest()
    digest = manifest["toy"]["sha256"]
    manifest["toy"]["sha256"] = ("0" if digest[0] != "0" else "1") + digest[1:]
    (published / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(CourseError, match="the manifest says.*not loaded"):
        checkpoints.load("toy")


@pytest.mark.parametrize("how", ["missing", "truncated", "flipped", "empty", "another"])
def test_a_damaged_file_is_refused(published, how):
    path = published / "toy.safetensors.xz"
    content = bytearray(path.read_bytes())
    if how == "missing":
        path.unlink()
    elif how == "another":  # whole in itself, but not the one of the manifest
        checkpoints.export(path, tiny_vae(seed=9), {})
        checkpoints.load(path)
    else:
        content[-9] ^= 4
        path.write_bytes({"truncated": content[:-10], "flipped": content, "empty": b""}[how])
    with pytest.raises(CourseError, match="toy.safetensors.xz"):
        checkpoints.load("toy")
    if how != "another":
        with pytest.raises(CourseError, match="toy.safetensors.xz"):
            checkpoints.load(path)  # by path no manifest helps: the file's own hash does


def write_header(path, model, **changes):
    state, header = {k: v.detach() for k, v in model.state_dict().items()}, {"method": "vae", "data_shape": [3, 8, 8]}
    config = {"latent_dim": 3, "widths": [4, 6]}
    header = {**header, "config": config, **changes}
    tensors.save(path, state, {key: value for key, value in header.items() if value is not None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": {"latent_dim": 5, "widths": [4, 6]}}, "another architecture.*size mismatch"),
        ({"config": {"latent_dim": 3, "widths": [4, 6], "network": "dcgan64"}}, "another architecture"),
        ({"method": "autoencoder"}, "another architecture"),
        ({"data_shape": [3, 16, 16]}, "another architecture"),
        ({"method": "vea"}, "method: got 'vea'"),
        ({"config": {"latent_dim": 3, "temperature": 2}}, "temperature.*another version"),
        ({"config": {"latent_dim": 0}}, "latent_dim: got 0"),
        ({"config": None}, "holds no model"),
        ({"method": None}, "holds no model"),
        ({"data_shape": None}, "holds no model"),
    ],
    ids=str,
)
def test_a_file_of_another_architecture_is_refused(tmp_path, changes, message):
    write_header(tmp_path / "good.safetensors", tiny_vae())
    checkpoints.load(tmp_path / "good.safetensors")
    write_header(tmp_path / "model.safetensors", tiny_vae(), **changes)
    with pytest.raises(CourseError, match=message):
        checkpoints.load(tmp_path / "model.safetensors")


def test_a_runs_state_is_not_taken_for_a_model(tmp_path):
    header = {"method": "vae", "config": {"latent_dim": 3, "widths": [4, 6]}, "data_shape": [3, 8, 8]}
    fit(tiny_vae(), images(), tiny_run(), out=tmp_path, quiet=True, header=header)
    with pytest.raises(CourseError, match="holds no model"):
        checkpoints.load(tmp_path / "state-000000020.safetensors")
    with pytest.raises(CourseError, match="model.safetensors: there is no such file"):
        checkpoints.load(tmp_path)


@pytest.mark.parametrize("suffix", [".safetensors", ".safetensors.xz", ".pt", ""])
def test_a_malicious_pickle_is_refused_and_does_not_run(tmp_path, folder, suffix):
    path, target = folder / f"toy{suffix}", tmp_path / "ran"
    torch.save({"state_dict": Bomb(target)}, path)
    with pytest.raises(CourseError, match="not a whole safetensors file"):
        checkpoints.load(path)
    entry = {"toy": {"file": path.name, "sha256": sha256_of(path)}}  # a manifest that vouches for it does not help
    (folder / "manifest.json").write_text(json.dumps(entry), encoding="utf-8")
    with pytest.raises(CourseError, match="not a whole safetensors file"):
        checkpoints.load("toy")
    assert not target.exists()
    assert Bomb(target).works()


# What is shipped


def test_every_recipe_is_shipped_or_recorded():
    """`course train --recipe NAME --publish` adds a missing one; then its name leaves recipes.NOT_YET_RECORDED."""
    entries = checkpoints.manifest()
    kinds = {name: "file" if recipe.weights else "curves" for name, recipe in RECIPES.items()}
    missing = {name for name, kind in kinds.items() if not entries.get(name, {}).get(kind)}
    assert missing == set(NOT_YET_RECORDED)


SHIPPED = sorted(name for name, entry in checkpoints.manifest().items() if entry.get("file"))


@pytest.mark.parametrize("name", SHIPPED)
def test_each_shipped_checkpoint_loads_and_works(name):
    model, entry = checkpoints.load(name), checkpoints.entry(name)
    assert methods.name_of(model) == entry["method"] and list(model.data_shape) == entry["data_shape"]
    if isinstance(model, methods.LatentModel):
        made = model.sample(8, torch.Generator().manual_seed(0))
        assert made.shape == (8, *model.data_shape) and torch.isfinite(made).all() and made.std(0).max() > 0.01
    assert entry["steps"] == checkpoints.curves(name)["step"][-1]
    assert entry.get("stored", "float16") == RECIPES[entry["recipe"]].stored  # no word: from before there was a choice
    kinds = {value.dtype for value in tensors.load(checkpoints.checkpoint_dir() / entry["file"])[0].values()}
    assert (torch.int8 in kinds) == (entry.get("stored") == "int8")
    for key in ("dataset", "dataset_sha256", "seed", "minutes", "command", "recipe", "metrics", "version"):
        assert entry[key] is not None, key


def test_shipped_models_of_a_data_set_reconstruct_it():
    names = checkpoints.shipped("fashion-mnist")
    assert names and all(checkpoints.load(name).has_encoder for name in names) and set(names) <= set(SHIPPED)
    assert checkpoints.shipped("cifar10") == []  # recorded without weights, or a classifier
    draw = checkpoints.shipped("fashion-mnist", has_encoder=False)
    assert draw and not any(checkpoints.load(name).has_encoder for name in draw) and set(draw) <= set(SHIPPED)


@pytest.mark.parametrize("name", sorted(set(checkpoints.manifest()) - set(SHIPPED)))
def test_each_recorded_run_has_its_curves(name):
    curves = checkpoints.curves(name)
    losses = [values for term, values in curves.items() if term.endswith("loss") and not term.startswith("val_")]
    assert curves["step"][-1] == checkpoints.entry(name)["steps"] and losses
    assert np.isfinite(losses).any(0).all() and not np.isinf(losses).any()  # a warm-up has a loss of its own


def test_evaluating_a_stored_model_gives_the_same_numbers_again(tmp_path):
    held_out = images(30, seed=4)
    checkpoints.export(tmp_path / "model.safetensors", tiny_vae(), {})
    first, again = (evaluate(checkpoints.load(tmp_path / "model.safetensors"), held_out) for _ in range(2))
    assert first == again
