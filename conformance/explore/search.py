"""The search: scripts are made up, played and judged, until the time is over; what fails is believed, and made shorter.

Nothing is believed that failed once. A script that failed among others is played again by itself, several times, and
once more with other deliveries between its steps, for these may have been what it takes. Then simpler scripts are tried
as long as they fail too, and the simplest is played again, with all the time that effects may take.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from math import ceil, log
from random import Random

from im_callback.conformance.around.command import ReceiverError
from im_callback.conformance.explore.judging import IMMEDIATE, INVARIANTS, Fact, Invariant, Wrong, wrongs
from im_callback.conformance.explore.play import Played, Player, told
from im_callback.conformance.explore.script import GROUPS, NUMBERS, Script, Step, retimed, simpler, spaced, widened
from im_callback.conformance.explore.stock import Stock, Unusable, stock_of
from im_callback.conformance.explore.strategies import Frame, made_up, shortest
from im_callback.conformance.explore.timeline import timeline
from im_callback.conformance.judge import AmbiguousRecord, Effects
from im_callback.conformance.looking import LONGEST_PAUSE, SHORTEST_PAUSE
from im_callback.conformance.run import Run
from im_callback.provider_mock.history import Attempt

BELIEVE_SECONDS = 8.0
"""How long a script is tried that failed among others."""
QUIET = 1.0
"""Seconds in which a receiver gets over a restart."""
SOONER = (0.5, 0.25, 0.1, 2.0)
"""What part of the time may have passed instead when a receiver is killed."""
LAST = 2
"""Scripts at the end of the way to the simplest that are all tried before it is doubted."""
AHEAD = 48
"""Simpler scripts that are played side by side."""
COPIES = 5
"""How often a script is played to be believed."""
MOST_COPIES = 20
TRIED = 3
"""Scripts of one batch that are looked at for one invariant."""
EXACT = 4
"""Of so many batches one, unless something happens around it, has what leaves together leave at exactly one moment."""
FEWEST, MOST = 8, 64
"""Scripts that are played together."""
BATCH_SECONDS = 1.0
"""How long a batch should take, without what happens around it."""
SOON = 0.3
"""Seconds for which effects are waited for at least, where they have always been there at once."""
SHRINK_SECONDS = 15.0
FEW = 60
"""Other deliveries up to which the copies of a script are played one after the other."""


@dataclass(frozen=True, slots=True)
class Failing:
    """A script that breaks an invariant: how often, and what was seen of it when it last did."""

    script: Script
    wrong: Wrong
    failed: int
    of: int
    attempts: tuple[Attempt, ...]
    timeline: tuple[str, ...]


@dataclass(slots=True)
class Explored:
    """What a search came to: what was found by invariant, and how much was tried.

    `could_show` counts for each invariant the scripts that could have broken it. `doubts` failed once and never again.
    """

    findings: dict[Invariant, Failing] = field(default_factory=dict)
    tried: int = 0
    deliveries: int = 0
    seconds: float = 0.0
    could_show: Counter[Invariant] = field(default_factory=Counter)
    doubts: int = 0
    unclear: int = 0
    """Scripts of which nothing could be said, because a record fits several events."""


@dataclass(slots=True)
class Judged:
    """What was seen of a script that was played."""

    played: Played
    facts: list[Fact]
    wrongs: list[Wrong]

    def breaks(self, invariant: Invariant) -> Wrong | None:
        """Return how it breaks an invariant, if it does."""
        return next((one for one in self.wrongs if one.invariant == invariant), None)


class Search:
    """A search at one feed. `now` gives seconds; `sleep` passes them."""

    def __init__(
        self,
        run: Run,
        player: Player,
        random: Random,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.run = run
        self.player = player
        self.random = random
        self.found = Explored()
        self.exact = False
        """Whether requests of one step leave at exactly one moment: it takes longer than all the rest of a script."""
        self._now = now
        self._sleep = sleep
        self._gone = False
        """Whether the receiver is no longer there, and nobody can start it."""
        self._starts = 0
        self._looked = 0.0
        """Seconds that were spent looking at effects."""
        self._slowest = 0.0
        """Seconds that effects have taken to appear so far; 0 where they have always been there at once."""

    def explore(
        self,
        seconds: float,
        batches: int | None = None,
        together: int | None = None,
        enough: Collection[Invariant] = INVARIANTS,
    ) -> Explored:
        """Search for so many seconds, and not for more than so many batches; return what was found.

        `together` is how many scripts a batch has; None: as many as take about a second. Where something happens around
        them, there are twice as many. The search ends early when these invariants have been seen broken.
        """
        started = self._now()
        end = started + seconds
        size = together or FEWEST
        for number, frame in enumerate(frames(self.player, seconds, self.random)):
            if number and (self._now() >= end or number == batches or self.found.findings.keys() >= set(enough)):
                break
            if self._gone:
                break
            around, looked = self.player.around_seconds, self._looked
            began = self._now()
            scripts = made_up(
                self.player.stock, frame, size * 2 if frame.around else size, Random(self.random.getrandbits(64))
            )
            by_frame = [one for one in scripts if one.around == frame.around]
            if by_frame:
                # Where something happens around them, time counts.
                self.exact = bool(number) and not frame.around and number % EXACT == 0
                self._batch(by_frame)
            # What a look takes, the more of them share it, the better.
            took = self._now() - began - (self.player.around_seconds - around) - (self._looked - looked)
            if together is not None:
                continue
            size = max(
                FEWEST,
                min(MOST, size * 2 if took < BATCH_SECONDS / 2 else size if took < BATCH_SECONDS * 2 else size // 2),
            )
        self.found.deliveries = self.player.deliveries
        self.found.seconds = self._now() - started
        return self.found

    def _batch(self, scripts: Sequence[Script]) -> None:
        try:
            played = self.player.play(scripts, exact=self.exact)
        except ReceiverError as error:
            self._not_back(min(scripts, key=lambda one: one.weight), error)
            return
        except Unusable:
            # One of them alone may be to blame: a payload that the schema does not admit there.
            scripts = [one for one in scripts if self._playable(one)]
            if not scripts:
                return
            played = self.player.play(scripts, exact=self.exact)
        judged, effects = self.judge(played, self.patience)
        self.found.tried += len(scripts)
        for one in judged:
            self.found.could_show.update(invariants_of(one.facts, one.played.script, unordered=self.run.unordered))
        for invariant in INVARIANTS:
            broken = [one for one in judged if one.breaks(invariant)]
            broken.sort(key=_first_crash if invariant == "crash" else lambda one: one.played.script.weight)
            for one in broken[:TRIED]:
                if invariant in self.found.findings:
                    break
                if any(other in self.found.findings for other in _covers(invariant, one)):
                    continue
                if invariant == "crash" and self.player.receiver is None and self.player.gone:
                    self._gone = True
                    believed = failing([one], effects, invariant)
                else:
                    believed = self._believed(one, invariant, len(scripts))
                if believed is None:
                    self.found.doubts += 1
                else:
                    self.found.findings[invariant] = believed

    def _not_back(self, script: Script, error: ReceiverError) -> None:
        """Note that the receiver did not come up again; with that the search ends."""
        self._gone = True
        wrong = Wrong("crash", "a receiver that is there again once it is started", error.reason)
        lines = tuple(told(step) for step in script.around)
        self.found.findings.setdefault("crash", Failing(script, wrong, 1, 1, (), lines))

    def _playable(self, script: Script) -> bool:
        try:
            self.player.stock.check(script)
            from im_callback.conformance.explore.stock import events_of

            events_of(self.run, self.player.stock, script)
        except Unusable:
            return False
        return True

    @property
    def patience(self) -> float:
        """Seconds for which effects are waited for, by what they have taken so far."""
        return min(self.run.settings.settle, SOON + 4 * self._slowest)

    def judge(
        self, played: Sequence[Played], patience: float, *, at_once: bool = False
    ) -> tuple[list[Judged], Effects]:
        """Return what the effects show of each, once all is right or the seconds have passed.

        One more event is delivered, and its effect waited for: what came before has then been worked off. With
        `at_once` nothing else is waited for.
        """
        facts = [one.facts(self.run) for one in played]
        barrier = self.player.others(1)
        last = self.run.occurrences(*barrier[0].shot.events) if barrier[0].acked else []
        started = self._now()
        pause = SHORTEST_PAUSE
        while True:
            began = self._now()
            effects = self.run.effects()
            self._looked += self._now() - began
            found = [self._judged(one, seen, effects) for one, seen in zip(played, facts, strict=True)]
            behind = not all(effects.counts.get(one) for one in last)
            right = not any(one.wrongs for one in found)
            waited = self._now() - started
            if right and not behind:
                if pause > SHORTEST_PAUSE:
                    self._slowest = max(self._slowest, waited)
                return found, effects
            if waited >= patience or (at_once and not behind):
                if not right and not at_once:
                    # What is missing may stand among records that are passed over.
                    effects = self.run.all_effects(effects)
                    found = [self._judged(one, seen, effects) for one, seen in zip(played, facts, strict=True)]
                return found, effects
            self._sleep(min(pause, patience - waited))
            pause = min(pause * 2, LONGEST_PAUSE)

    def _judged(self, played: Played, facts: list[Fact], effects: Effects) -> Judged:
        try:
            found = wrongs(facts, effects, unordered=self.run.unordered)
        except AmbiguousRecord:
            self.found.unclear += 1
            return Judged(played, facts, [])
        if played.crashed:
            entry = played.crashed[0]
            found.append(Wrong("crash", f"an answer to step {entry.step}", entry.said or "none"))
        return Judged(played, facts, found)

    def _believed(self, one: Judged, invariant: Invariant, others: int) -> Failing | None:
        """Return the script, or a simpler one, with how often it failed by itself; None if it never did."""
        stop = self._now() + BELIEVE_SECONDS
        script = one.played.script
        gap = one.played.longest_gap
        # A few are answered sooner than many, so what is killed meanwhile has to be killed sooner.
        others_too = [retimed(script, factor) for factor in SOONER] if script != retimed(script, 0.5) else []
        others_too += [widened(script, others), *([spaced(script, gap)] if gap > SOON / 3 else [])]
        forms = [(form, COPIES) for form in (script, *others_too)]
        for form, copies in [*forms, (script, MOST_COPIES), (widened(script, others), MOST_COPIES)]:
            if self._now() >= stop:
                return None
            failed = self._failures(form, invariant, copies)
            if failed:
                break
        else:
            return None
        rate = failed / copies
        enough = 3 if rate == 1 else min(MOST_COPIES, max(3, ceil(log(0.05) / log(1 - rate))))
        path = self._shortened(form, invariant, enough)
        self._let_rest()
        for each in dict.fromkeys((*path[::-1][:LAST], *path[::-1][LAST::4], form)):
            if (again := self.confirmed(each, invariant, max(COPIES, enough))) is not None:
                return again
        return self.confirmed(form, invariant, MOST_COPIES)

    def _shortened(self, script: Script, invariant: Invariant, copies: int) -> list[Script]:
        """Return ever simpler scripts that were found in time to fail as this one does, which is the first.

        First whatever is simpler in one thing is played side by side, as long as that leads on; then Hypothesis looks
        among all that is left of it.
        """
        stop = self._now() + SHRINK_SECONDS
        path = [script]
        tried: dict[Script, bool] = {script: True}

        def fails(one: Script) -> bool:
            if one not in tried:
                if self._now() >= stop:
                    return False
                self._let_rest(one)
                try:
                    tried[one] = bool(self._failures(one, invariant, copies, quick=True))
                except Unusable:
                    tried[one] = False
            return tried[one]

        leads_on = True
        while leads_on:
            leads_on = False
            for group in range(GROUPS):
                while self._now() < stop:
                    # Each time from what the one before has left.
                    ones = [one for one in list(simpler(path[-1]))[group] if one not in tried]
                    ones = ones[: self._ahead_at_most(ones, copies)]
                    # Smaller numbers cannot be played side by side; the smallest ones take least.
                    ahead = self._ahead(ones, invariant, copies) if group < NUMBERS else ones
                    found = next((one for one in ahead if fails(one)), None)
                    if found is None:
                        break
                    path.append(found)
                    leads_on = True
        last = shortest(path[-1], fails, Random(self.random.getrandbits(64)))
        return path if last == path[-1] else [*path, last]

    def _ahead(self, scripts: Sequence[Script], invariant: Invariant, copies: int) -> list[Script]:
        """Return those of the scripts that fail when they are played side by side, the simplest first."""
        found: list[Script] = []
        groups: dict[tuple[Step, ...], list[Script]] = {}
        for one in scripts:
            groups.setdefault(one.around, []).append(one)
        for group in groups.values():
            try:
                played = self.player.play([one for one in group for _ in range(copies)], exact=self.exact)
            except Unusable:
                found += group
                continue
            judged, _ = self.judge(played, self.patience, at_once=self._at_once(invariant))
            failed = {seen.played.script for seen in judged if seen.breaks(invariant)}
            found += [script for script in group if script in failed]
        return sorted(found, key=lambda one: one.weight)

    def confirmed(self, script: Script, invariant: Invariant, copies: int) -> Failing | None:
        """Play a script so often, and wait as long as effects may take; return how it failed, or None."""
        judged, effects = self.judge(self.copies(script, copies), self.run.settings.settle)
        return failing(judged, effects, invariant)

    def _let_rest(self, script: Script | None = None) -> None:
        """Wait until a restart is over, unless the script has one: what it has left behind is not the script's."""
        if self.player.starts > self._starts and not (script and script.needs_command):
            self._starts = self.player.starts
            self._sleep(QUIET)

    def _ahead_at_most(self, scripts: Sequence[Script], copies: int) -> int:
        """Return how many of the scripts can be played so often within about a second."""
        largest = max((one.deliveries for one in scripts), default=1)
        return max(4, min(AHEAD, int(BATCH_SECONDS / (self.player.seconds_each * largest * copies))))

    def _at_once(self, invariant: Invariant) -> bool:
        """Return whether it need not be waited to see an invariant broken; in the end it is, all the same."""
        return invariant in IMMEDIATE or not self._slowest

    def _failures(self, script: Script, invariant: Invariant, copies: int, *, quick: bool = False) -> int:
        """Play a script so often; return how often it failed."""
        played = self.copies(script, copies)
        judged, _ = self.judge(played, self.patience, at_once=quick and self._at_once(invariant))
        return sum(one.breaks(invariant) is not None for one in judged)

    def copies(self, script: Script, copies: int) -> list[Played]:
        """Play a script so often: one after the other, or side by side where something long happens around it."""
        if script.around and (
            any(step.do != "others" for step in script.around) or sum(step.number for step in script.around) > FEW
        ):
            return self.player.play([script] * copies, exact=self.exact)
        return [one for _ in range(copies) for one in self.player.play([script], exact=self.exact)]


def frames(player: Player, seconds: float, random: Random) -> Iterator[Frame]:
    """Yield what happens around the scripts of each batch, endlessly: every other time nothing; the rest in turn.

    Nothing takes more than a part of the seconds that there are.
    """
    apart = player.apart
    wait = [(Step("wait", number=one),) for one in (1.0, 2.5, 5.0) if one < seconds / 10]
    others = [(Step("others", number=number),) for number in ((50, 300, 1200, 2500) if not apart else (5,))]
    around: list[tuple[Step, ...]] = []
    if player.receiver is not None:
        kill, stop = Step("restart", how="kill"), Step("restart", how="stop")
        # When exactly is drawn each time.
        under_way = Step("restart", how="under-way")
        around += [(kill,), (under_way,), (stop,), (under_way,), (kill, kill), (under_way,)]
    if player.store is not None:
        heal = Step("store", how="heal")
        around += [
            (Step("store", how="refuse"), heal),
            (Step("store", how="cut"),),
            (Step("store", how="slow", number=0.2), heal),
            (Step("store", how="hang"), heal),
            (Step("store", how="reset"),),
        ]
    mixed = [one for group in zip_longest_lists(around, others, wait) for one in group]
    for number in count():
        yield Frame((), apart)
        yield Frame(tuple(_timed(step, player, random) for step in mixed[number % len(mixed)]), apart)


def _timed(step: Step, player: Player, random: Random) -> Step:
    """Return the step; what happens while requests are under way, at some moment before they usually are answered."""
    if step.how != "under-way":
        return step
    return replace(step, number=round(random.uniform(0.1, 1.2) * min(player.tick_seconds, 1.0), 4))


def zip_longest_lists(*lists: Sequence[tuple[Step, ...]]) -> Iterator[list[tuple[Step, ...]]]:
    """Yield the first of each list, then the second of each, and so on, as far as there are any."""
    for place in range(max(map(len, lists))):
        yield [one[place] for one in lists if place < len(one)]


def _first_crash(one: Judged) -> tuple[float, ...]:
    return (one.played.crashed[0].at,)


def _covers(invariant: Invariant, one: Judged) -> list[Invariant]:
    """Return what else a script breaks that comes first: where it is doubled, the doubled one may also be out of order."""
    return [wrong.invariant for wrong in one.wrongs if INVARIANTS.index(wrong.invariant) < INVARIANTS.index(invariant)]


def invariants_of(facts: Sequence[Fact], script: Script, *, unordered: bool) -> list[Invariant]:
    """Return the invariants that a script could have broken."""
    found: list[Invariant] = ["crash"]
    if any(fact.acked and fact.shows and not fact.removes for fact in facts):
        found.append("lost")
    named = Counter(number for step in script.steps for one in step.requests for number in one.things)
    if any(times > 1 for times in named.values()) or any(step.do == "retry" for step in script.steps):
        found.append("doubled")
    scopes = Counter((fact.rule, fact.scope) for fact in facts if fact.reached)
    for rule, invariant in (("latest", "stale"), ("sequence", "out-of-order")):
        several = any(number > 1 for (one, _), number in scopes.items() if one == rule)
        if several and not (unordered and rule == "sequence"):
            found.append("stale" if invariant == "stale" else "out-of-order")
    if any(not fact.reached for fact in facts):
        found.append("phantom")
    return found


def explore(
    run: Run,
    seconds: float,
    *,
    batches: int | None = None,
    together: int | None = None,
    enough: Collection[Invariant] = INVARIANTS,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Explored:
    """Search at the run's feed for so many seconds; return what was found. The limits are those of `Search.explore`.

    `now` gives seconds, `sleep` passes them.
    """
    stock = stock_of(run)
    if not stock.kinds:
        return Explored()
    with Player(run, stock, sleep) as player:
        return Search(run, player, Random(run.settings.seed), now, sleep).explore(seconds, batches, together, enough)


def replay(run: Run, script: Script, copies: int) -> Explored:
    """Play a script so often at the run's feed; return how it failed. Raises `Unusable` where it cannot be played."""
    stock: Stock = stock_of(run)
    stock.check(script)
    with Player(run, stock) as player:
        search = Search(run, player, Random(run.settings.seed))
        played = search.copies(script, copies)
        if any(len(step.requests) > 1 for step in script.steps):
            search.exact = True
            played += search.copies(script, copies)
        judged, effects = search.judge(played, run.settings.settle)
    found = Explored(tried=len(judged), deliveries=player.deliveries)
    for invariant in INVARIANTS:
        found.could_show[invariant] = len(judged)
        if (one := failing(judged, effects, invariant)) is not None:
            found.findings[invariant] = one
    return found


def failing(judged: Sequence[Judged], effects: Effects, invariant: Invariant) -> Failing | None:
    """Return how a script that was played several times breaks an invariant, or None where it never did."""
    bad = [(one, wrong) for one in judged if (wrong := one.breaks(invariant)) is not None]
    if not bad:
        return None
    one, wrong = bad[0]
    return Failing(
        one.played.script,
        wrong,
        len(bad),
        len(judged),
        tuple(one.played.attempts),
        tuple(timeline(one.played, one.facts, effects, wrong)),
    )
