"""Who may ask for what: each scope at each operation, tokens that change and end while the server runs."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from im_callback.provider_mock.server import api, console
from im_callback.provider_mock.server.api.operation import Operation
from im_callback.provider_mock.server.app import create_app
from im_callback.provider_mock.server.options import AppSettings
from im_callback.provider_mock.server.service import Service
from im_callback.provider_mock.server.tokens import SCOPES, Scope, Tokens, TokenSettings

from tests.provider_mock_server.running import refused, running
from tests.provider_mock_server.served import Served, served, written
from tests.provider_mock_server.waiting import until

OPERATIONS = [one for resource in api.load() for one in resource.operations]
SCOPED = [one for one in OPERATIONS if one.scope is not None]
END = datetime(2026, 12, 31, tzinfo=timezone.utc)
APP = {"provider": "commsease", "endpoint": "http://127.0.0.1:9/"}


def text_of(name: str) -> str:
    """Return what a token of this name is in these tests."""
    return f"{name}-token-of-these-tests"


def bearer(name: str, *, text: str | None = None) -> dict[str, str]:
    """Return the header of who has this token."""
    return {"Authorization": f"Bearer {text or text_of(name)}"}


def kept(folder: Path, name: str, *scopes: Scope, expires: datetime | None = None) -> TokenSettings:
    """Return a token that is in a file."""
    return TokenSettings(written(folder / name, text_of(name)), frozenset(scopes), expires)


@pytest.fixture(scope="module")
def scoped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve for a token of each scope, and for one that ended yesterday."""
    folder = tmp_path_factory.mktemp("scoped")
    settings = {scope: kept(folder, scope, scope) for scope in SCOPES}
    settings["old"] = kept(folder, "old", *SCOPES, expires=END - timedelta(days=1))
    with served(folder / "server", tokens=Tokens(settings, lambda: END)) as found:
        yield found


def asked(server: Served, operation: Operation, name: str) -> requests.Response:
    """Return the answer to a request for an operation, without a body, of who has this token."""
    path = operation.path.replace("{app}", "none").replace("_id}", "}").replace("{delivery}", "1")
    path = path.replace("{run}", "1").replace("{scenario}", "1")
    return requests.request(operation.method, f"{server.url}{path}", headers=bearer(name), timeout=30)


class TestDeclared:
    """Every operation says which scope it needs."""

    def test_all(self) -> None:
        """Only the probes need none, and what looks needs to read."""
        assert {"/healthz", "/readyz"} == {one.path for one in OPERATIONS if one.scope is None}
        assert {"read"} == {one.scope for one in SCOPED if one.method == "GET"}
        assert {"/api/v1/verify"} == {one.path for one in SCOPED if one.scope == "read" and one.method != "GET"}

    def test_every_route(self, service: Service) -> None:
        """Nothing that the application answers is without a decision."""
        needs = api.needs() | console.needs()
        assert needs.keys() == {rule.endpoint for rule in create_app(service).url_map.iter_rules()}

    def test_document(self, scoped: Served) -> None:
        """The document shows it."""
        paths = requests.get(f"{scoped.url}/openapi.json", timeout=30).json()["paths"]
        for one in SCOPED:
            told = paths[one.path][one.method.lower()]
            assert [{"token": [one.scope]}] == told["security"]
            assert told["description"].endswith(f"A token needs the scope `{one.scope}`.")
            assert {"401", "403"} <= set(told["responses"])


class TestScopes:
    """A token does what its scopes allow."""

    @pytest.mark.parametrize("operation", SCOPED, ids=lambda one: one.name)
    def test_each(self, operation: Operation, scoped: Served) -> None:
        """Every operation is let through for its scope alone; the others are told the scope and the token's name."""
        for scope in SCOPES:
            answer = asked(scoped, operation, scope)
            if scope == operation.scope:
                assert answer.status_code not in (401, 403)
                continue
            assert (403, "application/problem+json") == (answer.status_code, answer.headers["Content-Type"])
            assert f'Bearer error="insufficient_scope", scope="{operation.scope}"' == answer.headers["WWW-Authenticate"]
            assert f"the token {scope} has not the scope {operation.scope}" in answer.json()["detail"]
            assert text_of(scope) not in answer.text

    @pytest.mark.parametrize("operation", SCOPED, ids=lambda one: one.name)
    def test_expired(self, operation: Operation, scoped: Served) -> None:
        """After its end it opens nothing, and who has it is told."""
        answer = asked(scoped, operation, "old")
        assert (401, 'Bearer error="invalid_token"') == (answer.status_code, answer.headers["WWW-Authenticate"])
        assert "the token old has expired, at 2026-12-30T00:00:00+00:00; ask for a new one" in answer.json()["detail"]
        assert text_of("old") not in answer.text

    @pytest.mark.parametrize("scope", SCOPES)
    def test_nowhere(self, scope: Scope, scoped: Served) -> None:
        """What there is not is not there for any of them."""
        for method, path, status in (("GET", "/nowhere", 404), ("POST", "/metrics", 405), ("PUT", "/api/v1/apps", 405)):
            answer = requests.request(method, f"{scoped.url}{path}", headers=bearer(scope), timeout=30)
            assert status == answer.status_code

    def test_head(self, scoped: Served) -> None:
        """Looking at the head only is looking."""
        for scope, status in (("read", 200), ("send", 403)):
            answer = requests.head(f"{scoped.url}/api/v1/apps", headers=bearer(scope), timeout=30)
            assert status == answer.status_code

    @pytest.mark.parametrize(
        "path",
        [
            "/api/v1/apps/shop/reset",
            "//api/v1/apps/shop/reset",
            "/api/v1//apps/shop/reset",
            "/api/v1/apps/shop/reset/",
            "/api/v1/%61pps/sh%6Fp/%72eset",
            "/api/v1/apps/shop%2Freset",
            "/api/v1/x/../apps/shop/reset",
            "/docs/../api/v1/apps/shop/reset",
            "/console/../api/v1/apps/shop/reset",
            "/v4/../api/v1/apps/shop/reset",
            "http://127.0.0.1/api/v1/apps/shop/reset",
        ],
    )
    def test_spellings(self, path: str, scoped: Served) -> None:
        """No way to write a path leads around its scope: the app there is, and would be reset."""
        if "shop" not in scoped.service.apps.names():
            scoped.service.apps.put("shop", AppSettings(**APP))
        assert _status(scoped, f"POST {path} HTTP/1.1", "Content-Length: 0", "send") in (308, 401, 403, 404, 405)

    def test_before_the_body(self, scoped: Served) -> None:
        """Who may not send is told so before anything was sent."""
        line = "POST /api/v1/apps/none/events HTTP/1.1"
        for framing in ("Content-Length: 30000000", "Transfer-Encoding: chunked"):
            assert 403 == _status(scoped, line, framing, "read")

    def test_ci(self, tmp_path: Path) -> None:
        """To read and to send is what a job needs that sends and verifies."""
        tokens = {"ci": kept(tmp_path, "ci", "read", "send"), "staff": kept(tmp_path, "staff", "manage")}
        with served(tmp_path / "server", tokens=Tokens(tokens)) as server:
            server.session.headers.update(bearer("ci"))
            assert 403 == server.ask("PUT", "/apps/shop", APP).status_code
            assert 201 == server.ask("PUT", "/apps/shop", APP, headers=bearer("staff")).status_code
            ids = server.accept("shop", "commsease.login")
            server.settled(ids, "acked")
            wanted = {"within_seconds": 0, "expect": [{"app": "shop", "state": "acked", "exactly": 1}]}
            assert server.ask("POST", "/verify", wanted).json()["holds"]


def _status(server: Served, line: str, framing: str, name: str) -> int:
    """Return the status of an answer to a request whose body does not follow."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        lines = [line, "Host: 127.0.0.1", f"Authorization: {bearer(name)['Authorization']}", framing, "", ""]
        connection.sendall("\r\n".join(lines).encode())
        return int(connection.recv(4096).split()[1])


class TestRunning:
    """What changes while the server runs."""

    def test_rotation(self, tmp_path: Path) -> None:
        """A file that is swapped is the token a moment later; one that is gone lets nobody in, and the others stay."""
        (tmp_path / "mock.toml").write_text(
            '[tokens.ci]\nfile = "ci"\nscopes = ["read"]\n[tokens.next]\nfile = "next"\nscopes = ["read"]\n'
        )
        for name in ("ci", "next", "all"):
            written(tmp_path / name, text_of(name))
        options = ("--database", str(tmp_path / "mock.db"), "--config", str(tmp_path / "mock.toml"))
        with running(*options, "--token-file", str(tmp_path / "all")) as server, requests.Session() as session:
            session.trust_env = False

            def statuses(*texts: str) -> list[int]:
                url = f"{server.url}/api/v1/apps"
                return [session.get(url, headers=bearer("", text=one), timeout=30).status_code for one in texts]

            assert [200, 200, 200] == statuses(text_of("ci"), text_of("next"), text_of("all"))
            written(tmp_path / "ci", "a-new-one-of-the-ci")
            written(tmp_path / "all", "a-new-one-for-all-of-it")
            assert [401, 200] == until(lambda: statuses(text_of("ci"), "a-new-one-of-the-ci"), [401, 200])
            assert [401, 200] == until(lambda: statuses(text_of("all"), "a-new-one-for-all-of-it"), [401, 200])
            (tmp_path / "ci").unlink()
            assert [401, 200] == until(lambda: statuses("a-new-one-of-the-ci", text_of("next")), [401, 200])
            assert 0 == server.end()
            told = [one["message"] for one in server.records() if one["event"] == "token"]
            log = server.log
        assert [
            "the token ci is out of use: cannot be read (No such file or directory); put the token there",
            "the token ci was read again and has changed",
            "the token default was read again and has changed",
        ] == sorted(told)
        assert all(one not in log for one in (text_of("ci"), text_of("all"), "a-new-one"))

    def test_refused_at_the_start(self, tmp_path: Path) -> None:
        """A token that cannot be used, by its place in the file; a wide address without any."""
        file = tmp_path / "mock.toml"
        file.write_text('[tokens.ci]\nfile = "nowhere"\nscopes = ["read"]\n')
        status, told = refused("--database", str(tmp_path / "mock.db"), "--config", str(file))
        assert (
            2,
            f"error: {file}: tokens.ci: cannot be read (No such file or directory); put the token there\n",
        ) == (status, told)

    def test_wide(self, tmp_path: Path) -> None:
        """A token of the configuration file is enough to listen on every address."""
        written(tmp_path / "ci", text_of("ci"))
        (tmp_path / "mock.toml").write_text('[tokens.ci]\nfile = "ci"\nscopes = ["read"]\n')
        options = ("--database", str(tmp_path / "mock.db"), "--config", str(tmp_path / "mock.toml"))
        with running(*options, "--host", "0.0.0.0") as server:
            assert 401 == requests.get(f"{server.url}/metrics", timeout=30).status_code
            assert 200 == requests.get(f"{server.url}/metrics", headers=bearer("ci"), timeout=30).status_code


class TestHidden:
    """A token that somebody puts where it does not belong stands in no log."""

    def test_log(self, tmp_path: Path) -> None:
        """In a path, a query, a header, a method, a name or a body; with the right token and without."""
        written(tmp_path / "all", text_of("all"))
        token = text_of("all")
        options = ("--database", str(tmp_path / "mock.db"), "--token-file", str(tmp_path / "all"))
        places = (
            ("GET", f"/{token}"),
            ("POST", f"/api/v1/apps/{token}/events"),
            ("PUT", f"/api/v1/apps/{token}"),
            ("DELETE", f"/api/v1/apps/x{token}x?token={token}"),
            ("POST", f"/console/apps/{token}/faults"),
            ("POST", f"/v4/openim/{token}"),
            ("GET", f"/{'x' * 195}{token}"),
            (token[:20], f"/api/v1/apps/{token}"),
        )
        with running(*options, "--audit-file", str(tmp_path / "audit")) as server:
            for headers in ({}, bearer("all"), bearer("", text="no-token-of-this-server")):
                for method, path in places:
                    body = json.dumps({"name": token, "token": token})
                    more = {"Content-Type": "application/json", "X-Token": token, "User-Agent": token}
                    requests.request(method, f"{server.url}{path}", data=body, headers={**headers, **more}, timeout=30)
            assert 0 == server.end()
            told = server.log + (tmp_path / "audit").read_text()
        assert 20 < told.count('"event": "audit"')
        assert "***" in told
        for start in range(len(token) - 15):
            assert token[start : start + 16] not in told
        assert "no-token-of-this-server" not in told
