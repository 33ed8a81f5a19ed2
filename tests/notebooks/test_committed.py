"""The notebooks in the repository are what the sources give, and they are fit to be published."""

import re

import nbformat
import pytest
from notebook_helpers import ROOT

from course_utils import notebooks, paths
from course_utils.publishing import readme
from course_utils.publishing.pages import render_markdown
from course_utils.publishing.source import read, source_files

SOURCES = source_files(ROOT / "notebooks" / "source")
EXERCISES = [ROOT / "notebooks" / f"{s.stem}.ipynb" for s in SOURCES]
SOLUTIONS = [ROOT / "notebooks" / "solutions" / f"{s.stem}.ipynb" for s in SOURCES]
COMMITTED = EXERCISES + SOLUTIONS
NAMES = [str(path.relative_to(ROOT / "notebooks")) for path in COMMITTED]
BADGE = re.compile(r"https://colab\.research\.google\.com/github/([^/]+/[^/]+)/blob/([^/]+)/([^\s)]+)")


def stripped(path):
    """A notebook as text, without outputs and execution counts."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebooks.dumps(notebook)


def test_the_folder_holds_the_sources_notebooks_and_no_others():
    found = {p for folder in ("", "solutions") for p in (ROOT / "notebooks" / folder).glob("*.ipynb")}
    assert found == set(COMMITTED)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    return folder, notebooks.build(ROOT / "notebooks" / "source", folder)


@pytest.mark.parametrize("path", COMMITTED, ids=NAMES)
def test_committed_is_what_the_source_gives(built, path):
    folder, _ = built
    fresh = folder / path.relative_to(ROOT / "notebooks")
    assert stripped(path) == stripped(fresh), f"{path.name} differs from its source: run make notebooks-run"


@pytest.mark.parametrize("path", COMMITTED, ids=NAMES)
def test_fit_to_be_published(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert path.stat().st_size < 1_000_000
    assert "widgets" not in notebook.metadata
    assert notebook.metadata["kernelspec"]["name"] == "python3"
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error" and output.get("name") != "stderr"
            assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {})
            if "image/png" in output.get("data", {}):
                assert output.metadata["image/png"]["alt"].strip(), f"no alternative text: {cell.source[:60]!r}"


@pytest.mark.parametrize("path", EXERCISES, ids=lambda p: p.stem)
def test_exercise_notebooks_carry_no_outputs(path):
    code = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert all(not c.outputs and c.execution_count is None for c in code)


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda p: p.stem)
def test_solution_notebooks_are_executed_and_show_something(path):
    code = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert [c.execution_count for c in code] == list(range(1, len(code) + 1))
    assert any("image/png" in o.get("data", {}) for c in code for o in c.outputs)


@pytest.mark.parametrize("path", COMMITTED, ids=NAMES)
def test_badges_and_links_resolve_to_files_here(path):
    text = nbformat.read(path, as_version=4).cells[0].source
    badges, url = BADGE.findall(text), paths.repository_url()
    assert [name for _, _, name in badges] == [path.relative_to(ROOT).as_posix()]
    assert all(url == f"https://github.com/{repository}" and branch == "main" for repository, branch, _ in badges)
    links = re.findall(re.escape(url) + r"/blob/main/([^\s)]+)", text)
    assert links and all((ROOT / name).is_file() for name in links)


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda p: p.stem)
def test_images_in_text_have_alternative_text_and_come_from_code(path):
    text = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells[1:] if c.cell_type == "markdown")
    assert not re.findall(r"!\[|<img", text), "show pictures from a code cell: relative links do not resolve on Colab"


@pytest.mark.parametrize("path", COMMITTED, ids=NAMES)
def test_formulas_render(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            assert "\\frac" not in render_markdown(cell.source)


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_checkpoints_named_in_the_header_are_shipped(source):
    wanted = read(source).front.checkpoints
    if wanted:
        from course_utils import checkpoints

        assert set(wanted) <= set(checkpoints.manifest())


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_exercises_belong_to_their_chapter_and_each_is_registered(source):
    chapter = read(source)
    assert all(int(number.partition(".")[0]) == int(chapter.number) for number in chapter.exercises)
    if chapter.exercises:
        from course_utils.exercises.framework import exercises

        assert chapter.exercises == [e.number for e in exercises(int(chapter.number))]


@pytest.mark.parametrize("path", COMMITTED, ids=NAMES)
def test_tells_nothing_of_the_machine_it_was_made_on(path):
    text = path.read_text(encoding="utf-8")
    assert str(ROOT) not in text and not re.search(r"/(home|Users|root|tmp|work)/", text)


def test_readme_lists_the_chapters_as_the_sources_do():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.written(text, [read(path) for path in SOURCES]) == text, "run make notebooks"
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert linked and not [target for target in linked if not (ROOT / target).exists()]
