"""The schemas and parameters that several resources share.

`x-wanted` says in words what a pattern wants; error messages use it. What is `writeOnly` can be a
secret: its value never appears in an error message.
"""

from __future__ import annotations

from typing import Any

from im_callback.provider_mock.server.api.operation import Parameter, Schema, listed
from im_callback.provider_mock.server.options import MOST_FAULTS, fault

EXACT = 2**53 - 1
"""The largest whole number that every client reads exactly (RFC 8259, section 6)."""

NAME: Schema = {
    "type": "string",
    "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
    "x-wanted": "up to 64 letters, digits, dots, hyphens and underscores, with a letter or digit in front",
    "examples": ["staging"],
}
TIME: Schema = {"type": "integer", "minimum": 0, "maximum": EXACT, "description": "UTC milliseconds."}
COUNT: Schema = {"type": "integer", "minimum": 0}
ID: Schema = {"type": "integer", "minimum": 1, "maximum": EXACT}
SEED: Schema = {
    "type": "integer",
    "minimum": 0,
    "maximum": EXACT,
    "description": "The same seed draws the same; without one it is random, and answered.",
}
FAULTS: Schema = listed(
    fault(),
    maxItems=MOST_FAULTS,
    description="Disturbances, applied from left to right.",
)

APP = Parameter("app", "path", NAME, "The app's name.")
LIMIT = Parameter(
    "limit", "query", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, "How many on a page."
)


def whole(text: str) -> str:
    """Return the pattern of a cursor that is made of whole numbers: `N` stands for each of them."""
    return f"^{text.replace('N', '(0|[1-9][0-9]{0,14})')}$"


def cursor(text: str) -> Parameter:
    """Return the parameter that continues a list; its form is described as for `whole`."""
    schema: dict[str, Any] = {
        "type": "string",
        "pattern": whole(text),
        "x-wanted": "what the page before gave as `next`",
    }
    return Parameter("cursor", "query", schema, "What the page before gave as `next`; its form can change.")
