"""What Prometheus reads: counted cheaply where it happens, put together when it is asked for."""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING

from provider_mock.contract import Outcome
from provider_mock.delivery.engine import App, Lane
from provider_mock.delivery.ledger import STATES, Done, Health, LedgerError, Waiting

if TYPE_CHECKING:
    from prometheus_client.core import HistogramMetricFamily, Metric

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
"""Upper bounds in seconds, up to the longest of the providers' deadlines."""
PREFIX = "provider_mock"


@dataclass
class _Acks:
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0


class Tally:
    """Counts attempts: `count` is called from the engine's thread alone, tens of thousands of times a second."""

    def __init__(self) -> None:
        self._attempts: dict[tuple[str, str], int] = {}
        self._retries: dict[str, int] = {}
        self._acks: dict[str, _Acks] = {}

    def count(self, app: App, waiting: Waiting, done: Done) -> None:
        """Count one attempt."""
        name, outcome = app.name, done.outcome
        key = (name, outcome)
        self._attempts[key] = self._attempts.get(key, 0) + 1
        if waiting.attempts > waiting.earlier:
            self._retries[name] = self._retries.get(name, 0) + 1
        if outcome == Outcome.ACKED.value:
            acks = self._acks.get(name)
            if acks is None:
                acks = self._acks[name] = _Acks()
            acks.buckets[bisect_left(BUCKETS, done.seconds)] += 1
            acks.seconds += done.seconds

    def attempts(self) -> dict[tuple[str, str], int]:
        """Return the attempts by app and outcome."""
        return dict(self._attempts)

    def retries(self) -> dict[str, int]:
        """Return the attempts that were not the first of their delivery, by app."""
        return dict(self._retries)

    def acks(self, family: HistogramMetricFamily) -> None:
        """Add the times of acknowledgements, by app, to a histogram."""
        for name, acks in dict(self._acks).items():
            total, shown = 0, []
            for bound, number in zip((*map(str, BUCKETS), "+Inf"), tuple(acks.buckets), strict=True):
                total += number
                shown.append((bound, total))
            family.add_metric([name], shown, acks.seconds)


@dataclass(frozen=True)
class Sources:
    """Where the other numbers are: all functions can be called from any thread."""

    apps: Callable[[], Iterable[str]]
    accepted: Callable[[], Mapping[str, int]]
    counts: Callable[[], Mapping[str, Mapping[str, int]]]
    lanes: Callable[[], Mapping[str, Lane]]
    health: Callable[[], Health]
    ready: Callable[[], bool]


class Metrics:
    """The metrics of a service, in a registry of their own."""

    def __init__(self, tally: Tally, sources: Sources) -> None:
        from prometheus_client import CollectorRegistry, ProcessCollector

        self._tally, self._sources = tally, sources
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def render(self) -> tuple[bytes, str]:
        """Return everything in Prometheus' text format, and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def collect(self) -> Iterable[Metric]:
        """Yield all metrics; those of the database only if it answers."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        sources = self._sources
        apps = list(sources.apps())
        attempts = CounterMetricFamily(f"{PREFIX}_attempts", "Attempts by outcome.", labels=("app", "outcome"))
        made = {(name, outcome.value): 0 for name in apps for outcome in Outcome} | self._tally.attempts()
        for (name, outcome), number in made.items():
            attempts.add_metric([name, outcome.replace(" ", "_")], number)
        yield attempts
        yield _counter(
            "retries", "Attempts that repeated an earlier one of their delivery.", self._tally.retries(), apps
        )
        yield _counter("accepted", "Deliveries accepted since the start.", sources.accepted(), apps)
        acks = HistogramMetricFamily(
            f"{PREFIX}_ack_seconds", "Seconds until a delivery was acknowledged.", labels=("app",)
        )
        self._tally.acks(acks)
        yield acks
        lanes = sources.lanes()
        flying = {name: lane.in_flight for name, lane in lanes.items()}
        yield _gauge("in_flight", "Requests under way.", flying)
        paused = {name: int(lane.paused_until is not None) for name, lane in lanes.items()}
        yield _gauge("paused", "Whether nothing is sent after many time-outs in a row.", paused)
        yield from self._of_ledger()
        info = GaugeMetricFamily(f"{PREFIX}_build_info", "The release.", labels=("version", "python"))
        info.add_metric([version("im-callback-conformance"), platform.python_version()], 1)
        yield info

    def _of_ledger(self) -> Iterable[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        health = self._sources.health()
        yield GaugeMetricFamily(f"{PREFIX}_ready", "Whether it accepts and delivers.", value=self._sources.ready())
        yield GaugeMetricFamily(f"{PREFIX}_ledger_queued_rows", "Rows that wait to be written.", value=health.queued)
        yield GaugeMetricFamily(
            f"{PREFIX}_ledger_failing_seconds", "For how long writing has failed.", value=health.failing_seconds or 0
        )
        yield CounterMetricFamily(f"{PREFIX}_ledger_rows", "Rows written since the start.", value=health.rows)
        yield CounterMetricFamily(f"{PREFIX}_ledger_groups", "Commits since the start.", value=health.groups)
        yield CounterMetricFamily(
            f"{PREFIX}_ledger_refused_rows", "Attempts that the database would not take.", value=health.refused
        )
        try:
            counts = self._sources.counts()
        except LedgerError:
            return
        deliveries = GaugeMetricFamily(f"{PREFIX}_deliveries", "Deliveries by state.", labels=("app", "state"))
        nothing = dict.fromkeys(STATES, 0)
        by_app = dict.fromkeys(self._sources.apps(), nothing) | dict(counts)
        for name, states in by_app.items():
            for state, number in states.items():
                deliveries.add_metric([name, state], number)
        yield deliveries
        parked = {name: states["parked"] for name, states in by_app.items()}
        yield _gauge("backlog", "Deliveries parked for manual synchronisation.", parked)


def _counter(name: str, meaning: str, values: Mapping[str, int], apps: Iterable[str]) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(f"{PREFIX}_{name}", meaning, labels=("app",))
    for app, value in (dict.fromkeys(apps, 0) | dict(values)).items():
        family.add_metric([app], value)
    return family


def _gauge(name: str, meaning: str, values: Mapping[str, int]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(f"{PREFIX}_{name}", meaning, labels=("app",))
    for app, value in values.items():
        family.add_metric([app], value)
    return family
