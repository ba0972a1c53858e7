"""Every check is proven: good receivers pass it, and mutants fail exactly the checks that they should.

The receivers are written for the first feed of each provider; the others have receivers and tests of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import pytest
from im_callback.conformance import preflight
from im_callback.conformance.check import Check, all_checks
from im_callback.conformance.checks import acknowledgement, deduplication, ordering, payloads, robustness
from im_callback.conformance.effects import mapped
from im_callback.conformance.run import Run
from im_callback.conformance.runner import run_check
from im_callback.conformance.settings import Settings
from im_callback.conformance.verdict import Result, Verdict
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Event

from tests.feeds import changed, well_told
from tests.receivers import faults, lapses, mutants
from tests.receivers.direct import hand_over
from tests.receivers.good import Behind, Good, Plain, StateOnly
from tests.receivers.honest import HONEST, NoOrder, OnlyText
from tests.receivers.mutants import (
    ALL_BUT_PREFLIGHT,
    ALL_THAT_LOOK,
    ALL_WITH_EFFECTS,
    PROVIDERS,
    STATUS_ONLY,
    Mutant,
    PlainMutant,
)
from tests.receivers.serving import serve

pytestmark = pytest.mark.long

SEED = 20
SIZES = (1, 2, 120)
"""How long the arrays are that mutants get, so that the proof is quick; good receivers get the real ones."""
TRICKLE = 0.5
"""Seconds for which a body trickles in, so that the proof is quick."""
SEEN_ON_A_BUSY_MACHINE = 1.0
"""Where the others are to be held up by it: they must not come first."""
ROOMS = 8
"""In how many scopes of each type versions arrive at once, where one of them is to go wrong."""
FAR = 300
"""After how many others an event is repeated, so that the proof is quick."""
GOOD = (Good, Plain, Behind, StateOnly, *HONEST)
NEVER_APPLICABLE = {"deduplication.no-identity", "ordering.no-order"}
"""Checks that only report which event types they cannot judge."""
NOTHING_MORE = {("rongcloud", "payloads.optional-present"), ("rongcloud", "payloads.content")}
"""Checks that have nothing to send at a provider: its samples show every field, and but one kind of them shows."""
NOT_APPLICABLE: Mapping[tuple[type[Good], str], set[str]] = {
    (StateOnly, "commsease"): {"ordering.listed-in-order", "ordering.recall-before-message", "payloads.content"},
    (OnlyText, "tencent"): {"payloads.content"},
    (NoOrder, "commsease"): {"ordering.newest-wins", "ordering.late-after-removal", "ordering.listed-in-order"},
    (NoOrder, "rongcloud"): {"ordering.newest-wins"},
    (NoOrder, "tencent"): {
        "ordering.newest-wins",
        "ordering.late-after-removal",
        "ordering.listed-in-order",
        "ordering.order-beyond-31-bits",
    },
}
"""What else does not apply to a good receiver: it does not record the event types, or shows no order."""


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the checks try less often, and for less time, what others are tried with in full."""
    monkeypatch.setattr(deduplication, "RACES", 1)
    monkeypatch.setattr(ordering, "ROOMS", 4)
    monkeypatch.setattr(ordering, "ROOMS_EACH", 1)
    monkeypatch.setattr(robustness, "TRICKLE", TRICKLE)


class Trusting(Run):
    """A run that does not validate the events it makes, and needs no network where none is needed.

    The runs against good receivers do both.
    """

    def checked(self, event: Event) -> Event:
        return event


def results(
    kind: type[Good],
    provider: str,
    *,
    seed: int = SEED,
    run_class: type[Run] = Run,
    deadline: float | None = None,
) -> list[Result]:
    """Return what every check says about a receiver."""
    contract = providers.load(provider)
    if deadline is not None:
        contract = changed(contract, deadline=deadline)
    receiver = kind(provider)
    with serve(receiver) as url:
        settings = Settings(
            url,
            contract,
            contract.defaults,
            seed=seed,
            settle=kind.settle,
            handles=kind.handles,
            unordered=kind.unordered,
            feeds=contract.feeds[:1],
            dedupe_distance=Settings.dedupe_distance if kind in (Good, Plain) else FAR,
        )
        run = run_class(settings, mapped(receiver.effects, None))
        if run_class is Trusting:
            hand_over(run, receiver)
        return well_told([run_check(check, run) for check in proven() if check.among(run.feeds)])


def proven() -> list[Check]:
    """Return the checks that need nothing but an address; the others are proven with what they need."""
    return [check for check in all_checks() if not check.option]


def slugs(found: Iterable[Result], verdict: Verdict) -> set[str]:
    """Return the ids, without the provider, of the checks that came to a verdict."""
    return {one.id.partition(".")[2] for one in found if one.verdict is verdict}


def said(found: Iterable[Result]) -> str:
    """Return what the checks that did not pass have to say."""
    return "\n".join(
        f"{one.id}: {one.verdict.value}: {one.actual or one.reason}" for one in found if one.verdict is not Verdict.PASS
    )


def ids_of(provider: str, *, preflight: bool = True, effects_only: bool = False) -> set[str]:
    """Return the ids, without the provider, of the checks that hold for a provider."""
    contract = providers.load(provider)
    return {
        check.id(contract).partition(".")[2]
        for check in proven()
        if check.among(contract.feeds[:1])
        and (preflight or not check.preflight)
        and (check.effects or not effects_only)
    }


def never_applicable(provider: str) -> set[str]:
    """Return the ids, without the provider, of the checks that apply to no receiver of a provider."""
    return ids_of(provider) & (NEVER_APPLICABLE | {name for one, name in NOTHING_MORE if one == provider})


def spelled_out(provider: str, names: Iterable[str]) -> set[str]:
    """Return the ids with groups of them taken apart."""
    found: set[str] = set()
    for name in names:
        if name in ALL_BUT_PREFLIGHT:
            found |= ids_of(provider, preflight=False)
        elif name in ALL_THAT_LOOK:
            nothing = never_applicable(provider) - ids_of(provider, effects_only=True)
            found |= ids_of(provider, preflight=False) - STATUS_ONLY - nothing
        elif name in ALL_WITH_EFFECTS:
            found |= ids_of(provider, preflight=False, effects_only=True)
        else:
            found.add(name)
    return found


def all_mutants(base: type[Mutant] = Mutant) -> Iterator[type[Mutant]]:
    """Yield every mutant, in the order in which they are written."""
    named = {**vars(mutants), **vars(faults), **vars(lapses)}.values()
    found = dict.fromkeys(value for value in named if isinstance(value, type) and issubclass(value, base))
    yield from (one for one in found if one not in (Mutant, PlainMutant, lapses.CostsTheNext))


MATRIX = [
    pytest.param(mutant, provider, id=f"{mutant.__name__}-{provider}")
    for mutant in all_mutants()
    for provider in mutant.caught_by
]


class TestGoodReceivers:
    """A good receiver passes everything that applies to it, whatever its temper."""

    @pytest.mark.parametrize("provider", PROVIDERS)
    @pytest.mark.parametrize("kind", GOOD)
    def test_passes(self, kind: type[Good], provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Exactly the checks of what it does not record do not apply, and all others pass."""
        if kind in HONEST:
            # What they are here for is their store; the others are raced as often as strangers.
            quick(monkeypatch)
        if kind is not Good:
            monkeypatch.setattr(robustness, "TRICKLE", TRICKLE)
        found = results(kind, provider)
        expected = never_applicable(provider) | NOT_APPLICABLE.get((kind, provider), set())
        assert expected == slugs(found, Verdict.NOT_APPLICABLE), said(found)
        assert ids_of(provider) - expected == slugs(found, Verdict.PASS), said(found)

    @pytest.mark.parametrize("seed", [1, 2**32 - 1])
    @pytest.mark.parametrize("provider", PROVIDERS)
    def test_does_not_depend_on_the_seed(self, provider: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Other random orders change nothing."""
        quick(monkeypatch)
        found = results(Good, provider, seed=seed)
        assert ids_of(provider) - never_applicable(provider) == slugs(found, Verdict.PASS), said(found)


class TestMutants:
    """A mutant fails the checks for its defect, and no others."""

    @pytest.mark.parametrize(("mutant", "provider"), MATRIX)
    def test_is_caught(self, mutant: type[Mutant], provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The checks that fail, could not run and do not apply are exactly those that the mutant names."""
        monkeypatch.setattr(acknowledgement, "BURST", mutant.burst)
        monkeypatch.setattr(payloads, "SIZES", SIZES)
        monkeypatch.setattr(deduplication, "RACES", mutant.races)
        rooms = ROOMS if "ordering.versions-at-once" in mutant.caught_by[provider] else 1
        monkeypatch.setattr(ordering, "ROOMS_EACH", rooms)
        monkeypatch.setattr(ordering, "ROOMS", rooms)
        held_up = "robustness.trickled-body" in mutant.caught_by[provider]
        monkeypatch.setattr(robustness, "TRICKLE", SEEN_ON_A_BUSY_MACHINE if held_up else TRICKLE)
        monkeypatch.setattr(robustness, "TRIES", 1 if held_up else robustness.TRIES)
        if mutant.deadline is not None:
            monkeypatch.setattr(preflight, "EFFECTS_DEADLINE", mutant.deadline)
        found = results(mutant, provider, run_class=Trusting, deadline=mutant.deadline)
        stopped = spelled_out(provider, mutant.could_not_run.get(provider, ()))
        passed_over = never_applicable(provider) | set(mutant.not_applicable.get(provider, ()))
        assert not slugs(found, Verdict.HARNESS_ERROR), said(found)
        assert set(mutant.caught_by[provider]) == slugs(found, Verdict.FAIL), said(found)
        assert stopped == slugs(found, Verdict.COULD_NOT_RUN), said(found)
        assert passed_over - stopped == slugs(found, Verdict.NOT_APPLICABLE), said(found)

    @pytest.mark.parametrize("mutant", list(all_mutants()), ids=lambda mutant: mutant.__name__)
    def test_names_checks_that_exist(self, mutant: type[Mutant]) -> None:
        """Whatever a mutant names is a check of the provider, and the run against it is never green."""
        for provider, caught in mutant.caught_by.items():
            stopped = mutant.could_not_run.get(provider, set())
            named = spelled_out(provider, [*caught, *stopped, *mutant.not_applicable.get(provider, ())])
            assert not named - ids_of(provider)
            assert caught or stopped
        assert not {*mutant.could_not_run, *mutant.not_applicable} - set(mutant.caught_by)
        assert mutant.__doc__
        assert "\n" not in mutant.__doc__


class TestProof:
    """Every check is shown to catch something, and to let good receivers pass."""

    @pytest.mark.parametrize("provider", PROVIDERS)
    def test_every_check_is_caught_by_a_mutant(self, provider: str) -> None:
        """A check that no mutant fails is not known to work."""
        catchers: dict[str, list[str]] = defaultdict(list)
        for mutant in all_mutants():
            for name in mutant.caught_by.get(provider, ()):
                catchers[name].append(mutant.__name__)
        due = ids_of(provider) - never_applicable(provider)
        if len(providers.load(provider).feeds[0].event_types) == 1:
            # Of a single type, what is not recorded at all ends in preflight.effects-show-delivery.
            due -= {"preflight.records"}
        assert not {name for name in due if not catchers[name]}

    @pytest.mark.parametrize("provider", PROVIDERS)
    def test_every_check_is_passed_by_a_good_receiver(self, provider: str) -> None:
        """A check that no good receiver passes might fail for everyone."""
        passed: set[str] = set()
        for kind in GOOD:
            passed |= ids_of(provider) - never_applicable(provider) - NOT_APPLICABLE.get((kind, provider), set())
        assert ids_of(provider) - never_applicable(provider) == passed


def test_a_run_without_effects_judges_what_the_answers_show() -> None:
    """Without effects exactly the checks that need them could not run; the others still judge."""
    for provider in PROVIDERS:
        contract = providers.load(provider)
        with serve(Good(provider)) as url:
            run = Run(Settings(url, contract, contract.defaults, seed=SEED, feeds=contract.feeds[:1]))
            found = [run_check(check, run) for check in proven() if check.among(run.feeds)]
        stopped = ids_of(provider, effects_only=True)
        assert stopped == slugs(found, Verdict.COULD_NOT_RUN), said(found)
        assert ids_of(provider) - stopped - never_applicable(provider) == slugs(found, Verdict.PASS), said(found)
