"""Deliveries whose way is disturbed: nobody reads the answer, the body is cut off, it trickles, a connection is kept.

What is done to a request is the plan's `Transport`, as in the faults that everybody can order by name.
"""

from __future__ import annotations

from collections.abc import Sequence

from im_callback.conformance.run import Run
from im_callback.provider_mock.contract import NoReply
from im_callback.provider_mock.delivery.perform import PlannedAttempt, perform
from im_callback.provider_mock.delivery.plan import Plan, Step, Transport
from im_callback.provider_mock.history import Shot

SHORT = 0.25
"""Seconds at least until an attempt is given up as the provider would at its deadline."""
TWICE = 2


def performed(run: Run, plan: Plan, shots: Sequence[Shot]) -> list[PlannedAttempt]:
    """Send the shots as the plan has it, its step's `index` being the place of the shot; return them in that order.

    An attempt whose answer is kept from coming back says nothing of the receiver, and is not looked back at; neither is
    one that is to be refused, which is for others to judge.
    """
    run.must_be_there()
    for shot in shots:
        run.matcher.add(shot.events)
        run.sent.leaving(shot.events, run.binding, valid=shot.valid)

    def shot_of(step: Step, _: int) -> Shot:
        run.courier.wait()
        return shots[step.index]

    attempts = sorted(perform(plan, shot_of, run.courier), key=lambda one: (one.step.index, one.step.attempt))
    told = [one for one in attempts if one.step.transport.ackable and not one.shot.forged]
    run.sent.came_back(told, run.binding)
    return attempts


def at_once(count: int, transport: Transport) -> Plan:
    """Return the plan of so many deliveries that leave at once, each disturbed in the same way."""
    return tuple(Step(index, transport=transport) for index in range(count))


def patience(run: Run) -> float:
    """Return after how many seconds an attempt is given up: when the receiver has surely done all that it will.

    A provider waits for its whole deadline. Whether a receiver that has finished is left alone then or earlier, it
    cannot tell; one that needs longer gets longer.
    """
    times = sorted(one.reply.seconds for one in run.history if not isinstance(one.reply, NoReply))
    usual = times[int(len(times) * 0.98)] if times else 0.0
    return min(run.feed.deadline, max(SHORT, TWICE * usual))
