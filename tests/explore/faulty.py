"""Receivers whose fault takes three steps or more, in an order that no check makes; and what the search needs to see it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import ClassVar

from tests.receivers.good import Entry, Good


class Clock:
    """Seconds that pass by themselves, and more where somebody sleeps, who need not wait for it."""

    def __init__(self) -> None:
        self.slept = 0.0

    def now(self) -> float:
        """Return the seconds."""
        return time.monotonic() + self.slept

    def sleep(self, seconds: float) -> None:
        """Let seconds pass at once."""
        self.slept += seconds


class Faulty(Good):
    """A receiver with one fault. `invariant` is what breaks, `most` how many deliveries show it at most."""

    invariant: ClassVar[str]
    most: ClassVar[int] = 5

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.clock = Clock()


class RemembersFewOfEach(Faulty):
    """Remembers the last three events of each account or room alone: a repeat after these is taken for new."""

    invariant = "doubled"
    window = 3

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.last_seen: dict[tuple[str, ...], deque[tuple[str, ...]]] = {}

    def repeated(self, entry: Entry) -> bool:
        identity = entry.identity or ()
        last = self.last_seen.setdefault(entry.scope, deque(maxlen=self.window))
        if identity in last:
            return True
        last.append(identity)
        return False


class RemembersLately(Faulty):
    """Remembers the last 1,500 events: more than any check delivers before it repeats one."""

    invariant = "doubled"
    window = 1500

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.last_seen: OrderedDict[tuple[str, ...], None] = OrderedDict()

    def repeated(self, entry: Entry) -> bool:
        identity = entry.identity or ()
        if identity in self.last_seen:
            return True
        self.last_seen[identity] = None
        if len(self.last_seen) > self.window:
            self.last_seen.popitem(last=False)
        return False


class RemembersForSeconds(Faulty):
    """Remembers what it has for half a second."""

    invariant = "doubled"
    seconds = 0.5

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.until: dict[tuple[str, ...], float] = {}

    def repeated(self, entry: Entry) -> bool:
        identity, now = entry.identity or (), self.clock.now()
        if self.until.get(identity, 0.0) > now:
            return True
        self.until[identity] = now + self.seconds
        return False


class ForgetsAfterTwoRemovals(Faulty):
    """Takes the second removal of a state for the end of it, and forgets when it was removed."""

    invariant = "stale"

    def note(self, entry: Entry) -> None:
        again = entry.kind.erases and entry.scope in self.erased
        super().note(entry)
        if again:
            self.erased.pop(entry.scope)
            self.newest.pop(entry.scope, None)


class CachesTheNewest(Faulty):
    """Asks a cache how new a state is, and not the store: of 40 accounts or rooms ago it knows nothing."""

    invariant = "stale"
    room = 40

    def note(self, entry: Entry) -> None:
        super().note(entry)
        self.newest[entry.scope] = self.newest.pop(entry.scope, entry.at)
        while len(self.newest) > self.room:
            self.newest.pop(next(iter(self.newest)))


class MergesArrays(Faulty):
    """Takes an array in which a known event stands between two others for a repeat, the last event included."""

    invariant = "lost"

    def take(self, entries: Sequence[Entry]) -> None:
        with self.lock:
            known = [entry.identity in self.known for entry in entries]
            super().take(entries[: known.index(True) + 1] if any(known[1:-1]) else entries)


class Restarting(Faulty):
    """A receiver that can be killed and started again; its store outlives it, what is under way does not."""

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.lives = 1
        self.running = True

    def kill(self) -> None:
        """End it at once: whatever is under way breaks off."""
        with self.lock:
            self.lives += 1
            self.running = False

    def stop(self) -> None:
        """End it as if by SIGTERM: what is under way is finished first."""
        self.kill()

    def start(self) -> None:
        """Start it again."""
        self.running = True

    def must_live(self, life: int) -> None:
        """Break off unless this is still the life in which the request came."""
        if life != self.lives:
            raise ConnectionResetError("killed")


class MarksFirst(Restarting):
    """Notes an event as known, and records it a moment later: killed in between, it takes the retry for a repeat."""

    invariant = "lost"

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.between = threading.Semaphore(0)

    def sleep(self, seconds: float) -> None:
        """Let seconds pass, or as much of them, and a little more, until a request stands between its two steps."""
        while self.between.acquire(blocking=False):
            pass
        self.between.acquire(timeout=max(seconds, 0.3))

    def take(self, entries: Sequence[Entry]) -> None:
        life = self.lives
        with self.lock:
            new = [entry for entry in entries if not self.repeated(entry)]
        self.between.release()
        self.stopped.wait(0.02)
        with self.lock:
            self.must_live(life)
            for entry in new:
                self.known.discard(entry.identity or ())
                self.record(entry)


class LoadsLate(Restarting):
    """Reads what it knows in the background when it starts: a retry that comes before that is taken for new."""

    invariant = "doubled"
    loading = 0.2

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.loaded = 0.0

    def start(self) -> None:
        super().start()
        self.loaded = self.clock.now() + self.loading

    def repeated(self, entry: Entry) -> bool:
        again = super().repeated(entry)
        return again and self.clock.now() >= self.loaded


class Survives(Restarting):
    """A good one: what is under way when it is killed is not recorded, and not known either."""

    invariant = ""

    def take(self, entries: Sequence[Entry]) -> None:
        life = self.lives
        self.stopped.wait(0.005)
        with self.lock:
            self.must_live(life)
            super().take(entries)


class StopsForGood(Faulty):
    """Answers nothing any more once it has been told twice of the same removal."""

    invariant = "crash"

    def receive(self, request):  # type: ignore[no-untyped-def]
        if getattr(self, "over", False):
            raise RuntimeError("over")
        return super().receive(request)

    def repeated(self, entry: Entry) -> bool:
        again = super().repeated(entry)
        self.over = getattr(self, "over", False) or (again and entry.kind.erases)
        return again
