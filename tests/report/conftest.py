"""The report of real runs, and a browser to read it in."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import browser
from tests.plugin.processes import environment, receiver
from tests.report.hostile import hostile

__all__ = ["browser"]

FEW = (
    "acknowledgement.acks-probe",
    "deduplication.concurrent",
    "deduplication.no-identity",
    "deduplication.retry-reformatted",
    "deduplication.same-request-again",
    "deduplication.twins-are-kept",
    "ordering.stale-ignored",
    "signature.accepts-raw-bytes",
    "signature.rejects-missing",
    "signature.rejects-stale",
)
"""Checks that show the naive receiver to be wrong in each way, and some that end otherwise."""
HANDLES = "--handles=commsease.login,commsease.conversation/PERSON/TEXT"
"""So few kinds of events that nobody waits for the others."""
SECONDS = 300


@dataclass(frozen=True)
class Written:
    """What a run wrote: the document, and the page that was made of it."""

    document: dict[str, Any]
    page: Path

    @property
    def url(self) -> str:
        """Where a browser finds the page."""
        return self.page.as_uri()


def checked(folder: Path, url: str, effects: str, *checks: str) -> Written:
    """Run some checks against a receiver, through the command, and return what it wrote."""
    command = [sys.executable, "-m", "im_callback.provider_mock", "check", f"--to={url}", f"--effects={effects}"]
    command += ["--json=result.json", "--report=report.html", "--seed=7", HANDLES]
    command += [f"--check=*.{name}" for name in checks]
    ended = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert 1 == ended.returncode, ended.stdout + ended.stderr
    document = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return Written(document, folder / "report.html")


@pytest.fixture(scope="session")
def naive(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Return what a run against the naive receiver wrote."""
    folder = tmp_path_factory.mktemp("naive")
    with receiver("naive.py", folder) as base:
        return checked(folder, f"{base}/commsease", f"{base}/effects?provider=commsease", *FEW)


@pytest.fixture(scope="session")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Return what a run against a receiver wrote that tries to get out of the report, by its very address too."""
    with hostile() as base:
        address = f"{base}/%22%3E%3Cscript%3E</x'\"><img/onerror=window.owned=1>"
        some = ("acknowledgement.acks-probe", "deduplication.same-request-again", "ordering.stale-ignored")
        return checked(tmp_path_factory.mktemp("attacked"), address, f"{base}/effects", *some)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Return a page that asks nobody for anything but itself, and about which the browser has nothing to say."""
    context = browser.new_context()
    asked: list[str] = []
    told: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.on("weberror", lambda error: told.append(str(error.error)))
    context.on("console", lambda message: told.append(message.text))
    context.on("dialog", lambda dialog: told.append(dialog.message))
    page = context.new_page()
    yield page
    context.close()
    assert [] == [url for url in asked if not url.startswith("file:")]
    assert [] == told
