"""Several servers on one PostgreSQL: kills one of them under load, again and again, or compares one, two and three.

Run it from the repository's root: `python -m benchmarks.together --rounds 20`, or `--figures`.

In a round clients post events to all servers, `kill -9` ends one of them, and it is measured after how many seconds the
others deliver for its apps; then it is started again. Accepted is what was answered with 202. Of apps that send one
request after the other the order of arrival is checked, too: it is that of the ids. Figures: the same deliveries wait,
and it is measured how many arrive in a second, from the first to the last.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count, pairwise
from pathlib import Path

import psycopg
import requests
from im_callback.provider_mock import providers
from im_callback.provider_mock.client import MockServer, pages
from im_callback.provider_mock.delivery.ledger import Ledger, NewDelivery

from benchmarks import receiver
from benchmarks.answering import answering, meanwhile
from tests.programs import missing
from tests.provider_mock_ledger.postgres import cluster, programs
from tests.provider_mock_server.running import Running, running

IN_ORDER, AT_ONCE = ("ordered-1", "ordered-2"), ("many-1", "many-2")
"""Apps that send one request after the other, and apps that send many at once."""
PATIENCE = 120.0
"""Seconds that everything may take to arrive in the end."""
TYPE = "commsease.login"
READY_SECONDS = 15.0
SAMPLE = dict(providers.load("commsease").catalogue[TYPE].examples[0])


@dataclass
class Report:
    """What came of it: numbers, and everything that should not have happened."""

    accepted: int = 0
    received: int = 0
    repeated: int = 0
    """How often an event was received again."""
    taken_over: list[float] = field(default_factory=list)
    """Seconds from a kill until the others delivered for all apps."""
    lost: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    unfinished: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is lost, stuck, out of order or broken."""
        return bool(self.accepted) and not (self.lost or self.out_of_order or self.unfinished or self.errors)


class Arrivals:
    """Keeps in which order events arrived, by app."""

    def __init__(self) -> None:
        self.arrived: list[tuple[str, str]] = []
        """App and event, in turn."""

    def listening(self) -> AbstractContextManager[str]:
        """Return what receives and yields the address below which apps have one each."""
        return answering(self._taken)

    def _taken(self, path: str, body: bytes) -> int:
        self.arrived.append((path.strip("/"), json.loads(body)["accid"]))
        return 200


class Group:
    """Servers on one database, each of which can be killed and started again."""

    def __init__(self, database: str, size: int, stack: ExitStack) -> None:
        self._database, self._stack = database, stack
        self.servers = [self._started() for _ in range(size)]

    def _started(self) -> Running:
        return self._stack.enter_context(running("--database", self._database, "--json"))

    def any_url(self, rng: random.Random) -> str:
        """Return where one of them listens."""
        return rng.choice(self.servers).url

    def kill(self, index: int) -> float:
        """End one without warning; return after how many seconds the others deliver for all apps."""
        killed = self.servers[index]
        killed.process.kill()
        killed.process.wait()
        began = time.monotonic()
        asked = next(one for one in self.servers if one is not killed)
        others = {f":{one.process.pid}" for one in self.servers if one is not killed}
        while not all(_holder(app) in others for app in MockServer(asked.url).ask("GET", "/apps")["items"]):
            if time.monotonic() - began > PATIENCE:
                raise TimeoutError(f"nobody has taken over after {PATIENCE:g} s")
            time.sleep(0.05)
        return time.monotonic() - began

    def replace(self, index: int) -> None:
        """Start one in the place of one that ended."""
        self.servers[index] = self._started()


def _holder(app: dict[str, str | None]) -> str:
    return f":{(app['delivered_by'] or '').rpartition(':')[2]}"


class Load:
    """A client for each app that posts events to any of the servers until it is told to stop."""

    def __init__(self, group: Group, seed: int) -> None:
        self._group, self._seed = group, seed
        self.accepted: dict[str, dict[str, int]] = {app: {} for app in (*IN_ORDER, *AT_ONCE)}
        """By app the events, with their deliveries."""
        self.errors: list[str] = []

    def running(self) -> AbstractContextManager[None]:
        """Return what posts meanwhile."""
        return meanwhile(*(partial(self._post, app) for app in self.accepted))

    def _post(self, app: str, stop: threading.Event) -> None:
        rng = random.Random(f"{self._seed} {app}")
        with requests.Session() as session:
            session.trust_env = False
            for number in count(1):
                names = [f"{app}-{number}-{place}" for place in range(rng.randint(1, 10))]
                events = [{"type": TYPE, "payload": {**SAMPLE, "accid": name}} for name in names]
                # What may have been accepted is asked again: the key keeps it from being doubled.
                while not stop.is_set():
                    url = f"{self._group.any_url(rng)}/api/v1/apps/{app}/events"
                    try:
                        answer = session.post(
                            url, json={"events": events}, headers={"Idempotency-Key": names[0]}, timeout=60
                        )
                    except requests.RequestException:
                        stop.wait(0.05)
                        continue
                    if answer.status_code == 202:
                        self.accepted[app].update(zip(names, answer.json()["deliveries"], strict=True))
                        break
                    if answer.status_code != 503:
                        self.errors.append(f"{answer.status_code}: {answer.text[:200]}")
                        return
                if stop.wait(rng.uniform(0.0, 0.02)):
                    return


def run(rounds: int, processes: int, seed: int, database: str, told: Callable[[str], None]) -> Report:
    """Return what came of killing one of several servers so many times."""
    rng, report, arrivals = random.Random(seed), Report(), Arrivals()
    with ExitStack() as stack:
        endpoint = stack.enter_context(arrivals.listening())
        group = Group(database, processes, stack)
        server = MockServer(group.servers[0].url)
        for app in IN_ORDER:
            server.add_app("commsease", f"{endpoint}/{app}", name=app, concurrency=1)
        for app in AT_ONCE:
            server.add_app("commsease", f"{endpoint}/{app}", name=app)
        load = Load(group, seed)
        with load.running():
            for number in range(rounds):
                time.sleep(rng.uniform(0.2, 1.5))
                report.taken_over.append(group.kill(number % processes))
                group.replace(number % processes)
                accepted = sum(map(len, load.accepted.values()))
                told(f"round {number + 1}: taken over after {report.taken_over[-1]:.1f} s, {accepted} accepted")
        server = MockServer(group.servers[0].url)
        report.unfinished = _unfinished(server)
        for one in group.servers:
            if one.end() != 0:
                report.errors.append(f"a server ended with {one.process.returncode}: {one.log[-500:]}")
    _judge(report, load, arrivals.arrived)
    return report


def _unfinished(server: MockServer) -> list[int]:
    """Return the deliveries that are not acknowledged once nothing waits, or patience ends."""
    deadline = time.monotonic() + PATIENCE
    while server.ask("GET", "/deliveries", state="waiting", limit=1)["items"] and time.monotonic() < deadline:
        time.sleep(0.1)
    return [one["id"] for one in pages(partial(server.ask, "GET"), "/deliveries") if one["state"] != "acked"]


def _judge(report: Report, load: Load, arrived: Sequence[tuple[str, str]]) -> None:
    report.errors += load.errors
    report.accepted = sum(map(len, load.accepted.values()))
    times = Counter(event for _, event in arrived)
    report.received, report.repeated = len(times), sum(times.values()) - len(times)
    for app, events in load.accepted.items():
        report.lost += sorted(set(events) - set(times))
        if app in IN_ORDER:
            first = list(dict.fromkeys(event for of, event in arrived if of == app and event in events))
            report.out_of_order += [
                f"{later} after {earlier}" for earlier, later in pairwise(first) if events[later] < events[earlier]
            ]


@contextmanager
def share_of_a_core(share: float | None) -> Iterator[Callable[[int], None]]:
    """Yield what gives a process this share of a core and no more, as on a small machine; None: as much as there is.

    Raises OSError where this user may not limit that.
    """
    if share is None:
        yield lambda _: None
        return
    one, two = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
    made: list[Path] = []

    def limit(pid: int) -> None:
        group = (one if one.is_dir() else two) / f"together-{pid}"
        group.mkdir()
        made.append(group)
        if one.is_dir():
            (group / "cpu.cfs_period_us").write_text("20000")
            (group / "cpu.cfs_quota_us").write_text(str(round(share * 20_000)))
        else:
            (group / "cpu.max").write_text(f"{round(share * 20_000)} 20000")
        (group / "cgroup.procs").write_text(str(pid))

    try:
        yield limit
    finally:
        for group in made:
            group.rmdir()


def rate(
    processes: int, deliveries: int, apps: int, database: str, receive: list[str], share: float | None = None
) -> float:
    """Return how many deliveries leave in a second from so many servers, which find them waiting."""
    names = [f"app-{number}" for number in range(apps)]
    with ExitStack() as stack:
        receiving = stack.enter_context(receiver.running(receive, os.sched_getaffinity(0)))
        with running("--database", database, "--json") as server:
            for name in names:
                MockServer(server.url).add_app("commsease", receiving.url, name=name)
            server.end()
        # By then all servers are there, and have shared the apps.
        due_at = round((time.time() + READY_SECONDS) * 1000)
        with Ledger(database) as ledger:
            for start in range(0, deliveries, 1000):
                numbers = range(start, min(start + 1000, deliveries))
                ledger.accept(
                    [
                        NewDelivery(names[one % apps], TYPE, ({**SAMPLE, "accid": f"a-{one}"},), due_at)
                        for one in numbers
                    ]
                )
        limit = stack.enter_context(share_of_a_core(share))
        servers = [stack.enter_context(running("--database", database, "--json")) for _ in range(processes)]
        for one in servers:
            limit(one.process.pid)
        if time.time() * 1000 > due_at:
            raise TimeoutError(f"the servers were not there within {READY_SECONDS:g} s")
        _unfinished(MockServer(servers[0].url))
        for one in servers:
            one.end()
    receiving.check(deliveries)
    with psycopg.connect(database) as connection:
        times = "SELECT count(*), min(sent_at), max(sent_at) FROM attempt"
        count_, first, last = connection.execute(times).fetchone() or (0, 0, 0)
    assert deliveries == count_
    return deliveries * 1000 / (last - first)


def main() -> int:
    """Run what was asked for; 0 if nothing was lost, stuck or out of order."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=20)
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--figures", action="store_true", help="compare one, two and three servers")
    options.add_argument("--share", type=float, help="with --figures: the share of a core that each server has")
    options.add_argument("--deliveries", type=int, default=20_000)
    options.add_argument("--repeat", type=int, default=3, help="how often each is measured, in turn")
    given = options.parse_args()
    if (found := programs()) is None:
        print(f"error: {missing('initdb')}", file=sys.stderr)
        return 2
    with cluster(found, durable=True) as server:
        if given.figures:
            rates: dict[int, list[float]] = {1: [], 2: [], 3: []}
            with tempfile.TemporaryDirectory() as folder:
                receive = receiver.command(Path(folder))
                for _ in range(given.repeat):
                    for processes, measured in rates.items():
                        database = server.new_database()
                        measured.append(rate(processes, given.deliveries, 6, database, receive, given.share))
            middle = {processes: statistics.median(measured) for processes, measured in rates.items()}
            for processes, value in middle.items():
                print(f"{processes} servers: {value:.0f} deliveries a second, {value / middle[1]:.2f} times one")
            return 0
        started = time.monotonic()
        report = run(given.rounds, given.processes, given.seed, server.new_database(), print)
    longest, middle_one = max(report.taken_over), sorted(report.taken_over)[len(report.taken_over) // 2]
    print(
        f"{given.rounds} rounds in {time.monotonic() - started:.0f} s: {report.accepted} accepted, {report.received} received, "
        f"{report.repeated} repeats, {len(report.lost)} lost, {len(report.out_of_order)} out of order, "
        f"{len(report.unfinished)} not acknowledged; taken over after {middle_one:.1f} s, {longest:.1f} s at most"
    )
    for line in [*report.errors, *report.out_of_order[:20], *(f"lost: {name}" for name in report.lost[:20])]:
        print(line)
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
