"""One event, one effect, however often it is delivered (and two events, two effects)."""

from __future__ import annotations

from im_callback.conformance import needs
from im_callback.conformance.around.recovery import (
    ended,
    forget_vanished,
    must_start,
    process_of,
    sent_again,
    shown_now,
)
from im_callback.conformance.around.second import second_receiver, to_address
from im_callback.conformance.beside import each_effect
from im_callback.conformance.check import check
from im_callback.conformance.disturbed import patience
from im_callback.conformance.judge import duplicated
from im_callback.conformance.repeats import (
    after_no_answer,
    fill_up,
    first_and_again,
    identified,
    lasts,
    once,
    parts_of_key,
    shared_ids,
    whose,
)
from im_callback.conformance.run import Run
from im_callback.conformance.verdict import Failed, NotApplicable
from im_callback.conformance.words import counted, notes_of
from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.delivery.plan import Transport
from im_callback.provider_mock.history import Attempt

AT_ONCE = 16
RACES = 8
"""Rounds of identical requests that arrive together: a receiver that looks first and inserts afterwards rarely passes one."""
RETRIES = 3
LONGEST = 60
"""Seconds at most that they may take under a rate."""
WHY = "Providers deliver again after a lost acknowledgement; users then see the message twice, or pay twice."
FIX = (
    "Keep the identity of what you recorded (provider-mock events lists the fields) under a unique key, "
    "and acknowledge what is already there."
)


@check(
    "The same request again has no second effect",
    topic="duplicates",
    level="should",
    effects=True,
    why=WHY,
    fix=FIX,
    remedies=("unique-key",),
)
def check_same_request_again(run: Run) -> None:
    """The second delivery is acknowledged, and the effects show the event once.

    A -> acknowledged
    A again, the same bytes -> acknowledged
    = A once

    - Every delivery is recorded.
    - Only the latest few events are remembered.
    - A repeat is answered with an error, so that it is sent again and again.
    """
    first_and_again(run, note="the same request again")


@check(
    "A retry that is signed afresh has no second effect",
    topic="duplicates",
    level="should",
    effects=True,
    why="Time, nonce and signature differ between attempts: a receiver that tells deliveries apart by them records "
    "every retry.",
    fix=FIX,
    remedies=("unique-key",),
)
def check_retry_signed_afresh(run: Run) -> None:
    """The retry is acknowledged, and the effects show the event once.

    A -> acknowledged
    A again, with a new time and signature -> acknowledged
    = A once

    - Deliveries are told apart by their signature, their nonce or their time.
    - Every delivery is recorded.
    """
    first_and_again(run, afresh=True, note="again, signed afresh")


@check(
    "A retry in another JSON spelling has no second effect",
    topic="duplicates",
    level="should",
    effects=True,
    why="A receiver that tells deliveries apart by a hash of the body records every retry that is serialised anew.",
    fix=FIX,
    remedies=("unique-key",),
)
def check_retry_reformatted(run: Run) -> None:
    """The retry is acknowledged, and the effects show the event once.

    A -> acknowledged
    B, with white space and other key order -> acknowledged
    A again, with white space and other key order -> acknowledged
    = A once

    - Events are told apart by a hash of the body, or by how their JSON is written.
    - Deliveries are told apart by their signature.
    """
    wire = run.wire(spaces=True, key_order="alphabetical")
    first_and_again(run, wire=wire, note="again, with white space and other key order")


@check(
    "A retry after a lost acknowledgement has no second effect",
    topic="duplicates",
    level="should",
    effects=True,
    why="The connection broke as the answer came: the receiver has done its work, and the provider does not know.",
    fix=FIX,
    remedies=("unique-key",),
)
def check_retry_after_lost_ack(run: Run) -> None:
    """The retry is acknowledged, and the effects show the event once.

    A -> acknowledged -x
    A again -> acknowledged
    = A once

    - The event is recorded before the answer, and remembered as known only after it.
    - A copy of the store that lags behind is asked whether the event is there.
    """
    after_no_answer(run, Transport(read_reply=False), "whose answer is not read")


@check(
    "A retry after a time-out has no second effect",
    topic="duplicates",
    level="should",
    effects=True,
    why="A provider that has waited for its deadline gives up and tries again, whatever the receiver did meanwhile.",
    fix=FIX,
    remedies=("unique-key",),
)
def check_retry_after_timeout(run: Run) -> None:
    """The retry is acknowledged, and the effects show the event once.

    A -> acknowledged, too late -x
    A again -> acknowledged
    = A once

    - The event is remembered as known only after the answer has been read.
    - A copy of the store that lags behind is asked whether the event is there.
    """
    after_no_answer(run, Transport(silent=True, deadline=patience(run)), "given up without an answer")


@check(
    f"{AT_ONCE} identical requests at once have one effect",
    topic="duplicates",
    level="should",
    effects=True,
    why="Looking first and inserting afterwards lets two requests through at the same moment.",
    fix="Let the database decide: insert under a unique key, and treat the conflict as already done.",
    remedies=("unique-key",),
)
def check_concurrent(run: Run) -> None:
    """Each of the requests, or a retry of it, is acknowledged, and the effects show the event once; several events are tried.

    A, 16 times at once ->
    -> acknowledged
    A again, if one was not acknowledged -> acknowledged
    = A once

    - First it is asked whether the event is there, then it is inserted: between the two another request comes.
    - A lock that holds in one process only.
    """
    if run.settings.rate is not None:
        raise NotApplicable("--receiver-rate leaves requests at once out")
    event_type = next((one for one in identified(run) if one.items is None), identified(run)[0])
    for _ in range(RACES):
        shot = run.shot(run.event(event_type), note=f"one of {AT_ONCE} at once")
        attempts = run.send(*([shot] * AT_ONCE), together=True)
        late = [a for a in attempts if not a.acked]
        again: list[Attempt] = []
        for _ in range(RETRIES):
            if not late:
                break
            # A conflict may be answered by an error: the provider tries again then.
            again = run.send_each(run.again(a, note="retried until acknowledged") for a in late)
            late = [a for a in again if not a.acked]
        run.must_ack(late, "each of the requests, or a retry of it,")
        run.sent.excuse(a for a in attempts if not a.acked)
        once(run, shot.events, attempts)


@check(
    "The same entry twice in one array has one effect",
    topic="duplicates",
    level="should",
    effects=True,
    why=WHY,
    fix="Deduplicate entries, not requests.",
    needs=needs.batches,
    remedies=("each-entry", "unique-key"),
)
def check_inside_one_batch(run: Run) -> None:
    """The array is acknowledged, and the effects show the event once.

    one array: A, A -> acknowledged
    = A once

    - Repeats are looked for among what earlier requests brought, not inside the array.
    """
    event = run.event()
    attempt = run.deliver(event, event, note="the same entry twice in one array")
    run.must_ack([attempt], "an array with the same entry twice")
    once(run, [event], [attempt])


@check(
    "An old entry inside a new array has no second effect",
    topic="duplicates",
    level="should",
    effects=True,
    why=WHY,
    fix="Deduplicate entries, not requests.",
    needs=needs.batches,
    remedies=("each-entry", "unique-key"),
)
def check_across_batches(run: Run) -> None:
    """Both arrays are acknowledged, and the effects show each event once.

    one array: A -> acknowledged
    one array: A, B -> acknowledged
    = A once, B once

    - Requests are remembered, not their entries.
    - Of an array only the first entry is read, or the whole of it passed over if one of it is known.
    """
    old, new = run.event(), run.event()
    attempts = run.send_each([run.shot(old, note="an entry"), run.shot(old, new, note="the entry and a new one")])
    run.must_ack(attempts, "an array with an old and a new entry")
    once(run, [old, new], attempts)


@check(
    "A repeat after a restart of the receiver has no second effect",
    topic="duplicates",
    level="should",
    effects=True,
    alone=True,
    option="command",
    why="A retry that crosses a restart finds a receiver that has forgotten what it kept in memory.",
    fix=FIX,
    remedies=("unique-key",),
)
def check_after_restart(run: Run) -> None:
    """The repeat after a restart is acknowledged, and the effects show the event once.

    A -> acknowledged
    * SIGTERM, and a start
    B -> acknowledged
    A again, signed afresh -> acknowledged
    = A once

    - What has been seen is known by heart only, until the process ends.
    """
    process = process_of(run)
    first = run.send_each(run.shot(run.event(one), note=one.name) for one in identified(run))
    run.must_ack(first, "the first delivery")
    run.must_show(first, "the first delivery")
    before = shown_now(run)
    ended(run, process.stop, first)
    must_start(run, "SIGTERM", first)
    # What has gone with the process is for acknowledgement.acked-survives-kill to tell.
    forget_vanished(run, before, run.settings.settle)
    again = run.send_each(
        run.again(attempt, afresh=True, note=f"{attempt.shot.note}, again after a restart") for attempt in first
    )
    run.must_ack(again, "the repeat after a restart")
    once(run, [event for attempt in first for event in attempt.shot.events], [*first, *again])


@check(
    "Two receivers behind one address record an event once",
    topic="duplicates",
    level="should",
    effects=True,
    alone=True,
    option="command",
    why="Behind a load balancer a retry reaches another instance, which knows nothing of what the first kept in memory.",
    fix="Keep what you have seen where all instances look: in the store, under a unique key.",
    remedies=("unique-key",),
)
def check_across_receivers(run: Run) -> None:
    """An event that reaches two instances shows once.

    A -> acknowledged
    * a second one is started, on the same store
    B, to the second -> acknowledged
    A again, to the second -> acknowledged
    C, to both at once, 16 times -> acknowledged
    = A once, B once, C once

    - What has been seen is kept in the memory, or in a file, of one instance.
    - A lock that holds in one process only.
    """
    with second_receiver(run) as there:
        first, shared = seen_by_both(run, there)
        again = [
            run.send(
                to_address(
                    run.again(attempt, afresh=True, note="the same at the second receiver"), there, run.settings.wire
                )
            )[0]
            for attempt in first
        ]
        run.must_ack(again, "the repeat at the second receiver")
        events = [event for attempt in first for event in attempt.shot.events]
        once(run, [*events, shared], [*first, *again])
        if run.settings.rate is not None:
            return
        shot = run.shot(run.event(identified(run)[0]), note="one of several, at both receivers at once")
        attempts = run.send(*([shot, to_address(shot, there, run.settings.wire)] * (AT_ONCE // 2)), together=True)
        sent_again(run, [one for one in attempts if not one.acked])
        once(run, shot.events, attempts)


def seen_by_both(run: Run, there: str) -> tuple[list[Attempt], Event]:
    """Deliver each recorded type to the first receiver and one event to the second; return attempts and that event.

    Not applicable where the effects show nothing of what the second records: it then has a store of its own.
    """
    first = run.send_each(
        run.shot(run.event(one), note=f"{one.name}, at the first receiver") for one in identified(run)
    )
    run.must_ack(first, "the first delivery")
    run.must_show(first, "the first delivery")
    (attempt,) = run.send(
        to_address(run.shot(run.event(), note="a delivery at the second receiver"), there, run.settings.wire)
    )
    run.must_ack([attempt], "a delivery at the second receiver")
    (event,) = attempt.shot.events
    effects = run.shown([event])
    if any(not effects.count(one) for one in run.occurrences(event)):
        run.sent.excuse([attempt])
        raise NotApplicable(
            "the effects do not show what a second receiver records: each has a store of its own, so that several "
            "cannot stand behind one address"
        )
    return first, event


@check(
    "Two events that differ in nothing but identity are both kept",
    topic="payload",
    level="must",
    effects=True,
    why="Deduplication by content or by time throws away what users really did twice.",
    fix=FIX,
    remedies=("unique-key",),
)
def check_twins_are_kept(run: Run) -> None:
    """Both are acknowledged, and the effects show both.

    A -> acknowledged
    B, the same but for its identity -> acknowledged
    = A and B

    - What says the same, or comes within a second, is taken for the same.
    - A state that is there is never changed.
    """
    for event_type in identified(run):
        event = run.event(event_type)
        order = event_type.order
        # In a list the twins share even the moment. A state is reached once more, later; only that one must stay.
        state = order is not None and order.rule == "latest"
        keep = (*order.scope, *(() if state else order.by[:1])) if order else ()
        twin = run.event(event_type, event.payload, keep=keep)
        pair = ((event, "one"), (twin, "its twin"))
        attempts = run.send_each(run.shot(one, note=f"{event_type.name}, {which}") for one, which in pair)
        run.must_ack(attempts, "each of two events")
        run.must_show(attempts[1:] if state else attempts, "each of two events that differ in nothing but identity")


@check(
    "The same id between other people is another message",
    topic="payload",
    level="must",
    effects=True,
    why="Such an id is unique among these people only, and a message to many has one: by it alone all but one are lost.",
    fix="Use all documented fields of the identity together.",
    needs=needs.some_type(shared_ids),
    remedies=("unique-key",),
)
def check_same_key_other_sender(run: Run) -> None:
    """All are acknowledged, and the effects show each of them.

    A -> acknowledged
    B, the same id, from somebody else -> acknowledged
    C, the same id, to somebody else -> acknowledged
    = A, B and C

    - Messages are told apart by their id, or by their random number, alone.
    """
    kinds = [one for one in run.handled if shared_ids(one)]
    if not kinds:
        raise NotApplicable("the receiver records no event type whose ids are unique among some people only")
    judged = 0
    for kind in kinds:
        people = [one for one in whose(kind) if not run.is_fixed(kind, one)]
        if not people:
            continue
        judged += 1
        event = run.event(kind)
        order = kind.order
        same = [pointer for pointer in (*(kind.identity or ()), *(order.by if order else ())) if pointer not in people]
        same += [pointer for pointer in parts_of_key(kind, event.payload) if pointer not in same]
        others = [run.event(kind, event.payload, keep=(*same, *({*people} - {one}))) for one in people]
        note = f"{kind.name}, the same id, others"
        attempts = run.send_each(run.shot(one, note=note) for one in (event, *others))
        run.must_ack(attempts, "each of several messages")
        run.must_show(attempts, "each of several messages with the same id")
    if not judged:
        raise NotApplicable("--receiver-set fixes whose the ids are")


@check(
    "Event types without identity",
    topic="payload",
    level="may",
    why="A duplicate of them cannot be told from a repeat.",
    fix="Nothing: do not guess.",
    needs=needs.some_type(lambda one: one.identity is None),
)
def check_no_identity(run: Run) -> None:
    """Nothing is sent: it says which event types carry nothing by which a repeat could be told."""
    names = [one.name for one in run.documented if one.identity is None]
    raise NotApplicable(f"no payload field tells a duplicate from a repeat: {', '.join(names) or 'none such'}")


@check(
    "A repeat after very many other deliveries has no second effect",
    topic="duplicates",
    level="should",
    effects=True,
    last=True,
    why="What is sent again by hand, or from a backlog, comes hours later: whoever remembers the last few hundred only "
    "takes it for new.",
    fix="Keep what you have recorded under a unique key in the store itself, not in a window of the latest.",
    remedies=("unique-key",),
)
def check_far_apart(run: Run) -> None:
    """What was delivered first of all and is delivered again at the end has no further effect.

    A -> acknowledged
    ... 1000 others, those of the run included
    A again, signed afresh -> acknowledged
    = A once

    - The latest few hundred events are remembered, or those of the last hour.
    """
    distance, rate = run.settings.dedupe_distance, run.settings.rate
    if not distance:
        raise NotApplicable("--receiver-dedupe-distance=0 leaves it out")
    if rate is not None and distance / rate > LONGEST:
        raise NotApplicable(
            f"{distance} other deliveries take too long at --receiver-rate={rate:g}; give --receiver-dedupe-distance="
            f"{int(LONGEST * rate)}, or less, to have it judged"
        )
    kinds = {one.name for one in identified(run)}
    # What was sent first of all has most of the run behind it; only what is missing is sent for this.
    early = [one for one in run.found.attempts if one.acked and one.shot.valid and one.shot.events]
    first = {one.shot.events[0].type: one for one in early if one.shot.events[0].type in kinds and lasts(run, one)}
    if not first:
        raise NotApplicable("nothing that was sent first of all is of a kind that shows for good")
    fill_up(run, distance)
    due = [one for attempt in first.values() for one in run.occurrences(*attempt.shot.events)]
    before = run.barrier()
    counts = {one: before.count(one) for one in due}
    again = run.send_each(
        run.again(one, afresh=True, note=f"{one.shot.note}, again after very many others") for one in first.values()
    )
    run.must_ack(again, "the repeated delivery")
    after = run.barrier()
    doubled = [one for one in due if after.count(one) > counts[one]]
    if doubled:
        shown = [one for one in again if set(doubled) & set(run.occurrences(*one.shot.events))]
        raise Failed(
            "no further effect",
            f"{after.count(doubled[0])} effects of {doubled[0]}; {counts[doubled[0]]} before it was sent again, after "
            f"{counted(distance, 'other', 'others')}",
            shown,
            cause="doubled",
            records=each_effect(after, doubled[0]),
        )


@check(
    "Nothing in the whole run has two effects",
    topic="duplicates",
    level="should",
    effects=True,
    last=True,
    why="A second effect that comes late is a second effect all the same.",
    fix=FIX,
    remedies=("unique-key",),
)
def check_nothing_doubled(run: Run) -> None:
    """At the end of the run no event has two effects.

    ... all deliveries of the run
    = everything once

    - A repeat that was first passed over comes in later, through a queue or a nightly job.
    """
    effects = run.barrier()
    judged = run.sent.to_judge(run.binding)
    found = [one for one in duplicated(effects) if one in judged]
    if found:
        twice = set(found)
        shown = [a for a in run.history if twice & set(run.occurrences(*a.shot.events))]
        raise Failed(
            "one effect each",
            f"{counted(len(found), 'event has more:', 'events have more, among them')} {found[0]} ({notes_of(shown)})",
            shown,
            cause="doubled",
            records=each_effect(effects, found[0]),
        )
