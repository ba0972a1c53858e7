"""Measures what old rows in the receiver's store cost a whole run: none beside 200,000, in turn.

Run it from the repository's root: `python -m benchmarks.effects`. The good receiver of the examples keeps its records in
SQLite, and the checks read its table. Each pair of runs has the same seed; what is printed is the seconds of each and the
median of their differences. With --whole the query is one that is asked whole each time, to compare with.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
RECEIVER = ROOT / "examples/flask_receiver/receiver.py"
QUERY = (
    "SELECT payload FROM events WHERE shown AND provider = 'commsease' "
    "ORDER BY stream, CAST(json_extract(position, '$[0][1]') AS INTEGER), id"
)
GOAL = 5.0
"""Seconds that the old rows may cost."""


@contextmanager
def receiver(folder: Path) -> Iterator[str]:
    """Run the receiver; give its address."""
    command = [sys.executable, RECEIVER, "--port", "0", "--database", folder / "receiver.db", "--test-mode"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().removeprefix("listening on ").strip()
        finally:
            process.terminate()


def fill(database: Path, rows: int) -> None:
    """Put rows of earlier runs into the receiver's table."""
    payloads = (
        (
            f"old-{n}",
            json.dumps([[False, n]]),
            json.dumps({"eventType": "1", "convType": "PERSON", "msgidServer": str(n), "body": "x" * 60}),
        )
        for n in range(rows)
    )
    with sqlite3.connect(database) as connection:
        connection.executemany(
            "INSERT INTO events VALUES (NULL, 1, 'commsease', 'message', ?, NULL, NULL, 0, 0, ?, ?)", payloads
        )
    connection.close()


def run(rows: int, query: str, seed: int, arguments: list[str]) -> float:
    """Return how many seconds a run takes; it must not find anything wrong."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with receiver(folder) as base:
            fill(folder / "receiver.db", rows)
            command = [sys.executable, "-m", "pytest", "-q", f"--receiver-url={base}/commsease"]
            command += [f"--receiver-effects=sqlite:///{folder / 'receiver.db'}", f"--receiver-effects-query={query}"]
            started = time.perf_counter()
            ended = subprocess.run(
                [*command, f"--receiver-seed={seed}", *arguments],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            seconds = time.perf_counter() - started
    if ended.returncode:
        sys.exit(ended.stdout[-4000:])
    return seconds


def main() -> None:
    """Compare runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--whole", action="store_true", help="a query that cannot go on from a row")
    parser.add_argument("arguments", nargs="*", help="further ones for pytest, after --")
    options = parser.parse_args()
    query = f"SELECT * FROM ({QUERY})" if options.whole else QUERY  # noqa: S608
    pairs = []
    for seed in range(options.pairs):
        pair = run(0, query, seed, options.arguments), run(options.rows, query, seed, options.arguments)
        pairs.append(pair)
        print(f"{pair[0]:6.1f} s with none, {pair[1]:6.1f} s with {options.rows} old rows", flush=True)
    cost = statistics.median(many - none for none, many in pairs)
    print(f"old rows cost {cost:.1f} s (goal: {GOAL:g} s)")


if __name__ == "__main__":
    main()
