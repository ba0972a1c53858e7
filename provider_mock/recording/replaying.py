"""Makes plans of recordings: the same deliveries in the same order, with the pauses that were between them. No I/O.

Where one request followed the reply to another, it does so again, however long that takes now. What overlapped then
overlaps again. With the pauses left out, requests go out at once where each overlapped every other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from im_callback.provider_mock.contract import Event, Provider
from im_callback.provider_mock.delivery.plan import Plan, Step
from im_callback.provider_mock.recording import json_tokens
from im_callback.provider_mock.recording.exchange import Exchange
from im_callback.provider_mock.recording.recognition import Recognised, members_of, read, recognised
from im_callback.provider_mock.recording.rewriting import Rewriting
from im_callback.provider_mock.wire import Wire

CHUNK = 256
"""Deliveries of a plan, about: those that overlap stay together."""
CHUNKED = Wire(chunked=True)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One recorded request that can be sent again: its events, its body, and when it began and ended, in milliseconds."""

    events: tuple[Event, ...]
    body: bytes
    began: int
    ended: int
    chunked: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """Some deliveries of a recording in a row, and the plan that sends them."""

    deliveries: tuple[Delivery, ...]
    plan: Plan


def recognise(exchange: Exchange, providers: Sequence[Provider]) -> Recognised | None:
    """Return what an exchange carries, by what was found out when it was recorded, or anew; None: nothing is known."""
    for provider in providers:
        if exchange.provider == provider.name and exchange.feed in provider.feed_names:
            return read(exchange.request.body, provider.feed(exchange.feed))
    return recognised(exchange.request, providers) if exchange.provider is None else None


def deliveries(
    exchanges: Iterable[Exchange], provider: Provider, renewing: Rewriting | None = None
) -> tuple[list[Delivery], Counter[str]]:
    """Return what can be sent again of a provider, in the order in which it was sent; and why the rest cannot, counted.

    With `renewing`, its identities are new ones.
    """
    found: list[Delivery] = []
    left: Counter[str] = Counter()
    for exchange in exchanges:
        known = recognise(exchange, [provider])
        if exchange.broken:
            left["the request is broken"] += 1
            continue
        if known is None or not known.payloads:
            left[f"it is no request of {provider.name}"] += 1
            continue
        named = next((one for one in known.event_types if one is not None), None)
        if named is None:
            left["its event type is unknown"] += 1
            continue
        body, payloads = exchange.request.body, known.payloads
        if renewing is not None:
            body = renewing.request_body(known.feed, body)
        if signature := members_of(known.feed):
            # Signing puts them there.
            body = json_tokens.without(body.decode("utf-8-sig"), signature).encode()
        if body is not exchange.request.body:
            payloads = tuple(known.feed.payloads(known.feed.read(body)))
        types = (named if one is None else one for one in known.event_types)
        events = tuple(Event(one.name, payload) for one, payload in zip(types, payloads, strict=True))
        found.append(Delivery(events, body, exchange.sent_at, exchange.ended_at, exchange.request.chunked))
    # A line is written when its exchange has ended.
    return sorted(found, key=lambda one: one.began), left


def parts(found: Sequence[Delivery], speed: float | None) -> Iterator[Part]:
    """Yield the plans that send the deliveries: `speed` times as fast as they were; None: without pauses."""
    turns: list[list[Delivery]] = []
    held = 0
    before = found[0].began if found else 0
    start = before
    for turn in _turns(found, strict=speed is None):
        if held and held + len(turn) > CHUNK:
            yield _part(turns, start, speed)
            turns, held, start = [], 0, before
        turns.append(turn)
        held += len(turn)
        before = max(before, *(one.ended for one in turn))
    if turns:
        yield _part(turns, start, speed)


def _turns(found: Iterable[Delivery], *, strict: bool) -> Iterator[list[Delivery]]:
    """Yield the deliveries that belong together: before the next ones begin, all of them have ended.

    Where it is `strict`, each of them overlaps every other; else they are a chain of overlaps.
    """
    turn: list[Delivery] = []
    ended = 0
    for one in found:
        if turn and one.began >= ended:
            yield turn
            turn = []
        ended = one.ended if not turn else (min if strict else max)(ended, one.ended)
        turn.append(one)
    if turn:
        yield turn


def _part(turns: Sequence[Sequence[Delivery]], start: int, speed: float | None) -> Part:
    steps: list[Step] = []
    before = start
    for number, turn in enumerate(turns):
        for one in turn:
            at = 0.0 if speed is None else max(0, one.began - before) / 1000 / speed
            step = Step(len(steps), turn=number, at=at)
            steps.append(Step(len(steps), turn=number, at=at, wire=CHUNKED) if one.chunked else step)
        before = max(before, *(one.ended for one in turn))
    return Part(tuple(one for turn in turns for one in turn), tuple(steps))
