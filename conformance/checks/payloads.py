"""Fields may be absent, new or of another type than the table says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conformance.check import check
from conformance.run import Run
from conformance.verdict import Failed
from provider_mock.contract import Event
from provider_mock.history import Attempt
from provider_mock.traffic.identity import places, without
from provider_mock.wire import Wire, encode
from schemas import MISSING, EventType, resolve

SIZES = (1, 2, 500)


def optional_fields(event_type: EventType, payload: Any) -> list[str]:
    """Return the pointers of the fields that the payload has and its schema does not require."""
    found = []
    for place in dict.fromkeys(["", *places(event_type, payload)]):
        element = resolve(payload, place)
        for name in element:
            try:
                shorter = without(payload, f"{place}/{name}")
            except ValueError:
                continue
            if not event_type.problems(shorter):
                found.append(f"{place}/{name}")
    return found


def all_absent(event_type: EventType, payload: Any) -> Any:
    """Return the payload without any field that can be left out."""
    for pointer in optional_fields(event_type, payload):
        shorter = without(payload, pointer)
        if not event_type.problems(shorter):
            payload = shorter
    return payload


@check(
    "Optional fields may be absent",
    topic="payload",
    every="must",
    why="The documents say that not every field is always sent; a receiver that reads one blindly drops the event.",
    fix="Read fields with a default; require only what the schema requires.",
)
def check_optional_absent(run: Run) -> None:
    attempts: list[Attempt] = []
    for event_type in run.documented:
        whole = max(event_type.examples, key=len)
        cut = [(f"without {pointer}", without(whole, pointer)) for pointer in optional_fields(event_type, whole)]
        cut.append(("without any optional field", all_absent(event_type, whole)))
        for note, payload in cut:
            event = run.event(event_type, payload)
            if not keeps_identity(event_type, whole, event.payload):
                run.indistinct.update(run.occurrences(event))
            attempts += run.send(run.shot(event, note=f"{event_type.name} {note}"))
    run.must_ack(attempts, "an event without its optional fields")
    telling = [a for a in attempts if not run.indistinct & set(run.occurrences(*a.shot.events))]
    run.must_show(telling, "an event without its optional fields")


def keeps_identity(event_type: EventType, whole: Any, payload: Any) -> bool:
    """Return whether the payload still has every identity field that the whole one has."""
    return all(
        resolve(whole, place + pointer) is MISSING or resolve(payload, place + pointer) is not MISSING
        for place in places(event_type, whole)
        for pointer in event_type.identity or ()
    )


@check(
    "An unknown field does no harm",
    topic="payload",
    every="should",
    why="Providers add fields without notice; a strict parser loses every event from that day on.",
    fix="Ignore fields that you do not know.",
)
def check_unknown_field(run: Run) -> None:
    extra = {"extensionNotYetDocumented": {"since": 2030, "list": [1, None]}}
    attempts = run.send_each(
        run.shot(Event(event.type, {**event.payload, **extra}), note=f"{event.type} with an unknown field")
        for event in (run.event(one) for one in run.documented)
    )
    run.must_ack(attempts, "an event with an unknown field")
    run.must_show(attempts, "an event with an unknown field")


@check(
    "Arrays of any size, over several rooms, and a lone object are taken",
    topic="payload",
    rongcloud="should",
    why="The page speaks of an object and shows an array; how many entries one holds is not said.",
    fix="Take an array as well as a lone object, and every entry of it.",
)
def check_batch_sizes(run: Run) -> None:
    shots = [
        run.shot(*(run.event() for _ in range(size)), note=f"an array of {size}, each in a room of its own")
        for size in SIZES
    ]
    attempts = run.send_each(shots)
    lone = run.event()
    body = encode(lone.payload, Wire())
    attempts += run.send(replace(run.raw(body, note="a lone object"), events=(lone,), broken=False))
    run.must_ack(attempts, "an array of any size")
    run.must_show(attempts, "every entry of an array")


@check(
    "A message that could not be sent is not recorded as sent",
    topic="payload",
    tencent="must",
    effects=True,
    why="The webhook comes for messages that were blocked as well; recorded, they appear in the archive as said.",
    fix="Look at SendMsgResult: only 0 is sent.",
)
def check_failed_send(run: Run) -> None:
    failed = {"/SendMsgResult": 20006, "/ErrorInfo": "blocked", "/UnreadMsgNum": -1}
    event = run.event(values=failed)
    attempt = run.deliver(event, note="SendMsgResult 20006")
    run.must_ack([attempt], "a message that could not be sent")
    effects = run.barrier()
    for occurrence, record in zip(effects.order, effects.records, strict=True):
        if occurrence in run.occurrences(event) and str(record.get("SendMsgResult", "0")) == "0":
            raise Failed("no effect that looks like a sent message", f"the effects show {occurrence}", [attempt])
