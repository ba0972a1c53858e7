"""A request as it goes over the wire: its first line, its headers in their order and case, nothing that was not asked for."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote, unquote, urlsplit

from im_callback.provider_mock.contract import Request, octets

USER_AGENT = "provider-mock"
MASK = "****"
"""Stands for a secret in a head that is shown."""
PORTS = {"http": 80, "https": 443}
Headers = tuple[tuple[str, str], ...]

_PATH = "%/:;=@!$&'()*+,~[]"
_UNSENDABLE = re.compile(r"[\x00-\x20\x7f]")
_BREAKING = re.compile(r"[\r\n\0]")


class HeaderInjection(ValueError):
    """A header's name or value would break out of its line."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the header {name!r} holds a line break or a NUL; leave these out")
        self.name = name


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads: what to connect to, and what of it stands in a request.

    `host` is what is looked up; `base` the URL without login and query, `path` its path; `start` the
    header lines that come first, `shown` the same with secrets masked; `login` is what a proxy is given.
    """

    scheme: str
    host: str
    port: int
    base: str
    path: str
    start: str = field(repr=False)
    shown: str
    login: str | None = field(default=None, repr=False)


@lru_cache(maxsize=512)
def target(url: str) -> Target:
    """Return where a URL without a query leads; ValueError if that is nowhere."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError("the address is no http:// or https:// one")
    port = parts.port or PORTS[parts.scheme]
    host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
    name = f"[{host}]" if ":" in host else host
    login = None
    if parts.username is not None:
        login = b64encode(octets(f"{unquote(parts.username)}:{unquote(parts.password or '')}")).decode()
    path = quote(octets(parts.path or "/"), safe=_PATH)
    authority = name if port == PORTS[parts.scheme] else f"{name}:{port}"
    start = shown = f"Host: {authority}\n"
    if login is not None:
        start, shown = f"{start}Authorization: Basic {login}\n", f"{start}Authorization: Basic {MASK}\n"
    return Target(parts.scheme, host, port, f"{parts.scheme}://{authority}{path}", path, start, shown, login)


def where(request: Request) -> tuple[Target, str]:
    """Return where a request leads, and its query with the question mark; ValueError if that is nowhere."""
    url, mark, query = request.url.partition("?")
    if "#" in request.url:
        url, mark, query = request.url.partition("#")[0].partition("?")
    if mark and _UNSENDABLE.search(query):
        query = _UNSENDABLE.sub(lambda found: f"%{ord(found[0]):02X}", query)
    return target(url), mark + query


def head(
    request: Request, place: tuple[Target, str], extra: Headers, framing: str, *, proxied: bool = False, via: str = ""
) -> tuple[str, str]:
    """Return a request's first line and headers: as they are sent, and with secrets masked and the address whole.

    `place` is where it leads. `extra` headers follow the request's own; their values are secrets.
    `framing` is the line that says where the body ends; `via` the header lines for a proxy. What is
    shown has no end of its last line. Raises `HeaderInjection`.
    """
    to, query = place
    headers = request.headers
    lines = "\n".join([f"{name}: {value}" if value else f"{name}:" for name, value in headers])
    if headers:
        lines += "\n"
    if lines.count("\n") != len(headers) or "\r" in lines or "\0" in lines:
        raise HeaderInjection(next(name for name, value in headers if _BREAKING.search(name + value)))
    added, shown = _added(extra) if extra else ("", "")
    agent = _agent(tuple([name for name, _ in headers]), extra)
    first = f"{request.method} {to.base}{query}" if proxied else f"{request.method} {to.path}{query}"
    sent = f"{first} HTTP/1.1\n{to.start}{via}{agent}{lines}{added}{framing}\n\n".replace("\n", "\r\n")
    return sent, f"{request.method} {to.base}{query} HTTP/1.1\n{to.shown}{agent}{lines}{shown}{framing}"


@lru_cache(maxsize=128)
def _added(extra: Headers) -> tuple[str, str]:
    for name, value in extra:
        if _BREAKING.search(name + value):
            raise HeaderInjection(name)
    sent = "".join(f"{name}: {value}\n" if value else f"{name}:\n" for name, value in extra)
    return sent, "".join(f"{name}: {MASK if value else ''}\n" for name, value in extra)


@lru_cache(maxsize=256)
def _agent(names: tuple[str, ...], extra: Headers) -> str:
    given = any(name.lower() == "user-agent" for name in (*names, *(name for name, _ in extra)))
    return "" if given else f"User-Agent: {USER_AGENT}\n"
