"""Two servers on two machines, which are two network namespaces of this one: one is killed, then one is cut off.

Run it as root from the repository's root: `python -m benchmarks.machines`; it needs `ip` (Debian: iproute2), PostgreSQL and,
for the last step, Locust. Between the namespaces and PostgreSQL lies a bridge of a network of its own. Events are posted
to both servers all the time. Then Locust spreads its load over the same two: a worker in each, led by a master.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count, cycle, islice
from pathlib import Path
from typing import BinaryIO

import orjson
import requests
from im_callback.provider_mock.client import MockServer, pages

from benchmarks.answering import answering, meanwhile
from benchmarks.together import SAMPLE, TYPE
from tests.programs import missing
from tests.provider_mock.peers import unused_port
from tests.provider_mock_ledger.postgres import cluster, programs
from tests.provider_mock_server.running import COMMAND, environment

NETWORK, HOST = "10.77.0.{}", "10.77.0.1"
TOKEN = "a-token-for-two-machines"
APPS = ("one", "two", "three", "four")
PATIENCE = 60.0
"""Seconds."""
CUT_SECONDS = 12.0
"""How long a machine is cut off."""


def run(*command: str) -> None:
    """Run a command; what it says is shown only if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


@contextmanager
def network() -> Iterator[list[Machine]]:
    """Yield two machines that reach this one through a bridge."""
    with ExitStack() as stack:
        bridge = f"mock{os.getpid()}"
        run("ip", "link", "add", bridge, "type", "bridge")
        stack.callback(run, "ip", "link", "delete", bridge)
        run("ip", "address", "add", f"{HOST}/24", "dev", bridge)
        run("ip", "link", "set", bridge, "up")
        machines = []
        for number in (2, 3):
            name = f"{bridge}-{number}"
            run("ip", "netns", "add", name)
            stack.callback(run, "ip", "netns", "delete", name)
            outside, inside = f"v{os.getpid()}o{number}", f"v{os.getpid()}i{number}"
            run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name)
            run("ip", "link", "set", outside, "master", bridge, "up")
            inner = ("ip", "-n", name)
            run(*inner, "address", "add", f"{NETWORK.format(number)}/24", "dev", inside)
            run(*inner, "link", "set", inside, "up")
            run(*inner, "link", "set", "lo", "up")
            machines.append(Machine(name, NETWORK.format(number), outside))
        yield machines


@dataclass
class Machine:
    """A namespace, its address, and the end of its cable."""

    name: str
    address: str
    cable: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where its server listens."""
        return f"http://{self.address}:8600"

    def server(self) -> MockServer:
        """Return a client of its server."""
        return MockServer(self.url, TOKEN)

    def popen(self, *command: str, log: BinaryIO | None = None) -> subprocess.Popen[bytes]:
        """Start a program there; with a log what it prints can be read."""
        told = subprocess.PIPE if log is not None else subprocess.DEVNULL
        return subprocess.Popen(
            ["ip", "netns", "exec", self.name, *command],  # noqa: S607
            stdout=told,
            stderr=log or subprocess.DEVNULL,
            env=environment({"PROVIDER_MOCK_TOKEN": TOKEN}),
        )

    def serve(self, database: str, folder: Path) -> None:
        """Run a server there, and return when it answers."""
        with (folder / f"{self.name}.log").open("ab") as log:
            wide = ("--host", "0.0.0.0")  # noqa: S104
            self.process = self.popen(*COMMAND, "serve", *wide, "--database", database, "--json", log=log)
        assert self.process.stdout is not None
        if not self.process.stdout.readline():
            raise OSError(f"the server did not start: {(folder / f'{self.name}.log').read_text()[-500:]}")

    def kill(self) -> None:
        """End its server without warning."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def cut(self) -> None:
        """Pull the cable."""
        run("ip", "link", "set", self.cable, "down")

    def join(self) -> None:
        """Plug it in again."""
        run("ip", "link", "set", self.cable, "up")


def receiving(arrived: list[str]) -> AbstractContextManager[str]:
    """Return a receiver on this machine that keeps which events arrived, and yields its address."""

    def taken(_: str, body: bytes) -> int:
        arrived.append(orjson.loads(body).get("accid", ""))
        return 200

    return answering(taken, host=HOST)


def posting(machines: list[Machine], accepted: set[str]) -> AbstractContextManager[None]:
    """Return what posts events to both servers meanwhile."""

    def post(app: str, stop: threading.Event) -> None:
        for number in count():
            event = {"type": TYPE, "payload": {**SAMPLE, "accid": f"{app}-{number}"}}
            # One machine after the other: what may have been accepted already is not doubled, by its key.
            for machine in islice(cycle(machines), number % 2, None):
                if stop.is_set():
                    return
                url = f"{machine.url}/api/v1/apps/{app}/events"
                headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": f"{number}"}
                with suppress(requests.RequestException):
                    if requests.post(url, json={"events": [event]}, headers=headers, timeout=3).status_code == 202:
                        accepted.add(f"{app}-{number}")
                        break
            if stop.wait(0.01):
                return

    return meanwhile(*(partial(post, app) for app in APPS))


def shares(machine: Machine) -> list[int]:
    """Return how many apps each of the processes that are alive delivers for."""
    return sorted(len(one["apps"]) for one in machine.server().ask("GET", "/processes")["items"] if one["alive"])


def seconds_until(holds: Callable[[], bool], what: str) -> float:
    """Return after how many seconds something came about."""
    began = time.monotonic()
    while True:
        with suppress(requests.RequestException, ValueError):
            if holds():
                return time.monotonic() - began
        if time.monotonic() - began > PATIENCE:
            raise TimeoutError(f"not within {PATIENCE:g} s: {what}")
        time.sleep(0.05)


def together(machines: list[Machine], database: str, folder: Path, told: Callable[[str], None]) -> list[str]:
    """Kill one, cut one off; return what should not have happened."""
    arrived: list[str] = []
    accepted: set[str] = set()
    one, other = machines
    with receiving(arrived) as endpoint:
        for machine in machines:
            machine.serve(database, folder)
        for app in APPS:
            one.server().add_app("commsease", endpoint, name=app)
        seconds = seconds_until(lambda: shares(other) == [2, 2], "each delivers for two apps")
        told(f"each of two machines delivers for two of four apps after {seconds:.1f} s")
        with posting(machines, accepted):
            time.sleep(1)
            one.kill()
            seconds = seconds_until(lambda: shares(other) == [4], "the other has all apps")
            told(f"one is killed: the other delivers for all apps after {seconds:.1f} s")
            one.serve(database, folder)
            seconds = seconds_until(lambda: shares(other) == [2, 2], "each delivers for two apps again")
            told(f"it is started again: each delivers for two after {seconds:.1f} s")
            one.cut()
            seconds = seconds_until(lambda: shares(other) == [4], "the other has all apps")
            told(f"its cable is pulled: the other delivers for all apps after {seconds:.1f} s")
            time.sleep(CUT_SECONDS - seconds)
            one.join()
            seconds = seconds_until(lambda: shares(one) == [2, 2], "each delivers for two apps again")
            told(f"it is plugged in again: each delivers for two after {seconds:.1f} s")
            time.sleep(1)
        ask = partial(other.server().ask, "GET")
        seconds_until(lambda: not ask("/deliveries", state="waiting", limit=1)["items"], "nothing waits")
        problems = [f"lost: {name}" for name in sorted(accepted - set(arrived))]
        problems += [f"{one['id']} is {one['state']}" for one in pages(ask, "/deliveries") if one["state"] != "acked"]
        told(f"{len(accepted)} accepted, {len(set(arrived))} received, {len(arrived) - len(set(arrived))} repeats")
        for machine in machines:
            assert machine.process is not None
            machine.process.send_signal(signal.SIGTERM)
            if machine.process.wait(PATIENCE):
                problems.append(f"the server of {machine.address} ended with {machine.process.returncode}")
    return problems


def locust(machines: list[Machine], folder: Path, told: Callable[[str], None]) -> list[str]:
    """Have Locust load a receiver from both machines; return what should not have happened."""
    arrived: list[str] = []
    (folder / "locustfile.py").write_text("from im_callback.provider_mock.load.locustfile import Callbacks\n")
    port = str(unused_port())
    common = [sys.executable, "-m", "locust", "-f", str(folder / "locustfile.py"), "--loglevel", "ERROR"]
    with receiving(arrived) as endpoint, ExitStack() as stack:
        master = [*common, "--master", "--master-bind-host", HOST, "--master-bind-port", port, "--headless"]
        master += ["--expect-workers", "2", "-u", "10", "-r", "10", "-t", "5s", "-H", endpoint, "--only-summary"]
        led = stack.enter_context(
            subprocess.Popen(
                [*master, "--csv", str(folder / "load")], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
            )
        )
        for machine in machines:
            worker = machine.popen(*common, "--worker", "--master-host", HOST, "--master-port", port)
            stack.callback(worker.kill)
        status = led.wait(PATIENCE)
    lines = (folder / "load_stats.csv").read_text().splitlines()
    whole = dict(zip(lines[0].split(","), lines[-1].split(","), strict=False))
    told(f"Locust, a worker on each machine: {whole['Request Count']} requests, {len(arrived)} arrived")
    return (
        []
        if status == 0 and len(arrived) >= int(whole["Request Count"]) > 0
        else [f"Locust ended with {status}: {whole}"]
    )


def main() -> int:
    """Show both; 0 if nothing was lost."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    if (found := programs()) is None:
        print(f"error: {missing('initdb')}", file=sys.stderr)
        return 2
    with network() as machines, tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, port = Path(name), unused_port()
        for machine in machines:
            stack.callback(lambda one=machine: one.process and one.process.kill())
        with cluster(found, durable=True, port=port, address=HOST) as server:
            server.sql("postgres", "CREATE DATABASE mock")
            database = f"postgresql://postgres@{HOST}:{port}/mock"
            problems = together(machines, database, folder, print)
        problems += locust(machines, folder, print)
    for line in problems[:20]:
        print(line)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
