"""The backlog: what a provider keeps for manual synchronisation, and that synchronisation."""

from __future__ import annotations

from im_callback.provider_mock.server.api.operation import Answer, Asked, Reply, Resource, page, paged, record, ref
from im_callback.provider_mock.server.api.resources.deliveries import shown
from im_callback.provider_mock.server.api.shapes import APP, COUNT, LIMIT, cursor
from im_callback.provider_mock.server.service import Service

MOST = 500_000
_PARKED = {**COUNT, "description": "How many are parked now."}
_PAGE = page(ref("Delivery"))
RESOURCE = Resource(
    "backlog",
    "Deliveries that are parked: their retries are used up, and they wait to be released.",
    {"BacklogPage": record({**_PAGE["properties"], "parked": _PARKED})},
)


@RESOURCE.operation(
    "GET",
    "/api/v1/apps/{app}/backlog",
    "read",
    {200: Answer("A page of parked deliveries.", ref("BacklogPage"))},
    APP,
    cursor("N-N"),
    LIMIT,
)
def list_backlog(service: Service, asked: Asked) -> Reply:
    """List an app's parked deliveries, the longest waiting first."""
    limit = asked["limit"]
    after = None
    if asked["cursor"] is not None:
        due_at, _, last = asked["cursor"].partition("-")
        after = int(due_at), int(last)
    found = service.backlog(asked["app"], cursor=after, limit=limit + 1)
    reply = paged(found, limit, lambda last: f"{last.due_at}-{last.id}", shown)
    return Reply(200, {**reply.body, "parked": service.parked(asked["app"])})


@RESOURCE.operation(
    "POST",
    "/api/v1/apps/{app}/backlog/release",
    "send",
    {200: Answer("How many are due again.", ref("Count"))},
    APP,
    body=record(
        {},
        {
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": MOST,
                "description": "At most so many; left out: all.",
            }
        },
    ),
)
def release_backlog(service: Service, asked: Asked) -> Reply:
    """Make parked deliveries due again, the longest waiting first.

    This is the provider's manual synchronisation.
    """
    limit = asked.body.get("limit")
    return Reply(200, {"count": service.release(asked["app"], None if limit is None else int(limit))})
