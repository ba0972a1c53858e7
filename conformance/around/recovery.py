"""Ends the receiver or cuts its store for a while, delivers meanwhile, and sees that it comes back.

What is sent in such a while is judged by the check that caused it and by no other; a receiver that does not come
back is that check's finding, and the rest of the run is not blamed for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from im_callback.conformance.around.command import Occupied, Receiver, ReceiverError
from im_callback.conformance.around.downstream import Downstream
from im_callback.conformance.judge import Occurrence, superseded
from im_callback.conformance.run import Run
from im_callback.conformance.verdict import CouldNotRun, Failed, Gone
from im_callback.conformance.words import said_of
from im_callback.provider_mock.contract import Event, Feed, Outcome
from im_callback.provider_mock.history import Attempt
from im_callback.schemas import EventType

KINDS = 6
"""Event types of which one is delivered in a disturbance."""
COMES_BACK = 30.0
"""Seconds within which a receiver takes deliveries again, once its store is there or it was started."""
APPEARS = 20.0
"""Seconds, at least, for what was taken meanwhile to show: who queues tries again after a while."""
RETRIES = 3
SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
LOST = "acknowledged, and gone with the process"
NOTHING_WENT_THROUGH = (
    "Let the receiver reach its store at 127.0.0.1 and the port that the header prints: in --receiver-command as "
    "{downstream}, or fixed by --receiver-downstream-port"
)


@contextmanager
def disturbing(run: Run) -> Iterator[None]:
    """Let it say nothing, for the moment, that the receiver does not answer."""
    run.disturbed = True
    try:
        yield
    finally:
        run.disturbed = False


def process_of(run: Run) -> Receiver:
    """Return the receiver's process; to be asked for by checks that do not apply without."""
    assert run.receiver is not None, "the check must name the option"
    return run.receiver


def store_of(run: Run) -> Downstream:
    """Return the proxy in front of the store; to be asked for by checks that do not apply without."""
    assert run.downstream is not None, "the check must name the option"
    return run.downstream


def kinds(run: Run) -> Sequence[EventType]:
    """Return some of the recorded event types."""
    return run.handled[:KINDS] or (run.subject,)


def went_through(run: Run, events: Iterable[Event], what: str) -> bool:
    """Deliver the events one by one, accepted as ever; return whether the receiver turned to its store meanwhile."""
    store = store_of(run)
    before = store.touches
    attempts = run.send_each(run.shot(event, note=f"{what}, while its store is there") for event in events)
    if not any(attempt.taken for attempt in attempts):
        raise CouldNotRun(
            f"{what} is not accepted with its store there either ({said_of(attempts[0])})",
            "See preflight.accepts-valid",
            attempts,
        )
    if run.handled:
        run.shown(event for attempt in attempts if attempt.acked for event in attempt.shot.events)
    return store.touches > before


def must_go_through(run: Run) -> None:
    """End the check as could-not-run where the receiver does not turn to its store through the proxy."""
    if not went_through(run, [run.event(one) for one in kinds(run)], "a delivery"):
        raise CouldNotRun(nothing_went_through(run), NOTHING_WENT_THROUGH)


def nothing_went_through(run: Run) -> str:
    """Return what to say where the proxy saw nothing."""
    store = store_of(run)
    if store.unreachable:
        return f"the proxy cannot reach the store at {store.host}:{store.port} ({store.unreachable})"
    return f"deliveries were recorded, and nothing went through the proxy at 127.0.0.1:{store.own_port}"


def without_store(
    run: Run,
    disturb: Callable[[], None],
    events: Sequence[Event],
    how: str,
    finish: Callable[[], None] = lambda: None,
) -> list[Attempt]:
    """Deliver the events at once while the store is disturbed; return the attempts with the store there again.

    `finish` is done before the store comes back.
    """
    store = store_of(run)
    with disturbing(run):
        try:
            disturb()
            attempts = run.send(*(run.shot(event, note=f"{event.type}, while its store {how}") for event in events))
            finish()
        finally:
            store.heal()
    run.sent.excuse(attempts)
    return attempts


def comes_back(run: Run, after: str, shown: Sequence[Attempt] = (), *, anew: bool = True) -> list[Attempt]:
    """Deliver until something is accepted, and the effects can be read; return those attempts.

    One that has ended over it is started again at once, as a supervisor would: to end is no fault of its own.
    Fails if that takes too long; with `anew`, and where we can, the receiver is then started again for the sake of
    the other checks.
    """
    expected = f"deliveries accepted again within {COMES_BACK:g} s after {after}"

    def supervise() -> None:
        if anew and run.receiver is not None and not run.receiver.running:
            run.notes.append(f"the receiver ended before {after}; it was started again, as a supervisor would do")
            _started_again(run, expected, "it had ended", shown)

    attempts = _accepted(run, supervise)
    if well(attempts[-1]):
        _await_effects(run)
        return attempts
    last = attempts[-1]
    said = f"none is; the last: {said_of(last)}"
    if anew and run.receiver is not None:
        run.receiver.close()
        _started_again(run, expected, said, [*shown, last])
        if well(_accepted(run)[-1]):
            _await_effects(run)
            raise Failed(expected, f"{said}; after a restart it accepts them", [*shown, last])
    raise Gone(expected, said, [*shown, last])


def _started_again(run: Run, expected: str, said: str, shown: Sequence[Attempt]) -> None:
    try:
        process_of(run).start()
    except ReceiverError as error:
        raise Gone(expected, f"{said}; nor does it start again: {error.reason}", shown) from None


def well(attempt: Attempt) -> bool:
    """Return whether an attempt was accepted in so many words: where errors count as received, not by one."""
    return attempt.acked and (attempt.status or 0) < 500


def _accepted(run: Run, supervise: Callable[[], None] = lambda: None) -> list[Attempt]:
    """Deliver one after the other, until one is accepted or time is over; `supervise` before each."""
    end = run.shared.now() + COMES_BACK
    pause = SHORTEST_PAUSE
    attempts: list[Attempt] = []
    while True:
        supervise()
        with disturbing(run):
            attempts += run.send(run.shot(run.event(), note="a valid delivery, to see whether it is back"))
        if well(attempts[-1]) or run.shared.now() > end:
            run.sent.excuse(attempts)
            return attempts
        run.shared.pause(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _await_effects(run: Run) -> None:
    """Wait until the effects can be read: who shows them may need its store, or a moment."""
    if run.read_effects is not None:
        run.readable(COMES_BACK)


def sends_again(feed: Feed, outcome: Outcome) -> bool:
    """Return whether the provider, in one of its ways, delivers again after an attempt that came to this."""
    return any(policy.retries.get(outcome, 0) for policy in feed.policies.values())


def sent_again(run: Run, attempts: Iterable[Attempt]) -> list[Attempt]:
    """Deliver again what the provider would deliver again, until it is taken; return those attempts."""
    again: list[Attempt] = []
    for attempt in attempts:
        last = attempt
        for _ in range(RETRIES):
            if last.taken or not sends_again(run.feed, last.outcome):
                break
            last = run.send(run.again(last, afresh=True, note=f"{attempt.shot.note}: sent again"))[0]
            again.append(last)
    run.sent.excuse(again)
    return again


def must_keep(run: Run, attempts: Iterable[Attempt], what: str, *, cause: str, fix: str = "") -> None:
    """Fail unless everything of a recorded kind that was acknowledged shows in the end."""
    acked = [attempt for attempt in attempts if attempt.acked]
    if not acked:
        return
    try:
        run.must_show(acked, what, fix=fix, seconds=max(APPEARS, run.settings.settle))
    except Failed as failed:
        failed.cause = cause
        raise


def ended_amid(run: Run, events: Sequence[Event], end: Callable[[], None], after: int, note: str) -> list[Attempt]:
    """Deliver the events at once, and do `end` as soon as so many are acknowledged, or all have been answered."""
    acked = 0
    ended = False

    def noticed(attempt: Attempt) -> None:
        nonlocal acked, ended
        acked += attempt.acked
        if acked >= after and not ended:
            ended = True
            end()

    with disturbing(run):
        attempts = run.send(*(run.shot(event, note=note) for event in events), noticed=noticed)
    if not ended:
        end()
    run.sent.excuse(attempts)
    return attempts


def must_start(run: Run, after: str, attempts: Sequence[Attempt]) -> None:
    """Start the receiver anew; it not coming up is a failure, and the end of the run."""
    try:
        process_of(run).start()
    except Occupied as error:
        raise CouldNotRun(error.reason, error.fix, attempts) from None
    except ReceiverError as error:
        raise Gone(
            f"the receiver starts again after {after}",
            error.reason,
            attempts,
            fix="Let it start over whatever an earlier end has left: lock files, sockets, half-written data.",
        ) from None
    comes_back(run, f"its start after {after}", attempts, anew=False)


def ended(run: Run, end: Callable[[], object], attempts: Sequence[Attempt] = ()) -> None:
    """End the receiver; could-not-run where something of it goes on."""
    try:
        end()
    except Occupied as error:
        raise CouldNotRun(error.reason, error.fix, attempts) from None


def shown_now(run: Run) -> set[Occurrence]:
    """Return what the application shows at the moment, those that a newer state may take the place of aside."""
    sent = [event for attempt in run.history if attempt.shot.valid for event in attempt.shot.events]
    return set(run.effects().counts) - superseded(sent, run.provider.catalogue)


def forget_vanished(run: Run, before: set[Occurrence], seconds: float) -> int:
    """Let nobody else judge what has gone with the process; return how many of them were acknowledged.

    A receiver may need a moment, of so many seconds, until it shows again what it has.
    """
    effects = run.settle(lambda seen: all(seen.counts.get(one) for one in before), seconds)
    vanished = {one for one in before if not effects.counts.get(one)}
    judged = run.sent.to_judge(run.binding)
    run.sent.indistinct.update(vanished)
    return len(vanished & judged)
