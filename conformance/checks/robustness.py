"""A correctly signed but broken request must not take the receiver down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import ceil, inf

from im_callback.conformance import needs
from im_callback.conformance.check import check
from im_callback.conformance.disturbed import performed
from im_callback.conformance.judge import Effects, text
from im_callback.conformance.repeats import once
from im_callback.conformance.run import Run
from im_callback.conformance.samples import speaking_event
from im_callback.conformance.verdict import CouldNotRun, Failed, Gone, NotApplicable
from im_callback.conformance.words import counted, said_of, shorten
from im_callback.conformance.wrong_types import mistyped
from im_callback.provider_mock.contract import Event, NoReply, Outcome
from im_callback.provider_mock.delivery.changes import CannotChange, Change
from im_callback.provider_mock.delivery.plan import Plan, Step, Transport
from im_callback.provider_mock.history import Attempt, Shot
from im_callback.schemas import EventType

BROKEN_JSON = ("cut", "null", "number", "string", "container", "others", "nan", "deep", "doubled")
LARGE = 10 * 2**20
"""Bytes of a body that nobody expects."""
METHODS = ("GET", "PUT", "HEAD")
WRONG_TYPES = 2
"""Event types of which every field is tried."""
FEW = 8
"""Events with a wrong type in a row, until a valid one is looked for."""
ENDS = (16, 0.5)
"""Where a body is cut off: so many bytes before its end, or at this part of it."""
TRICKLE = 1.5
"""Seconds over which a body trickles in. Who waits for it so long waits for any other, too."""
PIECES = 15
OTHERS = 4
"""Deliveries that are made meanwhile."""
TRIES = 3
"""How often that is tried: a machine that is busy answers late once, not each time."""
SLOWEST = 2.0
"""Deliveries a second at least that a rate must allow for others to be made meanwhile."""
REUSED = 100
"""Deliveries over one connection."""
REFUSED_EACH = 5
"""Each so many of them one that must be refused."""
DUE = "an answer in time, no effect, and the next valid delivery acknowledged"
FIX = "Catch what the parser raises, answer 400, and record nothing."


def survives(run: Run, shots: Sequence[Shot], *, each: int = 1) -> None:
    """Send broken requests, a valid one after each few; fail, naming all of them, where one is taken or does harm."""
    run.must_not_be_blind()
    run.control(run.event(), "a valid delivery before it", "robustness.still-alive")
    harm: list[tuple[str, str, list[Attempt]]] = []
    for start in range(0, len(shots), each):
        few = shots[start : start + each]
        said, attempts = _harm(run, few)
        if said:
            named = (
                few[0].note
                if len(attempts) == 1 or not few[1:]
                else f"{few[0].note}, or one of {len(few) - 1} after it"
            )
            harm.append((attempts[0].shot.note if len(attempts) == 1 else named, said, attempts))
        if len(attempts) > 1:
            # It takes nothing valid any more: what else would harm it cannot be seen.
            break
    if harm:
        raise Failed(
            DUE,
            "; ".join(f"{note}: {said}" for note, said, _ in harm),
            [attempt for _, _, attempts in harm for attempt in attempts],
        )


def _harm(run: Run, shots: Sequence[Shot]) -> tuple[str, list[Attempt]]:
    """Return what harm broken requests do, if any, and the exchanges that show it: one, or all and what came after."""
    before = _strange(run.effects() if run.handled else Effects(), shots)
    what = shots[0].note
    try:
        attempts = [run.send(shot)[0] for shot in shots]
        after = run.deliver(run.event(), note=f"a valid delivery after {what}")
    except Gone as gone:
        gone.actual = f"{what}: {gone.actual}"
        raise
    for attempt in attempts:
        if isinstance(attempt.reply, NoReply):
            return attempt.reply.detail, [attempt]
    if not after.acked:
        return f"the valid delivery after it: {said_of(after)}", [*attempts, after]
    try:
        effects = run.must_show([after], f"the valid delivery after {what}")
    except CouldNotRun as stopped:
        # They could be read just before.
        return f"since then {stopped.reason}", [*attempts, after]
    for attempt in attempts:
        for one in run.occurrences(*attempt.shot.events):
            if effects.counts.get(one) and one in run.sent.forbidden(run.binding):
                return f"the effects show {one}", [attempt]
    strange = _strange(effects, shots) - before
    if strange:
        return f"a record that is {next(iter(strange))}", attempts[:1]
    return "", []


def _strange(effects: Effects, shots: Sequence[Shot]) -> Counter[str]:
    """Return the records that no event leaves, in words: null, no objects, objects with nothing in them.

    An object that was sent may be kept by a receiver that keeps whatever is signed; it may have none of
    the fields that records are renamed to.
    """
    strange = [one for one in effects.unmatched if not isinstance(one, Mapping)]
    said = [f"no object: {shorten(one) or 'null'}" for one in strange]
    # Nor does one that is made of an event with a value of another type, of which little may be kept.
    if not all(shot.request.body.startswith(b"{") or not shot.events for shot in shots):
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
    remedies=("bad-body",),
)
def check_malformed_json(run: Run) -> None:
    """Each broken body gets an answer in time and has no effect, and the valid delivery after it is accepted.

    A -> acknowledged
    B, signed, its JSON broken; nine ways -> any answer
    C -> acknowledged
    = C, and nothing of B

    - The parser's exception ends the connection, or the worker.
    - What a cut body left open is closed, and recorded.
    - A record is made of whatever is signed, a null too.
    """
    survives(run, [run.shot(run.event(), change=Change("break", value=kind)) for kind in BROKEN_JSON])


@check(
    "Bytes that are no UTF-8 do no harm",
    topic="payload",
    level="may",
    why="They are a sign of something broken on the way; kept as U+FFFD, what somebody said is lost for good.",
    fix="Decode the body strictly as UTF-8; answer 400 where it is none, and record nothing.",
    remedies=("bad-body",),
)
def check_invalid_utf8(run: Run) -> None:
    """The body gets an answer in time and has no effect, and the valid delivery after it is accepted.

    A -> acknowledged
    B, signed, with bytes that are no UTF-8 -> any answer
    C -> acknowledged
    = C, and nothing of B

    - The body is read as Latin-1, which never fails and garbles.
    - Bytes that are no UTF-8 are kept as U+FFFD.
    """
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
    remedies=("each-entry",),
)
def check_lone_object(run: Run) -> None:
    """The object is refused; or it is acknowledged, and its event shows.

    A, as an object without an array around it -> acknowledged, or refused
    = A, if it was acknowledged

    - A lone object is acknowledged, and nothing of it recorded.
    """
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
    remedies=("bad-body",),
)
def check_empty_body(run: Run) -> None:
    """The empty body gets an answer in time, and the valid delivery after it is accepted.

    A -> acknowledged
    B, signed, without a body -> any answer
    C -> acknowledged
    = C, and nothing of B

    - The parser's exception ends the connection.
    """
    survives(run, [run.shot(run.event(), change=Change("break", value="empty"))])


@check(
    "Values of another type do no harm",
    topic="payload",
    level="should",
    why="A null where an object was, or an object for a text, comes from the next version of a client; whoever reads "
    "it blindly loses a worker, or stores what nobody can read any more.",
    fix=FIX,
    remedies=("read-with-care", "bad-body"),
)
def check_wrong_types(run: Run) -> None:
    """No event with a value of another type costs an answer, a record, or the valid delivery after it.

    A -> acknowledged
    B, signed, with a null where an object was; many ways -> any answer
    C -> acknowledged
    = C

    - The exception ends the worker, and the next delivery goes without an answer.
    - Something is stored that breaks every reader of the list.

    Whether such an event is recorded is the receiver's affair: many keep what they do not look into.
    """
    types = [run.subject, *(one for one in run.handled or run.documented if one is not run.subject)]
    shots = [shot for event_type in types[:WRONG_TYPES] for shot in of_wrong_types(run, event_type)]
    survives(run, shots, each=FEW)


def of_wrong_types(run: Run, event_type: EventType) -> Iterator[Shot]:
    """Yield an event of the type with each of its values in turn of another one; it is nobody's event.

    What tells it from others stays as it is: a record without it might be taken for that of any event.
    """
    place = "" if event_type.items is None else f"{event_type.items}/0"
    telling = [f"{place}{pointer}/" for pointer in event_type.identity or ()]
    for note, _ in mistyped(run.event(event_type).payload):
        if any(one.startswith(f"{note.partition(' ')[0]}/") for one in telling):
            continue
        payload = dict(mistyped(run.event(event_type).payload)).get(note)
        if payload is not None:
            body = run.feed.body([Event(event_type.name, payload)], run.settings.wire)
            yield run.raw(body, command=event_type.code, note=f"{event_type.name}, {note}")


@check(
    "Other methods of HTTP do no harm",
    topic="transport",
    level="may",
    why="Whoever finds the address tries GET; what answers to it as to a callback is open to links and prefetching.",
    fix="Take POST only, and answer 405 to everything else.",
    remedies=("limit-body",),
)
def check_wrong_method(run: Run) -> None:
    """GET, PUT and HEAD get an answer and have no effect, and the valid delivery after them is accepted.

    A -> acknowledged
    B, with another method than POST -> any answer
    C -> acknowledged
    = C, and nothing of B

    - The method is not looked at.
    """
    survives(run, [run.shot(run.event(), change=Change("method", value=one)) for one in METHODS])


@check(
    "A very large body does no harm",
    topic="transport",
    level="should",
    why="One body that fills the memory, or is read for minutes, takes all other deliveries with it.",
    fix="Limit how large a body may be, answer 413 beyond that, and stop reading.",
    remedies=("limit-body",),
)
def check_oversized(run: Run) -> None:
    """After a body of ten MiB, whatever became of it, the next delivery is accepted.

    A -> acknowledged
    B, with 10 MiB of white space -> any answer, or none
    C -> acknowledged
    = C

    - All of it is read into memory, whatever its size.

    Refused, answered or cut off, all is well: what counts is the next delivery. No answer in time may be the way there,
    on which ten million bytes take as long as they take: nothing is said then.
    """
    run.must_not_be_blind()
    run.control(run.event(), "a valid delivery before it", "robustness.still-alive")
    padded = run.shot(run.event(), change=Change("pad", value=str(LARGE)))
    # White space is added, so that a receiver may take it for the event that it is: it is nobody's.
    (attempt,) = run.send(replace(padded, events=()))
    late = attempt.outcome is Outcome.TIMED_OUT
    after = run.deliver(run.event(), note="a valid delivery after a very large body")
    if not after.acked:
        raise Failed(
            "the next valid delivery acknowledged",
            f"after a body of {LARGE >> 20} MiB ({said_of(attempt)}): {said_of(after)}",
            [after],
        )
    run.must_show([after], "a valid delivery after a very large body")
    if late:
        raise NotApplicable(
            f"{LARGE >> 20} MiB are not read and answered within the deadline, and nothing else suffers"
        )


@check(
    "A body that was cut off, and sent again whole, has one effect",
    topic="duplicates",
    level="must",
    why="Connections break in the middle of a request. Half an event is none, and the whole one must not be taken for "
    "a repeat of it.",
    fix="Read the body to the end that Content-Length promises before anything of it counts.",
    remedies=("whole-body", "unique-key"),
)
def check_cut_off_body(run: Run) -> None:
    """The whole delivery after the one that was cut off is acknowledged, and shows once.

    A -> acknowledged
    B, cut off near its end -x
    C, cut off half-way -x
    B and C again, whole -> acknowledged
    = B once, C once

    - The transaction that the cut-off request opened is still open, and the next delivery waits for it.
    - The event is noted as known before its body is there.
    """
    run.must_not_be_blind()
    run.control(run.event(), "a whole delivery", "preflight.accepts-valid")
    shots = [run.shot(run.event(), note=f"a body that ends {_place(end)}") for end in ENDS]
    limits = [
        -int(end) if end >= 1 else int(len(shot.request.body) * end) for end, shot in zip(ENDS, shots, strict=True)
    ]
    plan = tuple(Step(index, turn=index, transport=Transport(body_limit=limit)) for index, limit in enumerate(limits))
    cut = performed(run, plan, shots)
    again = run.send_each(run.again(one, note=f"{one.shot.note}, sent again whole") for one in cut)
    run.must_ack(again, "a delivery whose first body was cut off, sent again whole,")
    if run.handled:
        once(run, [event for shot in shots for event in shot.events], [*cut, *again])


def _place(end: float) -> str:
    return f"{end} bytes too early" if end >= 1 else "half-way"


@check(
    "A body that trickles in holds up no others",
    topic="transport",
    level="should",
    why="One slow connection, on purpose or by a bad line, keeps a server that serves one after the other from "
    "answering anybody in time.",
    fix="Let a server in front take in whole requests first, or run more than one worker or thread.",
    remedies=("several-at-once",),
)
def check_trickled_body(run: Run) -> None:
    """While a body trickles in, at least one of four other deliveries is answered; three tries.

    A -> acknowledged
    B, which trickles in over a second and a half ->
    C, D, E and F meanwhile -> acknowledged
    -> an answer to B, whatever it says

    - One worker reads one request to its end before it looks at another.

    The provider's deadline is longer. A second and a half is enough to see whether the others are answered before it is
    there: who makes them wait for it makes them wait past any deadline, where it takes as long.
    """
    rate = run.settings.rate
    if rate is not None and rate < SLOWEST:
        raise NotApplicable(f"--receiver-rate={rate:g} leaves no room for deliveries meanwhile")
    run.must_not_be_blind()
    run.control(run.event(), "a valid delivery before it", "robustness.still-alive")
    for _ in range(TRIES):
        slow = run.shot(run.event(), note=f"a body that takes {TRICKLE:g} s")
        others = [run.shot(run.event(), note=f"{n} of {OTHERS} meanwhile") for n in range(1, OTHERS + 1)]
        attempts = performed(run, trickling(len(slow.request.body), OTHERS), [slow, *others])
        # How long the slow one took is our own doing.
        run.sent.excuse([attempts[0], *(one for one in attempts[1:] if not one.acked)])
        whole = attempts[0].sent_at + TRICKLE * 1000 * (PIECES - 1) / PIECES
        held = [one for one in attempts[1:] if one.sent_at + _millis(one) >= whole]
        if len(held) < OTHERS:
            refused = [one for one in attempts[1:] if one not in held and not one.acked]
            run.must_ack(refused, "a delivery while the body of another one trickles in")
            return
    raise Failed(
        "other deliveries answered while a body trickles in",
        f"none of {OTHERS} was answered before the last byte of it was there, {counted(TRIES, 'time', 'times')} in a row",
        held,
        cause="held up by a body that trickles in",
    )


def trickling(size: int, others: int) -> Plan:
    """Return the plan of a body of so many bytes that trickles in, and of others that are sent meanwhile."""
    slow = Transport(trickle_bytes=max(1, ceil(size / PIECES)), trickle_seconds=TRICKLE / PIECES)
    first = TRICKLE / 5
    return (Step(0, transport=slow), *(Step(n, at=first + n * TRICKLE / 30) for n in range(1, others + 1)))


def _millis(attempt: Attempt) -> float:
    return inf if isinstance(attempt.reply, NoReply) else attempt.reply.seconds * 1000


@check(
    "Many deliveries over one connection are answered each by itself",
    topic="transport",
    level="should",
    last=True,
    why="A refusal that leaves the body unread turns it into the next request: the deliveries behind it on the "
    "connection are lost, or answered for one another.",
    fix="Read the body before answering, or close the connection after a refusal.",
    remedies=("whole-body", "refuse-by-status"),
)
def check_connection_reuse(run: Run) -> None:
    """Over one connection every valid delivery is acknowledged, as over a connection of its own.

    A -> acknowledged
    B, over a connection that is kept, not signed -> any answer
    C, over the same connection -> acknowledged
    ... 98 others over it, every fifth to be refused
    = all but those

    - What is not signed is refused without reading its body, which is then taken for the next request.
    - After an error something of the connection's state is kept.

    A receiver that closes the connection, after each delivery or now and then, is as good.
    """
    run.must_not_be_blind()
    run.control(run.event(), "a delivery over a connection of its own", "robustness.still-alive")
    rate = run.settings.rate
    count = REUSED if rate is None else max(2 * REFUSED_EACH, min(REUSED, int(rate * REFUSED_EACH)))
    bad = [one for one in (Change("drop", "signature"), Change("secret", value="other")) if _fits(run, one)]
    shots = []
    for n in range(1, count + 1):
        change = bad[n // REFUSED_EACH % len(bad)] if bad and n % REFUSED_EACH == 1 else None
        note = f"{n} of {count} over one connection, {'to be refused' if change else 'valid'}"
        shot = run.shot(run.event(), change=change, note=note)
        # Whether what is to be refused is, others ask: here it is nobody's event.
        shots.append(replace(shot, events=()) if change else shot)
    plan = tuple(Step(n, turn=n, connection="kept") for n in range(count))
    attempts = performed(run, plan, shots)
    valid = [one for one in attempts if one.shot.valid]
    others = [one for one in valid if not one.acked]
    if others:
        raise Failed(
            f"each of {len(valid)} valid deliveries acknowledged, as over a connection of its own",
            f"{counted(len(others), 'was', 'were')} not, the first: {said_of(others[0])}",
            others,
            cause="answers over one connection",
        )
    run.must_show(valid, "a delivery over a connection that is kept")


def _fits(run: Run, change: Change) -> bool:
    """Return whether a change does anything to the feed's requests, and makes them ones to be refused."""
    try:
        return run.shot(run.event(), change=change).forged
    except (CannotChange, NotApplicable):
        return False


@check(
    "The receiver is still alive at the end",
    topic="transport",
    level="must",
    last=True,
    why="After everything that was sent, real deliveries go on.",
    fix="See what was sent last; look into the receiver's log.",
    remedies=("bad-body", "several-at-once"),
)
def check_still_alive(run: Run) -> None:
    """After everything that was sent, a valid delivery is acknowledged and, where recorded, shows.

    ... all others of the run before
    A -> acknowledged
    = A

    - After one broken body, or one bad signature, nothing is accepted, or nothing recorded, any more.
    """
    attempt = run.deliver(run.event(), note="a valid delivery at the very end")
    run.must_ack([attempt], "a valid delivery at the very end")
    run.must_show([attempt], "a valid delivery at the very end")
