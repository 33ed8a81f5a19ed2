"""Measurements: of generated images, of likelihood, of disentanglement."""

from .density import GridDensity, model_density, prior_density
from .disentanglement import Disentanglement, mutual_information_gap
from .divergence import divergences, jsd, kl, skewed_kl, typical, typical_cells
from .features import FeatureNetwork, classifier_features, feature_network, inception_features
from .frechet import Moments, frechet_distance
from .generators import measure, metric_names
from .kernel import kernel_distance
from .likelihood import importance_weighted_log_likelihood
from .modes import ModeCoverage, mode_coverage
from .neighbors import nearest, precision_recall_density_coverage
from .overfitting import measure_memorization, memorization, real_fake_gaps
from .plane import POINT_METRICS, generate_points, real_against_real, score
from .references import reference_statistics
from .samples import generate

__all__ = ["Disentanglement", "FeatureNetwork", "Moments", "classifier_features", "feature_network", "frechet_distance"]
__all__ += ["generate", "importance_weighted_log_likelihood", "inception_features", "kernel_distance", "measure"]
__all__ += ["metric_names", "mutual_information_gap", "nearest", "precision_recall_density_coverage"]
__all__ += ["measure_memorization", "memorization", "real_fake_gaps", "reference_statistics"]
__all__ += ["POINT_METRICS", "GridDensity", "ModeCoverage", "divergences", "generate_points", "jsd", "kl", "mode_coverage"]
__all__ += ["model_density", "prior_density", "real_against_real", "score", "skewed_kl", "typical", "typical_cells"]
