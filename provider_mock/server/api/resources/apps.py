"""Apps: where deliveries go, by whose rules, and with which secret."""

from __future__ import annotations

from typing import Any

from im_callback.provider_mock.server import option
from im_callback.provider_mock.server.api.operation import (
    Answer,
    Asked,
    Reply,
    Resource,
    listed,
    optional,
    record,
    ref,
)
from im_callback.provider_mock.server.api.shapes import APP, COUNT, NAME, TIME
from im_callback.provider_mock.server.models import AppView
from im_callback.provider_mock.server.options import AppSettings
from im_callback.provider_mock.server.service import Service

_NEEDED, _OTHERS = option.of_api(AppSettings)
_SHOWN = option.of_answers(AppSettings)

RESOURCE = Resource(
    "apps",
    "Where deliveries go, by whose rules, and with which secret. Those of the configuration file cannot be changed.",
    {
        "App": record(
            {
                "name": NAME,
                **_SHOWN,
                "secret": {
                    "type": "string",
                    "description": "Where the secret comes from, never the secret: `env:NAME`, `file:PATH`, `test` "
                    "(the provider's test secret), `none` (nothing is signed), `config` (the configuration file).",
                },
                "previous_secret_ref": {
                    "type": ["string", "null"],
                    "description": "Where the previous secret comes from, said in the same way. It holds until `overlap_until`.",
                },
                "source": {"type": "string", "enum": ["config", "api"]},
                "ready": {"type": "boolean", "description": "Whether it is delivered; if not, deliveries wait."},
                "not_ready": {"type": ["string", "null"], "description": "Why not, and what to do."},
                "in_flight": COUNT,
                "paused_until": optional(TIME, "When a pause for time-outs in a row ends."),
                "switched_off_at": optional(TIME, "Since when nothing is sent, after `give_up_hours`."),
                "delivered_by": {
                    "type": ["string", "null"],
                    "description": "Of several processes that share a PostgreSQL database, the one that delivers for it "
                    "now, by machine and process number.",
                },
            }
        ),
        "AppSettings": record(_NEEDED, _OTHERS),
        "NewApp": record({"name": NAME, **_NEEDED}, _OTHERS),
    },
)
_REFUSED = "The app is in the configuration file, or its provider has no such policy, option or secret."
_LOCATION = {"Location": "Where the app is."}


@RESOURCE.operation("GET", "/api/v1/apps", "read", {200: Answer("All apps.", record({"items": listed(ref("App"))}))})
def list_apps(service: Service, asked: Asked) -> Reply:
    """List the apps, by name."""
    return Reply(200, {"items": [shown(app) for app in service.apps.list()]})


@RESOURCE.operation(
    "POST",
    "/api/v1/apps",
    "manage",
    {201: Answer("The app.", ref("App"), _LOCATION)},
    body=ref("NewApp"),
    concerns=lambda asked: {"app": asked.body["name"]},
    conflicts=f"There is an app of this name. {_REFUSED}",
)
def add_app(service: Service, asked: Asked) -> Reply:
    """Add an app."""
    app, _ = service.apps.put(asked.body["name"], option.given(AppSettings, asked.body), new=True)
    return _added(app)


@RESOURCE.operation("GET", "/api/v1/apps/{app}", "read", {200: Answer("The app.", ref("App"))}, APP)
def show_app(service: Service, asked: Asked) -> Reply:
    """Show an app."""
    return Reply(200, shown(service.apps.get(asked["app"])))


@RESOURCE.operation(
    "PUT",
    "/api/v1/apps/{app}",
    "manage",
    {200: Answer("The app, changed.", ref("App")), 201: Answer("The app, new.", ref("App"), _LOCATION)},
    APP,
    body=ref("AppSettings"),
    conflicts=_REFUSED,
)
def put_app(service: Service, asked: Asked) -> Reply:
    """Add or replace an app.

    What has not left yet is delivered by the new settings.
    """
    app, new = service.apps.put(asked["app"], option.given(AppSettings, asked.body))
    return _added(app) if new else Reply(200, shown(app))


@RESOURCE.operation(
    "DELETE",
    "/api/v1/apps/{app}",
    "manage",
    {204: Answer("It is removed.")},
    APP,
    conflicts="The app is in the configuration file.",
)
def remove_app(service: Service, asked: Asked) -> Reply:
    """Remove an app.

    Its deliveries stay on record; those that wait go on waiting for an app of this name.
    """
    service.apps.remove(asked["app"])
    return Reply(204)


@RESOURCE.operation(
    "POST", "/api/v1/apps/{app}/reset", "manage", {200: Answer("How many were deleted.", ref("Count"))}, APP
)
def reset_app(service: Service, asked: Asked) -> Reply:
    """Delete an app's deliveries, with their attempts, and what waits or is parked.

    Its settings stay, faults included, which count from the beginning. What calls of the provider's server API have left behind
    (accounts, groups, rooms) is forgotten; its scenario and its traffic runs are stopped. What is being sent is
    waited for; what takes longer than 10 seconds, such as a long plan of faults, is answered with 503, and nothing is deleted.
    """
    return Reply(200, {"count": service.reset(asked["app"])})


@RESOURCE.operation("POST", "/api/v1/apps/{app}/resume", "send", {200: Answer("The app.", ref("App"))}, APP)
def resume_app(service: Service, asked: Asked) -> Reply:
    """Send for an app again that was switched off after `give_up_hours`, or that pauses."""
    return Reply(200, shown(service.resume(asked["app"])))


def shown(app: AppView) -> dict[str, Any]:
    """Return an app as it is answered."""
    return {
        "name": app.name,
        **option.answered(app.settings),
        "secret": app.secret,
        "previous_secret_ref": app.previous_secret_ref,
        "source": app.source,
        "ready": app.ready,
        "not_ready": app.not_ready,
        "in_flight": app.in_flight,
        "paused_until": app.paused_until,
        "switched_off_at": app.switched_off_at,
        "delivered_by": app.delivered_by,
    }


def _added(app: AppView) -> Reply:
    return Reply(201, shown(app), {"Location": f"/api/v1/apps/{app.name}"})
