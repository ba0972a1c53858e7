"""Accepts events: validates them, plans their disturbances, and returns once they are on disk."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from random import SystemRandom
from typing import Any
from zlib import crc32

from im_callback.provider_mock.contract import Event, Provider
from im_callback.provider_mock.delivery.app import App
from im_callback.provider_mock.delivery.clock import Clock, utc_millis
from im_callback.provider_mock.delivery.disturbance import disturbed
from im_callback.provider_mock.delivery.ledger import Call, Ledger, LedgerUnavailable, NewDelivery
from im_callback.provider_mock.delivery.ledger.ledger import Changes
from im_callback.provider_mock.server import idempotency
from im_callback.provider_mock.server import settings as checked
from im_callback.provider_mock.server.errors import Conflict, Invalid, Objection
from im_callback.provider_mock.server.models import MOST_EVENTS, Accepted, NewEvent
from im_callback.provider_mock.server.registry import Entry, Registry
from im_callback.schemas import EventType
from im_callback.schemas.nearest import choice

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
        self._settling = threading.Lock()
        self._unsure: deque[_Unsure] = deque()

    def totals(self) -> dict[str, int]:
        """Return how many deliveries were accepted since the start, by app; repeated calls add nothing."""
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
        earlier one returns that one's deliveries, for as long as any of them is on record.

        Raises:
            NotFound: there is no such app.
            Invalid: events, faults, delay or key cannot be used; fields are as in errors.Objection.
            Conflict: the key belongs to a call that asked for something else, or the app's provider is not there.
        """
        entry = self._registry.entry(app)
        if found := _problems(events, tuple(faults), delay_seconds, idempotency_key):
            raise Invalid(found)
        if idempotency_key is None:
            number = _SEEDS.randrange(2**32) if seed is None else seed
            return Accepted(tuple(self._new(entry, events, faults, number, delay_seconds)), number)
        asked = idempotency.asked(entry.settings.provider, events, faults, seed, delay_seconds)
        # The same call gets the same answer again.
        number = crc32(f"{app} {idempotency_key}".encode()) if seed is None else seed
        with idempotency.lock(app, idempotency_key), self._ledger.exclusively(f"{app} {idempotency_key}"):
            if (earlier := self._ledger.call(app, idempotency_key)) is not None:
                return self._repeated(earlier, asked, number)
            key = idempotency_key, asked
            return Accepted(tuple(self._new(entry, events, faults, number, delay_seconds, key)), number)

    def sample(self, app: str, event_type: str, variant: str | None = None, *, seed: int | None = None) -> Any:
        """Return a payload that can be accepted: a documented sample as an event of its own, or one of a variant, made up.

        Raises NotFound, Conflict and Invalid as `accept` does; Invalid, too, if there is no such variant.
        """
        from im_callback.provider_mock.traffic.generate import Generator
        from im_callback.provider_mock.traffic.variants import variant_payload

        ((found, _),) = _checked(_provider(self._registry.entry(app)), [NewEvent(event_type)])
        number = _SEEDS.randrange(2**32) if seed is None else seed
        if variant is None:
            return _samples(number)(found).payload
        if variant not in found.variants:
            raise Invalid.of("/variant", f"there is no variant {variant[:80]!r}", choice(variant, found.variants))
        return variant_payload(Generator(number, utc_millis()), found, variant)

    def problems(self, app: str, events: Sequence[NewEvent], faults: Sequence[str] = ()) -> list[Objection]:
        """Return what `accept` would refuse these events and faults for, without accepting anything. NotFound."""
        entry = self._registry.entry(app)
        if found := _problems(events, tuple(faults), 0.0, None):
            return found
        try:
            batches = _made(_provider(entry), _checked(_provider(entry), events), 0)
            if faults and entry.app is not None:
                _disturbed(entry.app, tuple(faults), batches, 0, 0)
        except (Invalid, Conflict) as error:
            return list(error.problems)
        return []

    def take(
        self,
        entry: Entry,
        batches: Sequence[Batch],
        due_at: Sequence[int],
        *,
        faults: Sequence[str],
        seed: int,
        offset: int = 0,
        key: tuple[str, str] | None = None,
        state: Changes | None = None,
        known: Callable[[Sequence[int]], None] | None = None,
    ) -> list[int]:
        """Accept deliveries whose events are valid, each due at its time; return their ids, one after the other.

        Standing faults come first, and count on from call to call; `offset` is the place of the first
        delivery in the whole stream where there are none. `key` is the call's idempotency key and what
        it asked for. What is known of the app is changed with them by `state`. `known` is called, once, with the ids as soon as it is known that they are on disk,
        or with none as soon as it is known that they are not; with LedgerUnavailable that can be later,
        in another thread. Raises Invalid, with the faults' index as field, and what `Ledger.accept` raises.
        """
        own, asked = key or (None, "")
        keys = [None if own is None else idempotency.key_of(own, index, len(batches)) for index in range(len(batches))]
        unsure = _Unsure(entry.name, known)
        try:
            plans = self._plans(entry, batches, faults, seed, offset)
            new = [
                NewDelivery(entry.name, event_type, tuple(event.payload for event in events), due, each, plan)
                for (event_type, events), due, each, plan in zip(batches, due_at, keys, plans, strict=True)
            ]
            ids = self._ledger.accept(new, key=own, asked=asked, state=state)
        except LedgerUnavailable as error:
            if error.ids:
                unsure.ids = error.ids
                self._unsure.append(unsure)
            else:
                self._told(unsure, ())
            raise
        except BaseException:
            self._told(unsure, ())
            raise
        self._told(unsure, ids)
        return ids

    def settle(self) -> None:
        """Find out which deliveries were accepted after all, of which that was not known; LedgerError if it cannot be."""
        if not self._unsure:
            return
        with self._settling:
            count = len(self._unsure)
            # When this is on disk, they are there or never will be.
            self._ledger.flush()
            for _ in range(count):
                first = self._unsure[0].ids[0]
                stored = self._ledger.on_record(range(first, first + 1))
                unsure = self._unsure.popleft()
                self._told(unsure, unsure.ids if stored else ())

    def _told(self, unsure: _Unsure, ids: Sequence[int]) -> None:
        with self._lock:
            self._totals[unsure.app] += len(ids)
        if unsure.known is not None:
            unsure.known(ids)
        if ids:
            self._accepted()

    def _new(
        self,
        entry: Entry,
        events: Sequence[NewEvent],
        faults: Sequence[str],
        seed: int,
        delay_seconds: float,
        key: tuple[str, str] | None = None,
    ) -> list[int]:
        provider = _provider(entry)
        batches = _made(provider, _checked(provider, events), seed)
        due_at = self._clock.now() + round(delay_seconds * 1000)
        return self.take(entry, batches, [due_at] * len(batches), faults=faults, seed=seed, key=key)

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

    def _repeated(self, earlier: Call, asked: str, seed: int) -> Accepted:
        if (difference := idempotency.difference(earlier, asked)) is not None:
            raise Conflict.of(
                "Idempotency-Key", f"it belongs to an earlier call with {difference}", "give each call a key of its own"
            )
        kept = set(self._ledger.on_record(earlier.ids))
        return Accepted(
            tuple(earlier.ids), seed, repeated=True, gone=tuple(one for one in earlier.ids if one not in kept)
        )


@dataclass
class _Unsure:
    """Deliveries that may have been accepted, and who is to be told."""

    app: str
    known: Callable[[Sequence[int]], None] | None
    ids: tuple[int, ...] = ()


def _disturbed(app: App, faults: Sequence[str], batches: Sequence[Batch], seed: int, offset: int) -> list[str | None]:
    events = [events for _, events in batches]
    try:
        return disturbed(faults, app.provider, app.credentials, events, seed, offset, proxied=app.proxy is not None)
    except (ValueError, LookupError) as error:
        raise Invalid(checked.unusable(error)) from None


def _problems(
    events: Sequence[NewEvent], faults: tuple[str, ...], delay_seconds: float, key: str | None
) -> list[Objection]:
    found = checked.fault_problems(faults)
    if not 1 <= len(events) <= MOST_EVENTS:
        found.append(Objection("/events", f"holds {len(events)} events", f"give 1 to {MOST_EVENTS}"))
    if not (isfinite(delay_seconds) and 0 <= delay_seconds <= LONGEST_DELAY):
        found.append(
            Objection("/delay_seconds", f"{delay_seconds} is no delay", f"give 0 to {LONGEST_DELAY:.0f} seconds")
        )
    if key is not None and not (0 < len(key) <= idempotency.LONGEST and key.isprintable()):
        found.append(
            Objection(
                "Idempotency-Key", "cannot be used", f"give 1 to {idempotency.LONGEST} characters that can be printed"
            )
        )
    return found


def _provider(entry: Entry) -> Provider:
    if entry.provider is None:
        raise Conflict.of("app", f"the app {entry.name} is not ready: {entry.not_ready}", "make it ready first")
    return entry.provider


def _checked(provider: Provider, events: Sequence[NewEvent]) -> list[tuple[EventType, Sequence[Event] | None]]:
    """Return event type and events of each delivery, None where they are to be made up; Invalid names all problems."""
    found: list[Objection] = []
    wanted: list[tuple[EventType, Sequence[Event] | None]] = []
    for index, new in enumerate(events):
        place = f"/events/{index}"
        event_type = _event_type(provider, new.type)
        if isinstance(event_type, str):
            described = [one.name for one in provider.catalogue if one.status != "undocumented"]
            fix = choice(new.type, described, f"provider-mock events {provider.name} lists them")
            found.append(Objection(f"{place}/type", event_type, fix))
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


def _payloads(
    provider: Provider, event_type: EventType, given: Any, place: str
) -> tuple[Sequence[Any], list[Objection]]:
    """Return the payloads that a delivery carries, and what is wrong with them."""
    if not isinstance(given, list):
        return [given], _invalid(event_type, given, place)
    if not provider.feed_of(event_type.name).batches:
        return (), [Objection(place, f"is a list, but {provider.name} sends one event a request", "give an object")]
    if not given:
        return (), [Objection(place, "is an empty list", "give at least one payload")]
    return given, [
        problem for index, payload in enumerate(given) for problem in _invalid(event_type, payload, f"{place}/{index}")
    ]


def _invalid(event_type: EventType, payload: Any, place: str) -> list[Objection]:
    return [
        Objection(f"{place}{one.pointer}", one.message, f"give what {event_type.name} is documented to hold")
        for one in event_type.problems(payload)
    ]


def _made(provider: Provider, wanted: Sequence[tuple[EventType, Sequence[Event] | None]], seed: int) -> list[Batch]:
    """Return the deliveries, with payloads made up where none is given."""
    made = _samples(seed)
    return [(event_type.name, [made(event_type)] if events is None else events) for event_type, events in wanted]


def _samples(seed: int) -> Callable[[EventType], Event]:
    """Return what makes an event up: the documented samples in turn, as events of their own."""
    from im_callback.provider_mock.traffic.generate import Generator

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
