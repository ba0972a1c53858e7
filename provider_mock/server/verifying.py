"""Finds out whether deliveries came about as somebody expects, waits for them a while, and explains near misses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from im_callback.provider_mock import providers
from im_callback.provider_mock.delivery.ledger import DeliveryRecord, Ledger, Query
from im_callback.provider_mock.delivery.ledger.records import WAITING
from im_callback.provider_mock.server.errors import Conflict, Invalid, Unavailable
from im_callback.schemas.pointer import MISSING, resolve

LONGEST_WAIT = 30.0
"""Seconds that one call waits at most."""
WAITERS = 4
"""Calls that wait at once: each keeps one of the server's threads."""
MOST_READ = 10_000
"""Deliveries that are looked through for one expectation."""
PAGE = 1000
PAUSE = 0.05
"""Seconds between two looks; longer where a look takes long."""
LISTED = 100
"""Deliveries that an answer names for one expectation."""
NEAR = 3
"""Near misses that are told of one expectation."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """At least `least` deliveries, and at most `most` (None: any number), for which everything that is given holds.

    `fields` are values by JSON Pointer into the payload. Of a delivery with several payloads, one has to be of the variant and
    have all the fields.
    """

    app: str | None = None
    event_type: str | None = None
    variant: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    state: str | None = None
    outcome: str | None = None
    least: int = 1
    most: int | None = None


class Difference(NamedTuple):
    """In what a delivery differs: a name of the expectation or a JSON Pointer; `found` is MISSING where nothing is."""

    field: str
    wanted: Any
    found: Any


class Near(NamedTuple):
    """A delivery that nearly matched."""

    delivery: int
    differences: Sequence[Difference]


@dataclass(frozen=True, slots=True)
class Found:
    """What was found for one expectation: how many deliveries, the first of their ids, and what is wrong (None: nothing)."""

    count: int
    deliveries: Sequence[int]
    problem: str | None = None
    near: Sequence[Near] = ()


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of it. `order` says what is wrong with the order; `waited` is in seconds."""

    found: Sequence[Found]
    order: str | None
    waited: float

    @property
    def holds(self) -> bool:
        """Whether everything is as it was expected."""
        return self.order is None and all(one.problem is None for one in self.found)


class Verifier:
    """Verifies expectations of what is in the ledger. `running` says whether traffic comes for an app (None: for any)."""

    def __init__(self, ledger: Ledger, running: Callable[[str | None], bool], closing: threading.Event) -> None:
        self._ledger, self._running, self._closing = ledger, running, closing
        self._waiters = threading.BoundedSemaphore(WAITERS)

    def verify(
        self, expected: Sequence[Expectation], *, in_order: bool = False, within: float = 0.0, since: int | None = None
    ) -> Verified:
        """Return whether all expectations hold, as soon as that is certain, or after `within` seconds of true time.

        What holds is certain at once; with an upper limit, and what came too often, when nothing waits any more and no
        traffic runs. In order: a delivery stands where its last attempt was sent. `since`: only what was accepted then or
        later. Raises Invalid, Conflict if there is too much to look through, Unavailable if too many wait.
        """
        for index, one in enumerate(expected):
            if one.most is not None and one.most < one.least:
                fix = "give a larger at_most, or a smaller at_least"
                raise Invalid.of(f"/expect/{index}/at_most", f"it is less than at_least, {one.least}", fix)
        if not within:
            return self._told(expected, since, self._look(expected, since), 0.0, in_order=in_order)
        if not self._waiters.acquire(blocking=False):
            raise Unavailable.of("", f"{WAITERS} calls are waiting already", "try again in a moment")
        try:
            began = looked = time.monotonic()
            deadline = began + min(within, LONGEST_WAIT)
            while True:
                found = self._look(expected, since)
                now = time.monotonic()
                if now >= deadline or self._certain(expected, found, in_order=in_order):
                    return self._told(expected, since, found, now - began, in_order=in_order)
                self._closing.wait(min(max(PAUSE, 4 * (now - looked)), deadline - now))
                if self._closing.is_set():
                    raise Unavailable.of("", "the server is stopping", "try again when it is back")
                looked = time.monotonic()
        finally:
            self._waiters.release()

    def _look(self, expected: Sequence[Expectation], since: int | None) -> list[list[int]]:
        """Return the ids of the deliveries that match each expectation, in order."""
        self._ledger.flush()
        return [[one.id for one in self._read(each, since) if not _differences(each, one)] for each in expected]

    def _read(self, one: Expectation, since: int | None) -> list[DeliveryRecord]:
        """Return the deliveries that an expectation may mean, the oldest first."""
        states = () if one.state is None else (one.state,)
        query = Query(one.app, states, one.event_type, one.outcome, since=since)
        found: list[DeliveryRecord] = []
        while len(page := self._ledger.deliveries(query, found[-1].id if found else None, PAGE)) == PAGE:
            found += page
            if len(found) >= MOST_READ:
                fix = "say more of what is expected, give since, or reset the app"
                raise Conflict.of("/expect", f"there are more than {MOST_READ} deliveries to look through", fix)
        return [*found, *page][::-1]

    def _certain(self, expected: Sequence[Expectation], found: Sequence[Sequence[int]], *, in_order: bool) -> bool:
        holds = all(_problem(one, len(ids)) is None for one, ids in zip(expected, found, strict=True))
        over = any(one.most is not None and len(ids) > one.most for one, ids in zip(expected, found, strict=True))
        if holds and in_order and self._disorder(expected, found) is not None:
            return False
        limited = {one.app for one in expected if one.most is not None}
        return (holds or over) and not any(self._unsettled(app) for app in limited)

    def _unsettled(self, app: str | None) -> bool:
        """Return whether deliveries of an app (None: of any) wait, or traffic comes."""
        return self._running(app) or bool(self._ledger.deliveries(Query(app, (WAITING,)), limit=1))

    def _told(
        self,
        expected: Sequence[Expectation],
        since: int | None,
        found: Sequence[Sequence[int]],
        waited: float,
        *,
        in_order: bool,
    ) -> Verified:
        """Return what was found, with what nearly matched where too little did."""
        told = []
        for one, ids in zip(expected, found, strict=True):
            problem = _problem(one, len(ids))
            near = self._near(one, since) if problem is not None and len(ids) < one.least else ()
            told.append(Found(len(ids), ids[:LISTED], problem, near))
        order = self._disorder(expected, found) if in_order else None
        return Verified(told, order, round(waited, 3))

    def _near(self, one: Expectation, since: int | None) -> list[Near]:
        """Return the deliveries of its app that differ least, of the newest ones."""
        candidates = self._ledger.deliveries(Query(one.app, since=since), limit=PAGE)
        near = [Near(each.id, found) for each in candidates if (found := _differences(one, each))]
        return sorted(near, key=lambda each: len(each.differences))[:NEAR]

    def _disorder(self, expected: Sequence[Expectation], found: Sequence[Sequence[int]]) -> str | None:
        """Return what is wrong with the order; None where the expectations can be met one after the other."""
        sent = self._ledger.last_sent(sorted({one for ids in found for one in ids}))
        reached, last = (-1, 0), ""
        for index, (one, ids) in enumerate(zip(expected, found, strict=True)):
            later = sorted(place for each in ids if each in sent and (place := (sent[each], each)) > reached)
            if len(later) < one.least:
                return f"of /expect/{index}, {len(later)} {_were(len(later))} sent{last}; at least {one.least} expected"
            if one.least:
                reached = later[one.least - 1]
                last = f" after delivery {reached[1]}, which /expect/{index} needs"
        return None


def _were(count: int) -> str:
    return "delivery was" if count == 1 else "deliveries were"


def _problem(one: Expectation, count: int) -> str | None:
    """Return what is wrong with a number of deliveries."""
    if count < one.least:
        return f"{count} found, at least {one.least} expected"
    if one.most is not None and count > one.most:
        return f"{count} found, at most {one.most} expected"
    return None


def _differences(one: Expectation, delivery: DeliveryRecord) -> list[Difference]:
    """Return in what a delivery is not as expected; of its payloads, the one that differs least counts."""
    found = [
        Difference(name, wanted, value)
        for name, wanted, value in (
            ("app", one.app, delivery.app),
            ("event_type", one.event_type, delivery.event_type),
            ("state", one.state, delivery.state),
            ("outcome", one.outcome, MISSING if delivery.last_outcome is None else delivery.last_outcome),
        )
        if wanted is not None and value != wanted
    ]
    if one.variant is None and not one.fields:
        return found
    return [*found, *min((list(_payload(one, delivery.event_type, each)) for each in delivery.payloads), key=len)]


def _payload(one: Expectation, event_type: str, payload: Any) -> Iterator[Difference]:
    if one.variant is not None and (variant := _variant(event_type, payload)) != one.variant:
        yield Difference("variant", one.variant, variant or MISSING)
    for pointer, wanted in one.fields.items():
        found = resolve(payload, pointer)
        if not _same(found, wanted):
            yield Difference(pointer, wanted, found)


def _variant(event_type: str, payload: Any) -> str:
    try:
        found = providers.load(event_type.partition(".")[0]).catalogue.get(event_type)
    except LookupError:  # its package is not there any more
        return ""
    return "" if found is None else found.variant_of(payload)


def _same(left: Any, right: Any) -> bool:
    """Return whether two JSON values are equal; Python takes true for 1."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)
