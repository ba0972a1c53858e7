"""What Prometheus reads: counted cheaply where it happens, put together when it is asked for."""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from math import inf
from typing import TYPE_CHECKING

from im_callback.provider_mock.contract import Outcome
from im_callback.provider_mock.delivery.app import App
from im_callback.provider_mock.delivery.lane import LaneView
from im_callback.provider_mock.delivery.ledger import STATES, Done, Health, LedgerError, Waiting
from im_callback.provider_mock.server.errors import Unavailable
from im_callback.provider_mock.server.models import OUTCOMES

if TYPE_CHECKING:
    from prometheus_client.core import HistogramMetricFamily, Metric

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
"""Upper bounds in seconds, up to the longest of the providers' deadlines."""
PREFIX = "provider_mock"
RETRY, FAULT, REDELIVERY = "retry", "fault", "redelivery"
KINDS = (RETRY, FAULT, REDELIVERY)
"""Why a delivery was attempted more than once: by the provider's policy, by a fault's plan, or because somebody
redelivered or released it."""


@dataclass
class _Acks:
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0


class AttemptCounts:
    """Counts attempts: `count` is called from the engine's thread alone, tens of thousands of times a second."""

    def __init__(self) -> None:
        self._attempts: dict[tuple[str, str], int] = {}
        self._retries: dict[tuple[str, str], int] = {}
        self._acks: dict[str, _Acks] = {}

    def count(self, app: App, waiting: Waiting, done: Done) -> None:
        """Count one attempt that is on record, or will be with the next group."""
        name, outcome = app.name, done.outcome
        key = (name, outcome)
        self._attempts[key] = self._attempts.get(key, 0) + 1
        if done.number > 1:
            key = (name, _kind(waiting))
            self._retries[key] = self._retries.get(key, 0) + 1
        if outcome == Outcome.ACKED.value:
            acks = self._acks.get(name)
            if acks is None:
                acks = self._acks[name] = _Acks()
            acks.buckets[bisect_left(BUCKETS, done.seconds)] += 1
            acks.seconds += done.seconds

    def attempts(self) -> dict[tuple[str, str], int]:
        """Return the attempts by app and outcome."""
        return dict(self._attempts)

    def retries(self) -> dict[tuple[str, str], int]:
        """Return the attempts that were not the first of their delivery, by app and by what repeated it."""
        return dict(self._retries)

    def ack_times(self, name: str) -> list[tuple[float, int]]:
        """Return how many of an app's acknowledgements took up to so many seconds, and longer than those before."""
        acks = self._acks.get(name)
        return [] if acks is None else list(zip((*BUCKETS, inf), tuple(acks.buckets), strict=True))

    def acks(self, family: HistogramMetricFamily) -> None:
        """Add the times of acknowledgements, by app, to a histogram."""
        for name, acks in dict(self._acks).items():
            total, shown = 0, []
            for bound, number in zip((*map(str, BUCKETS), "+Inf"), tuple(acks.buckets), strict=True):
                total += number
                shown.append((bound, total))
            family.add_metric([name], shown, acks.seconds)


def _kind(waiting: Waiting) -> str:
    """Return why a delivery is attempted once more: as it was when this attempt, or its plan, began."""
    if waiting.plan is not None and not waiting.attempts:
        return FAULT
    return RETRY if waiting.attempts > waiting.earlier else REDELIVERY


@dataclass(frozen=True)
class Sources:
    """Where the other numbers are: all functions can be called from any thread."""

    apps: Callable[[], Iterable[str]]
    ready_apps: Callable[[], Mapping[str, bool]]
    accepted: Callable[[], Mapping[str, int]]
    counts: Callable[[], Mapping[str, Mapping[str, int]]]
    lanes: Callable[[], Mapping[str, LaneView]]
    health: Callable[[], Health]
    ready: Callable[[], bool]


class Metrics:
    """The metrics of a service, in a registry of their own."""

    def __init__(self, counts: AttemptCounts, sources: Sources) -> None:
        from prometheus_client import CollectorRegistry, ProcessCollector

        self._counts, self._sources = counts, sources
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def render(self) -> tuple[bytes, str]:
        """Return everything in Prometheus' text format, and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def collect(self) -> Iterable[Metric]:
        """Yield all metrics; those of the database only if it answers within a second."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        sources = self._sources
        apps = list(sources.apps())
        attempts = CounterMetricFamily(
            f"{PREFIX}_attempts",
            "Attempts since the start, by outcome. All but the not_sent ones are requests.",
            labels=("app", "outcome"),
        )
        made = {(name, outcome): 0 for name in apps for outcome in OUTCOMES} | self._counts.attempts()
        for (name, outcome), number in made.items():
            attempts.add_metric([name, outcome.replace(" ", "_")], number)
        yield attempts
        retries = CounterMetricFamily(
            f"{PREFIX}_retries",
            "Those of the attempts that were not the first of their delivery, by what repeated it: "
            "the provider's policy (retry), a fault, or a redelivery or release.",
            labels=("app", "kind"),
        )
        for (name, kind), number in (
            {(name, kind): 0 for name in apps for kind in KINDS} | self._counts.retries()
        ).items():
            retries.add_metric([name, kind], number)
        yield retries
        yield _counter(
            "accepted", "Deliveries accepted since the start, repeated calls left out.", sources.accepted(), apps
        )
        acks = HistogramMetricFamily(
            f"{PREFIX}_ack_seconds", "Seconds that the acknowledged attempts took.", labels=("app",)
        )
        self._counts.acks(acks)
        yield acks
        lanes = sources.lanes()
        flying = {name: lane.in_flight for name, lane in lanes.items()}
        yield _gauge("in_flight", "Requests under way, and those whose outcome could not be recorded yet.", flying)
        paused = {name: int(lane.paused_until is not None) for name, lane in lanes.items()}
        yield _gauge("paused", "Whether nothing is sent after many time-outs in a row.", paused)
        switched_off = {name: int(lane.switched_off_at is not None) for name, lane in lanes.items()}
        yield _gauge("switched_off", "Whether nothing is sent any more after give_up_hours of failures.", switched_off)
        here = {name: int(lane.here) for name, lane in lanes.items()}
        yield _gauge(
            "app_delivered_here", "Whether this process delivers for it, of those that share a database.", here
        )
        ready = {name: int(one) for name, one in sources.ready_apps().items()}
        yield _gauge(
            "app_ready", "Whether its deliveries can be sent; else they wait, and its not_ready says why.", ready
        )
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
        except (LedgerError, Unavailable):
            return
        deliveries = GaugeMetricFamily(
            f"{PREFIX}_deliveries",
            "Deliveries on record by state, as of some seconds ago at most.",
            labels=("app", "state"),
        )
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
