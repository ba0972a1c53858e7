"""The audit: a line for each request that changes something or was to, who asked, and never what was sent."""

from __future__ import annotations

import json
import logging
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from im_callback.provider_mock.server import audit
from im_callback.provider_mock.server.audit import Entry
from im_callback.provider_mock.server.options import AppSettings
from im_callback.provider_mock.server.tokens import Tokens

from tests.provider_mock_server.running import refused, running
from tests.provider_mock_server.served import Served, served
from tests.provider_mock_server.test_access import APP, bearer, kept, text_of
from tests.provider_mock_server.test_server_apis import ENTRY, SET, rong

SECRET = "shop-secret-hush-77"


class Told(logging.Handler):
    """Keeps the lines, as fields."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        assert "audit" == getattr(record, "event", None)
        self.lines.append(dict(getattr(record, "fields", {})))

    def short(self) -> list[tuple[Any, ...]]:
        """Return of each line who asked, for what, about what, and what came of it."""
        return [tuple(one[name] for name in ("token", "operation", "app", "id", "status")) for one in self.lines]


@pytest.fixture
def told() -> Iterator[Told]:
    """The lines, as they come."""
    handler, level = Told(), audit.log.level
    audit.log.addHandler(handler)
    audit.log.setLevel(logging.INFO)
    yield handler
    audit.log.removeHandler(handler)
    audit.log.setLevel(level)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    """Serve for who manages and who sends."""
    tokens = {"staff": kept(tmp_path, "staff", "read", "manage"), "ci": kept(tmp_path, "ci", "read", "send")}
    with served(tmp_path / "server", tokens=Tokens(tokens)) as found:
        found.session.headers.update(bearer("staff"))
        yield found


class TestApi:
    """Requests of the API."""

    def test_told(self, server: Served, told: Told) -> None:
        """What changes something, whatever comes of it, and what was not let in."""
        ci = bearer("ci")
        server.ask("POST", "/apps", {"name": "shop", "app_secret": SECRET, **APP})
        server.ask("PUT", "/apps/shop", {**APP, "policy": "never"})
        server.ask("PUT", "/apps/shop/faults", {"faults": []})
        server.ask("POST", "/apps/shop/events", {"events": [{"type": "commsease.login"}]}, headers=ci)
        server.ask("POST", "/apps/shop/reset", headers=ci)
        server.ask("POST", "/apps/shop/reset", headers={"Authorization": "Bearer somebody-s-token-1"})
        server.ask("POST", "/redeliveries", {"ids": [1, 9]}, headers=ci)
        server.ask("POST", "/redeliveries", {"filter": {"app": "shop"}}, headers=ci)
        server.ask("POST", "/traffic-runs/7/stop", headers=ci)
        server.ask("DELETE", "/apps/none")
        server.ask("POST", "/nowhere")
        assert [
            ("staff", "add_app", "shop", "-", 201),
            ("staff", "put_app", "shop", "-", 422),
            ("staff", "put_standing_faults", "shop", "-", 200),
            ("ci", "accept_events", "shop", "-", 202),
            ("ci", "reset_app", "shop", "-", 403),
            ("-", "reset_app", "shop", "-", 401),
            ("ci", "redeliver", "-", "1,9", 200),
            ("ci", "redeliver", "shop", "-", 200),
            ("ci", "stop_run", "-", "7", 404),
            ("staff", "remove_app", "none", "-", 404),
            ("staff", "-", "-", "-", 404),
        ] == told.short()
        first = told.lines[0]
        assert {"method": "POST", "made": "/api/v1/apps/shop", "remote": "127.0.0.1"}.items() <= first.items()
        whole = json.dumps(told.lines)
        assert all(hidden not in whole for hidden in (SECRET, text_of("ci"), text_of("staff"), "somebody-s-token"))

    def test_looking(self, server: Served, told: Told) -> None:
        """Who looks, or verifies, changes nothing, also where that is refused."""
        for headers in ({}, {"Authorization": "Bearer nobody"}):
            server.ask("GET", "/apps", headers=headers)
            server.ask("POST", "/verify", {"within_seconds": 0, "expect": [{"app": "none"}]}, headers=headers)
        requests.head(f"{server.url}/metrics", timeout=30)
        requests.options(f"{server.url}/api/v1/apps", timeout=30)
        assert [] == told.lines

    def test_without_tokens(self, tmp_path: Path, told: Told) -> None:
        """Without tokens it is this machine that asks, or a page of somebody else that is refused."""
        with served(tmp_path) as server:
            server.ask("PUT", "/apps/shop", APP)
            server.ask("DELETE", "/apps/shop", headers={"Origin": "http://evil.test"})
        assert [("local", "put_app", "shop", "-", 201), ("local", "remove_app", "shop", "-", 403)] == told.short()


class TestConsole:
    """What people do in a browser."""

    def test_told(self, server: Served, told: Told) -> None:
        """By the name of the token that they have logged in with."""
        server.service.apps.put("shop", AppSettings(**APP))
        with requests.Session() as session:
            session.headers["Origin"] = server.url

            def post(path: str, **form: str) -> int:
                url = f"{server.url}/console{path}"
                return session.post(url, data=form, allow_redirects=False, timeout=30).status_code

            post("/apps/shop/release")
            post("/login", token="not-one-of-them-1")
            post("/login", token=text_of("ci"))
            post("/send", app="shop", type="commsease.login", action="check")
            post("/send", app="shop", type="commsease.login", payload="{}", action="send")
            post("/apps/shop/faults")
            post("/apps/shop/release")
            post("/deliveries/4/again")
            session.get(f"{server.url}/", timeout=30)
            post("/logout")
        assert [
            ("-", "console.release", "shop", "-", 401),
            ("-", "console.enter", "-", "-", 403),
            ("ci", "console.enter", "-", "-", 303),
            ("ci", "console.sent", "shop", "-", 422),
            ("ci", "console.set_faults", "shop", "-", 403),
            ("ci", "console.release", "shop", "-", 303),
            ("ci", "console.again", "-", 4, 404),
            ("ci", "console.leave", "-", "-", 303),
        ] == told.short()
        assert "not-one-of-them-1" not in json.dumps(told.lines)


class TestServerApis:
    """Calls of the providers' SDKs."""

    def test_told(self, server: Served, told: Told) -> None:
        """By the app whose key has signed; what only asks is not told."""
        server.service.apps.put("rooms", AppSettings("rongcloud", "http://127.0.0.1:9/"))
        rong(server, SET, ENTRY)
        rong(server, SET, ENTRY, secret=SECRET)
        rong(server, SET, ENTRY, key="nobody")
        rong(server, "/chatroom/entry/query.json", {"chatroomId": "r"})
        assert [
            ("-", SET, "rooms", "-", 200),
            ("-", SET, "-", "-", 401),
            ("-", SET, "-", "-", 401),
        ] == told.short()
        assert SECRET not in json.dumps(told.lines)


class TestFile:
    """The lines in a file of their own."""

    @pytest.fixture
    def handler(self, tmp_path: Path) -> Iterator[audit.AuditFile]:
        """What writes to the file."""
        handler = audit.keep(tmp_path / "audit.jsonl")
        level = audit.log.level
        audit.log.setLevel(logging.INFO)
        yield handler
        audit.log.removeHandler(handler)
        audit.log.setLevel(level)
        handler.close()

    def tell(self, number: int) -> None:
        """Write a line."""
        audit.tell(Entry(changes=True, operation=f"number-{number}"), "POST", 200, "127.0.0.1")

    def test_running(self, tmp_path: Path) -> None:
        """Each line is there at once, as in the log, for nobody else to read; a new start goes on behind it."""
        file = tmp_path / "audit.jsonl"
        options = ("--database", str(tmp_path / "mock.db"), "--audit-file", str(file))
        for name in ("one", "two"):
            with running(*options) as server:
                url = f"{server.url}/api/v1/apps/{name}"
                assert 201 == requests.put(url, json={**APP, "app_secret": SECRET}, timeout=30).status_code
                last = json.loads(file.read_text().splitlines()[-1])
                assert {"level": "info", "event": "audit", "token": "local", "app": name}.items() <= last.items()
                assert 0 == server.end()
                assert [last] == [one for one in server.records() if one["event"] == "audit"]
        assert ["one", "two"] == [json.loads(line)["app"] for line in file.read_text().splitlines()]
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)
        assert SECRET not in file.read_text()

    def test_cannot_be_written(self, tmp_path: Path) -> None:
        """The server does not start."""
        (tmp_path / "folder").mkdir()
        status, told = refused("--database", str(tmp_path / "mock.db"), "--audit-file", str(tmp_path / "folder"))
        assert (
            2,
            f"error: --audit-file {tmp_path / 'folder'}: cannot be written (Is a directory); give a file that this user may write\n",
        ) == (status, told)
        assert not (tmp_path / "mock.db").exists()

    def test_moved_away(self, handler: audit.AuditFile, tmp_path: Path) -> None:
        """A file that is moved away, as to keep a month of them, is made anew."""
        self.tell(1)
        (tmp_path / "audit.jsonl").rename(tmp_path / "audit.1")
        self.tell(2)
        for name, number in (("audit.1", 1), ("audit.jsonl", 2)):
            (line,) = (tmp_path / name).read_text().splitlines()
            assert f"number-{number}" == json.loads(line)["operation"]
        assert 0o600 == stat.S_IMODE((tmp_path / "audit.jsonl").stat().st_mode)

    def test_later(self, handler: audit.AuditFile, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Where it cannot be written any more the log says so once, and nothing stops; then it goes on."""
        file = tmp_path / "audit.jsonl"
        file.unlink()
        file.mkdir()
        self.tell(1)
        self.tell(2)
        assert [f"the audit file {file} cannot be written (Is a directory); its lines are in the log"] == [
            one.getMessage() for one in caplog.records if one.levelno == logging.WARNING
        ]
        file.rmdir()
        self.tell(3)
        assert ["number-3"] == [json.loads(line)["operation"] for line in file.read_text().splitlines()]
