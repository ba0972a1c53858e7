"""Puts the HTTP application together: the API, health, metrics, and who may ask."""

from __future__ import annotations

import json

from flask import Flask, Response, request
from im_callback.provider_mock.server import api, audit, console
from im_callback.provider_mock.server.access import LOOKS, Access, front, of_provider, refusal
from im_callback.provider_mock.server.api.server_apis import called
from im_callback.provider_mock.server.front import MOST_BYTES, Refusals
from im_callback.provider_mock.server.service import Service
from im_callback.provider_mock.server.tokens import Tokens
from werkzeug.datastructures import Headers

_ACCESS = "provider_mock.access"


def create_app(service: Service, tokens: Tokens | None = None) -> Flask:
    """Return the application. With tokens every request needs one; without them only this machine's own are answered.

    `/healthz` says that the process is alive, `/readyz` whether it accepts and delivers, `/metrics`
    is for Prometheus, `/` and `/console/` are for people; the rest is the API's, and what the providers' SDKs call.
    """
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    access = Access(tokens or Tokens(), app.url_map, api.needs() | console.needs())
    app.extensions[_ACCESS] = access

    @app.before_request
    def check() -> Response | None:
        headers = _upper(request.headers)
        if request.method not in LOOKS:
            audit.begin(access.entry(request.method, request.path, headers))
        refused = access.refused(request.method, request.path, headers, body=False)
        return None if refused is None else Response(*_in_order(*refusal(refused, request.path).to_response()))

    @app.before_request
    def played() -> Response | None:
        return called(service) if of_provider(request.path) else None

    @app.after_request
    def told(response: Response) -> Response:
        made = response.headers.get("Location") if response.status_code in (201, 202) else None
        access.tell(
            audit.current(), request.method, response.status_code, request.remote_addr or "", made or audit.NOBODY
        )
        return response

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

    api.register(app, service, token_needed=bool(access.tokens))
    console.register(app, service, access.door)
    return app


def front_of(app: Flask) -> Refusals:
    """Return what the server of this application asks before it reads a body."""
    found: Access = app.extensions[_ACCESS]
    return front(found)


def _in_order(status: str, headers: list[tuple[str, str]], body: bytes) -> tuple[bytes, str, list[tuple[str, str]]]:
    return body, status, headers


def _upper(headers: Headers) -> dict[str, str]:
    return {name.upper().replace("-", "_"): value for name, value in headers.items()}
