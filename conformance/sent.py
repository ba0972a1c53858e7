"""What a run has sent, by whom, and what of it has been blamed already: the memory of the checks that look back.

What only a recommended check sends cannot fail a required one, and what a check has blamed is not
blamed again by one that looks back over the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from im_callback.conformance.judge import Occurrence
from im_callback.conformance.verdict import Level
from im_callback.provider_mock.contract import Event, Feed
from im_callback.provider_mock.history import Attempt

OccurrencesOf = Callable[..., list[Occurrence]]


@dataclass(slots=True)
class Sent:
    """Attempts with how binding the check was that made them. `occurrences` tells what events say happened."""

    occurrences: OccurrencesOf
    feed_of: Callable[[str], Feed]
    """Tells the feed of an event type."""
    feed: Feed
    """The feed that is judged now: of what other feeds deliver nothing is returned."""
    indistinct: set[Occurrence] = field(default_factory=set)
    """What was sent without the fields that tell it from others; nothing can be said about its effects."""
    turned_down: set[Occurrence] = field(default_factory=set)
    """What the receiver's own answer has stopped: it did not happen, and need not show."""
    _attempts: list[tuple[Attempt, Level]] = field(default_factory=list)
    _valid: dict[Occurrence, Level] = field(default_factory=dict)
    _bad: dict[Occurrence, Level] = field(default_factory=dict)
    _blamed: set[Occurrence] = field(default_factory=set)
    _recorded: set[int] = field(default_factory=set)
    _known: set[int] = field(default_factory=set)
    _excused: set[int] = field(default_factory=set)
    _own: list[Attempt] = field(default_factory=list)
    """The attempts of the check whose memory this is; all else is shared."""

    def at(self, feed: Feed) -> Sent:
        """Return the same memory for another check, at a feed."""
        return replace(self, feed=feed, _own=[])

    def leaving(self, events: Iterable[Event], binding: Level, *, valid: bool) -> None:
        """Note what is about to be sent."""
        noted = self._valid if valid else self._bad
        for one in self.occurrences(*events):
            if one not in noted or binding.gates(noted[one]):
                noted[one] = binding

    def came_back(self, attempts: Iterable[Attempt], binding: Level) -> None:
        """Note what became of it."""
        for attempt in attempts:
            self._attempts.append((attempt, binding))
            self._own.append(attempt)
            if attempt.shot.feed.decides and attempt.shot.valid and attempt.taken:
                found = attempt.shot.feed.decision(attempt.reply)
                if found is not None and found.word == "refuse":
                    self.turned_down.update(self.occurrences(*attempt.shot.events))

    def blame(self) -> None:
        """Note that the check has failed: what it sent is not for others to judge again."""
        self._known.update(map(id, self._own))
        self._blamed.update(one for attempt in self._own for one in self.occurrences(*attempt.shot.events))

    @property
    def last(self) -> Sequence[Attempt]:
        """The last attempt of the check, if it made any."""
        return self._own[-1:]

    def recorded(self, attempts: Iterable[Attempt]) -> None:
        """Note that bad requests were not refused: the application shows what they brought."""
        self._recorded.update(map(id, attempts))

    def excuse(self, attempts: Iterable[Attempt]) -> None:
        """Note that what became of the attempts may be our own machine's doing: nobody is to judge it."""
        for attempt in attempts:
            self._excused.add(id(attempt))
            self.indistinct.update(self.occurrences(*attempt.shot.events))

    def counts(self, attempt: Attempt) -> bool:
        """Return whether what became of an attempt is the receiver's doing, and nobody else's."""
        return id(attempt) not in self._excused

    def valid(self, level: Level, *, blamed: bool = False) -> list[Attempt]:
        """Return the attempts that the provider could have made, of checks at least so binding.

        Those of checks that have failed are left out unless `blamed`.
        """
        left_out = self._excused if blamed else self._excused | self._known
        return [
            attempt
            for attempt, binding in self._attempts
            if attempt.shot.feed is self.feed
            and attempt.shot.valid
            and binding.gates(level)
            and id(attempt) not in left_out
        ]

    def refused(self, level: Level) -> list[Attempt]:
        """Return the forged attempts that left no effect, as far as is known, of checks at least so binding."""
        return [
            attempt
            for attempt, binding in self._attempts
            if attempt.shot.feed is self.feed
            and attempt.shot.forged
            and binding.gates(level)
            and id(attempt) not in self._recorded
        ]

    def forbidden(self, level: Level) -> set[Occurrence]:
        """Return what was sent only in ways in which the provider never sends, by checks at least so binding."""
        bad = {one for one, binding in self._bad.items() if binding.gates(level) and self._mine(one)}
        return bad - self._valid.keys() - self._blamed

    def _mine(self, occurrence: Occurrence) -> bool:
        return self.feed_of(occurrence.type) is self.feed

    def to_judge(self, level: Level) -> set[Occurrence]:
        """Return what was sent validly by checks at least so binding, can be told apart, and is not blamed yet."""
        sent = {one for one, binding in self._valid.items() if binding.gates(level) and self._mine(one)}
        return sent - self._blamed - self.indistinct - self.turned_down
