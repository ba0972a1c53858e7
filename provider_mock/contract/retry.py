"""What a provider does after an attempt that failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from im_callback.provider_mock.contract.values import Outcome


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and when a provider sends again, and what it does when that is used up.

    `retries` is by the outcome of the last attempt; one that is not listed is not retried. `spacing` is
    the seconds before the next attempt, by the same: a number, or one for each retry, of which the last
    goes on. `exhausted` says whether the delivery is then dropped or parked for manual synchronisation,
    where `backlog` deliveries at most can wait; beyond that they are dropped. After `pause_after`
    time-outs in a row (0: never) nothing is sent for `pause_seconds`.
    """

    summary: str
    retries: Mapping[Outcome, int] = field(default_factory=dict)
    spacing: Mapping[Outcome, float | tuple[float, ...]] = field(default_factory=dict)
    exhausted: Literal["dropped", "parked"] = "dropped"
    backlog: int = 0
    signed_afresh: bool = True
    pause_after: int = 0
    pause_seconds: float = 0.0

    def after(self, outcome: Outcome, number: int) -> float:
        """Return the seconds between the attempt with this number (from 1), which came to this, and the next."""
        spacing = self.spacing.get(outcome, 0.0)
        if isinstance(spacing, tuple):
            return spacing[min(number, len(spacing)) - 1] if spacing else 0.0
        return spacing


@dataclass(frozen=True, slots=True)
class NextAttempt:
    """What happens to a delivery now; `after` (seconds) only with `retry`."""

    action: Literal["done", "retry", "dropped", "parked"]
    after: float = 0.0


DONE = NextAttempt("done")
