"""Chapter 02 in JupyterLab in a real browser: run it, move a slider, see the picture change."""

import re
import time

import nbformat
import pytest

from course_utils import paths

CHAPTER = paths.PACKAGE.parent / "notebooks" / "solutions" / "02_variational_autoencoders.ipynb"
RUN_S = 400  # for the whole chapter; it takes some 30 s on an idle machine
BADGE = "colab-badge.svg"  # the one thing a notebook shows that lies elsewhere; without a network its place stays empty
# What the browser has decoded, pixel for pixel: the address of a redrawn image says nothing about its content.
PIXELS = """async image => {
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL();
}"""


@pytest.mark.slow
def test_a_slider_of_chapter_02_changes_the_picture(lab, page):
    name = copy_without_outputs(lab.folder)
    page.goto(lab.url(name))
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=60_000)
    run_all_cells(page)
    assert_every_cell_ran(page, lab.folder / name)

    slider = scrolled_to(page, ".widget-slider", r"^z\[\d+\]")
    image = page.locator(".jp-OutputArea-output img.widget-image")
    handle = slider.locator(".noUi-handle")
    first, before = image.evaluate(PIXELS), float(handle.get_attribute("aria-valuetext"))
    handle.focus()
    for _ in range(5):
        page.keyboard.press("PageUp")
    assert float(handle.get_attribute("aria-valuetext")) > before
    assert becomes(page, image, lambda pixels: pixels != first), "the slider moved and the picture did not change"

    wait_until_idle(page, 30)  # the last of the five moves may still be on its way
    page.get_by_role("button", name="Reset").click()
    assert becomes(page, image, lambda pixels: pixels == first), "Reset does not bring the first picture back"
    wait_until_idle(page, 30)
    assert image.evaluate(PIXELS) == first and float(handle.get_attribute("aria-valuetext")) == before
    assert [p for p in page.problems if BADGE not in p] == []


def copy_without_outputs(folder):
    """The committed chapter, with nothing to see until its cells run."""
    notebook = nbformat.read(CHAPTER, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, folder / CHAPTER.name)
    return CHAPTER.name


def run_all_cells(page):
    """By the menu, once a kernel is there; returns when all of them have run."""
    wait_until_idle(page, 90)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    wait_until_idle(page, RUN_S)


def wait_until_idle(page, seconds):
    """Until the kernel has been idle for two seconds: while it starts, it seems idle for a moment."""
    indicator, until, quiet = page.locator(".jp-Notebook-ExecutionIndicator"), time.monotonic() + seconds, 0
    while quiet < 8:
        assert time.monotonic() < until, f"the kernel is still busy after {seconds} s"
        page.wait_for_timeout(250)
        quiet = quiet + 1 if indicator.get_attribute("data-status") == "idle" else 0


def assert_every_cell_ran(page, path):
    """Saves, as a reader would, and looks at what was saved."""
    page.keyboard.press("Control+s")
    page.locator(".jp-mod-dirty").wait_for(state="detached", timeout=30_000)
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code" and c.source]
    errors = [f"{o.ename}: {o.evalue}" for c in cells for o in c.outputs if o.output_type == "error"]
    assert errors == []
    assert all(c.execution_count for c in cells)


def scrolled_to(page, selector, text):
    """The first element with this text; cells far from the window are not drawn, so scroll until it is there."""
    found = page.locator(selector).filter(has_text=re.compile(text)).first
    page.locator(".jp-Notebook").first.click(position={"x": 5, "y": 5})
    page.keyboard.press("Control+Home")
    for _ in range(150):
        if found.count() and found.is_visible():
            found.scroll_into_view_if_needed()
            return found
        page.mouse.wheel(0, 400)
        page.wait_for_timeout(100)
    raise AssertionError(f"no {selector} with {text!r} in the notebook")


def becomes(page, image, wanted, seconds=20):
    """Whether the picture's pixels become as wanted, in time."""
    for _ in range(seconds * 5):
        if wanted(image.evaluate(PIXELS)):
            return True
        page.wait_for_timeout(200)
    return False
