"""What the engine puts on record is what happened, whatever the store, the provider's code and the machine do."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from im_callback.provider_mock.contract import Outcome, RetryPolicy
from im_callback.provider_mock.delivery import engine as engine_module
from im_callback.provider_mock.delivery.clock import ManualClock, RealClock
from im_callback.provider_mock.delivery.engine import Engine
from im_callback.provider_mock.delivery.ledger import Done, Ledger, NewDelivery, Waiting

from tests.provider_mock import peers
from tests.provider_mock_engine.playing import REFUSED, START, accept, app, attempts, payloads


class Held:
    """A ledger of which one method does not return, or takes nothing, until it is let go."""

    def __init__(self, ledger: Ledger, method: str) -> None:
        self._ledger, self._method = ledger, method
        self.asked, self.let_go = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._ledger, name)

        def call(*given: Any) -> Any:
            if name == self._method and not self.let_go.is_set():
                self.asked.set()
                if name == "record":
                    return 0
                self.let_go.wait(60)
            return found(*given)

        return call


class TestStore:
    """A store that hangs or takes nothing holds deliveries back, and makes nothing up."""

    def test_takes_nothing(self, ledger: Ledger) -> None:
        """Outcomes are held back and recorded once; meanwhile no more is sent than may be in flight."""
        deliveries = accept(ledger, "commsease", 30)
        store = Held(ledger, "record")
        with peers.peer(peers.OK) as server:
            running = Engine(store, apps=[app("commsease", server.url, "reliable", deadline=10.0, concurrency=4)])
            thread = threading.Thread(target=running.run, kwargs={"until_idle": True})
            thread.start()
            assert store.asked.wait(30)
            while len(server.requests) < 4:
                time.sleep(0.001)
            assert 4 == running.lanes()["app"].in_flight
            store.let_go.set()
            thread.join(60)
            assert 30 == len(server.requests)
        for delivery in deliveries:
            state, made = attempts(ledger, delivery)
            assert ("acked", ["acked"]) == (state, [one.outcome for one in made])

    @pytest.mark.parametrize(("method", "faults"), [("due", []), ("together", ["duplicate"]), ("backlog", [])])
    def test_hangs(self, method: str, faults: Sequence[str], ledger: Ledger) -> None:
        """While it is read, what is in flight lands and is judged by when it was answered."""
        policy = RetryPolicy("", retries={Outcome.REFUSED: 0}, exhausted="parked", backlog=9)
        store = Held(ledger, method)
        (slow,) = accept(ledger, "commsease", name="slow")
        answer = threading.Event()

        def waits(connection: socket.socket, _: bytes) -> None:
            answer.wait(30)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        with peers.peer(waits) as waiting, peers.peer(REFUSED) as refusing:
            store.let_go.set()
            running = Engine(store, apps=[app("commsease", waiting.url, name="slow", deadline=1.0)])
            thread = threading.Thread(target=running.run)
            thread.start()
            while not waiting.requests:
                time.sleep(0.001)
            store.let_go.clear()
            running.put(app("commsease", refusing.url, policy, deadline=1.0))
            (other,) = accept(ledger, "commsease", faults=faults)
            running.wake()
            assert store.asked.wait(30)
            answer.set()
            ended = time.monotonic() + 30
            while running.lanes()["slow"].in_flight and time.monotonic() < ended:
                time.sleep(0.001)
            state, (made,) = attempts(ledger, slow)
            store.let_go.set()
            while attempts(ledger, other)[0] == "waiting":
                time.sleep(0.001)
            running.stop()
            thread.join(30)
        assert ("acked", "acked") == (state, made.outcome)
        assert made.seconds < 1.0
        assert "parked" == attempts(ledger, other)[0]


class TestProvider:
    """A provider whose code raises ends the delivery it was called for."""

    @pytest.mark.parametrize("method", ["judge", "next_attempt"])
    @pytest.mark.parametrize("error", [ValueError("with test-secret in it"), SystemExit(3), RecursionError()])
    def test_after_sending(
        self, method: str, error: BaseException, ledger: Ledger, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It was sent, and that is on record; its other deliveries and other apps go on."""
        first, second = accept(ledger, "commsease", 2, name="bad")
        (other,) = accept(ledger, "rongcloud", name="good")
        with peers.peer(peers.OK) as server:
            bad = app("commsease", server.url, name="bad", deadline=10.0)
            feed = bad.provider.feeds[0]
            found = getattr(feed, method)
            errors = iter([error])

            def once(*given: object) -> object:
                if (failure := next(errors, None)) is not None:
                    raise failure
                return found(*given)

            monkeypatch.setattr(feed, method, once)
            good = app("rongcloud", server.url, name="good", deadline=10.0)
            Engine(ledger, clock, apps=[bad, good]).run(until_idle=True)
            assert 3 == len(server.requests)
        state, (made,) = attempts(ledger, first)
        assert ("dropped", engine_module.NOT_JUDGED) == (state, made.outcome)
        assert made.rule.startswith("our own error, the answer was not judged: ")
        assert bad.credentials.app_secret not in made.rule  # type: ignore[operator]
        assert ["acked", "acked"] == [attempts(ledger, delivery)[0] for delivery in (second, other)]


class TestInFlight:
    """How many requests are under way at once."""

    def test_one_at_a_time(self, ledger: Ledger) -> None:
        """With a concurrency of 1 there is one, disturbed or not."""
        now = most = 0
        lock = threading.Lock()

        def counts(connection: socket.socket, _: bytes) -> None:
            nonlocal now, most
            with lock:
                now += 1
                most = max(most, now)
            with lock:
                now -= 1
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        accept(ledger, "commsease", 20, faults=["duplicate"], due_at=0)
        accept(ledger, "commsease", 20, due_at=0)
        with peers.peer(counts) as server:
            Engine(ledger, RealClock(), apps=[app("commsease", server.url, deadline=10.0)]).run(until_idle=True)
            assert 60 == len(server.requests)
        assert 1 == most

    def test_delayed_ones_hold_up_nobody(self, ledger: Ledger, clock: ManualClock) -> None:
        """Deliveries that wait for their time by plan leave the way free for undisturbed ones."""
        order: list[int] = []
        slow = [accept(ledger, "commsease", 1, faults=["delay:seconds=6"])[0] for _ in range(2)]
        (quick,) = accept(ledger, "commsease")
        with peers.peer(peers.OK) as server:
            apps = [app("commsease", server.url, deadline=10.0)]

            def took(_app: object, waiting: Waiting, *_rest: object) -> None:
                order.append(waiting.id)

            Engine(ledger, clock, apps=apps, on_attempt=took).run(until_idle=True)
        assert [quick, *slow] == order

    def test_rate(self, ledger: Ledger) -> None:
        """An app with a rate starts no more than that many in a second, retries and disturbed ones among them."""
        accept(ledger, "commsease", 6, faults=["duplicate"], due_at=0)
        accept(ledger, "commsease", 8, due_at=0)
        came: list[float] = []

        def takes(connection: socket.socket, data: bytes) -> None:
            came.append(time.monotonic())
            peers.OK(connection, data)

        with peers.peer(takes) as server:
            one = replace(app("commsease", server.url, deadline=10.0, concurrency=50), rate=40.0)
            began = time.monotonic()
            Engine(ledger, RealClock(), apps=[one]).run(until_idle=True)
        assert 20 == len(came)
        # 20 of them take 19 intervals at least; that is a promise, not a speed.
        assert came[-1] - began >= 19 / 40 - 0.001


class TestSwitchedOff:
    """An app whose receiver has failed for hours."""

    def test_after_hours(self, ledger: Ledger, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
        """Nothing more is sent until the app is put again; what waits stays."""
        policy = RetryPolicy("", retries={Outcome.REFUSED: 1000}, spacing={Outcome.REFUSED: 600.0})
        (delivery,) = accept(ledger, "commsease")
        with peers.peer(REFUSED) as server:
            one = replace(app("commsease", server.url, policy, deadline=10.0), give_up_hours=2.0)
            running = Engine(ledger, clock, apps=[one])
            running.run(until_idle=True)
            assert 13 == len(server.requests)
        assert "waiting" == attempts(ledger, delivery)[0]
        off_at = running.lanes()["app"].switched_off_at
        assert off_at == clock.now()
        assert ["app-switched-off"] == [getattr(record, "event", None) for record in caplog.records]

    def test_success_between(self, ledger: Ledger, clock: ManualClock) -> None:
        """Hours of failing are counted from the last success."""
        policy = RetryPolicy("", retries={Outcome.REFUSED: 40}, spacing={Outcome.REFUSED: 600.0})
        first = accept(ledger, "commsease", 1)[0]
        accept(ledger, "commsease", 1, due_at=clock.now() + 6_000_000)
        number = iter(range(1000))

        def script(connection: socket.socket, data: bytes) -> None:
            # The eleventh is the second delivery's.
            (peers.OK if next(number) in (11, 20) else REFUSED)(connection, data)

        with peers.peer(script) as server:
            one = replace(app("commsease", server.url, policy, deadline=10.0), give_up_hours=2.0)
            running = Engine(ledger, clock, apps=[one])
            running.run(until_idle=True)
        assert "acked" == attempts(ledger, first)[0]
        assert running.lanes()["app"].switched_off_at is None


def test_nonces(ledger: Ledger, clock: ManualClock) -> None:
    """An engine that is started again does not repeat its nonces."""
    with peers.peer(peers.OK) as server:
        for _ in range(2):
            accept(ledger, "rongcloud", 3)
            Engine(ledger, clock, apps=[app("rongcloud", server.url, deadline=10.0)]).run(until_idle=True)
        nonces = {request.partition(b"nonce=")[2].split(b"&")[0] for request in server.requests}
    assert 6 == len(nonces)


def test_reread(ledger: Ledger, clock: ManualClock) -> None:
    """What was read is read again when it has changed."""
    hold = threading.Event()

    def waits(connection: socket.socket, data: bytes) -> None:
        hold.wait(30)
        peers.OK(connection, data)

    first, second = accept(ledger, "commsease", 2)
    with peers.peer(waits) as server:
        running = Engine(ledger, clock, apps=[app("commsease", server.url, deadline=10.0)])
        thread = threading.Thread(target=running.run, kwargs={"until_idle": True})
        thread.start()
        while not server.requests:
            time.sleep(0.001)
        ledger.record([Done(second, 1, clock.now(), 0.0, "not sent", None, "taken back", "dropped", clock.now())])
        ledger.flush()
        running.reread("app")
        hold.set()
        thread.join(30)
        assert 1 == len(server.requests)
    assert ["acked", "dropped"] == [attempts(ledger, delivery)[0] for delivery in (first, second)]


class TestOnRecord:
    """An attempt keeps its request and the beginning of its answer."""

    @pytest.mark.parametrize("faults", [[], ["duplicate"], ["truncate"], ["tamper-signature"]])
    def test_kept(self, faults: Sequence[str], ledger: Ledger, clock: ManualClock) -> None:
        """As they were sent and came; secrets are masked where they stand."""
        answer = b"HTTP/1.1 200 OK\r\nX-Echo: pass-4711 test-secret\r\nContent-Length: 16\r\n\r\nok, test-secret!"
        (delivery,) = accept(ledger, "commsease", faults=faults)
        with peers.peer(peers.answers(answer)) as server:
            one = app("commsease", server.url, deadline=1.0)
            credentials = replace(one.credentials, app_secret="test-secret")
            url = server.url.replace("http://", "http://me:login-0815@")
            one = replace(one, headers=(("X-Gateway", "pass-4711"),), credentials=credentials, endpoint=url)
            Engine(ledger, clock, apps=[one]).run(until_idle=True)
            sent = list(server.requests)
        _, made = attempts(ledger, delivery)
        for attempt in made:
            first, *lines = attempt.request.split("\n")
            assert f"POST {server.url} HTTP/1.1" == first
            for secret in ("pass-4711", "test-secret", "login-0815", "bWU6bG9naW4tMDgxNQ=="):
                assert secret not in attempt.request + attempt.answer
            if attempt.number > 1 or faults != ["truncate"]:
                head = sent.pop(0).partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
                masked = [line.replace("pass-4711", "****").replace("bWU6bG9naW4tMDgxNQ==", "****") for line in head]
                assert masked == lines
                assert "X-Echo: **** ****\nContent-Length: 16\n\nok, ****!" == attempt.answer
                assert attempt.body is None
            else:
                assert attempt.body is not None
                assert 0 < len(attempt.body) < int(attempt.request.rpartition("Content-Length: ")[2])


def test_plan_that_cannot_be_read(ledger: Ledger, clock: ManualClock) -> None:
    """Is our own error, on record, and stops no other delivery of its app."""
    found = payloads("commsease", 2)
    new = [NewDelivery("app", kind, (payload,), START, plan="no plan") for kind, payload in found]
    bad, _ = ledger.accept([new[0], replace(new[1], plan=None)])
    with peers.peer(peers.OK) as server:
        Engine(ledger, clock, apps=[app("commsease", server.url, deadline=10.0)]).run(until_idle=True)
        assert 1 == len(server.requests)
    state, (made,) = attempts(ledger, bad)
    assert ("dropped", engine_module.NOT_SENT) == (state, made.outcome)
