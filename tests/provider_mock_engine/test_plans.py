"""Deliveries that are disturbed on their way out of the ledger."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Event, Outcome, RetryPolicy
from im_callback.provider_mock.delivery.changes import CannotChange
from im_callback.provider_mock.delivery.clock import ManualClock
from im_callback.provider_mock.delivery.disturbance import Disturbance, NotThroughProxy, PlanTooLong, disturbed
from im_callback.provider_mock.delivery.engine import Engine
from im_callback.provider_mock.delivery.fault import NothingToDisturb
from im_callback.provider_mock.delivery.faults import BadValue, UnknownFault
from im_callback.provider_mock.delivery.ledger import Done, Ledger

from tests.provider_mock import peers
from tests.provider_mock_engine.playing import (
    DECLINED,
    REFUSED,
    START,
    accept,
    app,
    attempts,
    in_turn,
    payloads,
    timeline,
)


def texts(faults: list[str], count: int, provider: str = "commsease", offset: int = 0) -> list[str | None]:
    """Return the disturbances of so many deliveries."""
    played = providers.load(provider)
    batches = [[Event(kind, payload)] for kind, payload in payloads(provider, count)]
    return disturbed(faults, played, played.defaults, batches, 7, offset)


class TestDisturbed:
    """Which deliveries carry what."""

    def test_only_what_is_disturbed(self) -> None:
        """The others go their way as if there were no faults."""
        assert [True, False, False, True, False] == [one is not None for one in texts(["duplicate:every=3"], 5)]

    def test_none(self) -> None:
        """Without faults there is nothing to carry."""
        assert [None, None] == texts([], 2)

    def test_place_in_a_stream(self) -> None:
        """One in three means the same in every part of a stream."""
        assert [False, True, False, False, True] == [
            one is not None for one in texts(["duplicate:every=3"], 5, offset=2)
        ]

    def test_same_text_same_plan(self) -> None:
        """The plan that is made from the text after a restart is the one that was accepted."""
        (text, *_) = texts(["reorder", "duplicate"], 6)
        assert text is not None
        assert Disturbance.load(text).plan() == Disturbance.load(text).plan()
        assert text == Disturbance.load(text).dump()

    @pytest.mark.parametrize(
        ("faults", "provider", "error"),
        [
            (["nothing-like-it"], "commsease", UnknownFault),
            (["sign-afresh:on=repeats"], "commsease", LookupError),
            (["tamper-body:on=repeats"], "commsease", NothingToDisturb),
            (["tamper-digest"], "rongcloud", CannotChange),
            (["duplicate-concurrently:copies=100"] * 2 + ["duplicate-concurrently:copies=3"], "commsease", PlanTooLong),
            (["oversize:bytes=999999999"], "commsease", BadValue),
        ],
    )
    def test_found_before_it_is_accepted(self, faults: list[str], provider: str, error: type[Exception]) -> None:
        """What cannot be done is an error at once."""
        with pytest.raises(error):
            texts(faults, 2, provider)

    def test_proxy(self) -> None:
        """What is done on the socket cannot be done behind a proxy; what is done to the request can."""
        played = providers.load("commsease")
        batches = [[Event(kind, payload)] for kind, payload in payloads("commsease", 1)]
        with pytest.raises(NotThroughProxy, match="leave them out"):
            disturbed(["lose-ack"], played, played.defaults, batches, 7, proxied=True)
        assert [None] != disturbed(["duplicate"], played, played.defaults, batches, 7, proxied=True)


class TestPlans:
    """The engine does what the plan says, and then what the provider's policy says."""

    @pytest.mark.parametrize(
        ("faults", "expected"),
        [
            (["duplicate"], ("acked", ["acked", "acked"])),
            (["duplicate-concurrently:copies=3"], ("acked", ["acked"] * 3)),
            (["lose-ack"], ("acked", ["unreachable", "acked"])),
            (["refuse:times=2"], ("acked", ["unreachable", "unreachable", "acked"])),
            (["tamper-signature"], ("dropped", ["refused"])),
            (["reset:retry=false"], ("dropped", ["unreachable"])),
        ],
    )
    def test_as_disturbed(
        self, faults: list[str], expected: tuple[str, list[str]], ledger: Ledger, clock: ManualClock
    ) -> None:
        """Every request of the plan is an attempt on record."""
        (delivery,) = accept(ledger, "commsease", faults=faults)
        with peers.receiver("commsease", "test-key", "test-secret") as there:
            Engine(ledger, clock, apps=[app("commsease", there.url, deadline=10.0)]).run(until_idle=True)
        state, made = attempts(ledger, delivery)
        assert expected == (state, [one.outcome for one in made])
        assert list(range(1, len(made) + 1)) == [one.number for one in made]

    def test_order(self, ledger: Ledger, clock: ManualClock) -> None:
        """Deliveries that were accepted together are sent in the order of the plan, one after the other."""
        deliveries = accept(ledger, "commsease", 4, faults=["reverse"])
        order: list[int] = []
        with peers.peer(peers.OK) as server:
            Engine(
                ledger,
                clock,
                apps=[app("commsease", server.url, deadline=10.0, concurrency=8)],
                on_attempt=lambda _, waiting, *__: order.append(waiting.id),
            ).run(until_idle=True)
        assert deliveries[::-1] == order

    def test_policy_goes_on(self, ledger: Ledger, clock: ManualClock) -> None:
        """What was not acknowledged in the plan is retried as the provider would, undisturbed."""
        policy = RetryPolicy("", retries={Outcome.REFUSED: 3}, spacing={Outcome.REFUSED: 60.0})
        (delivery,) = accept(ledger, "commsease", faults=["duplicate"])
        with peers.peer(in_turn(REFUSED, REFUSED, peers.OK)) as server:
            Engine(ledger, clock, apps=[app("commsease", server.url, policy, deadline=10.0)]).run(until_idle=True)
        assert ("acked", [(0, "refused"), (0, "refused"), (60, "acked")]) == timeline(ledger, delivery)

    @pytest.mark.parametrize(
        ("expected", "scripts"),
        [
            (("declined", ["declined", "declined"]), [DECLINED, DECLINED]),
            (("declined", ["declined", "refused"]), [DECLINED, REFUSED]),
            (("declined", ["refused", "declined"]), [REFUSED, DECLINED]),
            (("acked", ["declined", "acked"]), [DECLINED, peers.OK]),
            (("acked", ["acked", "declined"]), [peers.OK, DECLINED]),
        ],
    )
    def test_declined(
        self, expected: tuple[str, list[str]], scripts: list[peers.Script], ledger: Ledger, clock: ManualClock
    ) -> None:
        """What was declined in the plan the provider takes as received: it is not sent again, however the plan ends."""
        policy = RetryPolicy("", retries={Outcome.REFUSED: 3})
        (delivery,) = accept(ledger, "commsease", faults=["duplicate"])
        with peers.peer(in_turn(*scripts)) as server:
            Engine(ledger, clock, apps=[app("commsease", server.url, policy, deadline=10.0)]).run(until_idle=True)
        state, made = attempts(ledger, delivery)
        assert expected == (state, [one.outcome for one in made])

    def test_not_sent_before_a_crash(self, ledger: Ledger, clock: ManualClock) -> None:
        """An attempt that could not be made counts for no policy, and stops nothing."""
        (delivery,) = accept(ledger, "commsease")
        ledger.record([Done(delivery, 1, START, 0.0, "not sent", None, "our own error", "waiting", START)])
        ledger.flush()
        with peers.peer(peers.OK) as server:
            Engine(ledger, clock, apps=[app("commsease", server.url, deadline=10.0)]).run(until_idle=True)
        assert ("acked", [(0, "not sent"), (0, "acked")]) == timeline(ledger, delivery)

    def test_delay(self, ledger: Ledger, clock: ManualClock) -> None:
        """A delay is by the clock; what is not delayed does not wait for it."""
        (late,) = accept(ledger, "commsease", faults=["delay:seconds=300"])
        (plain,) = accept(ledger, "commsease")
        with peers.peer(peers.OK) as server:
            Engine(ledger, clock, apps=[app("commsease", server.url, deadline=10.0)]).run(until_idle=True)
        assert [("acked", [(300, "acked")]), ("acked", [(0, "acked")])] == [
            timeline(ledger, one) for one in (late, plain)
        ]

    def test_more_than_fit_at_once(self, ledger: Ledger, clock: ManualClock) -> None:
        """Plans wait for their turn; none is forgotten, none is played twice."""
        deliveries = [accept(ledger, "commsease", faults=["duplicate"])[0] for _ in range(20)]
        with peers.peer(peers.OK) as server:
            Engine(ledger, clock, apps=[app("commsease", server.url, deadline=10.0, concurrency=3)]).run(
                until_idle=True
            )
        assert [("acked", 2)] * 20 == [(state, len(made)) for state, made in (attempts(ledger, d) for d in deliveries)]

    def test_stopped_in_the_middle(self, tmp_path: Path) -> None:
        """A stop lets the request under way land and does not wait for the rest, which is not disturbed any more."""
        with Ledger(str(tmp_path / "ledger.db")) as ledger, peers.peer(REFUSED) as server:
            (delivery,) = accept(ledger, "commsease", faults=["lose-ack:gap=3600"])
            one = app("commsease", server.url, "reliable", deadline=10.0)
            running = Engine(ledger, apps=[one], on_attempt=lambda *_: running.stop())
            running.run()
            assert ("waiting", ["unreachable"]) == (
                attempts(ledger, delivery)[0],
                [made.outcome for made in attempts(ledger, delivery)[1]],
            )
        with Ledger(str(tmp_path / "ledger.db")) as ledger, peers.peer(peers.OK) as server:
            Engine(ledger, apps=[replace(one, endpoint=server.url)]).run(until_idle=True)
            assert ("acked", ["unreachable", "acked"]) == (
                attempts(ledger, delivery)[0],
                [made.outcome for made in attempts(ledger, delivery)[1]],
            )

    def test_stopped_between_steps(self, tmp_path: Path) -> None:
        """A stop while a plan waits for its next step does not wait for it."""
        with Ledger(str(tmp_path / "ledger.db")) as ledger, peers.peer(peers.OK) as server:
            accept(ledger, "commsease", faults=["delay:seconds=3600"])
            (plain,) = accept(ledger, "commsease")
            running = Engine(
                ledger,
                apps=[app("commsease", server.url, deadline=10.0, concurrency=2)],
                on_attempt=lambda *_: threading.Timer(0.01, running.stop).start(),
            )
            running.run()
            assert "acked" == attempts(ledger, plain)[0]

    def test_a_plan_that_cannot_be_made(self, ledger: Ledger, clock: ManualClock) -> None:
        """Is on record as our own error, and stops nothing else."""
        (broken,) = accept(ledger, "commsease", faults=["wrong-secret"])
        (plain,) = accept(ledger, "commsease", due_at=START + 1)
        with peers.peer(peers.OK) as server:
            one = app("commsease", server.url, deadline=10.0)
            unsigned = replace(one, credentials=replace(one.credentials, app_secret=None))
            Engine(ledger, clock, apps=[unsigned]).run(until_idle=True)
        state, (made,) = attempts(ledger, broken)
        assert ("dropped", "not sent") == (state, made.outcome)
        assert made.rule.startswith("our own error, nothing was sent: ")
        assert 1 == len(attempts(ledger, plain)[1])

    def test_proxy_since(self, ledger: Ledger, clock: ManualClock) -> None:
        """A receiver is not reached past the proxy that its application has got since."""
        (delivery,) = accept(ledger, "commsease", faults=["lose-ack"])
        with peers.peer(peers.OK) as server:
            one = replace(app("commsease", server.url), proxy=f"http://127.0.0.1:{peers.unused_port()}")
            Engine(ledger, clock, apps=[one]).run(until_idle=True)
            assert [] == server.requests
        assert "not sent" == attempts(ledger, delivery)[1][0].outcome

    def test_hanging_plans_hold_up_nobody(self, ledger: Ledger, clock: ManualClock) -> None:
        """Another application's deliveries go on while a plan hangs."""
        (slow,) = accept(ledger, "commsease", faults=["time-out:retry=false"], name="slow")
        quick = accept(ledger, "commsease", 20, name="quick")
        order: list[str] = []
        with peers.peer(peers.silent) as hanging, peers.peer(peers.OK) as answering:
            apps = [
                app("commsease", hanging.url, name="slow", deadline=4.0),
                app("commsease", answering.url, name="quick", deadline=10.0),
            ]
            Engine(ledger, clock, apps=apps, on_attempt=lambda one, *_: order.append(one.name)).run(until_idle=True)
        assert ["quick"] * 20 + ["slow"] == order
        assert ["acked"] * 20 == [attempts(ledger, one)[0] for one in quick]
        assert "dropped" == attempts(ledger, slow)[0]
