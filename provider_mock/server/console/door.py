"""Who may see the console and change anything there: a session in a cookie stands for a token, by its name.

A page of somebody else can have a browser post to any address. What changes something is therefore answered only where
the browser says that a page of this very server asks, and the cookie is never sent along from another site.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from urllib.parse import urlsplit

from im_callback.provider_mock.server.api.problems import Refused
from im_callback.provider_mock.server.tokens import LOCAL, Scope, Token, Tokens
from itsdangerous import BadSignature, TimestampSigner
from werkzeug.http import parse_cookie

PREFIX = "/console"
LOGIN = f"{PREFIX}/login"
STATIC = f"{PREFIX}/static"
SESSION_SECONDS = 12 * 3600
LONGEST_LOGIN = 4096
"""Bytes of the form that carries a token: who sends it has not shown who they are yet."""


def is_console(path: str) -> bool:
    """Return whether a path is the console's."""
    return path == "/" or path.startswith(f"{PREFIX}/")


class Door:
    """Lets in those who bring a token that may read, and then those whose cookie says that they did; with no token everybody."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    @property
    def locked(self) -> bool:
        """Whether a token is wanted at all."""
        return bool(self._tokens)

    def open(self, given: str) -> Token | str:
        """Return the token that somebody gives, or why it does not let them in."""
        token = self._tokens.find(given)
        if token is None:
            return "This is not this server's token."
        if self._tokens.expired(token):
            return f"The token {token.name} has expired."
        return (
            token
            if "read" in token.scopes
            else f"The token {token.name} may not look at the console: it has not the scope read."
        )

    def session(self, token: Token) -> str:
        """Return what is kept in the cookie of somebody who was let in with a token."""
        return _signer(token).sign(token.name).decode()

    def visitor(self, headers: Mapping[str, str]) -> Token | None:
        """Return the token of somebody who was let in, as it is now, or None; headers are named as in `Access`."""
        if not self.locked:
            return LOCAL
        kept = parse_cookie(headers.get("COOKIE", "")).get(cookie(headers), "")
        token = self._tokens.named(kept.partition(".")[0])
        if token is None or "read" not in token.scopes:
            return None
        try:
            # A session ends with the token that it was opened by.
            _signer(token).unsign(kept, SESSION_SECONDS)
        except BadSignature:
            return None
        return token

    def refused(
        self, method: str, path: str, headers: Mapping[str, str], *, body: bool, scope: Scope | None
    ) -> Refused | None:
        """Return why a request for the console is not answered, before its body is read; those without may look."""
        if method in ("GET", "HEAD", "OPTIONS") and not body:
            return None
        if not _of_this_server(headers):
            return Refused.of(403, "Origin", "a page of another server may not ask", "use the console's own pages")
        if path == LOGIN:
            length = headers.get("CONTENT_LENGTH", "")
            if length.isdecimal() and int(length) <= LONGEST_LOGIN:
                return None
            return Refused.of(413, "", "the form is too long", "give the token alone")
        token = self.visitor(headers)
        if token is None:
            return Refused.of(401, "", "the session is over", f"log in at {LOGIN}")
        if scope is not None and scope not in token.scopes:
            return Refused.of(
                403, "", f"the token {token.name} has not the scope {scope}", "log in with one that has it"
            )
        return None


def _signer(token: Token) -> TimestampSigner:
    return TimestampSigner(token.digest, salt=PREFIX, digest_method=hashlib.sha256)


def cookie(headers: Mapping[str, str]) -> str:
    """Return what the cookie is called: browsers send those of all servers of a host to each of them."""
    port = headers.get("HOST", "").rpartition(":")[2]
    return f"provider-mock-{port if port.isdecimal() else 'session'}"


def _of_this_server(headers: Mapping[str, str]) -> bool:
    """Return whether the browser says that a page of this server asks."""
    if (site := headers.get("SEC_FETCH_SITE")) is not None:
        return site == "same-origin"
    # Browsers leave it out where a server is reached by plain HTTP and is not this machine.
    return urlsplit(headers.get("ORIGIN", "")).netloc.lower() == headers.get("HOST", "").lower() != ""
