"""Rows of images with labels, drawn pixel for pixel: every image pixel is the same whole number of screen pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import reject
from .style import INK, MUTED, WIDTH, CourseFigure, new_figure, with_alt

GAP, LARGEST_SCALE = 4, 4
TITLE_PX, LINE_PX = 30, 15  # heights of a title and of a line of text
CHAR_PX, CAPTION_CHAR_PX, TITLE_CHAR_PX = 7.4, 6.6, 10.0  # widths of a letter of a label, a caption, a title
Row = Sequence[Tensor | None] | Tensor


def as_bytes(image: Tensor) -> np.ndarray:
    """(C, H, W) in [0, 1], or uint8 -> uint8 (H, W, 3). CourseError for anything that is no picture."""
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise reject("images", tuple(image.shape), "(C, H, W) each, with 1 or 3 channels")
    if image.dtype != torch.uint8:
        image = image.detach().float().cpu()
        low, high = image.amin().item(), image.amax().item()
        if not (low >= -1e-3 and high <= 1 + 1e-3):  # NaN fails as well
            remedy = "Map them to [0, 1] first; NaN means the run diverged."
            raise reject("images", f"values from {low:.3g} to {high:.3g}", "[0, 1]", remedy)
        image = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    return np.broadcast_to(image.permute(1, 2, 0).cpu().numpy(), (*image.shape[1:], 3))


def enlarged(image: np.ndarray, scale: int) -> np.ndarray:
    """Each pixel as a square of scale x scale: (H, W, 3) -> (scale H, scale W, 3)."""
    return image.repeat(scale, 0).repeat(scale, 1)


def label_width(labels: Sequence[str]) -> int:
    """Pixels that the longest line of these labels takes."""
    longest = max((len(line) for label in labels for line in label.split("\n")), default=0)
    return int(longest * CHAR_PX) + 12 if longest else 0


def fitting_scale(width: int, columns: int, room: int, gap: int = GAP) -> int:
    """The largest whole enlargement, 1 to 4, at which `columns` images of this width fit into `room` pixels."""
    return max(1, min(LARGEST_SCALE, (room // columns - gap) // width))


def rows_figure(
    rows: Sequence[Row], *, alt: str, title: str = "", row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (), captions: Sequence[Sequence[str]] = (), note: str = "", scale: int | None = None,
    gap: int = GAP,
) -> CourseFigure:  # fmt: skip
    """Rows of images (C, H, W), None for an empty place. captions: the text under each image, row by row, "" for none.

    note: a line of small type at the foot. The figure is as wide as its images need, never cut."""
    pictures = [[None if image is None else as_bytes(image) for image in row] for row in rows]
    shapes = {picture.shape for row in pictures for picture in row if picture is not None}
    if len(shapes) != 1:
        raise reject("images", sorted(shapes) or "none", "one or more, all of the same size")
    h, w, _ = shapes.pop()
    columns, left = max(map(len, pictures)), label_width(row_labels) + GAP
    scale = scale or fitting_scale(w, columns, WIDTH - left, gap)
    caption_px = [
        LINE_PX * max(map(_lines, captions[r]), default=0) if r < len(captions) else 0 for r in range(len(rows))
    ]
    head = TITLE_PX * bool(title) + (LINE_PX + 3) * max(map(_lines, column_labels), default=0)
    tops = head + GAP + np.cumsum([0] + [h * scale + gap + below for below in caption_px])
    lefts = left + (w * scale + gap) * np.arange(columns)
    words = max(len(title) * TITLE_CHAR_PX, len(note) * CAPTION_CHAR_PX)
    wide = int(max(lefts[-1] + w * scale + GAP, words + 10))
    high = int(tops[-1]) + 20 * bool(note)

    canvas = np.full((high, wide, 3), 255, np.uint8)
    for row, top in zip(pictures, tops, strict=False):
        for picture, x in zip(row, lefts, strict=False):
            if picture is not None:
                canvas[top : top + h * scale, x : x + w * scale] = enlarged(picture, scale)
    figure, axes = _canvas_axes(canvas)
    text = _writer(axes)
    text(GAP, 6, title, size=10.5, weight="bold", va="top")
    for x, label in zip(lefts, column_labels, strict=False):
        text(x + w * scale / 2, head, label, ha="center", va="bottom")
    for r, top in enumerate(tops[:-1]):
        if r < len(row_labels):
            text(left - 8, top + h * scale / 2, row_labels[r], ha="right", va="center", linespacing=1.35)
        for x, caption in zip(lefts, captions[r] if r < len(captions) else (), strict=False):
            text(x + w * scale / 2, top + h * scale + 1, caption, size=7.5, color=MUTED, ha="center", va="top")
    text(GAP, high - 4, note, size=8, color=MUTED, va="bottom")
    return with_alt(figure, alt)


def _lines(words: str) -> int:
    return words.count("\n") + 1 if words else 0


def _canvas_axes(canvas: np.ndarray):
    """A figure whose one axes shows the canvas pixel for pixel and whose coordinates are pixels from the top left."""
    high, wide, _ = canvas.shape
    figure = new_figure(wide, high, layout="none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(canvas, extent=(0, wide, high, 0), interpolation="nearest", aspect="auto")
    return figure, axes


def _writer(axes):
    def text(x, y, words, size=8.5, color=INK, **options):
        if words:
            axes.text(x, y, words, size=size, color=color, **options)

    return text
