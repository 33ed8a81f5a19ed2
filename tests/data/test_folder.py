import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from course_utils import data
from course_utils.data import pictures
from course_utils.errors import CourseError


def save(path, color=(10, 200, 30), size=(40, 40), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path, **options)


@pytest.fixture
def album(tmp_path):
    """Thirty pictures, some of them in a folder below."""
    for i in range(30):
        save(tmp_path / ("sub" if i % 3 else ".") / f"picture{i}.png", (8 * i, 255 - 8 * i, 0))
    return tmp_path


def load(folder, split="all", **options):
    return data.load(f"folder:{folder}", split, **options)


def test_splits_follow_the_names(album):
    train, test, both = (load(album, split, size=16) for split in ("train", "test", "all"))
    assert train.shape == (3, 16, 16) and both.labels is None and both.meta["skipped"] == []
    assert sorted(train.attributes["file"] + test.attributes["file"]) == sorted(both.attributes["file"])
    assert len(both) == 30 and 1 <= len(test) <= 8
    save(album / "newcomer.png")
    again = load(album, "test", size=16).attributes["file"]
    assert set(again) - {"newcomer.png"} == set(test.attributes["file"]), "another file must not move the others"
    color = both.images[both.attributes["file"].index("sub/picture10.png")]
    assert color[:, 5, 5].tolist() == [80, 175, 0]


def test_two_pictures_fill_both_splits(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / "b.png")
    assert len(load(tmp_path, "train")) == len(load(tmp_path, "test")) == 1 and load(tmp_path).shape == (3, 64, 64)


def test_what_is_no_picture_is_skipped_and_reported(album):
    (album / "notes.txt").write_text("no picture", encoding="utf-8")
    (album / "empty.png").write_bytes(b"")
    (album / ".hidden.png").write_bytes(b"junk")
    whole = (album / "picture0.png").read_bytes()
    (album / "cut.png").write_bytes(whole[:len(whole) - 30])
    with pytest.warns(UserWarning, match="3 of 33 files skipped: 2 not a picture.*1 damaged"):
        got = load(album, size=16)
    reasons = dict(got.meta["skipped"])
    assert set(reasons) == {"notes.txt", "empty.png", "cut.png"} and reasons["notes.txt"] == "not a picture"
    assert reasons["cut.png"].startswith("damaged") and len(got) == 30


def test_nothing_or_one_picture_is_refused(tmp_path):
    with pytest.raises(CourseError, match="holds no picture"):
        load(tmp_path)
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    with pytest.raises(CourseError, match="no picture.*1 of 1 files skipped: 1 not a picture .e.g. notes.txt"):
        load(tmp_path)
    save(tmp_path / "only.png")
    with pytest.raises(CourseError, match="one picture only .only.png.*at least two"):
        load(tmp_path, "train")


def test_pictures_that_are_all_damaged_are_counted_once(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        save(tmp_path / name)
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:60])
    with pytest.raises(CourseError, match="no picture that can be read.*3 of 3 files skipped: 3 damaged"):
        load(tmp_path)


def test_a_wrong_path_or_split_is_named(tmp_path):
    with pytest.raises(CourseError, match="dataset.*existing folder"):
        load(tmp_path / "absent")
    with pytest.raises(CourseError, match="split: got 'val'"):
        load(tmp_path, "val")


def test_a_relative_path_is_looked_for_here_and_where_data_sets_lie(album, tmp_path, monkeypatch):
    elsewhere = tmp_path / "sub" / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert len(data.load("folder:sub", "all")) == 20
    monkeypatch.setenv("COURSE_DATA", str(elsewhere))
    with pytest.raises(CourseError, match="dataset: got 'folder:sub'.*elsewhere.sub.* is not a folder"):
        data.load("folder:sub", "all")
    with pytest.raises(CourseError, match="No path was given"):
        data.load("folder:", "all")


def test_transparency_becomes_white(tmp_path):
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:, 16:] = (200, 0, 0, 255)                                     # left: transparent black, right: red
    for name in ("a.png", "b.png"):
        Image.fromarray(pixels).save(tmp_path / name)
    paletted = Image.new("P", (32, 32), 1)
    paletted.putpalette([0, 0, 0, 9, 9, 9])
    paletted.save(tmp_path / "c.png", transparency=1)
    a, _, c = load(tmp_path, size=32).images
    assert a[:, 8, 4].tolist() == [255, 255, 255] and a[:, 8, 28].tolist() == [200, 0, 0] and (c == 255).all()
    small = load(tmp_path, size=8).images[0].int()
    assert small[0].min() >= 195, "the hidden black of transparent pixels bleeds into the edge"


def test_sixteen_bits_are_scaled_not_cut(tmp_path):
    for name, value in (("a.png", 65535), ("b.png", 32896), ("c.png", 257)):
        Image.fromarray(np.full((20, 20), value, np.uint16)).save(tmp_path / name)
    assert [int(x[0, 5, 5]) for x in load(tmp_path, size=16).images] == [255, 128, 1]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honored(tmp_path, orientation):
    """The upright scene has a white upper left corner; each file stores it turned, with the tag that undoes it."""
    upright = Image.new("RGB", (64, 64), "black")
    upright.paste("white", (0, 0, 24, 24))
    upright.paste((255, 0, 0), (40, 0, 64, 24))                           # upper right: red, to tell mirrors apart
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # Pillow's numbers of the inverse turn
    stored = upright if undo is None else upright.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[pictures.ORIENTATION] = orientation
    for name in ("a.jpg", "b.jpg"):
        stored.save(tmp_path / name, exif=exif, quality=100, subsampling=0)
    got = load(tmp_path, size=16).images[0].int()
    want = torch.from_numpy(np.array(upright.resize((16, 16)))).permute(2, 0, 1).int()
    assert (got - want).abs().float().mean() < 8


def test_a_wide_picture_keeps_its_middle(tmp_path):
    pixels = np.zeros((30, 90, 3), np.uint8)
    pixels[:, 30:60] = 255
    for name in ("a.png", "b.png"):
        Image.fromarray(pixels).save(tmp_path / name)
    assert load(tmp_path, size=16).images[0, :, :, 2:-2].min() > 240


def bomb(path, width, height):
    """A PNG of a few bytes whose header promises width x height pixels."""
    save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)


def test_a_huge_picture_is_read_and_a_bomb_refused(album, monkeypatch):
    save(album / "huge.jpg", size=(11000, 8200), quality=30)              # 90 megapixels: Pillow warns from 89.5 on
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = load(album, size=16)
    assert "huge.jpg" in got.attributes["file"]
    (album / "huge.jpg").unlink()
    bomb(album / "bomb.png", 20000, 9000)
    bomb(album / "bigger.png", 40000, 20000)                              # more than Pillow opens at all
    with pytest.warns(UserWarning, match="2 too large"):
        got = load(album, size=16)
    assert {file for file, _ in got.meta["skipped"]} == {"bomb.png", "bigger.png"}


def test_other_modes_are_read(tmp_path):
    Image.new("L", (20, 20), 77).save(tmp_path / "gray.png")
    Image.new("CMYK", (20, 20), (0, 0, 0, 0)).save(tmp_path / "print.jpg")
    Image.new("1", (20, 20), 1).save(tmp_path / "bits.png")
    Image.new("F", (20, 20), 0.5).save(tmp_path / "floats.tiff")
    Image.new("RGB", (20, 20), (1, 2, 3)).save(tmp_path / "moving.gif", save_all=True,
                                               append_images=[Image.new("RGB", (20, 20), "white")])
    with pytest.warns(UserWarning, match="floating-point"):
        got = load(tmp_path, size=16)
    first = dict(zip(got.attributes["file"], got.images[:, :, 8, 8].tolist(), strict=True))
    assert first["gray.png"] == [77] * 3 and first["bits.png"] == [255] * 3 and min(first["print.jpg"]) > 250
    assert first["moving.gif"] == [1, 2, 3]


def test_too_much_for_memory_is_refused(album, monkeypatch):
    monkeypatch.setattr("course_utils.data.folder.MEMORY_LIMIT", 1000)
    with pytest.raises(CourseError, match="size: got 64.*Choose a smaller size"):
        load(album)
