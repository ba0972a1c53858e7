"""What is drawn is what is sent: each check is run against a good receiver, and its requests are compared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from im_callback.conformance.check import Check
from im_callback.conformance.checks import acknowledgement, payloads, robustness
from im_callback.conformance.effects import mapped
from im_callback.conformance.explain.told import Kind, Step, told_of
from im_callback.conformance.run import Run
from im_callback.conformance.runner import run_check
from im_callback.conformance.settings import Settings
from im_callback.conformance.verdict import Verdict
from im_callback.provider_mock import providers
from im_callback.provider_mock.delivery.perform import PlannedAttempt
from im_callback.provider_mock.history import Attempt

from tests.conformance.quick import FAR, quick
from tests.conformance.test_matrix import PROVIDERS, Trusting, proven
from tests.receivers.direct import hand_over
from tests.receivers.good import Good
from tests.receivers.serving import serve

SUBJECTS = re.compile(r"^(?:one array: )?(?P<letters>[A-Z]\d*(?:(?:, | and )[A-Z]\d*)*)(?!\w)")
PERHAPS = " if "
BACK = " of the run "
LEFT_OUT = "a valid delivery, sent to see the others worked off"
"""What no drawing has, and their legend says so."""
TIMES = " times "
BAD = ("refused", "any answer")
ASIDE = {
    "acknowledgement.acks-unknown-type": "its event is nobody's, and due an acknowledgement all the same",
    "payloads.optional-absent": "what is left out may be all by which two events differ",
}


@dataclass(frozen=True)
class Facts:
    """What is true of a check's requests, as drawn or as sent."""

    own: bool
    """There are any: a check may also look back at those of others."""
    bad: bool
    """Some are none that the provider would send so."""
    again: bool
    """An event is delivered more than once."""
    unseen: bool
    """An answer is kept from coming back."""


def drawn(steps: Sequence[Step]) -> Facts:
    """Return what the drawing says will happen in any case."""
    letters: list[str] = []
    answers: list[Step] = []
    surely = own = False
    for step in steps:
        if step.kind is Kind.REQUEST:
            surely = PERHAPS not in step.text and BACK not in f"{step.text} "
            own |= surely
            found = SUBJECTS.match(step.text)
            letters += (
                re.split(", | and ", found["letters"]) * (2 if TIMES in step.text else 1) if found and surely else []
            )
        elif step.kind is Kind.ANSWER and surely:
            answers.append(step)
    lost = any(step.lost for step in steps)
    return Facts(own, any(one.text.startswith(BAD) for one in answers), len(letters) > len(set(letters)), lost)


def sent(run: Run, before: Sequence[Attempt], attempts: Sequence[Attempt]) -> Facts:
    """Return what has happened. Events that carry no identity are alike without being the same."""

    def events(attempt: Attempt) -> list[str]:
        return [repr(one) for one in attempt.shot.events if run.provider.catalogue[one.type].identity]

    known = {one for attempt in before for one in events(attempt)}
    again = False
    for attempt in attempts:
        mine = events(attempt)
        again |= len(set(mine)) < len(mine) or not known.isdisjoint(mine)
        known.update(mine)
    bad = any(not attempt.shot.valid for attempt in attempts)
    unseen = any(isinstance(one, PlannedAttempt) and not one.step.transport.ackable for one in attempts)
    own = any(one.shot.note != LEFT_OUT for one in attempts)
    return Facts(own, bad, again, unseen)


def judged(run: Run) -> Iterator[tuple[str, Check, Sequence[Attempt], Sequence[Attempt]]]:
    """Yield each check that passed, with the attempts before it and its own."""
    for check in proven():
        before = tuple(run.history)
        if check.among(run.feeds) and run_check(check, run).verdict is Verdict.PASS and not check.preflight:
            yield f"{check.family}.{check.slug}", check, before, tuple(run.history)[len(before) :]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_drawn_as_sent(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drawing has bad requests, repeats and lost answers exactly where the check has."""
    quick(monkeypatch, rooms=2)
    monkeypatch.setattr(acknowledgement, "BURST", 30)
    monkeypatch.setattr(payloads, "SIZES", (1, 2, 50))
    monkeypatch.setattr(robustness, "LARGE", 2**20)
    contract = providers.load(provider)
    receiver = Good(provider)
    with serve(receiver) as url:
        settings = Settings(
            url, contract, contract.defaults, seed=20, settle=1, feeds=contract.feeds[:1], dedupe_distance=FAR
        )
        run = Trusting(settings, mapped(receiver.effects, None))
        hand_over(run, receiver)
        compared = [
            (name, drawn(told_of(check.function).steps), sent(run, before, mine))
            for name, check, before, mine in judged(run)
            if name not in ASIDE
        ]
    assert len(compared) > 40
    assert [] == [f"{name}: {said}, {did}" for name, said, did in compared if said != did]
