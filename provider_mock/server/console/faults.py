"""Faults as boxes to tick, with a field for each attribute; and what was ticked, as it is typed elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from im_callback.provider_mock.delivery import faults as catalogue
from im_callback.provider_mock.server.models import FaultAttribute, FaultKind


@dataclass(frozen=True, slots=True)
class Box:
    """A fault, whether it is ticked, and its attributes with what stands in their fields."""

    kind: FaultKind
    ticked: bool
    attributes: tuple[tuple[FaultAttribute, str], ...]


def boxes(kinds: Iterable[FaultKind], chosen: Sequence[str]) -> list[Box]:
    """Return all faults; those that are chosen, as they are typed, come first."""
    given = {name: _settings(settings) for name, _, settings in (text.partition(":") for text in chosen)}
    found = [
        Box(
            kind,
            kind.name in given,
            tuple(
                (one, given.get(kind.name, {}).get(one.name, catalogue.shown(one.default))) for one in kind.attributes
            ),
        )
        for kind in kinds
    ]
    return sorted(found, key=lambda one: not one.ticked)


def typed(kinds: Iterable[FaultKind], ticked: Sequence[str], given: Mapping[str, str]) -> tuple[str, ...]:
    """Return the faults that are ticked, as they are typed; `given` are the fields, by `FAULT:ATTRIBUTE`.

    What stands in a field as its default does is left out. A name that no fault has stays, to be refused by its name.
    """
    known = {kind.name: kind for kind in kinds}
    return tuple(_typed(name, known.get(name), given) for name in ticked)


def _typed(name: str, kind: FaultKind | None, given: Mapping[str, str]) -> str:
    if kind is None:
        return name
    settings = [
        f"{one.name}={text}"
        for one in kind.attributes
        if (text := given.get(f"{name}:{one.name}", "").strip()) and text != catalogue.shown(one.default)
    ]
    return f"{name}:{','.join(settings)}" if settings else name


def _settings(text: str) -> dict[str, str]:
    pairs = (one.partition("=") for one in text.split(",") if one)
    return {name: value for name, _, value in pairs}
