"""The documented retry rules as timelines on a clock that jumps, and delivery out of a real ledger."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Outcome, RetryPolicy
from im_callback.provider_mock.delivery import engine as engine_module
from im_callback.provider_mock.delivery.app import App
from im_callback.provider_mock.delivery.clock import ManualClock, RealClock
from im_callback.provider_mock.delivery.engine import Engine
from im_callback.provider_mock.delivery.ledger import Ledger, LedgerReader, NewDelivery
from im_callback.provider_mock.providers.commsease.data_sync import DataSync
from im_callback.provider_mock.providers.rongcloud.chatroom_kv import ChatroomKv

from tests.provider_mock import peers
from tests.provider_mock_engine.playing import DECLINED, REFUSED, START, accept, app, in_turn, resets, timeline


class TestTimelines:
    """Each provider's rule for what happens after an attempt."""

    @pytest.mark.parametrize(
        ("provider", "policy", "script", "expected"),
        [
            ("commsease", "normal", peers.silent, ("dropped", [(0, "timed out")])),
            ("commsease", "normal", REFUSED, ("dropped", [(0, "refused")])),
            (
                "rongcloud",
                "documented",
                peers.silent,
                ("dropped", [(0, "timed out"), (0, "timed out"), (0, "timed out")]),
            ),
            ("rongcloud", "documented", REFUSED, ("dropped", [(0, "refused")])),
            ("commsease", "reliable", DECLINED, ("declined", [(0, "declined")])),
            ("rongcloud", "documented", DECLINED, ("declined", [(0, "declined")])),
            ("tencent", "on-timeout", DECLINED, ("declined", [(0, "declined")])),
            (
                "rongcloud",
                "documented",
                resets,
                ("dropped", [(0, "unreachable"), (300, "unreachable"), (600, "unreachable")]),
            ),
            ("commsease", "normal", resets, ("dropped", [(0, "unreachable")])),
            ("tencent", "none", resets, ("dropped", [(0, "unreachable")])),
            ("tencent", "on-timeout", resets, ("dropped", [(0, "unreachable")])),
            ("tencent", "none", peers.silent, ("dropped", [(0, "timed out")])),
            (
                "tencent",
                "on-timeout",
                peers.silent,
                ("dropped", [(0, "timed out"), (5, "timed out"), (10, "timed out")]),
            ),
            ("tencent", "on-timeout", REFUSED, ("dropped", [(0, "refused")])),
        ],
    )
    def test_rule(
        self,
        provider: str,
        policy: str,
        script: peers.Script,
        expected: tuple[str, list[tuple[float, str]]],
        ledger: Ledger,
        clock: ManualClock,
    ) -> None:
        """The attempts come when the documents say, and end as they say."""
        (delivery,) = accept(ledger, provider)
        with peers.peer(script) as server:
            Engine(ledger, clock, apps=[app(provider, server.url, policy)]).run(until_idle=True)
        assert expected == timeline(ledger, delivery)

    def test_network_trouble(self, ledger: Ledger, clock: ManualClock) -> None:
        """RongCloud comes back five minutes after network trouble, two more times."""
        (delivery,) = accept(ledger, "rongcloud")
        Engine(ledger, clock, apps=[app("rongcloud", f"http://127.0.0.1:{peers.unused_port()}/", "documented")]).run(
            until_idle=True
        )
        assert ("dropped", [(0, "unreachable"), (300, "unreachable"), (600, "unreachable")]) == timeline(
            ledger, delivery
        )

    def test_reliable(self, ledger: Ledger, clock: ManualClock) -> None:
        """CommsEase's reliable mode resends 1,000 times and then parks."""
        (delivery,) = accept(ledger, "commsease")
        with peers.peer(REFUSED) as server:
            Engine(ledger, clock, apps=[app("commsease", server.url, "reliable", deadline=5.0)]).run(until_idle=True)
        state, made = timeline(ledger, delivery)
        assert "parked" == state
        assert 1001 == len(made)
        assert (60_000.0, "refused") == made[-1]

    def test_comes_back(self, ledger: Ledger, clock: ManualClock) -> None:
        """A receiver that is back within the retries gets the delivery, once."""
        answers = iter([REFUSED, REFUSED, peers.OK])
        (delivery,) = accept(ledger, "commsease")

        def script(connection: socket.socket, data: bytes) -> None:
            next(answers)(connection, data)

        with peers.peer(script) as server:
            Engine(ledger, clock, apps=[app("commsease", server.url, "reliable", deadline=5.0)]).run(until_idle=True)
        assert ("acked", [(0, "refused"), (60, "refused"), (120, "acked")]) == timeline(ledger, delivery)

    def test_released(self, ledger: Ledger, clock: ManualClock) -> None:
        """Manual synchronisation sends what was parked."""
        policy = RetryPolicy("", retries={Outcome.REFUSED: 0}, exhausted="parked", backlog=10)
        (delivery,) = accept(ledger, "commsease")
        with peers.peer(REFUSED) as server:
            Engine(ledger, clock, apps=[app("commsease", server.url, policy, deadline=5.0)]).run(until_idle=True)
        assert 1 == ledger.release("app")
        with peers.peer(peers.OK) as server:
            Engine(ledger, clock, apps=[app("commsease", server.url, policy, deadline=5.0)]).run(until_idle=True)
        assert ("acked", [(0, "refused"), (0, "acked")]) == timeline(ledger, delivery)

    def test_backlog_is_full(self, ledger: Ledger, clock: ManualClock) -> None:
        """What finds the backlog full is dropped, and the record says why."""
        policy = RetryPolicy("", retries={Outcome.REFUSED: 0}, exhausted="parked", backlog=2)
        deliveries = accept(ledger, "commsease", 3)
        with peers.peer(REFUSED) as server:
            Engine(ledger, clock, apps=[app("commsease", server.url, policy, deadline=5.0)]).run(until_idle=True)
        assert ["parked", "parked", "dropped"] == [timeline(ledger, one)[0] for one in deliveries]
        assert ledger.attempts(deliveries[-1])[0].rule.endswith("the backlog of 2 is full")

    def test_pause(self, ledger: Ledger, clock: ManualClock) -> None:
        """Many time-outs in a row pause everything for a minute; what waits is sent afterwards."""
        policy = replace(ChatroomKv.policies["documented"], retries={}, pause_after=3)
        deliveries = accept(ledger, "rongcloud", 5)
        with peers.peer(peers.silent) as server:
            Engine(ledger, clock, apps=[app("rongcloud", server.url, policy, deadline=2.0)]).run(until_idle=True)
        assert [0, 0, 0, 60, 60] == [timeline(ledger, one)[1][0][0] for one in deliveries]

    @pytest.mark.parametrize(
        ("between", "outcome"),
        [(peers.OK, "acked"), (DECLINED, "declined"), (REFUSED, "refused"), (resets, "unreachable")],
    )
    def test_pause_only_in_a_row(self, between: peers.Script, outcome: str, ledger: Ledger, clock: ManualClock) -> None:
        """Whatever else an attempt comes to, the time-outs are counted from there anew."""
        policy = replace(ChatroomKv.policies["documented"], retries={}, pause_after=3)
        silent = peers.silent
        script = in_turn(silent, silent, between, silent, silent, silent, peers.OK)
        deliveries = accept(ledger, "rongcloud", 7)
        with peers.peer(script) as server:
            Engine(ledger, clock, apps=[app("rongcloud", server.url, policy, deadline=2.0)]).run(until_idle=True)
        made = [timeline(ledger, one)[1][0] for one in deliveries]
        assert [0, 0, 0, 0, 0, 0, 60] == [at for at, _ in made]
        assert outcome == made[2][1]

    def test_declined(self, ledger: Ledger, clock: ManualClock) -> None:
        """What the receiver says goes on record, without our secret, should it tell that."""
        said = b'{"code":414,"msg":"sign with test-secret"}'
        (delivery,) = accept(ledger, "commsease")
        with peers.peer(
            peers.answers(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))
        ) as server:
            Engine(ledger, clock, apps=[app("commsease", server.url, "reliable", deadline=5.0)]).run(until_idle=True)
        assert ("declined", [(0, "declined")]) == timeline(ledger, delivery)
        (made,) = ledger.attempts(delivery)
        rule = 'status 200, but the receiver\'s own words decline it: {"code":414,"msg":"sign with ***"}'
        assert (200, rule) == (made.status, made.rule)

    @pytest.mark.parametrize("afresh", [True, False])
    def test_signing(self, afresh: bool, ledger: Ledger, clock: ManualClock) -> None:
        """A retry is signed afresh, or byte for byte the first attempt."""
        policy = replace(DataSync.policies["reliable"], retries={Outcome.REFUSED: 2}, signed_afresh=afresh)
        accept(ledger, "commsease")
        with peers.peer(REFUSED) as server:
            Engine(ledger, clock, apps=[app("commsease", server.url, policy, deadline=5.0)], wall=clock.now).run(
                until_idle=True
            )
            assert 3 == len(server.requests)
            assert (3 if afresh else 1) == len(set(server.requests))


class TestDelivery:
    """What is accepted is delivered."""

    def test_each_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """More deliveries than the window holds arrive, each once."""
        monkeypatch.setattr(engine_module, "WINDOW", 64)
        played = providers.load("commsease")
        login = played.catalogue["commsease.login"]
        with (
            Ledger(str(tmp_path / "ledger.db")) as ledger,
            peers.receiver("commsease", "test-key", "test-secret") as there,
        ):
            payloads = [{**login.examples[0], "accid": f"u{number}"} for number in range(500)]
            ledger.accept([NewDelivery("app", login.name, (payload,), START) for payload in payloads])
            one = App("app", played, there.url, played.defaults, played.feeds[0].policies["normal"], concurrency=16)
            Engine(ledger, RealClock(), apps=[one]).run(until_idle=True)
            ledger.flush()
            assert {"acked": 500} == {state: count for state, count in ledger.counts().items() if count}
        assert sorted(f"u{number}" for number in range(500)) == sorted(json.loads(b)["accid"] for b in there.accepted)

    def test_woken_and_stopped(self, tmp_path: Path) -> None:
        """A running engine sends what is accepted later, and stops when told to."""
        played = providers.load("tencent")
        with (
            Ledger(str(tmp_path / "ledger.db")) as ledger,
            peers.receiver("tencent", "1400000001", "test-token") as there,
        ):
            acked = threading.Event()
            one = App("app", played, there.url, played.defaults, played.feeds[0].policies["none"])
            running = Engine(ledger, apps=[one], on_attempt=lambda *_: acked.set())
            thread = threading.Thread(target=running.run)
            thread.start()
            accept(ledger, "tencent")
            running.wake()
            assert acked.wait(20)
            running.stop()
            thread.join(20)
            assert not thread.is_alive()

    def test_other_apps_go_on(self, ledger: Ledger, clock: ManualClock) -> None:
        """A receiver that never answers holds up nobody else's deliveries."""
        login = providers.load("commsease").catalogue["commsease.login"]
        slow, quick = (NewDelivery(name, login.name, (dict(login.examples[0]),), START) for name in ("slow", "quick"))
        ledger.accept([slow] + [quick] * 20)
        order: list[str] = []
        with peers.peer(peers.silent) as hanging, peers.peer(peers.OK) as answering:
            apps = [
                replace(app("commsease", hanging.url, "normal", deadline=4.0), name="slow"),
                replace(app("commsease", answering.url, "normal", deadline=5.0), name="quick"),
            ]
            Engine(ledger, clock, apps=apps, on_attempt=lambda one, *_: order.append(one.name)).run(until_idle=True)
        assert ["quick"] * 20 == order[:20]


SENDER = """
import sys
from im_callback.provider_mock import providers
from im_callback.provider_mock.delivery.engine import Engine
from im_callback.provider_mock.delivery.lane import App
from im_callback.provider_mock.delivery.ledger import Ledger
played = providers.load("commsease")
with Ledger(sys.argv[1]) as ledger:
    app = App("app", played, sys.argv[2], played.defaults, played.feeds[0].policies["normal"], concurrency=8)
    Engine(ledger, apps=[app], on_attempt=lambda *_: print("attempt", flush=True)).run(until_idle=True)
"""


def test_killed(tmp_path: Path) -> None:
    """An engine that is killed at any moment loses nothing: the next one goes on."""
    login = providers.load("commsease").catalogue["commsease.login"]
    file = str(tmp_path / "ledger.db")
    payloads = [{**login.examples[0], "accid": f"u{number}"} for number in range(300)]
    with Ledger(file) as ledger:
        ledger.accept([NewDelivery("app", login.name, (payload,), START) for payload in payloads])
    with peers.receiver("commsease", "test-key", "test-secret") as there:
        for attempts in (1, 40, 90, 0):
            with subprocess.Popen(
                [sys.executable, "-c", SENDER, file, there.url], stdout=subprocess.PIPE, text=True
            ) as process:
                assert process.stdout is not None
                for _ in range(attempts):
                    process.stdout.readline()
                if attempts:
                    process.kill()
                else:
                    process.stdout.read()
        with LedgerReader(file) as reader:
            assert 300 == reader.counts()["acked"]
    assert {f"u{number}" for number in range(300)} == {json.loads(body)["accid"] for body in there.accepted}
