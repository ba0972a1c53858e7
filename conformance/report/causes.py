"""What is wrong with the receiver, each thing once: failures that one repair mends, the most important first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from im_callback.conformance.verdict import Level, Result, Verdict

IMPLIED = {
    "an older version written last": "stale",
    "removed and back": "stale",
    "removed by an older removal": "stale",
    "late under burst": "late",
}
"""By the cause of a failure, the one that brings it about wherever that has shown itself too."""


def causes(results: Sequence[Result], lowest: Level) -> list[dict[str, Any]]:
    """Return the causes of all failures, each failed check in exactly one, in the form of `result.schema.json`.

    Failures are of one cause if the checks say so, or if the same repair is proposed for them. Those that fail the
    run come first, then the more binding, then those that more checks show.
    """
    failed = [one for one in results if one.verdict is Verdict.FAIL]
    place = {one.id: number for number, one in enumerate(results)}
    groups = [sorted(group, key=lambda one: _weight(one, lowest)) for group in _grouped(failed, lowest)]
    groups.sort(key=lambda group: (*_weight(group[0], lowest), not _first(group[0]), -len(group), place[group[0].id]))
    return [_cause(group, lowest) for group in groups]


def fails(result: Result, lowest: Level) -> bool:
    """Return whether a check fails the run."""
    return result.verdict is Verdict.FAIL and result.level.gates(lowest) and not (result.newer or result.known)


def _cause(group: Sequence[Result], lowest: Level) -> dict[str, Any]:
    head = group[0]
    return {
        "id": head.id,
        "title": head.title,
        "checks": [one.id for one in group],
        "level": head.level.value,
        "gated": fails(head, lowest),
        "expected": head.expected,
        "actual": head.actual,
        "fix": head.usual_fix,
    }


def _weight(result: Result, lowest: Level) -> tuple[bool, int]:
    return not fails(result, lowest), list(Level).index(result.level)


def _first(result: Result) -> bool:
    """Return whether little else can be judged until it is mended."""
    return result.id.split(".")[1] == "preflight"


def _grouped(failed: Sequence[Result], lowest: Level) -> list[list[Result]]:
    """Return the failures in groups: first by what they come from, and then by what mends the one that binds most."""
    named = {one.cause for one in failed}
    same = _joined([([one], _marks(one, named)) for one in failed])
    heads = [(min(group, key=lambda one: _weight(one, lowest)), group) for group in same]
    names = {_name(head) for head, _ in heads}
    return _joined([(group, _repairs(head, names)) for head, group in heads])


def _marks(result: Result, named: Iterable[str]) -> set[str]:
    """Return by what a failure is known to come from the same as another."""
    implied = IMPLIED.get(result.cause, "")
    found = {result.cause, implied if implied in named else ""} - {""}
    return {result.id, result.folded_into or result.id, *found}


def _repairs(head: Result, names: Iterable[str]) -> set[str]:
    """Return by what a group is known to have the same repair as another; two of different names are two things."""
    name = _name(head)
    return {f"{one}: {head.usual_fix}" for one in ([name] if name else names)}


def _name(result: Result) -> str:
    """Return what the cause of a failure is called; behind the colon there is only detail."""
    return result.cause.partition(":")[0]


def _joined(groups: Iterable[tuple[list[Result], set[str]]]) -> list[list[Result]]:
    """Return the groups, those that have a mark in common put together."""
    found: list[tuple[list[Result], set[str]]] = []
    for members, marks in groups:
        alike = [one for one in found if one[1] & marks]
        found = [one for one in found if not one[1] & marks]
        together = [each for one, _ in alike for each in one] + members
        found.append((together, marks.union(*(each for _, each in alike))))
    return [members for members, _ in found]
