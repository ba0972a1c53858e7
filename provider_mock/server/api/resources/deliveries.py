"""Deliveries, their attempts, and sending them again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from provider_mock.contract import Outcome
from provider_mock.delivery.engine import NOT_SENT
from provider_mock.delivery.ledger import STATES, AttemptRecord, DeliveryRecord, Query
from provider_mock.server.api.operation import (
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
from provider_mock.server.api.shapes import COUNT, ID, LIMIT, NAME, TIME, cursor
from provider_mock.server.service import Service

MOST_IDS = 1000
_OUTCOMES = [*(outcome.value for outcome in Outcome), NOT_SENT]
_EVENT_TYPE: Schema = {
    "type": "string",
    "pattern": "^[a-z0-9][a-z0-9.-]{0,99}$",
    "x-wanted": "an event type of GET /api/v1/providers",
}
_FILTERS: dict[str, tuple[Schema, str]] = {
    "app": (NAME, "Of this app."),
    "state": ({"type": "string", "enum": list(STATES)}, "In this state."),
    "event_type": (_EVENT_TYPE, "Of this event type."),
    "outcome": ({"type": "string", "enum": _OUTCOMES}, "Whose last attempt came to this."),
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
                "last_outcome": {"type": ["string", "null"], "enum": [*_OUTCOMES, None]},
                "disturbance": {"anyOf": [{"type": "null"}, _DISTURBANCE]},
            }
        ),
        "Attempt": record(
            {
                "number": {**COUNT, "description": "Counted from 1."},
                "sent_at": {"type": "integer", "description": "UTC milliseconds."},
                "seconds": {"type": "number", "description": "Until the answer, or until it was given up."},
                "outcome": {"type": "string", "enum": _OUTCOMES},
                "status": optional({"type": "integer"}, "The receiver's HTTP status; null: it did not answer."),
                "rule": {"type": "string", "description": "The provider's rule that decided the outcome."},
                "detail": {"type": "string"},
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


@RESOURCE.operation("GET", "/api/v1/deliveries/{delivery_id}", {200: Answer("The delivery.", ref("Delivery"))}, _ID)
def show_delivery(service: Service, asked: Asked) -> Reply:
    """Show a delivery."""
    return Reply(200, shown(service.delivery(asked["delivery_id"])))


@RESOURCE.operation(
    "GET",
    "/api/v1/deliveries/{delivery_id}/attempts",
    {200: Answer("A page of attempts.", ref("AttemptPage"))},
    _ID,
    cursor("N"),
    LIMIT,
)
def list_attempts(service: Service, asked: Asked) -> Reply:
    """List a delivery's attempts, the first one first."""
    limit = asked["limit"]
    found = service.attempts(asked["delivery_id"], after=int(asked["cursor"] or 0), limit=limit + 1)
    return paged(found, limit, lambda last: str(last.number), _attempt)


@RESOURCE.operation(
    "POST",
    "/api/v1/redeliveries",
    {200: Answer("How many are due again.", ref("Count"))},
    body=ref("Redelivery"),
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


def _attempt(one: AttemptRecord) -> dict[str, Any]:
    return {
        "number": one.number,
        "sent_at": one.sent_at,
        "seconds": one.seconds,
        "outcome": one.outcome,
        "status": one.status,
        "rule": one.rule,
        "detail": one.detail,
    }


def _query(given: Mapping[str, Any]) -> Query:
    return Query(
        app=given.get("app"),
        states=(given["state"],) if "state" in given else (),
        event_type=given.get("event_type"),
        last_outcome=given.get("outcome"),
        idempotency_key=given.get("idempotency_key"),
        since=None if "since" not in given else int(given["since"]),
        until=None if "until" not in given else int(given["until"]),
    )
