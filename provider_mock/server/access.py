"""Who may ask for what: a token with the scope that the operation declares; without tokens this machine alone."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from im_callback.provider_mock.server import audit
from im_callback.provider_mock.server.api import DOCUMENT, PAGE
from im_callback.provider_mock.server.api.problems import Refused, problem, too_large
from im_callback.provider_mock.server.audit import NOBODY, Entry
from im_callback.provider_mock.server.console.door import Door, is_console
from im_callback.provider_mock.server.front import LONGEST_PATH, MOST_BYTES, Refusal, Refusals
from im_callback.provider_mock.server.server_apis import owner
from im_callback.provider_mock.server.tokens import LOCAL, Scope, Token, Tokens
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map

OPEN = frozenset({"/healthz", "/readyz", DOCUMENT})
"""Paths that are answered without a token, as are those of the page: a browser has none, and they hold no secrets."""
OURS = ("/api/", "/metrics", "/console")
LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""


class Access:
    """Decides about requests, by method, path and headers (names in upper case with underscores), before a body is read.

    `routes` are the application's own, and `needs` says for each of its endpoints which scope is wanted (None: none).
    """

    def __init__(self, tokens: Tokens, routes: Map, needs: Mapping[str, Scope | None]) -> None:
        self.tokens = tokens
        self.door = Door(tokens)
        self._routes, self._needs = routes, needs

    def refused(self, method: str, path: str, headers: Mapping[str, str], *, body: bool) -> Refused | None:
        """Return why a request is not answered, or None; `body` says whether one follows."""
        if not self.tokens and (found := _foreign(headers)) is not None:
            return found
        if is_console(path):
            return self.door.refused(method, path, headers, body=body, scope=self._scope(method, path))
        # An SDK has no token of ours: its requests carry their provider's signature.
        if not self.tokens or of_provider(path):
            return None
        if method in LOOKS and not body and _open(path):
            return None
        token = self._bearer(headers)
        if token is None:
            return _unknown()
        if self.tokens.expired(token):
            return _expired(token)
        scope = self._scope(method, path)
        return None if scope is None or scope in token.scopes else _lacking(token, scope)

    def entry(self, method: str, path: str, headers: Mapping[str, str]) -> Entry:
        """Return what is known of a request for the audit."""
        endpoint, values = self._route(method, path)
        if is_console(path):
            token = self.door.visitor(headers)
        elif of_provider(path):
            token = None
        else:
            token = self._bearer(headers) if self.tokens else LOCAL
        return Entry(
            method not in LOOKS and self._needs.get(endpoint) != "read",
            NOBODY if token is None else token.name,
            endpoint.removeprefix("api.") or NOBODY,
            audit.concerned(values),
        )

    def tell(self, entry: Entry, method: str, status: int, remote: str, made: str = NOBODY) -> None:
        """Write the line of the audit if a request was to change something; nothing in it is a token."""
        if entry.changes:
            entry.concerned = {
                name: self.shown(value) if isinstance(value, str) else value for name, value in entry.concerned.items()
            }
            entry.operation = self.shown(entry.operation)
            audit.tell(entry, self.shown(method), status, remote, self.shown(made))

    def shown(self, text: str) -> str:
        """Return what a client has sent, a path above all, as it stands in a log: not too long, and without tokens."""
        return self.tokens.masked(text, LONGEST_PATH)

    def _scope(self, method: str, path: str) -> Scope | None:
        """Return what a token has to allow; None where nothing is done, as for a path that there is not."""
        endpoint, _ = self._route(method, path)
        if not endpoint or method == "OPTIONS":
            return None
        return self._needs.get(endpoint, "manage")

    def _route(self, method: str, path: str) -> tuple[str, Mapping[str, Any]]:
        """Return the endpoint, and what its path holds; an empty one where there is none."""
        try:
            return self._routes.bind("localhost").match(path, method)
        except HTTPException:
            return "", {}

    def _bearer(self, headers: Mapping[str, str]) -> Token | None:
        scheme, _, given = headers.get("AUTHORIZATION", "").partition(" ")
        return self.tokens.find(given.strip()) if scheme.lower() == "bearer" else None


def front(access: Access) -> Refusals:
    """Return what the server asks before it reads a body, and how it refuses one."""

    def refuse(method: str, path: str, headers: Mapping[str, str], *, body: bool, remote: str) -> Refusal | None:
        # As a request's path is decoded where it is answered.
        path = path.encode("latin-1", "replace").decode("utf-8", "replace")
        found = access.refused(method, path, headers, body=body)
        if found is None:
            return None
        if found.status in (401, 403):
            access.tell(access.entry(method, path, headers), method, found.status, remote)
        return refusal(found, path)

    full = Refused(503, "too much is being sent at once; try again", headers={"Retry-After": "2"})
    return Refusals(refuse, refusal(too_large(MOST_BYTES), ""), refusal(full, ""), of_provider, access.shown)


def is_loopback(host: str) -> bool:
    """Return whether a name or address, without port, is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def of_provider(path: str) -> bool:
    """Return whether a path belongs to a provider's server API, and is none of our own."""
    return not (path.startswith(OURS) or _open(path)) and owner(path) is not None


def refusal(refused: Refused, path: str) -> Refusal:
    """Return the answer to a request that is refused: a problem for programs, a sentence for who reads the console."""
    status, headers, body = problem(refused)
    if is_console(path):
        headers = [(name, value) for name, value in headers if name != "Content-Type"]
        headers.append(("Content-Type", "text/plain; charset=utf-8"))
        body = f"{refused.detail}\n".encode()
    return Refusal(status, headers, body)


def _open(path: str) -> bool:
    return path in OPEN or path == PAGE or path.startswith(f"{PAGE}/")


def _unknown() -> Refused:
    fix = "send the header Authorization: Bearer TOKEN"
    refused = Refused.of(401, "Authorization", "the token is missing or is not this server's", fix)
    refused.headers["WWW-Authenticate"] = "Bearer"
    return refused


def _expired(token: Token) -> Refused:
    assert token.expires is not None
    fact = f"the token {token.name} has expired, at {token.expires.isoformat()}"
    refused = Refused.of(401, "Authorization", fact, "ask for a new one")
    refused.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    return refused


def _lacking(token: Token, scope: Scope) -> Refused:
    fact = f"the token {token.name} has not the scope {scope}"
    refused = Refused.of(403, "Authorization", fact, "use a token that has it, or add it in the configuration file")
    refused.headers["WWW-Authenticate"] = f'Bearer error="insufficient_scope", scope="{scope}"'
    return refused


def _foreign(headers: Mapping[str, str]) -> Refused | None:
    """Return the refusal of what a web page of somebody else may have made a browser send.

    Such a page can point a name of its own at this machine (then Host is that name), and it can
    post to any address (then Origin is not this server's).
    """
    host = headers.get("HOST", "")
    if not is_loopback(_name(f"//{host}")):
        fix = "use 127.0.0.1 or localhost, or start the server with a token"
        return Refused.of(403, "Host", f"{host[:80]!r} is not a name of this machine", fix)
    origin = headers.get("ORIGIN")
    if origin is not None and origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower()):
        return Refused.of(403, "Origin", "a web page of another server may not ask", "ask from a program instead")
    return None


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
