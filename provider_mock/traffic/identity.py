"""Gives an event an identity that no other event of the run has, and leaves the rest as it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timezone
from functools import lru_cache
from random import Random
from typing import Any
from uuid import UUID

from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.traffic.composed import COMPOSED, alone, recomposed
from im_callback.provider_mock.traffic.shape import Shape
from im_callback.schemas import EventType, PointerError, jsontext, occurrences, replace, resolve
from im_callback.schemas.kinds import unique_kinds
from im_callback.schemas.pointer import join, split

AGO_MILLIS = 600_000
"""Events are dated ten minutes before the start of the run, one after the other."""
SETTLED = frozenset({"code", "undescribed"})
"""Kinds whose values come from a list, or are not known: never renewed."""
ACCOUNTS = frozenset({"account", "account-list"})
PLACES = frozenset({"room", "team"})
GROUPED = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
"""The digits of an id in groups of four."""
NOBODY = "0"
"""What stands for an account where there is none."""
STEP = 0x9E3779B1
"""Odd, so that multiples of it are all different modulo a power of two."""


class Identities:
    """A source of values that never repeat: the same seed and time give the same values.

    With `run` given, whatever tells this run's events from another run's comes from that number, and nothing is drawn
    from `random`. `accounts` names the n-th account, from 1, in place of a word of our own; then every account in a
    payload is one of these, not only those that tell events apart.
    """

    def __init__(
        self,
        random: Random,
        now_millis: int,
        *,
        run: int | None = None,
        accounts: Callable[[int], str] | None = None,
    ) -> None:
        self._random = random if run is None else Random(run)
        self._start = now_millis - AGO_MILLIS
        self._tag = _tag(self._random)
        self._long = int(self._tag) * 10**9 + self._random.randrange(10**4) * 10**5
        self._short = self._random.randrange(10**8, 2 * 10**9)
        self._name = accounts
        self._named = 0
        self._count = 0

    @property
    def tag(self) -> str:
        """What every identifier of this run's own begins or ends with, as far as its type allows: eight digits.

        Names of accounts (unless they are given), keys, rooms and teams that are words, long numbers, UUIDs and
        hexadecimal ids begin with it, URLs end with it. Short numbers, times and ids in groups of four do neither.
        """
        return self._tag

    def fresh(
        self,
        event_type: EventType,
        payload: Mapping[str, Any],
        *,
        keep: Collection[str] = (),
        values: Mapping[str, Any] | None = None,
    ) -> Event:
        """Return the event with a new identity, in a scope and at a time of its own.

        Everything else that is unique in reality (`x-unique` in the dialect) is renewed too, wherever it stands, and
        what is put together from other fields follows them. Empty texts stay empty.

        Pointers in `keep` are left as they are, with all that is under them; `values` are set by pointer. Both are
        relative to the payload, or to each of its elements where the schema has `x-items`; in `keep` a pointer from
        the root will do as well.
        """
        self._count += 1
        changed: Any = dict(payload)
        around = places(event_type, payload)
        for place in around:
            for pointer, value in (values or {}).items():
                changed = replace(changed, place + pointer, value)
        kept = [*keep, *(values or ())]
        fixed = frozenset({*kept, *(place + pointer for place in around for pointer in kept)})
        moving = _moving(event_type, tuple(around))
        renewal = _Renewal(self, moving, fixed, alone(event_type, changed))
        changed = renewal.value(Shape.of_event(event_type), changed, "")
        self._count += len(around)
        return Event(event_type.name, recomposed(event_type, changed, fixed, self.long_number))

    def value(self, kind: str) -> str | int:
        """Return a new value of a kind; kinds without a form of their own get a word."""
        self._count += 1
        maker = _MAKERS.get(kind)
        return maker(self) if maker else f"{self._tag}-{kind.rpartition('.')[2]}-{self._count}"

    def account(self) -> str:
        """Return the name of an account that no earlier event has, unless the given names repeat."""
        if self._name is None:
            return self.word("u")
        self._named += 1
        return self._name(self._named)

    def names(self, kind: str, old: object) -> bool:
        """Return whether a value names accounts, which were given for all events, so that it cannot stay as it is."""
        return self._name is not None and kind in ACCOUNTS and old != NOBODY

    @property
    def millis(self) -> int:
        """A time that no earlier event has."""
        return self._start + self._count

    @property
    def number(self) -> int:
        """A number of 31 bits that no earlier event has."""
        return self._short + self._count

    @property
    def long_number(self) -> int:
        """A number of 17 digits that no earlier event has."""
        return self._long + self._count

    @property
    def random_number(self) -> int:
        """A number of 31 bits that no earlier event has and that does not look like the one before."""
        return (self._short + self._count * STEP) % 2**31

    def uuid(self) -> str:
        """Return a UUID, version 4: random but for its beginning."""
        return str(UUID(hex=self.hexadecimal(), version=4))

    def hexadecimal(self) -> str:
        """Return 32 hexadecimal digits: those of the run, and random ones."""
        return f"{self._tag}{self._random.getrandbits(96):024x}"

    def grouped(self) -> str:
        """Return 16 random digits of base 32, in groups of four."""
        digits = [GROUPED[self._random.getrandbits(5)] for _ in range(16)]
        return "-".join("".join(digits[place : place + 4]) for place in range(0, 16, 4))

    def word(self, letter: str = "w") -> str:
        """Return a short word that no earlier event has; a letter keeps it from being a number."""
        return f"{self._tag}{letter}{self._count}"

    def moment(self) -> str:
        """Return a new time as text, to the second."""
        return datetime.fromtimestamp(self._start / 1000 + self._count, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


def tag_of(run: int) -> str:
    """Return the tag that the identities of a run have."""
    return _tag(Random(run))


def _tag(random: Random) -> str:
    # Digits, so that numbers, UUIDs and hexadecimal ids can begin with it too; no zero in front.
    return str(random.randrange(10**7, 10**8))


_MAKERS: dict[str, Callable[[Identities], str | int]] = {
    "account": Identities.account,
    "account-list": lambda ids: f"[{ids.account()}, {ids.account()}]",
    "millis": lambda ids: ids.millis,
    "seconds": lambda ids: ids.millis // 1000,
    "datetime": Identities.moment,
    "digits-id": lambda ids: ids.number,
    "long-id": lambda ids: ids.long_number,
    "room": lambda ids: ids.number,
    "team": lambda ids: ids.number,
    "member": lambda ids: ids.number,
    "template": lambda ids: ids.number,
    "sequence": lambda ids: ids.number,
    "random": lambda ids: ids.random_number,
    "version": lambda ids: ids.millis,
    "uuid": Identities.uuid,
    "device": Identities.uuid,
    "connection": Identities.uuid,
    "hex-id": Identities.hexadecimal,
    "grouped-id": Identities.grouped,
    "md5": Identities.hexadecimal,
    "mobile": lambda ids: f"1{ids.long_number % 10**10:010d}",
    "url": lambda ids: f"https://files.example.com/{ids.number}-{ids.tag}",
    "key": lambda ids: ids.word("k"),
    "message-key": lambda ids: f"{ids.number}_{ids.random_number}_{ids.millis // 1000}",
    "message-id": lambda ids: f"{ids.long_number}-{ids.millis // 1000}-{ids.random_number}",
}


class _Renewal:
    """Renews the values of one payload: those at `moving`, and those of a unique kind; nothing at or below `fixed`.

    Of the values that are put together from others only those at `alone`: the others follow their parts.
    """

    def __init__(
        self, identities: Identities, moving: frozenset[str], fixed: frozenset[str], alone: frozenset[str]
    ) -> None:
        self._identities = identities
        self._moving = moving
        self._fixed = fixed
        self._alone = alone
        self._given: dict[tuple[str, Any], Any] = {}

    def value(self, shape: Shape, value: Any, pointer: str) -> Any:
        """Return the value at the pointer with everything in it renewed that is due; itself if nothing is."""
        if pointer in self._fixed or not shape.schemas:
            return value
        if isinstance(value, str) and shape.content is not None:
            try:
                inner = jsontext.parse(value)
            except ValueError:
                return value
            renewed = self.value(shape.content, inner, pointer)
            return value if renewed is inner else jsontext.dump(renewed)
        if isinstance(value, Mapping):
            whole = shape.whole(value)
            members = {
                name: self.value(whole.member(name), inner, pointer + join([name])) for name, inner in value.items()
            }
            return members if any(members[name] is not inner for name, inner in value.items()) else value
        if isinstance(value, list):
            if shape.element is None:
                return value
            elements = [self.value(shape.element, inner, f"{pointer}/{place}") for place, inner in enumerate(value)]
            return elements if any(new is not old for new, old in zip(elements, value, strict=True)) else value
        return self._scalar(shape, value, pointer)

    def _scalar(self, shape: Shape, old: Any, pointer: str) -> Any:
        kind = shape.kind
        if kind is None or kind in SETTLED or old is None or old == "" or isinstance(old, bool):
            return old
        if kind in COMPOSED and pointer not in self._alone:
            return old
        if pointer in self._moving:
            return self._renewed(shape, kind, old)
        if kind not in unique_kinds() and not self._identities.names(kind, old):
            return old
        # Two fields that name the same thing still do.
        if (kind, old) not in self._given:
            self._given[kind, old] = self._renewed(shape, kind, old)
        return self._given[kind, old]

    def _renewed(self, shape: Shape, kind: str, old: Any) -> Any:
        new = self._identities.value(kind)
        if isinstance(old, str):
            if kind in PLACES and not old.isdecimal():
                # Where its name is the team's own choice, it can tell whose it is.
                return self._identities.word(kind[0])
            return str(new)
        number = new if isinstance(new, int) else self._identities.number
        limit = shape.least("maximum")
        return number if limit is None or number <= limit else self._identities.number % (limit + 1)


def places(event_type: EventType, payload: Mapping[str, Any]) -> list[str]:
    """Return the pointers of the things that happened: the payload itself, or its elements."""
    if event_type.items is None:
        return [""]
    return [f"{event_type.items}/{index}" for index in range(len(occurrences(event_type, payload)))]


@lru_cache(maxsize=4096)
def _moving(event_type: EventType, around: tuple[str, ...]) -> frozenset[str]:
    """Return the pointers, from the root, of what tells the events in a payload apart and orders them."""
    order = event_type.order
    pointers: Iterable[str] = (*(event_type.identity or ()), *((*order.scope, *order.by) if order else ()))
    return frozenset(place + pointer for place in around for pointer in pointers)


def without(payload: Mapping[str, Any], pointer: str) -> Any:
    """Return a copy of the payload without the member at the pointer; PointerError if there is none."""
    *parents, name = split(pointer) or [""]
    parent = join(parents)
    held = resolve(payload, parent)
    inner = _parsed(held) if isinstance(held, str) else held
    if not isinstance(inner, Mapping) or name not in inner:
        raise PointerError(pointer, "there is no such member", "name one that the payload has")
    kept = {key: value for key, value in inner.items() if key != name}
    return replace(payload, parent, jsontext.dump(kept) if isinstance(held, str) else kept)


def _parsed(text: str) -> Any:
    try:
        return jsontext.parse(text)
    except ValueError:
        return text
