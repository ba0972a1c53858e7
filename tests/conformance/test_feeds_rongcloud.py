"""RongCloud's feeds at the gate: good receivers of each pass, and those with one defect are named by the right checks."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from im_callback.conformance.check import all_checks
from im_callback.conformance.checks import payloads
from im_callback.conformance.effects import mapped
from im_callback.conformance.run import Run
from im_callback.conformance.runner import run_check
from im_callback.conformance.settings import Settings
from im_callback.conformance.verdict import Result, Verdict
from im_callback.provider_mock import providers

from tests.conformance.quick import FAR, quick
from tests.feeds import well_told
from tests.receivers import rongcloud_feeds
from tests.receivers.direct import hand_over
from tests.receivers.rongcloud_feeds import GOOD, SERVICES, Feed, KeepsRemovals, NewestOnly
from tests.receivers.serving import serve

pytestmark = pytest.mark.long

SEED = 20
SIZES = (1, 2, 120)
NOT_TO_BE_JUDGED = {"payloads.optional-present", "payloads.content", "payloads.type-drift", "ordering.no-order"}
"""Checks that do not apply where the samples show every field, or nothing has an order."""
DEFECTS = [
    one
    for one in vars(rongcloud_feeds).values()
    if isinstance(one, type) and issubclass(one, Feed) and one.caught_by and one not in GOOD
]
STATES = [name for name, service in SERVICES.items() if any(kind.scope for kind in service.kinds.values())]
TRIED = [
    pytest.param(one, feed, id=f"{one.__name__}-{feed}")
    for one in GOOD
    for feed in (STATES if one in (NewestOnly, KeepsRemovals) else SERVICES)
]
MATRIX = [pytest.param(one, feed, id=f"{one.__name__}-{feed}") for one in DEFECTS for feed in one.caught_by]


@pytest.fixture(autouse=True)
def be_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Race fewer rounds and send shorter arrays."""
    quick(monkeypatch, races=2)
    monkeypatch.setattr(payloads, "SIZES", SIZES)


def results(kind: type[Feed], feed: str, *, served: bool) -> list[Result]:
    """Return what every check says about a receiver of a feed, over a network if it is `served`."""
    provider = providers.load("rongcloud")
    receiver = kind(feed)
    with serve(receiver) as url:
        settings = Settings(
            url, provider, provider.defaults, seed=SEED, settle=0.0, feeds=(provider.feed(feed),), dedupe_distance=FAR
        )
        run = Run(settings, mapped(receiver.effects, None))
        if not served:
            hand_over(run, receiver)
        return well_told(
            [run_check(check, run) for check in all_checks() if not check.option and check.among(settings.arriving)]
        )


def slugs(found: Iterable[Result], *verdicts: Verdict) -> set[str]:
    """Return the ids, without the provider, of the checks that came to one of the verdicts."""
    return {one.id.partition(".")[2] for one in found if one.verdict in verdicts}


def said(found: Iterable[Result]) -> str:
    """Return what the checks that did not pass have to say."""
    return "\n".join(
        f"{one.id}: {one.verdict.value}: {one.actual or one.reason}" for one in found if one.verdict is not Verdict.PASS
    )


class TestGoodReceivers:
    """A good receiver passes everything that applies to it, whatever its store is like."""

    @pytest.mark.parametrize(("kind", "feed"), TRIED)
    def test_passes(self, kind: type[Feed], feed: str) -> None:
        """Nothing fails, and nothing but what there is nothing to judge by does not apply."""
        found = results(kind, feed, served=kind is GOOD[0])
        others = slugs(found, *(verdict for verdict in Verdict if verdict is not Verdict.PASS))
        assert others <= NOT_TO_BE_JUDGED, said(found)
        assert len(found) - len(others) > 35

    def test_all_feeds(self) -> None:
        """Every feed but the first, which has receivers of its own, has one here."""
        assert list(SERVICES) == list(providers.load("rongcloud").feed_names[1:])


class TestDefects:
    """A receiver with one defect is named by exactly the checks that should."""

    @pytest.mark.parametrize(("kind", "feed"), MATRIX)
    def test_caught(self, kind: type[Feed], feed: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Exactly these checks fail, and none is our own error."""
        deadline = getattr(kind, "deadline", None)
        if deadline:
            monkeypatch.setattr(providers.load("rongcloud").feed(feed), "deadline", deadline)
        found = results(kind, feed, served=False)
        assert kind.caught_by[feed] == slugs(found, Verdict.FAIL), said(found)
        assert set() == slugs(found, Verdict.HARNESS_ERROR)
