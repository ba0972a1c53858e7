"""Where a signature's parts travel: in the query, in headers or in the body."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote_plus, urlencode

from im_callback.provider_mock.contract.values import Request

Place = Literal["header", "query", "body"]
Role = Literal["key", "time", "nonce", "id", "digest", "signature", "code", "context"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a request: its name, where it travels and what it is for.

    Roles: `time`, `nonce`, `id` (of the delivery), `digest` (of the body) and `signature` take part in the
    signature; `key` names the application, `code` the event type; `context` says more, and one of its
    `known` values does no harm to a signature. A time is in milliseconds or, by `unit`, in seconds.
    In the body a parameter is a field of the form, or at the top of the JSON object. With a `separator` its value
    may be several in a row, of which one that fits is enough.
    """

    name: str
    place: Place
    role: Role
    unit: Literal["ms", "s"] = "ms"
    known: tuple[str, ...] = ()
    optional: bool = False
    separator: str = ""

    def each(self, value: str, change: Callable[[str], str]) -> str:
        """Return the value with every one changed that it holds."""
        return self.separator.join(map(change, value.split(self.separator))) if self.separator else change(value)

    def values(self, request: Request) -> list[str]:
        """Return every value that the request gives this parameter."""
        if self.place == "header":
            return [v for k, v in request.headers if k.lower() == self.name.lower()]
        return [v for k, v in self._pairs(request) if k == self.name]

    def given(self, request: Request, *values: str) -> Request:
        """Return the request with exactly these values of the parameter (none: it is left out)."""
        if self.place == "header":
            spelled = next((k for k, _ in request.headers if k.lower() == self.name.lower()), self.name)
            kept = tuple(h for h in request.headers if h[0].lower() != self.name.lower())
            return request._replace(headers=kept + tuple((spelled, v) for v in values))
        pairs = [p for p in self._pairs(request) if p[0] != self.name] + [(self.name, v) for v in values]
        if self.place == "query":
            return request._replace(url=with_query(request.url, pairs))
        if not _is_object(request.body):
            return request._replace(body=urlencode(pairs).encode())
        return request._replace(body=_object_text(request.body, self.name, values))

    def at(self, millis: int) -> str:
        """Return a moment as this parameter writes it."""
        return str(millis // 1000 if self.unit == "s" else millis)

    def _pairs(self, request: Request) -> list[tuple[str, str]]:
        if self.place == "query":
            return query_pairs(request.url)
        if not _is_object(request.body):
            return parse_qsl(request.body.decode("utf-8", "surrogateescape"), keep_blank_values=True)
        try:
            members = json.loads(request.body, object_pairs_hook=list)
        except (ValueError, RecursionError):
            return []
        return [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in members]


def query_pairs(url: str) -> list[tuple[str, str]]:
    """Return the decoded name-value pairs of a URL's query, in order."""
    query = url.partition("#")[0].partition("?")[2]
    pairs = (part.partition("=") for part in query.split("&") if part)
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in pairs]


def with_query(url: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Return the URL with its query replaced by the pairs."""
    base = url.partition("#")[0].partition("?")[0]
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='.:')}" for name, value in pairs)
    return f"{base}?{query}" if query else base


def _is_object(body: bytes) -> bool:
    return body.lstrip()[:1] == b"{"


def _object_text(body: bytes, name: str, values: Sequence[str]) -> bytes:
    """Return a JSON object with these values of a member, doubled where there are several; numbers stay numbers."""
    document = json.loads(body)
    number = isinstance(document.pop(name, None), (int, float))
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    members = [f"{json.dumps(name)}:{v if number and v.isdecimal() else json.dumps(v)}" for v in values]
    return ("{" + ",".join(filter(None, (text[1:-1], *members))) + "}").encode()
