"""Measures how fast the engine delivers, side by side with other clients that do the same work.

Run it from the repository's root: `python -m benchmarks.engine`. All send the same messages, each
unlike the others and signed, to a receiver that only answers 200. The receiver has one core, the
sender the other; two engines share both with it. Everything is measured in turn in one run,
several times; what is printed is the median of deliveries per second, and the ratio to the
medians of Locust's FastHttpUser and of wrk. After each measurement the receiver must have got
what was sent, and a sample of it must verify.

Locust, aiohttp and wrk (Debian's package of that name) are measured where they are installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from im_callback.provider_mock.wire import Wire, encode

from benchmarks import receiver
from benchmarks.contestants import PAYLOAD, PROVIDER, TOGETHER

SECONDS = 4
"""How long wrk sends: it takes no number of requests."""


@dataclass(frozen=True)
class Row:
    """A contestant: by which name it is started, how many of it, which share of the requests it sends."""

    title: str
    name: str
    processes: int = 1
    share: float = 1.0
    needs: str | None = None
    both: bool = False
    """Whether it has both cores, and shares the second one with the receiver."""


ROWS = {
    "bare": Row("sockets alone, nothing signed or judged: the floor", "bare"),
    "memory": Row("engine without a ledger", "memory"),
    "ledger": Row("engine, SQLite ledger: what was accepted before", "ledger"),
    "accepting": Row("engine, SQLite ledger: while it is accepted", "accepting"),
    "ledger-both": Row("the same as accepted before, its writer beside the receiver", "ledger", both=True),
    "accepting-both": Row("the same while it is accepted", "accepting", both=True),
    "memory-2": Row("two engines without a ledger, two processes", "memory", 2),
    "ledger-2": Row("two engines, each with a SQLite ledger", "ledger", 2),
    "fasthttpuser": Row("Locust's FastHttpUser", "fasthttpuser", share=0.2, needs="locust"),
    "requests": Row("requests, a Session for each of 4 threads", "requests", share=0.05, needs="requests"),
    "aiohttp": Row("aiohttp", "aiohttp", share=0.3, needs="aiohttp"),
    "wrk": Row("wrk with a Lua script that signs", "wrk"),
}


@dataclass(frozen=True)
class Measured:
    """Deliveries per second, and what a delivery cost its sender and the receiver, in microseconds."""

    rate: float
    sender: float
    receiver: float


def cores() -> tuple[set[int], set[int]]:
    """Return the sender's core and the receiver's; the same one if there is only one."""
    there = sorted(os.sched_getaffinity(0))
    return {there[0]}, {there[-1]}


def measure(row: Row, count: int, start: list[str]) -> Measured:
    """Let a contestant send to a fresh receiver; raises ValueError if not everything arrived as it must."""
    own, others = cores()
    if row.both or row.processes > 1:
        own |= others
    with receiver.running(start, own if row.processes > 1 else others) as there:
        if row.name == "wrk":
            sent, seconds, cpu = wrk(there.url, own)
        else:
            sent, seconds, cpu = python(row, count, there.url, own)
    # wrk leaves when its time is over, also those that wait for an answer.
    there.check(sent, over=TOGETHER if row.name == "wrk" else 0)
    return Measured(sent / seconds, cpu / sent * 1e6, there.cpu_seconds / sent * 1e6)


def python(row: Row, count: int, url: str, where: set[int]) -> tuple[int, float, float]:
    """Return how many were acked, in how many seconds, and the processor's seconds, of one or more processes."""
    each = max(TOGETHER, round(count * row.share / row.processes))
    command = [sys.executable, "-m", "benchmarks.contestants", row.name, url, str(each)]
    senders = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(row.processes)
    ]
    try:
        for sender in senders:
            os.sched_setaffinity(sender.pid, where)
            assert sender.stdout is not None
            if sender.stdout.readline() != "ready\n":
                raise ValueError(f"{row.title} did not get ready")
        for sender in senders:
            assert sender.stdin is not None
            sender.stdin.write("go\n")
            sender.stdin.flush()
        told = [json.loads(sender.communicate()[0]) for sender in senders]
    finally:
        for sender in senders:
            sender.kill()
            sender.communicate()
    seconds = max(one["ended"] for one in told) - min(one["began"] for one in told)
    return sum(one["acked"] for one in told), seconds, sum(one["cpu"] for one in told)


def wrk(url: str, where: set[int]) -> tuple[int, float, float]:
    """Return the same of wrk."""
    text = encode(PAYLOAD, Wire()).decode().replace('"msgidServer":"0"', '"msgidServer":"%d"')
    credentials = [PROVIDER.defaults.app_key, str(PROVIDER.defaults.app_secret)]
    script = Path(__file__).with_name("wrk.lua")
    command = ["wrk", "-t1", f"-c{TOGETHER}", f"-d{SECONDS}", "-s", str(script), url, "--", *credentials, text]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        os.sched_setaffinity(process.pid, where)
        output = process.communicate()[0]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = re.search(r"(\d+) requests in ([\d.]+)s", output)
    if found is None or "Non-2xx" in output or "Socket errors" in output:
        raise ValueError(f"wrk did not send as it should: {output}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return int(found[1]), float(found[2]), cpu


def there_is(row: Row) -> bool:
    """Return whether what a row needs is installed."""
    if row.name == "wrk":
        return shutil.which("wrk") is not None
    return row.needs is None or importlib.util.find_spec(row.needs) is not None


def table(found: dict[str, list[Measured]]) -> None:
    """Print medians and ratios."""
    middle = {key: statistics.median(one.rate for one in values) for key, values in found.items()}
    print(f"\n{'deliveries per second':<50}{'median':>9}{'least':>9}{'most':>9}", end="")
    print(f"{'x Fast…':>9}{'x wrk':>8}{'µs here':>9}{'µs there':>9}")
    for key, values in found.items():
        rates = [one.rate for one in values]
        print(f"{ROWS[key].title:<50}{middle[key]:>9,.0f}{min(rates):>9,.0f}{max(rates):>9,.0f}", end="")
        for other, width, digits in (("fasthttpuser", 9, 1), ("wrk", 8, 2)):
            print(f"{middle[key] / middle[other]:>{width}.{digits}f}" if other in middle else f"{'–':>{width}}", end="")
        print(f"{statistics.median(one.sender for one in values):>9.1f}", end="")
        print(f"{statistics.median(one.receiver for one in values):>9.1f}")
    for two, one in (("memory-2", "memory"), ("ledger-2", "ledger")):
        if two in middle and one in middle:
            print(f"{ROWS[two].title}: {middle[two] / middle[one]:.2f} x one")


def run(keys: Sequence[str], rounds: int, count: int) -> None:
    """Measure in turn and print."""
    missing = [key for key in keys if not there_is(ROWS[key])]
    found: dict[str, list[Measured]] = {key: [] for key in keys if key not in missing}
    with tempfile.TemporaryDirectory() as folder:
        start = receiver.command(Path(folder))
        for _ in range(rounds):
            for key, values in found.items():
                values.append(measure(ROWS[key], count, start))
                print(f"{ROWS[key].title}: {values[-1].rate:,.0f}", file=sys.stderr)
    table(found)
    if missing:
        print(f"left out, not installed: {', '.join(missing)}")
    if len(start) > 1:
        print("the receiver is the one in Python, for want of Go: it holds back the fastest")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), help="the rows to measure")
    parser.add_argument(
        "--count", type=int, default=60_000, help="deliveries of a measurement; slow clients send fewer"
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    options = parser.parse_args()
    run(options.only, options.rounds, options.count)


if __name__ == "__main__":
    main()
