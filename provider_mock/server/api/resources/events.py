"""Events: what is accepted for delivery."""

from __future__ import annotations

from im_callback.provider_mock import providers
from im_callback.provider_mock.server.api.operation import (
    Answer,
    Asked,
    Parameter,
    Reply,
    Resource,
    Schema,
    listed,
    record,
    ref,
)
from im_callback.provider_mock.server.api.shapes import APP, FAULTS, ID, SEED
from im_callback.provider_mock.server.models import MOST_EVENTS, NewEvent
from im_callback.provider_mock.server.service import Service

LONGEST_DELAY = 10 * 365 * 86_400
"""Seconds."""
_TYPES = [
    one.name for name in providers.names() for one in providers.load(name).catalogue if one.status != "undocumented"
]
_KEY: Schema = {
    "type": "string",
    "pattern": "^[!-~]+$",
    "maxLength": 200,
    "x-wanted": "up to 200 printable ASCII characters without spaces",
}

RESOURCE = Resource(
    "events",
    "What is accepted for delivery.",
    {
        "NewEvents": record(
            {
                "events": listed(
                    record(
                        {"type": {"type": "string", "enum": _TYPES, "description": "One of the app's provider."}},
                        {
                            "payload": {
                                "type": ["object", "array"],
                                "items": {"type": "object"},
                                "description": "What the event type is documented to hold; several in one delivery as "
                                "an array, where the provider does that. Left out: a documented sample with an "
                                "identity of its own, or a made-up payload.",
                            }
                        },
                    ),
                    minItems=1,
                    maxItems=MOST_EVENTS,
                    description="Each becomes one delivery.",
                )
            },
            {
                "faults": {**FAULTS, "description": "Disturbances of these deliveries, after the app's standing ones."},
                "seed": SEED,
                "delay_seconds": {
                    "type": "number",
                    "minimum": 0,
                    "maximum": LONGEST_DELAY,
                    "default": 0,
                    "description": "How long nothing is sent.",
                },
            },
        ),
        "Accepted": record(
            {
                "deliveries": listed(ID, description="The deliveries' ids, one for each event, in order."),
                "seed": {"type": "integer"},
                "repeated": {
                    "type": "boolean",
                    "description": "Whether these are an earlier call's deliveries, and nothing was added.",
                },
                "gone": listed(ID, description="Those of them that were deleted since, because they were old."),
            }
        ),
    },
)


@RESOURCE.operation(
    "POST",
    "/api/v1/apps/{app}/events",
    "send",
    {202: Answer("They are on disk.", ref("Accepted"))},
    APP,
    Parameter(
        "Idempotency-Key",
        "header",
        _KEY,
        "A call that is made again with its key is answered like the first, and adds nothing, for as long as any of "
        "its deliveries is on record.",
    ),
    body=ref("NewEvents"),
    conflicts="The app's provider has no such event type, a payload breaks its contract, a fault cannot be done, "
    "or the key belongs to a call that asked for something else.",
)
def accept_events(service: Service, asked: Asked) -> Reply:
    """Accept events for delivery.

    All of them are accepted or none. The answer comes when they are on disk.
    """
    body = asked.body
    accepted = service.intake.accept(
        asked["app"],
        [NewEvent(one["type"], one.get("payload")) for one in body["events"]],
        faults=body.get("faults", ()),
        seed=int(body["seed"]) if "seed" in body else None,
        delay_seconds=body.get("delay_seconds", 0),
        idempotency_key=asked["Idempotency-Key"],
    )
    return Reply(
        202,
        {
            "deliveries": list(accepted.deliveries),
            "seed": accepted.seed,
            "repeated": accepted.repeated,
            "gone": list(accepted.gone),
        },
    )
