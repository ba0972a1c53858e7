"""Measures how long the whole gate takes, against the same requests sent one after the other by `requests`.

Run it from the repository's root: `python -m benchmarks.gate`. The receivers are the example (good), its naive twin (red),
and the example when it loses every third event (forgetful: many checks then wait for effects in vain). For each, in turn
and several times: `pytest --receiver-url=…` in a process of its own, from start to end; then what a run like it sent,
byte for byte, over one kept-alive connection. What is printed is the median of the seconds, their ratio, and the
ratio once the settle time, which a red run cannot do without, is taken off.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import requests
from im_callback.conformance.check import all_checks
from im_callback.conformance.effects import SourceOptions, open_effects
from im_callback.conformance.overlap import Overlap
from im_callback.conformance.run import Run
from im_callback.conformance.runner import task
from im_callback.conformance.settings import Settings
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Request

EXAMPLES = Path(__file__).parents[1] / "examples/flask_receiver"
FORGETFUL = """
import itertools, sys
sys.path.insert(0, {folder!r})
import receiver
count, apply = itertools.count(), receiver.Store.apply
receiver.Store.apply = lambda self, event: next(count) % 3 and apply(self, event)
receiver.main()
"""
RECEIVERS = {
    "good": (str(EXAMPLES / "receiver.py"),),
    "naive": (str(EXAMPLES / "naive.py"),),
    "forgetful": ("-c", FORGETFUL.format(folder=str(EXAMPLES))),
}
SETTLE = 5.0


@contextmanager
def served(name: str) -> Iterator[str]:
    """Yield where the receiver listens."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", "0", "--database", f"{folder}/receiver.db", *(["--test-mode"] if name != "naive" else [])]
        command = [sys.executable, *RECEIVERS[name], *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            try:
                assert process.stdout is not None
                yield process.stdout.readline().split()[-1]
            finally:
                process.kill()


def gate(url: str, provider: str) -> tuple[float, dict[str, int]]:
    """Return how many seconds a whole run takes, and how many checks came to each verdict."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--receiver-url={url}/{provider}"),
            *(f"--receiver-provider={provider}", f"--receiver-effects={url}/effects?provider={provider}"),
            *(f"--receiver-settle={SETTLE:g}", "--receiver-json=result.json"),
        ]
        began = time.perf_counter()
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=False)
        seconds = time.perf_counter() - began
        result = json.loads(Path(folder, "result.json").read_text())
    verdicts = [one["verdict"] for one in result["checks"]]
    return seconds, {name: verdicts.count(name) for name in dict.fromkeys(verdicts)}


def sent(url: str, provider: str) -> list[Request]:
    """Return what a run sends, in its order."""
    contract = providers.load(provider)
    settings = Settings(f"{url}/{provider}", contract, contract.defaults, seed=1, settle=SETTLE)
    run = Run(settings, open_effects(f"{url}/effects?provider={provider}", SourceOptions()))
    checks = [one for one in all_checks() if one.among(run.feeds)]
    overlap = Overlap([task(one, run) for one in checks])
    run.shared.pause, run.shared.gather = overlap.pause, overlap.gather
    for one in checks:
        overlap.result(one.id(contract))
    return [attempt.shot.request for attempt in run.history]


def plainly(those: list[Request], url: str) -> float:
    """Return how many seconds `requests` takes to send them one after the other, each answer read."""
    with requests.Session() as session:
        session.trust_env = False
        began = time.perf_counter()
        for one in those:
            headers = {name: value.encode("utf-8", "surrogateescape") for name, value in one.headers}
            parts = urlsplit(one.url)
            try:
                session.request(one.method, f"{url}{parts.path}?{parts.query}", headers=headers, data=one.body).close()
            except (requests.RequestException, ValueError):
                # Broken on purpose in a way that `requests` does not send.
                continue
        return time.perf_counter() - began


def main() -> None:
    """Print a line for each receiver and provider."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--receiver", choices=RECEIVERS, action="append")
    parser.add_argument("--provider", choices=("commsease", "rongcloud", "tencent"), action="append")
    options = parser.parse_args()
    print(
        f"{'receiver':10} {'provider':10} {'requests':>8} {'gate':>7} {'plainly':>8} {'ratio':>6} {'less settle':>11}"
    )
    for name in options.receiver or RECEIVERS:
        for provider in options.provider or ("commsease", "rongcloud", "tencent"):
            took: list[tuple[float, float]] = []
            for _ in range(options.rounds):
                with served(name) as url:
                    those = sent(url, provider)
                with served(name) as url:
                    whole, verdicts = gate(url, provider)
                with served(name) as url:
                    took.append((whole, plainly(those, url)))
            whole, plain = (statistics.median(column) for column in zip(*took, strict=True))
            less = max(whole - SETTLE, 0) / plain
            counted = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
            print(
                f"{name:10} {provider:10} {len(those):8} {whole:6.2f}s {plain:7.2f}s {whole / plain:6.2f} {less:11.2f}"
                f"  {counted}",
                flush=True,
            )


if __name__ == "__main__":
    main()
