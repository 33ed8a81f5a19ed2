"""Pictures of the panels, drawn with PIL: a redraw is a few milliseconds, where a matplotlib figure takes a hundred."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..figures.pixels import as_bytes, enlarged
from ..figures.style import COLORS, INK, MUTED

GAP, TEXT_PX, LINE = 8, 12, 16
WIDEST = 760  # pixels


@functools.cache
def font(size: int = TEXT_PX) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib, so it is the same on every machine."""
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def row_picture(tiles: Sequence[tuple[str, Tensor]], *, beside: Image.Image | None = None, side: int = 160) -> bytes:
    """Captioned images (C, H, W) in a row, about `side` pixels each, `beside` at the right, as PNG bytes."""
    pictures = [as_bytes(image) for _, image in tiles]
    room = (WIDEST - (beside.width + GAP if beside else 0)) // len(tiles) - GAP
    scale = max(1, min(side, room) // pictures[0].shape[1])
    h, w = (length * scale for length in pictures[0].shape[:2])
    wide = len(tiles) * (w + GAP) + (beside.width if beside else 0)
    high = max(LINE + h, beside.height if beside else 0)
    canvas = Image.new("RGB", (wide, high), "white")
    draw = ImageDraw.Draw(canvas)
    for i, ((caption, _), picture) in enumerate(zip(tiles, pictures, strict=True)):
        x = i * (w + GAP)
        draw.text((x + w / 2, 1), fitted(caption, w + GAP), fill=INK, font=font(), anchor="ma")
        canvas.paste(Image.fromarray(enlarged(picture, scale)), (x, LINE))
    if beside:
        canvas.paste(beside, (len(tiles) * (w + GAP), 0))
    return encoded(canvas)


def encoded(canvas: Image.Image) -> bytes:
    """PNG bytes, quickly: the picture is seen for a moment, not stored."""
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def fitted(words: str, width: float) -> str:
    """The words, or as many letters of them as this width holds."""
    if font().getlength(words) <= width:
        return words
    kept = next((n for n in range(len(words), 0, -1) if font().getlength(words[:n] + "…") <= width), 0)
    return words[:kept] + "…"


def bars(values: Sequence[float], names: Sequence[str], *, before: Sequence[float], reach: float, size=(220, 180)):
    """Horizontal bars from -reach to reach, one a name; a thin mark where each was `before`, so that one sees what
    moved."""
    canvas = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(canvas)
    left, step = 44, (size[1] - LINE) / len(values)
    middle, half = (left + size[0]) / 2, (size[0] - left) / 2 - 4
    draw.text((middle, 1), f"mean code, −{reach:g} to {reach:g}", fill=INK, font=font(), anchor="ma")
    draw.line((middle, LINE, middle, size[1]), fill=MUTED)
    for i, (value, old, name) in enumerate(zip(values, before, names, strict=True)):
        y = LINE + step * (i + 0.5)
        end, mark = (middle + half * float(np.clip(v / reach, -1, 1)) for v in (value, old))
        moved = abs(value - old) > 0.05 * reach
        draw.text((left - 6, y), name, fill=INK, font=font(10), anchor="rm")
        span = (min(middle, end), y - 0.32 * step, max(middle, end), y + 0.32 * step)
        draw.rectangle(span, fill=COLORS["vermilion"] if moved else COLORS["blue"])
        draw.line((mark, y - 0.45 * step, mark, y + 0.45 * step), fill=INK, width=2)
    return canvas
