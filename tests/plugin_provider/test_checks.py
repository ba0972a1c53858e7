"""A provider from outside gets every check that fits it, and its broken receivers are caught by exactly the right ones."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from im_callback.conformance.check import all_checks
from im_callback.conformance.checks import acknowledgement
from im_callback.conformance.effects import mapped
from im_callback.conformance.explain.explained import explained
from im_callback.conformance.run import Run
from im_callback.conformance.runner import run_check
from im_callback.conformance.settings import Settings
from im_callback.conformance.verdict import Result, Verdict
from im_callback.provider_mock.contract import Provider

from tests.conformance.quick import FAR, quick
from tests.plugin_provider.receivers import GOOD, MUTANTS, Hooks
from tests.receivers.serving import serve

pytestmark = pytest.mark.long

SEED = 20
EFFECTS = {
    "preflight.effects-answer",
    "preflight.effects-show-delivery",
    "preflight.records",
}
"""What only looks whether effects show anything."""
FITTING = {
    "acknowledgement": "acks-every-type acks-unknown-type within-deadline within-deadline-under-burst nothing-acked-is-lost",
    "deduplication": "same-request-again retry-signed-afresh retry-reformatted retry-after-lost-ack retry-after-timeout "
    "concurrent twins-are-kept far-apart nothing-doubled",
    "ordering": "stale-ignored newest-wins versions-at-once order-field-decides scopes-are-independent late-after-removal "
    "late-removal listed-in-order",
    "payloads": "optional-absent optional-present every-variant limits unknown-field content",
    "preflight": "reachable accepts-valid effects-answer effects-show-delivery records",
    "robustness": "malformed-json invalid-utf8 empty-body wrong-types wrong-method oversized cut-off-body trickled-body "
    "connection-reuse still-alive",
    "rotation": "accepts-any-of-several rejects-none-of-several",
    "signature": "accepts-documented accepts-header-case accepts-raw-bytes accepts-non-ascii accepts-content-type "
    "accepts-chunked rejects-tampered-body rejects-foreign-headers rejects-wrong-secret rejects-empty-secret "
    "rejects-altered-time rejects-altered-id rejects-missing rejects-truncated-signature rejects-stale "
    "refusal-is-visible no-phantoms",
}
"""Every check that holds, by family. One without a signature over the body, an array, a form, a key of the application
or a second number of order does not."""
IDS = {f"{family}.{slug}" for family, slugs in FITTING.items() for slug in slugs.split()}


def results(kind: type[Hooks], provider: Provider, monkeypatch: pytest.MonkeyPatch) -> list[Result]:
    """Return what every check says about a receiver."""
    (feed,) = provider.feeds
    monkeypatch.setattr(feed, "deadline", kind.deadline or feed.deadline)
    receiver = kind()
    with serve(receiver) as url:
        run = Run(
            Settings(url, provider, provider.defaults, seed=SEED, settle=0, dedupe_distance=FAR),
            mapped(receiver.effects, None),
        )
        return [run_check(check, run) for check in all_checks() if not check.option and check.among(provider.feeds)]


def slugs(found: Iterable[Result], verdict: Verdict) -> set[str]:
    """Return the ids, without the provider, of the checks that came to a verdict."""
    return {one.id.removeprefix("acme.") for one in found if one.verdict is verdict}


def said(found: Iterable[Result]) -> str:
    """Return what the checks that did not pass have to say."""
    return "\n".join(
        f"{one.id}: {one.verdict.value}: {one.actual or one.reason}" for one in found if one.verdict is not Verdict.PASS
    )


def test_fitting(acme: Provider) -> None:
    """Exactly these hold, each with a source of its own provider; its own family is among them."""
    (feed,) = acme.feeds
    holding = [check for check in all_checks() if not check.option and check.among(acme.feeds)]
    assert sorted(IDS) == sorted(check.id(acme).removeprefix("acme.") for check in holding)
    assert all("Standard Webhooks" in check.source(feed) or "Acme" in check.source(feed) for check in holding)


def test_its_checks_hold_nowhere_else(acme: Provider) -> None:
    """What the package adds asks for several signatures, which ours never have."""
    from im_callback.provider_mock import providers

    ours = [providers.load(name) for name in providers.names() if name != acme.name]
    added = [check for check in all_checks() if check.family == "rotation"]
    assert 2 == len(added)
    assert not [check.id(one) for one in ours for check in added if check.among(one.feeds)]


def test_explained(acme: Provider) -> None:
    """What the package's checks tell of themselves is explained, and ours are for its provider too."""
    own = explained("rotation.rejects-none-of-several")
    assert ["acme.rotation.rejects-none-of-several"] == own.ids
    assert "A, with two signatures that do not fit ---" in own.drawing
    assert ["constant-time"] == [one.kind for one in own.remedies]
    assert {"acme"} == {one.provider for one in explained("acme.deduplication.concurrent").requirements}
    assert "acme.signature.rejects-altered-id" in explained("rejects-altered-id").ids


@pytest.mark.parametrize("kind", GOOD)
def test_good(kind: type[Hooks], acme: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """A good receiver passes all of them, whatever it keeps."""
    found = results(kind, acme, monkeypatch)
    assert slugs(found, Verdict.PASS) == IDS, said(found)


@pytest.mark.parametrize("kind", MUTANTS, ids=lambda kind: kind.__name__)
def test_caught(kind: type[Hooks], acme: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken one fails exactly the checks that it names."""
    monkeypatch.setattr(acknowledgement, "BURST", 40)
    quick(monkeypatch)
    found = results(kind, acme, monkeypatch)
    assert not slugs(found, Verdict.HARNESS_ERROR), said(found)
    assert slugs(found, Verdict.FAIL) == kind.caught_by, said(found)
    assert slugs(found, Verdict.COULD_NOT_RUN) == kind.could_not_run, said(found)
    assert slugs(found, Verdict.NOT_APPLICABLE) == kind.not_applicable, said(found)


def test_without_effects(acme: Provider) -> None:
    """Without effects exactly the checks that need them could not run."""
    with serve(Hooks()) as url:
        run = Run(Settings(url, acme, acme.defaults, seed=SEED))
        found = [run_check(check, run) for check in all_checks() if not check.option and check.among(acme.feeds)]
    needing = {
        check.id(acme).removeprefix("acme.") for check in all_checks() if check.effects and not check.option
    } & IDS
    assert slugs(found, Verdict.COULD_NOT_RUN) == needing, said(found)
    assert slugs(found, Verdict.PASS) == IDS - needing, said(found)
