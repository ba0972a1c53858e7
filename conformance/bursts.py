"""Many deliveries at once: whether all are answered in time, and whether all of them show, once each."""

from __future__ import annotations

from im_callback.conformance.beside import each_effect
from im_callback.conformance.run import Run
from im_callback.conformance.verdict import Failed
from im_callback.conformance.words import counted
from im_callback.provider_mock.contract import NoReply, Outcome

BURSTS = 3
"""How often a burst is tried: only one that is late each time is the receiver's doing."""
WAITS = 10
"""Deliveries that may be late after a burst, until what it has left is worked off."""
PACE = 10
"""Deliveries that are sent one by one to see how fast the receiver is just then."""


def recovers(run: Run) -> bool:
    """Wait until a delivery is answered in time again: whoever was late works off what the burst has left first."""
    for _ in range(WAITS):
        (attempt,) = run.send(run.shot(run.event(), note="one delivery after a burst"))
        if attempt.outcome is not Outcome.TIMED_OUT:
            return True
        run.sent.excuse([attempt])
    return False


def burst(run: Run, size: int, *, fix: str = "") -> None:
    """Deliver so many events at once; fail unless each is answered in time and, where recorded, shows once."""
    for last in (False,) * (BURSTS - 1) + (True,):
        # What the receiver does one by one, just before, tells a burst that is too much from a machine that is busy.
        alone = run.send_each(run.shot(run.event(), note=f"one by one, {n} of {PACE}") for n in range(1, PACE + 1))
        run.must_ack(alone, "each of a few deliveries, one by one,")
        pace = sorted(attempt.reply.seconds for attempt in alone)[len(alone) // 2]
        attempts = run.send(*(run.shot(run.event(), note=f"{n} of {size}") for n in range(1, size + 1)))
        late = [a for a in attempts if isinstance(a.reply, NoReply)]
        run.sent.excuse(late)
        if not late:
            break
        back = recovers(run)
        if last or not back:
            again = (
                f"and as little in {BURSTS - 1} bursts before" if back else "and none that came one by one after them"
            )
            raise Failed(
                f"{size} deliveries answered within {run.feed.deadline:g} s each",
                f"{counted(len(late), 'was', 'were')} not, {again}; the first: {late[0].judgement.rule}; one by one a delivery took "
                f"{pace * 1000:.0f} ms just before",
                late,
                cause="late under burst",
                fix=fix,
            )
    run.must_ack(attempts, f"each of {size} deliveries at once")
    effects = run.must_show(attempts, f"each of {size} deliveries at once")
    doubled = [one for a in attempts for one in run.occurrences(*a.shot.events) if effects.count(one) > 1]
    if doubled:
        twice = set(doubled)
        shown = [a for a in attempts if twice & set(run.occurrences(*a.shot.events))]
        raise Failed(
            "one effect each",
            f"{counted(len(doubled), 'event has more:', 'events have more, among them')} {doubled[0]}",
            shown,
            cause="doubled",
            records=each_effect(effects, doubled[0]),
        )
