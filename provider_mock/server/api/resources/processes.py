"""The processes that deliver from one ledger."""

from __future__ import annotations

from im_callback.provider_mock.server.api.operation import Answer, Asked, Reply, Resource, listed, record, ref
from im_callback.provider_mock.server.api.shapes import NAME, TIME
from im_callback.provider_mock.server.service import Service

RESOURCE = Resource(
    "processes",
    "The processes that deliver from one PostgreSQL database: each app is delivered by one of them at a time. A SQLite file "
    "has one.",
    {
        "Process": record(
            {
                "name": {"type": "string", "description": "Its machine and its number there."},
                "started_at": TIME,
                "seen_at": TIME,
                "alive": {"type": "boolean", "description": "Whether it was seen in the last seconds."},
                "apps": {**listed(NAME), "description": "The apps that it delivers for."},
            }
        )
    },
)


@RESOURCE.operation(
    "GET",
    "/api/v1/processes",
    {200: Answer("The processes, the oldest first.", record({"items": listed(ref("Process"))}))},
)
def list_processes(service: Service, asked: Asked) -> Reply:
    """List the processes, and what each of them delivers."""
    items = [
        {
            "name": process.name,
            "started_at": process.started_at,
            "seen_at": process.seen_at,
            "alive": process.alive,
            "apps": apps,
        }
        for process, apps in service.processes()
    ]
    return Reply(200, {"items": items})
