"""Has an engine deliver for the apps that this process has, in a thread of its own, whatever happens to it.

Of a file these are all apps that can be delivered; of a PostgreSQL ledger those whose leases it holds (sharing.py).
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from math import inf

from im_callback.provider_mock.contract import NoReply, Reply
from im_callback.provider_mock.delivery.app import App
from im_callback.provider_mock.delivery.clock import RealClock, steady, utc_millis
from im_callback.provider_mock.delivery.engine import Engine
from im_callback.provider_mock.delivery.lane import LaneView
from im_callback.provider_mock.delivery.ledger import Done, Ledger, LedgerError, Waiting
from im_callback.provider_mock.delivery.ledger.leases import CLOCK_KEY, Beat, Process, own_name
from im_callback.provider_mock.delivery.ledger.records import FINE, Failing
from im_callback.provider_mock.delivery.ledger.told import ACCEPTED, CHANGED, CLOCK, RESUMED
from im_callback.provider_mock.server.errors import ServiceError, Unavailable
from im_callback.provider_mock.server.sharing import Sharing

log = logging.getLogger("im_callback.provider_mock.server")

AGAIN_SECONDS = 1.0
"""Until the engine is started again after an error that ended it."""
REST_SECONDS = 10.0
"""How long it is waited for what is under way before an app is reset: longer than the providers' deadlines."""
CLOCK_STEP = 2
"""Milliseconds by which the clock is behind or ahead of that of the other processes before it is moved."""

OnAttempt = Callable[[App, Waiting, Done, "Reply | NoReply | None"], None]


class Delivering:
    """Delivers from a ledger from `start` to `close`.

    `on_told` is called, in a thread of its own, with what other processes tell of apps and with "" where something may
    not have been heard. `on_failing` is called as soon as `save` has something to store. All methods can be called from any thread.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: RealClock,
        on_attempt: OnAttempt,
        on_told: Callable[[str, str], None],
        on_failing: Callable[[], None],
    ) -> None:
        self._ledger, self._clock = ledger, clock
        self._on_attempt, self._on_told, self._on_failing = on_attempt, on_told, on_failing
        self._started_at = utc_millis()
        self._closing = threading.Event()
        self._moving = threading.Lock()
        self._moved_at = 0.0
        self._lock = threading.Lock()
        self.ready: dict[str, App] = {}
        self._failing = ledger.failing()
        self._unsaved: set[str] = set()
        leases = ledger.leases(uuid.uuid4().hex, own_name())
        self.sharing = None if leases is None else Sharing(leases, self)
        self._until = inf if leases is None else 0.0
        self._engine = self._new_engine()
        self._failed: str | None = None
        self._thread = threading.Thread(target=self._deliver, name="engine", daemon=True)

    def start(self) -> None:
        """Begin, with the apps that are there; raises LedgerError."""
        if self.sharing is not None:
            self._ledger.tell_accepted(self.elsewhere)
            try:
                self.sharing.start()
                if self.sharing.alone():
                    self.move_clock(lambda: None)
            except BaseException:
                self.sharing.close()
                raise
        self._thread.start()

    def stop(self) -> None:
        """Return when what is in flight has landed."""
        self._closing.set()
        with self._lock:
            self._engine.stop()
        if self._thread.ident is not None:
            self._thread.join()

    def close(self) -> None:
        """Let other processes go on, once what came of everything is on disk; after `stop`."""
        if self.sharing is not None:
            with suppress(LedgerError):  # what is not on disk is sent again
                self._ledger.flush()
            self.sharing.close()

    def ended(self) -> str:
        """Return the thread that has ended although it must not; empty where all are there."""
        if not self._thread.is_alive():
            return "engine"
        return "leases" if self.sharing is not None and not self.sharing.alive else ""

    def trouble(self) -> str | None:
        """Return why nothing is delivered; None: all is well."""
        if self._failed is not None:
            return self._failed
        if not self._thread.is_alive():
            return "the engine has ended"
        return None if self.sharing is None else self.sharing.trouble()

    # Apps

    def put(self, app: App) -> None:
        """Deliver for an app, or go on with this in the place of the one of its name."""
        with self._lock:
            new = app.name not in self.ready
            self.ready[app.name] = app
            if not self.elsewhere(app.name):
                self._engine.put(app, self._failing.get(app.name, FINE) if new else FINE)
                self._engine.wake()
        if new and self.sharing is not None:
            self.sharing.look()

    def remove(self, name: str) -> None:
        """Deliver no more for an app: what is in flight lands, the rest stays in the ledger."""
        with self._lock:
            if self.ready.pop(name, None) is not None:
                self._engine.remove(name)
            self._failing.pop(name, None)
        if self.sharing is not None:
            self.sharing.look()

    def resume(self, name: str) -> None:
        """Send for an app again that was switched off, or pauses."""
        self._ledger.save_failing(name, FINE)
        with self._lock:
            self._engine.resume(name)
        self._ledger.tell(RESUMED, name)

    def lanes(self) -> dict[str, LaneView]:
        """Return how each app is doing, those that another process delivers for as far as that is known."""
        with self._lock:
            lanes = dict(self._engine.lanes())
            others = [name for name in self.ready if self.elsewhere(name)]
        if self.sharing is not None:
            off = self.sharing.switched_off()
            for name in others:
                lanes[name] = LaneView(0, None, off.get(name), self.sharing.holder(name), here=False)
            for name in lanes.keys() - others:
                lanes[name] = replace(lanes[name], holder=self.sharing.holder(name))
        return lanes

    def elsewhere(self, app: str) -> bool:
        """Return whether another process delivers for an app, or none now."""
        return self.sharing is not None and not self.sharing.holds(app)

    def processes(self) -> list[tuple[Process, list[str]]]:
        """Return the processes that deliver from the ledger, each with the apps that it delivers for now."""
        if self.sharing is not None:
            return self.sharing.processes()
        ready = frozenset(self.ready)
        return [(Process("", own_name(), self._started_at, utc_millis(), ready, alive=True), sorted(ready))]

    def shared(self) -> bool:
        """Return whether other processes were seen."""
        return self.sharing is not None and not self.sharing.alone()

    @contextmanager
    def pausing(self, name: str) -> Iterator[None]:
        """Let nothing of an app be under way meanwhile, anywhere; Unavailable if something stays so."""
        deadline = time.monotonic() + REST_SECONDS
        with self.sharing.keeping(name) if self.sharing is not None else nullcontext():
            if self.elsewhere(name) and name in self.ready:
                assert self.sharing is not None
                self._ledger.want_lease(name, self.sharing.process)
                if not self.sharing.wait_for(name, REST_SECONDS):
                    raise _under_way(name)
            yield from self._pausing(name, deadline)

    def _pausing(self, name: str, deadline: float) -> Iterator[None]:
        with self._lock:
            if name in self.ready:
                self._engine.remove(name)
        try:
            while self._engine.delivers(name):
                if time.monotonic() > deadline or self._closing.wait(0.01):
                    raise _under_way(name)
                self._engine.wake()
            yield
        finally:
            with self._lock:
                if name in self.ready and not self.elsewhere(name):
                    self._engine.put(self.ready[name])
                    self._engine.wake()

    # What waits

    def wake(self) -> None:
        """Look at the ledger again: something was accepted here."""
        with self._lock:
            self._engine.wake()

    def sent_again(self, names: Sequence[str]) -> None:
        """Look for what was made due of apps, and count what is parked; wherever they are delivered."""
        with self._lock:
            for name in names:
                self._engine.recount(name)
            self._engine.wake()
        if others := [name for name in names if self.elsewhere(name)]:
            self._ledger.tell(CHANGED, *others)

    def reread(self, name: str) -> None:
        """Read anew what waits for an app, wherever it is delivered."""
        with self._lock:
            self._engine.reread(name)
        if self.elsewhere(name):
            self._ledger.tell(CHANGED, name)

    def save(self) -> None:
        """Store how receivers fail, as far as that is another than it was; LedgerError."""
        with self._lock:
            unsaved, self._unsaved = self._unsaved, set()
        holder = None if self.sharing is None else self.sharing.process
        try:
            for name in sorted(unsaved):
                self._ledger.save_failing(name, self._failing.get(name, FINE), holder)
        except LedgerError:
            with self._lock:
                self._unsaved |= unsaved
            raise

    # The clock

    def move_clock(self, move: Callable[[], None]) -> None:
        """Move this process's clock, and have those of the others follow."""
        with self._moving:
            move()
            if self.sharing is None or (beat := self.sharing.last()) is None:
                return
            # Which time it is by the database's clock, which by this one, and how fast that goes.
            passed = (steady() - beat.moment) * 1000
            self._ledger.put_setting(CLOCK_KEY, json.dumps([beat.now + passed, self._clock.now(), self._clock.scale]))
            self._moved_at = steady()
        self._ledger.tell(CLOCK)

    def beaten(self, beat: Beat) -> None:
        """Let the clock go as that of the other processes does, unless it is being moved here."""
        if beat.clock is None or not self._moving.acquire(blocking=False):
            return
        try:
            if beat.moment < self._moved_at:
                return
            at, millis, scale = json.loads(beat.clock)
            now = millis + (beat.now - at + (steady() - beat.moment) * 1000) * scale
            step = (CLOCK_STEP + beat.unsure * 1000) * max(1.0, scale)
            if scale != self._clock.scale or abs(now - self._clock.now()) > step:
                self._clock.follow(now, scale)
        finally:
            self._moving.release()

    # What the leases call, in their thread (sharing.Deliverer).

    def gained(self, app: str, failing: Failing) -> None:
        """Deliver for an app."""
        with self._lock:
            self._failing[app] = failing
            if (found := self.ready.get(app)) is not None:
                self._engine.put(found, failing)
                self._engine.wake()
        log.info("this process delivers for an app", extra={"event": "lease-taken", "fields": {"app": app}})

    def lost(self, app: str) -> None:
        """Deliver no more for an app."""
        with self._lock:
            self._engine.remove(app)

    def resting(self, app: str) -> bool:
        """Return whether nothing of an app is under way, and all of it is on disk."""
        with self._lock:
            self._engine.wake()
            if self._engine.delivers(app):
                return False
        self._ledger.flush()
        log.info("this process does not deliver for an app", extra={"event": "lease-given", "fields": {"app": app}})
        return True

    def send_until(self, moment: float) -> None:
        """Send nothing after this moment of the steady clock."""
        with self._lock:
            self._until = moment
            self._engine.send_until(moment)

    def told(self, what: str, app: str) -> None:
        """Take note of what another process has changed."""
        if what == ACCEPTED:
            self.wake()
        elif what == CHANGED:
            self._changed(app)
        elif what == RESUMED:
            with self._lock:
                self._engine.resume(app)
        elif what == CLOCK and self.sharing is not None:
            self.sharing.look()
        else:
            self._on_told(what, app)

    def away(self) -> None:
        """Look at everything anew."""
        for name in list(self.ready):
            self._changed(name)
        self._on_told("", "")

    def _changed(self, name: str) -> None:
        with self._lock:
            self._engine.recount(name)
            self._engine.reread(name)
            self._engine.wake()

    # The engine

    def _new_engine(self) -> Engine:
        engine = Engine(self._ledger, self._clock, on_attempt=self._on_attempt, on_failing=self._fails)
        for app in self.ready.values():
            if not self.elsewhere(app.name):
                engine.put(app, self._failing.get(app.name, FINE))
        engine.send_until(self._until)
        return engine

    def _fails(self, app: App, failing: Failing) -> None:
        with self._lock:
            self._failing[app.name] = failing
            self._unsaved.add(app.name)
        self._on_failing()

    def _deliver(self) -> None:
        """Run the engine; after an error that ends it, such as a database that does not answer, start a new one."""
        while not self._closing.is_set():
            try:
                self._engine.run()
            except Exception as error:  # whatever it is, what was accepted is still to be delivered
                self._failed = str(error) if isinstance(error, LedgerError) else type(error).__name__
                log.exception("the engine has ended, and is started again", extra={"event": "engine-failed"})
                self._closing.wait(AGAIN_SECONDS)
            with self._lock:
                if self._closing.is_set():
                    return
            self._restart()

    def _restart(self) -> None:
        try:
            with self._lock:
                self._engine = self._new_engine()
                if self._closing.is_set():
                    self._engine.stop()
        except LedgerError as error:
            log.warning("the engine cannot start: %s", error, extra={"event": "engine-failed"})
            self._closing.wait(AGAIN_SECONDS)
        else:
            self._failed = None


def _under_way(name: str) -> ServiceError:
    return Unavailable.of("app", f"deliveries of {name} are under way", "try again when they have landed")
