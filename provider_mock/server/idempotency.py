"""Idempotency keys of calls: the keys that their deliveries get, what a call asked for, and how another one differs.

A key belongs to its call for as long as any of the call's deliveries is on record, and is free
again when the last of them was deleted. The first delivery has the call's key itself, the others
the key with their place behind it. All deliveries of a call were accepted together, so their ids
follow one another.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from im_callback.provider_mock.delivery.ledger import Call
from im_callback.provider_mock.server.models import NewEvent

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


def asked(
    provider: str, events: Sequence[NewEvent], faults: Sequence[str], seed: int | None, delay_seconds: float
) -> str:
    """Return a short text that is the same for the same call: events are hashed, in their order and regardless of it."""
    hashes = [_hash([_full_name(provider, one.type), one.payload]) for one in events]
    return json.dumps(
        {
            "count": len(events),
            "events": _hash(hashes),
            "set": _hash(sorted(hashes)),
            "faults": list(faults),
            "seed": seed,
            "delay_seconds": float(delay_seconds),
        }
    )


def difference(earlier: Call, wanted: str) -> str | None:
    """Return what an earlier call had that this one has not, in words; None if they are the same.

    Of a call that an earlier release accepted only the number of events is known.
    """
    new = json.loads(wanted)
    old = {"count": len(earlier.ids)} if earlier.asked is None else json.loads(earlier.asked)
    if earlier.asked is None:
        new = {"count": new["count"]}
    found = [
        words
        for words in (
            _events(old, new),
            _other("other faults", old, new, "faults"),
            _other("another seed", old, new, "seed"),
            _other("another delay_seconds", old, new, "delay_seconds"),
        )
        if words
    ]
    return " and ".join(found) or None


def _events(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    if old["count"] != new["count"]:
        return f"other events ({old['count']}, here {new['count']})"
    if old.get("events") == new.get("events"):
        return None
    return "the same events in another order" if old["set"] == new["set"] else "other events"


def _other(words: str, old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> str | None:
    if old.get(name) == new.get(name):
        return None
    return f"{words} ({_said(old[name])}, here {_said(new[name])})"


def _said(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(value) or "none"
    return "none" if value is None else f"{value:.15g}"


def _full_name(provider: str, name: str) -> str:
    return name if "." in name else f"{provider}.{name}"


def _hash(value: Any) -> str:
    # The order of an object's members means nothing in JSON.
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:32]
