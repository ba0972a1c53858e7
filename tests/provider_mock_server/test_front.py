"""What stands before the API holds out: idle and slow clients, bodies that nobody may send, requests made of junk."""

from __future__ import annotations

import json
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from im_callback.provider_mock.delivery.disturbance import MOST_STEPS, Disturbance, PlanTooLong
from im_callback.provider_mock.server import front
from im_callback.provider_mock.server.api.messages import MOST_PROBLEMS
from im_callback.provider_mock.server.api.reading import MOST_VALUES
from im_callback.schemas.validate import problems, validator

from tests.provider_mock.peers import OK, peer, silent
from tests.provider_mock_server.running import COMMAND, Running, environment, running

TOKEN = "token-of-this-test-5678"
MIB = 1024 * 1024


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """A client that sends what it is told."""
    with requests.Session() as opened:
        opened.trust_env = False
        yield opened


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    """A server without a token."""
    with running("--json", "--database", str(tmp_path / "mock.db")) as found:
        yield found


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Running]:
    """A server with a token."""
    (tmp_path / "token").write_text(TOKEN)
    with running("--json", "--database", str(tmp_path / "mock.db"), "--token-file", str(tmp_path / "token")) as found:
        yield found


def connect(server: Running) -> socket.socket:
    """Return a connection to a server."""
    parts = urlsplit(server.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=60)


def answer_to(server: Running, data: bytes) -> bytes:
    """Return everything that comes back."""
    with closing(connect(server)) as one:
        one.sendall(data)
        found = b""
        while data := one.recv(65536):
            found += data
        return found


def memory(server: Running) -> int:
    """Return the largest memory that a server has had, in MiB."""
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) // 1024
    raise AssertionError


def enough_descriptors(count: int) -> None:
    """Let this process open so many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count), hard))


class TestCrowd:
    """Connections that keep the server waiting."""

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
    def test_everything_at_once(self, server: Running, session: requests.Session) -> None:
        """With idle connections, hanging receivers and junk, probes are answered and deliveries go on."""
        enough_descriptors(4096)
        stop, statuses = threading.Event(), set[int]()

        def flood() -> None:
            junk = json.dumps({"events": [1] * 100_000})
            with requests.Session() as other:
                other.trust_env = False
                while not stop.is_set():
                    statuses.add(
                        other.post(
                            f"{server.url}/api/v1/apps/good/events",
                            data=junk,
                            headers={"Content-Type": "application/json"},
                            timeout=60,
                        ).status_code
                    )

        with peer(silent) as mute, peer(OK) as healthy, ExitStack() as crowd:
            for name, url in (("good", healthy.url), *((f"mute-{number}", mute.url) for number in range(20))):
                put = session.put(
                    f"{server.url}/api/v1/apps/{name}",
                    json={"provider": "commsease", "endpoint": url, "concurrency": 64},
                    timeout=60,
                )
                assert put.status_code in (200, 201), put.text
            for number in range(20):
                events = {"events": [{"type": "commsease.login"}] * 64}
                session.post(f"{server.url}/api/v1/apps/mute-{number}/events", json=events, timeout=60)
            for number in range(700):
                one = crowd.enter_context(closing(connect(server)))
                if number % 2:
                    one.sendall(b"POST /api/v1/apps/good/events HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
            floods = [threading.Thread(target=flood) for _ in range(3)]
            for thread in floods:
                thread.start()
            try:
                for _ in range(20):
                    for path in ("healthz", "readyz", "metrics"):
                        assert 200 == session.get(f"{server.url}/{path}", timeout=60).status_code
                    given = session.post(
                        f"{server.url}/api/v1/apps/good/events",
                        json={"events": [{"type": "commsease.login"}]},
                        timeout=60,
                    )
                    assert 202 == given.status_code
                until = time.monotonic() + 60
                while len(healthy.requests) < 20 and time.monotonic() < until:
                    time.sleep(0.01)
            finally:
                stop.set()
                for thread in floods:
                    thread.join()
            assert 20 == len(healthy.requests)
        assert {422} == statuses
        assert memory(server) < 200

    def test_too_many(self, server: Running) -> None:
        """Where there are too many, the oldest that nobody needs is closed, and the newest is answered."""
        enough_descriptors(4096)
        with ExitStack() as crowd:
            idle = [crowd.enter_context(closing(connect(server))) for _ in range(front.CONNECTIONS + 5)]
            assert answer_to(server, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").endswith(
                b"alive\n"
            )
            idle[0].settimeout(60)
            assert b"" == idle[0].recv(1)

    def test_unfinished_bodies(self, guarded: Running) -> None:
        """Bodies that do not go on, and answers that nobody takes, make room for whoever asks."""
        enough_descriptors(4096)
        head = b"POST /api/v1/apps/shop/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
        head += f"Authorization: Bearer {TOKEN}\r\n\r\nx".encode()
        with ExitStack() as crowd:
            for number in range(front.CONNECTIONS + 10):
                one = crowd.enter_context(closing(connect(guarded)))
                one.sendall(head if number % 2 else b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 40)
            for _ in range(3):
                asked = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
                assert answer_to(guarded, asked).endswith(b"alive\n")

    def test_one_behind_the_other(self, server: Running) -> None:
        """Requests that come together are answered in turn, each once, also where one is refused."""
        ask = b"GET /api/v1/clock HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        last = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        found = answer_to(server, ask * 400 + last)
        assert 401 == found.count(b"HTTP/1.1 200 ")
        assert found.endswith(b"alive\n")

    def test_pipe_that_nobody_reads(self, tmp_path: Path, session: requests.Session) -> None:
        """A log that nobody reads holds up no request and no end."""
        command = [*COMMAND, "serve", "--port", "0", "--json", "--database", str(tmp_path / "mock.db")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            for _ in range(1500):
                assert 404 == session.get(f"{url}/api/v1/{'x' * 100}", timeout=60).status_code
            process.send_signal(signal.SIGTERM)
            assert 0 == process.wait(60)
            process.kill()


class TestBodies:
    """A body is read for who may send it, and as far as it may go."""

    @pytest.mark.parametrize("framing", [b"Content-Length: 900000000", b"Transfer-Encoding: chunked"])
    def test_without_token(self, guarded: Running, framing: bytes) -> None:
        """The refusal comes before the body."""
        head = b"POST /api/v1/apps/shop/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        found = answer_to(guarded, head + framing + b"\r\n\r\n")
        assert found.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
        assert b"www-authenticate: bearer\r\n" in found.lower()
        assert 401 == json.loads(found.partition(b"\r\n\r\n")[2])["status"]

    @pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/docs/"])
    def test_open_paths(self, guarded: Running, path: str) -> None:
        """What needs no token takes no body."""
        for framing in (b"Content-Length: 30000000", b"Transfer-Encoding: chunked"):
            for method in (b"POST", b"GET"):
                head = method + b" " + path.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                assert answer_to(guarded, head + framing + b"\r\n\r\n").startswith(b"HTTP/1.1 401 ")

    def test_many_large_ones(self, server: Running, session: requests.Session) -> None:
        """Large bodies are read one after the other, so that they take the memory of one."""
        made = {"provider": "commsease", "endpoint": "http://127.0.0.1:9/"}
        session.put(f"{server.url}/api/v1/apps/shop", json=made, timeout=60)
        text = b'{"events":[{"type":"commsease.login","payload":{"x":"' + b"a" * (10 * MIB) + b'"}}]}'
        statuses: list[int] = []

        def send() -> None:
            found = requests.post(
                f"{server.url}/api/v1/apps/shop/events",
                data=text,
                headers={"Content-Type": "application/json"},
                timeout=120,
            )
            statuses.append(found.status_code)

        threads = [threading.Thread(target=send) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {409} >= set(statuses) - {503}
        assert memory(server) < 200

    def test_expect(self, guarded: Running) -> None:
        """Who asks before sending is not asked to go on."""
        head = b"POST /api/v1/apps/shop/events HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\n"
        assert answer_to(guarded, head + b"Content-Length: 9\r\n\r\n").startswith(b"HTTP/1.1 401 ")

    def test_sent_anyway(self, guarded: Running) -> None:
        """Who sends on can read why it was refused, and what was sent is no request."""
        head = b"POST /api/v1/apps/shop/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n"
        inner = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 20
        found = answer_to(guarded, head + inner)
        assert 1 == found.count(b"HTTP/1.1 ")

    def test_foreign_page(self, server: Running) -> None:
        """What a web page of somebody else sends is refused before its body, too."""
        head = b"POST /api/v1/apps/shop/events HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://elsewhere.example\r\n"
        assert answer_to(server, head + b"Content-Length: 900000000\r\n\r\n").startswith(b"HTTP/1.1 403 ")

    def test_too_long(self, server: Running) -> None:
        """More than 32 MiB are refused at once where the length is given, and as soon as they have come where not."""
        head = b"POST /api/v1/apps/shop/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        found = answer_to(server, head + b"Content-Length: %d\r\n\r\n" % (front.MOST_BYTES + 1))
        assert found.startswith(b"HTTP/1.1 413 ")
        assert b"the body is longer than 33554432 bytes" in found
        with closing(connect(server)) as one:
            one.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
            piece = b"%x\r\n" % MIB + b" " * MIB + b"\r\n"
            for _ in range(33):
                one.sendall(piece)
            assert one.recv(65536).startswith(b"HTTP/1.1 413 ")
        assert memory(server) < 200


JUNK = {
    "entries": b'{"events":[' + b",".join([b"1"] * 100_000) + b"]}",
    "objects": b'{"events":[' + b",".join([b"{}"] * 190_000) + b"]}",
    "members": b"{" + b",".join(b'"%d":1' % number for number in range(190_000)) + b"}",
    "arrays": b'{"events":[' + b",".join([b"[]"] * 3_000_000) + b"]}",
    "twice": b"{" + b",".join(b'"%d":1' % number for number in range(190_000)) + b',"189999":1}',
    "wrong everywhere": b'{"events":[' + b",".join([b'{"type":1,"x":[[]]}'] * 1000) + b"]}",
    "unfinished text": b"," * 200_001 + b'"' + b'\\"' * 100_000,
    "long name": b'{"events":[],"' + b"x" * 8 * MIB + b'":1}',
    "long type": b'{"events":[{"type":"' + b"x" * 8 * MIB + b'"}]}',
    "long fault": b'{"events":[{"type":"commsease.login"}],"faults":["' + b"x" * MIB + b'"]}',
    "payload": b'{"events":[{"type":"commsease.login","payload":{'
    + b",".join(b'"%d":[]' % n for n in range(190_000))
    + b"}}]}",
}


class TestJunk:
    """Bodies that are cheap to send cost little to refuse."""

    @pytest.mark.parametrize("kind", JUNK)
    def test_refused(self, kind: str, server: Running, session: requests.Session) -> None:
        """With few words, and little memory."""
        made = {"provider": "commsease", "endpoint": "http://127.0.0.1:9/"}
        session.put(f"{server.url}/api/v1/apps/shop", json=made, timeout=60)
        headers = {"Content-Type": "application/json"}
        found = session.post(f"{server.url}/api/v1/apps/shop/events", data=JUNK[kind], headers=headers, timeout=120)
        assert found.status_code in (400, 409, 413, 422), found.text[:300]
        assert len(found.json()["errors"]) <= MOST_PROBLEMS
        assert len(found.content) < 20_000
        assert memory(server) < 200

    def test_values(self, server: Running, session: requests.Session) -> None:
        """The most values that a body can have are counted outside of texts."""
        headers = {"Content-Type": "application/json"}
        text = json.dumps({"events": [{"type": "commsease.login", "payload": {"x": "," * (MOST_VALUES + 10) + '\\"'}}]})
        found = session.post(f"{server.url}/api/v1/apps/none/events", data=text, headers=headers, timeout=60)
        assert 413 != found.status_code

    def test_parameters(self, server: Running, session: requests.Session) -> None:
        """Thousands of parameters are refused with few words."""
        query = "&".join(f"limi{number}=1" for number in range(4000))
        found = session.get(f"{server.url}/api/v1/deliveries?{query}", timeout=60)
        assert 422 == found.status_code
        assert MOST_PROBLEMS == len(found.json()["errors"])

    def test_problems_are_counted_while_they_are_found(self) -> None:
        """Not afterwards."""
        assert 1000 == len(problems(validator({"items": {"type": "string"}}), list(range(5000))))

    @pytest.mark.parametrize(
        "fault",
        ["duplicate:times=100", "duplicate-concurrently:copies=100", "time-out:times=100", "lose-ack:times=100"],
    )
    def test_plans(self, fault: str) -> None:
        """A plan that is too long is not made first."""
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(PlanTooLong, match=f"{MOST_STEPS} are the most"):
            Disturbance((fault, "duplicate-concurrently:copies=100", fault), 1, 0, 1000).plan()
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024

    def test_plans_that_fit(self) -> None:
        """One that fits is not refused for what its beginning looks like."""
        assert 1000 + 100 * 100 == len(Disturbance(("duplicate:times=100,every=10",), 1, 0, 1000).plan())


class TestWhole:
    """A server is whole, or ends."""

    @pytest.mark.parametrize(
        ("thread", "place"),
        [
            ("nothing is answered any more", "server.front.Server.readable"),
            ("the thread engine has ended", "delivery.engine.Engine._rest"),
            ("the thread upkeep has ended", "server.service.Service._housework"),
            ("the thread ledger-writer has ended", "delivery.ledger.writer.Writer._write"),
        ],
    )
    def test_a_thread_ends(self, thread: str, place: str, tmp_path: Path) -> None:
        """Then the process ends with a reason, instead of going on with half of what it is for."""
        flag = tmp_path / "end"
        module, kind, method = place.rsplit(".", 2)
        code = f"""
import sys, threading
from pathlib import Path
from im_callback.provider_mock.cli import entry
from im_callback.provider_mock.server import service
from im_callback.provider_mock.{module} import {kind}

whole = {kind}.{method}

def broken(self, *given, **named):
    if Path({str(flag)!r}).exists() and threading.current_thread() is not threading.main_thread():
        sys.exit()
    return whole(self, *given, **named)

{kind}.{method} = broken
service.UPKEEP_SECONDS = 0.05
sys.argv = ["provider-mock", "serve", "--port", "0", "--json", "--scale", "2", "--database", {str(tmp_path / "mock.db")!r}]
entry()
"""
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            flag.touch()
            made = {"provider": "commsease", "endpoint": "http://127.0.0.1:9/"}
            with suppress(requests.ConnectionError), requests.Session() as session:
                session.trust_env = False
                session.put(f"{url}/api/v1/apps/shop", json=made, timeout=60)
            try:
                _, errors = process.communicate(timeout=120)
            finally:
                process.kill()
        assert 2 == process.returncode
        assert f"the server cannot go on: {thread}" in errors.decode()

    def test_pages(self, server: Running, session: requests.Session) -> None:
        """No page of ours can be shown inside another one."""
        for path in ("/docs/", "/openapi.json", "/healthz", "/api/v1/apps"):
            headers = session.get(f"{server.url}{path}", timeout=60).headers
            assert "DENY" == headers["X-Frame-Options"]
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert "nosniff" == headers["X-Content-Type-Options"]

    def test_short_token(self, tmp_path: Path) -> None:
        """A token that can be guessed is none."""
        command = [*COMMAND, "serve", "--port", "0", "--database", str(tmp_path / "mock.db")]
        env = environment({"PROVIDER_MOCK_TOKEN": "short-token-15c"})
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, check=False)
        assert (2, "error: PROVIDER_MOCK_TOKEN: the token has 15 characters; give it 16 at least\n") == (
            ran.returncode,
            ran.stderr,
        )
