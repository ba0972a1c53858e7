"""The known failures of a receiver: a JSON object from check id to the reason why the failure is accepted."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from im_callback.conformance.check import all_checks
from im_callback.conformance.report.causes import fails
from im_callback.conformance.text_files import text_of
from im_callback.conformance.verdict import Level, Result, Verdict
from im_callback.conformance.words import counted
from im_callback.provider_mock import providers

PREFLIGHT = ".preflight."
UNEXPLAINED = "not explained yet: say here why this failure is accepted"
"""What an entry says until somebody has given its reason."""
SHOWN = 3
"""Entries that are named of those that came or went; the file has them all."""


class BadBaseline(ValueError):
    """It cannot be used; the text says why, and what to give."""


def parsed(data: bytes) -> dict[str, str]:
    """Return the known failures that a file holds; `BadBaseline` if it is none."""
    try:
        known = json.loads(text_of(data))
    except ValueError as error:
        raise BadBaseline(f"not JSON ({error}); give an object from check id to a reason") from None
    if not isinstance(known, dict) or not all(isinstance(one, str) and one.strip() for one in known.values()):
        raise BadBaseline("give an object from check id to a reason, never empty")
    for name in known:
        if PREFLIGHT in name:
            raise BadBaseline(f"without {name} nothing is judged; take it out")
    return known


def check_ids() -> set[str]:
    """Return the ids of all checks there are, of every provider: one file may serve several runs."""
    loaded = [providers.load(name) for name in providers.names()]
    return {one.id(provider) for provider in loaded for one in all_checks(explored=True) if one.among(provider.feeds)}


@dataclass(frozen=True, slots=True)
class Update:
    """A baseline written anew: what it holds now, and which entries came and went."""

    known: Mapping[str, str]
    added: tuple[str, ...]
    dropped: tuple[str, ...]

    @property
    def text(self) -> str:
        """The file: sorted, so that a version control system shows what changed and nothing else."""
        return json.dumps(dict(sorted(self.known.items())), ensure_ascii=False, indent=2) + "\n"

    def lines(self, name: str) -> list[str]:
        """Return what is to be said of it, with the name of its file."""
        told = []
        if self.added:
            came = counted(len(self.added), "failure", "failures")
            told.append(
                f"baseline {name}: {came} came, known from the next run on; give each its reason ({_some(self.added)})"
            )
        if self.dropped:
            went = counted(len(self.dropped), "entry", "entries")
            told.append(f"baseline {name}: {went} went ({_some(self.dropped)})")
        return told or [f"baseline {name}: nothing changed"]


def _some(names: Sequence[str]) -> str:
    return ", ".join([*names[:SHOWN], *(["…"] if names[SHOWN:] else [])])


def updated(old: Mapping[str, str], results: Iterable[Result], lowest: Level, ids: Collection[str]) -> Update:
    """Return the baseline as a run has found it, whose gate is this level; `ids` are all checks there are.

    An entry goes where its check passed, or where there is no such check. It stays, with its reason, where the check
    still fails or was not judged. What fails the run comes. A check of preflight is never an entry: without it nothing is judged.
    """
    verdicts = {one.id: one for one in results}
    passed = {name for name, one in verdicts.items() if one.verdict is Verdict.PASS}
    kept = {name: reason for name, reason in old.items() if name in ids and name not in passed}
    added = {
        name: UNEXPLAINED
        for name, one in verdicts.items()
        if fails(one, lowest) and name not in kept and PREFLIGHT not in name
    }
    dropped = tuple(sorted(name for name in old if name not in kept))
    return Update({**kept, **added}, tuple(sorted(added)), dropped)
