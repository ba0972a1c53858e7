"""Scenarios: phases that follow one another in the server's time, each with its traffic and its faults."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from math import isfinite
from random import SystemRandom
from typing import Any, Literal

from im_callback.provider_mock.delivery.clock import RealClock, utc_millis
from im_callback.provider_mock.delivery.ledger import LedgerError
from im_callback.provider_mock.server import settings as checked
from im_callback.provider_mock.server.errors import Conflict, Invalid, NotFound, Objection, ServiceError, Unavailable
from im_callback.provider_mock.server.options import FASTEST
from im_callback.provider_mock.server.registry import Registry
from im_callback.provider_mock.server.runs import Runs

log = logging.getLogger("im_callback.provider_mock.server")

MOST_PHASES = 50
LONGEST = 30 * 86400.0
"""Seconds of a phase."""
REMEMBERED = 100
_LOOK, _SOON = 0.05, 0.005
"""Seconds after which the clock is looked at again at most, as somebody may have moved it, and at least."""

ScenarioStatus = Literal["running", "finished", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class Phase:
    """For `seconds` of the server's time, `rate` deliveries a second of it are accepted, and `faults` disturb all of the app's."""

    name: str
    seconds: float
    rate: float = 0.0
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Played:
    """A phase with when it began and ended, in the server's time, and the traffic run that belongs to it."""

    phase: Phase
    began_at: int | None = None
    ended_at: int | None = None
    run: int | None = None


@dataclass(frozen=True, slots=True)
class ScenarioView:
    """A scenario. `name` is the one of the configuration file, if it comes from there."""

    id: int
    app: str
    name: str | None
    seed: int
    status: ScenarioStatus
    phases: tuple[Played, ...]
    error: str | None = None


@dataclass
class _Scenario:
    view: ScenarioView
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    usual: tuple[str, ...] = ()
    """The app's faults without those of a phase."""
    given: tuple[str, ...] | None = None
    """The faults that the app was given last."""

    def change(self, **values: Any) -> None:
        self.view = replace(self.view, **values)

    def played(self, index: int, **values: Any) -> None:
        phases = list(self.view.phases)
        phases[index] = replace(phases[index], **values)
        self.change(phases=tuple(phases))


class Scenarios:
    """The scenarios of a service. `named` are those of the configuration file."""

    def __init__(
        self, registry: Registry, runs: Runs, clock: RealClock, named: Mapping[str, Sequence[Phase]] | None = None
    ) -> None:
        self._registry, self._runs, self._clock, self.named = registry, runs, clock, named or {}
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._scenarios: dict[int, _Scenario] = {}
        self._closing = False

    def start(
        self,
        app: str,
        phases: Sequence[Phase] = (),
        *,
        name: str | None = None,
        seed: int | None = None,
    ) -> ScenarioView:
        """Play phases one after the other, or those of the configuration file with this name; return the scenario as it starts.

        The faults come after the app's own, and are gone afterwards, also after a restart of the server. Raises NotFound,
        Invalid, Conflict if the app is not ready or has a scenario that runs, and Unavailable while the server stops.
        """
        entry = self._registry.entry(app)
        if name is not None:
            if name not in self.named:
                fix = "name one of the configuration file, or give phases"
                raise Invalid.of("/scenario", f"there is no scenario {name[:80]!r}", fix)
            phases = self.named[name]
        if found := problems(phases):
            raise Invalid(found)
        for index, phase in enumerate(phases):
            if phase.rate * self._clock.scale > FASTEST:
                problem = (
                    f"with a clock that is {self._clock.scale:g} times as fast it is {phase.rate * self._clock.scale:g}"
                )
                raise Invalid.of(f"/phases/{index}/rate", f"{problem} a second", f"{FASTEST:g} are the most")
        if entry.app is None:
            raise Conflict.of("app", f"the app {app} is not ready ({entry.not_ready})", "make it ready first")
        with self._lock:
            if self._closing:
                raise Unavailable.of("", "the server is stopping", "try again when it is back")
            if self._running(app):
                raise Conflict.of("app", f"a scenario of {app} runs", "stop it, or wait for its end")
            number = SystemRandom().randrange(2**32) if seed is None else seed
            played = tuple(map(Played, phases))
            one = _Scenario(ScenarioView(next(self._numbers), app, name, number, "running", played))
            self._scenarios[one.view.id] = one
            over = [each for each in self._scenarios.values() if each.view.status != "running"]
            for each in over[: max(0, len(self._scenarios) - REMEMBERED)]:
                del self._scenarios[each.view.id]
            one.thread = threading.Thread(target=self._go, args=(one,), name=f"scenario-{one.view.id}", daemon=True)
            one.thread.start()
        return one.view

    def list(self) -> list[ScenarioView]:
        """Return the scenarios, newest first; of those that are over only the last ones."""
        with self._lock:
            return [one.view for one in reversed(self._scenarios.values())]

    def get(self, scenario_id: int) -> ScenarioView:
        """Return one scenario; NotFound."""
        return self._find(scenario_id).view

    def stop(self, scenario_id: int) -> ScenarioView:
        """Play no further, take the faults away, and return the scenario as it ended; NotFound."""
        one = self._find(scenario_id)
        one.stop.set()
        if one.thread is not None:
            one.thread.join()
        return one.view

    def stop_of(self, app: str) -> None:
        """Stop the scenario of an app, if one runs."""
        for view in self.list():
            if view.app == app and view.status == "running":
                self.stop(view.id)

    def running(self, app: str | None = None) -> bool:
        """Return whether a scenario of an app (None: of any) runs."""
        with self._lock:
            return self._running(app)

    def close(self) -> None:
        """Stop all scenarios."""
        with self._lock:
            self._closing = True
        for view in self.list():
            self.stop(view.id)

    def _running(self, app: str | None) -> bool:
        return any(one.view.status == "running" and app in (None, one.view.app) for one in self._scenarios.values())

    def _find(self, scenario_id: int) -> _Scenario:
        with self._lock:
            try:
                return self._scenarios[scenario_id]
            except KeyError:
                fix = "see the list of scenarios"
                raise NotFound.of("scenario", f"there is no scenario {scenario_id}", fix) from None

    def _go(self, one: _Scenario) -> None:
        status: ScenarioStatus = "failed"
        try:
            status = "finished" if all(self._play(one, index) for index in range(len(one.view.phases))) else "stopped"
        except (ServiceError, LedgerError) as error:
            one.change(error=str(error))
        except Exception as error:
            one.change(error=f"our own error, {type(error).__name__}; it is in the log")
            log.exception("a scenario failed", extra={"event": "scenario-failed", "fields": {"scenario": one.view.id}})
        with suppress(ServiceError):  # the app may be gone
            self._disturb(one, ())
        one.change(status=status)
        fields = {"scenario": one.view.id, "app": one.view.app, "status": status}
        log.info("a scenario has ended", extra={"event": "scenario-ended", "fields": fields})

    def _play(self, one: _Scenario, index: int) -> bool:
        """Play a phase; return whether it came to its end."""
        phase, scale = one.view.phases[index].phase, self._clock.scale
        if one.stop.is_set():
            return False
        self._disturb(one, phase.faults)
        began = self._clock.now()
        run = None
        if phase.rate:
            seconds, seed = phase.seconds / scale, one.view.seed + index
            run = self._runs.start(one.view.app, rate=phase.rate * scale, duration=seconds, seed=seed).id
        one.played(index, began_at=began, run=run)
        end = began + round(phase.seconds * 1000)
        try:
            while (left := end - self._clock.now()) > 0 or self._nearly_over(run):
                if one.stop.wait(min(_LOOK, max(_SOON, left / 1000 / self._clock.scale))):
                    return False
                if run is not None and (view := self._runs.get(run)).status == "failed":
                    raise Conflict.of("", f"its traffic failed: {view.error}", "see the run")
            return True
        finally:
            if run is not None:
                self._runs.stop(run)
            one.played(index, ended_at=self._clock.now())

    def _nearly_over(self, run: int | None) -> bool:
        """Return whether a run is about to end by itself, so that it is not cut off a moment before."""
        if run is None:
            return False
        view = self._runs.get(run)
        return view.status == "running" and view.ends_at < utc_millis() + 1000

    def _disturb(self, one: _Scenario, faults: tuple[str, ...]) -> None:
        """Give the app its usual faults and those of a phase; what somebody else has set meanwhile is the usual now."""
        now = self._registry.entry(one.view.app).faults
        if one.given is None or now != one.given:
            one.usual = now
        one.given = (*one.usual, *faults)
        if one.given != now:
            self._registry.set_faults(one.view.app, one.given, stored=False)


def problems(phases: Sequence[Phase]) -> list[Objection]:
    """Return what is wrong with phases; fields are JSON Pointers."""
    found = []
    if not 1 <= len(phases) <= MOST_PHASES:
        found.append(Objection("/phases", f"there are {len(phases)}", f"give 1 to {MOST_PHASES}"))
    for index, phase in enumerate(phases):
        place = f"/phases/{index}"
        if not (isfinite(phase.seconds) and 0 < phase.seconds <= LONGEST):
            fix = f"give more than 0, up to {LONGEST:g}"
            found.append(Objection(f"{place}/seconds", f"{phase.seconds:g} is not possible", fix))
        if not (isfinite(phase.rate) and 0 <= phase.rate <= FASTEST):
            fix = f"give deliveries a second, up to {FASTEST:g}"
            found.append(Objection(f"{place}/rate", f"{phase.rate:g} is not possible", fix))
        found += [replace(one, field=f"{place}{one.field}") for one in checked.fault_problems(phase.faults)]
    return found
