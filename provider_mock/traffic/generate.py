"""Makes payloads up from the schemas, with Faker's words: seeded, of every event type, embedded JSON included.

Every payload is checked against its schema before it is handed out; one that fails is our error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, cached_property
from random import Random
from typing import Any

from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.traffic.build import DEEPEST, SOMETIMES, Builder, Place, starred
from im_callback.provider_mock.traffic.identity import Identities
from im_callback.provider_mock.traffic.shape import Shape
from im_callback.provider_mock.traffic.words import Words, words
from im_callback.schemas import EventType
from im_callback.schemas.pointer import split

TRIES = 20
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
    """A source of made-up events: the same seed, start time and Faker give the same events.

    With `identities` given, whatever tells events apart comes from there.
    """

    def __init__(
        self,
        seed: int,
        now_millis: int,
        locales: tuple[str, ...] = LOCALES,
        *,
        identities: Identities | None = None,
    ) -> None:
        self.random = Random(seed)
        self.identities = Identities(self.random, now_millis) if identities is None else identities
        self._seed, self._locales = seed, locales

    def event(self, event_type: EventType) -> Event:
        """Return a made-up event; raises `Undescribed`, or `CannotGenerate` if we are wrong."""
        telling = telling_places(event_type)

        def wanted(place: Place, whole: Shape, child: Shape) -> bool:
            # Every made-up event can be told from the others, so no field of its identity is left out.
            return starred(place) in telling or (len(place) <= DEEPEST + 1 and self.random.random() <= SOMETIMES)

        return self.first_valid(event_type, lambda: self.built(event_type, wanted))

    def built(
        self,
        event_type: EventType,
        wanted: Callable[[Place, Shape, Shape], bool],
        fixed: Mapping[str, Any] | None = None,
        pick: Callable[[Place, Shape], Any] | None = None,
    ) -> Any:
        """Return a payload that may break its schema; the arguments are those of `Builder`."""
        if event_type.status == "undocumented":
            raise Undescribed(event_type.name)
        return Builder(self.random, self.scalar, wanted, fixed, pick).value(Shape.of_event(event_type))

    def first_valid(self, event_type: EventType, make: Callable[[], Any], *, keep: tuple[str, ...] = ()) -> Event:
        """Return the first of several payloads that is valid, with an identity of its own; or `CannotGenerate`."""
        for _ in range(TRIES):
            event = self.identities.fresh(event_type, make(), keep=keep)
            if event_type.valid(event.payload):
                return event
        raise CannotGenerate(event_type, event_type.problems(event.payload)[0])

    def value(self, shape: Shape, wanted: Callable[[Place, Shape, Shape], bool]) -> Any:
        """Return a made-up value of a shape."""
        return Builder(self.random, self.scalar, wanted).value(shape)

    def scalar(self, shape: Shape) -> Any:
        """Return a text or a number of the shape's kind."""
        value = self._scalar(shape, shape.kind or "text")
        if shape.type == "string":
            return str(value)[: shape.least("maxLength")]
        number = value if isinstance(value, (int, float)) else self.random.randrange(10**6)
        number = float(number) if shape.type == "number" else int(number)
        least, most = shape.most("minimum"), shape.least("maximum")
        number = number if most is None else min(number, most)
        return number if least is None else max(number, least)

    def _scalar(self, shape: Shape, kind: str) -> Any:
        # A provider's own kind has no other form than that of its examples.
        if "." in kind and shape.examples:
            return self.random.choice(shape.examples)
        maker = _MADE.get(kind)
        return maker(self) if maker else self.identities.value(kind)

    @cached_property
    def _words(self) -> Words:
        # Faker takes longer to load than all of ours, and documented samples need none of it.
        return words(self._seed, self._locales)

    def text(self) -> str:
        """Return a sentence somebody could have written."""
        return str(self._words.fake("sentence"))

    def fake(self, provider: str) -> Any:
        """Return what the words' provider of this name makes."""
        return self._words.fake(provider)


@cache
def telling_places(event_type: EventType) -> frozenset[Place]:
    """Return the places, starred, of what tells events of a type apart, and of what these stand in."""
    order = event_type.order
    pointers = [*(event_type.identity or ()), *((*order.scope, *order.by) if order else ())]
    around = () if event_type.items is None else (*split(event_type.items), "*")
    places = [starred((*around, *split(pointer))) for pointer in pointers]
    return frozenset(place[:length] for place in places for length in range(1, len(place) + 1))


_MADE: dict[str, Callable[[Generator], Any]] = {
    "nickname": lambda g: g.fake("name"),
    "tag": lambda g: g.fake("word"),
    "text": Generator.text,
    "address": lambda g: g.fake("address"),
    "code": lambda g: 200,
    "duration-millis": lambda g: g.random.randrange(100, 600_000),
    "duration-seconds": lambda g: g.random.randrange(1, 3600),
    "ipv4": lambda g: g.fake("ipv4_public"),
    "port": lambda g: g.random.randrange(1024, 65536),
    "ip-port": lambda g: f"{g.fake('ipv4_public')}:{g.random.randrange(1024, 65536)}",
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
}
