"""What a provider really sent and the schemas refuse: counted by event type and place, with people's data taken out. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from im_callback.provider_mock.contract import Provider
from im_callback.provider_mock.recording.exchange import Exchange
from im_callback.provider_mock.recording.replaying import recognise
from im_callback.provider_mock.recording.rewriting import Rewriting
from im_callback.schemas import MISSING, resolve

_INDEX = re.compile(r"/[0-9]+(?=/|$)")
_VALUE = re.compile(r"is .*; (?=due is |it |nothing )", re.DOTALL)
_TYPES: Mapping[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "an array",
    dict: "an object",
}


@dataclass
class Difference:
    """One thing that a schema refuses, and how often; `message` and `payload` are of the first time."""

    event_type: str | None
    pointer: str
    found: str
    message: str
    payload: Any
    count: int = 0


@dataclass
class Compared:
    """What came out: by event type how many payloads were valid and how many were not, and what was refused.

    `unknown` are payloads of event types that nobody knows, by what names them; `unreadable` counts bodies that hold no
    payload, `others` requests that are none of the provider.
    """

    valid: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    differences: dict[tuple[str, str, str, str], Difference] = field(default_factory=dict)
    unknown: dict[tuple[tuple[str, str], ...], Difference] = field(default_factory=dict)
    unreadable: int = 0
    others: int = 0

    @property
    def payloads(self) -> int:
        """How many payloads were looked at."""
        return self.valid.total() + self.refused.total() + sum(one.count for one in self.unknown.values())


def compared(exchanges: Iterable[Exchange], provider: Provider, scrubbing: Rewriting) -> Compared:
    """Return how what was recorded of a provider compares to its schemas; what is not scrubbed yet is scrubbed first."""
    result = Compared()
    for exchange in exchanges:
        known = recognise(exchange, [provider])
        if known is None or exchange.broken:
            result.others += 1
            continue
        if not known.payloads:
            result.unreadable += 1
            continue
        payloads = known.payloads
        if not exchange.scrubbed:
            body = scrubbing.request_body(known.feed, exchange.request.body)
            payloads = tuple(known.feed.payloads(known.feed.read(body)))
        for event_type, payload in zip(known.event_types, payloads, strict=True):
            if event_type is None:
                _unknown(result, provider, payload)
                continue
            problems = event_type.problems(payload)
            (result.refused if problems else result.valid)[event_type.name] += 1
            seen = set()
            for problem in problems:
                place = _key(problem.pointer, payload, problem.message)
                told = Difference(event_type.name, place[0], place[1], problem.message, payload)
                if place not in seen:
                    result.differences.setdefault((event_type.name, *place), told).count += 1
                seen.add(place)
    return result


def _unknown(result: Compared, provider: Provider, payload: Any) -> None:
    names = dict.fromkeys(name for event_type in provider.catalogue for name, _ in event_type.marks)
    marks = tuple((name, str(payload[name])) for name in names if isinstance(payload, dict) and name in payload)
    told = ", ".join(f"{name} {value}" for name, value in marks) or "nothing names it"
    one = result.unknown.setdefault(marks, Difference(None, "", "", f"unknown event type: {told}", payload))
    one.count += 1


def _key(pointer: str, payload: Any, message: str) -> tuple[str, str, str]:
    """Return what is one and the same difference: the place in any element, what is there, and what is due."""
    return _INDEX.sub("/*", pointer), _type(payload, pointer), _VALUE.sub("", message, count=1)


def _type(payload: Any, pointer: str) -> str:
    value = resolve(payload, pointer)
    return "nothing" if value is MISSING else _TYPES.get(type(value), "null")
