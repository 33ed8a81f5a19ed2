"""One picture file of any kind -> a square of uint8 pixels, without ever holding a huge picture longer than needed."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

MAX_PIXELS = 178_956_970  # what Pillow itself takes for a decompression bomb: 0.7 GB once decoded
ORIENTATION = 0x0112
TURNS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
         5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
         8: Image.Transpose.ROTATE_90}  # EXIF orientation -> what shows the picture upright


class Unreadable(Exception):
    """Why a file cannot be used, in words for the report."""


def check_picture(path: Path) -> None:
    """Look at the header only; raises Unreadable with the reason."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large but allowed: decoded small below
            with Image.open(path) as picture:
                width, height, mode = *picture.size, picture.mode
    except Image.DecompressionBombError as bomb:
        raise Unreadable(f"too large: more than {MAX_PIXELS:,} pixels") from bomb
    except (OSError, SyntaxError, ValueError) as broken:  # what Pillow raises for files that are no pictures
        raise Unreadable("not a picture") from broken
    if width * height > MAX_PIXELS:
        raise Unreadable(f"too large: {width}x{height} is more than {MAX_PIXELS:,} pixels")
    if mode == "F":
        raise Unreadable("floating-point pixels have no agreed range")


def read_square(path: Path, size: int) -> np.ndarray:
    """The middle square of a picture, upright, on white, as uint8 (size, size, 3); raises Unreadable."""
    check_picture(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                turn = TURNS.get(picture.getexif().get(ORIENTATION))
                picture.draft("RGB", (2 * size, 2 * size))  # a JPEG is decoded at a fraction of its size
                square = _shrink(_eight_bits(picture), size)
    except (OSError, SyntaxError, ValueError, EOFError) as broken:
        raise Unreadable(f"damaged: {broken}") from broken
    upright = square.transpose(turn) if turn is not None else square
    return np.asarray(_on_white(upright))


def _eight_bits(picture: Image.Image) -> Image.Image:
    """RGB, or RGBA where something is transparent (Pillow resizes that premultiplied); 16-bit gray is scaled to 8."""
    if picture.mode.startswith("I"):                              # I;16 in its byte orders; I in PNGs of older Pillow
        values = np.asarray(picture).astype(np.int64).clip(0, 65535)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    clear = "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA", "La", "RGBa")
    return picture.convert("RGBA" if clear else "RGB")


def _shrink(picture: Image.Image, size: int) -> Image.Image:
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return picture.resize((size, size), Image.Resampling.LANCZOS, (left, top, left + side, top + side), reducing_gap=3)


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA":
        return picture
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    return white.convert("RGB")
