import re
import time
from collections import Counter, defaultdict

import pytest
import torch

from course_utils import data
from course_utils.data import emoji, sources
from course_utils.errors import CourseError

TONES = ("light", "medium-light", "medium", "medium-dark", "dark")


@pytest.fixture(scope="module")
def everything():
    return data.load("noto-emoji", "all")


def test_the_sheet_decodes_to_the_same_pixels_everywhere(everything):
    assert everything.images.shape == (3912, 3, 64, 64)
    assert everything.sha256() == "1e05293f81ba2547a0748a1e0f679840dda5e3544cb7ceefd054afed3ad30aff"


def test_loading_is_fast():
    started = time.perf_counter()
    data.load("noto-emoji")
    assert time.perf_counter() - started < 6, "three times what it is allowed on the reference machine"


def test_pictures_stand_on_white_and_differ(everything):
    corners = everything.images[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].flatten(1).amin(1)
    assert (corners == 255).float().mean() > 0.9
    spread = everything.images.flatten(1).float().std(1)
    assert (spread > 0).all(), "an empty picture"
    assert len({picture.tobytes() for picture in everything.images.numpy()}) > 3880


def test_known_emoji_have_their_attributes(everything):
    rows = {name: i for i, name in enumerate(everything.attributes["name"])}

    def of(name):
        return tuple(everything.attributes[key][rows[name]] for key in ("character", "skin_tone", "gender", "hair"))
    assert of("grinning face") == ("\U0001F600", "none", "none", "none")
    assert of("woman: dark skin tone, red hair") == ("\U0001F469\U0001F3FF‍\U0001F9B0", "dark", "woman", "red hair")
    assert of("thumbs up: medium skin tone")[1:] == ("medium", "none", "none")
    assert of("firefighter: light skin tone")[1:] == ("light", "person", "none")
    assert of("men holding hands: light skin tone, dark skin tone")[1:3] == ("mixed", "man")
    assert of("woman and man holding hands")[1:3] == ("none", "both")
    assert of("man’s shoe")[2] == "none"
    assert everything.attributes["group"][rows["red apple"]] == "Food & Drink"
    assert everything.attributes["subgroup"][rows["flag: Wales"]] == "subdivision-flag"


def test_each_tone_is_there_equally_often_and_in_its_color(everything):
    tones = everything.attributes["skin_tone"]
    counts = Counter(tones)
    assert len({counts[tone] for tone in TONES}) == 1 and counts["light"] > 300
    rows = {name: i for i, name in enumerate(everything.attributes["name"])}
    brightness = [everything.floats(rows[f"raised hand: {tone} skin tone"]).mean() for tone in TONES]
    assert brightness == sorted(brightness, reverse=True)


def test_every_emoji_with_a_tone_has_all_five(everything):
    tones = defaultdict(set)
    for name, tone in zip(everything.attributes["name"], everything.attributes["skin_tone"], strict=True):
        if tone in TONES and name.count(": ") == 1 and "," not in name:
            tones[re.sub(r": .*", "", name)].add(tone)
    assert len(tones) > 250 and all(found == set(TONES) for found in tones.values())


def test_no_twin_straddles_the_splits(everything):
    train, test = data.load("noto-emoji"), data.load("noto-emoji", "test")
    assert not set(train.attributes["base"]) & set(test.attributes["base"])
    assert sorted(train.attributes["character"] + test.attributes["character"]) == sorted(
        everything.attributes["character"])

    variant = r":.*skin tone.*|\b(wo)?m[ae]n\b|\bpersons?\b|\bpeople\b|: .*(hair|bald|beard)| facing right"

    def stem(name):  # independent of `base`: the name without tone, gender, hair, direction
        return re.sub(variant, "", name).strip(" :,")
    people = {split: {stem(n) for n, g in zip(part.attributes["name"], part.attributes["group"], strict=True)
                      if g == "People & Body"} for split, part in (("train", train), ("test", test))}
    assert not people["train"] & people["test"]


def test_emoji_that_differ_in_tone_gender_hair_or_direction_code_points_are_in_one_split(everything):
    """Of every group, from the sequences alone: neither `base` nor names are asked."""
    split = {split: data.load("noto-emoji", split).attributes["character"] for split in ("train", "test")}
    tones, hair = [*map(chr, range(0x1F3FB, 0x1F400))], [*map(chr, range(0x1F9B0, 0x1F9B4))]
    variant = re.compile(f"[{''.join(tones + hair)}\u2640\u2642\u27A1\uFE0F\u200D]")
    families = defaultdict(lambda: defaultdict(list))
    for part, characters in split.items():
        for character in characters:
            family = re.sub("[\U0001F468\U0001F469]", "\U0001F9D1", variant.sub("", character))  # man, woman: person
            families[family][part].append(character)
    alone = families.pop("")  # tones, hair and signs as pictures of their own
    assert not [family for family, parts in families.items() if len(parts) > 1]
    toned = {part: [f for f in families.values() if sum(tone in c for c in f[part] for tone in tones) >= 5] for part in split}
    assert len(toned["test"]) > 10 and len(toned["train"]) > 100, "without families nothing is tested"
    assert set(tones) <= set(alone["train"]) or set(tones) <= set(alone["test"])


def test_32_is_the_mean_of_2x2(everything):
    small = data.load("noto-emoji", "all", size=32).images
    x = everything.images.int()
    total = x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]
    assert torch.equal(small.int(), (total + 2) // 4)


def test_a_damaged_or_missing_sheet_is_named(monkeypatch, tmp_path):
    original = sources.embedded_path("noto-emoji", "sheet.webp")
    folder = tmp_path / "noto-emoji"
    folder.mkdir()
    for file in ("info.json", emoji.TABLE):
        (folder / file).write_bytes((original.parent / file).read_bytes())
    monkeypatch.setattr(emoji.sources.paths, "data_dir", lambda: tmp_path)
    with pytest.raises(CourseError, match="comes with the repository.*course fetch"):
        data.load("noto-emoji")
    (folder / "sheet.webp").write_bytes(original.read_bytes()[:100_000])
    with pytest.raises(CourseError, match="sheet.webp: damaged"):
        data.load("noto-emoji")
    for broken in (b"no xz", (folder / emoji.TABLE).read_bytes()[:1000]):
        (folder / emoji.TABLE).write_bytes(broken)
        with pytest.raises(CourseError, match="emoji.tsv.xz: damaged"):
            data.load("noto-emoji")
