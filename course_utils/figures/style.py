"""One look for all figures: colors, type, sizes, alternative text, and small PNGs."""

from __future__ import annotations

import base64
import functools
import io
import itertools

import matplotlib
from matplotlib.figure import Figure
from PIL import Image

from ..errors import reject

DPI = 110
WIDTH = 840  # pixels: what a notebook's text column shows without shrinking
# Okabe and Ito's palette (2008), told apart with every common kind of color vision; its yellow is left out, too pale
# on white.
COLORS = {
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "black": "#222222",
}
INK, MUTED, FAINT = "#222222", "#666666", "#E4E4E4"
STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.prop_cycle": matplotlib.cycler(color=list(COLORS.values())),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlepad": 8,
    "figure.constrained_layout.use": False,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "text.color": INK,
    "text.hinting": "none",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
}


class CourseFigure(Figure):
    """A matplotlib Figure that a notebook shows as a small PNG with its alternative text (`course_alt`)."""

    course_alt = ""

    def _repr_mimebundle_(self, include=None, exclude=None):
        return bundle(self)


def styled(function):
    """Run a figure function under the course's style; the reader's own settings stay as they are."""

    @functools.wraps(function)
    def inside(*args, **kwargs):
        with matplotlib.rc_context({**matplotlib.rcParamsDefault, **STYLE, "backend": matplotlib.rcParams["backend"]}):
            return function(*args, **kwargs)

    return inside


def new_figure(width: int = WIDTH, height: int = 340, **options) -> CourseFigure:
    """An empty figure of this many pixels. Without `layout`, axes are arranged so that no label is cut."""
    options.setdefault("layout", "constrained")
    return CourseFigure(figsize=((width + 0.01) / DPI, (height + 0.01) / DPI), dpi=DPI, facecolor="white", **options)


def with_alt(figure: Figure, text: str) -> Figure:
    """Give a figure its alternative text, what somebody who cannot see it should know; return the figure."""
    text = " ".join(text.split())
    if not text:
        raise reject("text", text, "one or more sentences", "Say what the figure shows, not what it is called.")
    figure.course_alt = text
    return figure


@styled
def to_png(figure: Figure) -> bytes:
    """A figure as PNG bytes, with a palette where it has 256 colors or fewer (exact, and a third of the size)."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="rgba", dpi=figure.dpi)
    width, height = (int(side) for side in figure.bbox.size)
    picture = Image.frombytes("RGBA", (width, height), buffer.getvalue()).convert("RGB")
    return png_of(picture)


def png_of(picture: Image.Image) -> bytes:
    """A PIL picture as PNG bytes, as small as it gets without loss."""
    if picture.mode == "RGB" and (colors := picture.getcolors(256)):
        picture = picture.quantize(len(colors), dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def bundle(figure: Figure) -> tuple[dict, dict]:
    """What a notebook needs to show a figure: ({type: data}, {type: metadata}), the alternative text in the
    metadata."""
    alt = getattr(figure, "course_alt", "")
    data = {"image/png": base64.b64encode(to_png(figure)).decode("ascii"), "text/plain": alt or repr(figure)}
    return data, {"image/png": {"alt": alt}} if alt else {}


def show(figure: Figure, alt: str = "") -> None:
    """Show a figure here and now, in the middle of a cell or in a loop. alt: for a figure that brings no text of its
    own."""
    from IPython.display import display

    if alt:
        with_alt(figure, alt)
    if not getattr(figure, "course_alt", ""):
        raise reject("alt", alt, "a sentence or more", "A figure without alternative text is lost on some readers.")
    data, metadata = bundle(figure)
    display(data, metadata=metadata, raw=True)


def colors(count: int) -> list[str]:
    """`count` colors of the palette; it repeats after seven, so more than that need another mark as well."""
    return list(itertools.islice(itertools.cycle(COLORS.values()), count))
