"""The checks at each of Tencent's feeds: a good receiver passes them, and each mutant fails the ones that it should."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy

import pytest
from im_callback.conformance.check import all_checks
from im_callback.conformance.effects import mapped
from im_callback.conformance.run import Run
from im_callback.conformance.runner import run_check
from im_callback.conformance.settings import Settings
from im_callback.conformance.verdict import Result, Verdict
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Feed, Provider

from tests.conformance.quick import FAR, quick
from tests.feeds import well_told
from tests.receivers import tencent_feeds
from tests.receivers.direct import hand_over
from tests.receivers.serving import serve
from tests.receivers.tencent_feeds import Broken, KeepsQuestions, Webhooks

pytestmark = pytest.mark.long

TENCENT = providers.load("tencent")
SEED = 20
NOTHING_KEPT = {"before", "live-before"}
"""Feeds of which the good receiver keeps nothing: the answers are all there is to see."""
LEAST = {"after": 50, "before": 30, "push": 40, "moderation": 38, "call": 32, "room": 40, "live": 45, "live-before": 28}
"""How many checks pass at least, so that a feed at which hardly any holds is noticed."""


def alone(name: str, deadline: float | None) -> tuple[Provider, Feed]:
    """Return the provider with one feed, which may have another deadline."""
    feed = copy(TENCENT.feed(name))
    feed.deadline = deadline or feed.deadline
    provider = copy(TENCENT)
    Provider.__init__(provider, *(feed if one.name == name else copy(one) for one in TENCENT.feeds))
    return provider, feed


def results(kind: type[Webhooks], name: str, deadline: float | None = None) -> list[Result]:
    """Return what every check says about a receiver of a feed."""
    provider, feed = alone(name, deadline)
    receiver = kind()
    with serve(receiver) as url:
        settings = Settings(
            url, provider, provider.defaults, seed=SEED, settle=kind.settle, feeds=(feed,), dedupe_distance=FAR
        )
        run = Run(settings, mapped(receiver.effects, None))
        if isinstance(receiver, Broken):
            hand_over(run, receiver)
        return well_told([run_check(check, run) for check in all_checks() if not check.option and check.among((feed,))])


def slugs(found: list[Result], verdict: Verdict) -> set[str]:
    """Return the ids, without the provider, of the checks that came to a verdict."""
    return {one.id.partition(".")[2] for one in found if one.verdict is verdict}


def said(found: list[Result]) -> list[str]:
    """Return what the checks say that did not pass, though they apply."""
    passed = (Verdict.PASS, Verdict.NOT_APPLICABLE)
    return [f"{one.id}: {one.verdict.value}: {one.actual or one.reason}" for one in found if one.verdict not in passed]


def mutants() -> Iterator[type[Broken]]:
    """Yield every mutant."""
    for found in vars(tencent_feeds).values():
        if isinstance(found, type) and issubclass(found, Broken) and found is not Broken:
            yield found


@pytest.fixture(autouse=True)
def be_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Race once; races are tried out elsewhere."""
    quick(monkeypatch)


class TestGood:
    """Good receivers are blamed for nothing."""

    @pytest.mark.parametrize("name", TENCENT.feed_names)
    def test_passes(self, name: str) -> None:
        """Every check that applies passes, with effects where the receiver keeps any."""
        found = results(Webhooks, name)
        assert [] == said(found)
        assert len(slugs(found, Verdict.PASS)) >= LEAST[name]
        kept = {"deduplication.same-request-again", "acknowledgement.nothing-acked-is-lost"}
        assert (name not in NOTHING_KEPT) is (kept <= slugs(found, Verdict.PASS))

    def test_keeps_questions(self) -> None:
        """Whoever keeps what was asked shows it once and in order, too."""
        found = results(KeepsQuestions, "before")
        assert [] == said(found)
        assert {"ordering.listed-in-order", "deduplication.concurrent"} <= slugs(found, Verdict.PASS)


class TestMutants:
    """Each mutant fails exactly the checks that it should."""

    @pytest.mark.parametrize(
        ("mutant", "name"),
        [
            pytest.param(mutant, name, id=f"{mutant.__name__}-{name}")
            for mutant in mutants()
            for name in mutant.caught_by
        ],
    )
    def test_caught(self, mutant: type[Broken], name: str) -> None:
        """No more and no fewer."""
        found = results(mutant, name, mutant.deadline)
        assert mutant.caught_by[name] == slugs(found, Verdict.FAIL), said(found)
        assert set() == slugs(found, Verdict.HARNESS_ERROR)

    def test_there_are_enough(self) -> None:
        """At every feed there is one."""
        assert set(TENCENT.feed_names) == {name for mutant in mutants() for name in mutant.caught_by}
