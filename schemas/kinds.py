"""What the dialect says about kinds of values (`x-kind`)."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

from im_callback.schemas import jsontext

__all__ = ["kinds", "unique_kinds"]


@lru_cache(maxsize=1)
def kinds() -> dict[str, str]:
    """Return what each kind is, in the dialect's order."""
    return {one["const"]: one["description"] for one in _entries() if "const" in one}


@lru_cache(maxsize=1)
def unique_kinds() -> frozenset[str]:
    """Return the kinds of which every event has values of its own, such as the ids of messages."""
    return frozenset(one["const"] for one in _entries() if one.get("x-unique"))


def _entries() -> list[dict[str, str]]:
    text = files("im_callback.schemas").joinpath("dialect.schema.json").read_text(encoding="utf-8")
    entries: list[dict[str, str]] = jsontext.parse(text)["properties"]["x-kind"]["anyOf"]
    return entries
