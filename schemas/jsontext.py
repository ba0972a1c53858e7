"""Reads and writes JSON text as RFC 8259 has it: without NaN, Infinity or numbers too large for one."""

from __future__ import annotations

import json
import math
from typing import Any

__all__ = ["dump", "parse"]


def parse(text: str) -> Any:
    """
    Return the value that *text* stands for.

    Raises:
        ValueError: *text* is not JSON; `NaN`, `Infinity` and `1e999` are not.
    """
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def dump(value: Any) -> str:
    """Return *value* as compact JSON text, with non-ASCII characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is too large for a number")
    return number
