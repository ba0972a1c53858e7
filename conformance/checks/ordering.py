"""An older state never wins, and lists are shown in the order of what happened, not of what arrived.

Which event types are states or lists, within what and by which numbers, says `x-order` of their
schemas. Where a record stands is taken from the event that was sent, never from the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from im_callback.conformance import needs
from im_callback.conformance.beside import among, last_and_due
from im_callback.conformance.check import check
from im_callback.conformance.judge import Effects, Occurrence, rank_of, shown_among, steps_back, text
from im_callback.conformance.recalls import look_at_recalls, recallable
from im_callback.conformance.removals import Shape, removal_of, removals_of, shapes
from im_callback.conformance.run import Run
from im_callback.conformance.states import STEP, alongside, first_of, in_scope, kind_of, like, moved, order_of
from im_callback.conformance.verdict import Failed, NotApplicable, Record
from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.history import Attempt
from im_callback.provider_mock.traffic.shape import leaves
from im_callback.schemas import EventType, PointerError, Removal, resolve

STATES = 8
SMALL = (2, 9, 10)
"""As texts, 10 would come before 2 and 9."""
TIMES = frozenset({"millis", "seconds"})
SIGNED = 2**31
ROOMS, ROOMS_EACH = 30, 6
"""Scopes in which versions arrive at once: so many of all types together, and so many of each at least."""
VERSIONS, ROOMS_AT_ONCE = 4, 8
RETRIES = 3
WHY_STATE = "Deliveries overtake each other: whoever lets the last to arrive win shows people online who have left."
FIX_STATE = "Keep the time or version with the state, and ignore what is older."
FIX_LIST = "Sort by the documented fields when you show, not by arrival."

Each = Callable[[EventType], None]


def ordered(run: Run, rule: str) -> list[EventType]:
    """Return the recorded event types that are ordered by the rule; else the check does not apply."""
    found = [
        one
        for one in run.handled
        if one.order
        and one.order.rule == rule
        # With one scope for the whole run, whatever else is sent changes the state.
        and not all(run.is_fixed(one, pointer) for pointer in one.order.scope)
    ]
    if not found:
        raise NotApplicable(f"the receiver records no event type that is a {'state' if rule == 'latest' else 'list'}")
    return found


def for_each(run: Run, types: Sequence[EventType], judge: Each) -> None:
    """Judge every event type; fail with all that is wrong, naming the types. Less than that is said if none failed."""
    ended = run.each(types, judge)
    failures = [(one.name, failed) for one, failed in zip(types, ended, strict=True) if isinstance(failed, Failed)]
    if not failures and (other := next(filter(None, ended), None)):
        raise other
    if failures:
        name, first = failures[0]
        more = f" (and the same for {', '.join(other for other, _ in failures[1:])})" if failures[1:] else ""
        raise Failed(
            first.expected,
            f"{name}: {first.actual}{more}",
            [attempt for _, failed in failures for attempt in failed.attempts],
            cause=first.cause,
            fix=first.fix,
            records=first.records,
        )


def series(run: Run, event_type: EventType, count: int) -> list[Event]:
    """Return so many states or messages of one scope, the oldest first; the newest is as new as a fresh event."""
    newest = run.event(event_type)
    older = [
        run.event(
            event_type,
            newest.payload,
            values={**alongside(event_type, newest), **moved(event_type, newest, n - count + 1)},
        )
        for n in range(count - 1)
    ]
    return [*older, newest]


def rank(event_type: EventType, event: Event) -> tuple[int, ...]:
    """Return the numbers by which an event is ordered."""
    found = rank_of(order_of(event_type), first_of(event_type, event))
    assert found is not None
    return found


def in_order(run: Run, events: Sequence[Event], attempts: Sequence[Attempt], *, last: bool) -> None:
    """Fail if what the application shows of the events steps back (or, with `last`, does not end with the newest)."""
    event_type = run.provider.catalogue[events[0].type]
    cause = "stale" if order_of(event_type).rule == "latest" else "out of order"
    by = ", ".join(pointer.rpartition("/")[2] for pointer in order_of(event_type).by)
    ranks = {one: rank(event_type, event) for event in events for one in run.occurrences(event)}
    newest = max(ranks.values())
    run.settle(lambda seen: any(ranks[one] == newest for one in shown_among(seen, ranks)))
    effects = tellable(run.barrier(), ranks)
    shown = [ranks[one] for one in shown_among(effects, ranks)]
    if run.unordered and len(shown) > 1:
        raise NotApplicable(
            "the records come in no order that the application shows: where several show, it says nothing"
        )
    back = steps_back(shown)
    whole = f"sent: {_said(ranks[one] for a in attempts for e in a.shot.events for one in run.occurrences(e))}; "
    whole += f"shown: {_said(shown) or 'nothing'}"
    if back:
        older, newer = _said([shown[back[1]]]), _said([shown[back[0]]])
        records = among(effects, ranks)
        raise Failed(
            f"effects that never step back in {by}",
            f"{older} comes after {newer}; {whole}",
            attempts,
            cause=cause,
            records=[
                Record("shown first", records[back[0]].record),
                Record("shown after it, and older", records[back[1]].record),
            ],
        )
    if last and (not shown or shown[-1] != newest):
        due = next(one for one, found in ranks.items() if found == newest)
        raise Failed(
            f"the newest ({by} {_said([newest])}) shown last",
            whole,
            attempts,
            cause=cause,
            records=last_and_due(run, effects, ranks, due, "sent, and the newest"),
        )


def tellable(effects: Effects, occurrences: Iterable[Occurrence]) -> Effects:
    """Return the effects, if their records can be told apart as far as these occurrences go; else `AmbiguousRecord`."""
    for one in occurrences:
        effects.count(one)
    return effects


def _said(ranks: Any) -> str:
    return " ".join("/".join(map(str, one)) for one in ranks)


def shuffled(run: Run, events: Sequence[Event]) -> list[Event]:
    """Return the events in a random order that no wrong rule takes for the right one by luck.

    The newest comes neither first nor last, and no three neighbours come in their own order.
    """
    while True:
        mixed = run.random.sample(events, len(events))
        arrival = [mixed.index(event) for event in events]
        rising = any(a < b < c for a, b, c in zip(arrival, arrival[1:], arrival[2:], strict=False))
        if not rising and 0 < arrival[-1] < len(events) - 1:
            return mixed


@check(
    "An older state that arrives late is ignored",
    topic="order",
    level="should",
    effects=True,
    needs=needs.states,
    why=WHY_STATE,
    fix=FIX_STATE,
)
def check_stale_ignored(run: Run) -> None:
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
)
def check_newest_wins(run: Run) -> None:
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
)
def check_versions_at_once(run: Run) -> None:
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
            f"in {len(wrong)} of {len(groups)} it is not, among them one where {wrong[0][2]} shows last, not {wrong[0][1]}",
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
)
def check_reversed_batch(run: Run) -> None:
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
)
def check_order_field_decides(run: Run) -> None:
    def judge(event_type: EventType) -> None:
        low, middle, high = against_the_others(run, event_type)
        attempts = run.send_each(
            run.shot(event, note=f"{order_of(event_type).by[0].rpartition('/')[2]} {_said([rank(event_type, event)])}")
            for event in (high, low, middle)
        )
        run.must_ack(attempts, "every state")
        in_order(run, [low, middle, high], attempts, last=True)

    for_each(run, ordered(run, "latest"), judge)


def against_the_others(run: Run, event_type: EventType) -> list[Event]:
    """Return three states, the oldest first; every other time in them runs the other way."""
    order = order_of(event_type)
    first = run.event(event_type)
    thing = first_of(event_type, first)
    base = int(text(resolve(thing, order.by[0])))
    # A time that is decades old is refused for its age; any other number may be small.
    numbers = [base + n - max(SMALL) for n in SMALL] if _is_time(event_type, order.by[0]) else list(SMALL)
    others = [
        pointer
        for pointer, _ in leaves(thing)
        if pointer not in (*order.by, *order.scope) and _is_time(event_type, pointer)
    ]
    made = []
    for place, number in enumerate(numbers):
        values = {**alongside(event_type, first), order.by[0]: like(resolve(thing, order.by[0]), number)}
        for pointer in others:
            old = resolve(thing, pointer)
            values[pointer] = like(old, int(text(old)) - STEP * place)
        made.append(run.event(event_type, first.payload, values=values))
    return made


def _is_time(event_type: EventType, pointer: str) -> bool:
    return kind_of(event_type, pointer) in TIMES


@check(
    "States of different scopes are kept apart",
    topic="payload",
    level="must",
    effects=True,
    needs=needs.states,
    why="Rooms use the same keys, and people are in several rooms: by a part of the scope alone they overwrite each "
    "other.",
    fix="Use all documented fields of the scope together.",
)
def check_scopes_are_independent(run: Run) -> None:
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
)
def check_late_after_removal(run: Run) -> None:
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


def heeds(run: Run, event_type: EventType, kind: EventType, removal: Removal) -> bool:
    """Return whether the effects show that a removal in its documented form is heeded: the state goes, or it shows."""
    state = run.event(event_type)
    try:
        made = removal_of(run, event_type, kind, removal, state, 1, {})
    except (ValueError, PointerError):
        return False
    attempts = run.send_each([run.shot(state, note="a state"), run.shot(made, note="its removal")])
    run.must_ack(attempts, "a state, and its removal,")
    was, gone = run.occurrences(state), run.occurrences(made)

    def noticed(seen: Effects) -> bool:
        return not shown_among(seen, was) or bool(shown_among(seen, gone))

    return noticed(tellable(run.settle(noticed), [*was, *gone]))


def stays_removed(run: Run, event_type: EventType, shape: str, make: Shape) -> None:
    """Deliver a state, its removal, and a state from between that arrives late; fail if a removed one shows."""
    first = run.event(event_type)
    late = run.event(event_type, first.payload, values={**alongside(event_type, first), **moved(event_type, first, 1)})
    try:
        removal = make(run, first, 2)
    except (ValueError, PointerError):
        return
    steps = ((first, "a state"), (removal, f"its removal, {shape}"), (late, "an older state, arriving late"))
    attempts = run.send_each(run.shot(event, note=note) for event, note in steps)
    run.must_ack(attempts, "a removal, and a state that arrives after it,")
    before, ends = set(run.occurrences(first, late)), set(run.occurrences(removal))
    effects = tellable(run.barrier(), before | ends)
    shown = shown_among(effects, before | ends)
    if run.unordered and len(shown) > 1:
        raise NotApplicable(
            "the records come in no order that the application shows: where several show, it says nothing"
        )
    if shown and shown[-1] not in ends:
        raise Failed(
            "nothing shown after the removal",
            f"after the removal ({shape}) the effects end with {shown[-1]}",
            attempts,
            cause="removed and back",
            records=last_and_due(run, effects, before | ends, next(iter(ends), None), "sent: its removal"),
        )


@check(
    "A removal that arrives late takes nothing newer away",
    topic="order",
    level="should",
    effects=True,
    needs=needs.removals,
    why="A clearing that was overtaken by what was set after it empties a room that is in use; nobody sends it again.",
    fix="Take away only what is older than the removal, thing by thing.",
)
def check_late_removal(run: Run) -> None:
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


def stays_there(run: Run, event_type: EventType, removal: Removal, shape: str, make: Shape) -> None:
    """Deliver a state, a newer one, and a removal from between that arrives late; fail unless the newer one shows."""
    first = run.event(event_type)
    newer = run.event(event_type, first.payload, values={**alongside(event_type, first), **moved(event_type, first, 2)})
    try:
        late = make(run, first, 1)
    except (ValueError, PointerError):
        return
    steps = ((first, "a state"), (newer, "a newer one"), (late, f"a removal from between, {shape}, arriving late"))
    attempts = run.send_each(run.shot(event, note=note) for event, note in steps)
    run.must_ack(attempts, "a removal that arrives late")
    (due,), ends = run.occurrences(newer), run.occurrences(late)
    run.settle(lambda seen: bool(seen.counts.get(due)))
    effects = tellable(run.barrier(), [due, *ends])
    shown = shown_among(effects, [due, *ends])
    # What removes more than this one state may have removed others, and be shown for it.
    after = shown[-1:] != [due] and removal.scope == order_of(event_type).scope and not run.unordered
    if due not in shown or after:
        raise Failed(
            "the newer state shown in the end",
            f"after a removal that is older ({shape}) the effects "
            + (f"end with {shown[-1]}" if shown else "show nothing"),
            attempts,
            cause="removed by an older removal",
            records=last_and_due(run, effects, [due, *ends], due, "sent, and the newest"),
        )


@check(
    "A recall that arrives before its message is heeded",
    topic="order",
    level="should",
    effects=True,
    needs=needs.some_type(lambda one: one.recall),
    why="Deliveries overtake each other: a message that somebody has taken back then stays readable for good.",
    fix="Keep the recall, and ask for one when a message comes.",
)
def check_recall_before_message(run: Run) -> None:
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


def conversation(run: Run, kind: EventType, steps: Sequence[tuple[int, int | None]]) -> list[Event]:
    """Return messages of one conversation. Each step: how much later than the first, and its second number, if any."""
    order = order_of(kind)
    first = run.event(kind)
    thing = first_of(kind, first)
    base = int(text(resolve(thing, order.by[0]))) - max(later for later, _ in steps)
    made = []
    for later, second in steps:
        values = {**in_scope(kind, first), order.by[0]: like(resolve(thing, order.by[0]), base + later)}
        if second is not None:
            values[order.by[1]] = like(resolve(thing, order.by[1]), second)
        made.append(run.event(kind, first.payload, values=values))
    return made


def list_in_order(run: Run, events: list[Event]) -> None:
    """Deliver the events shuffled; fail unless all of them show, in order."""
    attempts = run.send_each(
        run.shot(event, note=f"message {events.index(event) + 1}") for event in shuffled(run, events)
    )
    run.must_ack(attempts, "every message")
    run.must_show(attempts, "every message")
    in_order(run, events, attempts, last=False)


def listed(run: Run) -> list[EventType]:
    """Return the recorded event types that are lists; not applicable where records show no order."""
    if run.unordered:
        raise NotApplicable("the records come in no order that the application shows")
    return ordered(run, "sequence")


@check(
    "A list is shown in the documented order",
    topic="order",
    level="should",
    effects=True,
    needs=needs.lists,
    why="Deliveries overtake each other; by arrival a conversation reads wrong.",
    fix=FIX_LIST,
)
def check_listed_in_order(run: Run) -> None:
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
)
def check_order_beyond_31_bits(run: Run) -> None:
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
    names = [one.name for one in run.documented if one.order is None]
    raise NotApplicable(f"no payload field says which came first: {', '.join(names) or 'none such'}")
