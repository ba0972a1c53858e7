"""A receiver whose store is elsewhere, run as a program; `--fault` names what it does wrong, or does in its own way.

It believes whatever it gets: signatures are for other tests.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

OK = b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}'
PATIENT = 20.0


class Lost(Exception):
    """The store did not say that it has it."""


class Good:
    """Stores under a unique key, and acknowledges then; without its store it says 503."""

    patience = 1.0
    """Seconds for which it waits for its store."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.lock = threading.Lock()
        self.connection: socket.socket | None = None

    def start(self) -> None:
        """Do what is done before it listens."""

    def end(self) -> None:
        """Do what is done after SIGTERM."""

    def answer(self, items: list[Any]) -> tuple[int, bytes]:
        """Return the answer to a delivery of these events."""
        try:
            for item in items:
                self.keep(item)
        except Lost as error:
            print(f"not stored: {error}", flush=True)
            return 503, b""
        return 200, OK

    def keep(self, item: Any) -> None:
        """Store one event; raise `Lost` if the store does not have it."""
        self.put(key_of(item), item)

    def put(self, key: str | None, item: Any) -> None:
        """Store an event, over one connection that is replaced once it has failed."""
        with self.lock:
            try:
                if self.connection is None:
                    self.connection = socket.create_connection(("127.0.0.1", self.options.store), self.patience)
                self.connection.sendall(json.dumps([key, item]).encode() + b"\n")
                said = self.connection.recv(100)
            except OSError as error:
                said, why = b"", str(error)
            else:
                why = "it hung up"
            if not said:
                if self.connection is not None:
                    self.connection.close()
                self.connection = None
                raise Lost(why)


class Patient(Good):
    """Hangs with its store: it answers far too late, and stores in the end."""

    patience = PATIENT


class Queue(Good):
    """Acknowledges what waits in memory; empties the queue when it is asked to end."""

    drains = True
    pause = 0.02

    def start(self) -> None:
        self.waiting: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self.work, daemon=True).start()

    def answer(self, items: list[Any]) -> tuple[int, bytes]:
        for item in items:
            self.waiting.put(item)
        return 200, OK

    def work(self) -> None:
        """Store one after the other, a moment later; what fails is tried again."""
        while True:
            item = self.waiting.get()
            time.sleep(self.pause)
            stored = False
            while not stored:
                with suppress(Lost):
                    self.keep(item)
                    stored = True
            self.waiting.task_done()

    def end(self) -> None:
        if self.drains:
            self.waiting.join()


class DropsQueue(Queue):
    """The same, and what waits is dropped when it is asked to end."""

    drains = False


class Journal(Queue):
    """Acknowledges what stands in a file; what was not stored from there is stored after the next start."""

    pause = 0.0

    def start(self) -> None:
        super().start()
        self.path = Path(f"journal.{self.options.port}")
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                self.waiting.put(json.loads(line))

    def answer(self, items: list[Any]) -> tuple[int, bytes]:
        with self.lock, self.path.open("a") as journal:
            for item in items:
                journal.write(json.dumps(item) + "\n")
        return super().answer(items)


class MemoryDedupe(Good):
    """Knows what it has seen by heart alone, and so only until it ends."""

    def start(self) -> None:
        self.seen: set[str] = set()
        self.seeing = threading.Lock()

    def keep(self, item: Any) -> None:
        key = key_of(item)
        with self.seeing:
            if key not in self.seen:
                self.put(None, item)
                self.seen.add(key)


class OwnDedupe(Good):
    """Knows what it has seen from a file of its own, which no other instance looks into."""

    def start(self) -> None:
        self.folder = Path(f"seen.{self.options.port}")
        self.folder.mkdir(exist_ok=True)
        self.seeing = threading.Lock()

    def keep(self, item: Any) -> None:
        mark = self.folder / key_of(item)
        with self.seeing:
            if not mark.exists():
                self.put(None, item)
                mark.touch()


class Swallows(Good):
    """Acknowledges although the store has failed."""

    def answer(self, items: list[Any]) -> tuple[int, bytes]:
        super().answer(items)
        return 200, OK


class FiveHundred(Good):
    """Says 500 when the store has failed, as frameworks do for an exception that nobody caught."""

    def answer(self, items: list[Any]) -> tuple[int, bytes]:
        status, body = super().answer(items)
        return (500, b"") if status == 503 else (status, body)


class RemembersFirst(Good):
    """Notes what it has seen before it is stored: the retry of what failed is taken for a repeat."""

    def start(self) -> None:
        self.seen: set[str] = set()

    def keep(self, item: Any) -> None:
        key = key_of(item)
        if key not in self.seen:
            self.seen.add(key)
            super().keep(item)


class Stuck(Good):
    """Once its store has failed it uses the old connection for ever."""

    broken = ""

    def keep(self, item: Any) -> None:
        if self.broken:
            raise Lost(self.broken)
        try:
            super().keep(item)
        except Lost as error:
            self.broken = str(error)
            raise


class Crashes(Good):
    """Ends when its store fails, and has a supervisor start it again."""

    def answer(self, items: list[Any]) -> tuple[int, bytes]:
        status, body = super().answer(items)
        if status == 503:
            os._exit(1)
        return status, body


class LockFile(Good):
    """Does not start where an earlier life has left its lock."""

    def start(self) -> None:
        try:
            self.lock_file = os.open(f"lock.{self.options.port}", os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            sys.exit("it runs already: the lock is there")

    def end(self) -> None:
        Path(f"lock.{self.options.port}").unlink()


class Single(Good):
    """Runs once on a machine."""

    def start(self) -> None:
        self.held = os.open("single", os.O_CREAT)
        try:
            fcntl.flock(self.held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit("only one of us")


class Careless(Good):
    """Ignores SIGTERM."""

    def end(self) -> None:
        time.sleep(PATIENT)


class Mortal(Good):
    """Ends in the middle of a request."""

    left = 150

    def answer(self, items: list[Any]) -> tuple[int, bytes]:
        self.left -= 1
        if self.left < 0:
            print("out of memory, password=hunter2 key is verysecretkey1", flush=True)
            os._exit(9)
        return super().answer(items)


class Sql(Good):
    """Has its store in PostgreSQL, with a unique key; hangs with it, and connects anew when a connection has failed."""

    def put(self, key: str | None, item: Any) -> None:
        import psycopg

        with self.lock:
            try:
                if self.sql is None:
                    place = f"host=127.0.0.1 port={self.options.store} user=postgres connect_timeout=2"
                    self.sql = psycopg.connect(place, autocommit=True)
                self.sql.execute(
                    "INSERT INTO events (key, said) VALUES (%s, %s) ON CONFLICT DO NOTHING", (key, json.dumps(item))
                )
            except psycopg.Error as error:
                self.sql = None
                raise Lost(str(error)) from error

    sql: Any = None


class Allows(Good):
    """Asks its store for each decision, and allows without it."""

    answers = (b'{"errCode":0}', b'{"errCode":0}')

    def answer(self, items: list[Any]) -> tuple[int, bytes]:
        status, _ = super().answer(items)
        return 200, self.answers[status != 200]


class ErrorPage(Allows):
    """Answers an error page with 200."""

    answers = (b'{"errCode":0}', b'{"errCode":7}')


def key_of(item: Any) -> str:
    """Return a text by which events are told apart."""
    return hashlib.sha256(json.dumps(item, sort_keys=True).encode()).hexdigest()


FAULTS: dict[str, Callable[[argparse.Namespace], Good]] = {
    one.__name__: one
    for one in list(globals().values())
    if isinstance(one, type) and (one is Good or issubclass(one, Good))
}


def main() -> None:
    """Listen until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "0")))
    parser.add_argument("--store", type=int, required=True)
    parser.add_argument("--fault", choices=FAULTS, default="Good")
    options = parser.parse_args()
    receiver = FAULTS[options.fault](options)
    receiver.start()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body = receiver.answer(document if isinstance(document, list) else [document])
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.send_error(405)

        def log_message(self, *args: object) -> None:
            """Print nothing for each request."""

    class Server(ThreadingHTTPServer):
        # What was taken is answered before it ends.
        daemon_threads = False
        request_queue_size = 128

    with suppress(BrokenPipeError), Server(("127.0.0.1", options.port), Handler) as server:
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        print(f"listening at {options.port}", flush=True)
        server.serve_forever(poll_interval=0.01)
        receiver.end()


if __name__ == "__main__":
    main()
