"""Measures the ledger: how fast it writes, reads what is due, and how much memory a large backlog takes.

Run it from the repository's root: `python -m benchmarks.ledger`. Everything that is compared is
measured in turn in one run, several times; what is printed is the median and the ratio to the
first line of its table. PostgreSQL is measured if Debian's packages are installed.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from im_callback.provider_mock.delivery.ledger import Done, Ledger, NewDelivery

from tests.provider_mock_ledger.postgres import cluster, programs

PAYLOAD = {
    "eventType": "1",
    "convType": "PERSON",
    "to": "receiver-0001",
    "fromAccount": "sender-0001",
    "fromClientType": "IOS",
    "fromDeviceId": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
    "fromNick": "小明",
    "msgTimestamp": "1712345678901",
    "msgType": "TEXT",
    "body": "你好，明天见 / see you tomorrow",
    "msgidClient": "6f1c2d3e-4b5a-6978-8796-a5b4c3d2e1f0",
    "msgidServer": 9223372036854775807,
    "resendFlag": 0,
}
NOW = 1_712_345_678_901
SENT = """POST http://127.0.0.1:8080/callbacks HTTP/1.1
Host: 127.0.0.1:8080
User-Agent: Apache-HttpClient/4.5
Content-Type: application/json
AppKey: test-key
CurTime: 1712345678901
MD5: 0123456789abcdef0123456789abcdef
CheckSum: 0123456789abcdef0123456789abcdef01234567
Content-Length: 400
"""
ANSWERED = "Content-Length: 2\nContent-Type: text/plain\n\nok"


def new(due_at: int = NOW) -> NewDelivery:
    """Return a delivery of an ordinary size."""
    return NewDelivery("shop", "commsease.message", (PAYLOAD,), due_at)


def done(delivery_id: int) -> Done:
    """Return its attempt."""
    return Done(delivery_id, 1, NOW, 0.012, "acked", 200, "200 within 5 s", "acked", NOW, request=SENT, answer=ANSWERED)


def in_groups(url: str, pairs: int) -> float:
    """Return pairs of a delivery and its attempt per second, 500 accepted at a time."""
    with Ledger(url) as ledger:
        started = time.perf_counter()
        for _ in range(0, pairs, 500):
            ids = ledger.accept([new() for _ in range(500)])
            ledger.record([done(delivery_id) for delivery_id in ids])
        ledger.flush()
        return pairs / (time.perf_counter() - started)


def one_by_one(url: str, pairs: int) -> float:
    """Return pairs per second with a commit for every row."""
    with Ledger(url) as ledger:
        started = time.perf_counter()
        for _ in range(pairs):
            (delivery_id,) = ledger.accept([new()])
            ledger.record([done(delivery_id)])
            ledger.flush()
        return pairs / (time.perf_counter() - started)


def by_threads(url: str, pairs: int, threads: int = 64) -> float:
    """Return pairs per second of many threads that each accept one delivery at a time and share commits."""
    with Ledger(url) as ledger:

        def work() -> None:
            for _ in range(pairs // threads):
                (delivery_id,) = ledger.accept([new()])
                ledger.record([done(delivery_id)])

        started = time.perf_counter()
        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        ledger.flush()
        return pairs / (time.perf_counter() - started)


def plain_sqlite(url: str, pairs: int) -> float:
    """Return pairs per second of `sqlite3` alone on the same tables: executemany, 500 rows a commit."""
    Ledger(url).close()
    text = json.dumps([PAYLOAD], ensure_ascii=False)
    insert = "INSERT INTO delivery (id, app, event_type, payload, state, due_at, created_at) VALUES (?,?,?,?,?,?,?)"
    attempt = "INSERT INTO attempt VALUES (?,?,?,?,?,?,?,?,?,?,?)"
    change = "UPDATE delivery SET state = 'acked', attempts = 1, last_outcome = 'acked' WHERE id = ?"
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = full")
        started = time.perf_counter()
        for start in range(1, pairs + 1, 500):
            ids = range(start, start + 500)
            connection.execute("BEGIN IMMEDIATE")
            rows = [(i, "shop", "commsease.message", text, "waiting", NOW, NOW) for i in ids]
            connection.executemany(insert, rows)
            connection.execute("COMMIT")
            connection.execute("BEGIN IMMEDIATE")
            sent = (1, NOW, 0.012, "acked", 200, "200 within 5 s", "", SENT, None, ANSWERED)
            connection.executemany(attempt, [(i, *sent) for i in ids])
            connection.executemany(change, [(i,) for i in ids])
            connection.execute("COMMIT")
        return pairs / (time.perf_counter() - started)


def compare(title: str, rows: dict[str, Callable[[], float]], rounds: int) -> None:
    """Measure each in turn, several times; print medians and ratios."""
    found: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, measure in rows.items():
            found[name].append(measure())
    print(f"\n{title}")
    first = statistics.median(next(iter(found.values())))
    for name, values in found.items():
        median = statistics.median(values)
        print(f"  {name:<58} {median:>9,.0f}   x {median / first:.3f}   ({min(values):,.0f} to {max(values):,.0f})")


def writing(pairs: int, rounds: int, stack: ExitStack) -> None:
    """Print how fast it writes."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    numbers = iter(range(1_000_000))

    def file() -> str:
        return f"sqlite:///{folder / str(next(numbers))}.db"

    single = max(200, pairs // 50)
    rows: dict[str, Callable[[], float]] = {
        "SQLite, grouped": lambda: in_groups(file(), pairs),
        "SQLite, a commit a row": lambda: one_by_one(file(), single),
        "SQLite, 64 threads, one delivery a call": lambda: by_threads(file(), pairs // 5),
        "SQLite without the ledger: sqlite3.executemany, grouped": lambda: plain_sqlite(file(), pairs),
    }
    if (found := programs()) is not None:
        server = stack.enter_context(cluster(found, durable=True))
        rows["PostgreSQL, grouped"] = lambda: in_groups(server.new_database(), pairs // 2)
        rows["PostgreSQL, a commit a row"] = lambda: one_by_one(server.new_database(), single)
        rows["PostgreSQL, 64 threads, one delivery a call"] = lambda: by_threads(server.new_database(), pairs // 5)
    compare("Deliveries, each with its attempt, per second", rows, rounds)


@contextmanager
def filled(folder: Path, size: int) -> Iterator[str]:
    """Make a ledger with deliveries that wait."""
    url = f"sqlite:///{folder / f'{size}.db'}"
    with Ledger(url) as ledger:
        for start in range(0, size, 1000):
            ledger.accept([new(NOW + start + index) for index in range(min(1000, size - start))])
    yield url


def reading(backlog: int, rounds: int, stack: ExitStack) -> None:
    """Print how long reading takes at several sizes of the backlog, and how much memory the largest needs."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    print("\nMilliseconds for what is due next, by deliveries waiting (1,000, then 1; then the earliest, then counts)")
    sizes = (0, 10_000, backlog)
    ledgers = {size: stack.enter_context(Ledger(stack.enter_context(filled(folder, size)))) for size in sizes}
    taken: dict[int, list[list[float]]] = {size: [[], [], [], []] for size in sizes}
    for _ in range(max(20, rounds)):
        for size, ledger in ledgers.items():
            middle = (NOW + size // 2, 0)
            calls: list[Callable[[], object]] = [
                lambda ledger=ledger, middle=middle: ledger.due("shop", 2 * NOW, 1000, middle),  # type: ignore[misc]
                lambda ledger=ledger, middle=middle: ledger.due("shop", 2 * NOW, 1, middle),  # type: ignore[misc]
                lambda ledger=ledger: ledger.next_due("shop"),  # type: ignore[misc]
                lambda ledger=ledger: ledger.counts("shop"),  # type: ignore[misc]
            ]
            for times, call in zip(taken[size], calls, strict=True):
                started = time.perf_counter()
                call()
                times.append((time.perf_counter() - started) * 1000)
    for size, columns in taken.items():
        print(f"  {size:>9,} waiting  " + "  ".join(f"{statistics.median(times):8.3f}" for times in columns))
    ledgers[backlog].close()
    print(f"\nResident memory of a process, MB\n  {backlog:,} waiting: " + memory("--resident", folder, backlog))
    print(f"  after accepting {backlog:,}: " + memory("--accepting", folder, backlog))


def memory(option: str, folder: Path, backlog: int) -> str:
    """Return what a process of its own says about its memory."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.ledger",
        option,
        str(folder / f"{backlog}.db"),
        "--backlog",
        str(backlog),
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def resident() -> str:
    """Return this process's resident memory in MB, now and at its highest."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return ", ".join(
        f"{name} {int(lines[key].split()[0]) / 1024:.0f}" for name, key in (("now", "VmRSS"), ("peak", "VmHWM"))
    )


def read_all(path: str) -> str:
    """Walk through a backlog in windows of 1,000 and return the memory that it took."""
    with Ledger(path) as ledger:
        seen, after = 0, None
        while page := ledger.due("shop", 2 * NOW, 1000, after):
            seen += len(page)
            after = (page[-1].due_at, page[-1].id)
        counts = ledger.counts()
        return f"{resident()} ({seen:,} read in windows of 1,000; {counts['waiting']:,} counted)"


def accept_all(path: str, backlog: int) -> str:
    """Accept a backlog and return the memory that it took."""
    with Ledger(path + ".more") as ledger:
        started = time.perf_counter()
        for _ in range(0, backlog, 1000):
            ledger.accept([new() for _ in range(1000)])
        seconds = time.perf_counter() - started
        return f"{resident()} (in {seconds:.1f} s)"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=50_000, help="deliveries of a measurement")
    parser.add_argument("--backlog", type=int, default=500_000, help="the largest backlog")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--resident", help=argparse.SUPPRESS)
    parser.add_argument("--accepting", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.resident:
        print(read_all(options.resident))
    elif options.accepting:
        print(accept_all(options.accepting, options.backlog))
    else:
        with ExitStack() as stack:
            writing(options.pairs, options.rounds, stack)
            reading(options.backlog, options.rounds, stack)


if __name__ == "__main__":
    main()
