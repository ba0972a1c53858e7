"""Apps: where deliveries go, by whose rules, and with which secret."""

from __future__ import annotations

from typing import Any

from provider_mock import providers
from provider_mock.server.api.operation import Answer, Asked, Reply, Resource, Schema, listed, optional, record, ref
from provider_mock.server.api.shapes import APP, COUNT, FAULTS, NAME, TIME
from provider_mock.server.models import AppSettings, AppView
from provider_mock.server.service import Service

MOST_HEADERS = 50
_BILLION = 10**9
_CONCURRENCY = 64
_POLICIES = list(dict.fromkeys(name for each in providers.names() for name in providers.load(each).policies))
_AMOUNT: Schema = {"type": "integer", "minimum": 0, "maximum": _BILLION}
_SECONDS: Schema = {"type": "number", "minimum": 0, "maximum": _BILLION}

_SETTINGS: dict[str, Schema] = {
    "app_key": {
        "type": "string",
        "pattern": "^[!-~]([ -~]*[!-~])?$",
        "maxLength": 200,
        "x-wanted": "up to 200 printable ASCII characters without spaces around them",
        "description": "AppKey, appKey or SdkAppid; left out: the provider's test key.",
    },
    "app_secret": {
        "type": "string",
        "minLength": 1,
        "maxLength": 1000,
        "writeOnly": True,
        "description": "The secret itself; it is kept in a file and never answered. `none`: nothing is signed, where "
        "the provider can be set so. With neither this nor secret_ref an app keeps its secret, and a new one "
        "takes the provider's test secret.",
    },
    "secret_ref": {
        "type": "string",
        "pattern": "^(env:[A-Za-z_][A-Za-z0-9_]*|file:[ -~]+)$",
        "maxLength": 500,
        "x-wanted": "env:NAME or file:PATH",
        "description": "Where the server finds the secret: `env:NAME` or `file:PATH`.",
    },
    "policy": {
        "type": "string",
        "enum": _POLICIES,
        "description": "One of the provider's retry policies; left out: its first.",
    },
    "options": record(
        {},
        {
            "signed_afresh": {"type": "boolean", "description": "false: retries repeat the first attempt's bytes."},
            "spacing_seconds": {**_SECONDS, "description": "Between attempts."},
            "retries": {**_AMOUNT, "description": "After the first attempt."},
            "backlog": {**_AMOUNT, "description": "Deliveries that can be parked."},
            "pause_after": {**_AMOUNT, "description": "Time-outs in a row; 0: never."},
            "pause_seconds": _SECONDS,
        },
        description="What the provider's documents leave open; left out: as the policy has it.",
    ),
    "concurrency": {
        "type": "integer",
        "minimum": 1,
        "maximum": 1000,
        "default": _CONCURRENCY,
        "description": "Requests under way at once.",
    },
    "headers": {
        "type": "object",
        "propertyNames": {
            "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
            "maxLength": 100,
            "x-wanted": "a header's name: letters, digits and hyphens",
        },
        "additionalProperties": {
            "type": "string",
            "pattern": "^[ -~]*$",
            "maxLength": 2000,
            "x-wanted": "printable ASCII",
            "writeOnly": True,
        },
        "maxProperties": MOST_HEADERS,
        "description": "Extra headers, as for a gateway on the way. Their values are never answered. Left out: an app "
        "keeps those it has.",
    },
    "faults": {**FAULTS, "description": "Standing faults, applied to everything accepted. Left out: an app keeps its."},
}
_REQUIRED: dict[str, Schema] = {
    "provider": {"type": "string", "enum": providers.names()},
    "endpoint": {
        "type": "string",
        "pattern": r"^https?://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(:[1-9][0-9]{0,4})?([/?][!-~]*)?$",
        "maxLength": 1800,
        "x-wanted": "an address as http://host:port/path, without user name and password",
        "description": "Where callbacks are posted.",
        "examples": ["http://127.0.0.1:8000/callback"],
    },
}

RESOURCE = Resource(
    "apps",
    "Where deliveries go, by whose rules, and with which secret. Those of the configuration file cannot be changed.",
    {
        "App": record(
            {
                "name": NAME,
                "provider": {"type": "string"},
                "endpoint": {"type": "string"},
                "app_key": {"type": "string"},
                "secret": {
                    "type": "string",
                    "description": "Where the secret comes from, never the secret: `env:NAME`, `file:PATH`, `test` "
                    "(the provider's test secret), `none` (nothing is signed), `config` (the configuration file).",
                },
                "policy": {"type": "string"},
                "options": {"type": "object"},
                "concurrency": COUNT,
                "headers": listed({"type": "string"}, description="Names alone."),
                "ca_file": {"type": ["string", "null"]},
                "proxy": {"type": ["string", "null"]},
                "faults": listed({"type": "string"}),
                "source": {"type": "string", "enum": ["config", "api"]},
                "ready": {"type": "boolean", "description": "Whether it is delivered; if not, deliveries wait."},
                "not_ready": {"type": ["string", "null"], "description": "Why not, and what to do."},
                "in_flight": COUNT,
                "paused_until": optional(TIME, "When a pause for time-outs in a row ends."),
            }
        ),
        "AppSettings": record(_REQUIRED, _SETTINGS),
        "NewApp": record({"name": NAME, **_REQUIRED}, _SETTINGS),
    },
)
_REFUSED = "The app is in the configuration file, or its provider has no such policy, option or secret."
_LOCATION = {"Location": "Where the app is."}


@RESOURCE.operation("GET", "/api/v1/apps", {200: Answer("All apps.", record({"items": listed(ref("App"))}))})
def list_apps(service: Service, asked: Asked) -> Reply:
    """List the apps, by name."""
    return Reply(200, {"items": [shown(app) for app in service.apps.list()]})


@RESOURCE.operation(
    "POST",
    "/api/v1/apps",
    {201: Answer("The app.", ref("App"), _LOCATION)},
    body=ref("NewApp"),
    conflicts=f"There is an app of this name. {_REFUSED}",
)
def add_app(service: Service, asked: Asked) -> Reply:
    """Add an app."""
    app, _ = service.apps.put(asked.body["name"], _settings(asked.body), new=True)
    return _added(app)


@RESOURCE.operation("GET", "/api/v1/apps/{app}", {200: Answer("The app.", ref("App"))}, APP)
def show_app(service: Service, asked: Asked) -> Reply:
    """Show an app."""
    return Reply(200, shown(service.apps.get(asked["app"])))


@RESOURCE.operation(
    "PUT",
    "/api/v1/apps/{app}",
    {200: Answer("The app, changed.", ref("App")), 201: Answer("The app, new.", ref("App"), _LOCATION)},
    APP,
    body=ref("AppSettings"),
    conflicts=_REFUSED,
)
def put_app(service: Service, asked: Asked) -> Reply:
    """Add or replace an app.

    What has not left yet is delivered by the new settings.
    """
    app, new = service.apps.put(asked["app"], _settings(asked.body))
    return _added(app) if new else Reply(200, shown(app))


@RESOURCE.operation(
    "DELETE",
    "/api/v1/apps/{app}",
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


def shown(app: AppView) -> dict[str, Any]:
    """Return an app as it is answered."""
    return {
        "name": app.name,
        "provider": app.provider,
        "endpoint": app.endpoint,
        "app_key": app.app_key,
        "secret": app.secret,
        "policy": app.policy,
        "options": dict(app.options),
        "concurrency": app.concurrency,
        "headers": list(app.headers),
        "ca_file": app.ca_file,
        "proxy": app.proxy,
        "faults": list(app.faults),
        "source": app.source,
        "ready": app.ready,
        "not_ready": app.not_ready,
        "in_flight": app.in_flight,
        "paused_until": app.paused_until,
    }


def _settings(body: dict[str, Any]) -> AppSettings:
    return AppSettings(
        body["provider"],
        body["endpoint"],
        app_key=body.get("app_key"),
        app_secret=body.get("app_secret"),
        secret_ref=body.get("secret_ref"),
        policy=body.get("policy"),
        options=body.get("options", {}),
        concurrency=int(body.get("concurrency", _CONCURRENCY)),
        headers=body.get("headers"),
        faults=tuple(body["faults"]) if "faults" in body else None,
    )


def _added(app: AppView) -> Reply:
    return Reply(201, shown(app), {"Location": f"/api/v1/apps/{app.name}"})
