"""A receiver that tries to get out of the report: script, marks and escapes wherever it can write."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ATTACK = (
    "<script>window.owned=1</script></script></pre></details></main></style>"
    '"><img src=//evil.example/x onerror=window.owned=1>\'"--><svg onload=window.owned=1>]]>&lt;'
    "{{ 7*7 }}{% raw %}\x1b]0;owned\x07\x1b[2J\u202egnp.exe\u2066\u200f<a href=javascript:window.owned=1>x</a>"
)
ZALGO = "Z" + "\u0315\u035c\u0489" * 200
WIDE = "\ufdfd" * 100 + "W" * 3_000


class Receiver(BaseHTTPRequestHandler):
    """Takes everything, keeps it twice, and says what it should not."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        records: list[Any] = self.server.records  # type: ignore[attr-defined]
        payload = json.loads(body)
        if not isinstance(payload, dict) or "eventType" not in payload:
            self.say(500, f"<html>{ATTACK}{ZALGO}{WIDE}".encode())
            return
        evil = {**payload, ATTACK: [ATTACK, {ZALGO: WIDE}], "note": ATTACK, "zalgo": ZALGO, "wide": WIDE}
        records += [evil, evil]
        self.say(200, json.dumps({"code": 200, "said": ATTACK, "zalgo": ZALGO, "wide": WIDE}).encode())

    def do_GET(self) -> None:
        # What is no record is there too.
        self.say(200, json.dumps([ATTACK, *self.server.records]).encode())  # type: ignore[attr-defined]

    def say(self, status: int, content: bytes) -> None:
        """Answer."""
        head = ATTACK.replace("\x1b", "").encode("utf-8").decode("latin-1")
        self.send_response(status, head)
        self.send_header("Content-Type", f"application/json; x={head}")
        self.send_header("X-Evil", head)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Print nothing."""


@contextmanager
def hostile() -> Iterator[str]:
    """Run it on a free port of this machine; give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.records = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
