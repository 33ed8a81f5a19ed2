"""Noto Color Emoji at 64x64 on white, with what Unicode says of each: embedded, made by data/make_emoji.py."""

from __future__ import annotations

import csv
import json
import lzma
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from course_utils.data import sources
from course_utils.data.image_set import ImageSet, check_size, resize
from course_utils.errors import CourseError

TABLE = "emoji.tsv.xz"
LICENSE = "pictures OFL 1.1 (Google), names Unicode License"
ATTRIBUTES = ("name", "group", "subgroup", "skin_tone", "gender", "hair")
TEST_SHARE = 0.1


def in_test(base: str) -> bool:
    """Whether a base emoji, and so all its skin tones and genders, belongs to the test split: a tenth, by hash."""
    return sources.position(base) < TEST_SHARE


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of the table, one per picture in the sheet's order."""
    try:
        with lzma.open(path, "rt", encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (EOFError, lzma.LZMAError) as broken:
        raise CourseError(f"{path}: damaged ({broken}). Restore it from the repository.") from broken


def read_sheet(path: Path, count: int, columns: int, side: int) -> torch.Tensor:
    """The sheet cut into uint8 (count, 3, side, side)."""
    try:
        with Image.open(path) as picture:
            page = np.array(picture.convert("RGB"))
    except OSError as broken:
        raise CourseError(f"{path}: damaged ({broken}). Restore it from the repository.") from broken
    rows = page.shape[0] // side
    if page.shape[1] != columns * side or rows * columns < count:
        raise CourseError(f"{path}: {page.shape[1]}x{page.shape[0]} pixels do not hold {count} pictures of {side}.")
    cells = torch.from_numpy(page).reshape(rows, side, columns, side, 3).permute(0, 2, 4, 1, 3)
    return cells.reshape(rows * columns, 3, side, side)[:count]


def characters(codepoints: str) -> str:
    """"1F600 FE0F" as the text it stands for."""
    return "".join(chr(int(code, 16)) for code in codepoints.split())


def read(name: str, split: str, size: int | None, root: Path | None, download: bool) -> ImageSet:
    """Labels are Unicode's groups. split "all" is train and test together, in Unicode's order."""
    size = check_size(size, 64)
    info = json.loads(sources.embedded(name, "info.json").read_text(encoding="utf-8"))
    table = read_table(sources.embedded(name, TABLE))
    images = read_sheet(sources.embedded(name, "sheet.webp"), len(table), info["columns"], info["side"])
    rows = [i for i, row in enumerate(table) if split == "all" or in_test(row["base"]) == (split == "test")]
    groups = list(dict.fromkeys(row["group"] for row in table))
    kept = [table[i] for i in rows]
    attributes: dict[str, list | torch.Tensor] = {key: [row[key] for row in kept] for key in ATTRIBUTES}
    attributes["character"] = [characters(row["codepoints"]) for row in kept]
    attributes["base"] = [characters(row["base"]) for row in kept]
    labels = torch.tensor([groups.index(row["group"]) for row in kept])
    return ImageSet(resize(images[rows], size), labels, name, split, tuple(groups), attributes, LICENSE,
                    {"font": info["font"], "unicode_emoji": info["unicode_emoji"]})


def present(name: str) -> bool:
    """Whether the embedded files are there."""
    return all(sources.embedded_path(name, file).is_file() for file in ("sheet.webp", TABLE, "info.json"))
