"""The classifier: what it learns from, what it is measured by, and that its features do not depend on the batch."""

from dataclasses import replace

import pytest
import torch
from toys import images, tiny_run

from course_utils import methods
from course_utils.errors import CourseError
from course_utils.methods.base import evaluating
from course_utils.methods.classifier import ClassifierConfig
from course_utils.training import evaluate, fit

TINY = ClassifierConfig(classes=2, widths=(4, 6, 8), shift=1, flip=True)


def build(config=TINY, shape=(3, 8, 8)):
    return methods.build("classifier", config, shape, seed=0)


def bright_and_dark(n=64):
    """Noise pictures, those of class 1 brighter."""
    labels = torch.arange(n) % 2
    data = images(n)
    return replace(data, images=(data.images // 2) + (labels * 100).to(torch.uint8)[:, None, None, None], labels=labels)


def test_it_learns_what_can_be_learned(tmp_path):
    data = bright_and_dark()
    run = tiny_run(steps=60, batch_size=32, checkpoint_every=0)
    result = fit(build(), data, run, out=tmp_path, evaluation=data, quiet=True)
    assert result.metrics["val_accuracy"] == 1.0 and result.metrics["val_loss"] < 0.3


def test_evaluation_terms_are_cross_entropy_and_share_of_right_answers():
    data, model = bright_and_dark(30), build().eval()
    x, y = data.floats(), data.labels
    logp = model.logits(x).log_softmax(1)
    found = evaluate(model, data, batch_size=7)
    assert found["loss"] == pytest.approx(-logp[torch.arange(30), y].mean().item(), rel=1e-5)
    assert found["accuracy"] == pytest.approx((logp.argmax(1) == y).double().mean().item())


def test_training_images_are_moved_and_mirrored_and_held_out_ones_are_not():
    model, x = build(replace(TINY, shift=2)), images(16).floats()
    seen = []
    model.net.forward = lambda x: seen.append(x) or torch.zeros(16, 2, requires_grad=True)
    model.step(x, lambda player, loss: None, torch.zeros(16, dtype=torch.long))
    model.evaluation_terms(x, None, torch.zeros(16, dtype=torch.long))
    moved, held_out = ((4 * (x - 0.5) == s).flatten(1).all(1) for s in seen)
    assert not moved.all() and held_out.all()
    assert {round(v, 4) for v in seen[0].unique().tolist()} <= {round(v, 4) for v in (4 * (x - 0.5)).unique().tolist()} | {-2.0}


def test_every_parameter_gets_a_gradient():
    model = build()
    data = bright_and_dark(16)
    model.step(data.floats(), lambda player, loss: loss.backward(), data.labels)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_features_of_an_image_do_not_depend_on_its_batch():
    model, x = build().train(), images(12).floats()
    with evaluating(model), torch.no_grad():
        whole = model.features(x)
        alone = torch.cat([model.features(x[i : i + 1]) for i in range(12)])
    assert whole.shape == (12, 8)
    torch.testing.assert_close(whole, alone)


@pytest.mark.parametrize(
    "values", [{"classes": 1}, {"widths": (4,)}, {"widths": (4, 0)}, {"shift": -1}, {"label_smoothing": 1.0}]
)
def test_a_bad_configuration_is_refused_by_name(values):
    with pytest.raises(CourseError, match=next(iter(values))):
        ClassifierConfig(**values)


def test_images_too_small_for_its_halvings_are_refused():
    with pytest.raises(CourseError, match="widths"):
        build(ClassifierConfig(), (1, 4, 4))


def test_data_without_classes_or_with_too_many_is_refused(tmp_path):
    with pytest.raises(CourseError, match="dataset: got 'toy', allowed: a data set with classes"):
        fit(build(), images(), tiny_run(), out=tmp_path, quiet=True)
    with pytest.raises(CourseError, match="classes: got 2, allowed: 4 or more"):
        fit(build(), replace(images(), labels=torch.arange(64) % 4), tiny_run(), out=tmp_path, quiet=True)
    assert not list(tmp_path.iterdir())
