"""Event types as read from schema files: what each one is called, how it is recognised, what makes it the same."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from im_callback.schemas import jsontext
from im_callback.schemas.applicable import possible
from im_callback.schemas.errors import BadSchema, UnknownEventType, UnknownProvider
from im_callback.schemas.pointer import MISSING, join, resolve
from im_callback.schemas.validate import Checker, Problem, dialect_problems
from im_callback.schemas.variants import as_text, combinations, variant_name

if TYPE_CHECKING:
    if sys.version_info >= (3, 11):
        from importlib.resources.abc import Traversable
    else:
        from importlib.abc import Traversable

__all__ = [
    "AnswerType",
    "Catalogue",
    "EventType",
    "Failure",
    "Order",
    "Recall",
    "Removal",
    "catalogue",
    "load",
    "occurrences",
]

_SUFFIX: Final = ".schema.json"
_Mark: TypeAlias = str | int | float


@dataclass(frozen=True)
class Removal:
    """Payloads that take a state away, and how much of it."""

    #: A JSON Schema of the payloads.
    when: Mapping[str, Any]
    #: Pointers: what agrees with the payload in all of these is gone, if it is older.
    scope: tuple[str, ...]

    @property
    def values(self) -> dict[str, Any]:
        """By pointer, the values that `when` asks for; of several, the first."""
        return dict(_asked(self.when, ""))


@dataclass(frozen=True)
class Failure:
    """How a payload reports that what it is about did not happen (`x-failed`)."""

    #: A JSON Schema of the payloads that do.
    when: Mapping[str, Any]
    #: By pointer, values that turn a payload into one of these.
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Recall:
    """Which event another one takes back (`x-recalls`)."""

    #: The event type that is taken back.
    event_type: str
    #: Pointers of the recall, and those of the event that hold the same values.
    by: Mapping[str, str]
    #: By pointer, what such an event has besides.
    values: Mapping[str, Any]


class AnswerType:
    """What a receiver answers to events of some types, by a schema with `x-response-to`."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        #: The event types that it answers.
        self.to: tuple[str, ...] = tuple(schema["x-response-to"])
        #: A few words for people.
        self.title: str = schema.get("title", "")
        self.schema = schema
        #: The documented samples.
        self.examples: tuple[Any, ...] = tuple(schema.get("examples", ()))

    def problems(self, answer: Any) -> list[Problem]:
        """Return what is wrong with *answer*; nothing if it is valid."""
        return self._whole.problems(answer)

    @cached_property
    def _whole(self) -> Checker:
        return Checker(self.schema)


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
    #: The provider's feed that delivers it, by its short name, as in `data-sync`; `None`: the provider's first.
    feed: str | None
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
    #: How a payload reports that what it is about did not happen, or `None`: there is no such report.
    failure: Failure | None = field(default=None, repr=False)
    #: Pointers, into the whole payload, of the fields by which receivers branch; `()`: there are none.
    variant_pointers: tuple[str, ...] = field(default=(), repr=False)
    #: Which event such a one takes back, or `None`: it takes none back.
    recall: Recall | None = field(default=None, repr=False)

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
            feed=schema.get("x-feed"),
            status=schema["x-status"],
            sources=tuple(schema["x-source"]),
            schema=schema,
            identity=None if identity is None else tuple(identity),
            order=None if order is None else _order(order),
            items=schema.get("x-items"),
            examples=tuple(schema.get("examples", ())),
            failure=Failure(**schema["x-failed"]) if "x-failed" in schema else None,
            variant_pointers=tuple(schema.get("x-variants", ())),
            recall=_recall(schema["x-recalls"]) if "x-recalls" in schema else None,
        )

    @cached_property
    def variants(self) -> tuple[str, ...]:
        """
        The variants that the schema admits, in its order, as in `TEAM/TEXT`; `()` if there are none.

        They are the values that it lists at `variant_pointers`, in every combination that its conditions allow.
        """
        return tuple(self._by_variant)

    def variant_of(self, payload: Any) -> str:
        """
        Return which variant *payload* is; empty if there are none, or if a value is missing.

        Values are taken as text. One that the schema does not list is told as it stands.
        """
        return variant_name(self.variant_pointers, payload)

    def variant_values(self, variant: str) -> dict[str, Any]:
        """
        Return the values that make *variant*, by pointer.

        Raises:
            LookupError: it is not one of `variants`.
        """
        try:
            return dict(self._by_variant[variant])
        except KeyError:
            raise LookupError(f"{self.name} has no variant {variant!r}") from None

    def detects(self, payload: Any) -> bool:
        """Return whether *payload* is meant as this event type, however broken it may be otherwise."""
        return self._detect.accepts(payload)

    def valid(self, payload: Any) -> bool:
        """Return whether *payload* is valid, embedded JSON included: quickly, where `jsonschema-rs` is installed."""
        return self._whole.valid(payload)

    def problems(self, payload: Any) -> list[Problem]:
        """Return what is wrong with *payload*, embedded JSON included; nothing if it is valid."""
        return self._whole.problems(payload)

    def default(self, pointer: str) -> Any:
        """
        Return what the absence of a field means, where the documents say so, or `MISSING`.

        Like those of the identity, *pointer* is relative to an occurrence.
        """
        whole = pointer if self.items is None else f"{self.items}/0{pointer}"
        return next((part["default"] for part in possible(self.schema, whole) if "default" in part), MISSING)

    def failed(self, payload: Any) -> bool:
        """Return whether *payload* reports that what it is about did not happen."""
        return self._failed is not None and self._failed.accepts(payload)

    def removes(self, payload: Any) -> bool:
        """Return whether *payload* takes the ordered state away, as the deletion of an attribute does."""
        return self.removal(payload) is not None

    def removal(self, payload: Any) -> Removal | None:
        """Return how *payload* takes the ordered state away, or `None` if it does not."""
        return next((removal for removal, when in self._removals if when.accepts(payload)), None)

    @property
    def marks(self) -> list[tuple[str, _Mark]]:
        """Fields at the top with the texts by which payloads name this type; none if they do not."""
        return _marks_of(self.schema["x-detect"])

    @cached_property
    def _by_variant(self) -> dict[str, dict[str, Any]]:
        """The values that make each variant, by pointer."""
        if not self.variant_pointers:
            return {}
        found = combinations(self.schema, self.variant_pointers)
        return {
            "/".join(str(as_text(value)) for value in values): dict(zip(self.variant_pointers, values, strict=True))
            for values in found
        }

    @cached_property
    def _detect(self) -> Checker:
        return Checker(self.schema["x-detect"])

    @cached_property
    def _failed(self) -> Checker | None:
        return None if self.failure is None else Checker(self.failure.when)

    @cached_property
    def _whole(self) -> Checker:
        return Checker(self.schema)

    @cached_property
    def _removals(self) -> list[tuple[Removal, Checker]]:
        removals = () if self.order is None else self.order.removals
        return [(removal, Checker(removal.when)) for removal in removals]


class Catalogue:
    """The event types of one provider: iterable by feed, in the order of their codes, and found by name."""

    def __init__(self, provider: str, event_types: Mapping[str, EventType], answers: Iterable[AnswerType] = ()) -> None:
        self.provider = provider
        self._by_name = dict(event_types)
        self._answers = {name: one for one in answers for name in one.to}

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

    def answer(self, name: str) -> AnswerType | None:
        """Return what is answered to events of the type called *name*, if that is described."""
        return self._answers.get(name)

    def with_examples(self, examples: Mapping[str, Iterable[Any]]) -> Catalogue:
        """Return a catalogue that differs in the samples of the event types with these names."""
        types = {
            name: replace(one, examples=tuple(examples[name])) if name in examples else one
            for name, one in self._by_name.items()
        }
        return Catalogue(self.provider, types, dict.fromkeys(self._answers.values()))

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
            # In JSON true is not 1; in Python it is.
            if isinstance(value, (str, int, float)) and not isinstance(value, bool):
                found.update(values.get(value, ()))
        return [self._ordered[place] for place in sorted(found)]

    @cached_property
    def _ordered(self) -> list[EventType]:
        return list(self)

    @cached_property
    def _marks(self) -> tuple[list[int], dict[str, dict[_Mark, list[int]]]]:
        """The places of event types without marks, and by field and value the places of those with some."""
        unmarked: list[int] = []
        marked: dict[str, dict[_Mark, list[int]]] = {}
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

    Files with `x-response-to` describe what is answered to them; others are passed over.

    Args:
        folder: a `pathlib.Path`, or what `importlib.resources.files` returns.
        check: also validate each file against the dialect, which takes some 30 ms a file.

    Raises:
        BadSchema: a file is not JSON or breaks the dialect; there is no schema; or two providers share the folder.
    """
    found: dict[str, EventType] = {}
    answers: list[AnswerType] = []
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(_SUFFIX):
            continue
        event_type = _read(file, check=check)
        if isinstance(event_type, AnswerType):
            answers.append(event_type)
        if not isinstance(event_type, EventType):
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
    for one in answers:
        unknown = [name for name in one.to if name not in found]
        if unknown:
            raise BadSchema(one.title, f"it answers {unknown[0]}, which is not there", "correct x-response-to")
    return Catalogue(providers.pop(), {one.name: one for one in ordered}, answers)


@cache
def catalogue(provider: str) -> Catalogue:
    """
    Return the event types of *provider* that come with this package.

    Raises:
        UnknownProvider: it has no schemas here.
    """
    known = [entry.name for entry in files("im_callback.schemas").iterdir() if _is_provider(entry)]
    if provider not in known:
        raise UnknownProvider(provider, sorted(known))
    # The shipped files are checked by the tests, once.
    return load(files("im_callback.schemas").joinpath(provider), check=False)


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


def _read(file: Traversable, *, check: bool) -> EventType | AnswerType | None:
    try:
        schema = jsontext.parse(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadSchema(file.name, f"it is not JSON ({error})", "correct the file") from None
    if not isinstance(schema, dict) or not {"x-event-type", "x-response-to"} & schema.keys():
        return None
    found = dialect_problems(schema) if check else []
    if found:
        raise BadSchema(file.name, f"it breaks the dialect at {found[0]}", "see schemas/README.md")
    if "x-response-to" in schema:
        return AnswerType(schema)
    try:
        event_type = EventType.from_schema(schema)
    except KeyError as error:
        raise BadSchema(file.name, f"it lacks {error}", "see schemas/README.md") from None
    if check and event_type.variant_pointers and not event_type.variants:
        names = " and ".join(event_type.variant_pointers)
        raise BadSchema(file.name, f"x-variants names {names}, for which it lists no values", "give them an enum")
    return event_type


def _order(keyword: Mapping[str, Any]) -> Order:
    return Order(
        group=keyword["group"],
        scope=tuple(keyword["scope"]),
        by=tuple(keyword["by"]),
        rule=keyword["rule"],
        removals=tuple(Removal(one["when"], tuple(one["scope"])) for one in keyword.get("removes", ())),
    )


def _recall(keyword: Mapping[str, Any]) -> Recall:
    return Recall(keyword["event-type"], dict(keyword["by"]), dict(keyword.get("values", {})))


def _asked(schema: Mapping[str, Any], pointer: str) -> Iterator[tuple[str, Any]]:
    """Yield the values that a schema asks for, by pointer."""
    for name, rule in schema.get("properties", {}).items():
        place = pointer + join([name])
        if "const" in rule or "enum" in rule:
            yield place, rule["const"] if "const" in rule else rule["enum"][0]
        yield from _asked(rule, place)


def _marks_of(detect: Any) -> list[tuple[str, _Mark]]:
    """Return fields with their values, one of which every object has that satisfies *detect*; none if there are none."""
    if not isinstance(detect, Mapping):
        return []
    for name in detect.get("required", ()):
        rule = detect.get("properties", {}).get(name)
        values = rule.get("enum", [rule.get("const")]) if isinstance(rule, Mapping) else []
        if values and all(isinstance(value, (str, int)) and not isinstance(value, bool) for value in values):
            return [(name, value) for value in values]
    choices = [_marks_of(choice) for choice in detect.get("anyOf", ())]
    return [mark for choice in choices for mark in choice] if all(choices) else []


def _by_code(event_type: EventType) -> tuple[str, int, str]:
    code = event_type.code
    return (event_type.feed or "", *((int(code), "") if code.isdecimal() else (0, code)))


def _is_provider(entry: Traversable) -> bool:
    return entry.is_dir() and any(file.name.endswith(_SUFFIX) for file in entry.iterdir())
