"""Receivers whose answer decides are judged rightly: good ones of every temper pass, and each mutant fails what names it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from im_callback.conformance.check import all_checks
from im_callback.conformance.checks import acknowledgement
from im_callback.conformance.effects import mapped
from im_callback.conformance.run import Run, Settings
from im_callback.conformance.runner import ExitStatus, conclude, run_check
from im_callback.conformance.verdict import Level, Result, Verdict
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Decision, Feed, Outcome, Provider, Reply

from tests.conformance.quick import FAR, quick
from tests.feeds import changed, well_told
from tests.receivers import deciding
from tests.receivers.deciding import GOOD, MUTANTS, PROVIDERS, CommsEase, Deciding, Gifts, Mutant, RongCloud
from tests.receivers.direct import hand_over
from tests.receivers.good import Answer, Good
from tests.receivers.serving import serve
from tests.receivers.tencent_feeds import KeepsQuestions

pytestmark = pytest.mark.long

NAMES = ("commsease", "rongcloud", "tencent")
FAMILY = {"answer-decides", "decides-in-time", "same-question-same-answer", "refusal-is-no-decision"}
NEEDS_RECORDS = {
    "acknowledgement.nothing-acked-is-lost",
    "deduplication.concurrent",
    "deduplication.far-apart",
    "deduplication.retry-after-lost-ack",
    "deduplication.retry-after-timeout",
    "deduplication.nothing-doubled",
    "deduplication.retry-reformatted",
    "deduplication.retry-signed-afresh",
    "deduplication.same-request-again",
    "deduplication.twins-are-kept",
    "preflight.effects-show-delivery",
    "preflight.records",
    "signature.no-phantoms",
}
"""What does not apply where effects are given and show nothing of the feed."""
TRIED = [
    pytest.param(temper, provider, keeps, id=f"{temper.__name__}-{provider.__name__}-{keeps}")
    for temper in GOOD
    for provider in PROVIDERS
    for keeps in ("unseen", "none", "all", "allowed")
    # Of gifts, which nothing tells apart, nothing is recorded; and what is seen is much the same for all tempers.
    if (provider is not Gifts or keeps == "unseen")
    and (keeps != "none" or temper is deciding.Allows)
    and (keeps != "all" or temper in (deciding.Words, deciding.Changes))
    and (keeps != "allowed" or temper is deciding.ByTheEvent)
]
MATRIX = [
    pytest.param(mutant, provider, id=f"{mutant.__name__}-{provider.__name__}")
    for mutant in MUTANTS
    for provider in mutant.providers
]


@pytest.fixture(autouse=True)
def be_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Race once, and in smaller crowds where nothing is asked: both are tried out elsewhere."""
    quick(monkeypatch, rooms=1)
    monkeypatch.setattr(acknowledgement, "BURST", 20)


def results(
    receiver: Good,
    provider: Provider,
    names: Iterable[str],
    *,
    effects: bool = True,
    seed: int = 20,
    served: bool = False,
) -> tuple[list[Result], Run]:
    """Return what every check says about a receiver of these feeds, and the run, over a network if it is `served`."""
    feeds = tuple(provider.feed(name) for name in names)
    with serve(receiver) as url:
        settings = Settings(url, provider, provider.defaults, seed=seed, settle=0.0, feeds=feeds, dedupe_distance=FAR)
        run = Run(settings, mapped(receiver.effects, None) if effects else None)
        if not served:
            hand_over(run, receiver)
        return well_told(
            [run_check(check, run) for check in all_checks() if not check.option and check.among(feeds)]
        ), run


def slugs(found: Iterable[Result], *verdicts: Verdict) -> set[str]:
    """Return the ids, without the provider, of the checks that came to one of the verdicts."""
    return {one.id.partition(".")[2] for one in found if one.verdict in verdicts}


def said(found: Iterable[Result]) -> str:
    """Return what the checks that did not pass have to say."""
    return "\n".join(
        f"{one.id}: {one.verdict.value}: {one.actual or one.reason}" for one in found if one.verdict is not Verdict.PASS
    )


def status(found: list[Result], *, allow_incomplete: bool = False) -> ExitStatus:
    """Return what a run with these results exits with."""
    return conclude(found, Level.SHOULD, {}, [one.id for one in found], allow_incomplete=allow_incomplete).status


class TestGood:
    """Good receivers are blamed for nothing, whatever they decide and whatever they record."""

    @pytest.mark.parametrize(("temper", "provider", "keeps"), TRIED)
    def test_passes(self, temper: type[Deciding], provider: type[Deciding], keeps: str) -> None:
        """Nothing fails; without effects, what needs them could not run, and nothing else."""
        seen = keeps != "unseen"
        receiver = deciding.receiver(temper, provider, keeps if seen else "all")
        found, _ = results(
            receiver,
            providers.load(provider.name),
            [provider.feed_name],
            effects=seen,
            served=temper is deciding.Allows,
        )
        blind = {check.id(providers.load(provider.name)).partition(".")[2] for check in all_checks() if check.effects}
        assert set() == slugs(found, Verdict.FAIL, Verdict.HARNESS_ERROR), said(found)
        assert slugs(found, Verdict.COULD_NOT_RUN) <= (set() if seen else blind), said(found)
        assert {f"decision.{slug}" for slug in FAMILY} <= slugs(found, Verdict.PASS), said(found)
        assert ExitStatus.PASSED is status(found, allow_incomplete=not seen)

    @pytest.mark.parametrize("provider", PROVIDERS, ids=lambda one: one.__name__)
    def test_records_nothing(self, provider: type[Deciding]) -> None:
        """Where effects are given and show nothing of the feed, what needs them does not apply, and says why."""
        receiver = deciding.receiver(deciding.Allows, provider, "none")
        found, _ = results(receiver, providers.load(provider.name), [provider.feed_name])
        passed_over = {one.id.partition(".")[2]: one.reason for one in found if one.verdict is Verdict.NOT_APPLICABLE}
        assert set(passed_over) >= NEEDS_RECORDS
        assert {f"the receiver records nothing of the feed {provider.feed_name}"} == {
            passed_over[name] for name in NEEDS_RECORDS
        }
        assert ExitStatus.PASSED is status(found)

    @pytest.mark.parametrize("provider", [CommsEase, RongCloud], ids=lambda one: one.__name__)
    def test_refuses_replays(self, provider: type[Deciding]) -> None:
        """Who takes no signature twice is asked the same with a new one."""
        found, _ = results(
            deciding.receiver(deciding.RefusesReplays, provider), providers.load(provider.name), [provider.feed_name]
        )
        assert set() == slugs(found, Verdict.FAIL, Verdict.HARNESS_ERROR, Verdict.COULD_NOT_RUN), said(found)

    @pytest.mark.parametrize("kind", [KeepsQuestions, deciding.PlainWords], ids=lambda one: one.__name__)
    def test_two_feeds(self, kind: type[Good]) -> None:
        """What is told and what is asked arrive at one address, as is usual at Tencent's."""
        found, run = results(kind(), providers.load("tencent"), ["after", "before"])  # type: ignore[call-arg]
        assert set() == slugs(found, Verdict.FAIL, Verdict.HARNESS_ERROR, Verdict.COULD_NOT_RUN), said(found)
        assert ExitStatus.PASSED is status(found)
        through = [note for note in run.notes if note.startswith("not decided, only let through")]
        assert (kind is deciding.PlainWords) is bool(through)
        assert all("ResultItem" in note and "RspData" in note for note in through)


class TestMutants:
    """Every mutant fails exactly the checks that name its defect."""

    @pytest.mark.parametrize(("mutant", "provider"), MATRIX)
    def test_caught(self, mutant: type[Mutant], provider: type[Deciding]) -> None:
        """No more and no fewer, and what could not run for it."""
        real = providers.load(provider.name)
        known = changed(real, deadline=mutant.deadline) if mutant.deadline else real
        found, _ = results(deciding.receiver(mutant, provider), known, [provider.feed_name])
        assert mutant.caught_by == slugs(found, Verdict.FAIL), said(found)
        assert set() == slugs(found, Verdict.HARNESS_ERROR), said(found)
        if mutant.caught_by != {"preflight.accepts-valid"}:
            assert mutant.unjudged.get(provider.__name__, set()) == slugs(found, Verdict.COULD_NOT_RUN), said(found)

    def test_every_check(self) -> None:
        """Each check of the family is proven by a mutant."""
        caught = {slug for mutant in MUTANTS for slug in mutant.caught_by}
        assert {f"decision.{slug}" for slug in FAMILY} == {slug for slug in caught if slug.startswith("decision.")}


class TestFamily:
    """Where the family holds, and by which sources."""

    ASKING = [feed for name in NAMES for feed in providers.load(name).feeds if feed.decides]

    @pytest.mark.parametrize("feed", ASKING, ids=lambda one: one.full_name)
    def test_sources(self, feed: Feed) -> None:
        """Every feed that asks has the whole family, each check with a source."""
        holding = {check.slug: check.source(feed) for check in all_checks() if check.family == "decision"}
        assert FAMILY | {"fails-as-told"} == set(holding)
        assert all(holding.values())
        assert all(feed.provider.catalogue.answer(one.name) for one in feed.event_types)

    @pytest.mark.parametrize("name", NAMES)
    def test_others(self, name: str) -> None:
        """A feed that only tells has none of it, and those that ask have nothing that is only for those that tell."""
        for feed in providers.load(name).feeds:
            held = {check.slug for check in all_checks() if not check.option and check.among([feed])}
            assert (FAMILY <= held) is feed.decides
            assert bool(FAMILY & held) is feed.decides
            assert ("within-deadline-under-burst" in held) is not feed.decides
            assert not (feed.decides and "answer-shape" in held)


def test_refusal_is_acknowledged() -> None:
    """A feed that judges by the status alone takes an answer that decides as received, whatever its words are."""
    answer = Reply(200, (), b'{"success":false}', 0.1)
    asking = changed(providers.load("rongcloud"), decides=True, decision=lambda reply: Decision("refuse", ""))
    assert Outcome.DECLINED is providers.load("rongcloud").feeds[0].judge(answer).outcome
    assert Outcome.ACKED is asking.feeds[0].judge(answer).outcome


class TestModified:
    """What a message is after the answer has changed it."""

    def reply(self, body: str) -> Reply:
        """Return an answer in time."""
        return Reply(200, (), body.encode(), 0.1)

    @pytest.mark.parametrize(
        ("name", "feed", "payload", "answer", "due"),
        [
            ("commsease", "third-party", {"body": "a"}, '{"errCode":0,"modifyResponse":{"body":"b"}}', {"body": "b"}),
            ("commsease", "third-party", {"body": "a"}, '{"errCode":1,"modifyResponse":{"body":"b"}}', {"body": "a"}),
            ("commsease", "third-party", {"body": "a"}, '{"errCode":0,"modifyResponse":7}', {"body": "a"}),
            ("commsease", "third-party", {"body": "a"}, '{"errCode":0,"modifyResponse":{"ext":null}}', {"body": "a"}),
            ("rongcloud", "pre-message", {"content": "a"}, '{"pass":2,"replaceContent":"b"}', {"content": "b"}),
            ("rongcloud", "pre-message", {"content": "a"}, '{"pass":0,"replaceContent":"b"}', {"content": "a"}),
            (
                "tencent",
                "before",
                {"CloudCustomData": "a"},
                '{"ErrorCode":0,"CloudCustomData":"b"}',
                {"CloudCustomData": "b"},
            ),
            ("tencent", "before", {"CloudCustomData": "a"}, '{"ErrorCode":1}', {"CloudCustomData": "a"}),
            (
                "tencent",
                "after",
                {"CloudCustomData": "a"},
                '{"ErrorCode":0,"CloudCustomData":"b"}',
                {"CloudCustomData": "a"},
            ),
        ],
    )
    def test_modified(self, name: str, feed: str, payload: dict[str, str], answer: str, due: dict[str, str]) -> None:
        """Only an answer that lets a message through changes it."""
        assert due == providers.load(name).feed(feed).modified(payload, self.reply(answer))

    @pytest.mark.parametrize(
        ("name", "feed", "one", "other"),
        [
            ("commsease", "third-party", '{"errCode":1,"callbackExt":"1"}', '{"errCode":1,"callbackExt":"2"}'),
            ("rongcloud", "pre-message", '{"pass":0,"extra":"1"}', '{"pass":0,"extra":"2"}'),
            ("tencent", "before", '{"ErrorCode":1,"ErrorInfo":"1"}', '{"ErrorCode":1,"ErrorInfo":"2"}'),
            ("tencent", "before", '{"ErrorCode":0,"RspData":"1","x":1}', '{"ErrorCode":0,"RspData":"2","x":2}'),
        ],
    )
    def test_words(self, name: str, feed: str, one: str, other: str) -> None:
        """What is only handed on makes no other decision."""
        first, second = (providers.load(name).feed(feed).decision(self.reply(text)) for text in (one, other))
        assert first is not None
        assert second is not None
        assert (first.word, first.said) == (second.word, second.said)


class OnOff:
    """A store that is there, or not."""

    touches, connections, there = 0, 1, True
    moments: tuple[Any, ...] = ()

    def hang(self) -> None:
        self.there = False

    refuse = hang

    def heal(self) -> None:
        self.there = True


class TestWithoutItsStore:
    """A receiver that asks its store is judged by what it answers when that is away."""

    def result(self, answer: str, command: str) -> Result:
        """Return what comes of a receiver that answers so about these commands while its store is away."""
        store = OnOff()

        class Receiver(deciding.Allows, deciding.Tencent):
            def answered(self, request: Any) -> Answer:
                store.touches += 1
                if not store.there and self.command(request).startswith(command):
                    return Answer(200, answer)
                # Nothing but chats is its business.
                said = super().answered(request)
                return said if self.command(request).startswith("C2C.") else Answer(200, PLAIN)

        tencent = providers.load("tencent")
        with serve(Receiver()) as url:
            settings = Settings(url, tencent, tencent.defaults, seed=3, settle=0.0, feeds=(tencent.feed("before"),))
            run = Run(settings, None)
            run.downstream = store
            (check,) = (one for one in all_checks() if one.slug == "fails-as-told")
            return run_check(check, run)

    def test_what_it_never_decides_is_no_matter(self) -> None:
        """What is let through by the plain answer of other kinds is so with the store too."""
        found = self.result(PLAIN, "C2C.")
        assert (Verdict.PASS, "") == (found.verdict, found.actual)

    @pytest.mark.parametrize("answer", ['{"error": "database"}', '{"ActionStatus": "FAIL", "ErrorInfo": "down"}'])
    def test_an_error_page_is_no_answer(self, answer: str) -> None:
        """A 200 that decides nothing is one, where with the store there it decides."""
        assert Verdict.FAIL is self.result(answer, "C2C.").verdict


PLAIN = '{"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}'
