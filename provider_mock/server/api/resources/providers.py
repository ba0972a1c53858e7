"""The IM services that apps can belong to."""

from __future__ import annotations

from typing import Any

from provider_mock import providers
from provider_mock.contract import Provider
from provider_mock.server.api.operation import Answer, Asked, Reply, Resource, listed, record, ref
from provider_mock.server.service import Service

RESOURCE = Resource(
    "providers",
    "The IM services: their retry policies and event types.",
    {
        "Provider": record(
            {
                "name": {"type": "string"},
                "title": {"type": "string"},
                "deadline_seconds": {"type": "number", "description": "Within which a receiver must answer."},
                "batches": {"type": "boolean", "description": "Whether one delivery can carry several events."},
                "policies": listed(
                    record({"name": {"type": "string"}, "summary": {"type": "string"}}),
                    description="Retry policies, the default first.",
                ),
                "event_types": listed(
                    record({"name": {"type": "string"}, "code": {"type": "string"}, "status": {"type": "string"}}),
                    description="With the provider's own code; those that are undocumented are never sent.",
                ),
            }
        )
    },
)


@RESOURCE.operation(
    "GET",
    "/api/v1/providers",
    {200: Answer("All providers.", record({"items": listed(ref("Provider"))}))},
)
def list_providers(service: Service, asked: Asked) -> Reply:
    """List the providers."""
    return Reply(200, {"items": [_shown(providers.load(name)) for name in providers.names()]})


def _shown(one: Provider) -> dict[str, Any]:
    return {
        "name": one.name,
        "title": one.title,
        "deadline_seconds": one.deadline,
        "batches": one.batches,
        "policies": [{"name": name, "summary": policy.summary} for name, policy in one.policies.items()],
        "event_types": [{"name": each.name, "code": each.code, "status": each.status} for each in one.catalogue],
    }
