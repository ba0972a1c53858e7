"""Calls with idempotency keys: made again, made otherwise, half forgotten, at once, after a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.delivery.ledger import LedgerUnavailable, Query
from im_callback.provider_mock.server.errors import Conflict
from im_callback.provider_mock.server.models import Accepted, NewEvent
from im_callback.provider_mock.server.options import AppSettings
from im_callback.provider_mock.server.service import Service

from tests.programs import needed
from tests.provider_mock import peers
from tests.provider_mock_ledger.postgres import Cluster, cluster, programs
from tests.provider_mock_server.waiting import until

DAY = 86_400
LOGIN = NewEvent("commsease.login")
SAMPLE = dict(providers.load("commsease").catalogue["commsease.login"].examples[0])
ONE = NewEvent("commsease.login", SAMPLE)
TWO = NewEvent("login", {**SAMPLE, "accid": "somebody-else"})
LATER: dict[str, Any] = {"delay_seconds": 3600.0}

Open = Callable[[], Service]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A server of this run's own."""
    needed("initdb")
    found = programs()
    assert found is not None
    with cluster(found) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def opens(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens services on one database; closes the one before."""
    url = str(tmp_path / "mock.db")
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_schema()
    opened: list[Service] = []

    def open_() -> Service:
        close()
        opened.append(Service(url, secrets=tmp_path / "secrets", keep_days=2))
        return opened[-1]

    def close() -> None:
        for service in opened:
            service.close()

    yield open_
    close()


def call(service: Service, *events: NewEvent, key: str = "k", **more: Any) -> Accepted:
    """Make a call of the app `shop`."""
    return service.intake.accept("shop", events, idempotency_key=key, **more)


def put(service: Service, endpoint: str = "http://127.0.0.1:9/") -> None:
    """Put the app `shop`."""
    service.apps.put("shop", AppSettings("commsease", endpoint))


def on_record(service: Service) -> list[int]:
    """Return the ids of all deliveries on record."""
    return sorted(one.id for one in service.deliveries(Query(app="shop"), limit=1000))


class TestMadeAgain:
    """The same call adds nothing."""

    def test_after_a_restart_and_with_the_clock_moved(self, opens: Open) -> None:
        """What it asked for counts, not when."""
        service = opens()
        put(service)
        more = {"faults": ["duplicate"], "seed": 7, **LATER}
        first = call(service, ONE, LOGIN, **more)
        service.advance(600)
        service = opens()
        service.apps.set_faults("shop", ["reorder"])
        again = call(service, ONE, LOGIN, **more)
        assert Accepted(first.deliveries, 7, repeated=True) == again
        assert list(first.deliveries) == on_record(service)
        assert {"shop": 0} == {"shop": 0} | service.intake.totals()

    def test_members_in_another_order(self, opens: Open) -> None:
        """An object's members have no order, and a type needs no provider in front."""
        service = opens()
        put(service)
        first = call(service, ONE, **LATER)
        turned = NewEvent("login", dict(reversed(SAMPLE.items())))
        assert first.deliveries == call(service, turned, **LATER).deliveries

    def test_at_once(self, opens: Open) -> None:
        """Of eight at the same moment one is the first."""
        service = opens()
        put(service)
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda _: call(service, *[LOGIN] * 5, **LATER), range(8)))
        assert 1 == len({one.deliveries for one in made})
        assert [False] + [True] * 7 == sorted(one.repeated for one in made)
        assert list(made[0].deliveries) == on_record(service)
        assert {"shop": 5} == service.intake.totals()

    def test_while_the_app_is_another_providers(self, opens: Open) -> None:
        """What was accepted once is not refused because it could not be accepted now."""
        service = opens()
        with peers.receiver("commsease", "test-key", "test-secret") as receiver:
            put(service, receiver.url)
            first = call(service, ONE)
            assert until(lambda: service.delivery(first.deliveries[0]).state == "acked")
        service.apps.put("shop", AppSettings("rongcloud", "http://127.0.0.1:9/"))
        assert first.deliveries == call(service, ONE).deliveries


class TestMadeOtherwise:
    """The key of one call is refused for another, in words that name what differs."""

    @pytest.mark.parametrize(
        ("events", "more", "words"),
        [
            ([ONE], LATER, r"other events \(2, here 1\)"),
            ([ONE, TWO, TWO], LATER, r"other events \(2, here 3\)"),
            ([TWO, ONE], LATER, "the same events in another order"),
            ([ONE, ONE], LATER, "other events;"),
            ([ONE, LOGIN], LATER, "other events;"),
            ([ONE, TWO], {**LATER, "faults": ["duplicate"]}, r"other faults \(none, here duplicate\)"),
            ([ONE, TWO], {**LATER, "seed": 3}, r"another seed \(none, here 3\)"),
            ([ONE, TWO], {}, r"another delay_seconds \(3600, here 0\)"),
            ([ONE], {"seed": 3}, r"other events \(2, here 1\) and another seed .* and another delay_seconds"),
        ],
    )
    def test_refused(self, events: list[NewEvent], more: dict[str, Any], words: str, opens: Open) -> None:
        """After a restart too; nothing is added."""
        service = opens()
        put(service)
        first = call(service, ONE, TWO, **LATER)
        service = opens()
        with pytest.raises(Conflict, match=f"belongs to an earlier call with {words}"):
            call(service, *events, **more)
        assert list(first.deliveries) == on_record(service)


class TestForgotten:
    """A key is forgotten with the last of its deliveries, never before."""

    def test_in_part(self, opens: Open) -> None:
        """A call of which some were deleted is still the same call, and says which are gone."""
        service = opens()
        answers = iter([peers.OK, peers.OK])

        def script(connection: Any, data: bytes) -> None:
            next(answers, peers.answers(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"))(connection, data)

        with peers.peer(script) as receiver:
            settings = AppSettings("commsease", receiver.url, policy="reliable", options={"retries": 0}, concurrency=1)
            service.apps.put("shop", settings)
            ids = call(service, *[ONE] * 3).deliveries
            assert until(lambda: service.delivery(ids[2]).state == "parked")
        service.advance(3 * DAY)
        service = opens()
        assert [ids[2]] == until(lambda: on_record(service), [ids[2]])
        again = call(service, *[ONE] * 3)
        assert (ids, True, ids[:2]) == (again.deliveries, again.repeated, again.gone)
        with pytest.raises(Conflict, match=r"other events \(3, here 1\)"):
            call(service, ONE)
        assert [ids[2]] == [one.id for one in service.deliveries(Query(app="shop", call="k"))]
        assert "k" == service.delivery(ids[2]).idempotency_key

    def test_altogether(self, opens: Open) -> None:
        """Then the key is free; other calls keep theirs."""
        service = opens()
        with peers.receiver("commsease", "test-key", "test-secret") as receiver:
            put(service, receiver.url)
            first = call(service, *[ONE] * 3)
            assert until(lambda: {service.delivery(one).state for one in first.deliveries}, {"acked"}) == {"acked"}
            kept = call(service, ONE, key="other", delay_seconds=30.0 * DAY)
        service.advance(3 * DAY)
        service = opens()
        assert list(kept.deliveries) == until(lambda: on_record(service), list(kept.deliveries))
        assert kept.deliveries == call(service, ONE, key="other", delay_seconds=30.0 * DAY).deliveries
        new = call(service, TWO, **LATER)
        assert not new.repeated
        assert new.deliveries[0] > kept.deliveries[0]


class TestUncertain:
    """A call of which it was not known whether it was accepted."""

    def test_counted_when_it_is_known(self, opens: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is delivered, counted as accepted, and its repeat adds nothing."""
        service = opens()
        take = service._ledger.accept

        def lost(new: Any, **more: Any) -> list[int]:
            error = LedgerUnavailable("here", "did not answer", "wait", stored=None)
            error.ids = tuple(take(new, **more))
            raise error

        with peers.receiver("commsease", "test-key", "test-secret") as receiver:
            put(service, receiver.url)
            monkeypatch.setattr(service._ledger, "accept", lost)
            with pytest.raises(LedgerUnavailable):
                call(service, ONE, LOGIN)
            monkeypatch.undo()
            assert {} == {name: count for name, count in service.intake.totals().items() if count}
            service.intake.settle()
            assert {"shop": 2} == service.intake.totals()
            assert call(service, ONE, LOGIN).repeated
            assert 2 == until(lambda: len(receiver.accepted), 2)
        assert {"shop": 2} == service.intake.totals()

    def test_not_stored(self, opens: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        """It never was, and is not counted."""
        service = opens()
        put(service)

        def lost(new: Any, **_: Any) -> list[int]:
            error = LedgerUnavailable("here", "did not answer", "wait", stored=None)
            error.ids = tuple(range(900, 900 + len(new)))
            raise error

        monkeypatch.setattr(service._ledger, "accept", lost)
        with pytest.raises(LedgerUnavailable):
            call(service, ONE)
        monkeypatch.undo()
        service.intake.settle()
        assert {"shop": 0} == service.intake.totals()
        assert not call(service, ONE, **LATER).repeated
