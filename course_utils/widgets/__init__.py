"""Panels with sliders on any LatentModel. As the last expression of a cell they show themselves; where no kernel
runs, or with COURSE_STATIC=1, they show a picture of what the panel does instead."""

from .attributes import AttributeExplorer
from .augmentation import AugmentationExplorer
from .factors import FactorExplorer
from .frechet import FrechetExplorer
from .games import GameExplorer, ModeExplorer
from .latent import LatentExplorer
from .paths import InterpolationExplorer, TraversalExplorer
from .plane import FilmExplorer

__all__ = ["AttributeExplorer", "AugmentationExplorer", "FactorExplorer", "FilmExplorer", "FrechetExplorer"]
__all__ += ["GameExplorer", "InterpolationExplorer", "LatentExplorer", "ModeExplorer", "TraversalExplorer"]
