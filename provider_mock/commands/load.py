"""`provider-mock load`: as many deliveries as a receiver takes, from Locust's users or from our own engine."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from random import Random
from urllib.parse import urlsplit

import click
from im_callback.provider_mock.commands.shared import printed, typed
from im_callback.provider_mock.contract import Provider
from im_callback.provider_mock.delivery.clock import steady
from im_callback.provider_mock.delivery.tally import Tally
from im_callback.provider_mock.load import Load

SHOWN_RULES = 5
"""Rules that are told to people, the most frequent first."""


@click.command()
@click.option("--to", "url", required=True, type=typed.endpoint, metavar="URL", help="Where to post it.")
@click.option(
    "--users",
    type=typed.whole("--users", 1),
    default=50,
    metavar="N",
    show_default=True,
    help="How many send at once, each one request after the other.",
)
@click.option(
    "--duration",
    type=typed.whole("--duration", 1),
    default=10,
    metavar="N",
    show_default=True,
    help="For how many seconds.",
)
@click.option(
    "--rate",
    type=typed.number("--rate", "deliveries per second"),
    metavar="N",
    help="Deliveries per second of all users together; the default is as fast as it goes.",
)
@click.option(
    "--workers",
    type=typed.whole("--workers", 1),
    default=1,
    metavar="N",
    show_default=True,
    help="Locust processes that share the users; more than one are led by a master on the loopback address.",
)
@click.option("--engine", is_flag=True, help="Send with our own engine in this process, without Locust: faster.")
@click.option(
    "--duplicate",
    type=typed.number("--duplicate", "", 1, zero=True),
    default=0.0,
    metavar="SHARE",
    help="Share of the deliveries that are sent twice, from 0 to 1.",
)
@typed.PROVIDER_OPTION
@typed.credentials_options
@typed.SEED_OPTION
@typed.JSON_OPTION
def load(
    url: str,
    users: int,
    duration: int,
    rate: float | None,
    workers: int,
    engine: bool,
    duplicate: float,
    provider: Provider,
    app_key: str | None,
    app_secret: str | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """Load a receiver with signed deliveries, and count what it acknowledges.

    Piped, or with --json, there is one line for each second and one for the whole. Exit 0 only if all were
    acknowledged. Ctrl-C ends it after the deliveries under way; a second one does not wait for their replies.
    """
    from im_callback.provider_mock.delivery.clock import utc_millis
    from im_callback.provider_mock.load.processes import LocustFailed
    from im_callback.provider_mock.traffic.world import NothingToTell, tell

    if engine and workers > 1:
        raise typed.Wrong(
            "--engine is one process; leave --workers out, or leave --engine out to spread over processes"
        )
    if users < workers:
        raise typed.Wrong(f"--users {users}: fewer than --workers {workers}; give each worker one user at least")
    if not engine and find_spec("locust") is None:
        raise typed.Wrong(
            "Locust is not installed; pip install 'im-callback-conformance[load]', or send with --engine, without it"
        )
    credentials = typed.credentials_for(provider, app_key, app_secret)
    chosen = Load(provider, credentials, url, users, duration, rate, workers, duplicate, typed.chosen_seed(seed))
    try:
        next(tell(provider, Random(), utc_millis()))
    except NothingToTell as error:
        raise typed.fail(error) from None
    _knock(url, provider.feeds[0].deadline)
    if engine:
        from im_callback.provider_mock.load.engine import deliver
    else:
        from im_callback.provider_mock.load.processes import deliver
    people = printed.for_people(as_json)
    whole, each_second = Tally(), _untold if people else _second
    with _stopped_by_signals() as stop:
        tallies = deliver(chosen, stop)
        try:
            # On a terminal that shows the lines, a bar would be in their way.
            if sys.stderr.isatty() and (people or not sys.stdout.isatty()):
                with click.progressbar(length=duration, label="Delivering", file=sys.stderr) as bar:
                    _sum_up(whole, tallies, duration, bar.update, each_second)
            else:
                _sum_up(whole, tallies, duration, lambda _: None, each_second)
        except KeyboardInterrupt:
            stop.set()
        except LocustFailed as error:
            raise typed.fail(error) from None
        finally:
            tallies.close()
        interrupted = stop.is_set()
    if people:
        click.echo(_told(whole, interrupted))
    else:
        shown = {**whole.shown(), "achieved_rate": round(whole.rate, 1), "reasons": dict(whole.rules.most_common())}
        printed.line({"summary": True, **shown, "seed": chosen.seed, "interrupted": interrupted})
    if interrupted:
        raise SystemExit(printed.INTERRUPTED)
    if not whole.all_acked:
        raise SystemExit(1)


def _knock(url: str, deadline: float) -> None:
    """Find out before anything starts whether anybody listens there."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((str(parts.hostname), port), deadline).close()
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise typed.Wrong(
            f"nobody listens at {parts.hostname}:{port} ({why}); start the receiver, or correct --to"
        ) from None


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """Yield what the first Ctrl-C or SIGTERM sets; a second one raises KeyboardInterrupt."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    once = False

    def asked(*_: object) -> None:
        nonlocal once
        if once:
            raise KeyboardInterrupt
        # Before `set`: a second signal can come in the middle of that, which would wait for itself.
        once = True
        stop.set()

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _sum_up(
    whole: Tally,
    tallies: Iterable[Tally],
    seconds: int,
    progress: Callable[[int], None],
    each_second: Callable[[int, Tally], None],
) -> None:
    """Take everything into the whole; the seconds count from the first delivery on, and the last one takes the rest."""
    current, second = Tally(), 0
    for tally in tallies:
        whole.include(tally)
        current.include(tally)
        while whole.sent and second < seconds - 1 and steady() >= whole.first + second + 1:
            second += 1
            progress(1)
            each_second(second, current)
            current = Tally()
    progress(seconds - second)
    each_second(second + 1, current)


def _second(number: int, tally: Tally) -> None:
    printed.line({"second": number, **tally.shown()})


def _untold(number: int, tally: Tally) -> None:
    """Say nothing: people see the bar."""


def _told(whole: Tally, interrupted: bool) -> str:
    shown = whole.shown()
    times, counts = shown["ack_ms"], whole.counts()
    listed = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if name != "sent")
    lines = [f"{whole.sent} sent: {listed}", f"{whole.rate:.1f} per second"]
    if times["max"] is not None:
        lines.append(
            f"acknowledged within {times['p50']:g} ms (p50), {times['p95']:g} ms (p95), {times['max']:g} ms (max)"
        )
    lines += [f"{count} x {rule}" for rule, count in whole.rules.most_common(SHOWN_RULES)]
    if interrupted:
        lines.append("interrupted")
    elif not whole.sent:
        lines.append("nothing was sent")
    return "\n".join(lines)
