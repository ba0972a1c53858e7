"""What scripts can be made of: the event types that the receiver records, by what orders them, and events of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from im_callback.conformance.explore.judging import Fact
from im_callback.conformance.explore.script import Script, Thing
from im_callback.conformance.judge import AmbiguousRecord, text
from im_callback.conformance.ordered import heeds
from im_callback.conformance.removals import removal_of, removals_of
from im_callback.conformance.run import Run
from im_callback.conformance.states import STEP, alongside, first_of, in_scope, kind_of, like, moved, order_of
from im_callback.conformance.verdict import CouldNotRun, Failed, Gone
from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.traffic.shape import schemas_at
from im_callback.schemas import MISSING, EventType, PointerError, Removal, replace, resolve

Rule = Literal["", "latest", "sequence"]
PLACES = 16
"""Places in an order that a script can have at most; the last is as new as any event of the run."""


class Unusable(ValueError):
    """A script cannot be played against this receiver."""


@dataclass(frozen=True, slots=True)
class Kind:
    """An event type that is recorded, and what a script may do with it: its rule, and the removals that are heeded."""

    event_type: EventType
    rule: Rule
    removals: tuple[tuple[int, EventType, Removal, Event], ...] = ()
    """Each with its number, the event type that carries it, and an event that is one."""

    @property
    def name(self) -> str:
        """The event type's name."""
        return self.event_type.name


@dataclass(frozen=True, slots=True)
class Stock:
    """The kinds of things of one feed. `batches` says whether a request carries several."""

    kinds: tuple[Kind, ...]
    batches: bool

    def kind(self, name: str) -> Kind:
        """Return the kind of an event type; `Unusable` if the receiver does not record it."""
        for one in self.kinds:
            if one.name == name:
                return one
        raise Unusable(f"the receiver is not seen to record {name}")

    def check(self, script: Script) -> None:
        """Raise `Unusable` unless everything in the script can be made."""
        for thing in script.things:
            kind = self.kind(thing.type)
            if thing.removal is not None and thing.removal not in [found[0] for found in kind.removals]:
                raise Unusable(f"the receiver is not seen to heed the removal {thing.removal} of {thing.type}")
            if thing.place >= PLACES:
                raise Unusable(f"the place {thing.place} is too far: {PLACES} are the most")
        if not self.batches and any(len(one.things) > 1 for step in script.steps for one in step.requests):
            raise Unusable("requests of this feed carry one event each")


def stock_of(run: Run) -> Stock:
    """Return what scripts can be made of at the feed of a run; it tries which removals the receiver heeds."""
    kinds = [found for one in run.handled if one.identity and (found := _kind(run, one)) is not None]
    return Stock(tuple(kinds), run.feed.batches)


def _kind(run: Run, event_type: EventType) -> Kind | None:
    order = event_type.order
    if run.failed(run.event(event_type)):
        return None
    if order is None:
        return Kind(event_type, "")
    # Where scopes recur, what an earlier script left there would be taken for this one's.
    fixed = all(run.is_fixed(event_type, pointer) for pointer in order.scope)
    if fixed or run.settings.accounts is not None or any(run.is_fixed(event_type, one) for one in order.by):
        return Kind(event_type, "") if order.rule == "sequence" else None
    if order.rule == "sequence":
        return Kind(event_type, "sequence")
    if event_type.removes(run.models[event_type.name]):
        return None
    removals = tuple(
        (number, kind, removal, removal_of(run, event_type, kind, removal, run.event(event_type), 1, {}))
        for number, (kind, removal) in enumerate(removals_of(run, event_type))
        if _heeded(run, event_type, kind, removal)
    )
    return Kind(event_type, "latest", removals)


def _heeded(run: Run, event_type: EventType, kind: EventType, removal: Removal) -> bool:
    try:
        return heeds(run, event_type, kind, removal)
    except Gone:
        raise
    except (Failed, CouldNotRun, AmbiguousRecord):
        return False


def events_of(run: Run, stock: Stock, script: Script) -> list[Event]:
    """Return an event for each thing of a script, with fresh identities; `Unusable` if one cannot be made."""
    stock.check(script)
    bases: dict[tuple[str, int], Event] = {}
    made = []
    for thing in script.things:
        kind = stock.kind(thing.type)
        base = bases.setdefault((thing.type, thing.scope), run.event(kind.event_type))
        try:
            event = _made(run, kind, thing, base)
        except (ValueError, PointerError) as error:
            raise Unusable(f"{thing.type} cannot be made at the place {thing.place}: {error}") from None
        if problems := run.provider.catalogue[event.type].problems(event.payload):
            raise Unusable(f"{thing.type} cannot be made at the place {thing.place}: {problems[0]}")
        made.append(event)
    return made


def _made(run: Run, kind: Kind, thing: Thing, base: Event) -> Event:
    event_type = kind.event_type
    if kind.rule == "":
        return run.event(event_type)
    steps = thing.place - PLACES
    if thing.removal is not None:
        return _removal(run, kind, thing.removal, base, steps)
    if kind.rule == "latest":
        values = {**alongside(event_type, base), **moved(event_type, base, steps)}
    else:
        values = _listed(event_type, base, thing.place)
    return run.event(event_type, base.payload, values=values)


def _removal(run: Run, kind: Kind, number: int, base: Event, steps: int) -> Event:
    """Return the removal of a state, made from one that is known to be valid."""
    (found,) = [one for one in kind.removals if one[0] == number]
    _, carrier, removal, model = found
    payload: Any = model.payload
    same = {
        pointer: value
        for pointer, value in alongside(kind.event_type, base).items()
        if pointer not in removal.values
        and resolve(payload, pointer) is not MISSING
        and not any("const" in one for one in schemas_at(carrier.schema, pointer))
    }
    for pointer, value in {**same, **moved(kind.event_type, base, steps)}.items():
        payload = replace(payload, pointer, value)
    order = order_of(carrier)
    return run.ids.fresh(carrier, payload, keep=[*same, *order.scope, *order.by])


def _listed(event_type: EventType, base: Event, place: int) -> dict[str, object]:
    """Return the values of a message at a place; with a second number, two each are of one moment."""
    order = order_of(event_type)
    first = first_of(event_type, base)
    several = len(order.by) > 1
    moment = place // 2 if several else place
    unit = 1 if kind_of(event_type, order.by[0]) != "millis" else STEP
    start = resolve(first, order.by[0])
    values = {**in_scope(event_type, base), order.by[0]: like(start, int(text(start)) + (moment - PLACES) * unit)}
    if several:
        # As texts, 11 would come before 8.
        values[order.by[1]] = like(resolve(first, order.by[1]), 5 + 3 * place)
    return values


def fact_of(
    run: Run, stock: Stock, thing: Thing, number: int, event: Event, *, reached: bool, acked_in: int, last_in: int
) -> Fact:
    """Return what became of a thing, for the judge; the steps are as in `Fact`."""
    kind = stock.kind(thing.type)
    return Fact(
        name_of(stock, thing, number),
        tuple(run.occurrences(event)),
        kind.rule,
        f"{thing.type} {thing.scope}",
        thing.place,
        removes=thing.removal is not None,
        wide=_wide(kind, thing),
        reached=reached,
        acked=acked_in > 0,
        acked_in=acked_in,
        last_in=last_in,
        shows=thing.removal is not None or run.keeps(event),
    )


def _wide(kind: Kind, thing: Thing) -> bool:
    """Return whether a thing is a removal of more than its own scope."""
    return any(
        number == thing.removal and len(removal.scope) < len(order_of(kind.event_type).scope)
        for number, _, removal, _ in kind.removals
    )


def name_of(stock: Stock, thing: Thing, number: int) -> str:
    """Return what people call a thing of a script."""
    kind = stock.kind(thing.type)
    if thing.removal is not None:
        what = next(found[1].name for found in kind.removals if found[0] == thing.removal)
        return f"#{number + 1}, the removal at place {thing.place + 1}" + ("" if what == thing.type else f" ({what})")
    if kind.rule == "":
        return f"#{number + 1}"
    return f"#{number + 1}, the {'state' if kind.rule == 'latest' else 'message'} at place {thing.place + 1}"


def rules(stock: Stock) -> Sequence[Rule]:
    """Return the rules that hold for any kind in stock."""
    return list(dict.fromkeys(one.rule for one in stock.kinds))
