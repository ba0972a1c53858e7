"""
The provider contract as data: one JSON Schema per event type, and a loader for Python.

Begin with `catalogue`: ``catalogue("commsease").identify(payload)`` names a payload, ``.problems(payload)`` says what
is wrong with it. `README.md` beside this file tells teams in other languages how to use the files without Python.
"""

from __future__ import annotations

from im_callback.schemas.errors import (
    BadSchema,
    PointerError,
    SchemasError,
    UnknownEventType,
    UnknownProvider,
)
from im_callback.schemas.event_types import (
    AnswerType,
    Catalogue,
    EventType,
    Failure,
    Order,
    Recall,
    Removal,
    catalogue,
    load,
    occurrences,
)
from im_callback.schemas.pointer import MISSING, replace, resolve
from im_callback.schemas.validate import DIALECT, Problem, dialect_problems

__all__ = [
    "DIALECT",
    "MISSING",
    "AnswerType",
    "BadSchema",
    "Catalogue",
    "EventType",
    "Failure",
    "Order",
    "PointerError",
    "Problem",
    "Recall",
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
