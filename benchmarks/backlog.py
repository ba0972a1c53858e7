"""Measures what a large backlog costs: deliveries are accepted while the receiver is down, and drained when it is back.

Run it from the repository's root: `python -m benchmarks.backlog`. It is done twice, each time in a
process of its own: by ledger and engine alone, and by `provider-mock serve` through its HTTP API.
The engine runs all the time and tries what is due, in vain at first. When the receiver is back, the
clock goes so fast that the next retries are due in a second. In the end the receiver must have got every delivery.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import requests
from im_callback.provider_mock.delivery.app import App
from im_callback.provider_mock.delivery.clock import RealClock
from im_callback.provider_mock.delivery.engine import Engine
from im_callback.provider_mock.delivery.ledger import Ledger, LedgerReader, NewDelivery
from im_callback.provider_mock.delivery.ledger.records import ACKED

from benchmarks import receiver
from benchmarks.contestants import GROUP, PROVIDER, TYPE, numbers, payload

POLICY = "reliable"
SPACING = 60.0
"""Seconds until a retry by that policy."""
SMALL = 10_000
EVENTS = 1000
"""Events of a request to the server."""
FAR = 2**62
PARTS = ("engine", "server")


def unused_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def memory(process: int) -> str:
    """Return a process's resident memory in MB, now and at its highest."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    now, most = (int(lines[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))
    return f"{now:.0f} MB resident, {most:.0f} MB at most"


def told(what: str, reader: LedgerReader, call: Callable[[], object]) -> None:
    """Print how long something takes with as many deliveries as there are."""
    times = []
    for _ in range(21):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1000)
    there = sum(reader.counts().values())
    print(f"  {what}, of {there:>9,}: {statistics.median(times):7.2f} ms", flush=True)


def drained(reader: LedgerReader, backlog: int, start: list[str], port: int, go: Callable[[], None]) -> None:
    """Start the receiver, wait until it has everything, and print how fast that was."""
    with receiver.running(start, os.sched_getaffinity(0), port) as there:
        started = time.perf_counter()
        go()
        while (counts := reader.counts()).get(ACKED, 0) < backlog:
            time.sleep(0.5)
        seconds = time.perf_counter() - started
    there.check(backlog, over=backlog)
    print(f"  drained in {seconds:.1f} s: {backlog / seconds:,.0f} a second; on record: {counts}", flush=True)


def by_engine(backlog: int, start: list[str], folder: Path) -> None:
    """Do it with ledger and engine in this process."""
    port, clock = unused_port(), RealClock()
    app = App("shop", PROVIDER, f"http://127.0.0.1:{port}/", PROVIDER.defaults, PROVIDER.feeds[0].policies[POLICY])
    with Ledger(str(folder / "ledger.db")) as ledger:

        def look() -> None:
            told("the next 1 that is due ", ledger, lambda: ledger.due("shop", FAR, 1))
            told("the next 1,000 of them ", ledger, lambda: ledger.due("shop", FAR, 1000))
            print(f"  {memory(os.getpid())}", flush=True)

        def accept(count: int) -> None:
            left = numbers(count)
            while group := [NewDelivery("shop", TYPE, (payload(one),), clock.now()) for one in islice(left, GROUP)]:
                ledger.accept(group)
                engine.wake()

        engine = Engine(ledger, clock, apps=[app])
        thread = threading.Thread(target=engine.run)
        thread.start()
        try:
            look()
            accept(SMALL)
            look()
            timed(backlog - SMALL, accept)
            look()
            drained(ledger, backlog, start, port, lambda: clock.set_scale(SPACING))
            print(f"  {memory(os.getpid())}", flush=True)
        finally:
            engine.stop()
            thread.join()


def timed(count: int, accept: Callable[[int], None]) -> None:
    """Let deliveries be accepted, and print how fast that went."""
    started = time.perf_counter()
    accept(count)
    seconds = time.perf_counter() - started
    print(f"  accepted {count:,} while the engine tries in vain: {count / seconds:,.0f} a second", flush=True)


@contextmanager
def served(folder: Path, port: int) -> Iterator[tuple[str, int]]:
    """Run the server with one app for a receiver at this port; yield its URL and its process."""
    config = folder / "apps.toml"
    config.write_text(
        f'[apps.shop]\nprovider = "commsease"\nendpoint = "http://127.0.0.1:{port}/"\npolicy = "{POLICY}"\n'
        f'app_key = "{PROVIDER.defaults.app_key}"\napp_secret = "{PROVIDER.defaults.app_secret}"\n'
    )
    command = [sys.executable, "-c", "from im_callback.provider_mock.cli import entry; entry()", "serve", "--port", "0"]
    command += ["--database", str(folder / "ledger.db"), "--config", str(config)]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
            if found is None:
                raise ValueError(f"the server does not say where it listens: {(folder / 'log').read_text()}")
            yield found[0], process.pid
        finally:
            process.terminate()


def by_server(backlog: int, start: list[str], folder: Path) -> None:
    """Do it with `provider-mock serve`."""
    port = unused_port()
    with (
        served(folder, port) as (url, process),
        requests.Session() as session,
        LedgerReader(str(folder / "ledger.db")) as reader,
    ):

        def page() -> None:
            query: dict[str, str | int] = {"app": "shop", "limit": 100}
            session.get(f"{url}/api/v1/deliveries", params=query, timeout=60).raise_for_status()

        def look() -> None:
            told("a page of 100 deliveries", reader, page)
            print(f"  {memory(process)}", flush=True)

        def accept(count: int) -> None:
            left = numbers(count)
            while events := [{"type": TYPE, "payload": payload(one)} for one in islice(left, EVENTS)]:
                answer = session.post(f"{url}/api/v1/apps/shop/events", json={"events": events}, timeout=60)
                answer.raise_for_status()

        def go() -> None:
            session.put(f"{url}/api/v1/clock", json={"scale": SPACING}, timeout=60).raise_for_status()

        look()
        accept(SMALL)
        look()
        timed(backlog - SMALL, accept)
        look()
        drained(reader, backlog, start, port, go)
        print(f"  {memory(process)}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backlog", type=int, default=500_000, help="deliveries that wait")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, help="who delivers them")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    for part in options.only:
        with tempfile.TemporaryDirectory() as folder:
            if part == "engine" and not options.here:
                # In a process of its own, whose memory nothing else has touched.
                command = [sys.executable, "-m", "benchmarks.backlog", "--only", part, "--here"]
                subprocess.run([*command, "--backlog", str(options.backlog)], check=True)
                continue
            print({"engine": "Ledger and engine", "server": "provider-mock serve, through its API"}[part], flush=True)
            run = by_engine if part == "engine" else by_server
            run(options.backlog, receiver.command(Path(folder)), Path(folder))


if __name__ == "__main__":
    main()
