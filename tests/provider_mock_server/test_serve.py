"""`provider-mock serve` as a real process, asked over HTTP."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from im_callback.provider_mock import cli
from im_callback.provider_mock.delivery.ledger import Ledger, LedgerReader

from tests.programs import pseudo_terminal, spawned
from tests.provider_mock import peers
from tests.provider_mock_server.running import COMMAND, Running, environment, refused, running
from tests.provider_mock_server.waiting import until

SECRET, TOKEN = "shop-secret-1234", "token-of-this-test-5678"
CONFIG = """
[apps.shop]
provider = "commsease"
endpoint = "{url}"
app_key = "shop-key"
app_secret_env = "SHOP_SECRET"
"""
ENV = {"SHOP_SECRET": SECRET}


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """Asks without the environment's proxies."""
    with requests.Session() as opened:
        opened.trust_env = False
        yield opened


def configured(folder: Path, url: str) -> tuple[str, ...]:
    """Return the options of a server with one app."""
    (folder / "mock.toml").write_text(CONFIG.format(url=url))
    return ("--database", str(folder / "mock.db"), "--config", str(folder / "mock.toml"))


def post(session: requests.Session, url: str, count: int = 1, **more: Any) -> list[int]:
    """Accept so many events for the app; return the deliveries."""
    body = {"events": [{"type": "commsease.login"}] * count, **more}
    answer = session.post(f"{url}/api/v1/apps/shop/events", json=body, timeout=30)
    assert 202 == answer.status_code, answer.text
    found: list[int] = answer.json()["deliveries"]
    return found


def states(folder: Path) -> dict[str, int]:
    """Return how many deliveries are in which state, as another process reads it."""
    with LedgerReader(str(folder / "mock.db")) as ledger:
        return {state: count for state, count in ledger.counts().items() if count}


class TestServe:
    """From start to end."""

    def test_delivers(self, tmp_path: Path, session: requests.Session) -> None:
        """What the API accepts arrives; the process ends well when it is asked to."""
        with (
            peers.receiver("commsease", "shop-key", SECRET) as receiver,
            running(*configured(tmp_path, receiver.url), env=ENV) as server,
        ):
            app = {"name": "shop", "endpoint": receiver.url, "endpoints": {}, "ready": True}
            assert [app] == server.first["apps"]
            assert "alive\n" == session.get(f"{server.url}/healthz", timeout=30).text
            assert {"ready": True, "reasons": []} == session.get(f"{server.url}/readyz", timeout=30).json()
            post(session, server.url, 3)
            assert {"acked": 3} == until(lambda: states(tmp_path), {"acked": 3})
            metrics = session.get(f"{server.url}/metrics", timeout=30)
            assert 'provider_mock_accepted_total{app="shop"} 3.0' in metrics.text
            assert 0 == server.end()
        assert 3 == len(receiver.accepted)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_stops_gracefully(self, number: signal.Signals, tmp_path: Path, session: requests.Session) -> None:
        """What is in flight lands and is recorded; the rest waits for the next start, which goes on with it."""
        arrived, answer = threading.Semaphore(0), threading.Event()

        def slow(connection: socket.socket, data: bytes) -> None:
            arrived.release()
            answer.wait(30)
            peers.OK(connection, data)

        options = configured(tmp_path, "")
        with peers.peer(slow) as receiver:
            options = configured(tmp_path, receiver.url)
            with (tmp_path / "mock.toml").open("a") as config:
                config.write("concurrency = 2\n")
            with running(*options, env=ENV) as server:
                post(session, server.url, 50)
                assert arrived.acquire(timeout=30)
                assert arrived.acquire(timeout=30)
                server.process.send_signal(number)
                assert until(lambda: _stopping(session, server))
                answer.set()
                assert 0 == server.process.wait(30)
            found = states(tmp_path)
            assert 50 == sum(found.values())
            assert 2 <= found["acked"] < 50
            assert found["acked"] == len(receiver.requests)
            with running(*options, env=ENV) as server:
                assert {"acked": 50} == until(lambda: states(tmp_path), {"acked": 50})
                assert 0 == server.end()
            assert 50 == len(receiver.requests)

    def test_second_signal(self, tmp_path: Path, session: requests.Session) -> None:
        """It ends at once, and what was in flight is sent again after the next start."""
        arrived = threading.Event()

        def hanging(connection: socket.socket, data: bytes) -> None:
            arrived.set()
            peers.silent(connection, data)

        with peers.peer(hanging) as receiver, running(*configured(tmp_path, receiver.url), env=ENV) as server:
            post(session, server.url)
            assert arrived.wait(30)
            server.process.send_signal(signal.SIGTERM)
            assert until(lambda: _stopping(session, server))
            assert -signal.SIGTERM == server.end(signal.SIGTERM)
        assert {"waiting": 1} == states(tmp_path)
        with closing(sqlite3.connect(tmp_path / "mock.db")) as connection:
            assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()

    def test_apps_of_the_api(self, tmp_path: Path, session: requests.Session) -> None:
        """They are there after the next start, their secrets beside the database."""
        database = ("--database", str(tmp_path / "mock.db"))
        with peers.receiver("commsease", "shop-key", SECRET) as receiver:
            app = {
                "name": "shop",
                "provider": "commsease",
                "endpoint": receiver.url,
                "app_key": "shop-key",
                "app_secret": SECRET,
            }
            with running(*database) as server:
                answer = session.post(f"{server.url}/api/v1/apps", json=app, timeout=30)
                assert 201 == answer.status_code, answer.text
                assert SECRET not in answer.text
                assert 0 == server.end()
            assert SECRET == (tmp_path / "mock.db.secrets/shop.secret").read_text()
            with running(*database) as server:
                post(session, server.url)
                assert {"acked": 1} == until(lambda: states(tmp_path), {"acked": 1})

    def test_log(self, tmp_path: Path, session: requests.Session) -> None:
        """JSON lines with time, level and event; no secret, token or payload."""
        silent = peers.answers(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        with peers.peer(silent) as receiver:
            options = configured(tmp_path, receiver.url)
            env = {**ENV, "PROVIDER_MOCK_TOKEN": TOKEN}
            with running(*options, env=env) as server:
                (delivery,) = post(session, server.url)
                assert {"dropped": 1} == until(lambda: states(tmp_path), {"dropped": 1})
                assert 401 == requests.get(f"{server.url}/api/v1/apps?x=hush-1", timeout=30).status_code
                assert 0 == server.end()
                records = server.records()
                log = server.log
        assert all({"time", "level", "event", "message"} <= set(one) for one in records)
        attempts = [one for one in records if one["event"] == "attempt"]
        assert [("shop", delivery, 1, "refused", "dropped")] == [
            (one["app"], one["delivery"], one["attempt"], one["outcome"], one["state"]) for one in attempts
        ]
        asked = [(one["method"], one["path"], one["status"]) for one in records if one["event"] == "request"]
        assert [("POST", "/api/v1/apps/shop/events", 202), ("GET", "/api/v1/apps", 401)] == asked
        for hidden in (SECRET, TOKEN, "hush-1", "accid"):
            assert hidden not in log

    def test_on_a_terminal(self, tmp_path: Path) -> None:
        """It speaks to people, and so does its log."""
        main, terminal = pseudo_terminal()
        command = [*COMMAND, "serve", "--port", "0", *configured(tmp_path, "http://127.0.0.1:9/")]
        with spawned(command, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal, env=environment()) as process:
            os.close(terminal)
            with os.fdopen(main, "rb", buffering=0) as screen:
                shown = _read(screen, b"(not ready)\r\n")
                process.send_signal(signal.SIGINT)
                shown += _read(screen, b"on disk\r\n")
            process.wait(120)
        lines = shown.decode().splitlines()
        assert "warning the app shop is not ready, and its deliveries wait: its secret env:SHOP_SECRET" in lines[0]
        assert lines[1].startswith("listening on http://127.0.0.1:")
        assert ["  shop: http://127.0.0.1:9/ (not ready)", "stopped; what was accepted is on disk"] == lines[2:]
        assert 0 == process.returncode

    def test_scale_and_keep(self, tmp_path: Path, session: requests.Session) -> None:
        """A clock that runs a thousand times as fast makes an hour's delay short; what is older than asked goes."""
        with peers.receiver("commsease", "shop-key", SECRET) as receiver:
            options = configured(tmp_path, receiver.url)
            with running(*options, "--scale", "3600", "--keep", "1", env=ENV) as server:
                assert 3600 == session.get(f"{server.url}/api/v1/clock", timeout=30).json()["scale"]
                post(session, server.url, delay_seconds=3600)
                assert {"acked": 1} == until(lambda: states(tmp_path), {"acked": 1})
                answer = session.post(f"{server.url}/api/v1/clock/advance", json={"seconds": 200_000}, timeout=30)
                assert 200 == answer.status_code, answer.text
                assert 0 == server.end()
            with running(*options, "--keep", "1", env=ENV):
                assert {} == until(lambda: states(tmp_path), {})

    def test_ipv6_and_localhost(self, tmp_path: Path, session: requests.Session) -> None:
        """Names of this machine need no token."""
        with running("--database", str(tmp_path / "a.db"), "--host", "localhost") as server:
            assert 200 == session.get(f"{server.url}/api/v1/apps", timeout=30).status_code
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError as error:
            pytest.skip(f"this machine has no IPv6: {error}")
        with running("--database", str(tmp_path / "b.db"), "--host", "::1") as server:
            assert server.url.startswith("http://[::1]:")
            assert 200 == session.get(f"{server.url}/api/v1/apps", timeout=30).status_code


def _read(screen: io.RawIOBase, end: bytes) -> bytes:
    """Return what a terminal shows until this comes."""
    shown = b""
    while not shown.endswith(end):
        shown += screen.read(4096) or b""
    return shown


def _stopping(session: requests.Session, server: Running) -> bool:
    """Return whether the server turns requests away because it stops."""
    answer = session.get(f"{server.url}/api/v1/apps", timeout=30)
    assert answer.status_code in (200, 503)
    if answer.status_code == 503:
        assert "application/problem+json" == answer.headers["Content-Type"]
        assert "the server is stopping" in answer.json()["detail"]
    return answer.status_code == 503


class TestRefused:
    """A server that cannot start says why on one line."""

    @pytest.fixture
    def refused_here(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
        """Runs the command in this process, which is faster where nothing is opened yet; returns what it said."""
        monkeypatch.delenv("PROVIDER_MOCK_TOKEN", raising=False)

        def command(*options: str) -> str:
            monkeypatch.setattr(sys, "argv", ["provider-mock", "serve", *options])
            with pytest.raises(SystemExit) as ended:
                cli.entry()
            assert 2 == ended.value.code
            return capsys.readouterr().err

        return command

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            (
                ("--host", "0.0.0.0"),
                "error: --host 0.0.0.0 can be reached from other machines, and there is no token; give --token-file FILE or set PROVIDER_MOCK_TOKEN, or listen on 127.0.0.1\n",
            ),
            (("--keep", "0"), "error: --keep 0: give a number of days above 0 up to 36500, such as --keep 10\n"),
            (("--scale", "-2"), "error: --scale -2: give a number above 0 up to 1000000, such as --scale 10\n"),
            (("--scale", "nan"), "error: --scale nan: give a number above 0 up to 1000000, such as --scale 10\n"),
            (
                ("--config", "nowhere.toml"),
                "error: nowhere.toml: cannot be read (No such file or directory); give the path of a TOML file\n",
            ),
            (
                ("--token-file", "nowhere"),
                "error: --token-file nowhere: cannot be read (No such file or directory); put the token there\n",
            ),
        ],
    )
    def test_options(self, options: tuple[str, ...], told: str, refused_here: Callable[..., str]) -> None:
        """With the value and the fix, and exit status 2."""
        assert told == refused_here(*options)

    def test_every_mistake_in_the_file(self, refused_here: Callable[..., str], tmp_path: Path) -> None:
        """One line each."""
        (tmp_path / "mock.toml").write_text("[apps.a]\nprovider = 'x'\nendpoint = 1\nnope = 2\n")
        told = refused_here("--config", str(tmp_path / "mock.toml"))
        assert ["apps.a.nope is unknown", "apps.a.endpoint is 1 and not text"] == [
            line.removeprefix(f"error: {tmp_path / 'mock.toml'}: ").partition(";")[0] for line in told.splitlines()
        ]

    @pytest.mark.parametrize("token", ["", "two words", "not\u00e9ascii"])
    def test_token(self, token: str, refused_here: Callable[..., str], tmp_path: Path) -> None:
        """What no header can carry; it is not shown."""
        (tmp_path / "token").write_text(token, encoding="utf-8")
        told = refused_here("--token-file", str(tmp_path / "token"))
        assert told.endswith("choose letters and digits\n")
        assert not token or token not in told

    def test_database(self, tmp_path: Path) -> None:
        """One that another process has, and one that is none; without its password."""
        with Ledger(str(tmp_path / "mock.db")):
            status, told = refused("--database", str(tmp_path / "mock.db"))
        assert 2 == status
        assert "is in use" in told
        assert 1 == told.count("\n")
        assert (2, "error: the ledger mysql://u:***@h/d is neither SQLite nor PostgreSQL; ") == (
            (result := refused("--database", "mysql://u:hush@h/d"))[0],
            result[1].partition("write")[0],
        )

    def test_address(self, tmp_path: Path) -> None:
        """One that another server has, and one that is not this machine's."""
        (tmp_path / "token").write_text(TOKEN)
        with running("--database", str(tmp_path / "a.db")) as server:
            port = server.url.rpartition(":")[2]
            status, told = refused("--database", str(tmp_path / "b.db"), "--port", port)
        assert (2, "error: cannot listen on 127.0.0.1") == (status, told.partition(" port")[0])
        assert told.endswith("choose another with --port, or 0 for any\n")
        options = ("--host", "203.0.113.1", "--token-file", str(tmp_path / "token"))
        status, told = refused("--database", str(tmp_path / "b.db"), *options)
        assert (2, "error: cannot listen on 203.0.113.1") == (status, told.partition(" port")[0])


class TestToken:
    """With a token everything but the probes needs it."""

    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[Running]:
        """Listens on every address."""
        (tmp_path / "token").write_text(f"{TOKEN}\n")
        options = ("--token-file", str(tmp_path / "token"), "--host", "0.0.0.0")
        with running("--database", str(tmp_path / "mock.db"), *options) as started:
            yield started

    def test_needed(self, server: Running, session: requests.Session) -> None:
        """Missing, wrong, right."""
        for header in (
            {},
            {"Authorization": f"Bearer {TOKEN}x"},
            {"Authorization": TOKEN},
            {"Authorization": "Bearer"},
        ):
            for path in ("/api/v1/apps", "/metrics", "/nowhere"):
                answer = session.get(f"{server.url}{path}", headers=header, timeout=30)
                assert 401 == answer.status_code
                assert "Bearer" == answer.headers["WWW-Authenticate"]
                assert "application/problem+json" == answer.headers["Content-Type"]
        right = {"Authorization": f"Bearer {TOKEN}", "Host": "mock.staging.test"}
        assert 200 == session.get(f"{server.url}/api/v1/apps", headers=right, timeout=30).status_code
        assert 200 == session.get(f"{server.url}/metrics", headers=right, timeout=30).status_code
        for path in ("/healthz", "/readyz"):
            assert 200 == session.get(f"{server.url}{path}", timeout=30).status_code


class TestBrowsers:
    """Without a token, pages of other servers cannot use a browser on this machine to ask."""

    def test_foreign(self, tmp_path: Path, session: requests.Session) -> None:
        """A name that somebody else points here, or a request that comes from another page."""
        with running("--database", str(tmp_path / "mock.db")) as server:
            port = server.url.rpartition(":")[2]
            url = f"{server.url}/api/v1/apps"
            for headers, status in (
                ({"Host": f"evil.test:{port}"}, 403),
                ({"Host": "evil.test"}, 403),
                ({"Host": "127.0.0.1.evil.test"}, 403),
                ({"Origin": "http://evil.test"}, 403),
                ({"Origin": "null"}, 403),
                ({"Origin": f"http://localhost:{port}", "Host": f"127.0.0.1:{port}"}, 403),
                ({"Origin": server.url}, 200),
                ({"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"}, 200),
                ({"Host": f"[::1]:{port}"}, 200),
                ({"Host": "127.0.0.1"}, 200),
            ):
                answer = session.get(url, headers=headers, timeout=30)
                assert (headers, status) == (headers, answer.status_code)
                assert status == 200 or json.loads(answer.text)["errors"][0]["fix"]

    def test_large_body(self, tmp_path: Path, session: requests.Session) -> None:
        """It is refused, not read into memory."""
        with running("--database", str(tmp_path / "mock.db")) as server:
            body, headers = b" " * (33 * 1024 * 1024), {"Content-Type": "application/json"}
            answer = session.post(f"{server.url}/api/v1/apps", data=body, headers=headers, timeout=60)
        assert 413 == answer.status_code


ASKED_ANYWHERE = """
import os, signal, sys, threading
from im_callback.provider_mock.commands.serve import catch_signals

def ask():
    os.kill(os.getpid(), signal.SIGTERM)

def ask_late():
    global left
    if left > 0:
        left = 0
        ask()

for place in range(16):
    until_asked = catch_signals()
    left = place or 99
    def trace(frame, event, argument):
        global left
        left -= 1
        if left == 0:
            ask()
        return trace
    later = threading.Timer(0.05, ask_late)
    later.start()
    sys.settrace(trace)
    until_asked()
    sys.settrace(None)
    later.cancel()
    later.join()
"""


def test_asked_anywhere() -> None:
    """A signal ends the waiting at whatever line of it the main thread is."""
    subprocess.run([sys.executable, "-c", ASKED_ANYWHERE], check=True, timeout=60)
