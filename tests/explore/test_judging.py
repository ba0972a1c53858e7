"""What is wrong with what shows of a script: tables of facts and of what the application shows."""

from __future__ import annotations

from collections import Counter

import pytest
from im_callback.conformance.explore.judging import Fact, wrongs
from im_callback.conformance.judge import AmbiguousRecord, Effects, Occurrence


def fact(place: int, rule: str = "latest", **more: object) -> Fact:
    """Return what became of a thing that was acknowledged in the step after its place."""
    values = {"reached": True, "acked": True, "acked_in": place + 1, "last_in": place + 1, **more}
    if not values["acked"]:
        values["acked_in"] = 0
    return Fact(f"#{place}", (Occurrence("t", (str(place),)),), rule, "a", place, **values)  # type: ignore[arg-type]


def effects(*places: int) -> Effects:
    """Return effects that show the things at these places, in this order."""
    order = tuple(Occurrence("t", (str(place),)) for place in places)
    return Effects(order, tuple({} for _ in order), counts=Counter(order))


NEVER = {"acked": False}
CUT = {"acked": False, "reached": False}
TABLE = {
    # States.
    "the newest alone": ([], [fact(0), fact(1)], (1,)),
    "the history": ([], [fact(0), fact(1)], (0, 1)),
    "nothing of the newest": (["lost"], [fact(0), fact(1)], ()),
    "only what came before the newest": (["lost"], [fact(0), fact(1)], (0,)),
    "only what came after the newest": (["stale"], [fact(0, last_in=3), fact(1)], (0,)),
    "the older at last": (["stale"], [fact(0), fact(1)], (1, 0)),
    "a step back in between": (["stale"], [fact(0), fact(1), fact(2)], (1, 0, 2)),
    "removed": ([], [fact(0), fact(1, removes=True)], ()),
    "removed, and both in the history": ([], [fact(0), fact(1, removes=True)], (0, 1)),
    "removed and back": (["stale"], [fact(0), fact(1, removes=True)], (0,)),
    "set again": ([], [fact(0), fact(1, removes=True), fact(2)], (2,)),
    "a late removal at the end of the history": (["stale"], [fact(0, removes=True), fact(1)], (1, 0)),
    "one of more than the scope": ([], [fact(0, removes=True, wide=True), fact(1)], (1, 0)),
    "removed with more, and back": (["stale"], [fact(0), fact(1, removes=True, wide=True)], (1, 0)),
    "an older removal took the newer": (["lost"], [fact(0, removes=True), fact(1)], ()),
    "who knows whether the newest came": ([], [fact(0), fact(1, **NEVER)], ()),
    "nor did it have to take the older away": ([], [fact(0), fact(1, **NEVER)], (0,)),
    "a second effect of the newest": (["doubled"], [fact(0), fact(1)], (1, 1)),
    "a second effect is no step back": (["doubled"], [fact(0), fact(1)], (0, 1, 0)),
    "not of a kind that is recorded": ([], [fact(0, shows=False)], ()),
    "cut off, and not there": ([], [fact(0), fact(1, **CUT)], (0,)),
    "cut off, and there": (["phantom"], [fact(0), fact(1, **CUT)], (0, 1)),
    # Lists.
    "in order": ([], [fact(0, "sequence"), fact(1, "sequence")], (0, 1)),
    "out of order": (["out-of-order"], [fact(0, "sequence"), fact(1, "sequence")], (1, 0)),
    "a list with a hole": (["lost"], [fact(0, "sequence"), fact(1, "sequence")], (1,)),
    "a list, one of which may be there": ([], [fact(0, "sequence", **NEVER), fact(1, "sequence")], (1,)),
    # No order.
    "in any order": ([], [fact(0, ""), fact(1, "")], (1, 0)),
    "one is lost": (["lost"], [fact(0, ""), fact(1, "")], (1,)),
}
UNORDERED = {
    "the older at last": ([], [fact(0), fact(1)], (1, 0)),
    "removed and back": (["stale"], [fact(0), fact(1, removes=True)], (0,)),
    "out of order": ([], [fact(0, "sequence"), fact(1, "sequence")], (1, 0)),
    "a list with a hole": (["lost"], [fact(0, "sequence"), fact(1, "sequence")], (1,)),
}


@pytest.mark.parametrize(("expected", "facts", "shown"), TABLE.values(), ids=TABLE)
def test_wrongs(expected: list[str], facts: list[Fact], shown: tuple[int, ...]) -> None:
    """What is wrong is named by the invariant that broke, and nothing else is."""
    assert expected == [one.invariant for one in wrongs(facts, effects(*shown))]


@pytest.mark.parametrize(("expected", "facts", "shown"), UNORDERED.values(), ids=UNORDERED)
def test_unordered(expected: list[str], facts: list[Fact], shown: tuple[int, ...]) -> None:
    """Records without an order say nothing about one."""
    assert expected == [one.invariant for one in wrongs(facts, effects(*shown), unordered=True)]


def test_scopes_are_apart() -> None:
    """The newest of one scope takes nothing away in another."""
    here, there = fact(0), fact(1)
    there = Fact(there.name, there.ones, "latest", "b", 1, reached=True, acked=True)
    assert ["lost"] == [one.invariant for one in wrongs([here, there], effects(1))]


def test_ambiguous() -> None:
    """Of records that fit several events nothing is said."""
    one = fact(0)
    with pytest.raises(AmbiguousRecord):
        wrongs([one], Effects(ambiguous={one.ones[0]: {"x": 1}}))
