"""Executed notebooks and the pages made of them."""

import re
import shutil

import nbformat
import pytest
from bs4 import BeautifulSoup

from course_utils import notebooks
from course_utils.errors import CourseError
from course_utils.publishing.execute import NotebookFailed, clean
from course_utils.publishing.mathml import to_mathml


@pytest.fixture(scope="module")
def site(toy, tmp_path_factory):
    """Two chapters' pages, so that there is a next and a previous one."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy2(toy.solution, folder / "07_toy.ipynb")
    shutil.copy2(toy.solution, folder / "08_toy.ipynb")
    written = notebooks.pages(folder, folder / "build")
    return {path.name: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in written}


def test_execution_keeps_results_and_drops_noise(toy):
    outputs = [o for c in nbformat.read(toy.solution, as_version=4).cells for o in c.get("outputs", [])]
    assert [o.text for o in outputs if o.output_type == "stream"] == ["seen\n", *(f"checked 7.{i}\n" for i in "123")]
    assert all(o.get("name") != "stderr" for o in outputs)
    assert not any("application/vnd.jupyter.widget-view+json" in o.get("data", {}) for o in outputs)
    assert toy.run.first_figure is not None and 0 < toy.run.first_figure <= toy.run.seconds


def test_execution_counts_are_there_and_metadata_is_the_same_everywhere(toy):
    notebook = nbformat.read(toy.solution, as_version=4)
    counts = [c.execution_count for c in notebook.cells if c.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert notebook.metadata["language_info"] == {"name": "python"} and "widgets" not in notebook.metadata


def test_a_failing_cell_names_notebook_and_error_and_writes_nothing(toy, tmp_path):
    notebook = nbformat.read(toy.exercise, as_version=4)
    notebook.cells[-1].source = "1 / 0"
    nbformat.write(notebook, tmp_path / "07_toy.ipynb")
    before = (tmp_path / "07_toy.ipynb").read_bytes()
    with pytest.raises(NotebookFailed, match="(?s)07_toy.*ZeroDivisionError"):
        notebooks.execute(tmp_path / "07_toy.ipynb")
    assert (tmp_path / "07_toy.ipynb").read_bytes() == before


def test_a_picture_without_alternative_text_is_refused(toy):
    notebook = nbformat.read(toy.solution, as_version=4)
    for cell in notebook.cells:
        cell.metadata.pop("alt", None)
        for output in cell.get("outputs", []):
            output.get("metadata", {}).pop("image/png", None)
    with pytest.raises(CourseError, match='alternative text .*"import sys|alternative text .*import sys'):
        clean(notebook, "07_toy")


def test_a_notebook_over_the_limit_is_refused(toy):
    notebook = nbformat.read(toy.solution, as_version=4)
    notebook.cells[-1].source = "x" * 1_000_001
    with pytest.raises(CourseError, match="allowed: 1,000,000"):
        clean(notebook, "07_toy")


def test_pages_load_nothing_from_elsewhere(site):
    assert set(site) == {"index.html", "07_toy.html", "08_toy.html"}
    for soup in site.values():
        assert not soup.find_all(["script", "link", "iframe"])
        assert all(img["src"].startswith("data:image/png;base64,") for img in soup.find_all("img"))
        styles = "".join(style.text for style in soup.find_all("style"))
        assert "url(" not in styles and "@import" not in styles and "prefers-color-scheme: dark" in styles


def test_formulas_are_mathml_everywhere(site):
    page = site["07_toy.html"]
    assert len(page.find_all("math")) >= 6
    assert page.select_one('math[display="block"]') and page.select_one(".facts math") and page.select_one("td math")
    assert not re.search(r"\$|\\begin|\\frac", page.main.get_text())


def test_pictures_have_alternative_text_and_chapters_link_to_each_other(site):
    picture = site["07_toy.html"].select_one("main img")
    assert picture["alt"] == "Two points joined by a line that rises to the right"
    assert site["07_toy.html"].select_one('a[rel="next"]')["href"] == "08_toy.html"
    assert site["08_toy.html"].select_one('a[rel="prev"]')["href"] == "07_toy.html"
    assert not site["07_toy.html"].select('a[rel="prev"]')
    for soup in site.values():
        local = [a["href"] for a in soup.find_all("a") if not a["href"].startswith(("http", "#"))]
        assert set(local) <= set(site)
        assert all(soup.find(id=a["href"][1:]) for a in soup.find_all("a") if a["href"].startswith("#"))


def test_solutions_are_folded_and_outputs_are_not(site):
    page = site["07_toy.html"]
    assert len(page.select("details.folded.solution")) == 3
    assert "return 2 * x" in page.select_one("details.folded.solution").get_text().replace("\xa0", " ")
    assert "checked 7.1" in page.select_one("#check-7-1").get_text()


def test_an_unexecuted_notebook_is_refused(toy, tmp_path):
    shutil.copy2(toy.exercise, tmp_path / "07_toy.ipynb")
    with pytest.raises(CourseError, match="not built and executed"):
        notebooks.pages(tmp_path, tmp_path / "build")
    with pytest.raises(CourseError, match="notebooks-run"):
        notebooks.pages(tmp_path / "none", tmp_path / "build")
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize(
    "cell, said", [("$\\nosuchcommand$", "nosuchcommand"), ("![x](https://example.org/a.png)", "would load")]
)
def test_a_page_that_cannot_be_made_is_refused_and_nothing_is_written(toy, tmp_path, cell, said):
    notebook = nbformat.read(toy.solution, as_version=4)
    notebook.cells.append(nbformat.v4.new_markdown_cell(cell))
    nbformat.write(notebook, tmp_path / "07_toy.ipynb")
    with pytest.raises(CourseError, match=said):
        notebooks.pages(tmp_path, tmp_path / "build")
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize(
    "latex, part",
    [
        (r"\mathbb{E}_{q}[\log p]", "𝔼"),
        (r"\begin{aligned} a &= b \\ c &= d \end{aligned}", "mtable"),
        (r"\boldsymbol{\mu}", "𝝁"),
        (r"\left\| x \right\|_2^2", "msubsup"),
        ("a < b", "&lt;"),
        (r"\mathcal N(0, I)", "𝒩"),
        (r"\mathbb E", "𝔼"),
        (r"\log p", '<mi>log</mi><mspace width="0.167em" /><mi>p</mi>'),
        (r"\max_x f", '</msub><mspace width="0.167em" />'),
        (r"\exp(x)", "<mi>exp</mi><mo"),
    ],
)
def test_formulas_render(latex, part):
    assert part in to_mathml(latex)


@pytest.mark.parametrize(
    "latex",
    [r"\nosuch x", r"\frac{1", r"\frac{1}", r"a \mathrel{:=} b", r"\operatorname*{arg\,min}_x", r"\text{a $x$}"],
)
def test_formulas_that_would_come_out_wrong_are_refused(latex):
    with pytest.raises(CourseError, match="does not render"):
        to_mathml(latex)
