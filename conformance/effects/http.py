"""Effects from a URL that answers a JSON array, or JSON lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests
from im_callback.conformance.effects.source import SECONDS, EffectsError, SourceOptions
from im_callback.conformance.effects.texts import MOST, parse

SCHEMES = ("http", "https")


def open_source(spec: str, options: SourceOptions) -> Callable[[], Any]:
    """Return a function that GETs the URL and returns what it lists."""
    spec = options.filled(spec)
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


def _cause(error: Exception) -> str:
    return str(error.args[0].reason if error.args and hasattr(error.args[0], "reason") else error)[:160]
