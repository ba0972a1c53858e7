"""Shares the apps among the processes of one PostgreSQL ledger: which of them this process delivers for.

A thread of its own renews the leases, takes free ones, hands some over where another process has fewer, and listens to what
the others tell. While the database does not answer nothing is renewed; then nothing is sent after the leases have ended.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

from im_callback.provider_mock.delivery.clock import steady
from im_callback.provider_mock.delivery.ledger.database import reason
from im_callback.provider_mock.delivery.ledger.leases import BEAT_SECONDS, LEASE_SECONDS, Beat, Leases, Process
from im_callback.provider_mock.delivery.ledger.records import Failing
from im_callback.provider_mock.delivery.ledger.told import LEASE

log = logging.getLogger("im_callback.provider_mock.server")

GRACE_MILLIS = 2000
"""After which a lease that has ended is taken by whoever comes, whatever its share."""
DRAIN_SECONDS = 0.05
"""Between two looks whether what is under way has landed."""


class Deliverer(Protocol):
    """What delivers for the apps that this process has. `ready` may be read from any thread."""

    @property
    def ready(self) -> Collection[str]:
        """The apps that it can deliver for."""
        ...

    def gained(self, app: str, failing: Failing) -> None:
        """Deliver for an app."""
        ...

    def lost(self, app: str) -> None:
        """Deliver no more for an app; what is under way lands."""
        ...

    def resting(self, app: str) -> bool:
        """Return whether nothing of an app is under way any more, and what came of it is on disk."""
        ...

    def send_until(self, moment: float) -> None:
        """Send nothing after this moment of the steady clock."""
        ...

    def told(self, what: str, app: str) -> None:
        """Take note of a change that another process, or this one, has made."""
        ...

    def away(self) -> None:
        """Look at everything anew: something may have been told that was not heard."""
        ...

    def beaten(self, beat: Beat) -> None:
        """Take note of how things stand."""
        ...


class Sharing:
    """Keeps the leases of this process, from `start` to `close`. What it tells of others is as of the last beat."""

    def __init__(self, leases: Leases, deliverer: Deliverer) -> None:
        self._leases, self._deliverer = leases, deliverer
        self.process = leases.process
        self._closing = threading.Event()
        self._beat: Beat | None = None
        self._held: set[str] = set()
        """The leases it has and delivers for."""
        self._draining: set[str] = set()
        """Those that are to be given back."""
        self._kept: list[str] = []
        self._until = 0.0
        self._next = 0.0
        self._trouble: str | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    def start(self) -> None:
        """Take leases, once, and go on with that in a thread; raises LedgerError."""
        self._renew()
        self._thread.start()

    def holds(self, app: str) -> bool:
        """Return whether this process delivers for an app."""
        return app in self._held

    def holder(self, app: str) -> str | None:
        """Return the name of the process that delivers for an app; None: no one does now."""
        if self._beat is None or (holder := self._beat.holders.get(app)) is None:
            return None
        return next((one.name for one in self._beat.processes if one.id == holder), holder)

    def switched_off(self) -> Mapping[str, int]:
        """Return the apps that are switched off, and since when of the engine's clock."""
        return {} if self._beat is None else self._beat.off

    def processes(self) -> list[tuple[Process, list[str]]]:
        """Return the processes that share the ledger, each with the apps that it delivers for."""
        beat = self._beat
        if beat is None:
            return []
        return [
            (one, sorted(app for app, holder in beat.holders.items() if holder == one.id)) for one in beat.processes
        ]

    def alone(self) -> bool:
        """Return whether no other process was seen."""
        return len(_alive(self._beat)) < 2

    @property
    def alive(self) -> bool:
        """Whether the thread is there that renews, or was told to stop."""
        return self._thread.is_alive() or self._closing.is_set()

    def trouble(self) -> str | None:
        """Return why nothing may be sent now; None: all is well."""
        return self._trouble if steady() >= self._until else None

    def look(self) -> None:
        """Renew at once: there is an app more, or one less."""
        self._next = 0.0
        self._leases.poke()

    def wait_for(self, app: str, seconds: float) -> bool:
        """Return whether this process has an app's lease within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: app in self._held, seconds)

    @contextmanager
    def keeping(self, app: str) -> Iterator[None]:
        """Hand an app's lease over to no other process meanwhile."""
        self._kept.append(app)
        try:
            yield
        finally:
            self._kept.remove(app)

    def last(self) -> Beat | None:
        """Return how things stood when the leases were renewed last."""
        return self._beat

    def close(self) -> None:
        """Give everything back; to be called when nothing is under way any more and all is on disk."""
        self._closing.set()
        self._leases.poke()
        if self._thread.ident is not None:
            self._thread.join(LEASE_SECONDS)
        with suppress(Exception):  # whatever it is, the leases end by themselves
            self._leases.leave()
        self._leases.close()

    # What follows runs in the thread of the leases.

    def _run(self) -> None:
        while not self._closing.is_set():
            self._try()

    def _try(self) -> None:
        try:
            self._step()
        except Exception as error:  # noqa: BLE001 - whatever it is, the leases have to be renewed again
            if self._trouble is None:
                log.warning("the leases are not renewed: %s", reason(error), extra={"event": "leases-failed"})
            self._trouble = f"the leases cannot be renewed: {reason(error)}"
            self._closing.wait(BEAT_SECONDS / 2)

    def _step(self) -> None:
        connected = self._leases.connected
        if steady() >= self._next:
            self._renew()
        if not connected:
            self._deliverer.away()
        self._release()
        pause = DRAIN_SECONDS if self._draining else max(0.0, self._next - steady())
        for what, app in self._leases.wait(pause):
            if what == LEASE:
                self._next = 0.0
            else:
                self._deliverer.told(what, app)

    def _renew(self) -> None:
        self._next = steady() + BEAT_SECONDS
        beat = self._leases.beat(self._deliverer.ready, self._chosen)
        self._until, self._trouble = beat.until, None
        self._deliverer.send_until(beat.until)
        mine, ready = set(beat.held), set(self._deliverer.ready)
        gone = _alive(self._beat) - _alive(beat)
        with self._changed:
            self._beat = beat
            lost = self._held - mine
            self._draining = (self._draining & mine) | beat.wanted | (mine - ready)
            gained = mine - self._held - self._draining
            self._held = mine - self._draining
            self._changed.notify_all()
        for app in sorted(lost | self._draining):
            self._deliverer.lost(app)
        for app in sorted(gained):
            self._deliverer.gained(app, beat.held[app])
        self._deliverer.beaten(beat)
        if gone:
            # One that died may have changed something and told nobody.
            self._deliverer.away()
        if not self._draining and (given := surplus(self.process, sorted(self._held.difference(self._kept)), beat)):
            self._leases.hand_over(given)
            self._next = 0.0

    def _release(self) -> None:
        """Give back what rests."""
        if rested := [app for app in sorted(self._draining) if self._deliverer.resting(app)]:
            self._leases.release(rested)
            self._draining.difference_update(rested)

    def _chosen(
        self, held: Mapping[str, Failing], free: Mapping[str, int | None], processes: Sequence[Process]
    ) -> list[str]:
        return chosen(len(held), free, processes, self._deliverer.ready)


def _alive(beat: Beat | None) -> set[str]:
    return set() if beat is None else {one.id for one in beat.processes if one.alive}


def chosen(
    held: int, free: Mapping[str, int | None], processes: Sequence[Process], ready: Collection[str]
) -> list[str]:
    """Return which free leases to take: those kept for this process, its share, and those that nobody else took.

    `free` are the milliseconds since when each is free; None: it is kept for this process.
    """
    alive = max(1, sum(one.alive for one in processes))
    share = -(-len(ready) // alive)
    taken = [app for app, since in free.items() if since is None]
    for app, since in free.items():
        if since is not None and (held + len(taken) < share or since > GRACE_MILLIS):
            taken.append(app)
    return taken


def surplus(me: str, held: Sequence[str], beat: Beat) -> dict[str, str]:
    """Return which leases to hand over, and to which process: to the one with the fewest, if that has two less."""
    counts = {one.id: sum(holder == one.id for holder in beat.holders.values()) for one in beat.processes if one.alive}
    able = {one.id: one.apps for one in beat.processes}
    counts.pop(me, None)
    mine, given = list(held), dict[str, str]()
    while counts:
        other = min(counts, key=lambda one: (counts[one], one))
        app = next((one for one in reversed(mine) if one in able[other]), None)
        if app is None:
            del counts[other]
        elif len(mine) - counts[other] < 2:
            break
        else:
            mine.remove(app)
            counts[other] += 1
            given[app] = other
    return given
