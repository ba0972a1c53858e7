"""An older state never wins, and lists are shown in the order of what happened, not of what arrived."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from conformance.check import check
from conformance.judge import rank_of, scope_of, steps_back, text
from conformance.run import Run, shorten
from conformance.verdict import Failed, NotApplicable
from provider_mock.contract import Event
from provider_mock.history import Attempt
from schemas import EventType, Order

NEWEST = 6
WHY_STATE = "Deliveries overtake each other: whoever lets the last to arrive win shows people online who have left."
FIX_STATE = "Keep the time or version with the state, and ignore what is older."
FIX_LIST = "Sort by the documented fields when you show, not by arrival."


def in_order(run: Run, events: Sequence[Event], attempts: Sequence[Attempt], *, last: bool) -> None:
    """Fail unless the effects of the events' one scope never step back (and, with `last`, end with the newest)."""
    event_type = run.provider.catalogue[events[0].type]
    order = event_type.order
    assert order is not None
    scope = scope_of(order, events[0].payload)
    newest = max(filter(None, (rank_of(order, event.payload) for event in events)))
    effects = run.settle(lambda seen: newest in ranks(run, seen.records, scope, order))
    effects = run.barrier()
    shown = ranks(run, effects.records, scope, order)
    back = steps_back(shown)
    names = ", ".join(pointer[1:] for pointer in order.by)
    if back:
        raise Failed(
            f"effects that never step back in {names}",
            f"{_said(shown[back[1]])} comes after {_said(shown[back[0]])}; shown in all: {' '.join(map(_said, shown))}",
            attempts[:3],
        )
    if last and (not shown or shown[-1] != newest):
        raise Failed(
            f"the newest ({names} {_said(newest)}) shown last",
            f"shown: {' '.join(map(_said, shown)) or 'nothing'}",
            attempts[:3],
        )


def ranks(run: Run, records: Iterable[object], scope: tuple[str, ...], order: Order) -> list[tuple[int, ...]]:
    """Return the ranks of the records of one scope, in the order shown."""
    del run
    same = [record for record in records if scope_of(order, record) == scope]
    return [rank for rank in (rank_of(order, record) for record in same) if rank is not None]


def _said(rank: tuple[int, ...]) -> str:
    return "/".join(map(str, rank))


def later(event_type: EventType, event: Event, steps: int) -> dict[str, object]:
    """Return values that put an event so many steps (of a second where it is a time) after another one."""
    assert event_type.order is not None
    values: dict[str, object] = {}
    for pointer in event_type.order.by:
        old = event.payload[pointer[1:]]
        new = int(text(old)) + steps
        values[pointer] = str(new) if isinstance(old, str) else new
    return values


def same_scope(event_type: EventType, event: Event) -> dict[str, object]:
    """Return the values that put another event into the scope of this one."""
    assert event_type.order is not None
    return {pointer: event.payload[pointer[1:]] for pointer in event_type.order.scope}


def stale_pair(run: Run, newer: EventType, older: EventType, sets: tuple[dict[str, object], dict[str, object]]) -> None:
    """Deliver the newer of two states, then the older; fail if the older one wins."""
    second = run.event(newer, values={**sets[0]})
    earlier = {pointer: str(int(text(second.payload[pointer[1:]])) - 5000) for pointer in older.order.by}  # type: ignore[union-attr]
    first = run.event(older, values={**same_scope(newer, second), **sets[1], **earlier})
    attempts = [
        run.deliver(second, note="the newer state"),
        run.deliver(first, note="the older state, arriving late"),
    ]
    run.must_ack(attempts, "a state that arrives late")
    in_order(run, [second, first], attempts, last=True)


@check(
    "A login that is older than the logout is ignored",
    topic="order",
    commsease="should",
    effects=True,
    why=WHY_STATE,
    fix=FIX_STATE,
)
def check_stale_login_ignored(run: Run) -> None:
    login, logout = run.handled_type("commsease.login", "commsease.logout")
    stale_pair(run, logout, login, ({}, {}))


@check(
    "An entry that is older than the exit from a room is ignored",
    topic="order",
    commsease="should",
    effects=True,
    why=WHY_STATE,
    fix=FIX_STATE,
)
def check_room_presence(run: Run) -> None:
    (kind,) = run.handled_type("commsease.chatroom-in-out")
    stale_pair(run, kind, kind, ({"/event": "OUT"}, {"/event": "IN"}))


def versions(run: Run, count: int) -> list[Event]:
    """Return so many versions of one attribute, the oldest first."""
    (kind,) = run.handled_type("rongcloud.chatroom-kv")
    first = run.event(kind)
    rest = [
        run.event(
            kind, first.payload, values={**same_scope(kind, first), **later(kind, first, n), "/value": f"value {n}"}
        )
        for n in range(1, count)
    ]
    return [first, *rest]


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
    "The newest version of an attribute wins, however the versions arrive",
    topic="order",
    rongcloud="should",
    effects=True,
    why="The version is what the documents give for ordering; by arrival a room shows yesterday's value.",
    fix=FIX_STATE,
)
def check_newest_version_wins(run: Run) -> None:
    events = versions(run, NEWEST)
    attempts = [run.deliver(event, note=f"version {event.payload['version']}") for event in shuffled(run, events)]
    run.must_ack(attempts, "every version")
    in_order(run, events, attempts, last=True)


@check(
    "The newest version wins inside one array too",
    topic="order",
    rongcloud="should",
    effects=True,
    why="The documents promise no order inside an array.",
    fix=FIX_STATE,
)
def check_reversed_batch(run: Run) -> None:
    events = versions(run, NEWEST)
    attempt = run.deliver(*reversed(events), note="all versions in one array, the newest first")
    run.must_ack([attempt], "an array with all versions")
    in_order(run, events, [attempt], last=True)


@check(
    "The version decides, not the timestamp",
    topic="order",
    rongcloud="should",
    effects=True,
    why="Nothing says that versions are times: small ones, and ones against the timestamps, must work too.",
    fix="Compare version only.",
)
def check_version_not_arrival_nor_timestamp(run: Run) -> None:
    (kind,) = run.handled_type("rongcloud.chatroom-kv")
    # As texts, 10 would come before 9.
    first = run.event(kind, values={"/version": 2})
    events = [first] + [
        run.event(
            kind,
            first.payload,
            values={**same_scope(kind, first), "/version": n, "/timestamp": first.payload["timestamp"] - 1000 * n},
        )
        for n in (9, 10)
    ]
    attempts = [
        run.deliver(event, note=f"version {event.payload['version']}") for event in (events[2], events[0], events[1])
    ]
    run.must_ack(attempts, "every version")
    in_order(run, events, attempts, last=True)


@check(
    "The same attribute in two rooms is two attributes",
    topic="payload",
    rongcloud="must",
    effects=True,
    why="Rooms use the same keys; by key alone they overwrite each other.",
    fix="Use chatroomId and key together.",
)
def check_rooms_are_independent(run: Run) -> None:
    (kind,) = run.handled_type("rongcloud.chatroom-kv")
    one = run.event(kind)
    others = [
        run.event(kind, one.payload, values={"/key": one.payload["key"], "/version": version})
        for version in (one.payload["version"], one.payload["version"] - 1)
    ]
    attempts = [run.deliver(event, note="the same key, another room") for event in (one, *others)]
    run.must_ack(attempts, "the same attribute in several rooms")
    run.must_show(attempts, "the same attribute in each of several rooms")


def stays_removed(run: Run, code: int, shapes: Mapping[str, Mapping[str, object]]) -> None:
    """Set an attribute, remove it, and let an older set arrive late; fail if that one shows.

    `shapes` are the forms that the removal's key and value may take (None: the field is absent).
    """
    (kind,) = run.handled_type("rongcloud.chatroom-kv")
    assert kind.order is not None
    for shape, fields in shapes.items():
        first = run.event(kind)
        late = run.event(kind, values={**same_scope(kind, first), **later(kind, first, 1), "/value": "too late"})
        payload = {**first.payload, "optType": code, "version": first.payload["version"] + 2, **fields}
        removal = Event(kind.name, {name: value for name, value in payload.items() if value is not None})
        steps = ((first, "an attribute"), (removal, f"its removal, {shape}"), (late, "an older set, arriving late"))
        attempts = [run.deliver(event, note=note) for event, note in steps]
        run.must_ack(attempts, "a removal, and a set that arrives after it,")
        effects = run.barrier()
        shown = [one for one in effects.records if scope_of(kind.order, one) == scope_of(kind.order, first.payload)]
        if shown and rank_of(kind.order, shown[-1]) != rank_of(kind.order, removal.payload):
            raise Failed("nothing shown after the removal", f"the effects end with {shorten(shown[-1])}", attempts)


@check(
    "An attribute that was deleted stays deleted when an older set arrives",
    topic="order",
    rongcloud="should",
    effects=True,
    why=WHY_STATE,
    fix="Keep the version of the deletion, and ignore sets that are older.",
)
def check_late_set_after_delete(run: Run) -> None:
    stays_removed(run, 2, {"with its value": {}, "without a value": {"value": None}})


@check(
    "A room that was cleared stays clear when an older set arrives",
    topic="order",
    rongcloud="should",
    effects=True,
    why="The documents do not show how a clearing looks: whatever its key, it is for the whole room.",
    fix="Keep the version of the clearing for the room, and ignore sets that are older, whatever their key.",
)
def check_late_set_after_clear(run: Run) -> None:
    shapes: dict[str, Mapping[str, object]] = {
        "without key and value": {"key": None, "value": None},
        "with empty key and value": {"key": "", "value": ""},
        "with a key that is not the attribute's": {"key": "stray", "value": ""},
    }
    stays_removed(run, 3, shapes)


def conversation(run: Run, kind: EventType, steps: Sequence[dict[str, object]]) -> list[Event]:
    """Return the messages of one conversation, in the order given by the steps."""
    first = run.event(kind, values=steps[0])
    rest = [run.event(kind, first.payload, values={**same_scope(kind, first), **step}) for step in steps[1:]]
    return [first, *rest]


def list_in_order(run: Run, events: list[Event]) -> None:
    """Deliver the events shuffled; fail unless all of them show, in order."""
    attempts = [run.deliver(event, note=f"message {events.index(event) + 1}") for event in shuffled(run, events)]
    run.must_ack(attempts, "every message")
    run.must_show(attempts, "every message")
    in_order(run, events, attempts, last=False)


@check(
    "Messages are shown by MsgTime, then MsgSeq",
    topic="order",
    tencent="should",
    effects=True,
    why="This is the documented order; by arrival a conversation reads wrong. MsgSeq goes beyond a signed 32-bit number.",
    fix=FIX_LIST,
)
def check_by_time_then_seq(run: Run) -> None:
    (kind,) = run.handled_type("tencent.c2c-after-send")
    now = run.ids.millis // 1000
    steps = [(0, 9), (1, 7), (1, 2**31 + 5), (1, 2**32 - 2), (2, 3), (3, 1)]
    list_in_order(run, conversation(run, kind, [{"/MsgTime": now + t, "/MsgSeq": seq} for t, seq in steps]))


@check(
    "Messages of one conversation are shown by msgTimestamp",
    topic="order",
    commsease="should",
    effects=True,
    why="Deliveries overtake each other; by arrival a conversation reads wrong.",
    fix=FIX_LIST,
)
def check_messages_by_timestamp(run: Run) -> None:
    kinds = [one for one in run.handled if one.order and one.order.rule == "sequence"]
    if not kinds:
        raise NotApplicable("the receiver records no event type that is a list")
    for kind in kinds:
        now = run.ids.millis
        list_in_order(run, conversation(run, kind, [{"/msgTimestamp": str(now + 1000 * n)} for n in range(5)]))


@check(
    "Event types without order",
    topic="order",
    commsease="may",
    tencent="may",
    why="Nothing in them says which came first.",
    fix="Nothing: do not guess.",
)
def check_no_order(run: Run) -> None:
    names = [one.name for one in run.documented if one.order is None]
    raise NotApplicable(f"no payload field says which came first: {', '.join(names) or 'none such'}")
