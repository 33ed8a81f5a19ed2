"""Training: fit(model, data, RunConfig(...), out=folder)."""

from .config import RunConfig
from .evaluation import evaluate
from .loop import Diverged, FitResult, fit

__all__ = ["Diverged", "FitResult", "RunConfig", "evaluate", "fit"]
