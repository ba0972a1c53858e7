"""Records side by side as lines: a field a line and a record a column, what differs marked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from unicodedata import east_asian_width

from im_callback.schemas import MISSING

MOST, COLUMNS = 24, 3
"""Fields and records that are shown."""
NARROWEST = 14
"""Columns below which a value says too little: the records then stand one under the other."""
DIFFERS, ALIKE = "* ", "  "


def side_by_side(records: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    """Return the lines for records as the JSON result has them: `what` each is, and the `record`."""
    shown = records[:COLUMNS]
    if not shown:
        return []
    fields = [_fields(one["record"]) for one in shown]
    names = list(dict.fromkeys(name for one in fields for name in one))
    # What differs says most.
    names.sort(key=lambda name: not _differs(fields, name))
    left = len(names) - MOST
    names = names[:MOST]
    first = min(max((_cells(name) for name in names), default=0), width // 3)
    column = (width - first - 2) // len(shown) - 2
    if column < NARROWEST and len(shown) > 1:
        lines = [
            line
            for one, found in zip(shown, fields, strict=True)
            for line in [
                f"{one['what']}:",
                *(
                    f"{_mark(fields, name)}{_cut(f'{name}: {found[name]}', width - 2)}"
                    for name in names
                    if name in found
                ),
            ]
        ]
    else:
        heads = ["", *(one["what"] for one in shown)]
        rows = [
            ("  ", heads),
            *((_mark(fields, name), [name, *(one.get(name, "") for one in fields)]) for name in names),
        ]
        lines = [_row(mark, cells, first, column) for mark, cells in rows]
    more = len(records) - len(shown)
    lines += [f"  … {left} fields more"] if left > 0 else []
    return [*lines, *([f"  … {more} records more"] if more > 0 else [])]


def _row(mark: str, cells: Sequence[str], first: int, column: int) -> str:
    name, *others = cells
    return (mark + "  ".join([_filled(name, first), *(_filled(one, column) for one in others)])).rstrip()


def _fields(record: Any, before: str = "") -> dict[str, str]:
    """Return the fields of a record as text, those of objects in it by their path."""
    if not isinstance(record, Mapping):
        return {before or "(the record)": _text(record)}
    found: dict[str, str] = {}
    for name, value in record.items():
        path = f"{before}.{name}" if before else str(name)
        found |= _fields(value, path) if isinstance(value, Mapping) and value else {path: _text(value)}
    return found


def _differs(fields: Sequence[Mapping[str, str]], name: str) -> bool:
    return len({one.get(name, MISSING) for one in fields}) > 1


def _mark(fields: Sequence[Mapping[str, str]], name: str) -> str:
    return DIFFERS if _differs(fields, name) else ALIKE


def _text(value: Any) -> str:
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(said.split())


def _cells(text: str) -> int:
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def _cut(text: str, width: int) -> str:
    if _cells(text) <= width:
        return text
    kept, used = "", 0
    for character in text:
        used += _cells(character)
        if used > width - 1:
            break
        kept += character
    return f"{kept}…"


def _filled(text: str, width: int) -> str:
    shown = _cut(text, width)
    return shown + " " * (width - _cells(shown))
