"""A store of its own over TCP, as receivers have one: it keeps records under unique keys, and is read directly."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Store:
    """The records, in the order in which they came. One with a key that is there already is not kept again."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.port = 0
        self.limit: int | None = None
        """How many records it takes before it is gone; None: any number."""
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def put(self, key: str | None, record: Any) -> str:
        """Keep a record; return what became of it."""
        with self._lock:
            if key is not None and key in self._known:
                return "known"
            if key is not None:
                self._known.add(key)
            self.records.append(record)
            return "kept"


@contextmanager
def storing() -> Iterator[Store]:
    """Serve a store on a free port until the block ends. A line is a JSON array of key and record."""
    store = Store()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                if store.limit is not None and len(store.records) >= store.limit:
                    return
                self.wfile.write(store.put(*json.loads(line)).encode() + b"\n")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *args: object) -> None:
            """Say nothing of connections that were cut."""

    with Server(("127.0.0.1", 0), Handler) as server:
        store.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield store
        finally:
            server.shutdown()
            thread.join()
