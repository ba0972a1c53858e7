"""What a check comes to, and the three kinds of blame that are never mixed.

The receiver is wrong (`Failed`), we could not find out (`CouldNotRun`), or we are wrong (any
other exception: harness-error). `NotApplicable` is for a receiver that the check does not concern.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from im_callback.conformance.around.moments import Moment
from im_callback.provider_mock.history import Attempt


class Verdict(Enum):
    """What a check came to."""

    PASS = "pass"
    FAIL = "fail"
    COULD_NOT_RUN = "could-not-run"
    NOT_APPLICABLE = "not-applicable"
    HARNESS_ERROR = "harness-error"


class Level(Enum):
    """How binding a requirement is: the documents require it, recommend it, or do not mention it."""

    MUST = "must"
    SHOULD = "should"
    MAY = "may"

    def gates(self, lowest: Level) -> bool:
        """Return whether a failure at this level fails a run whose lowest failing level is `lowest`."""
        ranks = list(Level)
        return ranks.index(self) <= ranks.index(lowest)


class Record(NamedTuple):
    """One of the application's records that a failure shows beside others, and what it is there."""

    what: str
    record: Any


class Outside(Exception):
    """Base of the ways in which a check ends other than by passing."""


class Failed(Outside):
    """The receiver is wrong: what was due, what happened, and all exchanges that show it.

    Failures with the same `cause` are one fault, seen more than once. `fix` takes the place of the
    check's usual one where what happened calls for another. `details` are lines that tell the whole story, `records`
    those of the application that show it side by side.
    """

    def __init__(
        self,
        expected: str,
        actual: str,
        attempts: Sequence[Attempt] = (),
        *,
        cause: str = "",
        fix: str = "",
        details: Sequence[str] = (),
        records: Sequence[Record] = (),
    ) -> None:
        super().__init__(f"expected: {expected}; actual: {actual}")
        self.expected = expected
        self.actual = actual
        self.attempts = tuple(attempts)
        self.cause = cause
        self.fix = fix
        self.details = tuple(details)
        self.records = tuple(records)


class CouldNotRun(Outside):
    """We could not find out; `reason` says what is missing, `fix` how to provide it."""

    def __init__(self, reason: str, fix: str = "", attempts: Sequence[Attempt] = ()) -> None:
        super().__init__(f"{reason}. {fix}" if fix else reason)
        self.reason = reason
        self.fix = fix
        self.attempts = tuple(attempts)


class Gone(Failed):
    """The receiver went away in the middle of the run: nothing listens there any more."""


class NotApplicable(Outside):
    """The check does not concern this receiver or this provider's events."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Result:
    """What one check came to. `expected` and `actual` are filled where it failed, `details` where that is a long story."""

    id: str
    title: str
    level: Level
    source: str
    verdict: Verdict
    expected: str = ""
    actual: str = ""
    details: tuple[str, ...] = ()
    reason: str = ""
    fix: str = ""
    seconds: float = 0.0
    attempts: tuple[Attempt, ...] = field(default=(), repr=False)
    why: str = ""
    usual_fix: str = ""
    newer: bool = False
    """Whether the release to which the run is pinned did not have the check yet: it then fails nothing."""
    known: str = ""
    """The baseline's reason, where the failure is a known one."""
    cause: str = ""
    """What the failure comes from, where that is known; failures with the same cause are one fault."""
    records: tuple[Record, ...] = field(default=(), repr=False)
    """The application's records that show the failure side by side."""
    moments: tuple[Moment, ...] = field(default=(), repr=False)
    """What happened around the receiver among the attempts."""
    log: tuple[str, ...] = field(default=(), repr=False)
    """What the receiver printed meanwhile, where we started it."""
    folded_into: str = ""
    """The id of the failed check that shows the same cause first, if there is one."""
