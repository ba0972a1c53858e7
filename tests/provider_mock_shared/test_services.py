"""Two servers on one PostgreSQL, here in one process: whatever either of them is asked holds for both."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any
from urllib.parse import urlencode

import pytest
from im_callback.provider_mock.contract import ApiRequest
from im_callback.provider_mock.delivery.ledger import Query
from im_callback.provider_mock.server.errors import Conflict, NotFound
from im_callback.provider_mock.server.models import NewEvent
from im_callback.provider_mock.server.options import AppSettings
from im_callback.provider_mock.server.service import Service

from tests.provider_mock.peers import OK, Peer, answers, peer
from tests.provider_mock_ledger.postgres import Cluster
from tests.provider_mock_server.waiting import until

MESSAGE = {"fromUserId": "u", "toUserId": "w", "objectName": "RC:TxtMsg", "content": '{"content":"hello"}'}
ENTRY = {"chatroomId": "r", "userId": "u", "key": "k", "value": "v"}
LOGIN = NewEvent("commsease.login")
REFUSED = answers(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")


class Two:
    """Two services, and what they can be opened with."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self._url, self._stack = url, stack
        self.services: list[Service] = []

    def open(self, **options: Any) -> Service:
        """Return one more."""
        self.services.append(self._stack.enter_context(Service(self._url, **options)))
        return self.services[-1]

    def both(self, **options: Any) -> tuple[Service, Service]:
        """Return two that know of each other."""
        first, second = self.open(**options), self.open(**options)
        assert until(lambda: len(first.processes()) == 2 == len(second.processes()))
        return first, second


@pytest.fixture
def two(postgres: Cluster) -> Iterator[Two]:
    """A new database."""
    with ExitStack() as stack:
        yield Two(postgres.new_database(), stack)


@pytest.fixture
def receiver() -> Iterator[Peer]:
    """One that acknowledges all."""
    with peer(OK) as running:
        yield running


def settings(receiver: Peer, **more: Any) -> AppSettings:
    """Return an app that delivers there."""
    return AppSettings("commsease", receiver.url, **more)


def spread(service: Service) -> Mapping[str, list[str]]:
    """Return which process delivers for which apps."""
    return {process.id: apps for process, apps in service.processes()}


def holder_of(app: str, services: tuple[Service, ...]) -> tuple[Service, Service]:
    """Return the service that delivers for an app, and the other, once that is so."""

    def found() -> tuple[Service, Service] | None:
        for one, other in (services[:2], services[1::-1]):
            if not one._delivering.elsewhere(app):
                return one, other
        return None

    holds = until(found)
    assert holds is not None
    return holds


def all_acked(service: Service, app: str, count: int) -> bool:
    """Return whether so many deliveries of an app, and no other, are there and acknowledged."""
    states = [one.state for one in service.deliveries(Query(app), limit=1000)]
    return ["acked"] * count == states


def call(path: str, fields: Mapping[str, str]) -> ApiRequest:
    """Return a call as RongCloud's SDKs make it, with the test secret."""
    now = str(int(time.time()))
    signature = hashlib.sha1(f"test-secret14314{now}".encode()).hexdigest()
    headers = {"app-key": "test-key", "nonce": "14314", "timestamp": now, "signature": signature}
    return ApiRequest("POST", path, {}, headers, urlencode(fields).encode())


class TestShared:
    """The apps are spread, and what is accepted anywhere arrives."""

    def test_spread(self, two: Two, receiver: Peer) -> None:
        """Each has half of them, and nothing arrives twice."""
        one, other = two.both()
        for number in range(4):
            one.apps.put(f"app-{number}", settings(receiver))
        # Each tells what it saw when it renewed its leases last.
        assert until(
            lambda: all([2, 2] == [len(apps) for apps in spread(service).values()] for service in (one, other))
        )
        names = sorted(name for apps in spread(one).values() for name in apps)
        assert [f"app-{number}" for number in range(4)] == names
        for service in (one, other):
            for name in names:
                service.intake.accept(name, [LOGIN] * 5)
        assert until(lambda: all(all_acked(one, name, 10) for name in names))
        assert 40 == len(receiver.requests)

    def test_one_leaves(self, two: Two, receiver: Peer) -> None:
        """The other goes on with its apps at once, and nothing arrives twice."""
        one, other = two.both()
        one.apps.put("shop", settings(receiver))
        holder, stays = holder_of("shop", (one, other))
        stays.intake.accept("shop", [LOGIN] * 50)
        holder.close()
        stays.intake.accept("shop", [LOGIN] * 50)
        assert until(lambda: all_acked(stays, "shop", 100))
        assert 100 == len(receiver.requests)
        assert until(lambda: 1 == len(stays.processes()))

    def test_order(self, two: Two, receiver: Peer) -> None:
        """An app that sends one request after the other sends what both accept in turn in that turn."""
        services = two.both()
        services[0].apps.put("shop", settings(receiver, concurrency=1))
        payload = services[0].intake.sample("shop", "commsease.login", seed=1)
        for number in range(60):
            event = NewEvent("commsease.login", {**payload, "accid": f"user-{number:03}"})
            services[number % 2].intake.accept("shop", [event])
        assert until(lambda: all_acked(services[0], "shop", 60))
        sent = [json.loads(request.partition(b"\r\n\r\n")[2])["accid"] for request in receiver.requests]
        assert [f"user-{number:03}" for number in range(60)] == sent


class TestKnown:
    """What one changes the other knows."""

    def test_apps(self, two: Two, receiver: Peer) -> None:
        """Put, changed and removed."""
        one, other = two.both()
        one.apps.put("shop", settings(receiver))
        assert "shop" == other.apps.entry("shop").name
        one.apps.put("shop", settings(receiver, concurrency=3))
        assert 3 == until(lambda: other.apps.get("shop").settings.concurrency, 3)
        other.apps.remove("shop")
        assert until(lambda: "shop" not in one.apps)
        with pytest.raises(NotFound):
            one.apps.entry("shop")

    def test_not_told(self, two: Two, receiver: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
        """What one changed that is gone before it told of it."""
        one, other = two.both()
        one.apps.put("shop", settings(receiver))
        assert "shop" == other.apps.entry("shop").name
        monkeypatch.setattr(one.apps, "_tell", lambda *_: None)
        one.apps.put("shop", settings(receiver, concurrency=3))
        one.close()
        assert until(lambda: 3 == other.apps.get("shop").settings.concurrency)

    def test_faults(self, two: Two, receiver: Peer) -> None:
        """Of an app of the API and of one of the configuration file; a third that comes later knows them, too."""
        configured = {"file": settings(receiver)}
        one, other = two.both(configured=configured)
        one.apps.put("shop", settings(receiver))
        for name in ("shop", "file"):
            one.set_faults(name, ["duplicate:times=2"])
            assert until(lambda name=name: other.apps.get(name).faults == ("duplicate:times=2",))
            other.intake.accept(name, [LOGIN])
            assert until(lambda name=name: all_acked(one, name, 1))
        third = two.open(configured=configured)
        assert ("duplicate:times=2",) == until(lambda: third.apps.get("file").faults)
        one.set_faults("file", [])
        assert until(lambda: {()} == {service.apps.get("file").faults for service in two.services})

    def test_faults_of_a_run_before(self, two: Two, receiver: Peer) -> None:
        """Those of the configuration file's apps end with the last process."""
        configured = {"file": settings(receiver)}
        with two.open(configured=configured) as before:
            before.set_faults("file", ["duplicate"])
        one, other = two.both(configured=configured)
        assert [(), ()] == [service.apps.get("file").faults for service in (one, other)]

    def test_clock(self, two: Two, receiver: Peer) -> None:
        """Moved or made faster, it is for all of them, and for one that comes later."""
        one, other = two.both()
        one.apps.put("shop", settings(receiver))
        other.intake.accept("shop", [LOGIN], delay_seconds=86_400)
        one.advance(2 * 86_400)
        assert until(lambda: all_acked(other, "shop", 1))
        assert until(lambda: abs(other.clock().now - one.clock().now) < 1000)
        other.set_scale(100)
        assert 100 == until(lambda: one.clock().scale, 100)
        third = two.open()
        assert (100, True) == (third.clock().scale, abs(third.clock().now - one.clock().now) < 60_000)

    def test_redelivered(self, two: Two, receiver: Peer) -> None:
        """By whichever is asked."""
        one, other = two.both()
        one.apps.put("shop", settings(receiver))
        ids = one.intake.accept("shop", [LOGIN] * 3).deliveries
        assert until(lambda: all_acked(one, "shop", 3))
        for service in (one, other):
            assert 3 == service.redeliver(ids)
        assert until(lambda: len(receiver.requests) >= 6)

    def test_reset(self, two: Two, receiver: Peer) -> None:
        """Of an app that the other delivers for."""
        services = two.both()
        services[0].apps.put("shop", settings(receiver))
        holder, other = holder_of("shop", services)
        holder.intake.accept("shop", [LOGIN] * 3, delay_seconds=3600)
        assert 3 == other.reset("shop")
        assert [] == holder.deliveries(Query("shop"))
        holder.intake.accept("shop", [LOGIN])
        assert until(lambda: all_acked(other, "shop", 1))

    def test_run(self, two: Two, receiver: Peer) -> None:
        """A traffic run is counted to its end, whoever delivers it."""
        services = two.both()
        services[0].apps.put("shop", settings(receiver))
        _, other = holder_of("shop", services)
        run = other.runs.start("shop", rate=50, duration=1, seed=1)
        assert until(
            lambda: other.runs.get(run.id).states.get("waiting") == 0 and other.runs.get(run.id).accepted == 50
        )
        assert 50 == other.runs.get(run.id).states["acked"]


class TestIdempotency:
    """A key counts for all of them."""

    def test_at_once(self, two: Two, receiver: Peer) -> None:
        """Of calls with one key one is accepted, and the others get its deliveries; one that asks otherwise is told so."""
        services = two.both()
        services[0].apps.put("shop", settings(receiver))

        def accept(number: int) -> tuple[int, ...] | None:
            with suppress(Conflict):
                events = [LOGIN] * (2 if number % 3 else 3)
                return services[number % 2].intake.accept("shop", events, idempotency_key="key").deliveries
            return None

        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(accept, range(24)))
        assert 1 == len({ids for ids in found if ids is not None})
        assert {2, 3} >= {len(services[0].deliveries(Query("shop"), limit=100))}
        assert None in found


class TestQuestions:
    """A server API that asks first."""

    @pytest.mark.parametrize(("passes", "types"), [(1, ["message", "pre-message"]), (0, ["pre-message"])])
    def test_asked_by_the_other(self, two: Two, passes: int, types: list[str]) -> None:
        """The answer counts, wherever the question is sent from."""
        body = b'{"pass":%d}' % passes
        with peer(answers(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))) as receiver:
            services = two.both()
            services[0].apps.put("chat", AppSettings("rongcloud", receiver.url))
            _, other = holder_of("chat", services)
            played = other.server_apis.answer(call("/message/private/publish.json", MESSAGE))
            assert played is not None
            assert 200 == played.answer.status, played
            assert set(types) == {one.event_type.partition(".")[2] for one in other.deliveries(Query("chat"))}

    def test_state(self, two: Two, receiver: Peer) -> None:
        """What one keeps the other goes on from: no version of an attribute is given twice."""
        services = two.both()
        services[0].apps.put("chat", AppSettings("rongcloud", receiver.url))
        assert until(lambda: "chat" in services[1].apps)
        with ThreadPoolExecutor(8) as threads:
            calls = [(services[number % 2], {**ENTRY, "value": str(number)}) for number in range(24)]
            path = "/chatroom/entry/set.json"
            found = list(threads.map(lambda one: one[0].server_apis.answer(call(path, one[1])), calls))
        assert {200} == {played.answer.status for played in found if played is not None}
        events = [one.payloads[0] for one in services[0].deliveries(Query("chat"), limit=1000)]
        versions = sorted(int(event["version"]) for event in events)
        assert 24 == len(set(versions)) == len(versions)


class TestSwitchedOff:
    """A receiver that fails for too long."""

    def test_everywhere_and_afterwards(self, two: Two) -> None:
        """Both show it, a process that takes over keeps to it, and either switches it on again."""
        with peer(REFUSED) as receiver:
            services = two.both()
            services[0].apps.put("shop", settings(receiver, give_up_hours=1.0, policy="reliable"))
            holder, other = holder_of("shop", services)
            (one,) = other.intake.accept("shop", [LOGIN]).deliveries
            assert until(lambda: holder.attempts(one))
            other.advance(7200)
            since = until(lambda: holder.apps.get("shop").switched_off_at)
            assert since
            assert since == until(lambda: other.apps.get("shop").switched_off_at, since)
            holder.close()
            assert until(lambda: not other._delivering.elsewhere("shop"))
            assert since == other.apps.get("shop").switched_off_at
            third = two.open()
            third.resume("shop")
            assert until(lambda: other.apps.get("shop").switched_off_at is None)
            assert until(lambda: third.apps.get("shop").switched_off_at is None)
