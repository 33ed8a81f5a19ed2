"""From a source to its two notebooks: regions, headers, cards, ids, metadata."""

import json
import shutil

import nbformat
import pytest
from nbgrader.nbgraderformat import MetadataValidator
from notebook_helpers import TOY, toy_entry

from course_utils import notebooks
from course_utils.errors import CourseError
from course_utils.publishing import regions
from course_utils.publishing.source import read

HEADER = "# ---\n# title: T\n# question: Q?\n# minutes: 5\n# goals: [g]\n# ---\n\n"


def source(tmp_path, cells, header=HEADER, name="03_x.py"):
    (tmp_path / name).write_text(header + cells, encoding="utf-8")
    return tmp_path


def test_a_draft_is_built_only_by_name(tmp_path):
    source(tmp_path, "# %%\nx = 1\n")
    source(tmp_path, "# %%\nx = 1\n", HEADER.replace("# goals", "# draft: true\n# goals"), "04_y.py")
    assert [p.stem for p in notebooks.build(tmp_path, tmp_path / "all")] == ["03_x", "03_x"]
    assert [p.stem for p in notebooks.build(tmp_path, tmp_path / "one", only=["04"])] == ["04_y", "04_y"]


def by_id(path):
    return {cell.id: cell for cell in nbformat.read(path, as_version=4).cells}


def test_function_keeps_signature_and_docstring_and_loses_its_body(toy):
    cell = by_id(toy.exercise)["exercise-7-1"]
    assert cell.source == 'def double(x):\n    """Twice x."""\n    raise NotImplementedError  # your code here'
    assert by_id(toy.solution)["exercise-7-1"].source == 'def double(x):\n    """Twice x."""\n    return 2 * x'


def test_value_answer_becomes_ellipsis(toy):
    assert by_id(toy.exercise)["exercise-7-2"].source == "answer = ...  # your answer here"
    assert by_id(toy.solution)["exercise-7-2"].source == "answer = 3"


def test_bug_hunt_gives_the_bug_to_students_and_the_cure_to_the_solution(toy):
    exercise, solution = by_id(toy.exercise)["exercise-7-3"].source, by_id(toy.solution)["exercise-7-3"].source
    assert exercise.endswith("total = sum(values)\n    if total:\n        return total / (len(values) - 1)")
    assert solution.endswith("total = sum(values)\n    return total / len(values)")


def test_no_marker_and_no_solution_reaches_the_exercise_notebook(toy):
    text = toy.exercise.read_text(encoding="utf-8")
    for leaked in ("BEGIN", "2 * x", "answer = 3", "len(values)\\n", "because it is one more"):
        assert leaked not in text
    assert "BEGIN" not in toy.solution.read_text(encoding="utf-8")
    assert "because it is one more" in toy.solution.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "text, said",
    [
        ("### BEGIN SOLUTION\nx = 1", "never closed"),
        ("x = 1\n### END SOLUTION", "out of place"),
        ("### BEGIN SOLUTION\n### BEGIN BUG\n### END BUG\n### END SOLUTION", "out of place"),
        ("### BEGIN SOLUTION\nx = 1\n### END BUG", "out of place"),
        ("### BEGIN BUG\n# x = 1\n### END BUG", "needs the SOLUTION region"),
        ("### BEGIN BUG\nx = 1\n### END BUG\n### BEGIN SOLUTION\nx = 2\n### END SOLUTION", "commented lines only"),
        ("### BEGIN SOLUTION\ndef f():\n    return 1\n### END SOLUTION", "assignments to names only"),
        ("### BEGIN SOLUTION\nx = = 1\n### END SOLUTION", "no Python .invalid syntax.: 'x = = 1'"),
    ],
)
def test_bad_regions_are_refused(text, said):
    with pytest.raises(CourseError, match=said):
        regions.unsolved(text)


@pytest.mark.parametrize(
    "header, cells, said",
    [
        ("", "# %%\n1\n", "no YAML header"),
        (HEADER.replace("# question: Q?\n", ""), "# %%\n1\n", "question missing"),
        (HEADER.replace("title", "titel"), "# %%\n1\n", "Did you mean 'title'"),
        (HEADER.replace("5", "soon"), "# %%\n1\n", "whole number"),
        (HEADER.replace("Q?", "a: b"), "# %%\n1\n", "not valid YAML .* Put quotes"),
        ("# ---\n# only words\n# ---\n\n", "# %%\n1\n", "header: got 'only words'"),
        (HEADER, '# %% tags=["check"]\nprint(1)\n', "without check"),
        (HEADER, '# %% tags=["exercise"]\ndef f(): pass\n', "no check"),
        (HEADER, '# %% tags=["exercise"]\ndef f(): pass\n\n# %% tags=["check"]\ncheck("3.1")\n', "without a SOLUTION"),
        (HEADER, "# %%\n### BEGIN SOLUTION\nx = 1\n### END SOLUTION\n", "outside an exercise cell"),
    ],
)
def test_bad_sources_are_refused_by_name_and_nothing_is_written(tmp_path, header, cells, said):
    with pytest.raises(CourseError, match=said) as caught:
        notebooks.build(source(tmp_path, cells, header), tmp_path / "out", entry=toy_entry)
    assert "03_x.py" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_unknown_chapter_and_empty_folder_are_refused(tmp_path):
    with pytest.raises(CourseError, match="07_toy"):
        notebooks.build(TOY, tmp_path, only=["09"], entry=toy_entry)
    with pytest.raises(CourseError, match="NN_topic.py"):
        notebooks.build(tmp_path, tmp_path)


def test_building_twice_gives_the_same_bytes_and_keeps_outputs(toy, tmp_path):
    shutil.copytree(toy.folder, tmp_path / "again")
    before = {p: p.read_bytes() for p in (tmp_path / "again").rglob("*.ipynb")}
    notebooks.build(TOY, tmp_path / "again", entry=toy_entry)
    assert len(before) == 2 and all(p.read_bytes() == b for p, b in before.items())


def test_outputs_after_a_changed_cell_are_dropped(toy, tmp_path):
    changed = (TOY / "07_toy.py").read_text(encoding="utf-8").replace("[0, 1], [0, 1]", "[0, 1], [0, 2]")
    shutil.copytree(toy.folder, tmp_path / "out")
    source(tmp_path, changed, header="", name="07_toy.py")
    notebooks.build(tmp_path, tmp_path / "out", entry=toy_entry)
    code = [c for c in by_id(tmp_path / "out/solutions/07_toy.ipynb").values() if c.cell_type == "code"]
    assert code[0].execution_count == 1  # the set-up cell comes before the change
    assert all(c.execution_count is None and not c.outputs for c in code[2:])


def test_ids_do_not_move_when_a_cell_is_inserted(toy, tmp_path):
    text = (TOY / "07_toy.py").read_text(encoding="utf-8")
    source(tmp_path, text.replace("# %% [markdown]\n", "# %%\n1 + 1\n\n# %% [markdown]\n", 1), "", "07_toy.py")
    exercise, _ = notebooks.build(tmp_path, tmp_path / "out", entry=toy_entry)
    assert len(set(by_id(exercise)) - set(by_id(toy.exercise))) == 1
    assert set(by_id(toy.exercise)) <= set(by_id(exercise))


def test_equal_cells_get_different_ids(tmp_path):
    exercise, _ = notebooks.build(source(tmp_path, "# %%\n1\n\n# %%\n1\n"), tmp_path / "out")
    nbformat.validate(nbformat.read(exercise, as_version=4))
    assert len(by_id(exercise)) == 5  # header, set-up, mode and the two


@pytest.mark.parametrize("form", ["exercise", "solution"])
def test_nbgrader_accepts_the_metadata(toy, form):
    notebook = nbformat.read(getattr(toy, form), as_version=4)
    for cell in notebook.cells:
        MetadataValidator().validate_cell(cell)
    marks = {c.id: c.metadata["nbgrader"] for c in notebook.cells if "nbgrader" in c.metadata}
    assert set(marks) == {f"{word}-7-{i}" for word in ("exercise", "check") for i in (1, 2, 3)}
    assert marks["check-7-1"]["points"] == 1.5 and marks["check-7-1"]["locked"] and marks["check-7-1"]["grade"]
    assert marks["exercise-7-1"]["solution"] and not marks["exercise-7-1"]["grade"]
    assert marks["exercise-7-1"]["grade_id"] == "exercise-7-1"


def test_card_says_what_the_registry_says_and_holds_the_text(toy):
    card = by_id(toy.exercise)["card-7-1"].source
    assert card.startswith("### Exercise 7.1 · Task 7.1\n")
    assert "5 minutes · difficulty ●●○ · 1.5 points" in card
    assert "Write the function that doubles." in card and card.count("<details>") == 2
    assert "card-7-2" in by_id(toy.exercise)  # also without a text of its own


def test_header_and_mode(toy):
    cells = by_id(toy.exercise)
    assert cells["header"].source.startswith("# 07 · A toy chapter\n\n**What does the builder")
    assert "About 5 minutes" in cells["header"].source and "`vae_fashion_z2`" in cells["header"].source
    assert "# FAST: trains for a minute" in cells["mode"].source


def test_several_lines_of_the_notebook_file_are_plain_json_with_a_python3_kernel(toy):
    loaded = json.loads(toy.exercise.read_text(encoding="utf-8"))
    assert loaded["metadata"]["kernelspec"]["name"] == "python3" and loaded["nbformat_minor"] == 5
    assert "widgets" not in loaded["metadata"] and "jupytext" not in loaded["metadata"]


def test_exercise_number_comes_from_the_check_that_follows():
    assert read(TOY / "07_toy.py").exercises == ["7.1", "7.2", "7.3"]
