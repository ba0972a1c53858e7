"""Effects from a URL that answers a JSON array, or JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import requests

from conformance.effects import SourceOptions
from conformance.run import EffectsError

SCHEMES = ("http", "https")
SECONDS = 10.0


def open_source(spec: str, options: SourceOptions) -> Callable[[], Any]:
    """Return a function that GETs the URL and returns what it lists."""
    session = requests.Session()
    session.trust_env = False
    session.headers.update(dict(options.headers))
    if options.ca_file is not None:
        session.verify = str(options.ca_file)

    def read() -> Any:
        try:
            answer = session.get(spec, timeout=SECONDS, allow_redirects=False)
        except (requests.RequestException, OSError) as error:
            raise EffectsError(f"{spec} does not answer ({_cause(error)})", "Is --receiver-effects right?") from None
        if answer.status_code != 200:
            raise EffectsError(f"{spec} answers with status {answer.status_code}", "Is its test mode switched on?")
        try:
            return parse(answer.content)
        except (ValueError, RecursionError) as error:
            raise EffectsError(f"{spec} answers no JSON ({error})", "Answer a JSON array or JSON lines") from None

    return read


def parse(body: bytes) -> Any:
    """Return the records in a JSON array or in JSON lines; ValueError if it is neither.

    One object alone is JSON lines with one line.
    """
    text = body.decode("utf-8-sig")
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
