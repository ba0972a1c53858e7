"""CommsEase's other feeds are judged rightly: good receivers pass what holds there, mutants fail what names their defect."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from im_callback.conformance.check import Check, all_checks
from im_callback.conformance.checks import acknowledgement
from im_callback.conformance.effects import mapped
from im_callback.conformance.preflight import Preflight
from im_callback.conformance.run import Run
from im_callback.conformance.runner import run_check
from im_callback.conformance.settings import Settings
from im_callback.conformance.verdict import Result, Verdict
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Event

from tests.conformance.quick import FAR, quick
from tests.feeds import well_told
from tests.receivers import commsease_feeds as receivers
from tests.receivers.commsease_feeds import GOOD, FeedGood
from tests.receivers.direct import hand_over
from tests.receivers.serving import serve

pytestmark = pytest.mark.long

COMMSEASE = providers.load("commsease")
REPEATS = {f"deduplication.{name}" for name in ("same-request-again", "retry-signed-afresh", "retry-reformatted")}
REPEATS |= {
    f"deduplication.{name}" for name in ("concurrent", "far-apart", "retry-after-lost-ack", "retry-after-timeout")
}
OVERTAKEN = {f"ordering.{name}" for name in ("stale-ignored", "newest-wins", "order-field-decides")}
OVERTAKEN |= {"ordering.late-after-removal", "ordering.late-removal", "ordering.versions-at-once"}
NOT_RECORDED = {
    "preflight.effects-show-delivery",
    "preflight.records",
    "acknowledgement.nothing-acked-is-lost",
    "deduplication.twins-are-kept",
    "deduplication.nothing-doubled",
    "payloads.content",
    "signature.no-phantoms",
    *REPEATS,
}
"""What does not apply to a receiver that decides and records nothing."""
NO_OTHER_TYPE = {"payloads.type-drift"}
"""What does not apply where the samples show no field of which the type is in doubt."""
EVERYTHING = "everything that comes after preflight"
NOT_APPLICABLE: dict[type[FeedGood], set[str]] = {
    receivers.OnlyAnswers: NOT_RECORDED | NO_OTHER_TYPE,
    receivers.Answers: NO_OTHER_TYPE,
    receivers.Rooms: NO_OTHER_TYPE,
    receivers.RoomsOpen: NO_OTHER_TYPE,
    receivers.RoomsInALog: NO_OTHER_TYPE,
    receivers.CallsForwarded: {"ordering.newest-wins", "ordering.late-after-removal"},
}
CAUGHT: dict[type[FeedGood], set[str]] = {
    receivers.FailsOpen: {"signature.refusal-is-visible"},
    receivers.ComparesTheDigestAlone: {
        "signature.rejects-recomputed-md5",
        "signature.rejects-wrong-secret",
        "signature.rejects-empty-secret",
        "signature.rejects-key-as-secret",
        "signature.rejects-altered-time",
        "signature.rejects-missing",
        "signature.rejects-truncated-signature",
        "signature.rejects-foreign-app",
        "signature.rejects-stale",
    },
    receivers.AnswersInAnotherDialect: {"preflight.accepts-valid"},
    receivers.TakesItsTime: {"acknowledgement.within-deadline"},
    receivers.ReadsTimesAsNumbers: {
        "acknowledgement.acks-every-type",
        "payloads.every-variant",
        "signature.accepts-documented",
    },
    receivers.ReadsCodesAsText: {"preflight.accepts-valid"},
    receivers.LastOneWins: OVERTAKEN,
    receivers.KeepsRepeats: REPEATS,
    receivers.NeedsCreatetime: {"acknowledgement.acks-with-200"},
    receivers.TellsByRoom: {
        "deduplication.twins-are-kept",
        "ordering.late-removal",
        "ordering.newest-wins",
        "ordering.versions-at-once",
    },
    receivers.HashesWhatItRead: {"signature.accepts-raw-bytes"},
    receivers.LeavesTheNonceOut: {"preflight.accepts-valid"},
}
"""The checks that fail a mutant; those of the family `decision` have proofs of their own."""
STOPPED: dict[type[FeedGood], set[str]] = {
    receivers.AnswersInAnotherDialect: {EVERYTHING},
    receivers.ReadsCodesAsText: {EVERYTHING},
    receivers.LeavesTheNonceOut: {EVERYTHING},
    receivers.TakesItsTime: {
        "acknowledgement.acks-every-type",
        "payloads.every-variant",
        "signature.accepts-documented",
    },
    receivers.HashesWhatItRead: {"deduplication.retry-reformatted"},
}


class Trusting(Run):
    """A run that does not validate the events it makes, and needs no network where none is needed.

    The runs against good receivers do both.
    """

    def checked(self, event: Event) -> Event:
        return event


def checks_of(kind: type[FeedGood]) -> list[Check]:
    """Return the checks that hold at a receiver's feed."""
    return [
        one
        for one in all_checks()
        if one.among([COMMSEASE.feed(kind.feed)]) and one.family != "decision" and not one.option
    ]


def results(kind: type[FeedGood], run_class: type[Run] = Run) -> list[Result]:
    """Return what every check of its feed says about a receiver."""
    receiver = kind()
    with serve(receiver) as url:
        settings = Settings(
            url,
            COMMSEASE,
            COMMSEASE.defaults,
            seed=20,
            settle=kind.settle,
            unordered=kind.unordered,
            feeds=(COMMSEASE.feed(kind.feed),),
            dedupe_distance=FAR,
        )
        run = run_class(settings, mapped(receiver.effects, None))
        if run_class is Trusting:
            hand_over(run, receiver)
        return well_told([run_check(check, run) for check in checks_of(kind)])


def slugs(found: Iterable[Result], *verdicts: Verdict) -> set[str]:
    """Return the ids, without the provider, of the checks that came to a verdict."""
    return {one.id.partition(".")[2] for one in found if one.verdict in verdicts}


def said(found: Iterable[Result]) -> str:
    """Return what the checks that did not pass have to say."""
    return "\n".join(f"{one.id}: {one.actual or one.reason}" for one in found if one.verdict is not Verdict.PASS)


@pytest.fixture(autouse=True)
def be_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Race once; races are tried out elsewhere."""
    quick(monkeypatch)


class TestGood:
    """Good receivers, whatever their store is like."""

    @pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)
    def test_passes(self, kind: type[FeedGood]) -> None:
        """All that holds at the feed passes, but for what the store cannot show."""
        found = results(kind)
        assert NOT_APPLICABLE.get(kind, set()) | {"ordering.no-order"} == slugs(found, Verdict.NOT_APPLICABLE)
        assert set() == slugs(found, Verdict.FAIL, Verdict.COULD_NOT_RUN, Verdict.HARNESS_ERROR), said(found)

    def test_every_feed(self) -> None:
        """Every feed but the first, which has proofs of its own, has a good receiver and a mutant."""
        names = set(COMMSEASE.feed_names[1:])
        assert names == {kind.feed for kind in GOOD} == {kind.feed for kind in CAUGHT}

    @pytest.mark.parametrize("kind", [receivers.Answers, receivers.Calls, receivers.Meetings])
    def test_records_everything(self, kind: type[FeedGood]) -> None:
        """A receiver that records every described type is found to."""
        receiver, feed = kind(), COMMSEASE.feed(kind.feed)
        with serve(receiver) as url:
            run = Run(
                Settings(url, COMMSEASE, COMMSEASE.defaults, seed=1, settle=0.0, feeds=(feed,)),
                mapped(receiver.effects, None),
            )
            Preflight(run).look()
        assert [one for one in feed.event_types if one.examples] == list(run.handled)


class TestMutants:
    """Every mutant fails exactly what names its defect."""

    @pytest.mark.parametrize("kind", CAUGHT, ids=lambda kind: kind.__name__)
    def test_is_caught(self, kind: type[FeedGood], monkeypatch: pytest.MonkeyPatch) -> None:
        """The checks that fail, and those that could not run for want of a working receiver."""
        monkeypatch.setattr(acknowledgement, "BURST", 20)
        if kind is receivers.TakesItsTime:
            monkeypatch.setattr(COMMSEASE.feed(kind.feed), "deadline", receivers.DEADLINE)
        found = results(kind, Trusting)
        stopped = STOPPED.get(kind, set())
        if EVERYTHING in stopped:
            family = {check.id(COMMSEASE).partition(".")[2] for check in checks_of(kind) if not check.preflight}
            stopped = family | {"preflight.effects-answer", "preflight.effects-show-delivery", "preflight.records"}
        assert not slugs(found, Verdict.HARNESS_ERROR), said(found)
        assert CAUGHT[kind] == slugs(found, Verdict.FAIL), said(found)
        assert stopped == slugs(found, Verdict.COULD_NOT_RUN), said(found)
