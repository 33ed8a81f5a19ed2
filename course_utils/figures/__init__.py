"""Every figure of the course: one named function each. It returns a matplotlib Figure that carries its own
alternative text.

A figure as the last expression of a cell shows itself; `show(figure)` shows one anywhere else. None of them goes
through pyplot, so nothing stays open and nothing is shown twice.
"""

from .curves import elbo_decomposition, histogram, iwae_bound, rate_distortion, training_curves
from .grids import (
    bottleneck_sweep,
    comparison_panel,
    denoising,
    image_grid,
    reconstructions,
    samples,
)
from .latent import kl_per_dimension, latent_map, mutual_information, posterior_collapse, prior_vs_aggregate
from .style import COLORS, CourseFigure, new_figure, show, to_png, with_alt
from .tables import Table, metric_table
from .walks import decoded_grid, interpolation_strip, traversal

__all__ = ["COLORS", "CourseFigure", "Table", "bottleneck_sweep", "comparison_panel", "decoded_grid", "denoising"]
__all__ += ["elbo_decomposition", "histogram", "image_grid", "interpolation_strip", "iwae_bound", "kl_per_dimension"]
__all__ += ["latent_map", "metric_table", "mutual_information", "new_figure", "posterior_collapse"]
__all__ += ["prior_vs_aggregate", "rate_distortion", "reconstructions", "samples", "show", "to_png", "training_curves"]
__all__ += ["traversal", "with_alt"]
