"""One run against one receiver: what the checks send, and how they look at what became of it.

A check gets a `Run` of its own and uses it as the provider would use the network: it takes events,
sends them (validly or not), and looks at the effects. Everything sent is in the history that all
share; what was sent only in a form the provider would never send is remembered as forbidden.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from im_callback.conformance.around.command import Receiver, port_of
from im_callback.conformance.around.command import said as status_said
from im_callback.conformance.around.downstream import Downstream
from im_callback.conformance.effects import ReadEffects
from im_callback.conformance.judge import AmbiguousRecord, Effects, Occurrence, occurrences_of, superseded
from im_callback.conformance.looking import LONGEST_PAUSE, Looking
from im_callback.conformance.network import connects
from im_callback.conformance.sent import Sent
from im_callback.conformance.settings import Settings
from im_callback.conformance.shared import Found, one_by_one
from im_callback.conformance.verdict import CouldNotRun, Failed, Gone, Level, NotApplicable, Outside
from im_callback.conformance.words import more_of, note_of, notes_of, refusal, said_of
from im_callback.provider_mock.contract import (
    Credentials,
    Event,
    Feed,
    NoReply,
    Outcome,
    Parameter,
    Request,
    Stamp,
    Tried,
)
from im_callback.provider_mock.delivery.changes import CannotChange, Change, Way, judged, made
from im_callback.provider_mock.delivery.clock import utc_millis
from im_callback.provider_mock.delivery.courier import Courier, ignored
from im_callback.provider_mock.delivery.sockets.client import Client
from im_callback.provider_mock.history import Attempt, History, Shot
from im_callback.provider_mock.traffic.identity import Identities
from im_callback.provider_mock.wire import Wire
from im_callback.schemas import MISSING, EventType, resolve

Alter = Callable[[Request], Request]
T = TypeVar("T")

PATIENCE = 3
QUESTIONS = 5
"""How many are asked until one is let through, where the answer decides whether it shows."""
GONE_SECONDS = 3.0
"""How long nobody may listen before the receiver counts as gone: a supervisor may be starting it again."""


class Run(Looking):
    """A run in progress, as one of its checks sees it. `read_effects` returns the application's records, or is None."""

    def __init__(self, settings: Settings, read_effects: ReadEffects | None = None) -> None:
        super().__init__(settings, read_effects)
        self.provider = settings.provider
        self.feeds = settings.arriving
        self._feed = self.feeds[0]
        self.random = Random(settings.seed)
        self.ids = Identities(self.random, utc_millis(), run=settings.run, accounts=settings.accounts)
        longest = max(feed.deadline for feed in self.feeds)
        client = Client(longest, extra_headers=settings.headers, ca_file=settings.ca_file)
        self.courier = Courier(client, rate=settings.rate)
        self.kept: dict[str, frozenset[str]] = {}
        """By event type, the variants that the receiver records; one without variants has the variant ''."""
        self.models: dict[str, Mapping[str, Any]] = {}
        """By event type, a payload of a kind that the receiver records."""
        self.sent = Sent(self.occurrences, self.provider.feed_of, self._feed)
        self._found: dict[Feed, Found] = {}
        self.binding = Level.MUST
        """How binding the check is that is running now."""
        self.causes: dict[str, tuple[str, Level]] = {}
        """By cause, the id and level of the check that has shown it first."""
        self.notes: list[str] = list(settings.notes)
        """What the user should know although no check failed for it."""
        self.receiver: Receiver | None = None
        """The receiver's process, where we start it ourselves."""
        self.downstream: Downstream | None = None
        """The proxy in front of its store, if one is named."""
        self.not_started = ""
        """Why the receiver's command did not bring it up, if it did not."""
        self.disturbed = False
        """Whether we are just ending the receiver, or cutting its store: that it does not answer then says nothing."""

    def given(self, option: str) -> bool:
        """Return whether what an option opens around the receiver is there; nothing is asked for by no option."""
        return {"": True, "command": self.receiver is not None, "downstream": self.downstream is not None}[option]

    @property
    def feed(self) -> Feed:
        """The feed that is judged."""
        return self._feed

    def at(self, feed: Feed, check: str = "", binding: Level | None = None) -> Run:
        """Return the same run for another check, or at another feed: what is random is then its own."""
        other = copy.copy(self)
        other._feed, other.binding = feed, binding or self.binding  # noqa: SLF001
        other.random = Random(f"{self.settings.seed} {check} {feed.name}")
        other.sent = self.sent.at(feed)
        return other

    @property
    def several(self) -> bool:
        """Whether several feeds arrive at the address."""
        return len(self.feeds) > 1

    @property
    def found(self) -> Found:
        """What preflight has found out about the feed."""
        return self._found.setdefault(self._feed, Found())

    @property
    def handled(self) -> tuple[EventType, ...]:
        """The event types of the feed that the receiver records, as far as is known."""
        return tuple(one for one in self.documented if one.name in self.models)

    @property
    def history(self) -> History:
        """Every attempt of the run so far."""
        return self.courier.history

    @property
    def documented(self) -> list[EventType]:
        """The event types of the feed that have documented samples."""
        return [one for one in self.feed.event_types if one.examples]

    @property
    def subject(self) -> EventType:
        """The event type to show a general rule with: one the receiver records, if effects show one."""
        candidates = self.handled or tuple(self.documented)
        plain = [one for one in candidates if one.items is None and one.identity]
        # A recall says little, and is about something else.
        return next((one for one in plain if one.recall is None), [*plain, *candidates][0])

    @property
    def sight(self) -> Literal["none", "blind", "clear"]:
        """What effects show: none were given, they were and show nothing that was sent, or they show it.

        What answers decide need not be recorded: the answers are then all there is to see.
        """
        if self.read_effects is None:
            return "none"
        if self.handled:
            return "clear"
        return "none" if self.feed.decides else "blind"

    def must_not_be_blind(self) -> None:
        """End the check as could-not-run where effects were given that show nothing: a status proves nothing then."""
        if self.sight == "blind" and self.models:
            raise NotApplicable(f"the receiver records nothing of the feed {self.feed.name}")
        if self.sight == "blind":
            raise CouldNotRun(
                "effects were given, but nothing that was delivered shows in them, so that nothing can be "
                "concluded from an answer",
                "Mend what preflight.effects-show-delivery says first",
            )

    def event(
        self,
        event_type: EventType | None = None,
        payload: Mapping[str, Any] | None = None,
        *,
        keep: Iterable[str] = (),
        values: Mapping[str, Any] | None = None,
    ) -> Event:
        """Return a fresh event: by default of the subject, of a kind that is recorded, with a new identity."""
        event_type = event_type or self.subject
        model = self.models.get(event_type.name, event_type.examples[0]) if payload is None else payload
        fixed = self.fixed_values(event_type, model)
        made = self.ids.fresh(event_type, model, keep=tuple(keep), values={**(values or {}), **fixed})
        if fixed and not event_type.valid(made.payload):
            # What fits most events of the type need not fit this one.
            return self.ids.fresh(event_type, model, keep=tuple(keep), values=values)
        return made

    def fixed_values(self, event_type: EventType, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values, by pointer, that the user has every event of the type carry."""
        place = f"{event_type.items}/0" if event_type.items is not None else ""
        return {
            one.pointer: one.value
            for one in self.settings.fixed
            if one.type == event_type.name
            or (one.type is None and resolve(payload, place + one.pointer) is not MISSING)
        }

    def is_fixed(self, event_type: EventType, pointer: str) -> bool:
        """Return whether the user has every event of the type carry one value there."""
        return any(one.pointer == pointer and one.type in (None, event_type.name) for one in self.settings.fixed)

    def checked(self, event: Event) -> Event:
        """Return the event if it is valid by its own schema; else the fault is ours."""
        problems = self.provider.catalogue[event.type].problems(event.payload)
        if problems:
            raise AssertionError(f"we made an invalid {event.type}: {problems[0]}")
        return event

    def keeps(self, event: Event) -> bool:
        """Return whether the receiver records events of this type and variant, as far as is known."""
        event_type, kept = self.provider.catalogue[event.type], self.kept.get(event.type, frozenset())
        variant = self.variant_of(event)
        # Of a payload that reports several things, each is recorded by itself.
        return variant in kept or (event_type.items is not None and kept.issuperset(variant.split("+")))

    def stamp(self, shift_millis: int = 0) -> Stamp:
        """Return a new stamp: now, or so many milliseconds away from it."""
        nonce = f"{self.random.getrandbits(48)}"
        return Stamp(utc_millis() + shift_millis, nonce, nonce)

    def wire(self, **changes: Any) -> Wire:
        """Return how the run speaks, with changes by the names of `Wire`'s attributes."""
        return replace(self.settings.wire, **changes)

    def parameter(self, role: str) -> Parameter:
        """Return the signature parameter with this role, as the run spells it."""
        return self.feed.parameter(role, self.settings.wire)

    def shot(
        self,
        *events: Event,
        wire: Wire | None = None,
        stamp: Stamp | None = None,
        credentials: Credentials | None = None,
        change: Change | Alter | None = None,
        donor: Request | None = None,
        forged: bool = False,
        note: str = "",
    ) -> Shot:
        """Return the signed request for the events, changed by `change`: one of the catalogue, or a function.

        Without a note the change says what it is. `donor` is a request that a change takes parameters from.
        What the feed's own rule finds wrong is forged: its events must leave no effect unless they are also
        sent validly. With `forged` so is what no documented rule forbids.
        """
        for event in events:
            self.checked(event)
        feed = self.provider.feed_of(events[0].type)
        used, way = credentials or self.settings.credentials, Way(self.settings.url, wire or self.settings.wire, donor)
        changes = [change] if isinstance(change, Change) else []
        try:
            shot = made(feed, events, used, stamp or self.stamp(), way, changes, note)
        except CannotChange as error:
            raise NotApplicable(str(error)) from error
        if change is not None and not isinstance(change, Change):
            shot = replace(shot, request=change(shot.signed))
        shot = replace(shot, forged=forged)
        return judged(shot, self.settings.credentials, utc_millis()) if change or credentials or stamp else shot

    def raw(self, body: bytes, *, events: Sequence[Event] = (), command: str = "", note: str = "") -> Shot:
        """Return a correctly signed request for a body that the provider would not send.

        `events` are what it was made from; they must leave no effect. `command` is the code that the
        URL names, by default the subject's.
        """
        code = command or self.subject.code
        used, stamp = self.settings.credentials, self.stamp()
        signed = self.feed.sign(body, code, self.settings.url, used, stamp, self.settings.wire)
        return Shot(self.feed, signed, signed, tuple(events), used, stamp, broken=True, note=note)

    def probe(self) -> Shot | None:
        """Return the handshake that the provider's console sends, if it documents one."""
        used, stamp = self.settings.credentials, self.stamp()
        request = self.feed.probe(self.settings.url, used, stamp)
        if request is None:
            return None
        return Shot(self.feed, request, request, (), used, stamp, note="the console's address probe")

    def send(self, *shots: Shot, together: bool = False, noticed: Callable[[Attempt], None] = ignored) -> list[Attempt]:
        """Send the shots at once, with `together` so that their last bytes arrive at one moment.

        `noticed` gets each attempt as soon as its outcome is known, if they do not leave together. Returns their
        attempts in the same order. Raises `Gone` if the receiver is no longer there.
        """
        self.must_be_there()
        for shot in shots:
            self.matcher.add(shot.events)
            self.sent.leaving(shot.events, self.binding, valid=shot.valid)
        attempts = self.courier.together(shots) if together else self.courier.send(shots, noticed)
        self.sent.came_back(attempts, self.binding)
        self._notice_end(attempts)
        return attempts

    def must_be_there(self) -> None:
        """End the check as could-not-run where the receiver went away in the middle of the run."""
        if self.shared.gone:
            raise CouldNotRun(
                f"the receiver went away during {self.shared.gone}", "Start it again; its log says why it ended"
            )

    def _notice_end(self, attempts: Sequence[Attempt]) -> None:
        """Raise `Gone` if the receiver has answered before and nobody listens there any more."""
        self.shared.answered = self.shared.answered or any(not isinstance(a.reply, NoReply) for a in attempts)
        lost = [a for a in attempts if a.outcome is Outcome.UNREACHABLE]
        if self.disturbed or not (lost and self.shared.answered) or self._somebody_listens():
            return
        before = [a for a in self.history if not isinstance(a.reply, NoReply)][-1:]
        if self.receiver is not None and not self.receiver.running:
            how = f"; its process ended with {status_said(self.receiver.status)}"
        else:
            how = ""
        said = (
            f"{how}; the last request that it answered: {before[0].shot.note or 'a valid delivery'}" if before else how
        )
        assert isinstance(lost[0].reply, NoReply)
        raise Gone(
            "the receiver goes on listening",
            f"it went away: {lost[0].reply.detail} ({lost[0].shot.note or 'a valid delivery'}){said}",
            [*before, lost[0]],
            cause="gone",
            fix="Its log says why it ended: an exception that nobody caught, memory, or somebody who stopped it.",
        )

    def _somebody_listens(self) -> bool:
        url = self.settings.url
        # One that we have started and that has ended comes back by us alone.
        ended = self.receiver is not None and not self.receiver.running
        deadline = time.monotonic() + (0 if ended else GONE_SECONDS)
        while time.monotonic() < deadline:
            if connects(urlsplit(url).hostname or "", port_of(url)):
                return True
            time.sleep(LONGEST_PAUSE)
        return False

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

    def deliver(self, *events: Event, wire: Wire | None = None, note: str = "") -> Attempt:
        """Send one request with the events as the provider would."""
        return self.send(self.shot(*events, wire=wire, note=note))[0]

    def own_attempts(self) -> list[Attempt]:
        """Return the attempts that the provider itself could have made, of checks as binding as this one.

        Sends one if there is none.
        """
        if not self.sent.valid(self.binding, blamed=True):
            self.deliver(self.event())
        return self.sent.valid(self.binding, blamed=True)

    def again(
        self, attempt: Attempt, *, afresh: bool = False, wire: Wire | None = None, note: str = "the same delivery again"
    ) -> Shot:
        """Return the same delivery once more: byte for byte, or signed afresh, perhaps written in another way."""
        if afresh or wire is not None:
            before = attempt.shot.stamp
            stamp = self.stamp()
            if before is not None:
                tried = Tried(attempt.outcome, attempt.reply)
                stamp = stamp._replace(delivery=before.delivery, number=before.number + 1, before=tried)
            return self.shot(*attempt.shot.events, wire=wire, stamp=stamp, note=note)
        return replace(attempt.shot, note=note)

    def must_ack(self, attempts: Iterable[Attempt], what: str, *, fix: str = "") -> None:
        """Fail unless every attempt was acknowledged, in the receiver's own words too.

        What came too late is for `within-deadline` to name, if that check binds as much as this one.
        """
        others = [attempt for attempt in attempts if not attempt.acked]
        late = [attempt for attempt in others if attempt.outcome is Outcome.TIMED_OUT]
        if others and len(late) == len(others) and self.binding is Level.MUST:
            raise CouldNotRun(
                f"{what} was not answered in time ({notes_of(late)})", "See acknowledgement.within-deadline", late
            )
        if others:
            first = others[0]
            raise Failed(
                f"{what} acknowledged",
                f"{said_of(first)}{more_of(others)}",
                others,
                cause=refusal(first),
                fix=fix,
            )

    def occurrences(self, *events: Event) -> list[Occurrence]:
        """Return what the events say happened."""
        return [one for event in events for one in occurrences_of(self.provider.catalogue[event.type], event)]

    def each(self, things: Sequence[T], judge: Callable[[T], None]) -> list[Outside | AmbiguousRecord | None]:
        """Judge things whose accounts and rooms cannot meet, at once where they wait; return how each ended, in order.

        Raises `Gone` if the receiver went away, and what is our own error.
        """
        ended: list[Exception | None] = [None] * len(things)

        def part(index: int) -> None:
            try:
                judge(things[index])
            except Exception as error:  # noqa: BLE001 - It is raised once all have ended.
                ended[index] = error

        parts = [partial(part, index) for index in range(len(things))]
        (one_by_one if self.settings.meeting else self.shared.gather)(parts)
        found: list[Outside | AmbiguousRecord | None] = []
        for error in ended:
            if isinstance(error, Gone) or not (error is None or isinstance(error, (Outside, AmbiguousRecord))):
                raise error
            found.append(error)
        return found

    def shown(self, events: Iterable[Event]) -> Effects:
        """Return the effects once everything in the events shows, or the settle time has passed."""
        return self._once_shown(set(self.occurrences(*self.recorded(events))) - self._replaced())

    def _once_shown(self, due: Iterable[Occurrence], seconds: float | None = None) -> Effects:
        return self.settle(lambda effects: all(effects.count(one) for one in due), seconds)

    def recorded(self, events: Iterable[Event]) -> list[Event]:
        """Return those of the events that the effects must show: of a recorded kind, and they happened."""
        return [one for one in events if self.keeps(one) and not self.failed(one) and not self.turned_down(one)]

    def turned_down(self, event: Event) -> bool:
        """Return whether the receiver's own answer stopped an event: whether it then shows is the team's affair."""
        stopped = self.sent.turned_down
        return bool(stopped) and not stopped.isdisjoint(self.occurrences(event))

    def failed(self, event: Event) -> bool:
        """Return whether an event reports that something did not happen."""
        return self.provider.catalogue[event.type].failed(event.payload)

    def must_show(
        self, attempts: Sequence[Attempt], what: str, *, fix: str = "", seconds: float | None = None
    ) -> Effects:
        """Fail unless every delivered event of a recorded kind has its effect, within the settle time or `seconds`.

        Without effects there is nothing to look at. Effects that show nothing at all prove nothing:
        could-not-run.
        """
        self.must_not_be_blind()
        if not self.handled:
            return Effects()
        replaced = self._replaced()
        due = [(a, [one for one in self._due(a) if one not in replaced]) for a in attempts]
        effects = self._once_shown({one for _, ones in due for one in ones}, seconds)
        gone = [(a, missing) for a, ones in due if (missing := [one for one in ones if not effects.count(one)])]
        lost = [a for a, _ in gone]
        if lost:
            raise Failed(
                f"{what} shows in the effects within {self.settings.settle if seconds is None else seconds:g} s",
                f"acknowledged{note_of(lost[0])}, but no effect of {gone[0][1][0]}{more_of(lost)}",
                lost,
                cause=f"lost: {self.kind_of(lost[0].shot.events[0])}",
                fix=fix,
            )
        return effects

    def _replaced(self) -> set[Occurrence]:
        """Return the states that a newer one has replaced: accounts and fields that recur make them share a scope."""
        if not self.settings.meeting:
            return set()
        sent = [event for attempt in self.history if attempt.shot.valid for event in attempt.shot.events]
        return superseded(sent, self.provider.catalogue)

    def _due(self, attempt: Attempt) -> list[Occurrence]:
        return self.occurrences(*self.recorded(attempt.shot.events))

    def kind_of(self, event: Event) -> str:
        """Return an event's type and variant."""
        return f"{event.type}/{self.variant_of(event)}"

    def variant_of(self, event: Event) -> str:
        """Return which variant of its type an event is; empty where the type has none."""
        return self.provider.catalogue[event.type].variant_of(event.payload)

    def control(self, event: Event, what: str, see: str) -> Attempt:
        """Deliver what a variation is to be compared with; could-not-run unless it is accepted."""
        attempt = self.deliver(event, note=f"the control: {what}")
        if not attempt.acked:
            raise CouldNotRun(f"{what} is not accepted either ({said_of(attempt)})", f"See {see}", [attempt])
        effects = self.shown(attempt.shot.events) if self.handled else Effects()
        if any(not effects.count(one) for one in self._due(attempt)):
            raise CouldNotRun(f"{what} leaves no effect either", f"See {see}", [attempt])
        return attempt

    def barrier(self) -> Effects:
        """Deliver one more valid event and wait for its effect: what came before has then been worked off.

        Returns the effects at that moment. Without effects, or when the receiver records nothing,
        there is nothing to wait for.
        """
        if not self.handled:
            return Effects()
        for _ in range(QUESTIONS):
            attempt = self.deliver(self.event(self.subject), note="a valid delivery, sent to see the others worked off")
            if not (attempt.acked and self.turned_down(attempt.shot.events[0])):
                break
        if not attempt.acked:
            raise CouldNotRun(
                f"a valid delivery in between was not acknowledged ({said_of(attempt)})",
                "See preflight.accepts-valid",
                [attempt],
            )
        effects = self.shown(attempt.shot.events)
        if not all(effects.count(one) for one in self._due(attempt)):
            raise CouldNotRun(
                f"a valid delivery in between did not show within {self.settings.settle:g} s",
                "Raise --receiver-settle, or see preflight.effects-show-delivery",
                [attempt],
            )
        return effects
