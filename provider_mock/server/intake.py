"""Accepts events: validates them, plans their disturbances, and returns once they are on disk."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from math import isfinite
from random import SystemRandom
from typing import Any
from zlib import crc32

from provider_mock.contract import Event, Provider
from provider_mock.delivery.clock import Clock, utc_millis
from provider_mock.delivery.disturbance import disturbed
from provider_mock.delivery.engine import App
from provider_mock.delivery.ledger import Ledger, NewDelivery
from provider_mock.server import calls
from provider_mock.server import settings as checked
from provider_mock.server.errors import Conflict, Invalid, Problem
from provider_mock.server.models import MOST_EVENTS, Accepted, NewEvent
from provider_mock.server.registry import Entry, Registry
from schemas import EventType

LONGEST_DELAY = 10 * 365 * 86400.0
"""Seconds that a delivery can be put off."""
MOST_PROBLEMS = 100
"""Problems of events that one answer tells."""
_SEEDS = SystemRandom()

Batch = tuple[str, Sequence[Event]]
"""The event type of a delivery, and its events."""


class Intake:
    """Accepts deliveries for the registry's apps; calls `accepted` after each time."""

    def __init__(self, ledger: Ledger, clock: Clock, registry: Registry, accepted: Callable[[], None]) -> None:
        self._ledger, self._clock, self._registry, self._accepted = ledger, clock, registry, accepted
        self._lock = threading.Lock()
        self._totals: Counter[str] = Counter()

    def totals(self) -> dict[str, int]:
        """Return how many deliveries were accepted since the start, by app."""
        with self._lock:
            return dict(self._totals)

    def accept(
        self,
        app: str,
        events: Sequence[NewEvent],
        *,
        faults: Sequence[str] = (),
        seed: int | None = None,
        delay_seconds: float = 0.0,
        idempotency_key: str | None = None,
    ) -> Accepted:
        """Return the ids of new deliveries, one for each event, once all of them are on disk; all are, or none.

        `faults` disturb them after the app's standing ones. A call with the idempotency key of an
        earlier one returns that one's deliveries.

        Raises:
            NotFound: there is no such app.
            Invalid: events, faults, delay or key cannot be used; fields are as in errors.Problem.
            Conflict: the key belongs to a call with other events, or the app's provider is not there.
        """
        entry = self._registry.entry(app)
        if found := _problems(events, tuple(faults), delay_seconds, idempotency_key):
            raise Invalid(found)
        provider = _provider(entry)
        wanted = _checked(provider, events)
        if seed is None:
            # The same call gets the same answer again.
            seed = _SEEDS.randrange(2**32) if idempotency_key is None else crc32(f"{app} {idempotency_key}".encode())
        due_at = self._clock.now() + round(delay_seconds * 1000)
        held = nullcontext() if idempotency_key is None else calls.lock(app, idempotency_key)
        with held:
            if idempotency_key is not None and (earlier := self._earlier(app, idempotency_key, wanted)):
                return Accepted(earlier, seed, repeated=True)
            batches = _made(provider, wanted, seed)
            keys = [
                None if idempotency_key is None else calls.key_of(idempotency_key, index, len(batches))
                for index in range(len(batches))
            ]
            ids = self.take(entry, batches, [due_at] * len(batches), faults=faults, seed=seed, keys=keys)
        return Accepted(tuple(ids), seed)

    def take(
        self,
        entry: Entry,
        batches: Sequence[Batch],
        due_at: Sequence[int],
        *,
        faults: Sequence[str],
        seed: int,
        offset: int = 0,
        keys: Sequence[str | None] | None = None,
    ) -> list[int]:
        """Accept deliveries whose events are valid, each due at its time; return their ids, one after the other.

        Standing faults come first, and count on from call to call; `offset` is the place of the first
        delivery in the whole stream where there are none. Raises Invalid, with the faults' index as field.
        """
        plans = self._plans(entry, batches, faults, seed, offset)
        keys = keys or [None] * len(batches)
        ids = self._ledger.accept(
            [
                NewDelivery(entry.name, event_type, tuple(event.payload for event in events), due, key, plan)
                for (event_type, events), due, key, plan in zip(batches, due_at, keys, plans, strict=True)
            ]
        )
        with self._lock:
            self._totals[entry.name] += len(ids)
        self._accepted()
        return ids

    def _plans(
        self, entry: Entry, batches: Sequence[Batch], faults: Sequence[str], seed: int, offset: int
    ) -> Sequence[str | None]:
        applied = (*entry.faults, *faults)
        if not applied:
            return [None] * len(batches)
        if entry.app is None:
            raise Conflict.of("app", f"the app {entry.name} is not ready ({entry.not_ready})", "make it ready first")
        if not entry.faults:
            return _disturbed(entry.app, applied, batches, seed, offset)
        with entry.standing.lock:
            plans = _disturbed(entry.app, applied, batches, seed, entry.standing.count)
            entry.standing.count += len(batches)
            return plans

    def _earlier(
        self, app: str, key: str, wanted: Sequence[tuple[EventType, Sequence[Event] | None]]
    ) -> tuple[int, ...] | None:
        """Return the ids of an earlier call with this key, None without one; Conflict if it was another call."""
        earlier = calls.find(self._ledger, app, key, MOST_EVENTS + 1)
        if not earlier:
            return None
        if calls.differs(earlier, [(event_type.name, events) for event_type, events in wanted]):
            raise Conflict.of(
                "Idempotency-Key", "it belongs to an earlier call with other events", "give each call a key of its own"
            )
        return tuple(one.id for one in earlier)


def _disturbed(app: App, faults: Sequence[str], batches: Sequence[Batch], seed: int, offset: int) -> list[str | None]:
    events = [events for _, events in batches]
    try:
        return disturbed(faults, app.provider, app.credentials, events, seed, offset, proxied=app.proxy is not None)
    except (ValueError, LookupError) as error:
        raise Invalid(checked.unusable(error)) from None


def _problems(
    events: Sequence[NewEvent], faults: tuple[str, ...], delay_seconds: float, key: str | None
) -> list[Problem]:
    found = checked.fault_problems(faults)
    if not 1 <= len(events) <= MOST_EVENTS:
        found.append(Problem("/events", f"holds {len(events)} events", f"give 1 to {MOST_EVENTS}"))
    if not (isfinite(delay_seconds) and 0 <= delay_seconds <= LONGEST_DELAY):
        found.append(
            Problem("/delay_seconds", f"{delay_seconds} is no delay", f"give 0 to {LONGEST_DELAY:.0f} seconds")
        )
    if key is not None and not (0 < len(key) <= calls.LONGEST and key.isprintable()):
        found.append(
            Problem("Idempotency-Key", "cannot be used", f"give 1 to {calls.LONGEST} characters that can be printed")
        )
    return found


def _provider(entry: Entry) -> Provider:
    if entry.provider is None:
        raise Conflict.of("app", f"the app {entry.name} is not ready: {entry.not_ready}", "make it ready first")
    return entry.provider


def _checked(provider: Provider, events: Sequence[NewEvent]) -> list[tuple[EventType, Sequence[Event] | None]]:
    """Return event type and events of each delivery, None where they are to be made up; Invalid names all problems."""
    found: list[Problem] = []
    wanted: list[tuple[EventType, Sequence[Event] | None]] = []
    for index, new in enumerate(events):
        place = f"/events/{index}"
        event_type = _event_type(provider, new.type)
        if isinstance(event_type, str):
            known = f"list them with: provider-mock events {provider.name}"
            found.append(Problem(f"{place}/type", event_type, known))
        elif new.payload is None:
            wanted.append((event_type, None))
        else:
            payloads, problems = _payloads(provider, event_type, new.payload, f"{place}/payload")
            found += problems
            wanted.append((event_type, [Event(event_type.name, payload) for payload in payloads]))
        if len(found) >= MOST_PROBLEMS:
            break
    if found:
        raise Invalid(found[:MOST_PROBLEMS])
    return wanted


def _event_type(provider: Provider, name: str) -> EventType | str:
    """Return the event type, or why there is none to send."""
    event_type = provider.catalogue.get(name if name.startswith(f"{provider.name}.") else f"{provider.name}.{name}")
    if event_type is None:
        return f"{provider.name} has no event type {name[:80]!r}"
    if event_type.status == "undocumented":
        return f"{event_type.name} is named but not described by the documents, so it is not sent"
    return event_type


def _payloads(provider: Provider, event_type: EventType, given: Any, place: str) -> tuple[Sequence[Any], list[Problem]]:
    """Return the payloads that a delivery carries, and what is wrong with them."""
    if not isinstance(given, list):
        return [given], _invalid(event_type, given, place)
    if not provider.batches:
        return (), [Problem(place, f"is a list, but {provider.name} sends one event a request", "give an object")]
    if not given:
        return (), [Problem(place, "is an empty list", "give at least one payload")]
    return given, [
        problem for index, payload in enumerate(given) for problem in _invalid(event_type, payload, f"{place}/{index}")
    ]


def _invalid(event_type: EventType, payload: Any, place: str) -> list[Problem]:
    return [
        Problem(f"{place}{one.pointer}", one.message, f"give what {event_type.name} is documented to hold")
        for one in event_type.problems(payload)
    ]


def _made(provider: Provider, wanted: Sequence[tuple[EventType, Sequence[Event] | None]], seed: int) -> list[Batch]:
    """Return the deliveries, with payloads made up where none is given."""
    made = _samples(seed)
    return [(event_type.name, [made(event_type)] if events is None else events) for event_type, events in wanted]


def _samples(seed: int) -> Callable[[EventType], Event]:
    """Return what makes an event up: the documented samples in turn, as events of their own."""
    from provider_mock.traffic.generate import Generator

    generator: Generator | None = None
    turns: Counter[str] = Counter()

    def made(event_type: EventType) -> Event:
        nonlocal generator
        if generator is None:
            generator = Generator(seed, utc_millis())
        if not event_type.examples:
            return generator.event(event_type)
        turns[event_type.name] += 1
        sample = event_type.examples[(turns[event_type.name] - 1) % len(event_type.examples)]
        return generator.identities.fresh(event_type, sample)

    return made
