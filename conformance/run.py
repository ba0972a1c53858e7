"""One run against one receiver: what the checks send, and how they look at what became of it.

A check gets a `Run` and uses it as the provider would use the network: it takes events, sends
them (validly or not), and looks at the effects. Everything sent is in the history; what was sent
only in a form the provider would never send is remembered as forbidden.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from conformance.judge import Effects, Matcher, Occurrence, Record, occurrences_of, text
from conformance.preflight import Preflight
from conformance.verdict import CouldNotRun, Failed, Level, NotApplicable
from provider_mock.contract import DOCUMENTED, Credentials, Event, Outcome, Provider, Request, Stamp
from provider_mock.delivery.client import Client
from provider_mock.delivery.clock import utc_millis
from provider_mock.delivery.courier import Courier
from provider_mock.history import Attempt, History, Shot
from provider_mock.traffic.identity import Identities
from provider_mock.wire import Wire
from schemas import EventType

ReadEffects = Callable[[], Sequence[Record]]
Change = Callable[[Request], Request]

PATIENCE = 3
SHORTEST_PAUSE, LONGEST_PAUSE = 0.01, 0.25


class EffectsError(Exception):
    """The effects could not be read: `reason` says why, `fix` what to do."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(f"{reason}. {fix}")
        self.reason = reason
        self.fix = fix


@dataclass(frozen=True)
class Settings:
    """What the user asked for. `settle` is how many seconds effects may take to appear."""

    url: str
    provider: Provider
    credentials: Credentials
    seed: int
    settle: float = 5.0
    level: Level = Level.SHOULD
    handles: tuple[str, ...] | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca_file: Path | None = None
    allow_incomplete: bool = False
    baseline: Mapping[str, str] = field(default_factory=dict)


class Run:
    """A run in progress. `read_effects` returns the application's records, or is None without effects."""

    def __init__(self, settings: Settings, read_effects: ReadEffects | None = None) -> None:
        self.settings = settings
        self.provider = settings.provider
        self.read_effects = read_effects
        self.random = Random(settings.seed)
        self.ids = Identities(self.random, utc_millis())
        client = Client(self.provider.deadline, extra_headers=settings.headers, ca_file=settings.ca_file)
        self.courier = Courier(self.provider, client)
        self.matcher = Matcher(self.provider.catalogue)
        self.handled: tuple[EventType, ...] = ()
        self.preflight = Preflight(self)
        self._sent_validly: set[Occurrence] = set()
        self._sent_badly: dict[Occurrence, Level] = {}
        self._refusable: list[tuple[Attempt, Level]] = []
        self.binding = Level.MUST
        """How binding the check is that is running now."""
        self.indistinct: set[Occurrence] = set()
        """What was sent without the fields that tell it from others; nothing can be said about its effects."""

    @property
    def history(self) -> History:
        """Every attempt of the run so far."""
        return self.courier.history

    @property
    def documented(self) -> list[EventType]:
        """The event types that have documented samples."""
        return [one for one in self.provider.catalogue if one.examples]

    @property
    def subject(self) -> EventType:
        """The event type to show a general rule with: one the receiver records, if effects show one."""
        candidates = self.handled or tuple(self.documented)
        return next((one for one in candidates if one.items is None and one.identity), candidates[0])

    def event(
        self,
        event_type: EventType | None = None,
        payload: Mapping[str, Any] | None = None,
        *,
        keep: Iterable[str] = (),
        values: Mapping[str, Any] | None = None,
    ) -> Event:
        """Return a fresh event: by default the first documented sample of the subject, with a new identity."""
        event_type = event_type or self.subject
        sample = event_type.examples[0] if payload is None else payload
        return self.ids.fresh(event_type, sample, keep=tuple(keep), values=values)

    def checked(self, event: Event) -> Event:
        """Return the event if it is valid by its own schema; else the fault is ours."""
        problems = self.provider.catalogue[event.type].problems(event.payload)
        if problems:
            raise AssertionError(f"we made an invalid {event.type}: {problems[0]}")
        return event

    def handled_type(self, *names: str) -> list[EventType]:
        """Return the named event types, if the receiver records them all; else the check does not apply."""
        missing = [name for name in names if name not in [one.name for one in self.handled]]
        if missing:
            raise NotApplicable(f"the receiver does not record {', '.join(missing)}")
        return [self.provider.catalogue[name] for name in names]

    def stamp(self, shift_millis: int = 0) -> Stamp:
        """Return a new stamp: now, or so many milliseconds away from it."""
        return Stamp(utc_millis() + shift_millis, f"{self.random.getrandbits(48)}")

    def shot(
        self,
        *events: Event,
        wire: Wire = DOCUMENTED,
        stamp: Stamp | None = None,
        credentials: Credentials | None = None,
        change: Change | None = None,
        forged: bool = False,
        note: str = "",
    ) -> Shot:
        """Return the signed request for the events, changed after signing by `change`.

        A `forged` shot is one that the provider would never send: its events must leave no
        effect unless they are also sent validly.
        """
        for event in events:
            self.checked(event)
        used = credentials or self.settings.credentials
        signed = self.provider.request(events, self.settings.url, used, stamp or self.stamp(), wire)
        request = change(signed) if change else signed
        return Shot(request, signed, events, used, forged=forged, note=note)

    def raw(self, body: bytes, *, events: Sequence[Event] = (), command: str = "", note: str = "") -> Shot:
        """Return a correctly signed request for a body that the provider would not send.

        `events` are what it was made from; they must leave no effect. `command` is the code that the
        URL names, by default the subject's.
        """
        code = command or self.subject.code
        signed = self.provider.sign(body, code, self.settings.url, self.settings.credentials, self.stamp())
        return Shot(signed, signed, tuple(events), self.settings.credentials, broken=True, note=note)

    def probe(self) -> Shot | None:
        """Return the handshake that the provider's console sends, if it documents one."""
        request = self.provider.probe(self.settings.url, self.settings.credentials, self.stamp())
        if request is None:
            return None
        return Shot(request, request, (), self.settings.credentials, note="the console's address probe")

    def send(self, *shots: Shot) -> list[Attempt]:
        """Send the shots, all at once; return their attempts in the same order."""
        for shot in shots:
            self.matcher.add(shot.events)
            occurrences = self.occurrences(*shot.events)
            if shot.valid:
                self._sent_validly.update(occurrences)
            else:
                self._sent_badly.update(dict.fromkeys(occurrences, self.binding))
        attempts = self.courier.send(shots)
        self._refusable += [(attempt, self.binding) for attempt in attempts if attempt.shot.forged]
        return attempts

    def send_each(self, shots: Iterable[Shot]) -> list[Attempt]:
        """Send the shots one after the other.

        The rest is not sent after three time-outs in a row: a receiver that hangs has then shown it.
        """
        attempts: list[Attempt] = []
        for shot in shots:
            attempts += self.send(shot)
            last = attempts[-PATIENCE:]
            if len(last) == PATIENCE and all(attempt.outcome is Outcome.TIMED_OUT for attempt in last):
                break
        return attempts

    def deliver(self, *events: Event, wire: Wire = DOCUMENTED, note: str = "") -> Attempt:
        """Send one request with the events as the provider would."""
        return self.send(self.shot(*events, wire=wire, note=note))[0]

    def again(self, attempt: Attempt, *, afresh: bool = False, note: str = "the same delivery again") -> Shot:
        """Return the same delivery once more: byte for byte, or signed afresh."""
        if afresh:
            return self.shot(*attempt.shot.events, note=note)
        return replace(attempt.shot, note=note)

    def must_ack(self, attempts: Iterable[Attempt], what: str) -> None:
        """Fail unless every attempt was acknowledged."""
        refused = [attempt for attempt in attempts if not attempt.acked]
        if refused:
            first = refused[0]
            detail = f" ({first.shot.note})" if first.shot.note else ""
            raise Failed(
                f"{what} acknowledged",
                f"{first.outcome.value}{detail}: {first.judgement.rule}{_more(refused)}",
                refused,
            )

    def occurrences(self, *events: Event) -> list[Occurrence]:
        """Return what the events say happened."""
        return [one for event in events for one in occurrences_of(self.provider.catalogue[event.type], event)]

    def records(self) -> Sequence[Record]:
        """Return the application's records as they are now; could-not-run if they cannot be read."""
        if self.read_effects is None:
            raise CouldNotRun("no effects given", "Give --receiver-effects=… or override the fixture receiver_effects")
        try:
            return self.read_effects()
        except EffectsError as error:
            raise CouldNotRun(f"the effects could not be read: {error.reason}", error.fix) from error

    def effects(self) -> Effects:
        """Return the effects as they are now, matched to what was sent."""
        return self.matcher.match(self.records())

    def settle(self, done: Callable[[Effects], bool]) -> Effects:
        """Return the effects as soon as `done` holds for them, or when the settle time has passed."""
        deadline = time.monotonic() + self.settings.settle
        pause = SHORTEST_PAUSE
        while True:
            effects = self.effects()
            left = deadline - time.monotonic()
            if done(effects) or left <= 0:
                return effects
            time.sleep(min(pause, left))
            pause = min(pause * 2, LONGEST_PAUSE)

    def shown(self, events: Iterable[Event]) -> Effects:
        """Return the effects once everything in the events shows, or the settle time has passed."""
        due = self.occurrences(*self.recorded(events))
        return self.settle(lambda effects: all(effects.count(one) for one in due))

    def recorded(self, events: Iterable[Event]) -> list[Event]:
        """Return those of the events that the effects must show: of a recorded type, and no removal or failure."""
        types = {one.name: one for one in self.handled}
        return [
            event
            for event in events
            if event.type in types
            and types[event.type].removal(event.payload) is None
            and not self.provider.failed(event.payload)
        ]

    def must_show(self, attempts: Sequence[Attempt], what: str) -> Effects:
        """Fail unless every delivered event of a recorded type has its effect.

        Without effects, or when the receiver records nothing, there is nothing to look at.
        """
        if not self.handled:
            return Effects()
        effects = self.shown(event for attempt in attempts for event in attempt.shot.events)
        for attempt in attempts:
            missing = [one for one in self.occurrences(*self.recorded(attempt.shot.events)) if not effects.count(one)]
            if missing:
                note = f" ({attempt.shot.note})" if attempt.shot.note else ""
                raise Failed(
                    f"{what} shows in the effects within {self.settings.settle:g} s",
                    f"acknowledged{note}, but no effect of {missing[0]}",
                    [attempt],
                )
        return effects

    def barrier(self) -> Effects:
        """Deliver one more valid event and wait for its effect: what came before has then been worked off.

        Returns the effects at that moment. Without effects, or when the receiver records nothing,
        there is nothing to wait for.
        """
        if not self.handled:
            return Effects()
        attempt = self.deliver(self.event(self.handled[0]), note="a valid delivery, sent to see the others worked off")
        if not attempt.acked:
            raise CouldNotRun(
                f"a valid delivery in between was not acknowledged: {attempt.judgement.rule}",
                "See preflight.accepts-valid",
                [attempt],
            )
        effects = self.shown(attempt.shot.events)
        if not all(effects.count(one) for one in self.occurrences(*attempt.shot.events)):
            raise CouldNotRun(
                f"a valid delivery in between did not show within {self.settings.settle:g} s",
                "Raise --receiver-settle, or see preflight.effects-show-delivery",
                [attempt],
            )
        return effects

    def forbidden(self, level: Level) -> set[Occurrence]:
        """Return what was sent only in ways in which the provider never sends, by checks at least so binding."""
        return {one for one, binding in self._sent_badly.items() if binding.gates(level)} - self._sent_validly

    def refusable(self, level: Level) -> list[Attempt]:
        """Return the attempts that had to be refused, by checks at least so binding."""
        return [attempt for attempt, binding in self._refusable if binding.gates(level)]


def shorten(value: Any, limit: int = 160) -> str:
    """Return a value as text that fits on a line."""
    shown = text(value) if not isinstance(value, Mapping) else text(dict(value))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _more(refused: Sequence[Attempt]) -> str:
    return f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
