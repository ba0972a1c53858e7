"""From what was sent and what the application shows for it to what is wrong: pure functions.

The words are Jepsen's. An effect is matched to an event by the identity fields of its event
type; values are compared as text, absent, empty and the documented default alike. A record may
carry fewer identity fields than the event, as long as it fits only one event of the run. Whatever
else a record says or lacks, where it stands in an order is taken from the event that was sent.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from im_callback.conformance.records import ByType
from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.traffic.shape import leaves, schemas_at
from im_callback.schemas import MISSING, Catalogue, EventType, Order, occurrences, resolve
from im_callback.schemas.pointer import split

Record = Mapping[str, Any]
ZEROS = frozenset({"0", "false"})
"""What a typed struct keeps where the payload has nothing."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One thing that happened, by its event type and the values of its identity."""

    type: str
    identity: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.type} ({', '.join(value for value in self.identity if value)})"


@dataclass(frozen=True, slots=True)
class Effects:
    """What the application shows, matched to what was sent.

    `order` holds the occurrence of every matched record, in the order shown; a record that reports
    several things stands there once for each. `ambiguous` maps an occurrence to a record that may stand
    for it, or for others, because it lacks identity fields. `unmatched` are the records that fit nothing.
    """

    order: tuple[Occurrence, ...] = ()
    records: tuple[Record, ...] = ()
    ambiguous: Mapping[Occurrence, Record] = field(default_factory=dict)
    unmatched: tuple[Any, ...] = ()
    counts: Mapping[Occurrence, int] = field(default_factory=dict)

    def count(self, occurrence: Occurrence) -> int:
        """Return how often the application shows this occurrence; `AmbiguousRecord` if that cannot be told."""
        if occurrence not in self.counts and occurrence in self.ambiguous:
            raise AmbiguousRecord(occurrence, self.ambiguous[occurrence])
        return self.counts.get(occurrence, 0)

    def of(self, occurrence: Occurrence) -> list[Record]:
        """Return the records that stand for an occurrence, in the order shown."""
        return [record for one, record in zip(self.order, self.records, strict=True) if one == occurrence]


class AmbiguousRecord(Exception):
    """A record fits several events that were sent, so nothing can be said about any of them."""

    fix = "Let the records carry the identity fields of their event type (provider-mock events lists them)"

    def __init__(self, occurrence: Occurrence, record: Record) -> None:
        fields = ", ".join(map(str, record))
        super().__init__(
            f"the records of {occurrence.type} carry too little of its identity: one with the fields {fields} "
            "fits several events"
        )
        self.occurrence = occurrence
        self.record = record


def text(value: Any) -> str:
    """Return a value as the text by which it is compared; absent, null and empty are the same."""
    if value is MISSING or value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (dict, list)):
        return json.dumps(value, default=str)
    return str(value)


def identity_of(event_type: EventType, element: Any) -> tuple[str, ...]:
    """Return the values of an element's identity as text; what is as documented for an absent field is empty."""
    return tuple(_told(event_type, pointer, in_record(element, pointer)) for pointer in event_type.identity or ())


def _told(event_type: EventType, pointer: str, value: Any) -> str:
    said = text(value)
    return "" if said and said == _absent(event_type, pointer) else said


@lru_cache(maxsize=4096)
def _absent(event_type: EventType, pointer: str) -> str:
    """Return the value, as text, that the documents give to an absent field; empty if none."""
    return text(event_type.default(pointer))


def occurrences_of(event_type: EventType, event: Event) -> list[Occurrence]:
    """Return what an event says happened; nothing where its payload carries no identity."""
    if event_type.identity is None:
        return []
    return [
        Occurrence(event.type, identity_of(event_type, element)) for element in occurrences(event_type, event.payload)
    ]


def in_record(record: Any, pointer: str) -> Any:
    """Return a field of a record: where the payload has it, or flat under its last name."""
    if not isinstance(record, Mapping):
        return MISSING
    parents, _, name = pointer.rpartition("/")
    if parents or "~" in name:
        value = resolve(record, pointer)
        if value is not MISSING:
            return value
    return record.get(name, MISSING)


@dataclass(slots=True)
class Look:
    """What a record was found to be. It is looked at again once one of its values was sent, unless all is certain.

    `sent` and `types` are how many values and event types had been sent. `values` are those by which it could be told,
    or None where they cannot be named.
    """

    record: Any
    found: list[tuple[list[Occurrence], Record]]
    values: frozenset[str] | None
    sent: int
    types: int
    certain: bool


class Matcher:
    """Finds the occurrences that records stand for, among those that were sent in a run.

    A record is known by the object: as long as it is the same one it must not change. Then looking again costs by what
    is new, and records of which nothing was sent cost next to nothing.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._sent: dict[str, dict[tuple[str, ...], Occurrence]] = {}
        self._elements: dict[Occurrence, Any] = {}
        self._idle: dict[str, set[str]] = {}
        self._by_field: dict[str, dict[str, list[str]]] = {}
        self._open: list[str] = []
        self._indexes: dict[tuple[str, tuple[int, ...]], tuple[int, dict[tuple[str, ...], list[Occurrence]]]] = {}
        self._values: list[str] = []
        """The values that were sent which tell events apart, in the order of sending."""
        self._known_values: set[str] = set()
        self._telling: dict[str, list[str]] = {}
        """By a field of a record, the pointers that may lead there to a value which tells events apart."""
        self._lists: set[str] = set()
        """Fields that hold the things that happened in a whole payload."""
        self._looks: dict[int, Look] = {}

    def add(self, events: Iterable[Event]) -> None:
        """Note events as sent, whether validly or not."""
        for event in events:
            event_type = self._catalogue[event.type]
            if event.type not in self._sent:
                self._meet(event_type)
            if event_type.identity is None:
                continue
            for element in occurrences(event_type, event.payload):
                occurrence = Occurrence(event.type, identity_of(event_type, element))
                self._sent[event.type][occurrence.identity] = occurrence
                self._elements.setdefault(occurrence, element)
                idle = self._idle[event.type]
                for pointer, value in zip(event_type.identity, occurrence.identity, strict=True):
                    if value and pointer not in idle:
                        self._values.append(value)
                        self._known_values.add(value)

    def element(self, occurrence: Occurrence) -> Any:
        """Return what was sent for an occurrence: the payload, or its element."""
        return self._elements[occurrence]

    def match(self, records: Sequence[Any]) -> Effects:
        """Return the records' occurrences; records that fit nothing that was sent are kept apart."""
        order: list[Occurrence] = []
        matched: list[Record] = []
        unmatched: list[Any] = []
        ambiguous: dict[Occurrence, Record] = {}
        looks: dict[int, Look] = {}
        values = self._values
        news: dict[int, frozenset[str]] = {}
        for record in records:
            look = self._looks.get(id(record))
            if look is None or look.record is not record or look.types != len(self._sent):
                look = self._look(record)
            elif not look.certain and look.sent != len(values):
                new = news.get(look.sent)
                if new is None:
                    new = news[look.sent] = frozenset(values[look.sent :])
                if look.values is None or not new.isdisjoint(look.values):
                    look = self._look(record)
                else:
                    look.sent = len(values)
            looks[id(record)] = look
            for fitting, told in look.found:
                if len(fitting) == 1:
                    order.append(fitting[0])
                    matched.append(told)
                else:
                    ambiguous.update(dict.fromkeys(fitting, told))
            if not look.found:
                unmatched.append(record.made[0][1] if isinstance(record, ByType) else record)
        # What is gone is forgotten.
        self._looks = looks
        return Effects(tuple(order), tuple(matched), ambiguous, tuple(unmatched), Counter(order))

    def _look(self, record: Any) -> Look:
        """Look at a record for the first time, or after something was sent that it could stand for."""
        values = self._values_of(record)
        look = Look(record, [], values, len(self._values), len(self._sent), certain=False)
        if isinstance(record, ByType):
            fits = self._of_types(record)
            look.found, look.certain = ([fits[0]], fits[1]) if fits[0][0] else ([], False)
        elif isinstance(record, Mapping) and (values is None or not self._known_values.isdisjoint(values)):
            parts = [
                self._known(part, self._candidates(part)) for part in self._parts(record, self._candidates(record))
            ]
            look.found = [(fitting, record) for fitting, _ in parts if fitting]
            look.certain = all(certain for _, certain in parts)
        return look

    def _values_of(self, record: Any) -> frozenset[str] | None:
        """Return the values of a record that could tell which event it stands for; None where they cannot be named."""
        if not isinstance(record, Mapping):
            return None if isinstance(record, ByType) else frozenset()
        values: set[str] = set()
        for name in record:
            if name in self._lists:
                return None
            for pointer in self._telling.get(name, ()):
                values.add(text(in_record(record, pointer)))
        values.discard("")
        # What a typed struct keeps where the payload has nothing was not sent as a value.
        return None if values and values <= ZEROS else frozenset(values)

    def _of_types(self, record: ByType) -> tuple[tuple[list[Occurrence], Record], bool]:
        """Return what a record fits as one or another event type, with what it says as that; whether it is certain."""
        best: tuple[list[Occurrence], Record] = ([], record.made[0][1])
        for name, made in record.made:
            if name not in self._sent:
                continue
            for part in self._parts(made, [name]):
                found, certain = self._known(part, [name])
                if certain:
                    return (found, made), True
                if found:
                    best = ([*best[0], *found], made)
        return best, False

    def _parts(self, record: Record, names: Iterable[str]) -> list[Record]:
        """Return what a record reports: itself, or the elements of a whole payload that was stored."""
        for name in names:
            event_type = self._catalogue[name]
            if event_type.items is not None and resolve(record, event_type.items) is not MISSING:
                within = [one for one in occurrences(event_type, record) if isinstance(one, Mapping)]
                # What tells the type stands outside of the elements.
                outer = {field: record[field] for field in self._by_field if field in record}
                return [{**outer, **one} for one in within] or [record]
        return [record]

    def _known(self, record: Record, names: Iterable[str]) -> tuple[list[Occurrence], bool]:
        """Return what a record fits among these event types, and whether its whole identity says so.

        That is certain then: nothing that is sent later makes it anything else.
        """
        found = self._fitting(record, names)
        whole = len(found) == 1 and found[0].identity == identity_of(self._catalogue[found[0].type], record)
        return found, whole

    def _fitting(self, record: Record, names: Iterable[str]) -> list[Occurrence]:
        best: list[Occurrence] = []
        most = 0
        for name in names:
            event_type = self._catalogue[name]
            pointers = event_type.identity or ()
            values = identity_of(event_type, record)
            present = tuple(i for i, value in enumerate(values) if value)
            # What many events share names none of them, and neither do empty columns.
            if not any(pointers[i] not in self._idle[name] for i in present):
                continue
            whole = self._sent[name].get(values) or self._sent[name].get(_without_zeros(values))
            if whole is not None:
                return [whole]
            # With all fields there it is simply none of ours.
            if len(present) == len(values):
                continue
            found = self._index(name, present).get(tuple(values[i] for i in present), [])
            if found and len(present) >= most:
                best = found if len(present) > most else best + found
                most = len(present)
        return best if len(best) <= 1 else self._alike(record, best)

    def _alike(self, record: Record, candidates: list[Occurrence]) -> list[Occurrence]:
        """Return the one candidate that agrees with everything else that a record says, or all of them."""
        said = [(pointer, text(value)) for pointer, value in leaves(dict(record)) if text(value)]
        agreeing = [
            one
            for one in candidates
            if all(
                sent is MISSING or text(sent) == value
                for pointer, value in said
                if not isinstance(sent := resolve(self._elements[one], pointer), (Mapping, list))
            )
        ]
        return agreeing if len(agreeing) == 1 else candidates

    def _candidates(self, record: Record) -> list[str]:
        """Return the event types, of those that were sent, that a record does not rule out by a fixed field."""
        names = list(self._open)
        for field_name, by_value in self._by_field.items():
            given = text(record.get(field_name))
            if given:
                names += by_value.get(given, ())
            else:
                names += [name for group in by_value.values() for name in group]
        return names

    def _index(self, name: str, present: tuple[int, ...]) -> dict[tuple[str, ...], list[Occurrence]]:
        sent = self._sent[name]
        size, index = self._indexes.get((name, present), (0, {}))
        if size != len(sent):
            for identity in list(sent)[size:]:
                index.setdefault(tuple(identity[i] for i in present), []).append(sent[identity])
            self._indexes[name, present] = (len(sent), index)
        return index

    def _meet(self, event_type: EventType) -> None:
        """Note by which fields records of a type that is sent for the first time are told from others."""
        properties = event_type.schema.get("properties", {})
        fixed = {name: [text(schema["const"])] for name, schema in properties.items() if "const" in schema}
        if not fixed and len({name for name, _ in event_type.marks}) == 1:
            # One of several values tells it.
            fixed = {event_type.marks[0][0]: [text(value) for _, value in event_type.marks]}
        self._idle[event_type.name] = {
            pointer for pointer in event_type.identity or () if _is_one_of_few(event_type, pointer)
        }
        self._sent[event_type.name] = {}
        if event_type.items:
            self._lists.add(split(event_type.items)[0])
        for pointer in event_type.identity or ():
            if pointer not in self._idle[event_type.name]:
                first, *others = split(pointer)
                for field_name in {first, *others[-1:]}:
                    pointers = self._telling.setdefault(field_name, [])
                    if pointer not in pointers:
                        pointers.append(pointer)
        if not fixed:
            self._open.append(event_type.name)
        for name, values in list(fixed.items())[:1]:
            for value in dict.fromkeys(values):
                self._by_field.setdefault(name, {}).setdefault(value, []).append(event_type.name)


def _is_one_of_few(event_type: EventType, pointer: str) -> bool:
    """Return whether an identity field holds one of a few values, such as the kind of a conversation."""
    place = f"{event_type.items}/0{pointer}" if event_type.items is not None else pointer
    found = schemas_at(event_type.schema, place)
    return any("const" in one or "enum" in one or one.get("type") == "boolean" for one in found)


def _without_zeros(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple("" if value in ZEROS else value for value in values)


def scope_of(order: Order, element: Any) -> tuple[str, ...]:
    """Return the values within which an element is ordered."""
    return (order.group, *(text(in_record(element, pointer)) for pointer in order.scope))


def rank_of(order: Order, element: Any) -> tuple[int, ...] | None:
    """Return the numbers by which an element is ordered, or None where one is not a number."""
    values = [text(in_record(element, pointer)) for pointer in order.by]
    return tuple(int(value) for value in values) if all(_is_number(value) for value in values) else None


def _is_number(value: str) -> bool:
    return value.removeprefix("-").isdecimal()


def shown_among(effects: Effects, occurrences: Iterable[Occurrence]) -> list[Occurrence]:
    """Return which of the occurrences the application shows, in the order in which it shows them."""
    wanted = set(occurrences)
    return [one for one in effects.order if one in wanted]


def steps_back(ranks: Sequence[tuple[int, ...]]) -> tuple[int, int] | None:
    """Return the positions of the first pair in which an older one comes after a newer one, or None."""
    for index in range(1, len(ranks)):
        if ranks[index] < ranks[index - 1]:
            return index - 1, index
    return None


def superseded(events: Iterable[Event], catalogue: Catalogue) -> set[Occurrence]:
    """Return what need not show any more because a newer state took its place, or took it away."""
    states = [
        (event_type, thing, one, rank)
        for event in events
        if (order := (event_type := catalogue[event.type]).order) and order.rule == "latest"
        for thing, one in things(event_type, event)
        if (rank := rank_of(order, thing)) is not None
    ]
    newest: dict[tuple[str, ...], tuple[int, ...]] = {}
    for event_type, thing, _, rank in states:
        for scope in replaced_scopes(event_type, thing):
            newest[scope] = max(rank, newest.get(scope, rank))
    return {
        one
        for event_type, thing, one, rank in states
        if event_type.removes(thing) or any(newest.get(scope, rank) > rank for scope in all_scopes(event_type, thing))
    }


def things(event_type: EventType, event: Event) -> Iterator[tuple[Any, Occurrence]]:
    """Yield what an event says happened, each with what it is called."""
    yield from zip(occurrences(event_type, event.payload), occurrences_of(event_type, event), strict=False)


def replaced_scopes(event_type: EventType, payload: Any) -> list[tuple[str, ...]]:
    """Return the scopes in which a state puts an end to everything older: its own, or those it removes."""
    assert event_type.order is not None
    removal = event_type.removal(payload)
    pointers = event_type.order.scope if removal is None else removal.scope
    return [(event_type.order.group, *pointers, *(text(in_record(payload, pointer)) for pointer in pointers))]


def all_scopes(event_type: EventType, payload: Any) -> list[tuple[str, ...]]:
    """Return the scopes that a state lies in: its own, and those of every removal that would take it away."""
    assert event_type.order is not None
    order = event_type.order
    kinds = dict.fromkeys([order.scope, *(removal.scope for removal in order.removals)])
    return [
        (order.group, *pointers, *(text(in_record(payload, pointer)) for pointer in pointers)) for pointers in kinds
    ]


def lost(acked: Iterable[Occurrence], effects: Effects, superseded: Iterable[Occurrence] = ()) -> list[Occurrence]:
    """Return acked − seen: what the receiver acknowledged and the application does not show.

    `superseded` occurrences may be missing: a newer state took their place.
    """
    excused = set(superseded)
    return [one for one in dict.fromkeys(acked) if not effects.count(one) and one not in excused]


def phantoms(forbidden: Iterable[Occurrence], effects: Effects) -> list[Occurrence]:
    """Return what the application shows although it was only ever sent with a bad signature or a broken body."""
    return [one for one in dict.fromkeys(forbidden) if effects.count(one)]


def duplicated(effects: Effects) -> list[Occurrence]:
    """Return what the application shows more often than once, though it happened once."""
    return [one for one, count in effects.counts.items() if count > 1]
