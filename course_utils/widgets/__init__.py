"""Panels with sliders on any LatentModel. As the last expression of a cell they show themselves; where no kernel
runs, or with COURSE_STATIC=1, they show a picture of what the panel does instead."""

from .factors import FactorExplorer
from .latent import LatentExplorer
from .paths import InterpolationExplorer, TraversalExplorer

__all__ = ["FactorExplorer", "InterpolationExplorer", "LatentExplorer", "TraversalExplorer"]
