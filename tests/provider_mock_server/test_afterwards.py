"""Faults that are switched on and off for what is waiting already."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.provider_mock_server.served import Served, served
from tests.provider_mock_server.waiting import until

LOGIN = "commsease.login"
APP = {"provider": "commsease", "endpoint": "http://127.0.0.1:9/cb"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    """A server with the app `shop`."""
    with served(tmp_path) as running:
        assert 201 == running.ask("PUT", "/apps/shop", APP).status_code
        yield running


def switched(server: Served, *faults: str, waiting: bool = True) -> int:
    """Set the standing faults; return how many waiting deliveries were changed."""
    answer = server.ask("PUT", "/apps/shop/faults", {"faults": list(faults), "waiting": waiting})
    assert 200 == answer.status_code, answer.text
    assert list(faults) == answer.json()["faults"]
    return int(answer.json()["changed"])


def faults(server: Served, delivery: int) -> list[str] | None:
    """Return the faults that a delivery is to be disturbed by."""
    disturbance = server.ask("GET", f"/deliveries/{delivery}").json()["disturbance"]
    return None if disturbance is None else list(disturbance["faults"])


def requests(server: Served, number: int) -> int:
    """Return how many requests the receiver has got, once they are so many."""
    return until(lambda: len(server.receiver.requests), number)


def attempted_twice(server: Served, ids: list[int]) -> int:
    """Return how many of some deliveries were attempted twice."""
    return [server.ask("GET", f"/deliveries/{one}").json()["attempts"] for one in ids].count(2)


class TestOn:
    """What waits is disturbed."""

    def test_what_waits(self, server: Served) -> None:
        """Those that were accepted before, and those that come after; not those that were attempted."""
        server.settled(server.accept("shop", LOGIN), "acked")
        ids = server.accept("shop", LOGIN, LOGIN, delay_seconds=3600)
        assert 2 == switched(server, "duplicate:times=2")
        server.settled(server.accept("shop", LOGIN), "acked")
        assert 4 == requests(server, 4)
        server.ask("POST", "/clock/advance", {"seconds": 3600})
        server.settled(ids, "acked")
        assert 10 == requests(server, 10)

    def test_only_when_asked(self, server: Served) -> None:
        """Without `waiting` only what is accepted from then on."""
        ids = server.accept("shop", LOGIN, delay_seconds=3600)
        assert 0 == switched(server, "duplicate", waiting=False)
        assert None is faults(server, ids[0])

    def test_in_the_engines_window(self, server: Served) -> None:
        """What the engine has read already, and could not send yet, is disturbed too."""
        assert 200 == server.ask("PUT", "/apps/shop", {**APP, "rate": 3}).status_code
        ids = server.accept("shop", *[LOGIN] * 6)
        assert requests(server, 1)
        assert switched(server, "duplicate:times=1")
        server.settled(ids, "acked")
        planned = [one for one in ids if faults(server, one)]
        # One of them may have been under way at that moment.
        least = len(planned) - 1
        assert until(lambda: attempted_twice(server, ids) >= least)
        assert len(planned) >= attempted_twice(server, ids) >= least >= 1

    def test_together(self, server: Served) -> None:
        """Neighbours are moved among each other, and every=N counts through."""
        ids = server.accept("shop", *[LOGIN] * 250, delay_seconds=3600)
        assert 84 == switched(server, "duplicate:every=3")
        disturbed = [one for one in ids if faults(server, one)]
        assert [ids[place] for place in range(0, 250, 3)] == disturbed

    def test_nothing_to_do(self, server: Served) -> None:
        """What the faults cannot do anything to is sent as usual."""
        ids = server.accept("shop", LOGIN, delay_seconds=3600, faults=["duplicate"])
        assert 1 == switched(server, "reorder")
        assert None is faults(server, ids[0])

    def test_other_apps(self, server: Served) -> None:
        """Those of another app stay as they are."""
        server.ask("PUT", "/apps/other", APP)
        ids = server.accept("other", LOGIN, delay_seconds=3600)
        assert 0 == switched(server, "duplicate")
        assert None is faults(server, ids[0])

    def test_refused(self, server: Served) -> None:
        """A fault that cannot be done changes nothing."""
        ids = server.accept("shop", LOGIN, delay_seconds=3600, faults=["duplicate"])
        answer = server.ask("PUT", "/apps/shop/faults", {"faults": ["stale:on=repeats"], "waiting": True})
        assert 400 <= answer.status_code < 500
        assert ["duplicate"] == faults(server, ids[0])


class TestOff:
    """What waits is sent as usual."""

    def test_what_waits(self, server: Served) -> None:
        """Also what was accepted with faults of its call, after a restart of the clock's time."""
        switched(server, "duplicate:times=3")
        ids = server.accept("shop", LOGIN, delay_seconds=3600)
        ids += server.accept("shop", LOGIN, delay_seconds=3600, faults=["tamper-signature"])
        assert 2 == switched(server)
        assert 0 == switched(server)
        server.ask("POST", "/clock/advance", {"seconds": 3600})
        server.settled(ids, "acked")
        assert 2 == requests(server, 2)
        attempts = [server.ask("GET", f"/deliveries/{one}").json()["attempts"] for one in ids]
        assert [1, 1] == attempts, json.dumps(attempts)
