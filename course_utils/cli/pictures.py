"""Sheets of images as PNG: two pixels between images, small images enlarged without blur, files written atomically."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..figures.pixels import as_bytes
from ..figures.style import CourseFigure, to_png
from ..files import atomic

GAP = 2  # pixels between images
WIDE_GAP = 10  # between groups of rows
TILE = 96  # small images are enlarged, by a whole factor, to about this side
HEAD = 16  # height of the line above the columns
BACKGROUND = (255, 255, 255)


def tile(image: Tensor, scale: int = 1) -> Image.Image:
    """One image (C, H, W), gray or RGB, enlarged by a whole factor to squares of pixels."""
    picture = Image.fromarray(as_bytes(image))
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def sheet(
    rows: Sequence[Tensor], *, labels: Sequence[str] = (), heads: Sequence[str] = (), group: int = 0
) -> Image.Image:
    """Rows of images, each (K, C, H, W), on one white page. labels: a text left of each row; heads: above each column.

    group: after that many rows the gap is wide, so that what belongs together stands together; 0: never."""
    height, width = rows[0].shape[-2:]
    scale = max(1, TILE // max(height, width))
    height, width = height * scale, width * scale
    font = ImageFont.load_default()
    margin = max((int(font.getlength(text)) + 8 for text in labels), default=0)
    tops, y = [], GAP + (HEAD if heads else 0)
    for index in range(len(rows)):
        tops.append(y)
        y += height + (WIDE_GAP if group and (index + 1) % group == 0 and index + 1 < len(rows) else GAP)
    columns = max(len(row) for row in rows)
    page = Image.new("RGB", (margin + GAP + columns * (width + GAP), y), BACKGROUND)
    for top, row in zip(tops, rows, strict=True):
        for column, image in enumerate(row):
            page.paste(tile(image, scale), (margin + GAP + column * (width + GAP), top))
    draw = ImageDraw.Draw(page)
    for top, text in zip(tops, labels, strict=False):
        draw.text((margin - 4, top + height // 2), text, fill=(0, 0, 0), font=font, anchor="rm")
    for column, text in enumerate(heads):
        middle = margin + GAP + column * (width + GAP) + width // 2
        draw.text((middle, HEAD // 2 + 1), text, fill=(0, 0, 0), font=font, anchor="mm")
    return page


def columns_for(n: int) -> int:
    """Columns of a grid of n images: about square, a little wider than high."""
    return max(1, min(n, 16, round((n * 1.3) ** 0.5)) if n not in (16, 64, 100) else round(n**0.5))


def grid(images: Tensor) -> Image.Image:
    """Images (N, C, H, W) in rows."""
    return sheet(images.split(columns_for(len(images))))


def compared(first: Tensor, second: Tensor, columns: int = 8) -> Image.Image:
    """Rows of `first`, each with the row of `second` right below it: (N, C, H, W) both."""
    pairs = zip(first.split(columns), second.split(columns), strict=True)
    return sheet([row for pair in pairs for row in pair], group=2)


def write(picture: Image.Image, path: Path) -> Path:
    """As PNG, atomically; returns the path."""
    with atomic(path) as temporary:
        picture.save(temporary, format="PNG", optimize=True)
    return path


def write_figure(figure: CourseFigure, path: Path) -> Path:
    """A figure as PNG, atomically; returns the path."""
    with atomic(path) as temporary:
        temporary.write_bytes(to_png(figure))
    return path


def write_each(images: Tensor, folder: Path, prefix: str = "") -> Path:
    """Every image as its own PNG at its own size, `000.png` and on."""
    for index, image in enumerate(images):
        write(tile(image), folder / f"{prefix}{index:03d}.png")
    return folder
