"""What takes a state away: its removals, in every form that they may take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from im_callback.conformance.run import Run
from im_callback.conformance.states import alongside, moved, order_of
from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.traffic.generate import Generator
from im_callback.provider_mock.traffic.shape import kind_at, schemas_at
from im_callback.provider_mock.traffic.variants import variant_payload
from im_callback.schemas import MISSING, EventType, PointerError, Removal, replace, resolve

Shape = Callable[[Run, Event, int], Event]
"""Makes the removal of a state, so many steps after it."""


def removals_of(run: Run, event_type: EventType) -> Iterator[tuple[EventType, Removal]]:
    """Yield the removals that end a state of the type, with the event types that carry them."""
    group = order_of(event_type).group
    for kind in run.provider.catalogue:
        if kind.order and kind.order.group == group:
            for removal in kind.order.removals:
                yield kind, removal


def shapes(event_type: EventType, kind: EventType, removal: Removal) -> Iterator[tuple[str, Shape]]:
    """Yield the forms that a removal may take: as the sample is, and with what it needs not absent, empty or stray."""
    order = order_of(kind)
    inner = [pointer for pointer in order.scope if pointer not in removal.scope]
    spare = [pointer for pointer in _spare(kind, removal) if pointer not in order.scope]

    def made(change: Mapping[str, object]) -> Shape:
        return lambda run, event, steps: removal_of(run, event_type, kind, removal, event, steps, change)

    yield "as documented", made({})
    if inner or spare:
        absent = dict.fromkeys([*inner, *spare])
        yield f"without {_names(absent)}", made(absent)
    if inner:
        yield f"with an empty {_names(inner)}", made(dict.fromkeys([*inner, *spare], ""))
        yield f"with a {_names(inner)} of its own", made(dict.fromkeys(inner, "stray"))


def _spare(kind: EventType, removal: Removal) -> list[str]:
    """Return the pointers of the optional texts of an event type, which a removal has no use for."""
    required = set(kind.schema.get("required", ()))
    order = order_of(kind)
    named = {*removal.when.get("properties", {}), *removal.when.get("required", ())}
    return [
        f"/{name}"
        for name in kind.schema.get("properties", {})
        if name not in required and name not in named and f"/{name}" not in order.by and _is_text(kind, f"/{name}")
    ]


def _is_text(kind: EventType, pointer: str) -> bool:
    found = schemas_at(kind.schema, pointer)
    return any(one.get("type") == "string" and "enum" not in one for one in found) and kind_at(
        kind.schema, pointer
    ) in ("text", None)


def _names(pointers: Iterable[str]) -> str:
    return " and ".join(pointer.rpartition("/")[2] for pointer in pointers)


def removal_of(
    run: Run,
    event_type: EventType,
    kind: EventType,
    removal: Removal,
    event: Event,
    steps: int,
    change: Mapping[str, object],
) -> Event:
    """Return the removal of a state; ValueError if the payload would not be valid in this form.

    It is made of the state itself, or of an event of the removal's kind; where neither can be one, of one that is
    documented, or made up.
    """
    first = event.payload if kind is event_type else run.event(kind).payload
    documented = (sample for sample in kind.examples if kind.removal(sample) == removal)
    # It carries what the state carries besides, as far as it can.
    tried = ((model, whole) for model in (first, *documented, *_made_up(run, kind, removal)) for whole in (True, False))
    for model, whole in tried:
        try:
            made = _removed(run, event_type, kind, removal, event, model, steps, change, whole=whole)
        except PointerError:
            continue
        fits = all(resolve(made.payload, pointer) == resolve(event.payload, pointer) for pointer in removal.scope)
        if fits and not kind.problems(made.payload):
            return made
    raise ValueError(f"no valid {kind.name}")


def _removed(
    run: Run,
    event_type: EventType,
    kind: EventType,
    removal: Removal,
    event: Event,
    model: Mapping[str, Any],
    steps: int,
    change: Mapping[str, object],
    *,
    whole: bool,
) -> Event:
    payload: Any = dict(model)
    for pointer, value in removal.values.items():
        payload = replace(payload, pointer, value)
    same = {
        pointer: value
        for pointer, value in alongside(event_type, event).items()
        if pointer not in removal.values
        and not _is_constant(kind, pointer)
        and (whole or resolve(payload, pointer) is not MISSING)
    }
    for pointer, value in {**same, **moved(event_type, event, steps)}.items():
        payload = replace(payload, pointer, value)
    for pointer, value in change.items():
        name = pointer.rpartition("/")[2]
        if value is None:
            payload.pop(name, None)
        elif name in payload:
            payload[name] = value
    return run.ids.fresh(kind, payload, keep=[*same, *order_of(kind).scope, *order_of(kind).by])


def _made_up(run: Run, kind: EventType, removal: Removal) -> Iterator[dict[str, Any]]:
    """Yield payloads of the variants that are this removal."""
    generator = Generator(run.settings.seed, run.ids.millis, identities=run.ids)
    for variant in kind.variants:
        payload = variant_payload(generator, kind, variant)
        if kind.removal(payload) == removal:
            yield payload


def _is_constant(kind: EventType, pointer: str) -> bool:
    return any("const" in one for one in schemas_at(kind.schema, pointer))
