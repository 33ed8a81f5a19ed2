"""Chapter 05, what no list of answers holds: the panel's zero, references against the package, a trace left behind."""

import numpy as np
import pytest
import torch
from chapter_05_answers import both_eval, prepared

from course_utils.exercises import chapter_05 as chapter
from course_utils.exercises import framework
from course_utils.figures.measuring import REAL, frechet_1d
from course_utils.metrics import Moments
from course_utils.metrics.kernel import squared_mmd


def test_a_classifier_that_measuring_changes_is_refused(rejects):
    """The score itself is right, but the next one will not be: the statistics moved after it."""

    def leaves_a_trace(model, classifier, real, z, batch_size):
        found = prepared(both_eval)(model, classifier, real, z, batch_size)
        classifier.train().features(real)
        return found

    rejects("5.6", leaves_a_trace, "changed the classifier's")


def test_the_panels_zero_is_the_answer():
    mean, width = framework.find("5.1").solution()
    assert frechet_1d(REAL["two peaks"], mean, width) == pytest.approx(0, abs=1e-12)
    assert np.allclose([mean * 20, width * 20], np.round([mean * 20, width * 20]))  # the sliders move in steps of 0.05


def test_references_agree_with_the_package():
    x, y = (torch.randn(n, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(n)) + n / 40 for n in (40, 60))
    both = [chapter.moments(list(part.split(7))) for part in (x, y)]
    merged = [Moments(), Moments()]
    for kept, part in zip(merged, (x, y), strict=True):
        kept.add(part)
    assert float(chapter.frechet_distance(*both[0], *both[1])) == pytest.approx(merged[0].distance(merged[1]), rel=1e-9)
    assert float(chapter.unbiased_mmd(*chapter._kernels(x, y))) == pytest.approx(float(squared_mmd(x, y)), rel=1e-9)
