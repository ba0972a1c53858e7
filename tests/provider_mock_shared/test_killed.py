"""Servers of their own processes on one PostgreSQL, one of which is killed, stopped or ended under load.

`python -m benchmarks.together` does the first for as many rounds as one likes.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import requests
from im_callback.provider_mock.client import MockServer

from benchmarks import together
from tests.provider_mock.peers import OK, peer
from tests.provider_mock_ledger.postgres import Cluster
from tests.provider_mock_server.running import Running, running
from tests.provider_mock_server.waiting import until

pytestmark = pytest.mark.long

ROUNDS = int(os.environ.get("SERVER_KILL_ROUNDS", "2"))
"""How often; more of them for a soak run."""


@contextmanager
def two(database: str) -> Iterator[tuple[Running, Running]]:
    """Run two servers on a database."""
    with ExitStack() as stack:
        options = ("--database", database, "--json")
        yield stack.enter_context(running(*options)), stack.enter_context(running(*options))


def holder(app: str, servers: tuple[Running, Running]) -> tuple[Running, Running] | None:
    """Return the server that delivers for an app, and the other."""
    name = MockServer(servers[1].url).ask("GET", f"/apps/{app}")["delivered_by"] or ""
    for one, other in (servers, servers[::-1]):
        if name.endswith(f":{one.process.pid}"):
            return one, other
    return None


def test_killed_under_load(postgres: Cluster) -> None:
    """Nothing is lost, what is sent in order arrives in order, and the other takes over."""
    report = together.run(ROUNDS, 2, 1, postgres.new_database(), lambda _: None)
    assert [] == report.errors
    assert ([], [], []) == (report.lost, report.out_of_order, report.unfinished)
    assert 0 < report.accepted <= report.received


def test_stopped(postgres: Cluster) -> None:
    """One that stands still for longer than its leases hold sends nothing any more when it goes on, and spoils nothing."""
    with peer(OK) as receiver, two(postgres.new_database()) as servers:
        MockServer(servers[0].url).add_app("commsease", receiver.url, name="shop")
        found = until(lambda: holder("shop", servers))
        assert found is not None
        stopped, other = found
        stopped.process.send_signal(signal.SIGSTOP)
        shop = MockServer(other.url).app("shop")
        ids = [shop.send("login") for _ in range(5)]
        assert ids == sorted(shop.verify("login", at_least=5, within_seconds=60))
        stopped.process.send_signal(signal.SIGCONT)
        ids += [MockServer(stopped.url).app("shop").send("login") for _ in range(5)]
        assert ids == sorted(shop.verify("login", at_least=10, within_seconds=60))
        assert 10 == len(receiver.requests)
        assert (0, 0) == (stopped.end(), other.end())


def test_database_started_again(postgres: Cluster) -> None:
    """Both go on, with the leases that they had."""
    with peer(OK) as receiver, two(postgres.new_database()) as servers:
        MockServer(servers[0].url).add_app("commsease", receiver.url, name="shop")
        assert until(lambda: holder("shop", servers))
        postgres.stop()
        postgres.start()
        for server in servers:
            assert until(lambda server=server: ready(server))
            MockServer(server.url).app("shop").send("login")
        assert 2 == len(MockServer(servers[0].url).app("shop").verify("login", at_least=2, within_seconds=60))
        assert (0, 0) == (servers[0].end(), servers[1].end())


def ready(server: Running) -> bool:
    """Return whether it accepts and delivers."""
    return requests.get(f"{server.url}/readyz", timeout=30).ok
