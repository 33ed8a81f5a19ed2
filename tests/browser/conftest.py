"""A real browser, and a JupyterLab to open in it; both are skipped where they are not installed."""

from __future__ import annotations

import shutil

import pytest
from lab_server import lab_server

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# No sandbox: containers and continuous integration run as root. The rest keeps the browser from calling home.
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
OPTIONS += ["--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra 'test')")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser here: none of {', '.join(BROWSERS)} is installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, tmp_path):
    """A new window. `page.problems` lists errors on the console, exceptions, and requests to any other host.

    What it shows last is kept as page.png in the test's folder: the first thing to look at when the test fails."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.problems = []
    page.on("console", lambda m: m.type == "error" and page.problems.append(f"console: {m.text} {m.location['url']}"))
    page.on("pageerror", lambda error: page.problems.append(f"exception: {error}"))
    page.on("request", lambda r: _is_elsewhere(r.url) and page.problems.append(f"request: {r.url[:200]}"))
    yield page
    page.screenshot(path=tmp_path / "page.png")
    page.close()


def _is_elsewhere(url: str) -> bool:
    here = ("data:", "blob:", "about:", "file:", "http://127.0.0.1:", "ws://127.0.0.1:")
    return not url.startswith(here)


@pytest.fixture
def lab(tmp_path):
    """A JupyterLab on an empty folder: .folder, .url(notebook)."""
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed (extra 'notebooks')")
    with lab_server(tmp_path) as server:
        yield server
