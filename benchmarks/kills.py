"""Kills the server under load, again and again, and checks that nothing that it accepted is lost.

Run it from the repository's root: `python -m benchmarks.kills --rounds 50`, with `--postgresql` on a
PostgreSQL that is ended without warning and started again in every round. Each round starts the
server on the same database, has several clients post events over HTTP, and sends `kill -9` at a
moment that the seed decides, in some rounds while it is still starting. Accepted is what was
answered with 202. Afterwards the server runs once more until nothing waits.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

import requests
from im_callback.provider_mock.delivery.ledger import LedgerReader

from benchmarks.answering import answering, meanwhile
from tests.programs import missing
from tests.provider_mock_ledger.postgres import Cluster, cluster, programs
from tests.provider_mock_server.running import COMMAND, Running, environment, running

CLIENTS = 4
LARGEST = 40
"""Events of one call."""
REFUSED = 20
"""One in so many events is refused the first time, and sent again by the policy."""
LONGEST_ROUND = 1.5
"""Seconds of load before the end of a round."""
STARTING = 4
"""One round in so many ends while the server is still starting."""
PATIENCE = 120.0
"""Seconds that everything may take to arrive in the end."""
CONFIG = """
[apps.shop]
provider = "commsease"
endpoint = "{url}"
policy = "reliable"
spacing_seconds = 0.5
"""


@dataclass
class Report:
    """What came of it: numbers of rounds and deliveries, and everything that should not have happened."""

    rounds: int = 0
    accepted: int = 0
    in_doubt: int = 0
    """Calls that got no answer or 503: their events may have been accepted, or not."""
    received: int = 0
    repeated: int = 0
    """How often an event was received again."""
    lost: list[str] = field(default_factory=list)
    unfinished: dict[str, int] = field(default_factory=dict)
    """Deliveries by state that are not acknowledged in the end."""
    errors: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is lost, stuck or broken."""
        return bool(self.accepted) and not (self.lost or self.unfinished or self.errors)


class Receiver:
    """Counts how often each event arrived; refuses some of them the first time."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.lock = threading.Lock()

    def listening(self) -> AbstractContextManager[str]:
        """Return what runs it and yields its address."""
        return answering(self._taken)

    def _taken(self, _: str, body: bytes) -> int:
        name = json.loads(body)["accid"]
        with self.lock:
            self.seen[name] += 1
            return 503 if self.seen[name] == 1 and int(name.rpartition("-")[2]) % REFUSED == 0 else 200


class Load:
    """Clients that post events until they are told to stop, and remember what was accepted."""

    def __init__(self, sample: dict[str, object]) -> None:
        self.accepted: set[str] = set()
        self.in_doubt = 0
        self.errors: list[str] = []
        self._sample = sample
        self._numbers = count(1)
        self._lock = threading.Lock()

    def on(self, url: str, seed: int) -> AbstractContextManager[None]:
        """Return what posts to a server meanwhile."""
        return meanwhile(*(partial(self._post, url, random.Random(f"{seed} {number}")) for number in range(CLIENTS)))

    def _post(self, url: str, rng: random.Random, stop: threading.Event) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while not stop.is_set():
                with self._lock:
                    names = [f"user-{next(self._numbers)}" for _ in range(rng.randint(1, LARGEST))]
                events = [{"type": "commsease.login", "payload": {**self._sample, "accid": name}} for name in names]
                try:
                    answer = session.post(f"{url}/api/v1/apps/shop/events", json={"events": events}, timeout=60)
                except requests.RequestException:
                    with self._lock:
                        self.in_doubt += 1
                    stop.wait(0.05)
                    continue
                with self._lock:
                    if answer.status_code == 202:
                        self.accepted.update(names)
                    elif answer.status_code == 503:
                        self.in_doubt += 1
                    else:
                        self.errors.append(f"{answer.status_code}: {answer.text[:200]}")
                        return


def run(
    rounds: int, seed: int, folder: Path, database: str, crash: Callable[[], None] | None, told: Callable[[str], None]
) -> Report:
    """Return what came of so many rounds; `crash` ends the database without warning and starts it again."""
    from im_callback.provider_mock import providers

    rng = random.Random(seed)
    receiver, report = Receiver(), Report()
    load = Load(dict(providers.load("commsease").catalogue["commsease.login"].examples[0]))
    with receiver.listening() as url:
        (folder / "mock.toml").write_text(CONFIG.format(url=url))
        options = ("--database", database, "--config", str(folder / "mock.toml"))
        for number in range(1, rounds + 1):
            if number % STARTING == 0:
                _killed_while_starting(options, rng.uniform(0.0, LONGEST_ROUND))
                crashed = ""
            else:
                crashed = _round(options, load, rng, crash, report)
            if not database.startswith("postgresql"):
                _check_file(database, report)
            report.rounds = number
            told(f"round {number}: {len(load.accepted)} accepted, {len(receiver.seen)} received{crashed}")
        with running(*options) as server:
            report.unfinished = _finished(database)
            server.end()
    report.errors += load.errors
    report.accepted, report.in_doubt = len(load.accepted), load.in_doubt
    report.received, report.repeated = len(receiver.seen), sum(receiver.seen.values()) - len(receiver.seen)
    report.lost = sorted(load.accepted - set(receiver.seen))
    return report


def _round(
    options: tuple[str, ...], load: Load, rng: random.Random, crash: Callable[[], None] | None, report: Report
) -> str:
    """Run a server under load and kill it."""
    with running(*options) as server, load.on(server.url, rng.getrandbits(32)):
        time.sleep(rng.uniform(0.05, LONGEST_ROUND))
        if crash is not None:
            crash()
            time.sleep(rng.uniform(0.0, LONGEST_ROUND))
            _still_there(server, report)
        server.process.kill()
    return ", database crashed" if crash is not None else ""


def _still_there(server: Running, report: Report) -> None:
    if server.process.poll() is not None:
        report.errors.append(f"the server ended by itself with {server.process.returncode}: {server.log[-500:]}")


def _killed_while_starting(options: tuple[str, ...], seconds: float) -> None:
    with subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    ) as process:
        time.sleep(seconds)
        process.kill()


def _check_file(database: str, report: Report) -> None:
    if not Path(database).exists():
        return
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute("PRAGMA integrity_check").fetchall()
    if found != [("ok",)]:
        report.errors.append(f"the database is damaged: {found[:3]}")


def _finished(database: str) -> dict[str, int]:
    """Return the deliveries that are not acknowledged once nothing waits, or patience ends."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with LedgerReader(database) as ledger:
            counts = ledger.counts()
        if not counts["waiting"] or time.monotonic() > deadline:
            return {state: number for state, number in counts.items() if number and state != "acked"}
        time.sleep(0.1)


@contextmanager
def databases(*, postgresql: bool, durable: bool = True) -> Iterator[tuple[Path, str, Callable[[], None] | None]]:
    """Yield a folder, an empty database's URL or path, and what crashes it, if it can be crashed by itself.

    Raises LookupError if PostgreSQL is asked for and not installed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not postgresql:
            yield folder, str(folder / "mock.db"), None
            return
        if (found := programs()) is None:
            raise LookupError(missing("initdb"))
        with cluster(found, durable=durable) as server:
            yield folder, server.new_database(), lambda: _restart(server)


def _restart(server: Cluster) -> None:
    server.stop()
    server.start()


def main() -> int:
    """Run the rounds that were asked for; 0 if nothing was lost, stuck or damaged."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=50)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--postgresql", action="store_true", help="on a PostgreSQL that is crashed in every round")
    given = options.parse_args()
    started = time.monotonic()
    try:
        with databases(postgresql=given.postgresql) as (folder, database, crash):
            report = run(given.rounds, given.seed, folder, database, crash, print)
    except LookupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(
        f"{report.rounds} rounds in {time.monotonic() - started:.0f} s, seed {given.seed}: "
        f"{report.accepted} accepted, {report.in_doubt} calls in doubt, {report.received} received, "
        f"{report.repeated} repeats, {len(report.lost)} lost, "
        f"not acknowledged in the end: {report.unfinished or 'none'}"
    )
    for line in [*report.errors, *(f"lost: {name}" for name in report.lost[:20])]:
        print(line)
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
