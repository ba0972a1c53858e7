"""Who may see the console and change anything there: a session in a cookie stands for the token.

A page of somebody else can have a browser post to any address. What changes something is therefore answered only where
the browser says that a page of this very server asks, and the cookie is never sent along from another site.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from im_callback.provider_mock.server.api.problems import Refused
from itsdangerous import BadSignature, TimestampSigner
from werkzeug.http import parse_cookie

PREFIX = "/console"
LOGIN = f"{PREFIX}/login"
STATIC = f"{PREFIX}/static"
SESSION_SECONDS = 12 * 3600
LONGEST_LOGIN = 4096
"""Bytes of the form that carries a token: who sends it has not shown who they are yet."""
_IN = "in"


def is_console(path: str) -> bool:
    """Return whether a path is the console's."""
    return path == "/" or path.startswith(f"{PREFIX}/")


class Door:
    """Lets in those who bring the token, and then those whose cookie says that they did; with no token everybody."""

    def __init__(self, token: str | None) -> None:
        self._token = token
        # A session ends with the token that it was opened by.
        self._signer = None if token is None else TimestampSigner(token, salt=PREFIX, digest_method=hashlib.sha256)

    @property
    def locked(self) -> bool:
        """Whether a token is wanted at all."""
        return self._token is not None

    def opens(self, token: str) -> bool:
        """Return whether a token is the right one."""
        return self._token is not None and hmac.compare_digest(token.encode(), self._token.encode())

    def session(self) -> str:
        """Return what is kept in the cookie of somebody who is let in."""
        assert self._signer is not None
        return self._signer.sign(_IN).decode()

    def known(self, headers: Mapping[str, str]) -> bool:
        """Return whether a request is of somebody who was let in; headers are named as in `refusing`."""
        if self._signer is None:
            return True
        try:
            self._signer.unsign(parse_cookie(headers.get("COOKIE", "")).get(cookie(headers), ""), SESSION_SECONDS)
        except BadSignature:
            return False
        return True

    def refused(self, method: str, path: str, headers: Mapping[str, str], *, body: bool) -> Refused | None:
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
        if not self.known(headers):
            return Refused.of(401, "Cookie", "the session is over", f"log in at {LOGIN}")
        return None


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
