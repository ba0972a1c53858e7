"""Plays scripts against a receiver, many at the same time, each on accounts and rooms of its own.

Scripts that are played together keep step: the deliveries of one step go out, are answered, and then those of the next
step; what happens to the receiver as a whole happens once, to all of them. Within a script every step waits for the
one before. Nothing here judges.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace

from im_callback.conformance.around.command import ReceiverError
from im_callback.conformance.explore.judging import Fact
from im_callback.conformance.explore.script import AROUND, SICK, Fate, Request, Script, Step, phases
from im_callback.conformance.explore.stock import Stock, events_of, fact_of
from im_callback.conformance.run import Run
from im_callback.provider_mock.contract import Event, NoReply, Reply
from im_callback.provider_mock.delivery.plan import NO_TRANSPORT, Transport
from im_callback.provider_mock.delivery.sockets.raw_client import RawClient
from im_callback.provider_mock.history import Attempt, Shot

AT_ONCE = 8
"""Requests that leave together at most: with more than a server serves at once, they would wait for each other."""
RETRIES = 3
PAUSE = 0.2
"""Seconds between two tries of what was not answered properly."""
BUSY = frozenset({429, 503})
"""Statuses by which a receiver says that it has too much to do just now."""


@dataclass(slots=True)
class Entry:
    """A line of what happened: after so many seconds, which step (counted from 1), what, and what came of it."""

    at: float
    step: int
    what: str
    attempt: Attempt | None = None
    request: Request | None = None
    """What was delivered; None for what happens around it."""

    @property
    def said(self) -> str:
        """What came of it, in a few words."""
        if self.attempt is None or self.request is None:
            return ""
        reply, fate = self.attempt.reply, self.request.fate
        if fate != "answered" and isinstance(reply, NoReply) and reply.kind == "unreachable":
            return ""
        took = f"{reply.seconds * 1000:.0f} ms"
        if isinstance(reply, Reply):
            return f"{reply.status} after {took}: {self.attempt.outcome.value}"
        return f"no answer ({reply.detail}), after {took}"


@dataclass(slots=True)
class Played:
    """What became of one script: the events that its things were, and what happened in order."""

    script: Script
    stock: Stock
    events: list[Event]
    entries: list[Entry] = field(default_factory=list)
    crashed: list[Entry] = field(default_factory=list)
    """Deliveries that never got a proper answer, however often they were tried."""

    @property
    def attempts(self) -> list[Attempt]:
        """All requests, in order."""
        return [one.attempt for one in self.entries if one.attempt is not None]

    @property
    def longest_gap(self) -> float:
        """Seconds that lay between two of its own deliveries at most."""
        times = [one.at for one in self.entries if one.request is not None]
        return max((after - before for before, after in itertools.pairwise(times)), default=0.0)

    def acked(self, number: int) -> int:
        """Return the first step in which a request with the thing was acknowledged; 0 if none was."""
        return next((one.step for one in self._with(number) if one.attempt is not None and one.attempt.acked), 0)

    def reached(self, number: int) -> bool:
        """Return whether a request with the thing left whole."""
        return any(one.request is not None and one.request.fate != "cut-off" for one in self._with(number))

    def _with(self, number: int) -> list[Entry]:
        return [one for one in self.entries if one.request is not None and number in one.request.things]

    def facts(self, run: Run) -> list[Fact]:
        """Return what became of each thing."""
        return [
            fact_of(
                run,
                self.stock,
                thing,
                number,
                event,
                reached=self.reached(number),
                acked_in=self.acked(number),
                last_in=max((one.step for one in self._with(number)), default=0),
            )
            for number, (thing, event) in enumerate(zip(self.script.things, self.events, strict=True))
        ]


class Player:
    """Plays scripts of one feed's stock. A context manager; in the end the receiver runs and its store is well.

    `sleep` passes seconds.
    """

    def __init__(self, run: Run, stock: Stock, sleep: Callable[[float], None] = time.sleep) -> None:
        self.run = run
        self.stock = stock
        self.receiver = run.receiver
        self.store = run.downstream
        self.deliveries = 0
        self.tick_seconds = 0.02
        """How long the last requests took that left at the same time."""
        self.seconds_each = 0.005
        """How long one of them took, by how many left at the same time."""
        self.starts = 0
        """How often the receiver was started again."""
        self.around_seconds = 0.0
        """How long has taken what happens around the scripts."""
        self._sleep = sleep
        self._sick = False
        self._exact = True
        self._raw: RawClient | None = None

    def __enter__(self) -> Player:  # noqa: PYI034 - typing.Self is of Python 3.11.
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(ReceiverError):
            self._well()
        if self._raw is not None:
            self._raw.close()

    @property
    def apart(self) -> bool:
        """Whether requests may only leave one by one."""
        return self.run.settings.rate is not None

    def play(self, scripts: Sequence[Script], *, exact: bool = True) -> list[Played]:
        """Play scripts that have the same happen around them; return what became of each.

        Where it is not `exact`, requests of one step leave nearly at the same moment, which takes less time.
        Raises `Unusable` where one cannot be made, and `ReceiverError` where the receiver does not start again.
        """
        assert len({script.around for script in scripts}) == 1
        self._exact = exact and not self.apart
        played = [Played(one, self.stock, events_of(self.run, self.stock, one)) for one in scripts]
        for one in played:
            self.run.matcher.add(one.events)
        started = time.monotonic()
        try:
            self._through(played, started)
            self._heal()
            if self.receiver is not None and not self.receiver.running:
                # It has ended by itself.
                for one in played:
                    one.crashed += _unanswered(one)
            else:
                self._try_again(played, started)
                if self.receiver is not None and any(one.crashed for one in played) and self.gone:
                    # It runs, and answers nobody any more.
                    self.receiver.kill()
        finally:
            self._well()
        return played

    def _through(self, played: Sequence[Played], started: float) -> None:
        parts = [phases(one.script) for one in played]
        for number, around in enumerate([*played[0].script.around, None]):
            own = [part[number] for part in parts]
            ticks = max(map(len, own))
            under_way = around is not None and around.how == "under-way"
            for tick in range(ticks):
                # The last ones of a phase are under way together.
                now = [
                    (one, steps[tick - ticks + len(steps)])
                    for one, steps in zip(played, own, strict=True)
                    if tick - ticks + len(steps) >= 0
                ]
                if under_way and tick == ticks - 1:
                    assert around is not None
                    self._killed_under_way(now, around, started)
                else:
                    self._tick(now, started)
            began = time.monotonic()
            if around is not None:
                if not (under_way and ticks):
                    self._around(around, started)
                for one in played:
                    one.entries.append(Entry(began - started, _place(one.script, number), told(around)))
            self.around_seconds += time.monotonic() - began

    def _tick(self, now: Sequence[tuple[Played, Step]], started: float) -> None:
        """Deliver one step of each script, and wait for the answers."""
        began = time.monotonic()
        entries = list(self._entries(now, started))
        alone: list[tuple[Played, Entry, Shot]] = []
        together: list[tuple[Played, Entry, Shot]] = []
        broken: list[tuple[Played, Entry, Shot, Future[Reply | NoReply], int]] = []
        for one, entry, shot, several in entries:
            one.entries.append(entry)
            assert entry.request is not None
            if entry.request.fate != "answered":
                sent_at = self.run.courier.clock()
                future = self._client().submit(shot.request, _TRANSPORT[entry.request.fate])
                broken.append((one, entry, shot, future, sent_at))
            elif several and self._exact:
                together.append((one, entry, shot))
            else:
                alone.append((one, entry, shot))
        self.deliveries += len(entries)
        courier = self.run.courier
        for place in range(0, len(together), AT_ONCE):
            part = together[place : place + AT_ONCE]
            for (_, entry, _), attempt in zip(part, courier.together([shot for _, _, shot in part]), strict=True):
                entry.attempt = attempt
        if alone:
            for (_, entry, _), attempt in zip(alone, courier.send([shot for _, _, shot in alone]), strict=True):
                entry.attempt = attempt
        for _, entry, shot, future, sent_at in broken:
            reply = future.result()
            entry.attempt = Attempt(shot, reply, shot.feed.judge(reply), sent_at)
            courier.history.append(entry.attempt)
        if entries:
            self.tick_seconds = time.monotonic() - began
            self.seconds_each = self.tick_seconds / len(entries)

    def _entries(
        self, now: Sequence[tuple[Played, Step]], started: float
    ) -> Iterator[tuple[Played, Entry, Shot, bool]]:
        for one, step in now:
            requests = step.requests if step.do == "deliver" else self._unacknowledged(one)
            number = 1 + next(place for place, other in enumerate(one.script.steps) if other is step)
            for request in requests:
                what = delivery(request, again=self._last(one, request) is not None, retry=step.do == "retry")
                shot = self._shot(one, request, f"step {number}: {what}")
                entry = Entry(time.monotonic() - started, number, what, None, request)
                yield one, entry, shot, step.do == "deliver" and len(requests) > 1

    def _unacknowledged(self, one: Played) -> list[Request]:
        """Return what the provider still holds: the last request of each delivery that was not acknowledged."""
        last: dict[tuple[int, ...], Entry] = {}
        for entry in one.entries:
            if entry.request is not None:
                last[entry.request.things] = entry
        return [
            Request(things)
            for things, entry in last.items()
            if not (entry.attempt is not None and entry.attempt.taken) and not all(one.acked(each) for each in things)
        ]

    def _last(self, one: Played, request: Request) -> Attempt | None:
        return next(
            (
                entry.attempt
                for entry in reversed(one.entries)
                if entry.attempt is not None and entry.request is not None and entry.request.things == request.things
            ),
            None,
        )

    def _shot(self, one: Played, request: Request, note: str) -> Shot:
        before = self._last(one, request)
        if before is not None and request.form == "same":
            return self.run.again(before, note=note)
        if before is not None:
            wire = self.run.wire(spaces=True, key_order="alphabetical") if request.form == "reformatted" else None
            return self.run.again(before, afresh=True, wire=wire, note=note)
        return self.run.shot(*(one.events[number] for number in request.things), note=note)

    def _killed_under_way(self, now: Sequence[tuple[Played, Step]], around: Step, started: float) -> None:
        assert self.receiver is not None
        with ThreadPoolExecutor(1, "under way") as thread:
            sending = thread.submit(self._tick, now, started)
            self._sleep(around.number)
            self.receiver.kill()
            sending.result()
        self._start()

    def _around(self, step: Step, started: float) -> None:
        """Let happen what happens around the deliveries."""
        if step.do == "wait":
            self._sleep(step.number)
        elif step.do == "others":
            self.others(int(step.number))
        elif step.do == "restart":
            assert self.receiver is not None
            if step.how == "stop":
                self.receiver.stop()
            else:
                self.receiver.kill()
            self._start()
        else:
            assert self.store is not None
            self._sick = step.how in SICK
            if step.how == "slow":
                self.store.slow(step.number)
            else:
                getattr(self.store, step.how)()

    def others(self, number: int) -> list[Attempt]:
        """Deliver so many events that no script knows."""
        attempts: list[Attempt] = []
        kinds = [one.event_type for one in self.stock.kinds]
        for place in range(0, number, 256):
            events = [self.run.event(kinds[one % len(kinds)]) for one in range(min(256, number - place))]
            self.run.matcher.add(events)
            attempts += self.run.courier.send([self.run.shot(event, note="another delivery") for event in events])
        self.deliveries += number
        return attempts

    def _try_again(self, played: Sequence[Played], started: float) -> None:
        """Deliver again what got no proper answer, alone; what gets none even so is noted."""
        bad = [(one, entry) for one in played for entry in _unanswered(one)]
        for _ in range(RETRIES):
            if not bad:
                return
            self._sleep(PAUSE)
            retried = []
            for one, entry in bad:
                assert entry.request is not None
                request = replace(entry.request, form="afresh")
                shot = self._shot(one, request, f"step {entry.step}, tried again")
                (attempt,) = self.run.courier.send([shot])
                what = f"tried again: {entry.what.removeprefix('tried again: ')}"
                again = Entry(time.monotonic() - started, entry.step, what, attempt, request)
                one.entries.append(again)
                if not _proper(attempt):
                    retried.append((one, again))
            bad = retried
        for one, entry in bad:
            one.crashed.append(entry)

    @property
    def gone(self) -> bool:
        """Whether nothing is answered any more as it should be, whatever is delivered."""
        return not _proper(self.others(1)[0])

    def _heal(self) -> None:
        if self._sick and self.store is not None:
            self._sick = False
            self.store.heal()

    def _well(self) -> None:
        """Have the receiver run and its store be well, as they were."""
        self._heal()
        if self.receiver is not None and not self.receiver.running:
            self._start()

    def _start(self) -> None:
        assert self.receiver is not None
        self.starts += 1
        self.receiver.start()

    def _client(self) -> RawClient:
        if self._raw is None:
            self._raw = self.run.courier.disturbing()
        return self._raw


_TRANSPORT: dict[Fate, Transport] = {
    "answered": NO_TRANSPORT,
    "ack-lost": Transport(read_reply=False),
    "given-up": Transport(reset=True),
    "cut-off": Transport(body_limit=-1),
}


def _proper(attempt: Attempt) -> bool:
    """Return whether an answer is one that a receiver means: none that says it broke, and not none at all."""
    if isinstance(attempt.reply, NoReply):
        return False
    return attempt.reply.status < 500 or attempt.reply.status in BUSY


def _unanswered(one: Played) -> list[Entry]:
    """Return the deliveries without a proper answer that no later one made up for, but for those that were disturbed."""
    disturbed = False
    found: dict[tuple[int, ...], Entry] = {}
    steps = one.script.steps
    under_way = {number for number, step in enumerate(steps) if step.how == "under-way"}
    for entry in one.entries:
        if entry.request is None:
            step = steps[entry.step - 1]
            if step.do == "store":
                disturbed = step.how != "heal"
            continue
        assert entry.attempt is not None
        if entry.request.fate != "answered" or disturbed or entry.step in under_way:
            continue
        if _proper(entry.attempt):
            found.pop(entry.request.things, None)
        else:
            found[entry.request.things] = entry
    return list(found.values())


def _place(script: Script, around: int) -> int:
    """Return the number of the step, from 1, that is the script's n-th of what happens around."""
    return [place for place, step in enumerate(script.steps, 1) if step.do in AROUND][around]


def delivery(request: Request, *, again: bool = False, retry: bool = False) -> str:
    """Return a delivery in words."""
    named = ", ".join(f"#{number + 1}" for number in request.things)
    what = f"{'an array with ' if len(request.things) > 1 else ''}{named}"
    if retry:
        return f"{what} again, as it was not acknowledged"
    if again:
        what += {
            "afresh": " again, signed afresh",
            "same": " again, byte for byte",
            "reformatted": " again, reformatted",
        }[request.form]
    ends = {
        "answered": "",
        "ack-lost": "; the connection closes as the answer begins",
        "given-up": "; the connection closes before the answer",
        "cut-off": "; the connection closes in the middle of the body",
    }
    return what + ends[request.fate]


def told(step: Step) -> str:
    """Return what happens around deliveries in words."""
    if step.do == "wait":
        return f"{step.number:g} s pass"
    if step.do == "others":
        return f"{step.number:g} deliveries of other events"
    if step.do == "restart":
        how = {
            "kill": "killed (SIGKILL)",
            "stop": "stopped (SIGTERM)",
            "under-way": f"killed {step.number * 1000:g} ms after these requests left",
        }
        return f"the receiver is {how[step.how]} and started again"
    return {
        "hang": "the store hangs",
        "slow": f"the store becomes slow, {step.number:g} s for each piece",
        "refuse": "the store refuses connections",
        "cut": "the store's connections are cut",
        "reset": "the store's connections are reset",
        "heal": "the store is well again",
    }[step.how]
