"""Plans are carried out in their order and at their time, on a clock that is moved by hand."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from itertools import count

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Judgement, NoReply, Outcome, Reply, Request
from im_callback.provider_mock.delivery.clock import ManualClock
from im_callback.provider_mock.delivery.courier import Courier
from im_callback.provider_mock.delivery.make import describe
from im_callback.provider_mock.delivery.perform import PlannedAttempt, fulfilled, perform
from im_callback.provider_mock.delivery.plan import NO_TRANSPORT, Step, Transport, plan
from im_callback.provider_mock.delivery.sockets.client import Client
from im_callback.provider_mock.delivery.sockets.message import HeaderInjection
from im_callback.provider_mock.history import Shot

from tests.provider_mock_faults.recorder import OK, always, recorder
from tests.provider_mock_faults.sending import NOW, Sent

FEED = providers.load("commsease").feeds[0]

REFUSED = b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"


class TestTime:
    """Steps leave when they are due."""

    def test_rate(self) -> None:
        """At a rate, each at its moment."""
        with recorder() as there:
            sent = Sent(there.url, count=5, rate=4)
        assert [NOW, NOW + 250, NOW + 500, NOW + 750, NOW + 1000] == [one.sent_at for one in sent.attempts]

    def test_a_day_takes_no_time(self) -> None:
        """A thousand seconds between attempts pass in no time at all."""
        with recorder(always(REFUSED)) as there:
            sent = Sent(there.url, "refuse:times=80,gap=1000", "duplicate:gap=5000")
        assert NOW + 85_000_000 == sent.attempts[-1].sent_at
        assert ["unreachable"] * 80 + ["refused"] * 2 == sent.outcomes

    def test_gap_counts_from_the_end(self) -> None:
        """A retry waits from the moment at which the attempt before it was over."""
        with recorder() as there:
            sent = Sent(there.url, "lose-ack:gap=2", "delay:seconds=3,every=1", count=2)
        assert [(0, 3000), (0, 5000), (1, 8000), (1, 10_000)] == [
            (one.step.index, one.sent_at - NOW) for one in sent.attempts
        ]

    def test_real_clock(self) -> None:
        """Without a clock it is the time of day."""
        with recorder() as there:
            sent = Sent(there.url)
            found = list(perform(plan(1), sent.maker, sent.courier))
        assert ["acked"] == [one.outcome.value for one in found]
        assert found[0].sent_at > NOW


class TestTurns:
    """One turn follows the other."""

    def test_turn_waits_for_retries(self) -> None:
        """The next delivery leaves when the one before it is through, retries and all."""
        with recorder() as there:
            sent = Sent(there.url, "duplicate:times=2", count=3)
        assert [0, 0, 0, 1, 1, 1, 2, 2, 2] == [one.step.index for one in sent.attempts]

    def test_one_after_the_other(self) -> None:
        """There is never more than one under way."""
        with recorder() as there:
            sent = Sent(there.url, count=20)
        assert (list(range(20)), 1) == ([one.step.index for one in sent.attempts], sent.peak)

    def test_concurrency(self) -> None:
        """No more are under way than the client allows; the rest follows."""
        with recorder(together=3) as there:
            sent = Sent(there.url, "burst", "trickle:pause=0,every=2", count=39, client=Client(5.0, concurrency=3))
        assert (["acked"] * 39, 3) == (sent.outcomes, sent.peak)

    def test_connections_are_shared_in_turn(self) -> None:
        """What is to go over one connection goes one by one, also where all is due at once."""
        with recorder() as there:
            sent = Sent(there.url, "burst", "reuse-connection", count=10)
        assert [10] == [len(one.requests) for one in there.connections]
        assert ["acked"] * 10 == sent.outcomes


class TestHistory:
    """What was sent is on record."""

    def test_written(self) -> None:
        """Every attempt, in the order in which its outcome became known."""
        with recorder() as there:
            sent = Sent(there.url, "lose-ack", count=2)
        assert sent.attempts == list(sent.courier.history)
        assert ["delivery 1", "delivery 1, attempt 2", "delivery 2", "delivery 2, attempt 2"] == [
            one.shot.note for one in sent.courier.history
        ]

    def test_copy(self) -> None:
        """Copies are told apart."""
        assert "delivery 3, copy 2, attempt 4" == describe(Step(2, copy=1, attempt=3))


class TestMistakes:
    """Our own errors come out where the caller is."""

    @pytest.mark.parametrize("transport", [NO_TRANSPORT, Transport(slow_start=0.001)])
    def test_header_injection(self, transport: Transport) -> None:
        """A header that would break out of its line is not sent."""
        shot = Shot(FEED, Request("http://127.0.0.1:1/", (("a", "b\r\nc: d"),), b""), Request("", (), b""))
        courier = Courier(Client(5.0))
        with pytest.raises(HeaderInjection):
            list(perform((Step(0, transport=transport),), lambda *_: shot, courier, ManualClock()))

    def test_maker_fails(self) -> None:
        """What the maker raises ends the performance."""

        def make(step: Step, millis: int) -> Shot:
            raise RuntimeError(step.index)

        courier = Courier(Client(5.0))
        with pytest.raises(RuntimeError):
            list(perform(plan(2), make, courier, ManualClock()))

    def test_given_up(self) -> None:
        """Whoever wants no more attempts breaks off what is under way."""
        release = threading.Event()

        def answer(number: int, _: bytes) -> bytes | None:
            if number == 1:
                return OK
            release.set()
            return None

        with recorder(answer) as there:
            sent = Sent(there.url, "refuse:retry=false")
            kept = Step(0, connection="kept")
            ongoing = perform((kept, Step(0, turn=1, connection="kept")), sent.maker, sent.courier, ManualClock(NOW))
            assert next(ongoing).acked
            ongoing.close()
        assert ["closed"] == there.ends


FIRST = Step(0)


@dataclass(frozen=True)
class Case:
    """An attempt that never was."""

    outcome: Outcome
    step: Step = FIRST
    forged: bool = False
    broken: bool = False

    @property
    def attempt(self) -> PlannedAttempt:
        """The attempt."""
        request = Request("http://127.0.0.1/", (), b"")
        shot = Shot(FEED, request, request, forged=self.forged, broken=self.broken)
        return PlannedAttempt(shot, Reply(200, (), b"", 0.0), Judgement(self.outcome, ""), 0, self.step)


LOST = Step(0, transport=Transport(read_reply=False))
RETRY = Step(0, attempt=1)
OTHER = Step(1)


class TestFulfilled:
    """Tests for `fulfilled`: what the receiver owes, and whether it gave it."""

    @pytest.mark.parametrize(
        ("expected", "cases"),
        [
            (True, [Case(Outcome.ACKED)]),
            (False, [Case(Outcome.REFUSED)]),
            (False, [Case(Outcome.DECLINED)]),
            (True, [Case(Outcome.DECLINED, forged=True)]),
            (True, [Case(Outcome.DECLINED, broken=True)]),
            (False, [Case(Outcome.UNREACHABLE, LOST), Case(Outcome.DECLINED, RETRY)]),
            (False, [Case(Outcome.TIMED_OUT)]),
            (False, [Case(Outcome.UNREACHABLE)]),
            (True, [Case(Outcome.UNREACHABLE, LOST), Case(Outcome.ACKED, RETRY)]),
            (False, [Case(Outcome.UNREACHABLE, LOST), Case(Outcome.REFUSED, RETRY)]),
            (False, [Case(Outcome.UNREACHABLE, LOST)]),
            (False, [Case(Outcome.ACKED), Case(Outcome.REFUSED, OTHER)]),
            (False, [Case(Outcome.ACKED, OTHER), Case(Outcome.UNREACHABLE, LOST)]),
            (True, [Case(Outcome.REFUSED, forged=True)]),
            (False, [Case(Outcome.ACKED, forged=True)]),
            (False, [Case(Outcome.TIMED_OUT, forged=True)]),
            (True, [Case(Outcome.REFUSED, broken=True)]),
            (True, [Case(Outcome.ACKED, broken=True)]),
            (False, [Case(Outcome.TIMED_OUT, broken=True)]),
            (False, [Case(Outcome.UNREACHABLE, broken=True)]),
            (True, [Case(Outcome.REFUSED, broken=True, forged=True)]),
            (False, [Case(Outcome.ACKED, broken=True, forged=True)]),
            (True, [Case(Outcome.ACKED), Case(Outcome.REFUSED, Step(0, copy=1), forged=True)]),
        ],
    )
    def test_table(self, expected: bool, cases: list[Case]) -> None:
        """Refusing a forgery, acknowledging the rest, and answering what is broken."""
        assert expected is fulfilled(case.attempt for case in cases)


class TestMaker:
    """How a shot comes to be."""

    def test_a_retry_can_grow_old(self) -> None:
        """The same bytes an hour later are stale where the documents set a limit, and only there."""
        with recorder(always(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")) as there:
            tencent = Sent(there.url, "duplicate:gap=61", provider="tencent")
            commsease = Sent(there.url, "duplicate:gap=3600")
        assert ["acknowledgement", "refusal"] == tencent.expected
        assert ["acknowledgement"] * 2 == commsease.expected

    def test_nonces(self) -> None:
        """One nonce for each signing."""
        nonces = count()
        provider = providers.load("rongcloud")
        with recorder() as there:
            sent = Sent(there.url, "duplicate-concurrently:copies=2", "duplicate", "sign-afresh", provider="rongcloud")
        assert provider is sent.provider
        found = [
            dict(pair.split("=") for pair in one.shot.request.url.partition("?")[2].split("&")) for one in sent.attempts
        ]
        assert ["n1", "n2", "n3", "n4"] == sorted(one["nonce"] for one in found)
        assert 0 == next(nonces)

    def test_tampered_after_broken(self) -> None:
        """A body that is none can be changed after signing too."""
        with recorder(always(REFUSED)) as there:
            sent = Sent(there.url, "break-body:kind=cut", "tamper-body")
        assert sent.attempts[0].shot.signed.body + b" " == sent.attempts[0].shot.request.body
        assert ["refusal"] == sent.expected

    def test_no_reply(self) -> None:
        """A lost reply is judged by the provider's own rule."""
        judged = (
            providers.load("rongcloud").feeds[0].judge(NoReply("unreachable", "connection lost: reset on purpose", 0.1))
        )
        assert Judgement(Outcome.UNREACHABLE, "connection lost: reset on purpose") == judged
