"""Records out of texts: a JSON array, JSON lines, and the JSON that stands in a member, a field or a column."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from im_callback.conformance.text_files import text_of

MOST = 256 * 2**20
"""Bytes that are read at most, unpacked."""


def parse(body: bytes) -> Any:
    """Return the records in a JSON array or in JSON lines; ValueError if it is neither.

    One object alone is JSON lines with one line. Bytes that are no UTF-8, which a store may have kept from a
    broken delivery, are read as U+FFFD: they shall not hide all other records.
    """
    try:
        text = text_of(body)
    except ValueError:
        text = body.decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except ValueError:
        # Not splitlines: it also breaks at characters that may stand inside a JSON string.
        lines = [line for line in text.split("\n") if line.strip()]
        if len(lines) > 1 or not lines:
            return [json.loads(line) for line in lines]
        raise
    return [found] if isinstance(found, dict) else found


def value_of(text: str) -> Any:
    """Return the object or list that a text holds as JSON, or null; any other text as it is."""
    if text.lstrip()[:1] in ("{", "[") or text.strip() == "null":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def line_of(data: bytes) -> Any:
    """Return what a line holds as JSON, or its text where it is none."""
    # A byte order mark stands at the beginning of a file, also of one that was joined to another.
    text = said(data).strip().lstrip("\ufeff")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def said(data: bytes) -> str:
    """Return bytes of a store as text."""
    return data.decode("utf-8", "replace")


def opened(record: Any) -> Any:
    """Return the object that a record holds as JSON in its only field; any other record as it is."""
    if isinstance(record, Mapping) and len(record) == 1:
        (text,) = record.values()
        if isinstance(text, str) and isinstance(inner := value_of(text), dict):
            return inner
    return record
