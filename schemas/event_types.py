"""Event types as read from schema files: what each one is called, how it is recognised, what makes it the same."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from schemas import jsontext
from schemas.errors import BadSchema, UnknownEventType, UnknownProvider
from schemas.pointer import resolve
from schemas.validate import Checker, Problem, dialect_problems

if TYPE_CHECKING:
    if sys.version_info >= (3, 11):
        from importlib.resources.abc import Traversable
    else:
        from importlib.abc import Traversable

__all__ = ["Catalogue", "EventType", "Order", "Removal", "catalogue", "load", "occurrences"]

_SUFFIX: Final = ".schema.json"


@dataclass(frozen=True)
class Removal:
    """Payloads that take a state away, and how much of it."""

    #: A JSON Schema of the payloads.
    when: Mapping[str, Any]
    #: Pointers: what agrees with the payload in all of these is gone, if it is older.
    scope: tuple[str, ...]


@dataclass(frozen=True)
class Order:
    """How the events of a group follow each other (`x-order`)."""

    #: Event types with the same group are ordered together, as login and logout are.
    group: str
    #: Pointers: events are ordered among those that agree in all of these.
    scope: tuple[str, ...]
    #: Pointers, compared in turn as numbers.
    by: tuple[str, ...]
    #: `latest`: a state, which an older event must not overwrite. `sequence`: a list, shown in this order.
    rule: str
    #: What takes the state away.
    removals: tuple[Removal, ...] = ()


@dataclass(frozen=True, eq=False)
class EventType:
    """One documented kind of payload of one provider."""

    #: The provider, as in `commsease`.
    provider: str
    #: Provider and kind, as in `commsease.login`.
    name: str
    #: The provider's own code, as text: `2`.
    code: str
    #: A few words for people.
    title: str
    #: `documented`, or `undocumented`: the documents give no more than the code.
    status: str
    #: Where it is documented: `document`, `section` and perhaps `url`.
    sources: tuple[Mapping[str, str], ...]
    #: The whole schema, as in the file.
    schema: Mapping[str, Any] = field(repr=False)
    #: Pointers of the fields that make two events the same, relative to an occurrence; `None`: it carries no identity.
    identity: tuple[str, ...] | None = field(repr=False)
    #: How such events follow each other, or `None`.
    order: Order | None = field(repr=False)
    #: Pointer to the list whose elements are the things that happened; `None`: the payload is one.
    items: str | None = field(repr=False)
    #: The documented samples.
    examples: tuple[Any, ...] = field(repr=False)

    @classmethod
    def from_schema(cls, schema: Mapping[str, Any]) -> EventType:
        """
        Return the event type that *schema* describes.

        Raises:
            KeyError: a keyword that the dialect requires is missing.
        """
        name = schema["x-event-type"]
        identity, order = schema["x-identity"], schema["x-order"]
        return cls(
            provider=name.partition(".")[0],
            name=name,
            code=schema["x-code"],
            title=schema["title"],
            status=schema["x-status"],
            sources=tuple(schema["x-source"]),
            schema=schema,
            identity=None if identity is None else tuple(identity),
            order=None if order is None else _order(order),
            items=schema.get("x-items"),
            examples=tuple(schema.get("examples", ())),
        )

    def detects(self, payload: Any) -> bool:
        """Return whether *payload* is meant as this event type, however broken it may be otherwise."""
        return self._detect.accepts(payload)

    def valid(self, payload: Any) -> bool:
        """Return whether *payload* is valid, embedded JSON included: quickly, where `jsonschema-rs` is installed."""
        return self._whole.valid(payload)

    def problems(self, payload: Any) -> list[Problem]:
        """Return what is wrong with *payload*, embedded JSON included; nothing if it is valid."""
        return self._whole.problems(payload)

    def removes(self, payload: Any) -> bool:
        """Return whether *payload* takes the ordered state away, as the deletion of an attribute does."""
        return self.removal(payload) is not None

    def removal(self, payload: Any) -> Removal | None:
        """Return how *payload* takes the ordered state away, or `None` if it does not."""
        return next((removal for removal, when in self._removals if when.accepts(payload)), None)

    @cached_property
    def _detect(self) -> Checker:
        return Checker(self.schema["x-detect"])

    @cached_property
    def _whole(self) -> Checker:
        return Checker(self.schema)

    @cached_property
    def _removals(self) -> list[tuple[Removal, Checker]]:
        removals = () if self.order is None else self.order.removals
        return [(removal, Checker(removal.when)) for removal in removals]


class Catalogue:
    """The event types of one provider: iterable in the order of their codes, and found by name."""

    def __init__(self, provider: str, event_types: Mapping[str, EventType]) -> None:
        self.provider = provider
        self._by_name = dict(event_types)

    def __repr__(self) -> str:
        return f"<Catalogue of {self.provider}: {len(self)} event types>"

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[EventType]:
        return iter(self._by_name.values())

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> EventType:
        """
        Return the event type called *name*, as in `commsease.login`.

        Raises:
            UnknownEventType: there is none.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownEventType(name, self._by_name) from None

    def get(self, name: str) -> EventType | None:
        """Return the event type called *name*, or `None`."""
        return self._by_name.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all event types, in order."""
        return tuple(self._by_name)

    def identify(self, payload: Any) -> EventType | None:
        """Return the event type that *payload* is meant as, or `None`; it need not be valid."""
        return next((one for one in self._claimants(payload) if one.detects(payload)), None)

    def _claimants(self, payload: Any) -> Iterable[EventType]:
        """Return the event types that *payload* could be, in order; most are out by one field, such as `eventType`."""
        if not isinstance(payload, dict):
            return self
        unmarked, marked = self._marks
        found = set(unmarked)
        for name, values in marked.items():
            value = payload.get(name)
            if isinstance(value, str):
                found.update(values.get(value, ()))
        return [self._ordered[place] for place in sorted(found)]

    @cached_property
    def _ordered(self) -> list[EventType]:
        return list(self)

    @cached_property
    def _marks(self) -> tuple[list[int], dict[str, dict[str, list[int]]]]:
        """The places of event types without marks, and by field and value the places of those with some."""
        unmarked: list[int] = []
        marked: dict[str, dict[str, list[int]]] = {}
        for place, one in enumerate(self):
            marks = _marks_of(one.schema["x-detect"])
            if not marks:
                unmarked.append(place)
            for name, value in marks:
                marked.setdefault(name, {}).setdefault(value, []).append(place)
        return unmarked, marked


def load(folder: Traversable, *, check: bool = True) -> Catalogue:
    """
    Return the event types described by the `*.schema.json` files in *folder*.

    Files without `x-event-type` (the schema of a response, say) are passed over.

    Args:
        folder: a `pathlib.Path`, or what `importlib.resources.files` returns.
        check: also validate each file against the dialect, which takes some 30 ms a file.

    Raises:
        BadSchema: a file is not JSON or breaks the dialect; there is no schema; or two providers share the folder.
    """
    found: dict[str, EventType] = {}
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(_SUFFIX):
            continue
        event_type = _read(file, check=check)
        if event_type is None:
            continue
        if event_type.name in found:
            raise BadSchema(file.name, f"{event_type.name} is there twice", "rename one of them")
        found[event_type.name] = event_type
    providers = {one.provider for one in found.values()}
    if len(providers) != 1:
        mixed = "it mixes " + " and ".join(sorted(providers))
        fact = mixed if providers else "it holds no *.schema.json of an event type"
        raise BadSchema(str(folder), fact, "give each provider a folder of its own")
    ordered = sorted(found.values(), key=_by_code)
    return Catalogue(providers.pop(), {one.name: one for one in ordered})


@cache
def catalogue(provider: str) -> Catalogue:
    """
    Return the event types of *provider* that come with this package.

    Raises:
        UnknownProvider: it has no schemas here.
    """
    known = [entry.name for entry in files("schemas").iterdir() if _is_provider(entry)]
    if provider not in known:
        raise UnknownProvider(provider, sorted(known))
    # The shipped files are checked by the tests, once.
    return load(files("schemas").joinpath(provider), check=False)


def occurrences(event_type: EventType, payload: Any) -> list[Any]:
    """
    Return the things that happened: the elements under `x-items`, decoded, or the payload itself.

    Identity and order pointers are relative to these. A payload whose list is missing or unreadable has none.
    """
    if event_type.items is None:
        return [payload]
    elements = resolve(payload, event_type.items)
    if isinstance(elements, str):
        try:
            elements = jsontext.parse(elements)
        except ValueError:
            return []
    return elements if isinstance(elements, list) else []


def _read(file: Traversable, *, check: bool) -> EventType | None:
    try:
        schema = jsontext.parse(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadSchema(file.name, f"it is not JSON ({error})", "correct the file") from None
    if not isinstance(schema, dict) or "x-event-type" not in schema:
        return None
    found = dialect_problems(schema) if check else []
    if found:
        raise BadSchema(file.name, f"it breaks the dialect at {found[0]}", "see schemas/README.md")
    try:
        return EventType.from_schema(schema)
    except KeyError as error:
        raise BadSchema(file.name, f"it lacks {error}", "see schemas/README.md") from None


def _order(keyword: Mapping[str, Any]) -> Order:
    return Order(
        group=keyword["group"],
        scope=tuple(keyword["scope"]),
        by=tuple(keyword["by"]),
        rule=keyword["rule"],
        removals=tuple(Removal(one["when"], tuple(one["scope"])) for one in keyword.get("removes", ())),
    )


def _marks_of(detect: Any) -> list[tuple[str, str]]:
    """Return fields with their texts, one of which every object has that satisfies *detect*; none if there are none."""
    if not isinstance(detect, Mapping):
        return []
    for name in detect.get("required", ()):
        rule = detect.get("properties", {}).get(name)
        if isinstance(rule, Mapping) and isinstance(rule.get("const"), str):
            return [(name, rule["const"])]
    choices = [_marks_of(choice) for choice in detect.get("anyOf", ())]
    return [mark for choice in choices for mark in choice] if all(choices) else []


def _by_code(event_type: EventType) -> tuple[int, str]:
    code = event_type.code
    return (int(code), "") if code.isdecimal() else (0, code)


def _is_provider(entry: Traversable) -> bool:
    return entry.is_dir() and any(file.name.endswith(_SUFFIX) for file in entry.iterdir())
