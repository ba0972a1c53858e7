"""Samples from a team's own traffic: a provider whose event types have recorded payloads in place of the documented ones."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from im_callback.provider_mock.contract import Provider
from im_callback.provider_mock.delivery.clock import utc_millis
from im_callback.provider_mock.recording.exchange import Exchange
from im_callback.provider_mock.recording.replaying import recognise
from im_callback.provider_mock.traffic.build import starred
from im_callback.provider_mock.traffic.identity import Identities
from im_callback.provider_mock.traffic.shape import leaves
from im_callback.schemas import EventType
from im_callback.schemas.pointer import split

EACH = 3
"""Samples of a variant at most: those that differ in their fields, for each one costs a request of many checks."""
DERIVED = ("catalogue", "wires")
OF_FEEDS = ("event_types", "_codes")
"""What providers and feeds derive from the catalogue, and keep."""


@dataclass(frozen=True)
class Sampled:
    """A provider with samples of its own, how many these are by event type, and why others were left out, counted."""

    provider: Provider
    taken: Mapping[str, int]
    left: Mapping[str, int]


def sampled(provider: Provider, exchanges: Iterable[Exchange]) -> Sampled:
    """Return the provider with recorded payloads as samples: of each variant that was recorded, they are the only ones.

    What its schema refuses is left out, for a check would blame the receiver for it.
    """
    found: dict[str, dict[str, dict[object, Any]]] = {}
    left: Counter[str] = Counter()
    for exchange in exchanges:
        known = None if exchange.broken else recognise(exchange, [provider])
        if known is None:
            continue
        for event_type, payload in zip(known.event_types, known.payloads, strict=True):
            if event_type is None:
                left["of an unknown event type"] += 1
            elif (problem := _problem(event_type, payload)) is not None:
                left[f"{event_type.name}: {problem}"] += 1
            else:
                of_variant = found.setdefault(event_type.name, {}).setdefault(event_type.variant_of(payload), {})
                if len(of_variant) < EACH:
                    of_variant.setdefault(_fields(payload), payload)
    samples = {name: _ordered(provider.catalogue[name], by_variant) for name, by_variant in found.items()}
    taken = {name: sum(map(len, by_variant.values())) for name, by_variant in found.items()}
    return Sampled(_with_samples(provider, samples), taken, left)


def _problem(event_type: EventType, payload: Any) -> str | None:
    """Return why a payload can be no sample, without its values; or None."""
    if event_type.status == "undocumented":
        return "its payload is not documented"
    if problems := event_type.problems(payload):
        return f"the schema refuses {problems[0].pointer or 'the payload'}"
    renewed = Identities(Random(0), utc_millis()).fresh(event_type, payload)
    return None if event_type.valid(renewed.payload) else "with a new identity the schema refuses it"


def _fields(payload: Any) -> frozenset[tuple[Any, ...]]:
    return frozenset((starred(split(pointer)), type(value)) for pointer, value in leaves(payload))


def _ordered(event_type: EventType, by_variant: Mapping[str, Mapping[object, Any]]) -> tuple[Any, ...]:
    """Return the samples, the documented ones of other variants behind; what takes something away comes last."""
    own = [payload for payloads in by_variant.values() for payload in payloads.values()]
    others = [one for one in event_type.examples if event_type.variant_of(one) not in by_variant]
    return tuple(sorted([*own, *others], key=lambda one: event_type.failed(one) or event_type.removes(one)))


def _with_samples(provider: Provider, samples: Mapping[str, Sequence[Any]]) -> Provider:
    other = copy.copy(provider)
    for name in DERIVED:
        other.__dict__.pop(name, None)
    other.__dict__["catalogue"] = provider.catalogue.with_examples(samples)
    other._feed_of = {}  # noqa: SLF001 - The copy finds its own feeds.
    other.feeds = tuple(copy.copy(feed) for feed in provider.feeds)
    for feed in other.feeds:
        for name in OF_FEEDS:
            feed.__dict__.pop(name, None)
        feed.provider = other
    return other
