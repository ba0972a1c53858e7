"""Sessions of several tokens: what each may do in the console, and when a session is over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests
from im_callback.provider_mock.server.options import AppSettings
from im_callback.provider_mock.server.tokens import SCOPES, Scope, Tokens, TokenSettings

from tests.provider_mock_console.test_door import LOGIN, get, post
from tests.provider_mock_server.served import Served, served, written

END = datetime(2026, 12, 31, tzinfo=timezone.utc)
READS: tuple[Scope, ...] = ("read",)
SENDS: tuple[Scope, ...] = ("read", "send")
#: What is done in the console, with the scope that it needs.
DONE = {
    "/console/deliveries/1/again": "send",
    "/console/send": "send",
    "/console/apps/shop/release": "send",
    "/console/apps/shop/resume": "send",
    "/console/apps/shop/traffic": "send",
    "/console/apps/shop/scenario": "send",
    "/console/scenarios/1/stop": "send",
    "/console/runs/1/stop": "send",
    "/console/apps/shop/faults": "manage",
}


def text_of(name: str) -> str:
    """Return what a token of this name is in these tests."""
    return f"{name}-token-of-a-session"


def in_file(folder: Path, name: str, *scopes: Scope, expires: datetime | None = None) -> TokenSettings:
    """Return a token that is in a file."""
    return TokenSettings(written(folder / name, text_of(name)), frozenset(scopes), expires)


class Now:
    """A time that can be moved."""

    def __init__(self) -> None:
        self.moment = END - timedelta(hours=1)

    def __call__(self) -> datetime:
        """Return it."""
        return self.moment


@pytest.fixture
def now() -> Now:
    """An hour before the end of the token that ends."""
    return Now()


@pytest.fixture
def server(tmp_path: Path, now: Now) -> Iterator[Served]:
    """Serve an app for who looks, who sends, who does everything but look, and who does everything until the end."""
    settings = {
        "viewer": in_file(tmp_path, "viewer", *READS),
        "tester": in_file(tmp_path, "tester", *SENDS),
        "job": in_file(tmp_path, "job", "send", "manage"),
        "guest": in_file(tmp_path, "guest", *SCOPES, expires=END),
    }
    with served(tmp_path / "server", tokens=Tokens(settings, now)) as found:
        found.service.apps.put("shop", AppSettings("commsease", "http://127.0.0.1:9/"))
        yield found


@contextmanager
def logged_in(server: Served, name: str) -> Iterator[requests.Session]:
    """Log in with a token."""
    with requests.Session() as session:
        session.trust_env = False
        assert 303 == post(server, LOGIN, {"token": text_of(name)}, session).status_code
        yield session


class TestScopes:
    """A session does what its token allows."""

    @pytest.mark.parametrize(("name", "scopes"), [("viewer", READS), ("tester", SENDS), ("guest", SCOPES)])
    @pytest.mark.parametrize("path", DONE)
    def test_done(self, path: str, name: str, scopes: tuple[Scope, ...], server: Served) -> None:
        """What it does not allow is said in a plain sentence, with the token's name."""
        with logged_in(server, name) as session:
            answer = post(server, path, None, session)
        if DONE[path] in scopes:
            assert answer.status_code in (303, 404, 422)
            return
        told = f"the token {name} has not the scope {DONE[path]}; log in with one that has it\n"
        assert (403, "text/plain; charset=utf-8", told) == (
            answer.status_code,
            answer.headers["Content-Type"],
            answer.text,
        )

    @pytest.mark.parametrize(
        ("name", "shown", "hidden"),
        [
            ("viewer", (), ("Send an event", "Synchronise the backlog", "Start traffic", "Set these faults", ">Send<")),
            ("tester", ("Send an event", "Synchronise the backlog", "Start traffic", ">Send<"), ("Set these faults",)),
            ("guest", ("Send an event", "Synchronise the backlog", "Start traffic", "Set these faults", ">Send<"), ()),
        ],
    )
    def test_shown(self, name: str, shown: tuple[str, ...], hidden: tuple[str, ...], server: Served) -> None:
        """What it does not allow is not offered."""
        with logged_in(server, name) as session:
            page = get(server, "/console/apps/shop", session).text
        assert all(text in page for text in shown)
        assert not any(text in page for text in hidden)
        assert "everything goes as it should" in page

    def test_form(self, server: Served) -> None:
        """Who opens the form all the same is told that it leads nowhere."""
        for name, told in (("viewer", True), ("tester", False)):
            with logged_in(server, name) as session:
                assert told == ("has not the scope" in get(server, "/console/send?app=shop", session).text)

    def test_pages_need_to_read(self, server: Served) -> None:
        """A token that may not read does not open the door."""
        answer = post(server, LOGIN, {"token": text_of("job")})
        assert 403 == answer.status_code
        assert "The token job may not look at the console" in answer.text
        assert "Set-Cookie" not in answer.headers


class TestOver:
    """A session ends with its token."""

    def statuses(self, server: Served, session: requests.Session) -> tuple[int, int]:
        """Return the answers to a look and to a change."""
        look = get(server, "/", session).status_code
        return look, post(server, "/console/apps/shop/release", None, session).status_code

    def test_changed(self, server: Served, tmp_path: Path) -> None:
        """When the token is another one, when it is the old one again, and those of others stay."""
        with logged_in(server, "tester") as session, logged_in(server, "viewer") as other:
            assert (200, 303) == self.statuses(server, session)
            written(tmp_path / "tester", "the-next-token-of-it")
            server.tokens.look()
            assert (303, 401) == self.statuses(server, session)
            assert (200, 403) == self.statuses(server, other)
            answer = post(server, "/console/apps/shop/release", None, session)
            assert f"the session is over; log in at {LOGIN}\n" == answer.text

    def test_gone(self, server: Served, tmp_path: Path) -> None:
        """When there is none any more."""
        with logged_in(server, "tester") as session:
            (tmp_path / "tester").unlink()
            server.tokens.look()
            assert (303, 401) == self.statuses(server, session)

    def test_expired(self, server: Served, now: Now) -> None:
        """When it has expired; nobody logs in with it any more either."""
        with logged_in(server, "guest") as session:
            assert (200, 303) == self.statuses(server, session)
            now.moment = END
            assert (303, 401) == self.statuses(server, session)
        answer = post(server, LOGIN, {"token": text_of("guest")})
        assert (403, True) == (answer.status_code, "The token guest has expired." in answer.text)

    def test_of_another(self, server: Served) -> None:
        """A cookie does not become that of another token by its name."""
        with logged_in(server, "viewer") as session:
            (cookie,) = session.cookies
            assert cookie.value is not None
            assert cookie.value.startswith("viewer.")
            forged = cookie.value.replace("viewer", "guest", 1)
            answer = requests.get(
                f"{server.url}/", headers={"Cookie": f"{cookie.name}={forged}"}, allow_redirects=False, timeout=30
            )
        assert 303 == answer.status_code
