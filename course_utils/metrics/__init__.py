"""Measurements: of likelihood, of disentanglement."""

from .disentanglement import Disentanglement, mutual_information_gap
from .likelihood import importance_weighted_log_likelihood

__all__ = ["Disentanglement", "importance_weighted_log_likelihood", "mutual_information_gap"]
