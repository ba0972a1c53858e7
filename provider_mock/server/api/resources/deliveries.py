"""Deliveries, their attempts, and sending them again."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from im_callback.provider_mock.delivery.ledger import STATES, DeliveryRecord, Query
from im_callback.provider_mock.server.api.operation import (
    Answer,
    Asked,
    Parameter,
    Reply,
    Resource,
    Schema,
    listed,
    optional,
    page,
    paged,
    record,
    ref,
)
from im_callback.provider_mock.server.api.shapes import COUNT, ID, LIMIT, NAME, TIME, cursor
from im_callback.provider_mock.server.errors import Invalid
from im_callback.provider_mock.server.exchange import Answered, Headers, Sent
from im_callback.provider_mock.server.models import OUTCOMES, AttemptView
from im_callback.provider_mock.server.service import Service

MOST_IDS = 1000
EVENT_TYPE: Schema = {
    "type": "string",
    "pattern": "^[a-z0-9][a-z0-9.-]{0,99}$",
    "x-wanted": "an event type of GET /api/v1/providers",
}
_FILTERS: dict[str, tuple[Schema, str]] = {
    "app": (NAME, "Of this app."),
    "state": ({"type": "string", "enum": list(STATES)}, "In this state."),
    "event_type": (EVENT_TYPE, "Of this event type."),
    "outcome": ({"type": "string", "enum": list(OUTCOMES)}, "Whose last attempt came to this."),
    "since": (TIME, "Accepted at this time or later, in UTC milliseconds."),
    "until": (TIME, "Accepted before this time, in UTC milliseconds."),
}
_DISTURBANCE: Schema = record(
    {
        "faults": listed({"type": "string"}),
        "seed": {"type": "integer"},
        "index": {**COUNT, "description": "Its place among those accepted together."},
        "size": {**COUNT, "description": "How many were accepted together."},
        "offset": {**COUNT, "description": "How many of the stream were accepted before."},
    }
)

_HEADERS = listed(record({"name": {"type": "string"}, "value": {"type": "string"}}))
_REQUEST: Schema = record(
    {
        "method": {"type": "string"},
        "url": {"type": "string"},
        "headers": {**_HEADERS, "description": "In their order; those of the app's that can be secrets are masked."},
        "body": optional({"type": "string"}, "As it was sent; null: it cannot be made again."),
        "body_encoding": {
            "type": "string",
            "enum": ["utf-8", "base64"],
            "description": "How `body` stands for the bytes; base64 where they are no UTF-8.",
        },
        "note": {"type": ["string", "null"]},
    },
    description="The exact request; null: nothing was sent, or an earlier release has recorded the attempt.",
)
_ANSWER: Schema = record(
    {
        "status": {"type": "integer"},
        "headers": _HEADERS,
        "body": {"type": "string", "description": "Its beginning."},
    },
    description="The answer, about its first 1,000 characters; null: none came.",
)

RESOURCE = Resource(
    "deliveries",
    "What was accepted, and what became of it.",
    {
        "Delivery": record(
            {
                "id": ID,
                "app": {"type": "string"},
                "event_type": {"type": "string"},
                "payloads": listed({"type": "object"}),
                "state": {"type": "string", "enum": list(STATES)},
                "due_at": {"type": "integer", "description": "When it is or was due, in UTC milliseconds."},
                "attempts": {**COUNT, "description": "How many were made."},
                "earlier": {**COUNT, "description": "Those of them before it was last released or redelivered."},
                "created_at": {"type": "integer", "description": "When it was accepted, in UTC milliseconds."},
                "idempotency_key": {"type": ["string", "null"]},
                "last_outcome": {"type": ["string", "null"], "enum": [*OUTCOMES, None]},
                "disturbance": {"anyOf": [{"type": "null"}, _DISTURBANCE]},
            }
        ),
        "Attempt": record(
            {
                "number": {**COUNT, "description": "Counted from 1."},
                "sent_at": {"type": "integer", "description": "UTC milliseconds."},
                "seconds": {"type": "number", "description": "Until the answer, or until it was given up."},
                "outcome": {"type": "string", "enum": list(OUTCOMES)},
                "status": optional({"type": "integer"}, "The receiver's HTTP status; null: it did not answer."),
                "rule": {"type": "string", "description": "The provider's rule that decided the outcome."},
                "detail": {"type": "string"},
                "request": {"anyOf": [{"type": "null"}, _REQUEST]},
                "answer": {"anyOf": [{"type": "null"}, _ANSWER]},
            }
        ),
        "DeliveryPage": page(ref("Delivery")),
        "AttemptPage": page(ref("Attempt")),
        "Redelivery": record(
            {},
            {
                "ids": listed(ID, minItems=1, maxItems=MOST_IDS, description="These deliveries."),
                "filter": record(
                    {},
                    {name: {**schema, "description": text} for name, (schema, text) in _FILTERS.items()},
                    description="All deliveries for which everything given here holds.",
                    minProperties=1,
                ),
            },
            minProperties=1,
            maxProperties=1,
            description="Either ids or a filter.",
        ),
        "Count": record({"count": COUNT}),
    },
)
_ID = Parameter("delivery_id", "path", ID, "The delivery's id.")


@RESOURCE.operation(
    "GET",
    "/api/v1/deliveries",
    "read",
    {200: Answer("A page of deliveries.", ref("DeliveryPage"))},
    *(Parameter(name, "query", schema, text) for name, (schema, text) in _FILTERS.items()),
    Parameter(
        "idempotency_key",
        "query",
        {"type": "string", "pattern": "^[!-~]+$", "maxLength": 200, "x-wanted": "the key of a call"},
        "Accepted by the call with this key; give the app beside it.",
    ),
    cursor("N"),
    LIMIT,
    conflicts="An idempotency key is looked for without an app.",
)
def list_deliveries(service: Service, asked: Asked) -> Reply:
    """List deliveries, the newest first."""
    limit = asked["limit"]
    after = None if asked["cursor"] is None else int(asked["cursor"])
    query = _query(asked.parameters)
    found = service.deliveries(query, cursor=after, limit=limit + 1)
    return paged(found, limit, lambda last: str(last.id), shown)


@RESOURCE.operation(
    "GET", "/api/v1/deliveries/{delivery_id}", "read", {200: Answer("The delivery.", ref("Delivery"))}, _ID
)
def show_delivery(service: Service, asked: Asked) -> Reply:
    """Show a delivery."""
    return Reply(200, shown(service.delivery(asked["delivery_id"])))


@RESOURCE.operation(
    "GET",
    "/api/v1/deliveries/{delivery_id}/attempts",
    "read",
    {200: Answer("A page of attempts.", ref("AttemptPage"))},
    _ID,
    cursor("N"),
    LIMIT,
)
def list_attempts(service: Service, asked: Asked) -> Reply:
    """List a delivery's attempts, the first one first, each with its exact request and the beginning of the answer."""
    limit = asked["limit"]
    found = service.exchanges(asked["delivery_id"], after=int(asked["cursor"] or 0), limit=limit + 1)
    return paged(found, limit, lambda last: str(last.record.number), _attempt)


def _concerned(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the app of the filter, or the first ids."""
    if "ids" in body:
        return {"id": ",".join(map(str, body["ids"][:20]))}
    return {"app": body["filter"]["app"]} if "app" in body["filter"] else {}


@RESOURCE.operation(
    "POST",
    "/api/v1/redeliveries",
    "send",
    {200: Answer("How many are due again.", ref("Count"))},
    body=ref("Redelivery"),
    concerns=lambda asked: _concerned(asked.body),
)
def redeliver(service: Service, asked: Asked) -> Reply:
    """Make deliveries due again, whatever became of them.

    Their retry policy starts afresh. Ids that do not exist are left out of the count.
    """
    ids = asked.body.get("ids")
    which = _query(asked.body["filter"]) if ids is None else [int(one) for one in ids]
    return Reply(200, {"count": service.redeliver(which)})


def shown(one: DeliveryRecord) -> dict[str, Any]:
    """Return a delivery as it is answered."""
    return {
        "id": one.id,
        "app": one.app,
        "event_type": one.event_type,
        "payloads": list(one.payloads),
        "state": one.state,
        "due_at": one.due_at,
        "attempts": one.attempts,
        "earlier": one.earlier,
        "created_at": one.created_at,
        "idempotency_key": one.idempotency_key,
        "last_outcome": one.last_outcome,
        "disturbance": None if one.plan is None else json.loads(one.plan),
    }


def _attempt(view: AttemptView) -> dict[str, Any]:
    one = view.record
    return {
        "number": one.number,
        "sent_at": one.sent_at,
        "seconds": one.seconds,
        "outcome": one.outcome,
        "status": one.status,
        "rule": one.rule,
        "detail": one.detail,
        "request": None if view.sent is None else _sent(view.sent),
        "answer": None if view.answered is None else _answered(view.answered),
    }


def _sent(one: Sent) -> dict[str, Any]:
    text, encoding = None, "utf-8"
    if one.body is not None:
        try:
            text = one.body.decode()
        except UnicodeDecodeError:
            text, encoding = b64encode(one.body).decode(), "base64"
    return {
        "method": one.method,
        "url": one.url,
        "headers": _headers(one.headers),
        "body": text,
        "body_encoding": encoding,
        "note": one.note,
    }


def _answered(one: Answered) -> dict[str, Any]:
    return {"status": one.status, "headers": _headers(one.headers), "body": one.body}


def _headers(headers: Headers) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers]


def _query(given: Mapping[str, Any]) -> Query:
    app, key = given.get("app"), given.get("idempotency_key")
    if key is not None and app is None:
        raise Invalid.of("idempotency_key", "is given without an app", "give app too: keys belong to apps")
    return Query(
        app=app,
        states=(given["state"],) if "state" in given else (),
        event_type=given.get("event_type"),
        last_outcome=given.get("outcome"),
        call=key,
        since=None if "since" not in given else int(given["since"]),
        until=None if "until" not in given else int(given["until"]),
    )
