"""Puts the HTTP application together: the API, health, metrics, and who may ask."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, Response, request
from im_callback.provider_mock.server import console
from im_callback.provider_mock.server.api import DOCUMENT, PAGE, register
from im_callback.provider_mock.server.api.problems import Refused, answer, problem, too_large
from im_callback.provider_mock.server.api.server_apis import called
from im_callback.provider_mock.server.console.door import Door, is_console
from im_callback.provider_mock.server.front import MOST_BYTES, Refusal, Refusals
from im_callback.provider_mock.server.server_apis import owner
from im_callback.provider_mock.server.service import Service
from werkzeug.datastructures import Headers

OPEN = frozenset({"/healthz", "/readyz", DOCUMENT})
"""Paths that are answered without a token, as are those of the page: a browser has none, and they hold no secrets."""

OURS = ("/api/", "/metrics", "/console")


def create_app(service: Service, token: str | None = None) -> Flask:
    """Return the application. With a token every request needs it; without one only this machine's own are answered.

    `/healthz` says that the process is alive, `/readyz` whether it accepts and delivers, `/metrics`
    is for Prometheus, `/` and `/console/` are for people; the rest is the API's, and what the providers' SDKs call.
    """
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES

    @app.before_request
    def check() -> Response | None:
        refused = refusing(token)(request.method, request.path, _upper(request.headers), body=False)
        return None if refused is None else answer(refused)

    @app.before_request
    def played() -> Response | None:
        return called(service) if _of_provider(request.path) else None

    @app.after_request
    def guard(response: Response) -> Response:
        # Nobody may show our pages inside of theirs, or have them taken for something else.
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("X-Frame-Options", "DENY")
        response.headers.setdefault("Content-Security-Policy", "frame-ancestors 'none'")
        return response

    @app.get("/healthz")
    def healthz() -> Response:
        ended = service.ended()
        text = f"{ended}\n" if ended else "alive\n"
        return Response(text, 503 if ended else 200, content_type="text/plain; charset=utf-8")

    @app.get("/readyz")
    def readyz() -> Response:
        found = service.readiness()
        body = json.dumps({"ready": found.ready, "reasons": list(found.reasons)})
        return Response(body, 200 if found.ready else 503, content_type="application/json")

    @app.get("/metrics")
    def metrics() -> Response:
        text, content_type = service.metrics.render()
        return Response(text, content_type=content_type)

    register(app, service, token_needed=token is not None)
    console.register(app, service, Door(token))
    return app


def is_loopback(host: str) -> bool:
    """Return whether a name or address, without port, is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def refusing(token: str | None) -> Callable[..., Refused | None]:
    """Return what decides who may ask: by method, path, headers (names in upper case with underscores), and `body`.

    `body` says whether one follows: those who need no token have none to send.
    """
    door = Door(token)

    def refused(method: str, path: str, headers: Mapping[str, str], *, body: bool) -> Refused | None:
        if token is None and (found := _foreign(headers)) is not None:
            return found
        if is_console(path):
            return door.refused(method, path, headers, body=body)
        if token is None:
            return None
        if _of_provider(path):
            # An SDK has no token of ours: its requests carry their provider's signature.
            return None
        asks = method in ("GET", "HEAD", "OPTIONS") and not body
        return None if asks and _open(path) else _unproven(token, headers)

    return refused


def front_of(token: str | None) -> Refusals:
    """Return what the server asks before it reads a body, and how it refuses one."""
    refused = refusing(token)

    def refuse(method: str, path: str, headers: Mapping[str, str], *, body: bool) -> Refusal | None:
        found = refused(method, path, headers, body=body)
        return None if found is None else _before_body(found)

    full = Refused(503, "too much is being sent at once; try again", headers={"Retry-After": "2"})
    return Refusals(refuse, _before_body(too_large(MOST_BYTES)), _before_body(full), _of_provider)


def _before_body(refused: Refused) -> Refusal:
    status, headers, body = problem(refused)
    return Refusal(status, headers, body)


def _upper(headers: Headers) -> dict[str, str]:
    return {name.upper().replace("-", "_"): value for name, value in headers.items()}


def _of_provider(path: str) -> bool:
    """Return whether a path belongs to a provider's server API, and is none of our own."""
    return not (path.startswith(OURS) or _open(path)) and owner(path) is not None


def _open(path: str) -> bool:
    return path in OPEN or path == PAGE or path.startswith(f"{PAGE}/")


def _unproven(token: str, headers: Mapping[str, str]) -> Refused | None:
    """Return the refusal of a request that does not carry the token."""
    scheme, _, given = headers.get("AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
        return None
    fix = "send the header Authorization: Bearer TOKEN"
    refused = Refused.of(401, "Authorization", "the token is missing or is not this server's", fix)
    refused.headers["WWW-Authenticate"] = "Bearer"
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
