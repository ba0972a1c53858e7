"""What a receiver shows of a message that was recalled: in the usual order, and where the recall came first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from im_callback.conformance.judge import Effects, text
from im_callback.conformance.run import Run
from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.history import Attempt
from im_callback.provider_mock.traffic.generate import Generator
from im_callback.provider_mock.traffic.shape import leaves
from im_callback.provider_mock.traffic.variants import variant_payload
from im_callback.schemas import MISSING, EventType, Recall, resolve
from im_callback.schemas import replace as put

AS_SENT = "as it was sent"


@dataclass(frozen=True, slots=True)
class Seen:
    """What shows of a message that was recalled. `marks` are the fields in which its record is like no ordinary one."""

    shows: bool
    marks: frozenset[str]
    attempts: tuple[Attempt, ...] = ()

    @property
    def heeded(self) -> bool:
        """Whether it can be seen that the message was recalled: it is gone, or says so.

        A list that shows both, the message as it was, leaves it to whoever reads it, in whatever order they came.
        """
        return not self.shows or bool(self.marks)

    @property
    def said(self) -> str:
        """The same in words."""
        if not self.shows:
            return "no message"
        return f"the message, marked in {', '.join(sorted(self.marks))}" if self.marks else "the message, unmarked"

    def forgets(self, usual: Seen) -> bool:
        """Return whether a recall has come to nothing here that is heeded in the usual order."""
        marks = self.marks & usual.marks if usual.shows else self.marks
        return usual.heeded and self.shows and not marks


def recallable(run: Run, kind: EventType) -> Mapping[str, Any] | None:
    """Return a payload of a message that a recall of this kind can be about, and that the receiver records; or None."""
    recall = _recall(kind)
    whole = run.provider.catalogue[recall.event_type]
    generator = Generator(run.settings.seed, run.ids.millis, identities=run.ids)
    documented = [*([run.models[whole.name]] if whole.name in run.models else []), *whole.examples]
    made = (variant_payload(generator, whole, variant) for variant in whole.variants)
    for payload in (*documented, *made):
        fits = all(resolve(payload, pointer) == value for pointer, value in recall.values.items())
        if fits and run.keeps(Event(whole.name, dict(payload))) and not whole.failed(payload):
            return dict(payload)
    return None


def recall_of(run: Run, kind: EventType, message: Event) -> Event:
    """Return the recall of a message."""
    payload: Any = dict(run.models[kind.name])
    same = {}
    for here, there in _recall(kind).by.items():
        value = resolve(message.payload, there)
        if value is MISSING:
            payload.pop(here[1:], None)
        elif resolve(payload, here) is not MISSING:
            same[here] = value
    for pointer, value in same.items():
        payload = put(payload, pointer, value)
    return run.ids.fresh(kind, payload, keep=list(same), values=same)


def look_at_recalls(run: Run, kind: EventType, model: Mapping[str, Any]) -> tuple[Seen, Seen]:
    """Deliver a message and its recall, and another pair the other way round; return what shows of each."""
    whole = run.provider.catalogue[_recall(kind).event_type]
    plain = [run.event(whole, model) for _ in range(2)]
    usual, overtaken = ((one := run.event(whole, model), recall_of(run, kind, one)) for _ in range(2))
    notes = ("a message", "its recall")
    sent = [
        *(run.shot(event, note="a message that nobody recalls") for event in plain),
        *(run.shot(event, note=note) for event, note in zip(usual, notes, strict=True)),
        *(run.shot(event, note=note) for event, note in zip(overtaken[::-1], notes[::-1], strict=True)),
    ]
    attempts = run.send_each(sent)
    run.must_ack(attempts, "a message, and its recall, in any order,")
    run.must_show(attempts[:2], "a message that nobody recalls")
    effects = run.barrier()
    for message, recall in (usual, overtaken):
        ones = run.occurrences(message, recall)
        if len({one.identity for one in ones}) < len(ones):
            # Where both are known by the same values, a record with no more than these may be either.
            run.sent.indistinct.update(ones)
    told = [_told(run, effects, event) for event in plain]
    # What differs between two ordinary messages, as a number of the row or a time does, marks none.
    ordinary = {name: value for name, value in told[0].items() if told[1].get(name) == value}

    def seen(message: Event, attempts: Sequence[Attempt]) -> Seen:
        said = _told(run, effects, message)
        shows = any(effects.count(one) for one in run.occurrences(message))
        new = {name for name in said if name not in told[0] and name not in told[1]}
        marks = new | {name for name, value in ordinary.items() if said.get(name, "") != value}
        return Seen(shows, frozenset(marks) if shows else frozenset(), tuple(attempts))

    return seen(usual[0], attempts[2:4]), seen(overtaken[0], attempts[4:])


def _told(run: Run, effects: Effects, event: Event) -> dict[str, str]:
    """Return what the last record of an event says by field: that it is what was sent, or what it is, as text."""
    records = [record for one in run.occurrences(event) for record in effects.of(one)]
    if not records:
        return {}
    sent = {pointer: text(value) for pointer, value in leaves(event.payload)}
    found = {pointer: text(value) for pointer, value in leaves(dict(records[-1]))}
    names = {pointer.rpartition("/")[2]: value for pointer, value in sent.items()}
    return {
        pointer: AS_SENT if value and value in (sent.get(pointer), names.get(pointer[1:])) else value
        for pointer, value in found.items()
        if value
    }


def _recall(kind: EventType) -> Recall:
    assert kind.recall is not None
    return kind.recall
