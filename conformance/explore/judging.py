"""From what was delivered of a script and what the application shows for it to what is wrong: pure functions.

The invariants are those of `conformance.judge`, asked of one script alone. What nobody can know is not asked: an event
whose acknowledgement was lost may be there or not, and so may everything that it would have replaced.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from im_callback.conformance.judge import Effects, Occurrence, shown_among

Invariant = Literal["lost", "doubled", "stale", "out-of-order", "phantom", "crash"]
INVARIANTS: tuple[Invariant, ...] = ("lost", "doubled", "stale", "out-of-order", "phantom", "crash")
IMMEDIATE = frozenset({"doubled", "out-of-order", "phantom", "crash"})
"""What shows at once, and is looked for once more at the end."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What became of one thing of a script.

    `ones` is what it is called, `rule` how its scope is ordered (`latest`, `sequence`, or nothing; then nothing
    is compared). `reached` says
    whether any request with it reached the receiver whole, `acked` whether one was acknowledged. `shows` says whether
    the application shows what it took of this kind. A removal that is `wide` ends the states of other scopes too.
    """

    name: str
    ones: tuple[Occurrence, ...]
    rule: str = ""
    scope: str = ""
    place: int = 0
    removes: bool = False
    wide: bool = False
    reached: bool = False
    acked: bool = False
    shows: bool = True
    acked_in: int = 0
    """The step that first was acknowledged with it; 0: none."""
    last_in: int = 0
    """The last step that delivered it."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """An invariant that does not hold: what was due, and what there is instead."""

    invariant: Invariant
    due: str
    found: str


def wrongs(facts: Sequence[Fact], effects: Effects, *, unordered: bool = False) -> list[Wrong]:
    """Return what is wrong, at most once by invariant; raises `AmbiguousRecord` where nothing can be said."""
    found: dict[Invariant, Wrong] = {}
    for one in _each(facts, effects, unordered=unordered):
        found.setdefault(one.invariant, one)
    return list(found.values())


def _each(facts: Sequence[Fact], effects: Effects, *, unordered: bool) -> Iterable[Wrong]:
    counts = {fact.name: max((effects.count(one) for one in fact.ones), default=0) for fact in facts}
    for fact in facts:
        if counts[fact.name] > 1:
            yield Wrong("doubled", f"one effect of {fact.name}", f"{counts[fact.name]} effects of it")
        if counts[fact.name] and not fact.reached:
            yield Wrong(
                "phantom", f"no effect of {fact.name}, no request with which was ever complete", "an effect of it"
            )
    for rule in dict.fromkeys(fact.rule for fact in facts):
        for scope in dict.fromkeys(fact.scope for fact in facts):
            among = [fact for fact in facts if fact.rule == rule and fact.scope == scope and fact.reached]
            if not among:
                continue
            shown = _shown(among, effects)
            if rule == "latest":
                yield from _state(among, shown, unordered=unordered)
            else:
                yield from _missing(among, shown)
                if rule == "sequence" and not unordered:
                    yield from _list(shown)


def _shown(facts: Sequence[Fact], effects: Effects) -> list[Fact]:
    """Return the facts that show, in order, each where it shows first: a second effect is another fault."""
    by_one = {one: fact for fact in facts for one in fact.ones}
    return list(dict.fromkeys(by_one[one] for one in shown_among(effects, by_one)))


def _missing(facts: Sequence[Fact], shown: Sequence[Fact]) -> Iterable[Wrong]:
    for fact in facts:
        if fact.acked and fact.shows and fact.ones and fact not in shown:
            yield Wrong("lost", f"an effect of {fact.name}, which was acknowledged", "none")


def _list(shown: Sequence[Fact]) -> Iterable[Wrong]:
    for before, after in itertools.pairwise(shown):
        if after.place < before.place:
            yield Wrong("out-of-order", f"{after.name} shown before {before.name}", _order(shown))


def _state(facts: Sequence[Fact], shown: Sequence[Fact], *, unordered: bool) -> Iterable[Wrong]:
    acked = [fact for fact in facts if fact.acked and fact.shows]
    if not acked:
        return
    newest = max(acked, key=lambda fact: fact.place)
    maybe = [fact for fact in facts if fact.place > newest.place]
    if unordered and len(shown) > 1:
        # Several records without an order: which of them is the state cannot be told.
        return
    # What ends more than this scope may well be news elsewhere: late as it comes, a history has it at its end.
    shown = [fact for fact in shown if not fact.wide or fact is newest]
    for before, after in itertools.pairwise(shown):
        if after.place < before.place:
            yield Wrong("stale", f"nothing older than {before.name} shown after it", _order(shown))
            return
    last = shown[-1] if shown else None
    if last is not None and last.place < newest.place:
        due = f"{newest.name} shown last" if not newest.removes else f"nothing shown from before {newest.name}"
        # What came before the newest did not take its place.
        overtaken = newest.removes or newest in shown or any(one.last_in >= newest.acked_in for one in shown)
        yield Wrong("stale" if overtaken else "lost", due, _order(shown))
    elif last is None and not newest.removes and not maybe:
        yield Wrong("lost", f"an effect of {newest.name}, which was acknowledged, and nothing is newer", "none")


def _order(shown: Sequence[Fact]) -> str:
    return f"shown, in this order: {', '.join(fact.name for fact in shown)}"
