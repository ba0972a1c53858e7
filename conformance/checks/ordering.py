"""An older state never wins, and lists are shown in the order of what happened, not of what arrived.

Which event types are states or lists, within what and by which numbers, says `x-order` of their
schemas. Where a record stands is taken from the event that was sent, never from the record.
"""

from __future__ import annotations

from collections.abc import Sequence

from im_callback.conformance import needs
from im_callback.conformance.beside import last_and_due
from im_callback.conformance.check import check
from im_callback.conformance.judge import shown_among, text
from im_callback.conformance.ordered import (
    against_the_others,
    conversation,
    for_each,
    heeds,
    in_order,
    list_in_order,
    listed,
    ordered,
    rank,
    ranks_said,
    series,
    shuffled,
    stays_removed,
    stays_there,
    tellable,
)
from im_callback.conformance.recalls import look_at_recalls, recallable
from im_callback.conformance.removals import removals_of, shapes
from im_callback.conformance.run import Run
from im_callback.conformance.states import STEP, in_scope, kind_of, moved, order_of
from im_callback.conformance.verdict import Failed, NotApplicable
from im_callback.conformance.words import counted
from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.history import Attempt
from im_callback.schemas import EventType

STATES = 8
SIGNED = 2**31
ROOMS, ROOMS_EACH = 30, 6
"""Scopes in which versions arrive at once: so many of all types together, and so many of each at least."""
VERSIONS, ROOMS_AT_ONCE = 4, 8
RETRIES = 3
WHY_STATE = "Deliveries overtake each other: whoever lets the last to arrive win shows people online who have left."
FIX_STATE = "Keep the time or version with the state, and ignore what is older."
FIX_LIST = "Sort by the documented fields when you show, not by arrival."


@check(
    "An older state that arrives late is ignored",
    topic="order",
    level="should",
    effects=True,
    needs=needs.states,
    why=WHY_STATE,
    fix=FIX_STATE,
    remedies=("upsert-by-version",),
)
def check_stale_ignored(run: Run) -> None:
    """Both are acknowledged, and the effects end with the newer state.

    A2 -> acknowledged
    A1, late -> acknowledged
    = A2 last

    - Whatever arrives last wins.
    - Only some kinds of a state are compared, such as the time of logouts.
    - Another time is compared than the documented one.
    """

    def judge(event_type: EventType) -> None:
        older, newer = series(run, event_type, 2)
        attempts = run.send_each(
            [run.shot(newer, note="the newer state"), run.shot(older, note="the older state, arriving late")]
        )
        run.must_ack(attempts, "a state that arrives late")
        in_order(run, [older, newer], attempts, last=True)

    for_each(run, ordered(run, "latest"), judge)


@check(
    "The newest state wins, however the states arrive",
    topic="order",
    level="should",
    effects=True,
    needs=needs.states,
    why="The documented field is what there is for ordering; by arrival yesterday's state is shown.",
    fix=FIX_STATE,
    remedies=("upsert-by-version",),
)
def check_newest_wins(run: Run) -> None:
    """All are acknowledged, and the effects never step back and end with the newest.

    A4 -> acknowledged
    A8 -> acknowledged
    A1 -> acknowledged
    ... the other states of A, in a random order
    = A8 last

    - Whatever arrives last wins.
    - Entries are sorted within a request, and the last request wins.
    """

    def judge(event_type: EventType) -> None:
        events = series(run, event_type, STATES)
        attempts = run.send_each(
            run.shot(event, note=f"state {events.index(event) + 1} of {STATES}") for event in shuffled(run, events)
        )
        run.must_ack(attempts, "every state")
        in_order(run, events, attempts, last=True)

    for_each(run, ordered(run, "latest"), judge)


@check(
    f"Of {VERSIONS} versions that arrive at one moment the newest wins",
    topic="order",
    level="should",
    effects=True,
    needs=needs.states,
    why="Reading the version and writing afterwards lets two requests read the same one, and the older write last: "
    "one of many rooms then shows yesterday's state for good.",
    fix="Compare and write in one statement (… WHERE version < new version), or lock what is compared.",
    remedies=("upsert-by-version",),
)
def check_versions_at_once(run: Run) -> None:
    """In each of some thirty scopes the newest of four versions, sent at one moment, shows last.

    A1, A2, A3 and A4 at once; the same for B, C and others ->
    -> acknowledged
    A2 again, if it was not acknowledged -> acknowledged
    = A4 last, B4 last, C4 last

    - The version is read, compared in the program, and written a moment later.
    """
    if run.settings.rate is not None:
        raise NotApplicable("--receiver-rate leaves requests at once out")
    types = ordered(run, "latest")
    rooms = [one for one in types for _ in range(max(ROOMS_EACH, ROOMS // len(types)))]
    rooms = run.random.sample(rooms, len(rooms))
    groups: list[list[Event]] = []
    attempts: list[Attempt] = []
    for start in range(0, len(rooms), ROOMS_AT_ONCE):
        made = [series(run, one, VERSIONS) for one in rooms[start : start + ROOMS_AT_ONCE]]
        attempts += at_one_moment(run, made)
        groups += made
    newest = [run.occurrences(group[-1])[0] for group in groups]
    run.settle(lambda seen: all(seen.counts.get(one) for one in newest))
    effects = run.barrier()
    wrong = []
    for group, due in zip(groups, newest, strict=True):
        sent = run.occurrences(*group)
        shown = shown_among(tellable(effects, sent), sent)
        # Where the records have no order, it is enough that the newest is among them.
        if not shown or (due not in shown if run.unordered else shown[-1] != due):
            wrong.append((set(sent), due, shown[-1] if shown else "nothing"))
    if wrong:
        concerned = set().union(*(sent for sent, _, _ in wrong))
        raise Failed(
            "the newest shown last in each scope",
            f"another one in {len(wrong)} of {counted(len(groups), 'scope', 'scopes')}: in one {wrong[0][2]} shows last, not {wrong[0][1]}",
            [one for one in attempts if concerned & set(run.occurrences(*one.shot.events))],
            cause="an older version written last",
            records=last_and_due(run, effects, wrong[0][0], wrong[0][1], "sent, and the newest"),
        )


def at_one_moment(run: Run, groups: Sequence[Sequence[Event]]) -> list[Attempt]:
    """Deliver all versions of several scopes together, those that are refused again until acknowledged."""
    shots = [run.shot(event, note=f"version {n} of {VERSIONS}") for one in groups for n, event in enumerate(one, 1)]
    attempts = run.send(*run.random.sample(shots, len(shots)), together=True)
    late = [one for one in attempts if not one.acked]
    for _ in range(RETRIES):
        if not late:
            break
        # A conflict may be answered by an error: the provider tries again then.
        again = run.send_each(run.again(one, note=f"{one.shot.note}, retried") for one in late)
        late = [one for one in again if not one.acked]
    run.must_ack(late, "each of several versions at once, or a retry of it,")
    run.sent.excuse(one for one in attempts if not one.acked)
    return attempts


@check(
    "The newest state wins inside one array too",
    topic="order",
    level="should",
    effects=True,
    why="The documents promise no order inside an array.",
    fix=FIX_STATE,
    needs=needs.batched_states,
    remedies=("each-entry", "upsert-by-version"),
)
def check_reversed_batch(run: Run) -> None:
    """The array is acknowledged, and the effects end with the newest state.

    one array: A8, A7, A6 and so on down to A1 -> acknowledged
    = A8 last

    - Versions are compared with those of earlier requests, and within an array the last entry wins.
    """

    def judge(event_type: EventType) -> None:
        events = series(run, event_type, STATES)
        attempt = run.deliver(*reversed(events), note="all states in one array, the newest first")
        run.must_ack([attempt], "an array with all states")
        in_order(run, events, [attempt], last=True)

    for_each(run, ordered(run, "latest"), judge)


@check(
    "The documented field decides, as a number",
    topic="order",
    level="should",
    effects=True,
    needs=needs.states,
    why="A version need not be a time, and other times in the payload may run against it: compared as a text, or by "
    "another field, an older state wins.",
    fix="Compare the documented field only, as a number.",
    remedies=("upsert-by-version",),
)
def check_order_field_decides(run: Run) -> None:
    """All are acknowledged, and the effects end with the state whose documented number is the highest.

    A3, with the number 10 -> acknowledged
    A1, with the number 2, and later in all other times -> acknowledged
    A2, with the number 9 -> acknowledged
    = A3 last

    - Versions are compared as texts, so that 10 comes before 9.
    - A timestamp, or the time of arrival, is compared, and not the version.
    """

    def judge(event_type: EventType) -> None:
        low, middle, high = against_the_others(run, event_type)
        attempts = run.send_each(
            run.shot(
                event, note=f"{order_of(event_type).by[0].rpartition('/')[2]} {ranks_said([rank(event_type, event)])}"
            )
            for event in (high, low, middle)
        )
        run.must_ack(attempts, "every state")
        in_order(run, [low, middle, high], attempts, last=True)

    for_each(run, ordered(run, "latest"), judge)


@check(
    "States of different scopes are kept apart",
    topic="payload",
    level="must",
    effects=True,
    needs=needs.states,
    why="Rooms use the same keys, and people are in several rooms: by a part of the scope alone they overwrite each "
    "other.",
    fix="Use all documented fields of the scope together.",
    remedies=("upsert-by-version",),
)
def check_scopes_are_independent(run: Run) -> None:
    """All are acknowledged, and each scope shows its own state.

    A -> acknowledged
    B, the same in another room or of another account -> acknowledged
    C, a little older, in another room -> acknowledged
    = A, B and C

    - Versions are compared with that of the same key in any room, or of the same person anywhere.
    - The same key and version in another room is taken for a repeat.
    """

    def judge(event_type: EventType) -> None:
        order = order_of(event_type)
        one = run.event(event_type)
        # Where a field is empty, nothing is named that could be another.
        free = [
            pointer
            for pointer, value in in_scope(event_type, one).items()
            if text(value) and not run.is_fixed(event_type, pointer)
        ]
        others = [
            run.event(
                event_type,
                one.payload,
                keep=(*(p for p in order.scope if p != changed), *order.by),
                values=moved(event_type, one, -earlier) if earlier else None,
            )
            for changed in free
            for earlier in (0, 1)
        ]
        names = ["one scope"] + [f"another {pointer.rpartition('/')[2]}" for pointer in free for _ in (0, 1)]
        # A value from a list, such as the kind of an operation, is not renewed: that is the same scope again.
        mine = in_scope(event_type, one)
        apart = [pair for pair in zip(others, names[1:], strict=True) if in_scope(event_type, pair[0]) != mine]
        attempts = run.send_each(run.shot(event, note=note) for event, note in [(one, names[0]), *apart])
        run.must_ack(attempts, "the same state in several scopes")
        run.must_show(attempts, "the same state in each of several scopes")

    for_each(run, ordered(run, "latest"), judge)


@check(
    "What was removed stays so when an older state arrives",
    topic="order",
    level="should",
    effects=True,
    needs=needs.removals,
    why="A removal that leaves nothing behind is undone by the next state that comes late: people are online again, "
    "deleted attributes are back. Its form is not always documented: whatever else it carries, it is a removal.",
    fix="Keep the time or version of the removal, for all that it removes, and ignore states that are older.",
    remedies=("keep-removals",),
)
def check_late_after_removal(run: Run) -> None:
    """After the removal nothing that is older than it shows, in whatever form the removal came.

    A1 -> acknowledged
    A3, which removes it -> acknowledged
    A2, late -> acknowledged
    = nothing of A after its removal

    - A removal deletes the row, and its version with it.
    - Clearing a room forgets the versions of all that was in it.
    - The removal is looked at only in the one form that the sample has.
    """
    states = [one for one in ordered(run, "latest") if not one.removes(run.models[one.name])]
    pairs = [(one, *found) for one in states for found in removals_of(run, one)]
    if not pairs:
        raise NotApplicable("nothing that the receiver records can be removed")
    judged = 0

    def judge(event_type: EventType) -> None:
        nonlocal judged
        for one, kind, removal in pairs:
            if one is not event_type or not heeds(run, event_type, kind, removal):
                continue
            judged += 1
            for shape, make in shapes(event_type, kind, removal):
                stays_removed(run, event_type, shape, make)

    for_each(run, list(dict.fromkeys(one for one, _, _ in pairs)), judge)
    if not judged:
        raise NotApplicable("the effects do not show whether a removal is heeded: they keep what was before it")


@check(
    "A removal that arrives late takes nothing newer away",
    topic="order",
    level="should",
    effects=True,
    needs=needs.removals,
    why="A clearing that was overtaken by what was set after it empties a room that is in use; nobody sends it again.",
    fix="Take away only what is older than the removal, thing by thing.",
    remedies=("keep-removals", "upsert-by-version"),
)
def check_late_removal(run: Run) -> None:
    """The newer state still shows after the older removal, in whatever form that came.

    A1 -> acknowledged
    A3 -> acknowledged
    A2, which removes it, late -> acknowledged
    = A3 last

    - A removal takes away whatever is there, however old it is.
    - Removals are compared with other removals only.
    """
    states = [one for one in ordered(run, "latest") if not one.removes(run.models[one.name])]
    pairs = [(one, *found) for one in states for found in removals_of(run, one)]
    judged = 0

    def judge(event_type: EventType) -> None:
        nonlocal judged
        for one, kind, removal in pairs:
            if one is event_type and heeds(run, event_type, kind, removal):
                judged += 1
                for shape, make in shapes(event_type, kind, removal):
                    stays_there(run, event_type, removal, shape, make)

    for_each(run, list(dict.fromkeys(one for one, _, _ in pairs)), judge)
    if not judged:
        raise NotApplicable("nothing that the receiver records can be removed, or the effects do not show it")


@check(
    "A recall that arrives before its message is heeded",
    topic="order",
    level="should",
    effects=True,
    needs=needs.some_type(lambda one: one.recall),
    why="Deliveries overtake each other: a message that somebody has taken back then stays readable for good.",
    fix="Keep the recall, and ask for one when a message comes.",
    remedies=("keep-removals",),
)
def check_recall_before_message(run: Run) -> None:
    """A message whose recall came first shows as one does that was recalled in the usual order.

    A -> acknowledged
    the recall of A -> acknowledged
    the recall of B -> acknowledged
    B, late -> acknowledged
    = B as A: gone, or marked as recalled

    - A recall marks or deletes the message that is there, and is forgotten if there is none.
    """
    found = [one for one in run.handled if one.recall and run.provider.catalogue[one.recall.event_type] in run.handled]
    pairs = [(one, model) for one in found if (model := recallable(run, one)) is not None]
    if not pairs:
        raise NotApplicable("the receiver does not record both a message and its recall")

    def judge(kind: EventType) -> None:
        usual, overtaken = look_at_recalls(run, kind, dict(pairs)[kind])
        if overtaken.forgets(usual):
            raise Failed(
                "what shows when they arrive in order: " + usual.said,
                f"the message shows as if nobody had recalled it ({overtaken.said})",
                overtaken.attempts,
                cause="recalled and shown",
            )

    for_each(run, [one for one, _ in pairs], judge)


@check(
    "A list is shown in the documented order",
    topic="order",
    level="should",
    effects=True,
    needs=needs.lists,
    why="Deliveries overtake each other; by arrival a conversation reads wrong.",
    fix=FIX_LIST,
    remedies=("sort-when-shown",),
)
def check_listed_in_order(run: Run) -> None:
    """All are acknowledged, and the effects show them in the documented order.

    A5 -> acknowledged
    A2 -> acknowledged
    A4, in the same second as A2 -> acknowledged
    ... the other messages of A, in a random order
    = A1, A2, A3 and so on

    - A list is shown as it arrived.
    - The messages of one second are shown as they arrived, or by their second number as a text.
    """

    def judge(kind: EventType) -> None:
        seconds = kind_of(kind, order_of(kind).by[0]) == "seconds"
        unit = 1 if seconds else STEP
        if len(order_of(kind).by) > 1:
            # Of one moment the second number decides; as texts, 10 would come before 7 and 9.
            steps = [(0, 90), (unit, 7), (unit, 9), (unit, 10), (2 * unit, 3), (3 * unit, 1)]
            list_in_order(run, conversation(run, kind, steps))
        else:
            list_in_order(run, conversation(run, kind, [(n * unit, None) for n in range(6)]))

    for_each(run, listed(run), judge)


@check(
    "Order numbers beyond 31 bits are compared as what they are",
    topic="order",
    level="should",
    effects=True,
    why="Such numbers are unsigned and of 32 bits; held in signed ones, half of all messages come before the others.",
    fix="Keep the number in 64 bits, or unsigned.",
    needs=needs.second_numbers,
    remedies=("sort-when-shown", "keep-whole"),
)
def check_order_beyond_31_bits(run: Run) -> None:
    """All are acknowledged, and the effects show them in the documented order.

    A3, with a number above 2147483647 -> acknowledged
    A1 -> acknowledged
    ... the other messages of A, in a random order
    = A1, A2, A3 and so on

    - The number is kept in a signed 32-bit integer.
    - A number that is too large for that is answered with 400.
    """

    def judge(kind: EventType) -> None:
        steps = [(0, 9), (0, SIGNED - 2), (0, SIGNED + 5), (0, 2**32 - 20), (0, 2**32 - 2)]
        list_in_order(run, conversation(run, kind, steps))

    for_each(run, [one for one in listed(run) if len(order_of(one).by) > 1], judge)


@check(
    "Event types without order",
    topic="order",
    level="may",
    needs=needs.unordered,
    why="Nothing in them says which came first.",
    fix="Nothing: do not guess.",
)
def check_no_order(run: Run) -> None:
    """Nothing is sent: it says which event types carry nothing by which they could be ordered."""
    names = [one.name for one in run.documented if one.order is None]
    raise NotApplicable(f"no payload field says which came first: {', '.join(names) or 'none such'}")
