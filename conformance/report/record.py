"""A record of the application as it can be shown: without secrets, and not too long."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from im_callback.conformance.report.masking import Masking
from im_callback.provider_mock.visible import visible

LONGEST = 400
"""Characters of a text in a record."""
DEEPEST, MOST = 8, 60
"""How deep a record is kept, and how many members of it and of what stands in it."""


def short(value: Any, mask: Masking, depth: int = DEEPEST) -> Any:
    """Return one of the application's records as JSON that can be shown: without secrets, long texts cut, not too many members."""
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, (Mapping, list, tuple)) and not depth:
        return f"… ({len(value)} in it)"
    if isinstance(value, Mapping):
        kept = {_cut(name, mask): short(inner, mask, depth - 1) for name, inner in list(value.items())[:MOST]}
        return kept if len(value) <= MOST else {**kept, "…": f"{len(value) - MOST} more"}
    if isinstance(value, (list, tuple)):
        elements = [short(one, mask, depth - 1) for one in value[:MOST]]
        return elements if len(value) <= MOST else [*elements, f"… {len(value) - MOST} more"]
    return _cut(value, mask)


def _cut(value: Any, mask: Masking) -> str:
    # Masked before it is cut, so that no part of a secret stays at the end.
    text = visible(mask(str(value)))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"
