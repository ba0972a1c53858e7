"""The IM services that apps can belong to."""

from __future__ import annotations

from typing import Any

from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Provider
from im_callback.provider_mock.server.api.operation import Answer, Asked, Reply, Resource, listed, record, ref
from im_callback.provider_mock.server.service import Service

RESOURCE = Resource(
    "providers",
    "The IM services: their feeds, retry policies and event types.",
    {
        "Provider": record(
            {
                "name": {"type": "string"},
                "title": {"type": "string"},
                "feeds": listed(
                    record(
                        {
                            "name": {"type": "string"},
                            "title": {"type": "string"},
                            "deadline_seconds": {
                                "type": "number",
                                "description": "Within which a receiver must answer.",
                            },
                            "batches": {
                                "type": "boolean",
                                "description": "Whether one delivery can carry several events.",
                            },
                            "decides": {"type": "boolean", "description": "Whether the answer decides."},
                            "policies": listed(
                                record({"name": {"type": "string"}, "summary": {"type": "string"}}),
                                description="Retry policies, the default first.",
                            ),
                        }
                    ),
                    description="Its callback services, the default first.",
                ),
                "event_types": listed(
                    record(
                        {
                            "name": {"type": "string"},
                            "feed": {"type": "string"},
                            "code": {"type": "string"},
                            "status": {"type": "string"},
                        }
                    ),
                    description="With the provider's own code; those that are undocumented are never sent.",
                ),
            }
        )
    },
)


@RESOURCE.operation(
    "GET",
    "/api/v1/providers",
    "read",
    {
        200: Answer(
            "All providers.",
            record(
                {
                    "items": listed(ref("Provider")),
                    "unusable": listed(
                        record({"name": {"type": "string"}, "problem": {"type": "string"}}),
                        description="Providers whose package cannot be loaded, and why.",
                    ),
                }
            ),
        )
    },
)
def list_providers(service: Service, asked: Asked) -> Reply:
    """List the providers."""
    unusable = [{"name": name, "problem": str(error)} for name, error in providers.unusable().items()]
    return Reply(200, {"items": [_shown(providers.load(name)) for name in providers.names()], "unusable": unusable})


def _shown(one: Provider) -> dict[str, Any]:
    return {
        "name": one.name,
        "title": one.title,
        "feeds": [
            {
                "name": feed.name,
                "title": feed.title,
                "deadline_seconds": feed.deadline,
                "batches": feed.batches,
                "decides": feed.decides,
                "policies": [{"name": name, "summary": policy.summary} for name, policy in feed.policies.items()],
            }
            for feed in one.feeds
        ],
        "event_types": [
            {"name": each.name, "feed": one.feed_of(each.name).name, "code": each.code, "status": each.status}
            for each in one.catalogue
        ],
    }
