"""Gives an event an identity that no other event of the run has, and leaves the rest as it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timezone
from random import Random
from typing import Any
from uuid import UUID

from provider_mock.contract import Event
from provider_mock.traffic.shape import kind_at, schemas_at
from schemas import MISSING, EventType, PointerError, occurrences, replace, resolve

MESSAGE_KEY = "message-key"
AGO_MILLIS = 600_000
"""Events are dated ten minutes before the start of the run, one after the other."""


class Identities:
    """A source of values that never repeat: the same seed and time give the same values."""

    def __init__(self, random: Random, now_millis: int) -> None:
        self._random = random
        self._start = now_millis - AGO_MILLIS
        self._tag = f"{random.getrandbits(32):08x}"
        self._base = random.randrange(10**11, 10**12) * 10**5
        self._count = 0

    def fresh(
        self,
        event_type: EventType,
        payload: Mapping[str, Any],
        *,
        keep: Collection[str] = (),
        values: Mapping[str, Any] | None = None,
    ) -> Event:
        """Return the event with a new identity, in a scope and at a time of its own.

        Pointers in `keep` are left as they are; `values` are set by pointer. Both are
        relative to the payload, or to each of its elements where the schema has `x-items`.
        """
        self._count += 1
        order = event_type.order
        pointers = [*(event_type.identity or ()), *((*order.scope, *order.by) if order else ())]
        changed: Any = dict(payload)
        for place in places(event_type, payload):
            for pointer, value in (values or {}).items():
                changed = replace(changed, place + pointer, value)
            # A key that is put together from other fields comes after them.
            for pointer in sorted(dict.fromkeys(pointers), key=lambda p: kind_at(event_type.schema, p) == MESSAGE_KEY):
                if pointer not in keep and pointer not in (values or {}):
                    changed = self._renew(event_type, changed, place + pointer)
            self._count += 1
        return Event(event_type.name, changed)

    def _renew(self, event_type: EventType, payload: Any, pointer: str) -> Any:
        old = resolve(payload, pointer)
        kind = kind_at(event_type.schema, pointer)
        if old is MISSING or kind is None:
            return payload
        if kind == MESSAGE_KEY:
            return replace(payload, pointer, message_key(payload))
        new = self.value(kind)
        limits = [schema["maximum"] for schema in schemas_at(event_type.schema, pointer) if "maximum" in schema]
        if isinstance(old, int) and not isinstance(new, int):
            new = self.number
        if isinstance(new, int) and limits and new > min(limits):
            new = self.unsigned()
        return replace(payload, pointer, _as(old, new))

    def value(self, kind: str) -> str | int:
        """Return a new value of a kind; kinds without a form of their own get a word."""
        self._count += 1
        maker = _MAKERS.get(kind)
        return maker(self) if maker else f"{kind}-{self._tag}-{self._count}"

    @property
    def millis(self) -> int:
        """A time that no earlier event has."""
        return self._start + self._count

    @property
    def number(self) -> int:
        """A number of 17 digits that no earlier event has."""
        return self._base + self._count

    def uuid(self) -> str:
        """Return a random UUID, version 4."""
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def hexadecimal(self) -> str:
        """Return 32 random hexadecimal digits."""
        return f"{self._random.getrandbits(128):032x}"

    def word(self) -> str:
        """Return a short word that no earlier event has."""
        return f"{self._tag}{self._count}"

    def unsigned(self) -> int:
        """Return a 32-bit number beyond 2**31, which a signed integer cannot hold."""
        return 2**31 + self._random.randrange(2**20) * 2**10 + self._count % 2**10

    def moment(self) -> str:
        """Return a new time as text, to the second."""
        return datetime.fromtimestamp(self._start / 1000 + self._count, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


_MAKERS: dict[str, Callable[[Identities], str | int]] = {
    "account": lambda ids: f"u{ids.word()}",
    "millis": lambda ids: ids.millis,
    "seconds": lambda ids: ids.millis // 1000,
    "datetime": Identities.moment,
    "digits-id": lambda ids: ids.number,
    "room": lambda ids: ids.number,
    "version": lambda ids: ids.millis,
    "uuid": Identities.uuid,
    "device": Identities.uuid,
    "hex-id": Identities.hexadecimal,
    "md5": Identities.hexadecimal,
    "mobile": lambda ids: f"1{ids.number % 10**10:010d}",
    "url": lambda ids: f"https://files.example.com/{ids.word()}",
    "key": lambda ids: f"k{ids.word()}",
}


def message_key(payload: Mapping[str, Any]) -> str:
    """Return MsgSeq, MsgRandom and MsgTime of a message, joined as in Tencent's MsgKey."""
    return "_".join(str(payload.get(name, "")) for name in ("MsgSeq", "MsgRandom", "MsgTime"))


def places(event_type: EventType, payload: Mapping[str, Any]) -> list[str]:
    """Return the pointers of the things that happened: the payload itself, or its elements."""
    if event_type.items is None:
        return [""]
    return [f"{event_type.items}/{index}" for index in range(len(occurrences(event_type, payload)))]


def _as(old: Any, new: str | int) -> str | int:
    """Return the new value in the old one's type, so that a sample keeps its drift."""
    if isinstance(old, str):
        return str(new)
    return new


def without(payload: Mapping[str, Any], pointer: str) -> Any:
    """Return a copy of the payload without the member at the pointer; PointerError if there is none."""
    parent, _, name = pointer.rpartition("/")
    inner = payload if not parent else resolve(payload, parent)
    if not isinstance(inner, Mapping) or name not in inner:
        raise PointerError(pointer, "there is no such member", "name one that the payload has")
    kept = {key: value for key, value in inner.items() if key != name}
    return replace(payload, parent, kept) if parent else kept
