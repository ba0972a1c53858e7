"""Consoles behind a token, with receivers of all kinds, and a browser to use them in."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from im_callback.provider_mock.server.scenarios import Phase
from im_callback.provider_mock.server.service import Service
from playwright.sync_api import Browser, Page

from tests.browser import browser
from tests.provider_mock.peers import Script, answers
from tests.provider_mock_server.served import TOKEN, Served, served
from tests.report.hostile import ATTACK, WIDE, ZALGO

__all__ = ["browser"]

SCENARIOS = {"bad-day": (Phase("a flood", 3600.0, 5.0), Phase(f"an outage {ATTACK}", 60.0, 1.0, ("refuse",)))}
SHOP = {"provider": "commsease", "endpoint": "http://receiver.example/cb"}


def verifying(connection: socket.socket, data: bytes) -> None:
    """Refuse what was changed on the way, in words."""
    head, _, body = data.partition(b"\r\n\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in head.split(b"\r\n"))}
    if fields[b"md5"].decode() == hashlib.md5(body).hexdigest():
        _say(b"200 OK", b'{"taken": true}')(connection, data)
    else:
        _say(b"403 Forbidden", b"the MD5 is not that of the body")(connection, data)


def _say(status: bytes, body: bytes, *headers: bytes) -> Script:
    head = b"\r\n".join([b"HTTP/1.1 " + status, *headers, b"Content-Length: %d" % len(body)])
    return answers(head + b"\r\n\r\n" + body)


def hostile() -> Script:
    """Return the script that answers with what could get out of a page."""
    said = f"{ATTACK}{ZALGO}{WIDE[:300]}"
    header = ATTACK.encode("ascii", "replace").replace(b"\x1b", b"").replace(b"\x07", b"")
    return _say(b"403 Forbidden", said.encode(), b"Content-Type: text/html", b"X-Evil: " + header)


@dataclass
class Console:
    """A console in a page that has logged in."""

    served: Served
    page: Page

    def open(self, path: str = "/") -> Page:
        """Go to a page of it."""
        self.page.goto(f"{self.served.url}{path}")
        return self.page


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Return a service without apps."""
    with Service(str(tmp_path / "mock.db"), secrets=tmp_path / "secrets") as found:
        yield found


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve with a token, for a receiver that verifies."""
    with served(tmp_path_factory.mktemp("console"), token=TOKEN, script=verifying, scenarios=SCENARIOS) as found:
        assert 201 == found.ask("PUT", "/apps/shop", SHOP).status_code
        yield found


@pytest.fixture(scope="module")
def attacked(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve with a token, for a receiver that attacks."""
    with served(tmp_path_factory.mktemp("attacked"), token=TOKEN, script=hostile(), scenarios=SCENARIOS) as found:
        assert 201 == found.ask("PUT", "/apps/shop", SHOP).status_code
        yield found


@pytest.fixture
def entered(browser: Browser) -> Iterator[Callable[[Served], Console]]:
    """Logs in to consoles, in pages that ask nobody else for anything, and about which the browser has nothing to say."""
    context = browser.new_context()
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    asked: list[str] = []
    told: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.on("weberror", lambda error: told.append(str(error.error)))
    context.on("console", lambda message: told.append(message.text))
    context.on("dialog", lambda dialog: told.append(dialog.message))
    urls: list[str] = []

    def enter(served: Served) -> Console:
        urls.append(served.url)
        page = context.new_page()
        page.goto(served.url)
        page.get_by_label("The server's token").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"{served.url}/")
        return Console(served, page)

    yield enter
    context.close()
    assert [] == [url for url in asked if not url.startswith(tuple(urls))]
    # That a form is refused is told by its status, too; and what was no longer waited for.
    usual = ("422", "htmx:afterRequest", "htmx:send")
    assert [] == [text for text in told if not any(one in text for one in usual)]


@pytest.fixture
def console(entered: Callable[[Served], Console], server: Served) -> Console:
    """Return the console of the receiver that verifies."""
    return entered(server)
