"""Finds out first what can be judged: is it there, does it accept, do the effects answer, what is recorded.

Each stage runs once. A stage that ended badly ends in the same way for whoever asks again, and
every check that needs it could not run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from conformance.judge import AmbiguousRecord
from conformance.verdict import CouldNotRun, Failed, Outside
from provider_mock.contract import NoReply
from provider_mock.history import Attempt

if TYPE_CHECKING:
    from conformance.run import Run

EFFECTS_DEADLINE = 5.0


class Preflight:
    """The stages of preflight, in the order in which they depend on each other."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._attempts: list[Attempt] = []
        self._done: dict[str, Outside | None] = {}

    def reachable(self) -> None:
        """Any HTTP answer to one documented sample of each event type."""
        self._once(self._reachable)

    def accepts_valid(self) -> None:
        """At least one of the samples is acknowledged."""
        self._once(self._accepts_valid, self.reachable)

    def effects_answer(self) -> None:
        """The effects are a list, given within 5 s."""
        self._once(self._effects_answer, self.accepts_valid)

    def effects_show_delivery(self) -> None:
        """An acknowledged sample appears; which types do is noted in `run.handled`."""
        self._once(self._effects_show_delivery, self.effects_answer)

    def records(self) -> None:
        """Every event type that the user said is handled is among those that appeared."""
        self._once(self._records, self.effects_show_delivery)

    def require(self, *, effects: bool) -> None:
        """Raise could-not-run unless the receiver accepts deliveries and, if asked, shows them."""
        self._required("preflight.accepts-valid", self.accepts_valid)
        if effects:
            self._required("preflight.effects-show-delivery", self.effects_show_delivery)
        elif self.run.read_effects is not None:
            # Effects make the judgement sharper where they work, and are no condition here.
            self._try(self.effects_show_delivery)

    def _once(self, stage: Callable[[], None], needs: Callable[[], None] | None = None) -> None:
        name = stage.__name__
        if name not in self._done:
            before = self._try(needs) if needs else None
            if isinstance(before, Failed):
                before = CouldNotRun(f"an earlier stage of preflight failed ({before})")
            # Noted once it is known: a stage that broke off has not ended well.
            self._done[name] = before or self._try(stage)
        ended = self._done[name]
        if ended is not None:
            raise ended

    def _required(self, name: str, stage: Callable[[], None]) -> None:
        ended = self._try(stage)
        if isinstance(ended, CouldNotRun):
            raise CouldNotRun(ended.reason, ended.fix)
        if ended is not None:
            raise CouldNotRun(f"{name} failed", "Mend that first; it is explained in its own failure")

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
        types = self.run.documented
        first = self.run.send(self.run.shot(self.run.event(types[0]), note=types[0].name))
        if isinstance(first[0].reply, NoReply):
            raise Failed(
                f"an HTTP answer from {self.run.settings.url}",
                f"{first[0].outcome.value}: {first[0].reply.detail}",
                first,
            )
        rest = self.run.send_each(self.run.shot(self.run.event(one), note=one.name) for one in types[1:])
        self._attempts = first + rest

    def _accepts_valid(self) -> None:
        if not any(attempt.acked for attempt in self._attempts):
            first = self._attempts[0]
            raise Failed(
                "a documented sample, correctly signed, acknowledged",
                f"all {len(self._attempts)} were refused; the first: {first.judgement.rule}. "
                "Are --receiver-provider, --receiver-app-key and --receiver-app-secret those of the receiver?",
                [first],
            )

    def _effects_answer(self) -> None:
        started = time.monotonic()
        self.run.records()
        seconds = time.monotonic() - started
        if seconds > EFFECTS_DEADLINE:
            raise Failed(f"the effects within {EFFECTS_DEADLINE:g} s", f"they took {seconds:.1f} s")

    def _effects_show_delivery(self) -> None:
        run = self.run
        acked = [attempt for attempt in self._attempts if attempt.acked]
        wanted = run.settings.handles
        due = {
            event.type: run.occurrences(event)
            for attempt in acked
            for event in attempt.shot.events
            if run.occurrences(event) and (wanted is None or event.type in wanted)
        }
        effects = run.settle(lambda seen: all(seen.count(one) for ones in due.values() for one in ones))
        # A type that shows in part is recorded; what is missing of it is for the checks to find.
        shown = {name for name, ones in due.items() if any(effects.count(one) for one in ones)}
        run.handled = tuple(one for one in run.documented if one.name in shown)
        if not run.handled:
            records = run.records()
            raise Failed(
                f"at least one acknowledged sample in the effects within {run.settings.settle:g} s",
                f"none of the {len(due)} samples is among the {len(records)} records"
                + (f"; the last record has the fields {', '.join(map(str, records[-1]))}" if records else ""),
                acked[:1],
            )

    def _records(self) -> None:
        wanted = self.run.settings.handles
        missing = [name for name in wanted or () if name not in [one.name for one in self.run.handled]]
        if missing:
            raise Failed(
                "an effect for every event type in --receiver-handles",
                f"none for {', '.join(missing)} within {self.run.settings.settle:g} s",
                [a for a in self._attempts if any(e.type in missing for e in a.shot.events)],
            )
