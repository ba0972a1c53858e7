"""
The provider contract as data: one JSON Schema per event type, and a loader for Python.

Begin with `catalogue`: ``catalogue("commsease").identify(payload)`` names a payload, ``.problems(payload)`` says what
is wrong with it. `README.md` beside this file tells teams in other languages how to use the files without Python.
"""

from __future__ import annotations

from schemas.errors import (
    BadSchema,
    PointerError,
    SchemasError,
    UnknownEventType,
    UnknownProvider,
)
from schemas.event_types import (
    Catalogue,
    EventType,
    Order,
    Removal,
    catalogue,
    load,
    occurrences,
)
from schemas.pointer import MISSING, replace, resolve
from schemas.validate import DIALECT, Problem, dialect_problems

__all__ = [
    "DIALECT",
    "MISSING",
    "BadSchema",
    "Catalogue",
    "EventType",
    "Order",
    "PointerError",
    "Problem",
    "Removal",
    "SchemasError",
    "UnknownEventType",
    "UnknownProvider",
    "catalogue",
    "dialect_problems",
    "load",
    "occurrences",
    "replace",
    "resolve",
]
