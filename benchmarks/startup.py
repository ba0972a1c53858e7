"""Measures how long what is used most takes to start, with the schemas of all providers.

Run it from the repository's root: `python -m benchmarks.startup`. Everything is started in turn in one run, several
times, with bytecode that the first round, which does not count, has written. What is printed is the least and the median
of the seconds that passed, and the median of the processor's seconds, which hardly change when the machine is busy.

The last rows are an empty test: with the plugin, which is not switched on, and without it. The plugins of other
packages are left out there, because some take longer than all the rest (Faker's, for one).
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from im_callback.provider_mock import providers

COMMAND = ("-c", "from im_callback.provider_mock.cli import entry; entry()")
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
PLUGIN = "im_callback.conformance.plugin"
EMPTY = "def test_nothing():\n    pass\n"
GOAL = 0.6
"""Seconds within which each is to be there."""


@dataclass(frozen=True)
class Row:
    """What is started: arguments of Python, and what is different in its environment."""

    title: str
    arguments: tuple[str, ...]
    more: Mapping[str, str] = field(default_factory=dict)
    serves: bool = False
    """Whether it goes on until it is stopped, which is when it answers that it is ready."""


@dataclass(frozen=True)
class Took:
    """Seconds that passed, and those of the processor."""

    wall: float
    cpu: float


ROWS = {
    "python": Row("python, doing nothing", ("-c", "")),
    "events": Row("provider-mock events --json", (*COMMAND, "events", "--json")),
    "send": Row("provider-mock sample", (*COMMAND, "sample", "commsease.login")),
    "serve": Row("provider-mock serve, until /readyz", (*COMMAND, "serve", "--port", "0"), serves=True),
    "list": Row("pytest --receiver-list", ("-m", "pytest", "-p", PLUGIN, "--receiver-list"), ALONE),
    "off": Row("pytest, an empty test, the plugin not switched on", ("-m", "pytest", "-q", "-p", PLUGIN), ALONE),
    "without": Row("pytest, an empty test, without the plugin", ("-m", "pytest", "-q"), ALONE),
}


def ended(command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
    """Run a command to its end; raises CalledProcessError."""
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)


def ready(command: list[str], folder: Path, environment: Mapping[str, str]) -> float:
    """Start a server and return when it has answered that it is ready; then stop it."""
    for left in folder.glob("*.db*"):
        left.unlink()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().partition('"url":')[2].partition('"')[2].partition('"')[0]
            with build_opener(ProxyHandler({})).open(f"{url}/readyz", timeout=60) as answer:
                answer.read()
            return time.perf_counter()
        finally:
            process.kill()


def measure(row: Row, folder: Path, environment: Mapping[str, str]) -> Took:
    """Start it once."""
    command = [sys.executable, *row.arguments]
    run: Callable[[list[str], Path, Mapping[str, str]], float | None] = ready if row.serves else ended
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    until = run(command, folder, {**environment, **row.more}) or time.perf_counter()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Took(until - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def table(found: Mapping[str, list[Took]]) -> None:
    """Print what everything took, and what the plugin costs."""
    print(f"{'seconds':<52}{'least':>8}{'median':>8}{'processor':>11}")
    middle = {key: statistics.median(one.cpu for one in took) for key, took in found.items()}
    for key, took in found.items():
        walls = [one.wall for one in took]
        late = f"  more than {GOAL:g} s" if min(walls) > GOAL else ""
        print(f"{ROWS[key].title:<52}{min(walls):>8.2f}{statistics.median(walls):>8.2f}{middle[key]:>11.2f}{late}")
    if {"off", "without"} <= found.keys():
        pairs = list(zip(found["off"], found["without"], strict=True))
        ratio = statistics.median(one.cpu / other.cpu for one, other in pairs)
        print(f"with the plugin, not switched on: {ratio:.3f} x without it (processor, median of the rounds)")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), help="the rows to measure")
    parser.add_argument("--rounds", type=int, default=10, help="how often each is measured")
    options = parser.parse_args()
    catalogues = [providers.load(name).catalogue for name in providers.names()]
    described = [one for catalogue in catalogues for one in catalogue if one.status != "undocumented"]
    print(f"{sum(map(len, catalogues))} event types, {len(described)} of them described")
    found: dict[str, list[Took]] = {key: [] for key in options.only}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_empty.py").write_text(EMPTY)
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment = {**kept, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
        for count in range(options.rounds + 1):
            for key, took in found.items():
                once = measure(ROWS[key], folder, environment)
                if count:
                    took.append(once)
    table(found)


if __name__ == "__main__":
    main()
