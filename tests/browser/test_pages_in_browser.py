"""The course's pages in a real browser: every picture loads, nothing goes wrong, nothing comes from elsewhere."""

import pytest

from course_utils import notebooks, paths

SOLUTIONS = paths.PACKAGE.parent / "notebooks" / "solutions"
LOADED = "images => images.map(image => [image.alt, image.complete && image.naturalWidth])"
STEMS = sorted(path.stem for path in SOLUTIONS.glob("*.ipynb"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages as `make pages` writes them."""
    folder = tmp_path_factory.mktemp("site")
    notebooks.pages(SOLUTIONS, folder)
    return folder


def test_the_index_leads_to_every_chapter(site, page):
    page.goto((site / "index.html").as_uri())
    for stem in STEMS:
        assert page.locator(f'a[href="{stem}.html"]').count() >= 1
    page.locator(f'a[href="{STEMS[0]}.html"]').first.click()
    page.wait_for_url(f"**/{STEMS[0]}.html")
    assert page.problems == []


@pytest.mark.parametrize("stem", STEMS)
def test_a_page_shows_all_its_pictures(site, page, stem):
    page.goto((site / f"{stem}.html").as_uri(), wait_until="load")
    images = page.locator("img").evaluate_all(LOADED)
    assert images and all(width > 0 for _, width in images), images
    assert page.locator("h1").first.is_visible()
    assert page.problems == []
