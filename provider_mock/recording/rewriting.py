"""Replaces values in request and reply bodies where they stand, by what the schemas say they are. Pure.

There are two uses. **Scrubbing** takes people's data out: every value that does not plainly say something else, such
as a time, a count or a word from the provider's own list, and everything that no schema describes, the names of
members too. **Renewing** gives a recording identities of its own: only what tells accounts, places and events apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from im_callback.provider_mock.contract import Feed
from im_callback.provider_mock.recording import json_tokens
from im_callback.provider_mock.recording.json_tokens import Edit, Token
from im_callback.provider_mock.recording.stand_ins import StandIns
from im_callback.provider_mock.traffic.shape import Shape
from im_callback.schemas import MISSING, EventType
from im_callback.schemas.applicable import applying
from im_callback.schemas.kinds import unique_kinds
from im_callback.schemas.pointer import split

NUMBERS = frozenset(
    {
        "millis",
        "seconds",
        "datetime",
        "duration-millis",
        "duration-seconds",
        "message-key",
        "key-version",
        "port",
        "version",
        "sequence",
        "random",
        "count",
        "size",
        "pixels",
        "score",
        "ratio",
        "sdk-version",
        "human-version",
        "template",
    }
)
"""Kinds that say when, how many or which version."""
WORDS = frozenset({"code", "file-extension"})
"""Kinds whose values come from a list that is not a person's."""
RENEWED = (unique_kinds() - {"random", "message-key"}) | {
    "account",
    "account-list",
    "team",
    "room",
    "connection",
    "member",
}
"""Kinds that tell accounts, places and events apart."""
COORDINATES = {"latitude": 90.0, "longitude": 180.0}

_NUMERIC = re.compile(r"[0-9 .,:_TZ+-]*")
_WORD = re.compile(r"[A-Za-z0-9_.:/+-]{0,64}")
_LISTED = re.compile(r"[^\[\], ]+")
_FIELD = re.compile(r"([^&=]*)(=?)([^&]*)")


@dataclass(frozen=True)
class Place:
    """What is known of a value: its shape, and whether it branches the event type; no shape: no schema speaks of it."""

    shape: Shape | None
    path: tuple[str, ...] = ()
    marks: frozenset[tuple[str, ...]] = frozenset()
    """The paths of the fields that name the event type and its variant."""
    identity: frozenset[tuple[str, ...]] = frozenset()
    """The paths of the fields that tell events apart."""

    def member(self, name: str, whole: Shape | None) -> Place:
        """Return the place of a member or an element."""
        return Place(_described(whole), (*self.path, name), self.marks, self.identity)


@dataclass(frozen=True)
class Rewriting:
    """Replaces values by the stand-ins of a key: `scrubs` people's data, or else renews identities."""

    key: bytes
    scrubs: bool = True
    _stand_ins: StandIns = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_stand_ins", StandIns(self.key, longer=not self.scrubs))

    @property
    def stand_ins(self) -> StandIns:
        """The stand-ins of the key."""
        return self._stand_ins

    def request_body(self, feed: Feed, body: bytes) -> bytes:
        """Return a feed's body with its values replaced; what cannot be read is replaced as a whole."""

        def place(payload: Any) -> Place:
            event_type = feed.provider.identify(payload, [feed]) or feed.provider.identify(payload)
            return self._unknown(feed) if event_type is None else _place_of(event_type)

        if feed.encoding == "form" and body.lstrip()[:1] not in (b"{", b"["):
            with suppress(ValueError):
                payload = feed.read(body)
                return self._form(body.decode(), place(payload), payload)
        return self._json(body, lambda token: self._payloads(token, place))

    def reply_body(self, feed: Feed | None, event_type: str, body: bytes) -> bytes:
        """Return the body of a reply to an event with its values replaced; names that no schema has stay at the top."""
        answer = feed.provider.catalogue.answer(event_type) if feed is not None else None
        schema = {} if answer is None else answer.schema
        shape = Shape.of(schema, applying(schema, schema, MISSING)) if answer is not None else None
        return self._json(body, lambda token: self._edits(token, Place(shape), top=True))

    def unread(self, body: bytes) -> bytes:
        """Return a body of which nothing is known, replaced as a whole."""
        if not self.scrubs:
            return body
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return self._stand_ins.content(body)
        return re.sub(r"\w+", lambda found: self._stand_ins.text(found[0]), text).encode("utf-8", "surrogatepass")

    def _json(self, body: bytes, edits: Callable[[Token], Iterator[Edit]]) -> bytes:
        try:
            text = body.decode()
            token = json_tokens.read(text.removeprefix("\ufeff"))
        except ValueError:
            return self.unread(body)
        bare = text.removeprefix("\ufeff")
        return (text[: len(text) - len(bare)] + json_tokens.edited(bare, edits(token))).encode()

    def _payloads(self, token: Token, place: Callable[[Any], Place]) -> Iterator[Edit]:
        for one in (token,) if token.items is None else token.items:
            yield from self._edits(one, place(one.value), top=True)

    def _form(self, text: str, place: Place, payload: Any) -> bytes:
        whole = None if place.shape is None else place.shape.whole(payload)

        def changed(found: re.Match[str]) -> str:
            name, sign, old = found.groups()
            field_name, value = unquote_plus(name), unquote_plus(old)
            member = _member(whole, field_name)
            if isinstance(payload.get(field_name), list) and member is not None:
                # A field that is repeated.
                member = member.element
            new = self._text(value, place.member(field_name, member))
            return f"{name}{sign}{old if new == value else quote_plus(new)}"

        return _FIELD.sub(changed, text).encode()

    def _unknown(self, feed: Feed) -> Place:
        """Return the place of a payload of an event type that nobody knows: only what would name it is known."""
        named = frozenset((name,) for one in feed.provider.catalogue for name, _ in one.marks)
        return Place(None, marks=named)

    def _edits(self, token: Token, place: Place, *, top: bool = False) -> Iterator[Edit]:
        shape = place.shape
        if token.members is not None:
            whole = None if shape is None else shape.whole(token.value)
            for name, begin, end, inner in token.members:
                child = _member(whole, name)
                if self.scrubs and not (top or (whole is not None and name in whole.names) or _plain(whole)):
                    old = json_tokens.written(name, '"')
                    if (new := json_tokens.written(self._stand_ins.text(name), '"')) != old:
                        yield begin, end, new
                yield from self._edits(inner, place.member(name, child))
        elif token.items is not None:
            for inner in token.items:
                yield from self._edits(inner, place.member("*", None if shape is None else shape.element))
        else:
            new = self._scalar(token.value, place)
            if new != token.value or type(new) is not type(token.value):
                yield token.begin, token.end, json_tokens.written(new, token.raw)

    def _scalar(self, value: Any, place: Place) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value, place)
        if self._stays(value, place):
            return value
        kind = None if place.shape is None else place.shape.kind
        if kind in COORDINATES:
            return self._stand_ins.within(value, COORDINATES[kind])
        return self._stand_ins.number(value) if isinstance(value, int) else self._stand_ins.fraction(value)

    def _text(self, value: str, place: Place) -> str:
        """Return what takes the place of a text; the JSON that it holds is entered."""
        shape = place.shape
        kind = None if shape is None else shape.kind
        if kind != "account-list" and value[:1] in ("{", "["):
            content = None if shape is None or shape.content is None else shape.content
            if content is not None or self.scrubs:
                with suppress(ValueError):
                    token = json_tokens.read(value)
                    inside = Place(_described(content), place.path, place.marks, place.identity)
                    return json_tokens.edited(value, self._edits(token, inside))
        if self._stays(value, place):
            return value
        if kind == "account-list":
            return _LISTED.sub(lambda found: self._stand_ins.text(found[0]), value)
        if kind == "message-id":
            sender, hyphen, rest = value.partition("-")
            return (
                f"{self._stand_ins.text(sender)}{hyphen}{rest}"
                if _NUMERIC.fullmatch(rest)
                else self._stand_ins.text(value)
            )
        if kind == "file-name":
            return self._stand_ins.file_name(value)
        if kind in COORDINATES:
            with suppress(ValueError):
                return str(self._stand_ins.within(float(value), COORDINATES[kind]))
        return self._stand_ins.text(value)

    def _stays(self, value: Any, place: Place) -> bool:
        """Return whether a value is left as it is."""
        shape = place.shape
        kind = None if shape is None else shape.kind
        if not self.scrubs:
            return kind not in RENEWED and (kind in (None, *NUMBERS, *WORDS) or place.path not in place.identity)
        if place.path in place.marks and _wordlike(value, _WORD):
            return True
        if shape is None:
            return False
        if any(value == one and type(value) is type(one) for one in shape.listed):
            return True
        return (kind in NUMBERS and _wordlike(value, _NUMERIC)) or (kind in WORDS and _wordlike(value, _WORD))


def _wordlike(value: Any, pattern: re.Pattern[str]) -> bool:
    return not isinstance(value, str) or pattern.fullmatch(value) is not None


def _place_of(event_type: EventType) -> Place:
    around = () if event_type.items is None else (*split(event_type.items), "*")
    marks = {(name,) for name, _ in event_type.marks} | {_starred(one) for one in event_type.variant_pointers}
    identity = {(*around, *_starred(one)) for one in event_type.identity or ()}
    return Place(Shape.of_event(event_type), (), frozenset(marks), frozenset(identity))


def _starred(pointer: str) -> tuple[str, ...]:
    return tuple("*" if part.isdecimal() else part for part in split(pointer))


def _member(whole: Shape | None, name: str) -> Shape | None:
    return None if whole is None else whole.member(name)


def _described(shape: Shape | None) -> Shape | None:
    """Return a shape that says something of the value, or None."""
    return shape if shape is not None and shape.schemas and shape.kind != "undescribed" else None


def _plain(whole: Shape | None) -> bool:
    """Return whether an object has members by name, so that one more is a field that is new, and not somebody's name."""
    return whole is not None and bool(whole.names) and whole.other is None
