"""A record that was renamed by a map for each event type: what each of them made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ByType:
    """What the maps of several event types made of one record, in their order.

    Each stands for an event of its own type alone; the one that fits what was sent is the record.
    """

    made: tuple[tuple[str, Mapping[str, Any]], ...]
