"""Faults: the catalogue, and those that stand for an app."""

from __future__ import annotations

from typing import Any

from im_callback.provider_mock.server.api.operation import Answer, Asked, Reply, Resource, listed, record, ref
from im_callback.provider_mock.server.api.shapes import APP, COUNT, FAULTS
from im_callback.provider_mock.server.models import FaultKind
from im_callback.provider_mock.server.service import Service

RESOURCE = Resource(
    "faults",
    "How deliveries are disturbed on purpose.",
    {
        "FaultKind": record(
            {
                "name": {"type": "string"},
                "sentence": {"type": "string", "description": "What it does."},
                "attributes": listed(
                    record(
                        {
                            "name": {"type": "string"},
                            "default": {"type": ["boolean", "number", "string"]},
                            "meaning": {"type": "string"},
                            "choices": listed({"type": "string"}, description="All values there are; empty: any."),
                        }
                    )
                ),
            }
        ),
        "StandingFaults": record({"faults": FAULTS}),
        "NewStandingFaults": record(
            {"faults": FAULTS},
            {
                "waiting": {
                    "type": "boolean",
                    "default": False,
                    "description": "Whether what waits already, and was never attempted, is disturbed by these faults "
                    "too, in the place of those that it was accepted with.",
                }
            },
        ),
        "SwitchedFaults": record(
            {"faults": FAULTS, "changed": {**COUNT, "description": "How many waiting deliveries were changed."}}
        ),
    },
)


@RESOURCE.operation(
    "GET", "/api/v1/faults", "read", {200: Answer("The catalogue.", record({"items": listed(ref("FaultKind"))}))}
)
def list_faults(service: Service, asked: Asked) -> Reply:
    """List the faults there are."""
    return Reply(200, {"items": [_shown(one) for one in service.faults()]})


@RESOURCE.operation(
    "GET", "/api/v1/apps/{app}/faults", "read", {200: Answer("Those that stand.", ref("StandingFaults"))}, APP
)
def show_standing_faults(service: Service, asked: Asked) -> Reply:
    """Show an app's standing faults."""
    return Reply(200, {"faults": list(service.apps.get(asked["app"]).faults)})


@RESOURCE.operation(
    "PUT",
    "/api/v1/apps/{app}/faults",
    "manage",
    {200: Answer("Those that stand from now on.", ref("SwitchedFaults"))},
    APP,
    body=ref("NewStandingFaults"),
    conflicts="A fault has no such attribute or value, or cannot be done to this provider's requests.",
)
def put_standing_faults(service: Service, asked: Asked) -> Reply:
    """Disturb everything that is accepted for an app from now on; an empty list ends that.

    With `waiting`, faults are switched on and off also for what waits and was never attempted. A
    delivery that is under way at this moment goes on as it is.
    """
    waiting = asked.body.get("waiting", False)
    app, changed = service.set_faults(asked["app"], asked.body["faults"], waiting=waiting)
    return Reply(200, {"faults": list(app.faults), "changed": changed})


def _shown(one: FaultKind) -> dict[str, Any]:
    return {
        "name": one.name,
        "sentence": one.sentence,
        "attributes": [
            {"name": each.name, "default": each.default, "meaning": each.meaning, "choices": list(each.choices)}
            for each in one.attributes
        ],
    }
