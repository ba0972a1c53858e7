"""What attempts have sent and were answered is shown as it was, and can be verified later."""

from __future__ import annotations

import json
import re
import socketserver
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Request
from im_callback.provider_mock.delivery.ledger import AttemptRecord
from im_callback.provider_mock.server import exchange
from im_callback.provider_mock.server.app import create_app
from im_callback.provider_mock.server.models import NewEvent
from im_callback.provider_mock.server.options import AppSettings
from im_callback.provider_mock.server.service import Service

from tests.commands import Run
from tests.provider_mock import peers
from tests.provider_mock_server.waiting import until

SECRET = "shop-secret-1234"
TYPES = {"commsease": "commsease.login", "rongcloud": "rongcloud.chatroom-kv", "tencent": "tencent.c2c-after-send"}
ANSWER = b"HTTP/1.1 503 Busy\r\nX-Why: tired\r\nContent-Length: 9\r\n\r\nnot today"

Open = Callable[..., Service]


def shown(service: Service, delivery: int) -> list[dict[str, Any]]:
    """Return a delivery's attempts as the API shows them."""
    answer = create_app(service, None).test_client().get(f"/api/v1/deliveries/{delivery}/attempts")
    found: list[dict[str, Any]] = answer.get_json()["items"]
    return found


def body(sent: dict[str, Any]) -> bytes:
    """Return the bytes of a shown body."""
    return b64decode(sent["body"]) if sent["body_encoding"] == "base64" else str(sent["body"]).encode()


@contextmanager
def recorder(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Run a receiver that keeps every byte, also of requests that break off; yield where, and what it has received."""
    received: list[bytes] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, place = b"", len(received)
            # In the order in which they came: one that breaks off may be noticed later than the next.
            received.append(data)
            while not _complete(data):
                try:
                    piece = self.request.recv(65536)
                except OSError:
                    piece = b""
                if not piece:
                    break
                data += piece
            received[place] = data
            with suppress(OSError):
                self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/cb", received
        finally:
            server.shutdown()
            thread.join()


def _complete(data: bytes) -> bool:
    head, end, content = data.partition(b"\r\n\r\n")
    if b"transfer-encoding" in head.lower():
        return content.endswith(b"0\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return bool(end and length and len(content) >= int(length[1]))


@pytest.mark.parametrize("provider", TYPES)
@pytest.mark.parametrize("fault", [None, "tamper-signature", "truncate", "reformat", "chunked"])
def test_as_it_was_sent(provider: str, fault: str | None, open_service: Open, tmp_path: Path, run: Run) -> None:
    """After a restart: address, headers and body as the receiver saw them, and its verdict on the signature."""
    contract = providers.load(provider)
    credentials = replace(contract.defaults, app_secret=SECRET)
    with recorder(ANSWER) as (url, received):
        service = open_service()
        settings = AppSettings(provider, url, app_secret=SECRET, headers={"X-Gateway": "open sesame"})
        service.apps.put("shop", settings)
        faults = [fault] if fault else []
        (delivery,) = service.intake.accept("shop", [NewEvent(TYPES[provider])], faults=faults).deliveries
        assert "dropped" == until(lambda: service.delivery(delivery).state, "dropped")
    service.close()
    attempts = shown(open_service(), delivery)
    assert len(attempts) == len(received)
    verdicts = []
    for attempt, data in zip(attempts, received, strict=True):
        head, _, content = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = tuple((line.partition(": ")[0], line.partition(": ")[2]) for line in lines)
        sent = attempt["request"]
        assert first == f"{sent['method']} /{sent['url'].partition('//')[2].partition('/')[2]} HTTP/1.1"
        masked = [{"name": name, "value": "****" if name == "X-Gateway" else value} for name, value in headers]
        assert masked == sent["headers"]
        if fault == "chunked":
            content = body(sent)
            assert content in data or len(content) > 1000
        assert (content, None) == (body(sent), sent["note"])
        assert "open sesame" not in json.dumps(attempt)
        assert SECRET not in json.dumps(attempt)
        file = tmp_path / "attempt.json"
        file.write_text(json.dumps(attempt))
        ran = run("verify", provider, "--attempt", "--app-secret", SECRET, str(file))
        problem = contract.feeds[0].verify(Request(sent["url"], headers, content), credentials, attempt["sent_at"])
        assert [{"feed": contract.feeds[0].full_name, "valid": problem is None, "problem": problem}] == ran.lines
        verdicts.append(ran.status == 0)
    assert verdicts[0] == (fault != "tamper-signature" and (fault != "truncate" or provider != "commsease"))
    assert (503, "not today") == (attempts[-1]["answer"]["status"], attempts[-1]["answer"]["body"])
    assert {"name": "X-Why", "value": "tired"} in attempts[-1]["answer"]["headers"]


class TestVerify:
    """`provider-mock verify --attempt` takes what the API answers."""

    def test_page(self, open_service: Open, run: Run) -> None:
        """Of a page it is the last attempt."""
        service = open_service()
        with peers.receiver("commsease", "test-key", "test-secret") as receiver:
            service.apps.put("shop", AppSettings("commsease", receiver.url))
            (delivery,) = service.intake.accept("shop", [NewEvent("commsease.login")]).deliveries
            assert "acked" == until(lambda: service.delivery(delivery).state, "acked")
        page = json.dumps({"items": shown(service, delivery), "next": None}).encode()
        assert 0 == run("verify", "commsease", "--attempt", stdin=page).status
        assert 1 == run("verify", "commsease", "--attempt", "--app-secret", "another", stdin=page).status

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (b"{}", "is no attempt"),
            (b"nonsense", "is no attempt"),
            (b'{"items": []}', "is no attempt"),
            (b'{"sent_at": 1, "request": null}', "nothing was sent"),
            (b'{"sent_at": 1, "request": {"body": null, "note": "it is gone"}}', "the body is not known: it is gone"),
        ],
    )
    def test_no_request(self, text: bytes, words: str, run: Run) -> None:
        """It says why there is none."""
        ran = run("verify", "commsease", "--attempt", stdin=text)
        assert ran.status not in (0, 1)
        assert words in ran.err


class TestSent:
    """The request of an attempt, from what is on record."""

    def attempt(self, request: str, content: bytes | None = None, answer: str = "", status: int | None = 200) -> Any:
        """Return an attempt on record."""
        return AttemptRecord(1, 1, 0, 0.1, "acked", status, "", "", request, content, answer)

    def test_another_body(self) -> None:
        """One that cannot be the one that was sent is not shown for it."""
        sent = exchange.sent(self.attempt("POST http://a/ HTTP/1.1\nContent-Length: 5"), lambda: b"1234")
        assert sent is not None
        assert (None, True) == (sent.body, "made again, it has 4" in (sent.note or ""))

    def test_nobody_can_make_it(self) -> None:
        """Nor is one that cannot be made."""
        sent = exchange.sent(self.attempt("POST http://a/ HTTP/1.1\nContent-Length: 5"), lambda: b"%d" % (1 // 0))
        assert sent is not None
        assert "the body cannot be made again: ZeroDivisionError" == sent.note

    def test_not_recorded(self) -> None:
        """An earlier release has kept nothing."""
        assert exchange.sent(self.attempt(""), lambda: b"") is None

    @pytest.mark.parametrize(
        ("content", "expected"),
        [(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"), (b"5\r\nab", b"ab"), (b"", b""), (b"x", b"")],
    )
    def test_chunks(self, content: bytes, expected: bytes) -> None:
        """Their lengths are left out, also where it broke off."""
        record = self.attempt("POST http://a/ HTTP/1.1\nTransfer-Encoding: chunked", content)
        sent = exchange.sent(record, lambda: b"")
        assert sent is not None
        assert expected == sent.body

    @pytest.mark.parametrize(
        ("text", "headers", "beginning"),
        [
            ("A: 1\nB: 2\n\nbody\n\nmore", (("A", "1"), ("B", "2")), "body\n\nmore"),
            ("\nbody", (), "body"),
            ("", (), ""),
            ("A: 1\n\n", (("A", "1"),), ""),
        ],
    )
    def test_answer(self, text: str, headers: Any, beginning: str) -> None:
        """Headers, then the beginning of the body."""
        found = exchange.answered(self.attempt("", answer=text))
        assert exchange.Answered(200, headers, beginning) == found
        assert exchange.answered(self.attempt("", answer=text, status=None)) is None
