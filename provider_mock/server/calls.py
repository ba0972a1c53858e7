"""Idempotency keys of calls: the keys that their deliveries get, and the deliveries that an earlier call made.

The first delivery has the call's key itself, the others the key with their place behind it. All
deliveries of a call were accepted together, so their ids follow one another.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from provider_mock.contract import Event
from provider_mock.delivery.ledger import DeliveryRecord, Ledger, Query

LONGEST = 200
"""Characters of a key."""
_MARK = "\x1f"
_LOCKS = tuple(threading.Lock() for _ in range(64))
"""Calls with one key come after one another; this process is the only one that accepts."""


def lock(app: str, key: str) -> threading.Lock:
    """Return the lock to hold from looking for an earlier call until the new one is accepted."""
    return _LOCKS[hash((app, key)) % len(_LOCKS)]


def key_of(key: str, index: int, size: int) -> str:
    """Return the key of one delivery of a call."""
    return key if index == 0 else f"{key}{_MARK}{index + 1}/{size}"


def given(key: str | None) -> str | None:
    """Return the key of the call that a delivery's key belongs to."""
    return None if key is None else key.partition(_MARK)[0]


def find(ledger: Ledger, app: str, key: str, most: int) -> list[DeliveryRecord]:
    """Return the deliveries of the call with this key, in order; of those that are pruned already, none.

    A call has `most` deliveries at most.
    """
    first = ledger.deliveries(Query(app=app, idempotency_key=key), limit=1)
    if not first:
        return []
    start = first[0].id
    near = ledger.deliveries(Query(app=app), cursor=start + most, limit=most)
    return sorted(
        (one for one in near if one.id >= start and given(one.idempotency_key) == key), key=lambda one: one.id
    )


def differs(earlier: Sequence[DeliveryRecord], wanted: Sequence[tuple[str, Sequence[Event] | None]]) -> bool:
    """Return whether an earlier call was another one: other events, or another number of them.

    `wanted` are event type and events of each delivery, None where a payload is to be made up.
    """
    return len(earlier) != len(wanted) or any(
        record.event_type != event_type
        or (events is not None and list(record.payloads) != [event.payload for event in events])
        for record, (event_type, events) in zip(earlier, wanted, strict=True)
    )
