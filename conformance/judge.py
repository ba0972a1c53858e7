"""From what was sent and what the application shows for it to what is wrong: pure functions.

The words are Jepsen's. An effect is matched to an event by the identity fields of its event
type; values are compared as text, absent, empty and the documented default alike. A record may
carry fewer identity fields than the event, as long as it fits only one event of the run. Whatever
else a record says or lacks, where it stands in an order is taken from the event that was sent.
"""

from __future__ import annotations

import json
import marshal
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.traffic.shape import leaves, schemas_at
from im_callback.schemas import MISSING, Catalogue, EventType, Order, occurrences, resolve

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


def said(record: Any) -> bytes:
    """Return what a record says, to know it again: looking at everything that was recorded must stay cheap."""
    try:
        # Version 2 writes the same value always alike; later ones note which objects are one.
        return marshal.dumps(record, 2)
    except ValueError:
        return repr(record).encode(errors="surrogatepass")


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


class Matcher:
    """Finds the occurrences that records stand for, among those that were sent in a run."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._sent: dict[str, dict[tuple[str, ...], Occurrence]] = {}
        self._elements: dict[Occurrence, Any] = {}
        self._idle: dict[str, set[str]] = {}
        self._by_field: dict[str, dict[str, list[str]]] = {}
        self._open: list[str] = []
        self._indexes: dict[tuple[str, tuple[int, ...]], tuple[int, dict[tuple[str, ...], list[Occurrence]]]] = {}
        self._certain: dict[bytes, list[Occurrence]] = {}
        """By what a record says, what it stands for if that is certain: only another event type can change it."""

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

    def element(self, occurrence: Occurrence) -> Any:
        """Return what was sent for an occurrence: the payload, or its element."""
        return self._elements[occurrence]

    def match(self, records: Sequence[Any]) -> Effects:
        """Return the records' occurrences; records that fit nothing that was sent are kept apart."""
        order: list[Occurrence] = []
        matched: list[Record] = []
        unmatched: list[Any] = []
        ambiguous: dict[Occurrence, Record] = {}
        for record in records:
            key = said(record)
            if key in self._certain:
                for one in self._certain[key]:
                    order.append(one)
                    matched.append(record)
                continue
            parts = self._parts(record) if isinstance(record, Mapping) else []
            found = [fitting for part in parts if (fitting := self._fitting(part))]
            if found and all(len(fitting) == 1 for fitting in found):
                ones = [fitting[0] for fitting in found]
                if len(ones) == len(parts) and all(map(self._is_certain, ones, parts)):
                    self._certain[key] = ones
            for fitting in found:
                if len(fitting) == 1:
                    order.append(fitting[0])
                    matched.append(record)
                else:
                    ambiguous.update(dict.fromkeys(fitting, record))
            if not found:
                unmatched.append(record)
        return Effects(tuple(order), tuple(matched), ambiguous, tuple(unmatched), Counter(order))

    def _parts(self, record: Record) -> list[Record]:
        """Return what a record reports: itself, or the elements of a whole payload that was stored."""
        for name in self._candidates(record):
            event_type = self._catalogue[name]
            if event_type.items is not None and resolve(record, event_type.items) is not MISSING:
                within = [one for one in occurrences(event_type, record) if isinstance(one, Mapping)]
                # What tells the type stands outside of the elements.
                outer = {field: record[field] for field in self._by_field if field in record}
                return [{**outer, **one} for one in within] or [record]
        return [record]

    def _is_certain(self, one: Occurrence, record: Record) -> bool:
        """Return whether a record names an occurrence in full: then no event sent later makes it another."""
        return one.identity == identity_of(self._catalogue[one.type], record)

    def _fitting(self, record: Record) -> list[Occurrence]:
        best: list[Occurrence] = []
        most = 0
        for name in self._candidates(record):
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
        self._certain.clear()
        properties = event_type.schema.get("properties", {})
        fixed = {name: [text(schema["const"])] for name, schema in properties.items() if "const" in schema}
        if not fixed and len({name for name, _ in event_type.marks}) == 1:
            # One of several values tells it.
            fixed = {event_type.marks[0][0]: [text(value) for _, value in event_type.marks]}
        self._idle[event_type.name] = {
            pointer for pointer in event_type.identity or () if _is_one_of_few(event_type, pointer)
        }
        self._sent[event_type.name] = {}
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
