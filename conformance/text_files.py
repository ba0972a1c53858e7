"""Reads text files as people's editors write them."""

from __future__ import annotations

import codecs

BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def text_of(data: bytes) -> str:
    """Return the text of a file: UTF-8, or what a byte order mark says; ValueError if it is neither."""
    for mark, encoding in BOMS:
        if data.startswith(mark) and (len(data) > len(mark) or encoding == "utf-8"):
            return data.decode(encoding).removeprefix("\ufeff")
    return data.decode("utf-8")
