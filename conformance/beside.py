"""Records of the application that a failure shows side by side."""

from __future__ import annotations

from collections.abc import Container, Sequence

from im_callback.conformance.judge import Effects, Occurrence
from im_callback.conformance.run import Run
from im_callback.conformance.verdict import Record


def each_effect(effects: Effects, occurrence: Occurrence) -> list[Record]:
    """Return the records of what is to have one, numbered as they are shown."""
    found = effects.of(occurrence)
    return [Record(f"effect {number} of {len(found)}", one) for number, one in enumerate(found, 1)]


def among(effects: Effects, wanted: Container[Occurrence]) -> list[Record]:
    """Return the records of the occurrences, in the order shown."""
    return [
        Record("shown", record) for one, record in zip(effects.order, effects.records, strict=True) if one in wanted
    ]


def last_and_due(
    run: Run, effects: Effects, wanted: Container[Occurrence], due: Occurrence | None, what: str
) -> list[Record]:
    """Return the last record of the occurrences, if any shows, and what was sent beside which it is wrong."""
    shown: Sequence[Record] = among(effects, wanted)[-1:]
    sent = [] if due is None else [Record(what, run.matcher.element(due))]
    return [*(Record("shown last", one.record) for one in shown), *sent]
