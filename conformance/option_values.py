"""Reads the values of options that say how the receiver's world is: accounts, fixed fields, event types, wire and rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from im_callback.conformance.settings import Fixed
from im_callback.conformance.text_files import text_of
from im_callback.provider_mock.contract import Feed, Provider
from im_callback.provider_mock.fields import BadField, parted, value_for, with_field
from im_callback.provider_mock.traffic.identity import places
from im_callback.provider_mock.wire import UnknownWire, Wire, combined
from im_callback.schemas import MISSING, EventType, SchemasError, resolve
from im_callback.schemas.nearest import choice, question

NUMBER = "{n}"
FILE = "file:"
SHOWN = 6
"""Variants that an error names."""
MOST_SECONDS = 86_400.0


class BadValue(ValueError):
    """The value of an option cannot be used; the text says why and what to give."""


def accounts(spec: str, folder: Path) -> Callable[[int], str]:
    """Return the function from 1, 2, … to the name of an account; files are looked for from `folder`."""
    if spec.lower().startswith(FILE):
        names = _listed(spec[len(FILE) :], folder)
        return lambda n: names[(n - 1) % len(names)]
    if NUMBER not in spec:
        raise BadValue(
            f"it has no {NUMBER}; give a pattern such as user-{NUMBER}, or {FILE}PATH with an account a line"
        )
    if not spec.isprintable():
        raise BadValue("it holds control characters; give a pattern without")
    return lambda n: spec.replace(NUMBER, str(n))


def _listed(name: str, folder: Path) -> list[str]:
    try:
        text = text_of((folder / name).read_bytes())
    except OSError as error:
        raise BadValue(f"it cannot be read ({error.strerror}); give a file with an account a line") from None
    except ValueError:
        raise BadValue("it is not UTF-8; write it in UTF-8, an account a line") from None
    # Not splitlines: it also breaks at characters that may stand inside a name.
    names = [line.strip() for line in text.split("\n") if line.strip()]
    if not names:
        raise BadValue("it names no account; write one a line")
    for line in names:
        if not line.isprintable():
            raise BadValue(f"the account {line!r} holds control characters; write one account a line, as plain text")
    return names


def rate(text: str) -> float:
    """Return deliveries per second."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (number > 0 and math.isfinite(number)):
        raise BadValue("give deliveries per second, a number above 0")
    return number


def seconds(text: str) -> float:
    """Return for how many seconds something goes on."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number <= MOST_SECONDS:
        raise BadValue("give seconds, more than 0 and a day at most")
    return number


def port(text: str) -> int:
    """Return the number of a port."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 0 < number < 65536:
        raise BadValue("give a port, from 1 to 65535")
    return number


def place(text: str) -> tuple[str, int]:
    """Return a host and a port; an IPv6 address stands in brackets."""
    host, colon, number = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not bare or any(c in host for c in "/@ ") or (bare is host and ":" in host):
        raise BadValue("give host and port of the store, as in 127.0.0.1:5432 or [::1]:5432")
    try:
        return bare, port(number)
    except BadValue:
        raise BadValue("it has no port from 1 to 65535; give host and port, as in 127.0.0.1:5432") from None


def wire(text: str, provider: Provider, feeds: Sequence[Feed] = ()) -> Wire:
    """Return the wire that is all that the names say, separated by commas."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    try:
        known = {name: one for feed in feeds or provider.feeds for name, one in feed.wires.items()}
        return combined(names, known)
    except UnknownWire as error:
        raise BadValue(str(error)) from None


def handles(text: str, provider: Provider, feeds: Sequence[Feed] = ()) -> tuple[str, ...]:
    """Return the event types and patterns of variants, each of which fits something."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        event, slash, pattern = name.partition("/")
        if event not in provider.catalogue:
            raise BadValue(f"{provider.name} has no event type {event!r}; {_meant(event, provider)}")
        feed = provider.feed_of(event)
        if feeds and feed not in feeds:
            arriving = ",".join(one.name for one in (*feeds, feed))
            raise BadValue(f"{event} belongs to the feed {feed.name}; give --receiver-feed={arriving} too")
        variants = provider.catalogue[event].variants
        if slash and not any(fits(pattern, variant) for variant in variants):
            fix = "it has none: give its name alone"
            if variants:
                whole = f"{pattern}{'/*' * (variants[0].count('/') - pattern.count('/'))}"
                known = [whole] if any(fits(whole, one) for one in variants) else variants
                asked = question(whole, known)
                fix = f"{asked} it has {_few(variants)}; * stands for any value".lstrip()
            raise BadValue(f"{event} has no variant {pattern!r}; {fix}")
    return names


def fits(pattern: str, variant: str) -> bool:
    """Return whether a variant is one that the pattern means, part by part."""
    due, given = pattern.split("/"), variant.split("/")
    return len(due) == len(given) and all(map(fnmatchcase, given, due))


def fixed(assignments: Iterable[str], provider: Provider) -> tuple[Fixed, ...]:
    """Return the fields that every event carries; each fits a documented sample and leaves it valid."""
    return tuple(one for assignment in assignments for one in _fixed(assignment, provider))


def _fixed(assignment: str, provider: Provider) -> list[Fixed]:
    name, slash, rest = assignment.partition(":/")
    typed = slash and "=" not in name and not name.startswith("/")
    try:
        pointer, text = parted(f"/{rest}" if typed else assignment)
        if typed:
            event_type = _event_type(name, provider)
            return [Fixed(event_type.name, pointer, _value(event_type, event_type.examples, pointer, text))]
        return _everywhere(pointer, text, provider)
    except BadField as error:
        said = " ".join(str(error).replace("/pointer=value", "[EVENT-TYPE:]/POINTER=VALUE").split())
        shown = assignment.encode("utf-8", "backslashreplace").decode()
        raise BadValue(f"--receiver-set={shown}: {said}") from None


def _event_type(name: str, provider: Provider) -> EventType:
    try:
        event_type = provider.catalogue[name]
    except SchemasError:
        raise BadField(f"{provider.name} has no event type {name!r}; {_meant(name, provider)}") from None
    if not event_type.examples:
        raise BadField(f"{name} has no documented sample, so no event of it is sent")
    return event_type


def _everywhere(pointer: str, text: str, provider: Provider) -> list[Fixed]:
    """Return the field for every event type that has it, or one each where it does not fit them all alike."""
    values: dict[str, Any] = {}
    problem: BadField | None = None
    for event_type in provider.catalogue:
        having = [one for one in event_type.examples if _has(event_type, one, pointer)]
        if not having:
            continue
        try:
            values[event_type.name] = _value(event_type, having, pointer, text)
        except BadField as error:
            problem = problem or error
    if not values:
        if problem:
            raise problem
        known = {f"/{name}" for one in provider.catalogue for sample in one.examples for name in _members(sample)}
        fix = (
            question(pointer, sorted(known))
            or "name the event type that shall have it, as in EVENT-TYPE:/POINTER=VALUE"
        )
        raise BadField(f"no documented sample of {provider.name} has {pointer}; {fix}")
    distinct = [value for index, value in enumerate(values.values()) if value not in list(values.values())[:index]]
    if problem is None and len(distinct) == 1:
        return [Fixed(None, pointer, distinct[0])]
    return [Fixed(name, pointer, value) for name, value in values.items()]


def _has(event_type: EventType, payload: Any, pointer: str) -> bool:
    try:
        return any(resolve(payload, place + pointer) is not MISSING for place in places(event_type, payload))
    except SchemasError as error:
        raise BadField(str(error)) from None


def _value(event_type: EventType, samples: Sequence[Any], pointer: str, text: str) -> Any:
    """Return the value in the type that the samples have there; `BadField` if it fits none of them."""
    problem = BadField(f"{event_type.name} reports nothing that could have it")
    for payload in samples:
        where = places(event_type, payload)
        try:
            value = value_for(payload, where[0] + pointer, text) if where else None
            changed = payload
            for place in where:
                changed = with_field(changed, place + pointer, value)
        except BadField as error:
            problem = error
            continue
        found = event_type.problems(changed)
        if where and not found:
            return value
        if found:
            problem = BadField(f"this is no valid {event_type.name}: {found[0].pointer}: {found[0].message}")
    raise problem


def _meant(name: str, provider: Provider) -> str:
    """Return what to type instead of an event type that is not known."""
    return choice(name, provider.catalogue.names, f"provider-mock events {provider.name} lists them")


def _members(sample: Any) -> Iterable[str]:
    return sample if isinstance(sample, dict) else ()


def _few(variants: Sequence[str]) -> str:
    shown = ", ".join(variants[:SHOWN])
    return shown if len(variants) <= SHOWN else f"{shown} and {len(variants) - SHOWN} more"
