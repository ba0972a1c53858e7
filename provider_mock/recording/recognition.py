"""Finds out which provider's request one is: by the parameters that it carries, and by what its body holds. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from im_callback.provider_mock.contract import Feed, Provider, Request, query_pairs
from im_callback.schemas import EventType


@dataclass(frozen=True)
class Recognised:
    """The feed that a request belongs to, the payloads that it carries, and what each is, as far as that is known."""

    feed: Feed
    payloads: tuple[Any, ...] = ()
    event_types: tuple[EventType | None, ...] = ()

    @property
    def names(self) -> tuple[str | None, ...]:
        """The names of the event types."""
        return tuple(None if one is None else one.name for one in self.event_types)


def recognised(request: Request, providers: Iterable[Provider], feed_name: str | None = None) -> Recognised | None:
    """Return what a request is, or None where it carries nothing of any of the providers.

    An event type that one of them knows counts most, then how many of its parameters are there. `feed_name` is the
    feed, where that is known.
    """
    found: tuple[tuple[bool, int], Recognised] | None = None
    for provider in providers:
        for feed, carried in _carrying(request, provider, feed_name):
            one = read(request.body, feed)
            known = bool(one.event_types) and None not in one.event_types
            rank = known, carried
            if (known or carried) and (found is None or rank > found[0]):
                found = rank, one
    return None if found is None else found[1]


def read(body: bytes, feed: Feed) -> Recognised:
    """Return what a body of a feed holds, of this feed or of another one of its provider that is read alike."""
    payloads = _payloads(body, feed)
    if own_members := members_of(feed):
        payloads = [_without(payload, own_members) for payload in payloads]
    types = tuple(feed.provider.identify(payload, [feed]) or feed.provider.identify(payload) for payload in payloads)
    first = next((one for one in types if one is not None), None)
    if (
        first is not None
        and (own := feed.provider.feed_of(first.name)) is not feed
        and _payloads(body, own) == payloads
    ):
        feed = own
    return Recognised(feed, tuple(payloads), types)


def members_of(feed: Feed) -> frozenset[str]:
    """Return the members of a JSON body that are the feed's signature, and no part of the payload."""
    if feed.encoding == "form":
        return frozenset()
    return frozenset(one.name for one in (*feed.parameters, *feed.context) if one.place == "body")


def _without(payload: Any, names: frozenset[str]) -> Any:
    if not isinstance(payload, dict):
        return payload
    return {name: value for name, value in payload.items() if name not in names}


def _payloads(body: bytes, feed: Feed) -> list[Any]:
    try:
        return feed.payloads(feed.read(body))
    except ValueError:
        return []


def _carrying(request: Request, provider: Provider, feed_name: str | None) -> list[tuple[Feed, int]]:
    """Return the feeds of which a request carries most parameters, one for each encoding, with how many these are."""
    if feed_name is not None and feed_name in provider.feed_names:
        return [(provider.feed(feed_name), 1)]
    given = {("header", name.lower()) for name, _ in request.headers}
    given |= {("query", name.lower()) for name, _ in query_pairs(request.url)}
    best: dict[str, tuple[Feed, int]] = {}
    for feed in provider.feeds:
        carried = max(len(spelled & given) for spelled in _spellings(feed))
        if feed.encoding not in best or carried > best[feed.encoding][1]:
            best[feed.encoding] = feed, carried
    return list(best.values())


@lru_cache(maxsize=256)
def _spellings(feed: Feed) -> frozenset[frozenset[tuple[str, str]]]:
    """Return the places and names of a feed's parameters, in each of its spellings."""
    spelled = (feed.parameters, *(feed.parameters_in(one.wire) for one in feed.wires.values()))
    return frozenset(frozenset((one.place, one.name.lower()) for one in (*names, *feed.context)) for names in spelled)
