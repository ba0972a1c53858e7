"""`provider-mock traffic`: a coherent stream of events at a steady rate."""

from __future__ import annotations

import math
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any

import click
from im_callback.provider_mock.commands.shared import printed, typed
from im_callback.provider_mock.contract import Credentials, Event, Feed, Outcome, Provider
from im_callback.provider_mock.delivery.tally import Tally

if TYPE_CHECKING:
    from im_callback.provider_mock.delivery.clock import Clock
    from im_callback.provider_mock.delivery.courier import Courier
    from im_callback.provider_mock.delivery.fault import Fault
    from im_callback.provider_mock.delivery.make import Maker
    from im_callback.provider_mock.delivery.perform import PlannedAttempt
    from im_callback.provider_mock.delivery.plan import Plan

FASTEST = 10_000
"""Deliveries per second that one process is asked for at most."""
UNDER_WAY = 7
"""Chunks under way at once, each with up to 64 connections of two descriptors: no more than the usual limit of 1024.

A receiver that falls further behind than that slows the stream down."""
NEXT = 0.02
"""Seconds ahead of its time at which a chunk is handed over."""


@click.command()
@click.option("--to", "url", required=True, type=typed.endpoint, metavar="URL", help="Where to post it.")
@click.option(
    "--rate",
    required=True,
    type=typed.number("--rate", "deliveries per second", FASTEST),
    metavar="N",
    help="Deliveries per second, however fast the receiver answers.",
)
@click.option(
    "--duration", required=True, type=typed.number("--duration", "seconds"), metavar="SECONDS", help="For how long."
)
@typed.PROVIDER_OPTION
@typed.credentials_options
@typed.fault_option
@typed.FEED_OPTION
@typed.SEED_OPTION
@typed.JSON_OPTION
def traffic(
    url: str,
    rate: float,
    duration: float,
    provider: Provider,
    feed_name: str | None,
    app_key: str | None,
    app_secret: str | None,
    disturbances: tuple[Fault, ...],
    seed: int | None,
    as_json: bool,
) -> None:
    """Deliver a coherent stream of events: people log in, talk and log out; attributes rise in version.

    Piped, or with --json, there is one line for each second and one for the whole. Exit 0 only if all were
    acknowledged; with faults, if the receiver did what it owes, as for send. Ctrl-C ends it after the deliveries
    under way; a second one does not wait for their replies.
    """
    from im_callback.provider_mock.delivery.changes import CannotChange
    from im_callback.provider_mock.delivery.fault import NothingToDisturb
    from im_callback.provider_mock.traffic.world import NothingToTell

    credentials = typed.credentials_for(provider, app_key, app_secret)
    feeds = provider.usual_feeds if feed_name is None else typed.feeds_named(provider, feed_name)
    total = round(rate * duration) or 1
    chunk_maker = ChunkMaker(provider, feeds, credentials, url, rate, total, disturbances, typed.chosen_seed(seed))
    people = printed.for_people(as_json)
    try:
        first = chunk_maker.chunk(0)
    except (NothingToDisturb, CannotChange, NothingToTell) as error:
        raise typed.fail(error) from None
    stream = Stream(chunk_maker, None if people else _second)
    # On a terminal that shows the lines, a bar would be in their way.
    if sys.stderr.isatty() and (people or not sys.stdout.isatty()):
        with click.progressbar(length=chunk_maker.total, label="Delivering", file=sys.stderr) as bar:
            stream.go(first, bar.update)
    else:
        stream.go(first, lambda _: None)
    summary = stream.whole.shown()
    summary["achieved_rate"] = stream.achieved_rate
    summary["as_expected"] = stream.fulfilled
    if people:
        click.echo(_told(summary, stream))
    else:
        printed.line({"summary": True, **summary, "seed": chunk_maker.seed, "interrupted": stream.interrupted})
    if stream.interrupted:
        raise SystemExit(printed.INTERRUPTED)
    if not stream.fulfilled:
        raise SystemExit(1)


@dataclass(frozen=True)
class Chunk:
    """The deliveries of about one second: when they start, in seconds after the first ones, and what they are."""

    at: float
    plan: Plan
    maker: Maker
    courier: Courier


class ChunkMaker:
    """Makes the chunks, one after the other: events, plan and faults all come from the seed."""

    def __init__(
        self,
        provider: Provider,
        feeds: Sequence[Feed],
        credentials: Credentials,
        url: str,
        rate: float,
        total: int,
        disturbances: Sequence[Fault],
        seed: int,
    ) -> None:
        from im_callback.provider_mock.delivery.clock import utc_millis
        from im_callback.provider_mock.traffic.world import tell

        self.provider, self.rate, self.total, self.seed = provider, rate, total, seed
        self._credentials, self._url, self._disturbances = credentials, url, disturbances
        self._told = tell(provider, Random(seed), utc_millis(), 1000 / rate, feeds)
        self._deadline = max(feed.deadline for feed in feeds)
        self._dice, self._nonces = Random(seed), Random(f"nonces {seed}")

    def chunk(self, begin: int) -> Chunk:
        """Return the chunk that begins with this delivery; the deliveries must be asked for in order."""
        from im_callback.provider_mock.delivery import faults
        from im_callback.provider_mock.delivery.courier import Courier
        from im_callback.provider_mock.delivery.make import Maker
        from im_callback.provider_mock.delivery.plan import plan
        from im_callback.provider_mock.delivery.sockets.client import Client

        size = min(math.ceil(self.rate), self.total - begin)
        batches: list[Sequence[Event]] = list(islice(self._told, size))
        planned = faults.apply(self._disturbances, plan(size, self.rate), self._dice, begin)
        maker = Maker(self.provider, self._credentials, self._url, batches, lambda: str(self._nonces.getrandbits(48)))
        if not begin:
            maker.check(planned)
        return Chunk(begin / self.rate, planned, maker, Courier(Client(self._deadline)))

    def chunks(self, first: Chunk) -> Iterator[Chunk]:
        """Yield all chunks, the first one as it was made."""
        yield first
        for begin in range(math.ceil(self.rate), self.total, math.ceil(self.rate)):
            yield self.chunk(begin)


class Stopped(Exception):
    """The stream ends at once."""


@dataclass
class Brake:
    """The real time, until the stream is stopped: then whoever waits is told so."""

    clock: Clock
    stopped: bool = False
    _waiting: set[threading.Event] = field(default_factory=set)

    def now(self) -> int:
        """Return the time in UTC milliseconds."""
        return self.clock.now()

    def wait(self, until: int | None, wake: threading.Event) -> None:
        """Return at that time, or when woken; raise `Stopped` once the stream is."""
        self._waiting.add(wake)
        if not self.stopped:
            self.clock.wait(until, wake)
        self._waiting.discard(wake)
        if self.stopped:
            raise Stopped

    def stop(self) -> None:
        """Stop everything that waits."""
        self.stopped = True
        for wake in list(self._waiting):
            wake.set()


@dataclass(frozen=True)
class Ended:
    """A chunk is through: the receiver did all it owes, or not, or we are wrong."""

    fulfilled: bool
    error: Exception | None = None


class Stream:
    """Starts each chunk at its time in a thread of its own, whatever has become of those before it."""

    def __init__(self, chunk_maker: ChunkMaker, each_second: Callable[[int, Tally], None] | None) -> None:
        from im_callback.provider_mock.delivery.clock import RealClock
        from im_callback.provider_mock.delivery.perform import fulfilled, perform

        self.whole = Tally()
        self.fulfilled = True
        self.interrupted = False
        self._perform, self._fulfilled = perform, fulfilled
        self._chunk_maker = chunk_maker
        self._each_second = each_second
        self._brake = Brake(RealClock())
        self._news: queue.SimpleQueue[PlannedAttempt | Ended | None] = queue.SimpleQueue()
        self._under_way = 0
        self._second, self._tally = 0, Tally()
        self._started = 0.0
        self._sent_at: tuple[int, int] | None = None
        self._asked = False

    @property
    def achieved_rate(self) -> float:
        """Requests per second, from the first to the last one."""
        if self._sent_at is None:
            return 0.0
        first, last = self._sent_at
        count = sum(self.whole.outcomes.values())
        return round(count / ((last - first) / 1000 + 1 / self._chunk_maker.rate), 1)

    def go(self, first: Chunk, delivered: Callable[[int], None]) -> None:
        """Deliver everything, or until interrupted."""
        self._started = time.monotonic()
        before = self._catch_interrupts()
        try:
            try:
                for chunk in self._chunk_maker.chunks(first):
                    self._listen(delivered, self._started + chunk.at - NEXT)
                    if self._asked:
                        raise KeyboardInterrupt
                    self._start(chunk)
            except KeyboardInterrupt:
                self.interrupted = True
            while self._under_way:
                self._hear(delivered, None)
        except KeyboardInterrupt:
            self.interrupted, self.fulfilled = True, False
        finally:
            self._brake.stop()
            if before is not None:
                signal.signal(signal.SIGINT, before)
        self._report()

    def _catch_interrupts(self) -> Any:
        """Let Ctrl-C wait for a place where no news is in hand, and a second one not; return the handler before."""
        if threading.current_thread() is not threading.main_thread():
            return None

        def asked(*_: object) -> None:
            if self._asked:
                raise KeyboardInterrupt
            self._asked = True
            self._news.put(None)

        return signal.signal(signal.SIGINT, asked)

    def _start(self, chunk: Chunk) -> None:
        self._under_way += 1
        threading.Thread(target=self._deliver, args=(chunk,), daemon=True).start()

    def _deliver(self, chunk: Chunk) -> None:
        """Deliver one chunk, in its own thread: what is kept of it goes when it ends."""
        attempts = []
        try:
            time.sleep(max(0.0, self._started + chunk.at - time.monotonic()))
            for attempt in self._perform(chunk.plan, chunk.maker, chunk.courier, self._brake):
                attempts.append(attempt)
                self._news.put(attempt)
            self._news.put(Ended(self._fulfilled(attempts)))
        except Stopped:
            self._news.put(Ended(fulfilled=False))
        except Exception as error:  # noqa: BLE001 - It is raised again in the main thread.
            self._news.put(Ended(fulfilled=False, error=error))

    def _listen(self, delivered: Callable[[int], None], until: float) -> None:
        """Take in the news until then, and for longer while too much is under way."""
        while not self._asked and (self._under_way >= UNDER_WAY or time.monotonic() < until):
            self._hear(delivered, None if self._under_way >= UNDER_WAY else until)

    def _hear(self, delivered: Callable[[int], None], until: float | None) -> None:
        """Take in one piece of news, or what there is to say at the end of a second."""
        turn = self._started + self._second + 1
        wait = turn if until is None else min(turn, until)
        try:
            news = self._news.get(timeout=max(0.0, wait - time.monotonic()))
        except queue.Empty:
            news = None
        while time.monotonic() >= self._started + self._second + 1:
            self._report()
        if isinstance(news, Ended):
            self._under_way -= 1
            self.fulfilled = self.fulfilled and news.fulfilled
            if news.error is not None:
                raise news.error
        elif news is not None:
            self._count(news)
            delivered(int(not news.step.repeats))

    def _count(self, attempt: PlannedAttempt) -> None:
        for tally in (self.whole, self._tally):
            tally.add(attempt.judgement, attempt.reply.seconds, attempt.sent_at / 1000 + attempt.reply.seconds)
        first, last = self._sent_at or (attempt.sent_at, attempt.sent_at)
        self._sent_at = min(first, attempt.sent_at), max(last, attempt.sent_at)

    def _report(self) -> None:
        self._second += 1
        if self._each_second is not None:
            self._each_second(self._second, self._tally)
        self._tally = Tally()


def _second(number: int, tally: Tally) -> None:
    printed.line({"second": number, **tally.shown()})


def _told(summary: dict[str, Any], stream: Stream) -> str:
    times = summary["ack_ms"]
    counts = ", ".join(f"{summary[one.value.replace(' ', '_')]} {one.value}" for one in Outcome)
    lines = [f"{summary['sent']} sent: {counts}", f"{summary['achieved_rate']:g} per second"]
    if times["max"] is not None:
        lines.append(
            f"acknowledged within {times['p50']:g} ms (p50), {times['p95']:g} ms (p95), {times['max']:g} ms (max)"
        )
    if stream.interrupted:
        lines.append("interrupted")
    elif not stream.fulfilled:
        lines.append("not every delivery got what the receiver owes for it")
    return "\n".join(lines)
