import pytest

from course_utils.errors import CourseError, reject


def test_the_message_names_argument_value_options_and_remedy():
    error = reject("dataset", "fashon-mnist", ["fashion-mnist", "mnist"], "See `course data`.")
    assert isinstance(error, CourseError) and isinstance(error, ValueError)
    message = str(error)
    for part in ("dataset", "'fashon-mnist'", "fashion-mnist, mnist", "Did you mean 'fashion-mnist'?"):
        assert part in message
    assert message.endswith("See `course data`.")


@pytest.mark.parametrize("given", ["zzz", 3, None, (1, 2)])
def test_nothing_is_suggested_where_nothing_is_near(given):
    assert "Did you mean" not in str(reject("x", given, ["fashion-mnist"]))


def test_a_sentence_is_not_taken_apart():
    assert str(reject("beta", -1, "0 or more")) == "beta: got -1, allowed: 0 or more."
