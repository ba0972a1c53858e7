"""A running engine: applications come, change and go, receivers misbehave, the store fails."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
from im_callback.provider_mock.contract import Outcome, RetryPolicy
from im_callback.provider_mock.delivery import engine as engine_module
from im_callback.provider_mock.delivery.app import App
from im_callback.provider_mock.delivery.clock import ManualClock, RealClock
from im_callback.provider_mock.delivery.engine import Engine
from im_callback.provider_mock.delivery.ledger import Done, Ledger, Waiting

from tests.provider_mock import peers
from tests.provider_mock_engine.playing import REFUSED, accept, app, attempts


class Running:
    """An engine in a thread, and the attempts that it has made."""

    def __init__(self, store: Ledger, clock: RealClock | None = None) -> None:
        self.engine = Engine(store, clock, on_attempt=self._attempt)
        self.made: list[tuple[App, Waiting, Done]] = []
        self._more = threading.Condition()
        self.thread = threading.Thread(target=self.engine.run)

    def _attempt(self, one: App, waiting: Waiting, done: Done, _reply: object) -> None:
        with self._more:
            self.made.append((one, waiting, done))
            self._more.notify_all()

    def wait_for(self, count: int) -> None:
        """Return when so many attempts were made."""
        with self._more:
            assert self._more.wait_for(lambda: len(self.made) >= count, 30), self.made


@contextmanager
def running(store: Ledger, *apps: App, clock: RealClock | None = None) -> Iterator[Running]:
    """Run an engine for these applications, and stop it in the end."""
    found = Running(store, clock)
    for one in apps:
        found.engine.put(one)
    found.thread.start()
    try:
        yield found
    finally:
        found.engine.stop()
        found.thread.join(30)
        assert not found.thread.is_alive()


class TestApps:
    """They can be added, changed and removed while deliveries are under way."""

    def test_added_later(self, ledger: Ledger) -> None:
        """What waited for it is sent."""
        (delivery,) = accept(ledger, "commsease")
        with peers.peer(peers.OK) as server, running(ledger) as found:
            found.engine.put(app("commsease", server.url, deadline=10.0))
            found.wait_for(1)
        assert "acked" == attempts(ledger, delivery)[0]

    def test_changed(self, ledger: Ledger) -> None:
        """What has not left yet goes to the new address."""
        with peers.peer(REFUSED) as before, peers.peer(peers.OK) as after:
            one = app("commsease", before.url, deadline=10.0)
            with running(ledger, one) as found:
                (first,) = accept(ledger, "commsease")
                found.engine.wake()
                found.wait_for(1)
                found.engine.put(replace(one, endpoint=after.url))
                (second,) = accept(ledger, "commsease")
                found.engine.wake()
                found.wait_for(2)
        assert ["dropped", "acked"] == [attempts(ledger, delivery)[0] for delivery in (first, second)]

    def test_removed(self, ledger: Ledger) -> None:
        """What waits stays in the store; another application goes on; it comes back, and all is sent."""
        with peers.peer(peers.OK) as server:
            gone, other = (app("commsease", server.url, name=name, deadline=10.0) for name in ("gone", "other"))
            with running(ledger, gone, other) as found:
                found.engine.remove("gone")
                while "gone" in found.engine.lanes():
                    pass
                (kept,) = accept(ledger, "commsease", name="gone")
                (sent,) = accept(ledger, "commsease", name="other")
                found.engine.wake()
                found.wait_for(1)
                assert ["other"] == list(found.engine.lanes())
                assert ["waiting", "acked"] == [attempts(ledger, delivery)[0] for delivery in (kept, sent)]
                found.engine.put(gone)
                found.wait_for(2)
        assert "acked" == attempts(ledger, kept)[0]

    def test_in_flight(self, ledger: Ledger) -> None:
        """How many deliveries are in flight can be asked for; removed in flight, they land and are on record."""
        reached, answer = threading.Event(), threading.Event()

        def hold(connection: socket.socket, data: bytes) -> None:
            reached.set()
            answer.wait(30)
            peers.OK(connection, data)

        (delivery,) = accept(ledger, "commsease")
        with peers.peer(hold) as server, running(ledger, app("commsease", server.url, deadline=30.0)) as found:
            assert reached.wait(30)
            assert 1 == found.engine.lanes()["app"].in_flight
            found.engine.remove("app")
            answer.set()
            found.wait_for(1)
        assert "acked" == attempts(ledger, delivery)[0]

    def test_paused_until(self, ledger: Ledger) -> None:
        """A pause can be seen, and is over when the clock is moved on."""
        policy = RetryPolicy("", pause_after=1, pause_seconds=3600)
        clock = RealClock()
        with peers.peer(peers.silent) as server:
            deliveries = accept(ledger, "commsease", 2)
            with running(ledger, app("commsease", server.url, policy), clock=clock) as found:
                found.wait_for(1)
                while (until := found.engine.lanes()["app"].paused_until) is None:
                    pass
                assert until > clock.now()
                clock.advance(3600)
                found.wait_for(2)
        assert ["dropped"] * 2 == [attempts(ledger, delivery)[0] for delivery in deliveries]

    def test_recount(self, ledger: Ledger) -> None:
        """What was taken out of the backlog makes room for others."""
        policy = RetryPolicy("", retries={Outcome.REFUSED: 0}, exhausted="parked", backlog=1)
        with peers.peer(REFUSED) as server:
            one = app("commsease", server.url, policy, deadline=10.0)
            with running(ledger, one) as found:
                first, second = accept(ledger, "commsease", 2)
                found.engine.wake()
                found.wait_for(2)
                assert ["parked", "dropped"] == [attempts(ledger, delivery)[0] for delivery in (first, second)]
                found.engine.remove("app")
                assert 1 == ledger.release("app")
                ledger.redeliver([first])
                found.engine.recount("app")
                found.engine.put(one)
                found.wait_for(3)
        assert "parked" == attempts(ledger, first)[0]


class TestReceivers:
    """Whatever a receiver does, other applications' deliveries go on and its own end by the deadline."""

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
            b"HTTP/1.1 200 OK\r\nX: ",
            b"not HTTP at all\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"",
        ],
        ids=["short body", "half a header", "no HTTP", "odd length", "odd chunk", "nothing"],
    )
    def test_closes_in_the_middle(self, answer: bytes, ledger: Ledger, clock: ManualClock) -> None:
        """An answer that is not whole is no acknowledgement, and no crash."""
        (delivery,) = accept(ledger, "commsease")
        with peers.peer(peers.answers(answer)) as server:
            Engine(ledger, clock, apps=[app("commsease", server.url, deadline=10.0)]).run(until_idle=True)
        state, (made,) = attempts(ledger, delivery)
        assert ("dropped", "unreachable") == (state, made.outcome)

    @pytest.mark.parametrize("kind", ["byte by byte", "endless headers", "endless body"])
    def test_never_ends(self, kind: str, ledger: Ledger, clock: ManualClock) -> None:
        """An answer without an end is given up, while others go on."""

        def script(connection: socket.socket, _: bytes) -> None:
            start = b"HTTP/1.1 200 OK\r\n" + (b"\r\n" if kind == "endless body" else b"")
            piece = {"byte by byte": b"a", "endless headers": b"a" * 1000 + b": b\r\n", "endless body": b"b" * 65536}
            connection.sendall(start)
            while True:
                connection.sendall(piece[kind])

        (slow,) = accept(ledger, "commsease", name="slow")
        quick = accept(ledger, "commsease", 50, name="quick")
        with peers.peer(script) as endless, peers.peer(peers.OK) as answering:
            apps = [
                app("commsease", endless.url, name="slow", deadline=2.0),
                app("commsease", answering.url, name="quick", deadline=20.0),
            ]
            Engine(ledger, clock, apps=apps).run(until_idle=True)
        assert ["acked"] * 50 == [attempts(ledger, delivery)[0] for delivery in quick]
        state, (made,) = attempts(ledger, slow)
        assert "dropped" == state
        assert made.outcome in {"timed out", "unreachable"}


class Failing:
    """A ledger that does not answer for a while."""

    def __init__(self, ledger: Ledger, method: str, times: int) -> None:
        self._ledger, self._method, self.left = ledger, method, times

    def __getattr__(self, name: str) -> Callable[..., object]:
        found = getattr(self._ledger, name)

        def call(*given: object, **named: object) -> object:
            if name == self._method and self.left:
                self.left -= 1
                raise ConnectionError("it does not answer")
            return found(*given, **named)

        return call


class TestStoreFails:
    """A store that does not answer is asked again; nothing is lost."""

    @pytest.mark.parametrize(
        ("method", "faults"), [("due", ()), ("next_due", ()), ("together", ["duplicate"]), ("backlog", ())]
    )
    def test_reading(self, method: str, faults: Sequence[str], ledger: Ledger, clock: ManualClock) -> None:
        """Deliveries wait until it answers."""
        policy = RetryPolicy("", retries={Outcome.REFUSED: 0}, exhausted="parked", backlog=9)
        deliveries = accept(ledger, "commsease", 3, faults=faults)
        store = Failing(ledger, method, 1)
        with peers.peer(REFUSED) as server:
            Engine(store, clock, apps=[app("commsease", server.url, policy, deadline=10.0)]).run(until_idle=True)
        assert 0 == store.left
        assert ["parked"] * 3 == [attempts(ledger, delivery)[0] for delivery in deliveries]

    def test_writing(self, ledger: Ledger, clock: ManualClock) -> None:
        """What is not on record is held back, and sent once."""
        (delivery,) = accept(ledger, "commsease")
        store = Failing(ledger, "record", 1)
        with peers.peer(peers.OK) as server:
            Engine(store, clock, apps=[app("commsease", server.url, deadline=10.0)]).run(until_idle=True)
            assert 1 == len(server.requests)
        assert ("acked", 1) == (attempts(ledger, delivery)[0], len(attempts(ledger, delivery)[1]))


def test_one_that_cannot_be_made(ledger: Ledger, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is our own error, on record, and stops no other."""
    broken, whole = accept(ledger, "commsease", 2)
    with peers.peer(peers.OK) as server:
        one = app("commsease", server.url, deadline=10.0)
        made = iter([ValueError("no such payload")])
        feed = one.provider.feeds[0]
        request = feed.request

        def once(*given: object) -> object:
            if (error := next(made, None)) is not None:
                raise error
            return request(*given)  # type: ignore[arg-type]

        monkeypatch.setattr(feed, "request", once)
        Engine(ledger, clock, apps=[one]).run(until_idle=True)
    state, (attempt,) = attempts(ledger, broken)
    assert ("dropped", engine_module.NOT_SENT) == (state, attempt.outcome)
    assert "no such payload" in attempt.rule
    assert "acked" == attempts(ledger, whole)[0]
