"""States and lists that are made, delivered in another order, and looked at: whether an older one wins or a list is mixed up.

Which event types are states or lists, within what and by which numbers, says `x-order` of their
schemas. Where a record stands is taken from the event that was sent, never from the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from im_callback.conformance.beside import among, last_and_due
from im_callback.conformance.judge import Effects, Occurrence, rank_of, shown_among, steps_back, text
from im_callback.conformance.removals import Shape, removal_of
from im_callback.conformance.run import Run
from im_callback.conformance.states import STEP, alongside, first_of, in_scope, kind_of, like, moved, order_of
from im_callback.conformance.verdict import Failed, NotApplicable, Record
from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.history import Attempt
from im_callback.provider_mock.traffic.shape import leaves
from im_callback.schemas import EventType, PointerError, Removal, resolve

SMALL = (2, 9, 10)
"""As texts, 10 would come before 2 and 9."""

TIMES = frozenset({"millis", "seconds"})


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
    whole = f"sent: {ranks_said(ranks[one] for a in attempts for e in a.shot.events for one in run.occurrences(e))}; "
    whole += f"shown: {ranks_said(shown) or 'nothing'}"
    if back:
        older, newer = ranks_said([shown[back[1]]]), ranks_said([shown[back[0]]])
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
            f"the newest ({by} {ranks_said([newest])}) shown last",
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


def ranks_said(ranks: Any) -> str:
    """Return numbers by which events are ordered, as text."""
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
