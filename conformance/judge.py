"""From what was sent and what the application shows for it to what is wrong: pure functions.

The words are Jepsen's. An effect is matched to an event by the identity fields of its event
type; values are compared as text, absent and empty alike. A record may carry fewer identity
fields than the event, as long as it fits only one event of the run.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from provider_mock.contract import Event
from schemas import MISSING, Catalogue, EventType, Order, occurrences, resolve

Record = Mapping[str, Any]


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

    `order` holds the occurrence of every matched record, in the order shown. `ambiguous` maps an
    occurrence to a record that may stand for it, or for others, because it lacks identity fields.
    """

    order: tuple[Occurrence, ...] = ()
    records: tuple[Record, ...] = ()
    ambiguous: Mapping[Occurrence, Record] = field(default_factory=dict)
    counts: Mapping[Occurrence, int] = field(default_factory=dict)

    def count(self, occurrence: Occurrence) -> int:
        """Return how often the application shows this occurrence; `AmbiguousRecord` if that cannot be told."""
        if occurrence not in self.counts and occurrence in self.ambiguous:
            raise AmbiguousRecord(occurrence, self.ambiguous[occurrence])
        return self.counts.get(occurrence, 0)


class AmbiguousRecord(Exception):
    """A record fits several events that were sent, so nothing can be said about any of them."""

    fix = "Let the records carry the identity fields of their event type (provider-mock events lists them)"

    def __init__(self, occurrence: Occurrence, record: Record) -> None:
        fields = ", ".join(map(str, record))
        super().__init__(f"a record with the fields {fields} fits several events, one of them {occurrence}")
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


def occurrences_of(event_type: EventType, event: Event) -> list[Occurrence]:
    """Return what an event says happened; nothing where its payload carries no identity."""
    if event_type.identity is None:
        return []
    return [
        Occurrence(event.type, tuple(text(resolve(element, pointer)) for pointer in event_type.identity))
        for element in occurrences(event_type, event.payload)
    ]


def in_record(record: Record, pointer: str) -> Any:
    """Return a field of a record: where the payload has it, or flat under its last name."""
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
        self._fixed: dict[str, set[str]] = {}
        self._by_field: dict[str, dict[str, list[str]]] = {}
        self._open: list[str] = []
        self._indexes: dict[tuple[str, tuple[int, ...]], tuple[int, dict[tuple[str, ...], list[Occurrence]]]] = {}

    def add(self, events: Iterable[Event]) -> None:
        """Note events as sent, whether validly or not."""
        for event in events:
            event_type = self._catalogue[event.type]
            if event.type not in self._sent:
                self._meet(event_type)
            for occurrence in occurrences_of(event_type, event):
                self._sent[event.type][occurrence.identity] = occurrence

    def match(self, records: Sequence[Record]) -> Effects:
        """Return the records' occurrences; records that fit nothing that was sent are left out."""
        order: list[Occurrence] = []
        matched: list[Record] = []
        ambiguous: dict[Occurrence, Record] = {}
        for record in records:
            fitting = self._fitting(record)
            if len(fitting) == 1:
                order.append(fitting[0])
                matched.append(record)
            else:
                ambiguous.update(dict.fromkeys(fitting, record))
        return Effects(tuple(order), tuple(matched), ambiguous, Counter(order))

    def _fitting(self, record: Record) -> list[Occurrence]:
        best: list[Occurrence] = []
        most = 0
        for name in self._candidates(record):
            pointers = self._catalogue[name].identity or ()
            values = tuple(text(in_record(record, pointer)) for pointer in pointers)
            present = tuple(i for i, value in enumerate(values) if value)
            # The discriminator alone names no event, and neither do empty columns.
            if not any(pointers[i] not in self._fixed[name] for i in present):
                continue
            whole = self._sent[name].get(values)
            if whole is not None:
                return [whole]
            # With all fields there it is simply none of ours.
            if len(present) == len(values):
                continue
            found = self._index(name, present).get(tuple(values[i] for i in present), [])
            if found and len(present) >= most:
                best = found if len(present) > most else best + found
                most = len(present)
        return best

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
        fixed = {name: text(schema["const"]) for name, schema in properties.items() if "const" in schema}
        self._fixed[event_type.name] = {f"/{name}" for name in fixed}
        self._sent[event_type.name] = {}
        if not fixed:
            self._open.append(event_type.name)
        for name, value in list(fixed.items())[:1]:
            self._by_field.setdefault(name, {}).setdefault(value, []).append(event_type.name)


def scope_of(order: Order, element: Any) -> tuple[str, ...]:
    """Return the values within which an element is ordered."""
    return (order.group, *(text(in_record(element, pointer)) for pointer in order.scope))


def rank_of(order: Order, element: Any) -> tuple[int, ...] | None:
    """Return the numbers by which an element is ordered, or None where one is not a number."""
    values = [text(in_record(element, pointer)) for pointer in order.by]
    return tuple(int(value) for value in values) if all(_is_number(value) for value in values) else None


def _is_number(value: str) -> bool:
    return value.removeprefix("-").isdecimal()


def steps_back(ranks: Sequence[tuple[int, ...]]) -> tuple[int, int] | None:
    """Return the positions of the first pair in which an older one comes after a newer one, or None."""
    for index in range(1, len(ranks)):
        if ranks[index] < ranks[index - 1]:
            return index - 1, index
    return None


def superseded(events: Iterable[Event], catalogue: Catalogue) -> set[Occurrence]:
    """Return what need not show any more because a newer state took its place, or took it away."""
    states = [
        (event_type, event, rank)
        for event in events
        if (order := (event_type := catalogue[event.type]).order) and order.rule == "latest"
        if (rank := rank_of(order, event.payload)) is not None
    ]
    newest: dict[tuple[str, ...], tuple[int, ...]] = {}
    for event_type, event, rank in states:
        for scope in replaced_scopes(event_type, event.payload):
            newest[scope] = max(rank, newest.get(scope, rank))
    gone: set[Occurrence] = set()
    for event_type, event, rank in states:
        scopes = all_scopes(event_type, event.payload)
        if event_type.removes(event.payload) or any(newest.get(scope, rank) > rank for scope in scopes):
            gone.update(occurrences_of(event_type, event))
    return gone


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
