"""Which of the known names somebody meant who typed another one, and how an error says so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

LONGEST = 100
"""Characters of a name that are compared."""
MOST_MEANT = 3
"""Names that a question holds at most."""
MOST_LISTED = 8
"""Names that are listed where the error can also say who lists them."""
_LIKE = 0.6
_BEGINS = 0.7
_AS_GOOD = 0.1
_PARTS = re.compile(r"[./]")


def nearest(word: str, names: Iterable[str]) -> list[str]:
    """Return the names that were probably meant, at most three, the likeliest first.

    Parts between dots or slashes are compared one by one from the end: `login` is like `any.login`. Case, and whether
    words are joined by `-`, `_` or a space, make no difference.
    """
    likeness = {name: _likeness(word[:LONGEST], name) for name in names}
    best = max(likeness.values(), default=0.0)
    meant = [name for name, value in likeness.items() if value >= max(_LIKE, best - _AS_GOOD)]
    if best == 1:
        meant = [name for name in meant if likeness[name] == 1]
    return sorted(meant, key=lambda name: -likeness[name])[:MOST_MEANT]


def question(word: str, names: Iterable[str]) -> str:
    """Return the question whether another name was meant; empty if none is like it."""
    found = [repr(name) for name in nearest(word, names)]
    if not found:
        return ""
    return f"did you mean {' or '.join(filter(None, [', '.join(found[:-1]), found[-1]]))}?"


def choice(word: str, names: Iterable[str], listed: str = "") -> str:
    """Return what to type instead, as it ends an error: the likely names, and all of them where they are few.

    `listed` says who lists them, such as `provider-mock events lists them`.
    """
    known = list(names)
    asked = question(word, known)
    if not known:
        return listed or "there are none"
    if len(known) > MOST_LISTED and (listed or asked):
        return f"{asked} {listed}".strip()
    every = ", ".join(known)
    return f"{asked} there are {every}" if asked else f"choose one of: {every}"


def _likeness(word: str, name: str) -> float:
    """Return how much the two are alike, from 0 to 1: as much as the least alike of their parts."""
    mine, theirs = _parts(word), _parts(name)
    theirs = theirs[-len(mine) :]
    if len(mine) != len(theirs):
        return _ratio(".".join(mine), ".".join(theirs))
    return min(map(_ratio, mine, theirs))


def _parts(text: str) -> list[str]:
    return _PARTS.split(text.lower().replace("_", "-").replace(" ", "-").lstrip("/-"))


def _ratio(mine: str, theirs: str) -> float:
    ratio = SequenceMatcher(None, mine, theirs).ratio()
    begins = len(mine) > 2 and theirs.startswith(mine)
    return max(ratio, _BEGINS) if begins else ratio
