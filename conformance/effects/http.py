"""Effects from a URL that answers a JSON array, or JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import requests
from im_callback.conformance.effects import EffectsError, SourceOptions
from im_callback.conformance.text_files import text_of

SCHEMES = ("http", "https")
SECONDS = 10.0
MOST = 256 * 2**20
"""Bytes that are read at most, unpacked."""


def open_source(spec: str, options: SourceOptions) -> Callable[[], Any]:
    """Return a function that GETs the URL and returns what it lists."""
    session = requests.Session()
    session.trust_env = False
    session.headers["Connection"] = "close"
    session.headers.update(dict(options.headers))
    if options.ca_file is not None:
        session.verify = str(options.ca_file)

    def read() -> Any:
        try:
            with session.get(spec, timeout=SECONDS, allow_redirects=False, stream=True) as answer:
                if answer.status_code != 200:
                    raise EffectsError(
                        f"{spec} answers with status {answer.status_code}", "Is its test mode switched on?"
                    )
                content = _content(answer, spec)
        except (requests.RequestException, OSError) as error:
            raise EffectsError(f"{spec} does not answer ({_cause(error)})", "Is --receiver-effects right?") from None
        finally:
            # Kept, it would be all that a server of one thread has; and one that the server closes is no answer.
            session.close()
        try:
            return parse(content)
        except (ValueError, RecursionError) as error:
            encoding = answer.headers.get("Content-Encoding", "")
            said = f"{error}; its Content-Encoding is {encoding!r}" if encoding else str(error)
            raise EffectsError(f"{spec} answers no JSON ({said})", "Answer a JSON array or JSON lines") from None

    return read


def _content(answer: requests.Response, spec: str) -> bytes:
    """Return the body, unpacked; a few compressed bytes can be made to stand for more than fits into memory."""
    parts: list[bytes] = []
    size = 0
    for part in answer.iter_content(2**16):
        parts.append(part)
        size += len(part)
        if size > MOST:
            raise EffectsError(f"{spec} answers with more than {MOST} bytes", "Let it list this run's records alone")
    return b"".join(parts)


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


def _cause(error: Exception) -> str:
    return str(error.args[0].reason if error.args and hasattr(error.args[0], "reason") else error)[:160]
