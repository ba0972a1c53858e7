"""Makes payloads up from the schemas, with Faker's words: seeded, of every event type, embedded JSON included.

Every payload is checked against its schema before it is handed out; one that fails is our error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from provider_mock.contract import Event
from provider_mock.traffic.identity import MESSAGE_KEY, Identities, message_key
from provider_mock.traffic.shape import BRANCHES, Schema, fields, follow, holds
from provider_mock.traffic.words import words
from schemas import EventType
from schemas.pointer import split

DEEPEST = 6
"""Levels after which optional and recursive parts are left out."""
TRIES = 20
SOMETIMES = 0.5
LOCALES = ("zh_CN", "en_US")


class CannotGenerate(Exception):
    """We made no valid payload of an event type: our error, to be reported."""

    def __init__(self, event_type: EventType, problem: object) -> None:
        super().__init__(f"no valid {event_type.name} in {TRIES} tries; the last one: {problem}")


class Undescribed(ValueError):
    """An event type is only named by the documents, so nothing can be made up for it."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is named but not described by the documents, so no payload is made up for it; "
            f"the described ones are listed by: provider-mock events {name.partition('.')[0]}"
        )
        self.name = name


class Generator:
    """A source of made-up events: the same seed, start time and Faker give the same events."""

    def __init__(self, seed: int, now_millis: int, locales: tuple[str, ...] = LOCALES) -> None:
        self.random = Random(seed)
        self.identities = Identities(self.random, now_millis)
        self._words = words(seed, locales)
        self._telling: set[str] = set()

    def event(self, event_type: EventType) -> Event:
        """Return a made-up event; raises `Undescribed`, or `CannotGenerate` if we are wrong."""
        if event_type.status == "undocumented":
            raise Undescribed(event_type.name)
        order = event_type.order
        pointers = [*(event_type.identity or ()), *((*order.scope, *order.by) if order else ())]
        # Every made-up event can be told from the others, so no field of its identity is left out.
        self._telling = {token for pointer in pointers for token in split(pointer)}
        for _ in range(TRIES):
            payload = self._value(event_type.schema, event_type.schema, 0)
            event = self.identities.fresh(event_type, payload)
            if event_type.valid(event.payload):
                return event
        raise CannotGenerate(event_type, event_type.problems(event.payload)[0])

    def _value(self, root: Schema, schema: Schema, depth: int) -> Any:
        schema = follow(root, schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        if "contentSchema" in schema:
            inner = self._value(root, schema["contentSchema"], depth + 1)
            return json.dumps(inner, ensure_ascii=False, separators=(",", ":"))
        kinds = schema.get("type", "object" if "properties" in schema else "string")
        kind = kinds if isinstance(kinds, str) else kinds[0]
        if kind == "object":
            return self._object(root, schema, depth)
        if kind == "array":
            return self._array(root, schema, depth)
        if kind == "boolean":
            return self.random.random() < SOMETIMES
        return self._scalar(schema, kind)

    def _object(self, root: Schema, schema: Schema, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        self._fill(root, schema, made, depth)
        for keyword in BRANCHES[1:]:
            if keyword in schema:
                self._fill(root, follow(root, self.random.choice(schema[keyword])), made, depth)
        for part in schema.get("allOf", ()):
            self._fill(root, follow(root, part), made, depth)
        for conditional in (schema, *schema.get("allOf", ())):
            self._fulfil(root, conditional, made, depth)
        return made

    def _fulfil(self, root: Schema, conditional: Schema, made: dict[str, Any], depth: int) -> None:
        if "if" not in conditional:
            return
        taken = "then" if holds(conditional["if"], made) else "else"
        if taken not in conditional:
            return
        branch = follow(root, conditional[taken])
        for name in branch.get("not", {}).get("required", ()):
            made.pop(name, None)
        self._fill(root, branch, made, depth)
        for inner in branch.get("allOf", ()):
            self._fulfil(root, inner, made, depth)

    def _fill(self, root: Schema, schema: Schema, made: dict[str, Any], depth: int) -> None:
        for name, child, required, described, typed in fields(root, schema):
            wanted = required or name in made or name in self._telling
            if not wanted and (depth > DEEPEST or not described or self.random.random() > SOMETIMES):
                continue
            if typed:
                made[name] = self._value(root, child, depth + 1)
        for name in schema.get("required", ()):
            if name not in made and name in root.get("properties", {}):
                made[name] = self._value(root, root["properties"][name], depth + 1)

    def _array(self, root: Schema, schema: Schema, depth: int) -> list[Any]:
        least = schema.get("minItems", 0 if depth > DEEPEST else 1)
        most = min(schema.get("maxItems", 3), max(least, 3 if depth <= DEEPEST else least))
        items = schema.get("items")
        if not isinstance(items, Mapping):
            return []
        return [self._value(root, items, depth + 1) for _ in range(self.random.randint(least, most))]

    def _scalar(self, schema: Schema, kind: str) -> Any:
        name = schema.get("x-kind", "text")
        if "examples" in schema and name == "code":
            return self.random.choice(schema["examples"])
        maker = _MADE.get(name)
        value = maker(self) if maker else self.identities.value(name)
        if kind == "string":
            return str(value)[: schema.get("maxLength", None)]
        number = value if isinstance(value, (int, float)) else self.random.randrange(10**6)
        number = float(number) if kind == "number" else int(number)
        return max(schema.get("minimum", number), min(number, schema.get("maximum", number)))

    def text(self) -> str:
        """Return a sentence somebody could have written."""
        return str(self._words.fake("sentence"))

    def fake(self, provider: str) -> Any:
        """Return what the words' provider of this name makes."""
        return self._words.fake(provider)


_MADE: dict[str, Callable[[Generator], Any]] = {
    "nickname": lambda g: g.fake("name"),
    "account-list": lambda g: f"[{g.identities.value('account')}, {g.identities.value('account')}]",
    "tag": lambda g: g.fake("word"),
    "text": Generator.text,
    "address": lambda g: g.fake("address"),
    "code": lambda g: 200,
    "duration-millis": lambda g: g.random.randrange(100, 600_000),
    "duration-seconds": lambda g: g.random.randrange(1, 3600),
    "ipv4": lambda g: g.fake("ipv4_public"),
    "port": lambda g: g.random.randrange(1024, 65536),
    "file-name": lambda g: g.fake("file_name"),
    "file-extension": lambda g: g.fake("file_extension"),
    "count": lambda g: g.random.randrange(100),
    "size": lambda g: g.random.randrange(1, 10**7),
    "pixels": lambda g: g.random.randrange(1, 4096),
    "score": lambda g: g.random.randrange(1000),
    "ratio": lambda g: round(g.random.random(), 3),
    "latitude": lambda g: round(g.random.uniform(-90, 90), 6),
    "longitude": lambda g: round(g.random.uniform(-180, 180), 6),
    "sdk-version": lambda g: g.random.randrange(100, 999),
    "human-version": lambda g: f"{g.random.randrange(1, 11)}.{g.random.randrange(20)}.{g.random.randrange(10)}",
    MESSAGE_KEY: lambda g: message_key({}),
}
