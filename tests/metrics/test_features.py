"""Feature networks: modes, ranges, shapes; the classifiers' and Inception's own ways in."""

import hashlib

import pytest
import torch
from stand_ins import SHAPE, images, network, random_inception_weights
from torch import nn

from course_utils import checkpoints, methods, tensors
from course_utils.errors import CourseError
from course_utils.metrics import features, inception
from course_utils.metrics.features import FeatureNetwork, feature_network, require_eval


def test_features_of_a_classifier_are_its_activations_before_the_last_layer():
    net, x = network(), images(20).floats()
    found = net.extract(x)
    assert found.shape == (20, net.dimension) == (20, 8) and found.dtype == torch.float32 and not found.requires_grad
    torch.testing.assert_close(net.module.net.head(found), net.module.logits(x))


def test_a_feature_is_the_same_alone_and_in_any_batch():
    net, x = network(), images(9).floats()
    torch.testing.assert_close(net.extract(x), torch.cat([net.extract(each[None]) for each in x]), rtol=1e-5, atol=1e-6)


def test_no_pass_holds_more_images_than_at_once_unless_left_in_train_mode():
    net, x, seen = network(), images(25).floats(), []
    expected = net.extract(x)
    run = net.run
    net.at_once, net.run = 10, lambda module, part: seen.append(len(part)) or run(module, part)
    torch.testing.assert_close(net.extract(x), expected, rtol=1e-5, atol=1e-6)
    assert seen == [10, 10, 5]
    net.left_in_train_mode().extract(x)
    assert seen[3:] == [25]


def test_a_network_in_train_mode_is_refused_even_in_one_part():
    net, x = network(), images(9).floats()
    norm = next(part for part in net.module.modules() if isinstance(part, nn.BatchNorm2d))
    norm.train()
    before = norm.running_mean.clone()
    with pytest.raises(CourseError, match="feature network 'toy': 1 of its parts are in training mode.*eval"):
        net.extract(x)
    assert torch.equal(norm.running_mean, before)  # refused before anything was computed
    net.module.eval()
    net.extract(x)


def test_a_module_that_is_itself_in_training_mode_is_named():
    with pytest.raises(CourseError, match="the model: 1 of its parts are in training mode .first: Dropout"):
        require_eval(nn.Dropout(), "the model")


def test_left_in_train_mode_is_a_copy_that_measures_by_the_batch():
    net, x = network(), images(16).floats()
    x[8:] *= 0.3
    right, wrong = net.extract(x), net.left_in_train_mode()
    together, apart = wrong.extract(x), torch.cat([wrong.extract(x[:8]), wrong.extract(x[8:])])
    assert (together - right).abs().max() > 0.05 and (together - apart).abs().max() > 0.05
    assert not net.train_mode and not net.module.training and torch.equal(net.extract(x), right)
    assert wrong.train_mode and wrong.sha256 == net.sha256 and wrong.name == net.name


def test_the_hash_is_of_the_weights():
    assert network(seed=0).sha256 == network(seed=0, name="other").sha256 != network(seed=1).sha256
    changed = network(seed=0).module
    with torch.no_grad():
        next(part for part in changed.modules() if isinstance(part, nn.BatchNorm2d)).running_var[0] += 1e-3
    assert features.classifier_features("toy", changed).sha256 != network(seed=0).sha256


@pytest.mark.parametrize(
    "change, match",
    [
        (lambda x: x * 255, r"images: got 'values from 0 to 255', allowed: values in \[0, 1\]"),
        (lambda x: 2 * x - 1, r"values from -1 to 1.*\(x \+ 1\) / 2"),
        (lambda x: x.where(x > 0.01, torch.nan), "values from nan to nan"),
        (lambda x: (x * 255).to(torch.uint8), "images: got torch.uint8, allowed: floats"),
        (lambda x: x.expand(-1, 3, -1, -1), r"images: got \(4, 3, 8, 8\), allowed: \(B, 1, 8, 8\)"),
        (lambda x: x[..., :6], r"images: got \(4, 1, 8, 6\)"),
        (lambda x: x[:0], r"images: got \(0, 1, 8, 8\)"),
        (lambda x: x[0], r"images: got \(1, 8, 8\)"),
    ],
)
def test_images_that_are_refused(change, match):
    x = images(4).floats()
    x = (x - x.min()) / (x.max() - x.min())
    with pytest.raises(CourseError, match=match):
        network().extract(change(x))


def test_an_unknown_network_lists_the_known_ones():
    with pytest.raises(CourseError, match="got 'fasion', allowed: inception, fashion, cifar. Did you mean 'fashion'"):
        feature_network("fasion")


@pytest.mark.parametrize("name, checkpoint", [("fashion", "classifier_fashion"), ("cifar", "classifier_cifar10")])
def test_the_classifiers_come_from_the_checkpoints(tmp_path, monkeypatch, name, checkpoint):
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path))
    with pytest.raises(CourseError, match=f"checkpoint: got '{checkpoint}'"):
        feature_network(name)
    model = network().module
    checkpoints.export(tmp_path / "weights.safetensors", model, {}, stored="float32")
    _, header = tensors.load(tmp_path / "weights.safetensors")
    entry = {**header, "file": "weights.safetensors", "sha256": features.checkpoints.sha256_of(tmp_path / "weights.safetensors")}
    checkpoints.write_json(tmp_path / "manifest.json", {checkpoint: entry})
    found = feature_network(name)
    assert (found.name, found.shape, found.dimension) == (name, SHAPE, 8)
    x = images(5).floats()
    torch.testing.assert_close(found.extract(x), network().extract(x))
    assert isinstance(found.module, methods.Classifier)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A file of random weights that passes as the published one, and torch hub's folder in the test's own."""
    path = tmp_path / "weights.pth"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    torch.save({name: value.half() for name, value in random_inception_weights().items()}, path)
    monkeypatch.setattr(inception, "SIZE", path.stat().st_size)
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_inception_is_loaded_from_a_file_or_from_the_cache_of_torch_hub(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("nothing needs a download"))
    given = feature_network("inception", inception_weights=weights)
    cache = tmp_path / "torch" / "hub" / "checkpoints" / "pt_inception-2015-12-05-6726825d.pth"
    cache.parent.mkdir(parents=True)
    weights.rename(cache)
    cached = feature_network("inception")
    assert given.sha256 == cached.sha256 and (cached.dimension, cached.shape) == (2048, None)
    x = images(2).floats()
    found = cached.extract(x)
    assert found.shape == (2, 2048) and (found[0] - found[1]).abs().max() > 0.01
    torch.testing.assert_close(cached.extract(x.expand(-1, 3, -1, -1)), found)  # gray is repeated
    with pytest.raises(CourseError, match=r"allowed: \(B, 1 or 3, H, W\)"):
        cached.extract(x.expand(-1, 4, -1, -1))


def test_inception_is_downloaded_to_where_pytorch_fid_looks(weights, tmp_path, monkeypatch, capsys):
    from pytorch_fid.inception import FID_WEIGHTS_URL

    asked = []

    def download(url, target, hash_prefix, progress):
        asked.append((url, hash_prefix))
        weights.rename(target)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    path = inception.find_weights()
    assert path == tmp_path / "torch" / "hub" / "checkpoints" / FID_WEIGHTS_URL.rsplit("/")[-1] and path.is_file()
    assert asked == [(FID_WEIGHTS_URL, inception.SHA256)] and "downloading" in capsys.readouterr().err


def test_without_a_network_the_message_says_which_file_belongs_where(weights, tmp_path, monkeypatch):
    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(CourseError) as refused:
        feature_network("inception")
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    for part in ("no route to host", "pt_inception-2015-12-05-6726825d.pth", str(folder), inception.SHA256,
                 f"{inception.SIZE:,} bytes", "--inception-weights", "fd_fashion"):  # fmt: skip
        assert part in str(refused.value)
    assert not list(folder.glob("*"))


def test_a_file_of_another_size_or_hash_is_refused(weights, monkeypatch):
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a file that is not the published one was opened"))
    content = weights.read_bytes()
    weights.write_bytes(content[:-1])
    with pytest.raises(CourseError, match=rf"has {len(content) - 1:,} bytes, not {len(content):,}; it was not loaded"):
        feature_network("inception", inception_weights=weights)
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CourseError, match=f"SHA-256 of .* is .*, not {inception.SHA256}; it was not loaded"):
        feature_network("inception", inception_weights=weights)
    with pytest.raises(CourseError, match="nowhere.pth is not a file"):
        feature_network("inception", inception_weights=weights.parent / "nowhere.pth")


def test_the_published_hash_is_the_one_in_the_file_s_name():
    from pytorch_fid.inception import FID_WEIGHTS_URL

    assert FID_WEIGHTS_URL.endswith(inception.FILE)
    assert inception.FILE == f"pt_inception-2015-12-05-{inception.SHA256[:8]}.pth" and len(inception.SHA256) == 64


def test_building_inception_leaves_pytorch_fid_and_the_random_state_as_they_were():
    from pytorch_fid import inception as library

    before, state = library.load_state_dict_from_url, torch.get_rng_state()
    with pytest.raises(RuntimeError, match="Missing key"):
        inception.build({})
    assert library.load_state_dict_from_url is before and torch.equal(torch.get_rng_state(), state)


def test_a_network_of_one_s_own():
    net = nn.Linear(12, 4).eval()
    own = FeatureNetwork("mine", net, lambda module, x: module(x.flatten(1)), dimension=4, shape=(3, 2, 2))
    x = torch.rand(5, 3, 2, 2)
    torch.testing.assert_close(own.extract(x), net(x.flatten(1)).detach())
