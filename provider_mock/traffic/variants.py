"""Makes up a payload of a given variant, such as a picture sent to a team, with the content that belongs to it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from im_callback.provider_mock.traffic.build import Place, starred
from im_callback.provider_mock.traffic.generate import Generator, telling_places
from im_callback.provider_mock.traffic.shape import Shape, leaves
from im_callback.schemas import EventType
from im_callback.schemas.pointer import split


def variant_payload(generator: Generator, event_type: EventType, variant: str) -> dict[str, Any]:
    """Return a valid payload of exactly this variant (one of `event_type.variants`), with an identity of its own.

    It has what the schema requires, what the documented samples of the variant have (or else all samples of the
    type), and everything that the schema describes of the variant's own content. Nothing else, and where the schema
    lists values, one that the samples show, or the first: what a receiver makes of it is due to the variant.

    Raises:
        LookupError: the event type has no such variant.
    """
    fixed = event_type.variant_values(variant)
    telling, own, usual = telling_places(event_type), _usual(event_type, variant), _usual(event_type, None)

    def wanted(place: Place, whole: Shape, child: Shape) -> bool:
        if len(place) > 1 or place[0] in own:
            return True
        # What other variants require, this one need not have at all.
        if place[0] in whole.asked:
            return False
        return starred(place) in telling or place[0] in whole.branching or (not own and place[0] in usual)

    shown = _shown(event_type)

    def pick(place: Place, shape: Shape) -> Any:
        known = [value for value in shown.get(starred(place), ()) if value in shape.listed]
        if known:
            return generator.random.choice(known)
        return next((schema["default"] for schema in shape.schemas if "default" in schema), shape.listed[0])

    def make() -> Any:
        return generator.built(event_type, wanted, fixed, pick)

    return generator.first_valid(event_type, make, keep=tuple(fixed)).payload


@lru_cache(maxsize=1024)
def _shown(event_type: EventType) -> dict[Place, list[Any]]:
    """Return the values that the documented samples have, by place."""
    found: dict[Place, list[Any]] = {}
    for sample in event_type.examples:
        for pointer, value in leaves(sample):
            found.setdefault(starred(split(pointer)), []).append(value)
    return found


@lru_cache(maxsize=4096)
def _usual(event_type: EventType, variant: str | None) -> frozenset[str]:
    """Return the fields that all documented samples of a variant have, or of the type; none if there are none."""
    alike = [one for one in event_type.examples if variant is None or event_type.variant_of(one) == variant]
    return frozenset.intersection(*map(frozenset, alike)) if alike else frozenset()
