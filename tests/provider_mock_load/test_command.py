"""The command `provider-mock load`: Locust beneath it, or our own engine."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
import trustme
from im_callback.provider_mock import cli
from im_callback.provider_mock.commands.shared import printed
from im_callback.provider_mock.delivery.tally import Tally
from im_callback.provider_mock.load import Load, engine

from tests.provider_mock import oracle
from tests.provider_mock.peers import answers, peer, read_request, receiver, silent, unused_port
from tests.provider_mock_load.running import ENOUGH, PROVIDER_MOCK, ended, load, start

KEY, SECRET = "key-of-this-test", "s3cr3t-of-this-test"
SIGNED = {"Content-Type", "AppKey", "CurTime", "MD5", "CheckSum"}
FORMS = [(), ("--engine",)]
KEPT = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\n\r\nok"
BRIEFLY = ("--users", "3", "--rate", "12", "--duration", "1")


def children(process: subprocess.Popen[str]) -> list[Path]:
    """Return the folders that the machine keeps of the processes that a process has started."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [Path(f"/proc/{child}") for child in listed.split()]


def path(folder: Path) -> dict[str, str]:
    """Return the setting that lets Python look into a folder first."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))}


def over(child: Path) -> bool:
    """Return whether a process has ended, or only waits to be noticed."""
    try:
        return ") Z " in (child / "stat").read_text()
    except OSError:
        return True


class TestAcknowledged:
    """A receiver by the book."""

    @pytest.mark.parametrize(
        ("provider", "form", "most"),
        [
            ("commsease", (), 12),
            ("rongcloud", ("--engine",), 12),
            ("tencent", ("--workers", "2", "--users", "4"), 12),
        ],
        ids=["locust", "engine", "workers"],
    )
    def test_all(self, provider: str, form: tuple[str, ...], most: int) -> None:
        """Every request verifies and is counted once, no two are the same, and the lines add up: exit status 0."""
        key = "1400000007" if provider == "tencent" else KEY
        began = time.monotonic()
        with receiver(provider, key, SECRET) as served:
            options = (*BRIEFLY, "--provider", provider, "--app-key", key, *form)
            ran = load("--to", served.url, *options, more={"IM_APP_SECRET": SECRET})
        assert (0, "") == (ran.status, ran.err), ran.out
        assert 0 == served.refused
        assert 0 < len(served.accepted) == len(set(served.accepted)) == ran.summary["sent"]
        # On a busy machine the second is a longer one.
        assert ran.summary["sent"] <= most * max(1, time.monotonic() - began)
        assert (len(served.accepted), 0, 0, 0, 0) == tuple(
            ran.summary[name] for name in ("acked", "declined", "refused", "timed_out", "unreachable")
        )
        assert len(served.accepted) == sum(line["sent"] for line in ran.lines[:-1])
        assert list(range(1, len(ran.lines))) == [line["second"] for line in ran.lines[:-1]]
        assert 0 < ran.summary["ack_ms"]["p50"] <= ran.summary["ack_ms"]["p95"] <= ran.summary["ack_ms"]["max"]
        assert ran.summary["achieved_rate"] > 0
        assert {} == ran.summary["reasons"]
        assert ran.summary["interrupted"] is False

    @pytest.mark.parametrize("form", FORMS, ids=["locust", "engine"])
    def test_duplicates(self, form: tuple[str, ...]) -> None:
        """With a share of 1 everything is sent twice, byte for byte, and counted twice."""
        with receiver("rongcloud", "test-key", "test-secret") as served:
            ran = load("--to", served.url, *BRIEFLY, "--provider", "rongcloud", "--duplicate", "1", *form)
        assert 0 == ran.status, ran.err
        assert 0 < ran.summary["sent"] == len(served.accepted)
        assert {2} == {served.accepted.count(body) for body in served.accepted}

    @pytest.mark.parametrize("form", FORMS, ids=["locust", "engine"])
    def test_bytes(self, form: tuple[str, ...]) -> None:
        """The signed bytes go out as they are: header case, query, a password as a header; no cookies, no proxy.

        Each user keeps its connection.
        """
        kept = []

        def keep_answering(connection: socket.socket, data: bytes) -> None:
            while data:
                kept.append(data)
                connection.sendall(KEPT)
                data = read_request(connection)

        with peer(keep_answering) as served:
            url = served.url.replace("127.0.0.1", "user:pass%20word@127.0.0.1") + "?way=1%2F2"
            proxies = {name: f"http://127.0.0.1:{unused_port()}" for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY")}
            ran = load("--to", url, "--users", "2", "--rate", "12", "--duration", "1", *form, more=proxies)
        assert 0 == ran.status, ran.err
        assert len(kept) == ran.summary["sent"] > 2 >= len(served.requests)
        for request in kept:
            head, _, body = request.partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            assert "POST /cb?way=1%2F2 HTTP/1.1" == first
            assert "Basic dXNlcjpwYXNzIHdvcmQ=" == headers.pop("Authorization")
            assert {*SIGNED, "Host", "User-Agent", "Content-Length"} == set(headers)
            assert oracle.commsease(headers.items(), body, "test-key", "test-secret")


class TestNotAcknowledged:
    """Receivers that fail."""

    @pytest.mark.parametrize("form", FORMS, ids=["locust", "engine"])
    def test_refused(self, form: tuple[str, ...]) -> None:
        """A redirect is no acknowledgement and is not followed: exit status 1, with the provider's rule."""
        with peer(answers(b"HTTP/1.1 302 Found\r\nLocation: /moved\r\nContent-Length: 0\r\n\r\n")) as served:
            ran = load("--to", served.url, *BRIEFLY, "--provider", "rongcloud", *form)
        assert 1 == ran.status, ran.err
        assert 0 < ran.summary["sent"] == ran.summary["refused"] == len(served.requests)
        assert {"status 302; RongCloud takes 200 as received": ran.summary["sent"]} == ran.summary["reasons"]
        assert {"p50": None, "p95": None, "max": None} == ran.summary["ack_ms"]
        assert not any(request.startswith(b"POST /moved") for request in served.requests)

    @pytest.mark.parametrize("form", FORMS, ids=["locust", "engine"])
    def test_declined(self, form: tuple[str, ...]) -> None:
        """A 200 whose words say no is counted by its own name, with the words: exit status 1."""
        with peer(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfail")) as served:
            ran = load("--to", served.url, *BRIEFLY, *form)
        assert 1 == ran.status, ran.err
        assert 0 < ran.summary["sent"] == ran.summary["declined"] == len(served.requests)
        assert {"status 200, but the receiver's own words decline it: fail": ran.summary["sent"]} == ran.summary[
            "reasons"
        ]

    def test_told(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """People get the numbers and the provider's rule."""
        monkeypatch.setattr(printed, "for_people", lambda as_json: not as_json)
        options = ("--provider", "rongcloud", "--engine", "--rate", "3", "--duration", "1")
        refused = cycle([b"401 Unauthorized", b"200 OK"])
        with (
            peer(lambda to, _: to.sendall(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % next(refused))) as served,
            pytest.raises(SystemExit) as exited,
        ):
            cli.main.main(["load", "--to", served.url, *options], standalone_mode=False)
        assert 1 == exited.value.code
        counts, rate, times, rule = capsys.readouterr().out.splitlines()
        assert "3 sent: 1 acked, 0 declined, 2 refused, 0 timed out, 0 unreachable" == counts
        assert rate.endswith(" per second")
        assert times.startswith("acknowledged within ")
        assert "2 x status 401; RongCloud takes 200 as received" == rule

    @pytest.mark.parametrize("form", [*FORMS, ("--workers", "2")], ids=["locust", "engine", "workers"])
    def test_timed_out(self, form: tuple[str, ...]) -> None:
        """The deadline is the provider's, and what is under way at the end is waited for and counted."""
        with peer(silent) as served:
            ran = load("--to", served.url, "--users", "2", "--duration", "1", "--provider", "tencent", *form)
        assert 1 == ran.status, ran.err
        assert 2 == ran.summary["sent"] == ran.summary["timed_out"] == len(served.requests)
        assert {"no complete answer within 2 s": 2} == ran.summary["reasons"]

    def test_lost(self) -> None:
        """A connection that closes without a whole answer is unreachable; each request counts once."""
        said = cycle([b"", b"SSH-2.0-no-http\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"])
        with peer(lambda connection, _: connection.sendall(next(said))) as served:
            ran = load("--to", served.url, "--users", "1", "--rate", "6", "--duration", "1")
        assert 1 == ran.status, ran.err
        assert 3 <= ran.summary["sent"] == ran.summary["unreachable"] == len(served.requests)


class TestCertificates:
    """Over https."""

    @pytest.mark.parametrize(("trusted", "outcome"), [(True, "acked"), (False, "unreachable")])
    def test_checked(self, tmp_path: Path, trusted: bool, outcome: str) -> None:
        """Locust's users check the certificate; SSL_CERT_FILE names a private authority."""
        private, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        private.issue_cert("127.0.0.1").configure_cert(context)
        private.cert_pem.write_to_path(tmp_path / "ca.pem")
        with peer(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), context) as served:
            url = served.url.replace("http:", "https:")
            more = {"SSL_CERT_FILE": str(tmp_path / "ca.pem")} if trusted else {}
            ran = load("--to", url, "--users", "1", "--rate", "6", "--duration", "1", more=more)
        assert ("" if trusted else "certificate verify failed") in "".join(ran.summary["reasons"])
        assert 0 < ran.summary["sent"] == ran.summary[outcome], ran.out


class TestEnded:
    """Ctrl-C, and errors."""

    @pytest.mark.parametrize(
        ("form", "number"),
        [
            ((), signal.SIGINT),
            (("--workers", "2"), signal.SIGINT),
            (("--engine",), signal.SIGINT),
            (("--engine",), signal.SIGTERM),
        ],
        ids=["locust", "workers", "engine", "engine-terminated"],
    )
    def test_interrupted(self, form: tuple[str, ...], number: signal.Signals) -> None:
        """The run ends after what is under way, with a summary that counts all of it; no process is left."""
        with receiver("commsease", KEY, SECRET) as served:
            options = ("--users", "2", "--rate", "20", "--duration", "60", "--app-key", KEY, *form)
            process = start(*PROVIDER_MOCK, "load", "--to", served.url, *options, more={"IM_APP_SECRET": SECRET})
            assert process.stdout is not None
            first = process.stdout.readline()
            started = children(process)
            commands = [(child / "cmdline").read_text() for child in started]
            process.send_signal(number)
            ran = ended(process)
        assert (130, "") == (ran.status, ran.err), ran.out
        assert 1 == json.loads(first)["second"]
        assert ran.summary["interrupted"] is True
        assert len(served.accepted) == ran.summary["sent"] == ran.summary["acked"] > 0
        assert {"--workers": 3, "--engine": 0}.get("".join(form[:1]), 1) == len(started)
        assert all(over(child) for child in started)
        # Anybody on the machine can read these.
        assert not any(SECRET in command for command in commands)

    def test_interrupted_twice(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """Interrupted again, the run does not wait for replies."""
        given_up = []

        def deliver(load: Load, stop: threading.Event) -> Iterator[Tally]:
            try:
                signal.raise_signal(signal.SIGINT)
                assert stop.wait(30)
                signal.raise_signal(signal.SIGINT)
                yield Tally()
            finally:
                given_up.append(load.url)

        monkeypatch.setattr(engine, "deliver", deliver)
        with peer(silent) as served, pytest.raises(SystemExit) as exited:
            cli.main.main(["load", "--to", served.url, "--engine"], standalone_mode=False)
        assert 130 == exited.value.code
        assert [served.url] == given_up
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["interrupted"] is True

    def test_killed(self) -> None:
        """Where the command is killed, its processes end by themselves."""
        with receiver("commsease", "test-key", "test-secret") as served:
            options = ("--users", "2", "--rate", "20", "--duration", "600", "--workers", "2")
            process = start(*PROVIDER_MOCK, "load", "--to", served.url, *options)
            assert process.stdout is not None
            process.stdout.readline()
            watches = [os.pidfd_open(int(child.name)) for child in children(process)]
            process.kill()
            ended(process)
            assert 3 == len(watches)
            for watched in watches:
                assert [watched] == select.select([watched], [], [], ENOUGH)[0]
                os.close(watched)

    def test_nobody_there(self) -> None:
        """Found out before anything starts; one line with the fix."""
        port = unused_port()
        ran = load("--to", f"http://127.0.0.1:{port}/")
        assert (2, "") == (ran.status, ran.out)
        assert (
            f"error: nobody listens at 127.0.0.1:{port} (Connection refused); start the receiver, or correct --to\n"
            == ran.err
        )

    def test_not_installed(self) -> None:
        """Without Locust: one line that names the extra, and the way without."""
        hidden = "import sys; sys.modules['locust'] = None; from im_callback.provider_mock.cli import entry; entry()"
        ran = ended(start("-c", hidden, "load", "--to", "http://127.0.0.1:1/"))
        assert (2, "", 1) == (ran.status, ran.out, ran.err.count("\n"))
        assert "pip install 'im-callback-conformance[load]'" in ran.err
        assert "--engine" in ran.err

    def test_broken_locust(self, tmp_path: Path) -> None:
        """What Locust complains of becomes one line."""
        (tmp_path / "locust").mkdir()
        (tmp_path / "locust" / "__init__.py").write_text("raise ImportError('libev is too old')")
        with peer(answers(b"HTTP/1.1 200 OK\r\n\r\n")) as served:
            ran = load("--to", served.url, more=path(tmp_path))
        assert (2, "", 1) == (ran.status, ran.out, ran.err.count("\n"))
        assert "error: Locust ended before its time: ImportError: libev is too old" in ran.err

    def test_our_error(self, tmp_path: Path) -> None:
        """An error in a user ends the run, and is told in one line."""
        (tmp_path / "sitecustomize.py").write_text(
            textwrap.dedent("""
                from im_callback.provider_mock.contract import Feed
                def judge(self, reply):
                    raise LookupError("planted")
                Feed.judge = judge
            """)
        )
        with peer(answers(b"HTTP/1.1 200 OK\r\n\r\n")) as served:
            ran = load("--to", served.url, *BRIEFLY, more=path(tmp_path))
        assert (2, "", 1) == (ran.status, ran.out, ran.err.count("\n"))
        assert "error: Locust ended before its time: LookupError: planted" in ran.err

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("--to", "here"), "'here' is no address to post to; give it as http://host:port/path"),
            (("--rate", "0"), "--rate 0: give a number of deliveries per second above 0"),
            (("--duration", "0"), "--duration"),
            (("--users", "0"), "--users"),
            (("--workers", "0"), "--workers"),
            (("--duplicate", "2"), "--duplicate"),
            (("--users", "2", "--workers", "3"), "--users 2: fewer than --workers 3; give each worker one user"),
            (("--engine", "--workers", "2"), "--engine is one process; leave --workers out"),
            (("--provider", "nobody"), "no provider is called 'nobody'; choose one of: commsease"),
            (("--app-key", ""), "--app-key: it is empty"),
            (("--to", f"http://{'a' * 70}.example/"), "is no address to post to; give it as http://host:port/path"),
        ],
    )
    def test_typed(
        self,
        arguments: tuple[str, ...],
        said: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Values that cannot be used: one line with the value and the fix."""
        monkeypatch.setattr(sys, "argv", ["provider-mock", "load", "--to", "http://127.0.0.1:1/", *arguments])
        with pytest.raises(SystemExit) as exited:
            cli.entry()
        out, err = capsys.readouterr()
        assert (2, "", 1) == (exited.value.code, out, err.count("\n"))
        assert said in err


class TestApart:
    """Locust stays in its own processes."""

    def test_nothing_heavy(self) -> None:
        """The command line loads neither Locust nor gevent, not for --engine either."""
        with receiver("commsease", "test-key", "test-secret") as served:
            script = textwrap.dedent("""
                import sys
                from im_callback.provider_mock.cli import entry
                try:
                    entry()
                finally:
                    print({"locust", "gevent", "geventhttpclient"} & set(sys.modules), file=sys.stderr)
            """)
            ran = ended(start("-c", script, "load", "--to", served.url, *BRIEFLY, "--engine"))
        assert (0, "set()\n") == (ran.status, ran.err)

    def test_these_tests(self) -> None:
        """Locust's plugin for pytest replaces nothing here."""
        assert "gevent" not in sys.modules
        assert "locust" not in sys.modules
