"""What the parts of a schema say together about one value: through references, branches and embedded JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from im_callback.schemas import MISSING, EventType
from im_callback.schemas.applicable import BRANCHES, Schema, accepts, applying, children, embeds, possible, speaking
from im_callback.schemas.pointer import join
from im_callback.schemas.variants import common

CONDITIONS: Final = ("then", "else")
TYPING: Final = ("type", "const", "enum", "anyOf")

# The schemas of a catalogue live as long as the process, so their identity is a good key. Each entry holds on to its
# schemas, so that no id is given to another one.
_SHAPES: dict[tuple[int, ...], Shape] = {}
_FOUND: dict[tuple[int, str], tuple[Schema, list[Schema]]] = {}


class Shape:
    """What some parts of a schema say together about one value; the general ones come first."""

    def __init__(self, root: Schema, schemas: tuple[Schema, ...]) -> None:
        self.root = root
        self.schemas = schemas
        self._members: dict[str, Shape] = {}

    @classmethod
    def of(cls, root: Schema, schemas: Iterable[Schema]) -> Shape:
        """Return the shape that these parts of a schema make; the same one each time."""
        kept = tuple(schemas)
        key = (id(root), *map(id, kept))
        if key not in _SHAPES:
            _SHAPES[key] = cls(root, kept)
        return _SHAPES[key]

    @classmethod
    def of_event(cls, event_type: EventType) -> Shape:
        """Return the shape of the payloads of an event type."""
        return cls.of(event_type.schema, applying(event_type.schema, event_type.schema, MISSING))

    def within(self, value: Any) -> Shape:
        """Return the shape with the branches that the conditions choose for this value."""
        if not self._conditional:
            return self
        taken = [part for schema in self._conditional for part in self._taken(schema, value)]
        return Shape.of(self.root, (*self.schemas, *taken)) if taken else self

    def whole(self, value: Any) -> Shape:
        """Return the shape with all branches that apply to a value that is complete, alternatives too."""
        chosen = self.within(value)
        fitting = [
            part
            for choice in chosen.choices
            for branch in choice
            if accepts(self.root, branch, value)
            for part in applying(self.root, branch, value)
        ]
        return Shape.of(self.root, (*chosen.schemas, *fitting)) if fitting else chosen

    @cached_property
    def widest(self) -> Shape:
        """The shape with every branch that the conditions can choose: all that may be said of some value."""
        parts = [
            part
            for schema in self._conditional
            for keyword in CONDITIONS
            for part in applying(self.root, schema.get(keyword), MISSING)
        ]
        return Shape.of(self.root, (*self.schemas, *parts)) if parts else self

    def plus(self, schema: Schema) -> Shape:
        """Return the shape with one more part."""
        return Shape.of(self.root, (*self.schemas, *applying(self.root, schema, MISSING)))

    def member(self, name: str) -> Shape:
        """Return the shape of a member, whether there is one of this name or not."""
        if name not in self._members:
            found = children(self.root, list(self.schemas), name, MISSING)
            self._members[name] = Shape.of(self.root, found)
        return self._members[name]

    @cached_property
    def element(self) -> Shape | None:
        """The shape of the elements of a list."""
        items = [schema["items"] for schema in self.schemas if isinstance(schema.get("items"), Mapping)]
        parts = [part for one in items for part in applying(self.root, one, MISSING)]
        return Shape.of(self.root, parts) if parts else None

    @cached_property
    def other(self) -> Shape | None:
        """The shape of members that have no name of their own in the schema."""
        extra = [schema.get("additionalProperties") for schema in self.schemas]
        parts = [part for one in extra if isinstance(one, Mapping) for part in applying(self.root, one, MISSING)]
        return Shape.of(self.root, parts) if parts else None

    @cached_property
    def content(self) -> Shape | None:
        """The shape of what a text holds as JSON, if it does."""
        contents = [schema["contentSchema"] for schema in self.schemas if embeds(schema)]
        parts = [part for one in contents for part in applying(self.root, one, MISSING)]
        return Shape.of(self.root, parts) if contents else None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the members, in order."""
        return tuple(dict.fromkeys(name for schema in self.schemas for name in schema.get("properties", ())))

    @cached_property
    def required(self) -> frozenset[str]:
        """The names of the members that must be there."""
        return frozenset(name for schema in self.schemas for name in schema.get("required", ()))

    @cached_property
    def forbidden(self) -> tuple[frozenset[str], ...]:
        """Names of members that must not be there together."""
        nots = [schema["not"] for schema in self.schemas if isinstance(schema.get("not"), Mapping)]
        return tuple(frozenset(one["required"]) for one in nots if set(one) == {"required"})

    @cached_property
    def choices(self) -> tuple[tuple[Schema, ...], ...]:
        """The alternatives of shape that the value must take one of."""
        return tuple(tuple(schema[keyword]) for schema in self.schemas for keyword in BRANCHES if keyword in schema)

    @cached_property
    def deciding(self) -> tuple[str, ...]:
        """The names of the members that the conditions look at, in order."""
        looked = {
            name
            for schema in self._conditional
            for name in (*schema["if"].get("required", ()), *schema["if"].get("properties", ()))
        }
        return tuple(name for name in self.names if name in looked)

    @cached_property
    def asked(self) -> frozenset[str]:
        """The names of the members that only some branches of the schema require."""
        return frozenset(
            name
            for schema in self._conditional
            for keyword in CONDITIONS
            for part in applying(self.root, schema.get(keyword), MISSING)
            for name in part.get("required", ())
        )

    @cached_property
    def branching(self) -> frozenset[str]:
        """The names of the members about which only some branches of the schema say something, or say more."""
        return frozenset(
            name
            for schema in self._conditional
            for keyword in CONDITIONS
            for part in applying(self.root, schema.get(keyword), MISSING)
            for name in part.get("properties", ())
        )

    @cached_property
    def listed(self) -> list[Any]:
        """The values that the schema lists; none if it lists none."""
        return common(self.root, list(self.schemas)) or []

    @cached_property
    def examples(self) -> list[Any]:
        """The values that the schema gives as examples; those of the most special part."""
        return next((schema["examples"] for schema in reversed(self.schemas) if "examples" in schema), [])

    @cached_property
    def type(self) -> str:
        """The type that is sent: of several, the first."""
        types = [schema["type"] for schema in self.schemas if "type" in schema]
        if not types:
            return "object" if self.names else "string"
        several = [types[-1]] if isinstance(types[-1], str) else types[-1]
        return next((str(one) for one in several if one != "null"), "null")

    @cached_property
    def kind(self) -> str | None:
        """The `x-kind`, by the most special part."""
        kinds = [schema["x-kind"] for schema in self.schemas if "x-kind" in schema]
        return kinds[-1] if kinds else None

    @cached_property
    def described(self) -> bool:
        """Whether the documents say more of the value than its name, and the schema tells what to make up for it."""
        typed = self.content is not None or any(word in schema for schema in self.schemas for word in TYPING)
        return typed and all(schema.get("x-kind") != "undescribed" for schema in self.schemas)

    def least(self, keyword: str) -> Any:
        """Return the smallest value of a keyword that sets a maximum, or None."""
        return min((schema[keyword] for schema in self.schemas if keyword in schema), default=None)

    def most(self, keyword: str) -> Any:
        """Return the largest value of a keyword that sets a minimum, or None."""
        return max((schema[keyword] for schema in self.schemas if keyword in schema), default=None)

    @cached_property
    def _conditional(self) -> tuple[Schema, ...]:
        return tuple(schema for schema in self.schemas if "if" in schema)

    def _taken(self, schema: Schema, value: Any) -> Iterator[Schema]:
        branch = "then" if accepts(self.root, schema["if"], value) else "else"
        yield from applying(self.root, schema.get(branch), value)


def kind_at(root: Schema, pointer: str) -> str | None:
    """Return the `x-kind` of the value at the pointer, in any payload, or None."""
    return next((schema["x-kind"] for schema in schemas_at(root, pointer) if "x-kind" in schema), None)


def kind_in(root: Schema, payload: Any, pointer: str) -> str | None:
    """Return the `x-kind` of the value at the pointer in this payload, or None."""
    kinds = [schema["x-kind"] for schema in speaking(root, payload, pointer) if "x-kind" in schema]
    return kinds[-1] if kinds else None


def schemas_at(root: Schema, pointer: str) -> list[Schema]:
    """Return every part of a schema that may speak about the value at the pointer in some payload."""
    key = (id(root), pointer)
    if key not in _FOUND:
        _FOUND[key] = (root, possible(root, pointer))
    return _FOUND[key][1]


def leaves(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value that is neither an object nor an array, with its pointer; embedded JSON is entered."""
    opened = _opened(value)
    if isinstance(opened, Mapping):
        for name, child in opened.items():
            yield from leaves(child, pointer + join([name]))
    elif isinstance(opened, list):
        for index, child in enumerate(opened):
            yield from leaves(child, f"{pointer}/{index}")
    else:
        yield pointer, value


def own_fields(event_type: EventType, payload: Any) -> list[str]:
    """Return the pointers of all text in a payload that is not part of its identity or order."""
    order = event_type.order
    fixed = {*(event_type.identity or ()), *((*order.scope, *order.by) if order else ())}
    depth = (event_type.items or "").count("/") + 1 if event_type.items else 0
    return [
        pointer
        for pointer, value in leaves(payload)
        if isinstance(value, str) and "/" + "/".join(pointer.split("/")[depth + 1 :]) not in fixed
    ]


def _opened(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
