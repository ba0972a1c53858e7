"""Chromium, for tests of pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.programs import found, needed


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return Chromium. While it is there an event loop runs, which tests of other modules could not stand."""
    needed("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()
