"""Finds out first what can be judged: is it there, does it accept, do the effects answer, what is recorded.

Each stage runs once. A stage that ended badly ends in the same way for whoever asks again, and
every check that needs it could not run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from im_callback.conformance.diagnosis import find_traces, raw_records, told_of, why_refused, why_unseen
from im_callback.conformance.judge import AmbiguousRecord, Effects, Occurrence
from im_callback.conformance.looking import SHORTEST_PAUSE
from im_callback.conformance.option_values import fits
from im_callback.conformance.run import Run
from im_callback.conformance.verdict import CouldNotRun, Failed, NotApplicable, Outside
from im_callback.conformance.words import said_of
from im_callback.provider_mock.contract import Event, NoReply
from im_callback.provider_mock.history import Attempt
from im_callback.provider_mock.traffic.generate import Generator
from im_callback.provider_mock.traffic.variants import variant_payload
from im_callback.schemas import MISSING, EventType, occurrences, resolve

EFFECTS_DEADLINE = 5.0
COMMAND = "Let --receiver-command start the receiver, and stay until it ends; see its last lines."
QUIET, SLOWER = 1.5, 5
"""What is not recorded is not waited for: no longer than the first, in seconds, and so many times what the slowest took."""


class Preflight:
    """The stages of preflight at the feed that a run is turned to, in the order in which they depend on each other.

    What they find out is kept in `run.found`, so it is the same for whoever asks.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._found = run.found

    def reachable(self) -> None:
        """Any HTTP answer to one event of each kind: every event type, every variant."""
        self._once(self._reachable)

    def accepts_valid(self) -> None:
        """At least one of them is acknowledged."""
        self._once(self._accepts_valid, self.reachable)

    def effects_answer(self) -> None:
        """The effects are a list, given within 5 s."""
        self._once(self._effects_answer, self.accepts_valid)

    def effects_show_delivery(self) -> None:
        """An acknowledged one appears; which kinds do is noted in `run.models` and `run.kept`."""
        self._once(self._effects_show_delivery, self.look)

    def look(self) -> None:
        """Look for what was acknowledged in the effects, and note which kinds appear."""
        self._once(self._look, self.effects_answer)

    def records(self) -> None:
        """Every kind that the user said is handled is among those that appeared."""
        self._once(self._records, self.effects_show_delivery)

    def require(self, *, effects: bool) -> None:
        """Raise could-not-run unless the receiver accepts deliveries and, if asked, shows them."""
        self._required(self.accepts_valid)
        if effects:
            self._required(self.effects_show_delivery)
        elif self.run.read_effects is not None:
            # Effects make the judgement sharper where they work, and are no condition here.
            self._try(self.effects_show_delivery)

    def _once(self, stage: Callable[[], None], needs: Callable[[], None] | None = None) -> None:
        name, found = stage.__name__, self._found
        while name in found.under_way:
            # Another check waits in the middle of it.
            self.run.shared.pause(SHORTEST_PAUSE)
        if name not in found.done:
            found.under_way.add(name)
            try:
                before = self._try(needs) if needs else None
                if isinstance(before, Failed) and needs is not None:
                    before = _until_mended(needs.__name__, before)
                # Noted once it is known: a stage that broke off has not ended well.
                found.done[name] = before or self._try(stage)
            finally:
                found.under_way.discard(name)
        ended = self._found.done[name]
        if ended is not None:
            raise ended

    def _required(self, stage: Callable[[], None]) -> None:
        ended = self._try(stage)
        if isinstance(ended, CouldNotRun):
            raise CouldNotRun(ended.reason, ended.fix)
        if isinstance(ended, Failed):
            raise _until_mended(stage.__name__, ended)
        if ended is not None:
            raise ended

    @staticmethod
    def _try(stage: Callable[[], None]) -> Outside | None:
        try:
            stage()
        except Outside as ended:
            return ended
        except AmbiguousRecord as unclear:
            return CouldNotRun(str(unclear), unclear.fix)
        return None

    def _reachable(self) -> None:
        if self.run.not_started:
            raise Failed(f"an HTTP answer from {self.run.settings.url}", self.run.not_started, fix=COMMAND)
        kinds = list(self._kinds())
        first = self.run.send(self.run.shot(kinds[0][0], note=kinds[0][1]))
        if isinstance(first[0].reply, NoReply):
            raise Failed(
                f"an HTTP answer from {self.run.settings.url}",
                f"{first[0].outcome.value}: {first[0].reply.detail}",
                first,
            )
        self._found.attempts = first + self.run.send_each(self.run.shot(event, note=note) for event, note in kinds[1:])

    def _kinds(self) -> Iterator[tuple[Event, str]]:
        """Yield an event of each kind that the receiver may record, and what it is: a sample where there is one.

        Each has a scope of its own, so that a removal takes none of the others away.
        """
        generator = Generator(self.run.settings.seed, self.run.ids.millis, identities=self.run.ids)
        for event_type in self.run.documented:
            samples: dict[str, Any] = {}
            for sample in event_type.examples:
                samples.setdefault(event_type.variant_of(sample), sample)
            for variant in dict.fromkeys([*event_type.variants, *samples]):
                made = samples.get(variant) or variant_payload(generator, event_type, variant)
                note = f"{event_type.name}/{variant}" if variant else event_type.name
                yield self.run.event(event_type, made), note

    def _accepts_valid(self) -> None:
        if not any(attempt.acked for attempt in self._found.attempts):
            found = why_refused(self.run, self._found.attempts)
            raise Failed(
                "a documented sample, correctly signed, acknowledged",
                f"{_none_of(len(self._found.attempts))} was: "
                f"{'. '.join(filter(None, (said_of(self._found.attempts[0]), found.said)))}",
                found.attempts,
                fix=found.fix,
            )

    def _effects_answer(self) -> None:
        seconds = self.run.readable(self.run.settings.settle)
        if seconds > EFFECTS_DEADLINE:
            acked = [attempt for attempt in self._found.attempts if attempt.acked]
            raise Failed(f"the effects within {EFFECTS_DEADLINE:g} s", f"they took {seconds:.1f} s", acked[-1:])

    def _look(self) -> None:
        run = self.run
        acked = [attempt for attempt in self._found.attempts if attempt.acked]
        due = [(event, run.occurrences(event)) for attempt in acked for event in attempt.shot.events]
        due = [(event, ones) for event, ones in due if ones and self._wanted(event)]

        # A removal, or a message that failed, may leave nothing: it is not waited for.
        awaited = {one for event, ones in due if self._lasts(event) for one in ones}

        effects = run.settle(self._enough(awaited))
        kept: dict[str, set[str]] = {}
        for event, ones in due:
            # A kind that shows in part is recorded; what is missing of it is for the checks to find.
            if any(effects.counts.get(one) for one in ones) and not run.failed(event):
                event_type = run.provider.catalogue[event.type]
                kept.setdefault(event.type, set()).add(run.variant_of(event))
                old = run.models.get(event.type)
                if old is None or _telling(event_type, event.payload) > _telling(event_type, old):
                    run.models[event.type] = event.payload
        run.kept.update({name: frozenset(variants) for name, variants in kept.items()})
        self._note_traces(acked)
        self._found.due = len(due)
        unclear = next((one for _, ones in due for one in ones if one in effects.ambiguous), None)
        if not run.handled and unclear is not None:
            raise AmbiguousRecord(unclear, effects.ambiguous[unclear])

    def _enough(self, awaited: set[Occurrence]) -> Callable[[Effects], bool]:
        """Return what tells whether there is more to wait for: all show, or what has come came long ago.

        Where the user says what is recorded all of that is waited for. How slow the receiver is, is known from its
        other feeds too.
        """
        shared = self.run.shared
        began = progress = shared.now()
        most = 0

        def enough(seen: Effects) -> bool:
            nonlocal most, progress
            now, shown = shared.now(), sum(bool(seen.counts.get(one)) for one in awaited)
            if shown > most:
                most, progress = shown, now
                shared.delay = max(shared.delay or 0.0, now - began)
            if shown == len(awaited):
                return True
            if self.run.settings.handles is not None or shared.delay is None:
                return False
            return now - progress > max(QUIET, SLOWER * shared.delay)

        return enough

    def late(self) -> list[str]:
        """Return the kinds that are recorded after all: they showed later than was waited for, and were not judged."""
        run = self.run
        acked = [event for attempt in self._found.attempts if attempt.acked for event in attempt.shot.events]
        missed = [one for one in acked if self._wanted(one) and self._lasts(one) and not run.keeps(one)]
        if not missed:
            return []
        seen = run.effects()
        return [
            run.kind_of(one).rstrip("/")
            for one in missed
            if any(seen.counts.get(each) for each in run.occurrences(one))
        ]

    def _effects_show_delivery(self) -> None:
        run = self.run
        if run.handled:
            return
        if run.feed.decides or self._others_show():
            raise NotApplicable(f"the receiver records nothing of the feed {run.feed.name}")
        found = why_unseen(run, [attempt for attempt in self._found.attempts if attempt.acked])
        raise Failed(
            f"at least one acknowledged sample in the effects within {run.settings.settle:g} s",
            f"{_none_of(self._found.due)} shows: {found.said}",
            found.attempts,
            fix=found.fix,
        )

    def _others_show(self) -> bool:
        """Return whether anything of another feed that arrives at the address shows."""
        run, here = self.run, self.run.feed
        for feed in run.feeds:
            if feed is not here and not run.models:
                self._try(Preflight(run.at(feed)).look)
        return bool(run.models)

    def _lasts(self, event: Event) -> bool:
        removes = self.run.provider.catalogue[event.type].removes(event.payload)
        return not removes and not self.run.failed(event)

    def _wanted(self, event: Event) -> bool:
        patterns = self.run.settings.handles
        if patterns is None:
            return True
        return any(matches(pattern, event.type, self.run.variant_of(event)) for pattern in patterns)

    def _note_traces(self, acked: list[Attempt]) -> None:
        """Note which types leave traces that fit no event, although others are recorded: they would not be judged."""
        run = self.run
        unseen = [a for a in acked if a.shot.events[0].type not in run.kept]
        if run.handled and unseen:
            run.notes += [f"not judged: {told_of(one)}" for one in find_traces(run, unseen, raw_records(run))]

    def _records(self) -> None:
        run = self.run
        missing = [pattern for pattern in self._patterns() if not self._recorded(pattern)]
        if missing:
            sent = [(attempt, attempt.shot.events[0]) for attempt in self._found.attempts]
            wanted = [a for a, e in sent if any(matches(one, e.type, run.variant_of(e)) for one in missing)]
            traces = "; ".join(told_of(one) for one in find_traces(run, wanted, raw_records(run)))
            raise Failed(
                "an effect for every kind of event in --receiver-handles",
                f"none for {', '.join(missing)} within {run.settings.settle:g} s"
                + (f"; traces: {traces}" if traces else ""),
                wanted,
            )

    def _patterns(self) -> list[str]:
        """Return the patterns of --receiver-handles that are about the feed."""
        feed_of = self.run.provider.feed_of
        return [one for one in self.run.settings.handles or () if feed_of(one.partition("/")[0]) is self.run.feed]

    def _recorded(self, pattern: str) -> bool:
        """Return whether everything that a pattern names is recorded; of a type alone one variant is enough."""
        name, _, variants = pattern.partition("/")
        kept = self.run.kept.get(name, frozenset())
        if not variants:
            return bool(kept)
        event_type = self.run.provider.catalogue[name]
        named = [one for one in event_type.variants if matches(pattern, name, one)]
        needed = [one for one in named if one in self._demanded(event_type)]
        return bool(named) and all(one in kept for one in needed)

    def _demanded(self, event_type: EventType) -> set[str]:
        """Return the variants of a type that must show once they are acknowledged: not those that remove."""
        return {
            event_type.variant_of(event.payload)
            for attempt in self._found.attempts
            for event in attempt.shot.events
            if event.type == event_type.name and not event_type.removes(event.payload)
        }


def _none_of(number: int) -> str:
    return f"none of {number}" if number > 1 else "none"


def _until_mended(stage: str, failed: Failed) -> CouldNotRun:
    """Return why nothing behind a stage that failed can be judged; its own check may not be among those that run."""
    name = f"preflight.{stage.replace('_', '-')}"
    return CouldNotRun(f"{name} failed: {failed.actual}", failed.fix or f"provider-mock explain {name} says more")


def _telling(event_type: EventType, payload: Any) -> tuple[bool, int]:
    """Return how well a payload stands for its type: one that takes nothing away, with more of the order's scope."""
    things = occurrences(event_type, payload)
    scope = event_type.order.scope if event_type.order else ()
    present = sum(resolve(thing, pointer) is not MISSING for thing in things[:1] for pointer in scope)
    return not event_type.removes(payload), present


def matches(pattern: str, name: str, variant: str) -> bool:
    """Return whether a pattern of --receiver-handles covers a variant of an event type."""
    wanted, _, parts = pattern.partition("/")
    return wanted == name and (not parts or fits(parts, variant))


def handles(run: Run) -> list[str]:
    """Return what the receiver records in the form that --receiver-handles takes: as few patterns as say it."""
    found: list[str] = []
    for event_type in (one for one in run.provider.catalogue if one.name in run.models):
        kept = run.kept[event_type.name]
        if not event_type.variants or kept >= set(event_type.variants):
            found.append(event_type.name)
            continue
        found += _patterns(event_type, kept)
    return found


def _patterns(event_type: EventType, kept: frozenset[str]) -> list[str]:
    """Return patterns that cover the variants and no other of the event type: stars where everything is kept."""
    left, found = [one for one in event_type.variants if one in kept], []
    while left:
        parts = left[0].split("/")
        starred = [
            "/".join("*" if place == at else part for place, part in enumerate(parts)) for at in range(len(parts))
        ]
        best, covered = left[0], [left[0]]
        for pattern in starred if len(parts) > 1 else ():
            named = [
                one for one in event_type.variants if matches(f"{event_type.name}/{pattern}", event_type.name, one)
            ]
            if set(named) <= kept and len(named) > len(covered):
                best, covered = pattern, named
        found.append(f"{event_type.name}/{best}")
        left = [one for one in left if one not in covered]
    return found
