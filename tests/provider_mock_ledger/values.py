"""Deliveries and attempts as the tests hand them in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from im_callback.provider_mock.delivery.ledger import Done, NewDelivery

NOW = 1_712_345_678_901


@dataclass
class Clock:
    """UTC milliseconds that change only when told to."""

    now: int = NOW

    def __call__(self) -> int:
        return self.now


def new(app: str = "shop", due_at: int = NOW, key: str | None = None, **payload: Any) -> NewDelivery:
    """Return a delivery to accept."""
    return NewDelivery(app, "commsease.login", (payload,), due_at, key)


def done(delivery_id: int, number: int = 1, state: str = "acked", due_at: int = NOW, **other: Any) -> Done:
    """Return an attempt that ended in a state."""
    outcome = {"acked": "acked", "dropped": "refused"}.get(state, "timed out")
    values = {"sent_at": NOW, "seconds": 0.25, "outcome": outcome, "status": 200, "rule": "200 within 5 s", **other}
    return Done(delivery_id=delivery_id, number=number, state=state, due_at=due_at, **values)
