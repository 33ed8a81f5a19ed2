"""FrechetExplorer: real values on a line, a normal distribution with a slider for its mean and for its width."""

from __future__ import annotations

import ipywidgets as widgets
import numpy as np
from PIL import Image, ImageDraw

from ..figures.measuring import REAL, densities, frechet_1d, normal, wasserstein_1d
from ..figures.style import COLORS, INK, MUTED, CourseFigure
from .panel import Panel, control, tooltip
from .pictures import encoded, font

SIZE, LOW, HIGH, TALLEST = (720, 220), -4.5, 5.5, 0.8  # pixels; ends of the axis; density at the top


class FrechetExplorer(Panel):
    """Move a fake distribution, N(mean, width^2), over a real one, and watch the Fréchet distance.

    The menu chooses the real distribution. `mean` and `width` are the sliders; `distances` is what they give."""

    def __init__(self):
        super().__init__(REAL, None)
        about = tooltip(widgets.Dropdown, "The distribution of the real values")
        self.model_choice.description = "real values"
        for name, words in about.items():
            setattr(self.model_choice, name, words)
        self.mean = control(widgets.FloatSlider, "mean of the fake", "Where the fake's peak is",
                            value=-1.5, min=-3.0, max=3.0, step=0.05)  # fmt: skip
        self.width = control(widgets.FloatSlider, "width of the fake", "The fake's standard deviation",
                             value=0.6, min=0.1, max=3.0, step=0.05)  # fmt: skip
        for changed in (self.model_choice, self.mean, self.width):
            self.on_change(changed)
        self.assemble([self.mean, self.width])

    @property
    def distances(self) -> tuple[float, float]:
        """The Fréchet distance, and the squared Wasserstein distance of the two curves themselves."""
        return tuple(of(self.model, self.mean.value, self.width.value) for of in (frechet_1d, wasserstein_1d))

    def picture(self) -> tuple[bytes, str]:
        real, mean, width = self.model, self.mean.value, self.width.value
        frechet, exact = self.distances
        parts = f"{(real.mean - mean) ** 2:.3f} (means) + {(real.std - width) ** 2:.3f} (widths)"
        line = f"Fréchet distance {frechet:.3f} = {parts}; distance of the curves themselves {exact:.3f}"
        return encoded(self._drawn(real, mean, width)), line

    def _drawn(self, real, mean: float, width: float) -> Image.Image:
        canvas = Image.new("RGB", SIZE, "white")
        draw = ImageDraw.Draw(canvas)
        x = np.linspace(LOW, HIGH, SIZE[0])
        floor = SIZE[1] - 22

        def points(density):
            return [(i, floor - min(d / TALLEST, 1.0) * (floor - 6)) for i, d in enumerate(density)]

        draw.polygon([(0, floor), *points(real.density(x)), (SIZE[0] - 1, floor)], fill="#BBDDF6")
        draw.line(points(normal(x, mean, width)), fill=COLORS["vermilion"], width=3)
        draw.line((0, floor, SIZE[0], floor), fill=MUTED)
        for tick in range(int(np.ceil(LOW)), int(HIGH) + 1):
            at = (tick - LOW) / (HIGH - LOW) * (SIZE[0] - 1)
            draw.line((at, floor, at, floor + 4), fill=MUTED)
            draw.text((at, floor + 5), f"{tick}", fill=INK, font=font(), anchor="ma")
        draw.text((8, 6), "filled: real values; line: the fake", fill=INK, font=font())
        return canvas

    def static_figure(self) -> CourseFigure:
        """Each real distribution with the fake at its start, and below with the real one's own mean and width."""
        start = {f"{name}, start": (real, self.mean.value, self.width.value) for name, real in self.models.items()}
        fitted = {f"{name}, fitted": (real, real.mean, real.std) for name, real in self.models.items()}
        return densities(start | fitted, title="What the panel's sliders reach: below, the same mean and width")
