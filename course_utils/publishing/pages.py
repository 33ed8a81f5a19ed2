"""Readable pages from executed solution notebooks: an HTML file a chapter and an index, complete in themselves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat

from course_utils import paths
from course_utils.errors import CourseError, reject
from course_utils.files import write_text
from course_utils.publishing.assemble import ASSETS, colab_link, notebook_path
from course_utils.publishing.mathml import to_mathml
from course_utils.publishing.source import NAME

LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src"}


@dataclass
class Page:
    """What the template needs to know of a chapter."""

    stem: str
    number: str
    title: str
    question: str
    minutes: int
    goals: list[str]
    exercises: int
    notebook: str
    colab: str
    css: str
    previous: dict | None = None
    next: dict | None = None
    picture: str = ""  # the chapter's first figure, a PNG in base64

    @property
    def href(self) -> str:
        return f"{self.stem}.html"

    @property
    def link(self) -> dict:
        return {"href": self.href, "label": f"{self.number} {self.title}"}


def write_pages(notebook_dir: Path, out_dir: Path) -> list[Path]:
    """Write NN_topic.html for each executed solution notebook of a folder, and index.html, the first path returned.

    CourseError when there is no notebook, one was never executed, a formula does not render, a picture has no
    alternative text, or something would be loaded from elsewhere; then nothing is written.
    """
    files = sorted(p for p in Path(notebook_dir).glob("*.ipynb") if NAME.match(p.stem))
    if not files:
        raise reject(
            "notebook_dir", str(notebook_dir), "a folder with solution notebooks", "Build them: make notebooks-run."
        )
    notebooks = [nbformat.read(file, as_version=4) for file in files]
    pages = [_page(file, notebook) for file, notebook in zip(files, notebooks, strict=True)]
    for before, after in zip(pages, pages[1:], strict=False):
        before.next, after.previous = after.link, before.link
    written = {"index.html": _index(pages)}
    for page, notebook in zip(pages, notebooks, strict=True):
        written[page.href] = _html(page, notebook)
    for name, text in written.items():
        write_text(Path(out_dir) / name, text)
    return [Path(out_dir) / name for name in written]


def _page(file: Path, notebook) -> Page:
    course = notebook.metadata.get("course")
    code = [c for c in notebook.cells if c.cell_type == "code"]
    if not course or any(c.execution_count is None for c in code):
        raise CourseError(f"{file.name} was not built and executed: run make notebooks-run")
    pictures = [o.data["image/png"] for c in code for o in c.outputs if "image/png" in o.get("data", {})]
    known = {key: course[key] for key in ("title", "question", "minutes", "goals", "exercises")}
    exercise = notebook_path(file.stem, solved=False)
    return Page(
        file.stem, course["chapter"], **known, notebook=exercise, colab=colab_link(exercise), css=_css(),
        picture=pictures[0].replace("\n", "") if pictures else "",
    )  # fmt: skip


@cache
def _css() -> str:
    """The style sheet, with the colors of code for a light and for a dark ground."""
    from pygments.formatters import HtmlFormatter

    def colors(style: str) -> str:
        lines = HtmlFormatter(style=style).get_style_defs(".highlight").splitlines()
        return "\n".join(line for line in lines if line.startswith(".highlight ."))

    own = (ASSETS / "page.css").read_text(encoding="utf-8")
    return f"{own}\n{colors('friendly')}\n@media (prefers-color-scheme: dark) {{\n{colors('github-dark')}\n}}"


def render_markdown(text: str) -> str:
    """Markdown to HTML with formulas as MathML. CourseError names a formula that does not render."""
    from nbconvert.filters.markdown_mistune import MarkdownWithMath

    return MarkdownWithMath(renderer=_renderer()(escape=False)).render(text)


def _inline(text: str) -> str:
    return render_markdown(text).strip().removeprefix("<p>").removesuffix("</p>")


@cache
def _renderer() -> type:
    from nbconvert.filters.markdown_mistune import IPythonRenderer

    class Renderer(IPythonRenderer):
        def block_math(self, body):
            return to_mathml(body, "block")

        def inline_math(self, body):
            return to_mathml(body, "inline")

        def latex_environment(self, name, body):
            return to_mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")

    return Renderer


@cache
def _exporter():
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    class PageExporter(HTMLExporter):
        def default_filters(self):
            yield from super().default_filters()
            yield "markdown2html", render_markdown
            yield "inline", _inline

    folder = str(Path(__file__).parent / "template")
    options = {"extra_template_basedirs": [folder], "template_name": "course", "exclude_output_prompt": True}
    return PageExporter(config=Config({"TemplateExporter": options}))


def _html(page: Page, notebook) -> str:
    from bs4 import BeautifulSoup

    name = f"{page.stem}.ipynb"
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}) and not output.metadata.get("image/png", {}).get("alt"):
                raise CourseError(f"{name}: a picture without alternative text in the cell {cell.source[:60]!r}")
    try:
        text, _ = _exporter().from_notebook_node(notebook, resources={"page": page})
    except CourseError as error:
        raise CourseError(f"{name}: {error}") from error
    soup = BeautifulSoup(text, "html.parser")
    _sections(soup)
    for tag, attribute in LOADS.items():
        for element in soup.find_all(tag):
            if element.get(attribute) and not element[attribute].startswith("data:"):
                raise CourseError(f"{name}: the page would load {element[attribute]!r}; show pictures from a code cell")
    return str(soup)


def _sections(soup) -> None:
    """Fill the list "On this page" from the second-level headings, or take it out when there are none."""
    details = soup.select_one("details.sections")
    headings = soup.select("main h2[id]")
    if not headings:
        details.decompose()
        return
    for heading in headings:
        item, link = soup.new_tag("li"), soup.new_tag("a", href=f"#{heading['id']}")
        link.string = heading.get_text().removesuffix("¶").strip()
        item.append(link)
        details.ol.append(item)


def _index(pages: list[Page]) -> str:
    import jinja2

    template = jinja2.Template((ASSETS / "index.html.j2").read_text(encoding="utf-8"))
    return template.render(pages=pages, css=_css(), inline=_inline, repository=paths.repository_url())
