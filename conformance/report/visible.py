"""What came over the network as text that is safe to show: unpacked, shortened, and without control characters."""

from __future__ import annotations

import importlib
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from im_callback.conformance.report.masking import Masking
from im_callback.provider_mock.visible import visible

LONGEST = 1200
"""Characters of a body that are shown."""
MOST = 64 * 1024
"""Bytes that are unpacked of a compressed body, whatever it would grow to."""
# Comparing as its language does, GitHub's runner looks past characters that have no width of their own.
_UNSEEN = r"[^\w\x00-\x7f]*"
_COLONS = re.compile(rf"(?m)^([^\w\n\x21-\x7e]*):(?={_UNSEEN}:)")
_MARK = re.compile(rf"#(?={_UNSEEN}#{_UNSEEN}\w*{_UNSEEN}\[)")


def no_command(text: str) -> str:
    """Return the text with no line in it that a CI system takes for a command to itself.

    GitHub's runner obeys a line that begins with `::name::`, white space aside, and `##[name]` anywhere in it; others
    know `##vso[` and `##teamcity[`. The first character of such a mark becomes an escape.
    """
    return _MARK.sub(r"\\x23", _COLONS.sub(r"\1\\x3a", text))


def shown(value: Any, mask: Masking) -> Any:
    """Return a JSON value with every text in it masked and visible."""
    if isinstance(value, str):
        return visible(mask(value))
    if isinstance(value, Mapping):
        return {name: shown(one, mask) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(one, mask) for one in value]
    return value


def body_text(body: bytes, mask: Masking, headers: Iterable[tuple[str, str]] = ()) -> str:
    """Return a body as text, unpacked and shortened; bytes that are not UTF-8 are shown as escapes."""
    encodings = [value.strip().lower() for name, value in headers if name.lower() == "content-encoding"]
    packed = [one.strip() for value in encodings for one in value.split(",") if one.strip() not in ("", "identity")]
    note = ""
    if packed and body:
        content = body
        try:
            for encoding in reversed(packed):
                content = unpacked(content, encoding)
            note = f"({', '.join(packed)}, unpacked)\n"
        except ValueError as error:
            return visible(f"({len(body)} bytes, compressed: {error})")
    else:
        content = body
    # Masked before it is cut, so that no part of a secret stays at the end.
    text = visible(mask(content.decode("utf-8", "backslashreplace")))
    return note + (text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(body)} bytes)")


def unpacked(body: bytes, encoding: str) -> bytes:
    """Return the beginning of a compressed body; ValueError says why it cannot be unpacked."""
    opener = _OPENERS.get(encoding)
    if opener is None:
        raise ValueError(f"{encoding} cannot be unpacked here")
    try:
        return opener(body)
    except zlib.error as error:
        raise ValueError(f"this is no {encoding} ({error})") from None


def _gzip(body: bytes) -> bytes:
    return zlib.decompressobj(31).decompress(body, MOST)


def _deflate(body: bytes) -> bytes:
    try:
        return zlib.decompressobj(15).decompress(body, MOST)
    except zlib.error:
        # Many servers leave the header of zlib out.
        return zlib.decompressobj(-15).decompress(body, MOST)


def _brotli(body: bytes) -> bytes:
    try:
        brotli = importlib.import_module("brotli")
    except ImportError:
        raise ValueError("br cannot be unpacked here") from None
    try:
        opened: bytes = brotli.Decompressor().process(body, output_buffer_limit=MOST)
    except TypeError:
        raise ValueError("br can be unpacked here only whole") from None
    except brotli.error as error:
        raise ValueError(f"this is no br ({error})") from None
    return opened


_OPENERS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
}
