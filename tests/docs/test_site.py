"""The site as its reader has it: opened as files, without a network, on a telephone and on a desk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from playwright.sync_api import Error as PlaywrightError

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
WIDTHS = (390, 800, 1440)
MOST = 3
"""Pages of a folder that are looked at."""
MOMENT = 10_000
"""Milliseconds at most until a page has come to rest."""
#: How far a page can be moved sideways, and what stands out of it on the right: nothing may.
OUTSIDE = """() => [
    document.scrollingElement.scrollWidth - window.innerWidth,
    [...document.querySelectorAll('article > *')].filter(
        one => one.getBoundingClientRect().right > window.innerWidth
    ).map(one => one.outerHTML.slice(0, 80)),
]"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (0, "") == (built.returncode, built.stdout + built.stderr)
    return folder


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Return a page that asks nobody for anything, and makes no error."""
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert [] == [url for url in asked if not url.startswith(("file:", "data:"))]
    assert [] == errors


def shapes(site: Path) -> list[Path]:
    """Return the pages; of those about checks, which are written by one program, the largest of each folder."""
    pages = sorted(site.rglob("*.html"))
    checks = {folder: sorted(folder.glob("*.html")) for folder in (site / "checks").iterdir() if folder.is_dir()}
    alike = {page for written in checks.values() for page in written}
    largest = [max(written, key=lambda page: page.stat().st_size) for written in checks.values()]
    return [page for page in pages if page not in alike or page in largest]


def test_fits(site: Path, page: Page) -> None:
    """Nothing runs out of any page at any width."""
    outside = []
    for file in shapes(site):
        page.goto(file.as_uri())
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            try:
                # The theme moves its menus a moment after the window has changed.
                page.wait_for_function(f"JSON.stringify(({OUTSIDE})()) == '[0,[]]'", timeout=MOMENT)
            except PlaywrightError:
                outside.append((file.name, width, page.evaluate(OUTSIDE)))
    assert [] == outside


def looked_at(site: Path) -> list[Path]:
    """Return the pages at the top, and of each folder, whose pages are of one kind, the largest."""
    folders = defaultdict(list)
    for file in site.rglob("*.html"):
        folders[file.parent].append(file)
    return [
        file
        for folder, files in sorted(folders.items())
        for file in sorted(files, key=lambda one: -one.stat().st_size)[: None if folder == site else MOST]
    ]


def test_wide_table(site: Path, page: Page) -> None:
    """A table that is wider than the telephone moves by itself."""
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto((site / "providers" / "index.html").as_uri())
    around = page.locator(".md-typeset__scrollwrap").first
    wide, seen = around.evaluate("one => [one.scrollWidth, one.clientWidth]")
    assert wide > seen
    assert "auto" == around.evaluate("one => getComputedStyle(one).overflowX")


@pytest.mark.parametrize("width", WIDTHS)
def test_search(site: Path, page: Page, width: int) -> None:
    """The search finds a word, and leads to its page."""
    page.set_viewport_size({"width": width, "height": 900})
    page.goto((site / "index.html").as_uri())
    page.locator(".md-header [for=__search], .md-search__input").locator("visible=true").first.click()
    page.get_by_text("Type to start searching").wait_for()
    page.locator(".md-search__input").press_sequentially("logrotate")
    page.locator(".md-search-result__item a").first.click()
    page.wait_for_url("**/effects.html*")


def test_dark(site: Path, browser: Browser) -> None:
    """Who has the system dark reads light on dark."""
    for scheme, dark in (("light", False), ("dark", True)):
        context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto((site / "index.html").as_uri())
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        lightness = sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(", ")))
        assert dark is (lightness < 3 * 128)
        context.close()
