"""How a run looks at what the application shows: read, matched to what was sent, and waited for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from im_callback.conformance.effects import EffectsError, ReadEffects, Records
from im_callback.conformance.judge import Effects, Matcher
from im_callback.conformance.settings import Settings
from im_callback.conformance.shared import Shared
from im_callback.conformance.verdict import CouldNotRun

SHORTEST_PAUSE, LONGEST_PAUSE = 0.01, 0.25


class Looking:
    """The application's records, as all checks of a run see them. `read_effects` returns them, or is None."""

    def __init__(self, settings: Settings, read_effects: ReadEffects | None = None) -> None:
        self.settings = settings
        self.shared = Shared(read_effects)
        self.matcher = Matcher(settings.provider.catalogue)

    @property
    def read_effects(self) -> ReadEffects | None:
        """What returns the application's records; None where no effects were given."""
        return self.shared.read_effects

    @read_effects.setter
    def read_effects(self, read: ReadEffects | None) -> None:
        self.shared.read_effects = read

    def records(self) -> Sequence[Any]:
        """Return the application's records as they are now; could-not-run if they cannot be read."""
        if self.read_effects is None:
            raise CouldNotRun("no effects given", "Give --receiver-effects=…: how your receiver shows what it recorded")
        try:
            return self.read_effects()
        except EffectsError as error:
            raise CouldNotRun(f"the effects could not be read: {error.reason}", error.fix) from error

    @property
    def unordered(self) -> bool:
        """Whether the records come in no order: the user says so, or where they are read from has none."""
        return self.settings.unordered or bool(getattr(self.read_effects, "unordered", False))

    def effects(self) -> Effects:
        """Return the effects as they are now, matched to what was sent."""
        began = self.shared.now()
        effects = self.matcher.match(self.records())
        self.shared.look = (began, effects)
        return effects

    def all_effects(self, seen: Effects, since: float | None = None) -> Effects:
        """Return the effects read in whole, where records from before the run are passed over; else those seen.

        If it shows more of this run than was seen, nothing is passed over from now on: this store gives new events a
        place among old ones. What another check has read in whole after `since` will do.
        """
        read, last = self.read_effects, self.shared.whole
        if not isinstance(read, Records) or not read.skips:
            return seen
        if since is not None and last is not None and last[0] >= since:
            return last[1]
        began = self.shared.now()
        try:
            # What fits nothing is news of this run only where it was seen without the old records.
            everything = replace(self.matcher.match(read.whole()), unmatched=seen.unmatched)
        except EffectsError:
            return seen
        if len(everything.order) > len(seen.order) or not everything.ambiguous.keys() <= seen.ambiguous.keys():
            read.skip_nothing()
        self.shared.whole = (began, everything)
        return everything

    def was_hidden(self) -> bool:
        """Return whether the effects, read in whole, show more of this run than was shown so far."""
        read = self.read_effects
        if not isinstance(read, Records) or not read.skips or self.shared.gone:
            return False
        try:
            self.all_effects(self.effects())
        except CouldNotRun:
            return False
        return not read.skips

    def settle(self, done: Callable[[Effects], bool], seconds: float | None = None) -> Effects:
        """Return the effects as soon as `done` holds for them, or when the settle time has passed, or so many seconds.

        Other checks go on meanwhile; those that wait look at the effects together.
        """
        deadline = self.shared.now() + (self.settings.settle if seconds is None else seconds)
        pause = SHORTEST_PAUSE
        effects = self.effects()
        while not done(effects):
            if (left := deadline - self.shared.now()) <= 0:
                return self.all_effects(effects, deadline)
            due = self.shared.now() + min(pause, left)
            self.shared.pause(min(pause, left))
            pause = min(pause * 2, LONGEST_PAUSE)
            seen = self.shared.look
            effects = seen[1] if seen is not None and seen[0] >= due else self.effects()
        return effects

    def readable(self, seconds: float) -> float:
        """Wait until the effects can be read, so many seconds at most; return how many the reading took.

        A store may be made by the first delivery, or need a moment after its server came back.
        """
        end = self.shared.now() + seconds
        while True:
            began = self.shared.now()
            try:
                self.records()
            except CouldNotRun:
                if began >= end:
                    raise
                self.shared.pause(LONGEST_PAUSE)
            else:
                return self.shared.now() - began
