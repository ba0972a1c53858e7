"""A correctly signed but broken request must not take the receiver down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from im_callback.conformance import needs
from im_callback.conformance.check import check
from im_callback.conformance.judge import Effects, text
from im_callback.conformance.run import Run, said_of, shorten
from im_callback.conformance.samples import speaking_event
from im_callback.conformance.verdict import Failed, Gone
from im_callback.provider_mock.contract import NoReply
from im_callback.provider_mock.delivery.changes import Change
from im_callback.provider_mock.history import Attempt, Shot

BROKEN_JSON = ("cut", "null", "number", "string", "container", "others", "nan", "deep", "doubled")
DUE = "an answer in time, no effect, and the next valid delivery acknowledged"
FIX = "Catch what the parser raises, answer 400, and record nothing."


def survives(run: Run, shots: Sequence[Shot]) -> None:
    """Send broken requests, a valid one after each; fail, naming all of them, where one is taken or does harm."""
    run.must_not_be_blind()
    run.control(run.event(), "a valid delivery before it", "robustness.still-alive")
    harm: list[tuple[Shot, str, list[Attempt]]] = []
    for shot in shots:
        said, attempts = _harm(run, shot)
        if said:
            harm.append((shot, said, attempts))
        if len(attempts) > 1:
            # It takes nothing valid any more: what else would harm it cannot be seen.
            break
    if harm:
        raise Failed(
            DUE,
            "; ".join(f"{shot.note}: {said}" for shot, said, _ in harm),
            [attempt for _, _, attempts in harm for attempt in attempts],
        )


def _harm(run: Run, shot: Shot) -> tuple[str, list[Attempt]]:
    """Return what harm a broken request does, if any, and the exchanges that show it."""
    before = _strange(run.effects() if run.handled else Effects(), shot)
    try:
        (attempt,) = run.send(shot)
        after = run.deliver(run.event(), note=f"a valid delivery after {shot.note}")
    except Gone as gone:
        gone.actual = f"{shot.note}: {gone.actual}"
        raise
    if isinstance(attempt.reply, NoReply):
        return attempt.reply.detail, [attempt]
    if not after.acked:
        return f"the valid delivery after it: {said_of(after)}", [attempt, after]
    effects = run.must_show([after], f"the valid delivery after {shot.note}")
    for one in run.occurrences(*shot.events):
        if effects.counts.get(one) and one in run.sent.forbidden(run.binding):
            return f"the effects show {one}", [attempt]
    strange = _strange(effects, shot) - before
    if strange:
        return f"a record that is {next(iter(strange))}", [attempt]
    return "", []


def _strange(effects: Effects, shot: Shot) -> Counter[str]:
    """Return the records that no event leaves, in words: null, no objects, objects with nothing in them.

    An object that was sent may be kept by a receiver that keeps whatever is signed; it may have none of
    the fields that records are renamed to.
    """
    strange = [one for one in effects.unmatched if not isinstance(one, Mapping)]
    said = [f"no object: {shorten(one) or 'null'}" for one in strange]
    if not shot.request.body.startswith(b"{"):
        empty = [one for one in effects.unmatched if isinstance(one, Mapping) and not any(map(text, one.values()))]
        said += [f"an object without a value ({', '.join(map(str, one)) or 'no fields'})" for one in empty]
    return Counter(said)


@check(
    "Broken JSON does no harm",
    topic="payload",
    level="should",
    why="One body that kills a worker, or is repeated a thousand times, takes all the others with it.",
    fix=FIX,
    needs=needs.sends_json,
)
def check_malformed_json(run: Run) -> None:
    survives(run, [run.shot(run.event(), change=Change("break", value=kind)) for kind in BROKEN_JSON])


@check(
    "Bytes that are no UTF-8 do no harm",
    topic="payload",
    level="may",
    why="They are a sign of something broken on the way; kept as U+FFFD, what somebody said is lost for good.",
    fix="Decode the body strictly as UTF-8; answer 400 where it is none, and record nothing.",
)
def check_invalid_utf8(run: Run) -> None:
    said = "broken here"
    # Inside what somebody said, so that the identity stays whole.
    survives(run, [run.shot(speaking_event(run, said), change=Change("break", said, "invalid-utf8"))])


@check(
    "A lone object is taken, or refused",
    topic="payload",
    level="may",
    why="The page speaks of an object and shows an array; what is acknowledged must not be dropped for its form.",
    fix="Take a lone object as an array of one, or refuse it.",
    needs=needs.batches,
)
def check_lone_object(run: Run) -> None:
    run.must_not_be_blind()
    attempts = run.send(run.shot(run.event(), wire=run.wire(lone_object=True), note="a lone object"))
    if not attempts[0].taken:
        return
    run.must_show(attempts, "an acknowledged lone object")


@check(
    "An empty body does no harm",
    topic="payload",
    level="should",
    why="Health checks and broken gateways send them.",
    fix=FIX,
)
def check_empty_body(run: Run) -> None:
    survives(run, [run.shot(run.event(), change=Change("break", value="empty"))])


@check(
    "The receiver is still alive at the end",
    topic="transport",
    level="must",
    last=True,
    why="After everything that was sent, real deliveries go on.",
    fix="See what was sent last; look into the receiver's log.",
)
def check_still_alive(run: Run) -> None:
    attempt = run.deliver(run.event(), note="a valid delivery at the very end")
    run.must_ack([attempt], "a valid delivery at the very end")
    run.must_show([attempt], "a valid delivery at the very end")
