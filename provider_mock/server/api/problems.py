"""Errors as `application/problem+json` (RFC 9457), whoever finds them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, request
from im_callback.provider_mock.delivery.ledger import LedgerClosed, LedgerError, LedgerUnavailable
from im_callback.provider_mock.server.errors import Conflict, Invalid, NotFound, Objection, ServiceError, Unavailable
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER = 2
"""Seconds that a client is asked to wait while the server cannot do its work."""


class Refused(Exception):
    """A request that is answered with an error: what is wrong, and headers that belong to the status."""

    def __init__(
        self,
        status: int,
        detail: str,
        problems: Sequence[Objection] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.problems = tuple(problems)
        self.headers = dict(headers or {})

    @classmethod
    def of(cls, status: int, field: str, problem: str, fix: str) -> Refused:
        """Return the refusal for one problem."""
        one = Objection(field, problem, fix)
        return cls(status, str(one), [one])


def answer(refused: Refused) -> Response:
    """Return the response for a refusal; another part of the server that refuses something uses it too."""
    status, headers, body = problem(refused)
    return Response(body, status, headers)


def problem(refused: Refused) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return the same as status line, headers and body."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(refused.status).phrase,
        "status": refused.status,
        "detail": refused.detail,
        "errors": [{"field": one.field, "problem": one.problem, "fix": one.fix} for one in refused.problems],
    }
    status = f"{refused.status} {HTTPStatus(refused.status).phrase}"
    return status, [("Content-Type", PROBLEM_JSON), *refused.headers.items()], json.dumps(body).encode()


def too_large(most: int) -> Refused:
    """Return the refusal of a body that is longer than `most` bytes."""
    return Refused(413, f"the body is longer than {most} bytes; send fewer events at a time")


def register(app: Flask) -> None:
    """Let the application answer every error as a problem."""
    app.register_error_handler(Refused, answer)
    app.register_error_handler(HTTPException, lambda error: answer(_http(error)))
    app.register_error_handler(ServiceError, lambda error: answer(_service(error)))
    app.register_error_handler(LedgerError, lambda error: answer(_ledger(error)))
    app.register_error_handler(Exception, lambda error: answer(_unexpected(app, error)))


def _http(error: HTTPException) -> Refused:
    """Return the refusal for what the framework finds out."""
    status = error.code or 500
    path = request.path
    detail = error.description or HTTPStatus(status).phrase
    if status == 404:
        detail = f"there is nothing at {path}; the paths are listed in /openapi.json"
    if status == 405:
        allowed = ", ".join(sorted(set(getattr(error, "valid_methods", None) or ()) - {"HEAD", "OPTIONS"}))
        detail = f"{path} has no {request.method}; it has {allowed}"
    if isinstance(error, RequestEntityTooLarge) and request.max_content_length:
        return too_large(request.max_content_length)
    kept = {"Allow", "Retry-After", "WWW-Authenticate"}
    return Refused(status, detail, headers={k: v for k, v in error.get_headers(request.environ) if k in kept})


def _service(error: ServiceError) -> Refused:
    """Return the refusal for what the service finds: what keeps the document's rules and cannot be done is 409."""
    statuses: dict[type[ServiceError], int] = {NotFound: 404, Conflict: 409, Invalid: 409, Unavailable: 503}
    status = next(code for kind, code in statuses.items() if isinstance(error, kind))
    return Refused(status, str(error), error.problems, _wait() if status == 503 else None)


def _ledger(error: LedgerError) -> Refused:
    if isinstance(error, LedgerUnavailable | LedgerClosed):
        return Refused(503, str(error), headers=_wait())
    return Refused(503, f"{error.fact}; {error.hint}", headers=_wait())


def _unexpected(app: Flask, error: Exception) -> Refused:
    # The path as it was sent could hold anything.
    app.logger.error("%s %s failed", request.method, request.url_rule or "a provider's call", exc_info=error)
    return Refused(500, "the server failed at this request; its log says why")


def _wait() -> dict[str, Any]:
    return {"Retry-After": str(RETRY_AFTER)}
