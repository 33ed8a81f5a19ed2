"""Chapter 06: the cells that prove something are run on cases where the answer is known, and where it is another."""

import copy
from dataclasses import replace

import pytest
import torch
from notebook_helpers import ROOT
from torch.nn import functional as F

from course_utils import methods
from course_utils.data.image_set import ImageSet
from course_utils.exercises import chapter_06
from course_utils.methods.vae_gan import VAEGANConfig, decoder_gan_loss, discriminator_loss, feature_loss
from course_utils.metrics.attributes import mean_difference
from course_utils.publishing import regions
from course_utils.publishing.source import read

CELLS = [cell.text for cell in read(ROOT / "notebooks" / "source" / "06_vae_gan.py").cells if cell.kind == "code"]


class Recorder:
    """Stands for what a cell draws or tabulates with: keeps the first argument of each call."""

    def __init__(self):
        self.seen = {}

    def __getattr__(self, name):
        return lambda first, *args, **kwargs: self.seen.__setitem__(name, first)


def run_cell(containing, names, form=regions.solved):
    """Run the one code cell that holds this text in the namespace `names`; return what it tabulated."""
    [text] = [text for text in CELLS if containing in text]
    table = Recorder()
    names |= {"torch": torch, "copy": copy, "replace": replace, "softplus": F.softplus, "figures": table, "drawn": Recorder()}
    names |= {"feature_loss": feature_loss, "decoder_gan_loss": decoder_gan_loss, "discriminator_loss": discriminator_loss}
    exec(compile(form(text), f"chapter 06: {containing}", "exec"), names)
    return table.seen


@pytest.fixture
def gan():
    config = VAEGANConfig(latent_dim=3, widths=(4, 6), gamma=0.25)
    return methods.build("vae-gan", config, (3, 8, 8), seed=0).eval().requires_grad_(False)


@pytest.fixture
def some():
    return torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def mixtures(gan, some):
    return {row.pop("player"): row for row in run_cell("def terms_of", {"gan": gan, "some": some})["metric_table"]}


def test_the_proof_by_gradients_finds_the_papers_table(gan, some):
    found = mixtures(gan, some)
    assert found["encoder"] == {"L_prior": "1", "L_feat": "1", "L_GAN": "0", "L_dis": "0"}
    assert found["decoder"] == {"L_prior": "no gradient", "L_feat": "0.25", "L_GAN": "1", "L_dis": "0"}
    assert found["discriminator"] == {"L_prior": "no gradient", "L_feat": "0", "L_GAN": "0", "L_dis": "1"}


def test_the_proof_by_gradients_would_show_a_step_that_mixes_players(gan, some, monkeypatch):
    right = type(gan).step

    def leaky(self, x, update):
        losses = {}
        right(self, x, lambda player, loss, retain_graph=False: losses.update({player: loss}))
        update("encoder", losses["encoder"] + 0.5 * losses["decoder"])
        update("decoder", losses["decoder"])
        update("discriminator", losses["discriminator"] + 2 * losses["encoder"])

    monkeypatch.setattr(type(gan), "step", leaky)
    found = mixtures(gan, some)
    assert found["encoder"] == {"L_prior": "1", "L_feat": "1.125", "L_GAN": "0.5", "L_dis": "0"}
    assert found["discriminator"]["L_feat"] == "2"


def test_the_hidden_beta_read_off_the_gradients(gan, some, capsys):
    names = {"gan": gan, "some": some, "mse_loss": F.mse_loss}
    run_cell("def terms_of", names)
    run_cell("theirs = slope", names)
    features = gan.judge(gan.to_network(some))[0][0][0].numel()
    beta = features / (2 * 5 * gan.latent_dim)
    assert float(names["kl_weight"] / names["feat_weight"]) == pytest.approx(beta, rel=1e-6)
    assert f"= {beta:g}" in capsys.readouterr().out
    # The exercise asks for the same number on the paper's networks.
    with torch.device("meta"):
        paper = methods.build("vae-gan", VAEGANConfig(network="vae-gan64"), (1, 64, 64))
        shape = paper.judge(torch.zeros(2, 1, 64, 64))[0][0].shape
    assert shape[1:].numel() == chapter_06.FEATURES and paper.latent_dim == chapter_06.LATENTS
    assert shape[1:].numel() / (2 * 5 * paper.latent_dim) == pytest.approx(chapter_06.FEATURES / (10 * chapter_06.LATENTS))


@pytest.mark.parametrize("form", [regions.solved, regions.unsolved], ids=["solved", "with the bug"])
def test_the_symptom_of_the_bug_hunt(gan, some, form, capsys):
    """With the bug, minimax: the two gradients in the decoder cancel. Mended: none from the discriminator, all of its own."""
    names = {"gan": gan, "some": some}
    run_cell("def discriminator_loss_of", names, form)
    run_cell("def gradient_of", names)
    first, second, third, fourth = (line.rsplit(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines())
    if form is regions.solved:
        assert float(first) == float(third) == 0 < min(float(second), float(fourth))
    else:
        assert float(second) == 0 < min(float(first), float(third), float(fourth))


def test_the_mean_has_the_smallest_expected_squared_error():
    x = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    names = {"everything": x, "squared_error": lambda a, b: (a - b).square().flatten(1).sum(1)}
    run_cell("def expected_error", names)
    least, three = names["expected_error"](names["three"].mean(0)), names["three"]
    assert least == pytest.approx(three.var(0, correction=0).sum().item() / 4, rel=1e-5)
    for seed in range(5):
        other = three.mean(0) + 0.01 * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
        assert names["expected_error"](other) > least


def test_edges_of_a_step_and_of_a_flat_picture():
    text = next(text for text in CELLS if "def edges" in text)
    names = {"torch": torch}
    exec(text[: text.index("rebuilt = ")], names)
    step = torch.zeros(2, 1, 4, 6)
    step[1, :, :, 3:] = 0.5  # four rows with one edge of 1/2 each
    assert names["edges"](step).tolist() == [0.0, 1.0]


def test_the_flag_of_what_breaks_reaches_the_discriminator_alone(gan):
    pixels = torch.randint(0, 256, (64, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    names = {"gan": gan, "train": ImageSet(pixels, None, "noise", "train")}
    text = next(text for text in CELLS if "def go_on" in text)
    names |= {"torch": torch, "copy": copy, "replace": replace}
    exec(text[: text.index("own = gan")], names)
    (sound, _), (leaky, _) = names["go_on"](0.25, steps=1), names["go_on"](0.25, steps=1, sees_feat=True)
    for player, same in (("encoder", True), ("decoder", True), ("discriminator", False)):
        pairs = zip(sound.parameters_of(player), leaky.parameters_of(player), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs) == same, player


def test_the_written_attribute_vector_is_the_packages():
    names = {}
    run_cell("def attribute_vector", names)
    codes, has = torch.randn(40, 5, generator=torch.Generator().manual_seed(3)), torch.arange(40) % 3 == 0
    twins = [(i % 7, "key") for i in range(40)]
    torch.testing.assert_close(names["attribute_vector"](codes, has, twins), mean_difference(codes, has, twins))
