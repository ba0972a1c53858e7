"""Counts attempts by outcome and rule, and how long acknowledgements took; the tallies of several processes add up."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from im_callback.provider_mock.contract import Judgement, Outcome

RULES = 100
"""Rules that are counted apart; what comes after these is counted as `OTHER`."""
OTHER = "another reason"
_VARYING = re.compile(r" after [\d.]+ m?s\b")


@dataclass
class Tally:
    """Attempts: `outcomes`, the `rules` by which those without acknowledgement were judged, and when they were made.

    `first` and `last` are the seconds, of one clock that nobody sets, at which the first attempt left and the last one ended. Times of
    acknowledgements are kept in steps of one percent, so memory is bounded however long a run is.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    first: float = math.inf
    last: float = 0.0
    _steps: Counter[int] = field(default_factory=Counter)
    _longest: float = 0.0

    @property
    def sent(self) -> int:
        """Attempts in all."""
        return sum(self.outcomes.values())

    @property
    def all_acked(self) -> bool:
        """Whether something was sent, and all of it acknowledged."""
        return self.sent > 0 and self.outcomes[Outcome.ACKED] == self.sent

    @property
    def rate(self) -> float:
        """Attempts per second, from the first one's start to the last one's end; 0 where that took no time."""
        return self.sent / (self.last - self.first) if self.last > self.first else 0.0

    def add(self, judgement: Judgement, seconds: float, ended: float) -> None:
        """Count an attempt that took so many seconds and ended then (seconds of that clock)."""
        self.outcomes[judgement.outcome] += 1
        self.first = min(self.first, ended - seconds)
        self.last = max(self.last, ended)
        if judgement.outcome is Outcome.ACKED:
            self._steps[round(math.log(max(seconds, 1e-6)) * 100)] += 1
            self._longest = max(self._longest, seconds)
        else:
            self._count_rule(_VARYING.sub("", judgement.rule), 1)

    def include(self, other: Tally) -> None:
        """Add what another tally counted."""
        self.outcomes.update(other.outcomes)
        for rule, times in other.rules.items():
            self._count_rule(rule, times)
        self.first = min(self.first, other.first)
        self.last = max(self.last, other.last)
        self._steps.update(other._steps)
        self._longest = max(self._longest, other._longest)

    def _count_rule(self, rule: str, times: int) -> None:
        self.rules[rule if rule in self.rules or len(self.rules) < RULES else OTHER] += times

    def ack_millis(self, share: float) -> float | None:
        """Return within how many milliseconds this share of the acknowledgements came; None without any."""
        left = math.ceil(sum(self._steps.values()) * share)
        for step in sorted(self._steps):
            left -= self._steps[step]
            if left <= 0:
                return round(min(math.exp(step / 100), self._longest) * 1000, 3)
        return None

    def counts(self) -> dict[str, int]:
        """Return how many were sent, and how many came to each outcome."""
        outcomes = {outcome.value.replace(" ", "_"): self.outcomes[outcome] for outcome in Outcome}
        return {"sent": self.sent, **outcomes}

    def shown(self) -> dict[str, Any]:
        """Return the counts and the times of acknowledgements, as plain data."""
        return {
            **self.counts(),
            "ack_ms": {
                "p50": self.ack_millis(0.5),
                "p95": self.ack_millis(0.95),
                "max": round(self._longest * 1000, 3) if self._steps else None,
            },
        }

    def dump(self) -> dict[str, Any]:
        """Return everything as JSON can carry it."""
        return {
            "outcomes": {outcome.value: count for outcome, count in self.outcomes.items()},
            "rules": dict(self.rules),
            "first": None if self.first == math.inf else self.first,
            "last": self.last,
            "steps": {str(step): count for step, count in self._steps.items()},
            "longest": self._longest,
        }

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> Tally:
        """Return the tally that was dumped."""
        return cls(
            Counter({Outcome(name): count for name, count in dumped["outcomes"].items()}),
            Counter(dumped["rules"]),
            math.inf if dumped["first"] is None else dumped["first"],
            dumped["last"],
            Counter({int(step): count for step, count in dumped["steps"].items()}),
            dumped["longest"],
        )
