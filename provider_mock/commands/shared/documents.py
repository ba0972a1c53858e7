"""Reads request bodies out of a file: one JSON text, JSON lines, a form, or a sample copied from a vendor's page."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from im_callback.schemas import jsontext

_STRING_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*')


class Unreadable(ValueError):
    """The text holds no JSON."""

    def __init__(self, problem: Exception) -> None:
        super().__init__(f"this is no JSON: {problem}; give a request body as it was received")


def read_documents(data: bytes, *, forms: bool = False) -> tuple[list[Any], list[str]]:
    """Return the JSON values in the data, and notes on what was passed over; raises `Unreadable`.

    `//` comments, which several vendors' samples carry, are not JSON: they are left out, and a note says so.
    With `forms` it may also be the fields of a form.
    """
    try:
        text = data.decode("utf-8-sig")
    except ValueError as error:
        raise Unreadable(error) from None
    if not text.strip():
        raise Unreadable(ValueError("it is empty"))
    try:
        return [jsontext.parse(text)], []
    except ValueError as error:
        problem = error
    bare = _STRING_OR_COMMENT.sub(lambda found: "" if found[0].startswith("//") else found[0], text)
    notes = ["note: // comments are not JSON; they were left out"] if bare != text else []
    try:
        return [jsontext.parse(bare)], notes
    except ValueError as error:
        problem = error if notes else problem
    # Not `splitlines`: JSON strings may hold U+2028 and its like.
    lines = [line for line in bare.split("\n") if line.strip()]
    try:
        if len(lines) > 1:
            return [jsontext.parse(line) for line in lines], notes
    except ValueError as error:
        problem = error
    if forms and text.lstrip()[:1] not in ("{", "["):
        with suppress(ValueError):
            return [dict(parse_qsl(text.strip(), keep_blank_values=True, strict_parsing=True))], notes
    raise Unreadable(problem)
