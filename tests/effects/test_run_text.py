"""What :run stands for: identifiers of a run's events begin or end with it wherever their type allows."""

from __future__ import annotations

from random import Random

import pytest
from im_callback.conformance.judge import in_record, text
from im_callback.provider_mock import providers
from im_callback.provider_mock.traffic.identity import Identities, tag_of
from im_callback.provider_mock.traffic.shape import kind_at
from im_callback.schemas import occurrences

NOW = 1_700_000_000_000
NEITHER = frozenset(
    {
        # Short numbers, and times.
        *("digits-id", "member", "sequence", "random", "mobile", "millis", "seconds", "datetime", "version"),
        # Of two short numbers and a time; in groups of four digits; one of few, or unknown.
        *("message-key", "grouped-id", "code", None),
    }
)
"""Kinds whose values cannot hold it."""
SOMETIMES = frozenset({"room", "team"})
"""Numbers at one provider, words at another."""


@pytest.mark.parametrize("name", providers.names())
def test_every_type(name: str) -> None:
    """Every identity of every sample, by its kind; most types have an identifier that holds it."""
    wrong: list[str] = []
    for event_type in providers.load(name).catalogue:
        for sample in event_type.examples if event_type.identity else ():
            ids = Identities(Random(1), NOW, run=7)
            event = ids.fresh(event_type, sample)
            for element in occurrences(event_type, event.payload):
                for pointer in event_type.identity or ():
                    place = f"{event_type.items}/0{pointer}" if event_type.items is not None else pointer
                    kind, value = kind_at(event_type.schema, place), text(in_record(element, pointer))
                    holds = value.startswith(ids.tag) or value.endswith(ids.tag)
                    if value and value != "0" and not holds and kind not in NEITHER:
                        if kind not in SOMETIMES or not value.isdecimal():
                            wrong.append(f"{event_type.name}{pointer} ({kind}): {value}")
    assert wrong == []


def test_tag() -> None:
    """It is known before anything is made, and is a run's own."""
    assert tag_of(7) == Identities(Random(1), NOW, run=7).tag
    assert tag_of(7) != tag_of(8)
    assert all(len(tag_of(run)) == 8 and tag_of(run).isdecimal() for run in range(100))
