"""Chapter 09, its own cells: the games on a line, the symptoms of both bug hunts, and what the text says of emoji."""

import pytest
import torch
from notebook_helpers import ROOT

from course_utils import data, methods
from course_utils.ablation import mirror_twins
from course_utils.augment import Augmentation, real_fake_gap
from course_utils.data.points import density, points
from course_utils.methods import SoftIntroVAE
from course_utils.methods.regularized import AUGMENTED
from course_utils.publishing import regions
from course_utils.publishing.source import read

CELLS = [c.text for c in read(ROOT / "notebooks" / "source" / "09_augmentation_and_regularization.py").cells if c.kind == "code"]


class Silent:
    """Stands for what a cell only draws with; remembers what it was given."""

    def __init__(self):
        self.given = []

    def __getattr__(self, name):
        return lambda *args, **kwargs: self.given.append((args, kwargs))


def run_cell(containing, names, form=regions.solved):
    [text] = [text for text in CELLS if containing in text]
    names |= {"torch": torch, "figures": Silent(), "drawn": Silent()}
    exec(compile(form(text), f"chapter 09: {containing}", "exec"), names)
    return names


@pytest.fixture(scope="module")
def emoji():
    return [data.load("noto-emoji", split, size=32) for split in ("train", "test")]


@pytest.fixture(scope="module")
def line(emoji):
    """What the cells of the games on a line leave behind."""
    names = run_cell("def judged", {"train": emoji[1], "test": emoji[1], "models": {}})
    names |= {"SoftIntroVAE": SoftIntroVAE, "density": density, "points": points, "real_fake_gap": real_fake_gap}
    run_cell("class OnALine", names)
    run_cell("def line_row", names)
    return names


@pytest.fixture
def small():
    config = SoftIntroVAE.Config(latent_dim=8, widths=(8, 16), norm="group")
    return methods.build("soft-intro-vae", config, (3, 32, 32), seed=0).eval()


def test_six_points_are_learned_by_heart_and_moved_ones_are_not(line):
    rows = {name: line["line_row"](name, *game) for name, game in line["games"].items()}
    run_cell("def to_either_side", line | {"PLACES": {"(iii) everywhere": ("real", "encoder", "decoder")}})
    moved = line["line_row"]("moved", *line["games"]["6, moved"])
    few, many = rows["6 points"], rows["20,000 points"]
    assert abs(many["gap"]) < 0.02 and few["gap"] > 0.2 and moved["gap"] < 0.5 * few["gap"]
    assert few["samples to the nearest"] < 0.6 * few["new points to the nearest"]
    assert few["samples to the nearest"] < moved["samples to the nearest"]


def test_augmenting_real_points_alone_leaks_and_augmenting_everywhere_does_not(line):
    torch.manual_seed(0)
    names = run_cell("def half_to_the_right", line | {"play": lambda real, *given, **named: (real, given, named)})
    half, places = names["half_to_the_right"], names["PLACES"]
    moved = half(torch.zeros(4000, 1))
    assert set(moved.unique().tolist()) == {0.0, 1.5} and moved.mean().item() == pytest.approx(0.75, abs=0.05)
    means = {}
    for name in ("(i) real", "(iii) everywhere"):
        model = line["play"](line["many"], places[name], half, seed=2)  # another seed than the chapter's
        means[name] = model.sample(4000, generator=torch.Generator().manual_seed(1)).mean().item()
    assert means["(i) real"] > 0.8 and abs(means["(iii) everywhere"]) < 0.4


def test_the_games_places_are_those_of_the_package(line):
    names = run_cell("def half_to_the_right", line | {"play": lambda *given, **named: None})
    assert list(names["PLACES"].values()) == list(AUGMENTED.values())
    asked = []
    model = methods.build("soft-intro-vae", SoftIntroVAE.Config(latent_dim=2, network="mlp", widths=(4,)), (1,), seed=0)
    model.shown = lambda x, place: asked.append(place) or x
    model.rng = torch.Generator().manual_seed(0)
    model.train().step(torch.randn(8, 1), lambda *given, **named: None)
    assert asked == ["real", "encoder", "decoder"]


@pytest.mark.parametrize(("form", "flickers"), [(regions.solved, False), (regions.unsolved, True)])
def test_the_wrapped_encoder_flickers_until_it_is_mended(emoji, small, form, flickers):
    names = run_cell("class AugmentedEncoder", {"plain": small, "some": emoji[1].floats(slice(0, 8))}, form)
    shown = []
    run_cell("RandomErasing", names | {"image_rows": lambda rows, title: shown.append(rows)})
    _, once, again = shown[0].values()
    assert torch.equal(once, again) is not flickers


@pytest.mark.parametrize(("form", "leaks"), [(regions.solved, False), (regions.unsolved, True)])
def test_the_gradient_shows_the_target_and_the_hole_in_it(emoji, small, form, leaks):
    some = emoji[1].floats(slice(0, 8))
    names = run_cell("def reconstruction_error", {"augmented": small, "some": some, "Augmentation": Augmentation}, form)
    shown = []
    run_cell("def keeps_what_it_sees", names | {"image_rows": lambda rows, title: shown.append(rows)})
    emoji_row, seen, asked = shown[0].values()
    assert not torch.allclose(seen, some, atol=0.1)
    torch.testing.assert_close(asked, seen if leaks else emoji_row, atol=1e-4, rtol=0)


def test_no_emoji_has_a_black_pixel_at_its_border_and_augmented_ones_have(emoji):
    names = run_cell("def black_border", {"train": emoji[1], "known": emoji[1], "Augmentation": Augmentation, "placed": {}})
    black_border = names["black_border"]
    assert all(black_border(images.floats()) == 0 for images in emoji)
    torch.manual_seed(0)
    assert black_border(Augmentation("translate", 1.0)(emoji[1].floats())) > 0.2
    frame = torch.ones(1, 3, 32, 32)
    frame[:, :, 0] = 0.0
    assert black_border(frame) == pytest.approx(34 / 128)  # a row, and the upper corners of both columns


def test_the_switched_loss_of_the_text_is_the_packages(emoji, capsys):
    names = run_cell("def switched_loss", {"methods": methods, "SoftIntroVAE": SoftIntroVAE, "train": emoji[1]})
    run_cell("theirs = judge.switched_encoder_loss", names)
    words = capsys.readouterr().out.split()
    assert words[words.index("yours") + 1].rstrip(",") == words[words.index("package's") + 1]
    assert 0 < int(words[0]) < 32


def test_the_split_leaves_no_base_on_both_sides_and_mirror_images_are_hands_and_clocks(emoji):
    train, test = emoji
    assert not set(train.attributes["base"]) & set(test.attributes["base"])
    mirrored = {test.attributes["subgroup"][i] for i in mirror_twins(train, test).nonzero().flatten().tolist()}
    assert mirrored and all("hand" in group or group == "time" for group in mirrored)
