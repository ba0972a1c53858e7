"""Puts the HTTP application together: the API, health, metrics, and who may ask."""

from __future__ import annotations

import hmac
import json
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, Response, request

from provider_mock.server.api import DOCUMENT, PAGE, register
from provider_mock.server.api.problems import Refused, answer
from provider_mock.server.service import Service

MOST_BYTES = 32 * 1024 * 1024
"""Of a request's body."""
OPEN = frozenset({"/healthz", "/readyz", DOCUMENT})
"""Paths that are answered without a token, as are those of the page: a browser has none, and they hold no secrets."""


def create_app(service: Service, token: str | None = None) -> Flask:
    """Return the application. With a token every request needs it; without one only this machine's own are answered.

    `/healthz` says that the process is alive, `/readyz` whether it accepts and delivers, `/metrics`
    is for Prometheus; everything else is the API's.
    """
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES

    @app.before_request
    def check() -> Response | None:
        refused = _foreign() if token is None else _unproven(token)
        return None if refused is None else answer(refused)

    @app.get("/healthz")
    def healthz() -> Response:
        return Response("alive\n", content_type="text/plain; charset=utf-8")

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
    return app


def is_loopback(host: str) -> bool:
    """Return whether a name or address, without port, is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _unproven(token: str) -> Refused | None:
    """Return the refusal of a request that does not carry the token."""
    if request.path in OPEN or request.path == PAGE or request.path.startswith(f"{PAGE}/"):
        return None
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
        return None
    fix = "send the header Authorization: Bearer TOKEN"
    refused = Refused.of(401, "Authorization", "the token is missing or is not this server's", fix)
    refused.headers["WWW-Authenticate"] = "Bearer"
    return refused


def _foreign() -> Refused | None:
    """Return the refusal of what a web page of somebody else may have made a browser send.

    Such a page can point a name of its own at this machine (then Host is that name), and it can
    post to any address (then Origin is not this server's).
    """
    host = request.headers.get("Host", "")
    if not is_loopback(_name(f"//{host}")):
        fix = "use 127.0.0.1 or localhost, or start the server with a token"
        return Refused.of(403, "Host", f"{host[:80]!r} is not a name of this machine", fix)
    origin = request.headers.get("Origin")
    if origin is not None and origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower()):
        return Refused.of(403, "Origin", "a web page of another server may not ask", "ask from a program instead")
    return None


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
