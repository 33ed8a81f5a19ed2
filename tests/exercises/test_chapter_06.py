"""Chapter 06, what no list of answers holds: the shipped model's sliders, and that notebook and exercise use the same."""

import re

from chapter_06_answers import prepare

from course_utils import data
from course_utils.exercises import chapter_06
from course_utils.paths import repository_root


def test_the_slider_that_moves_most_is_accepted_in_any_case(monkeypatch, accepts):
    prepare(monkeypatch)
    accepts("6.6", "hair")
    accepts("6.6", " Hair ")


def source():
    return (repository_root() / "notebooks" / "source" / "06_vae_gan.py").read_text(encoding="utf-8")


def test_the_notebook_and_the_exercise_use_the_same_sliders_and_emoji():
    text = source()
    written = text[text.index("SLIDERS = {") :]
    namespace = {}
    exec(written[: written.index("}\n") + 2], namespace)
    assert namespace["SLIDERS"] == chapter_06.SLIDERS
    assert f'names.index("{chapter_06.START}")' in text
    assert chapter_06.START in data.load("noto-emoji", "test", size=32).attributes["name"]


def test_the_shipped_model_has_one_clear_answer(accepts):
    moved = chapter_06.changes()
    ranked = sorted(moved.values())
    assert ranked[-1] > 1.3 * ranked[-2], moved
    written = re.search(r'^answer_6_6 = "(.+)"$', source(), re.MULTILINE)
    assert written[1] == chapter_06.largest_change()
    accepts("6.6", written[1])
