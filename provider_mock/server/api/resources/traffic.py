"""Traffic runs: coherent streams of events at a steady rate."""

from __future__ import annotations

from typing import Any

from im_callback.provider_mock.delivery.ledger import STATES
from im_callback.provider_mock.server.api.operation import (
    Answer,
    Asked,
    Parameter,
    Reply,
    Resource,
    listed,
    optional,
    record,
    ref,
)
from im_callback.provider_mock.server.api.shapes import APP, COUNT, FAULTS, ID, SEED
from im_callback.provider_mock.server.models import RunView
from im_callback.provider_mock.server.options import FASTEST, feeds
from im_callback.provider_mock.server.service import Service

LONGEST = 30 * 86_400
"""Seconds."""
_TRUE_TIME = {"type": "integer", "description": "UTC milliseconds, true time of day."}

RESOURCE = Resource(
    "traffic",
    "Coherent streams of events at a steady rate: people log in, talk and log out; attributes rise in version.",
    {
        "NewRun": record(
            {
                "rate": {
                    "type": "number",
                    "minimum": 0.001,
                    "maximum": FASTEST,
                    "description": "Deliveries per second.",
                },
                "duration": {"type": "number", "minimum": 0.001, "maximum": LONGEST, "description": "Seconds."},
            },
            {
                "seed": SEED,
                "faults": FAULTS,
                "feed": {
                    "type": "string",
                    **feeds(),
                    "description": "Of what feed the events are; left out: those that arrive at `endpoint` if nobody says "
                    "which, and those with an address of their own.",
                },
            },
        ),
        "Run": record(
            {
                "id": ID,
                "app": {"type": "string"},
                "rate": {"type": "number"},
                "duration": {"type": "number"},
                "seed": {"type": "integer"},
                "feed": {"type": ["string", "null"]},
                "faults": listed({"type": "string"}),
                "status": {"type": "string", "enum": ["running", "finished", "stopped", "failed"]},
                "started_at": _TRUE_TIME,
                "ends_at": _TRUE_TIME,
                "ended_at": optional({"type": "integer"}, "UTC milliseconds, true time of day; null: it goes on."),
                "total": COUNT,
                "accepted": {**COUNT, "description": "Deliveries of it that are on disk."},
                "states": record(dict.fromkeys(STATES, COUNT), description="What became of them."),
                "error": {"type": ["string", "null"]},
            }
        ),
    },
)
_RUN = Parameter("run_id", "path", ID, "The run's id.")


@RESOURCE.operation(
    "POST",
    "/api/v1/apps/{app}/traffic",
    "send",
    {202: Answer("The run, begun.", ref("Run"), {"Location": "Where the run is."})},
    APP,
    body=ref("NewRun"),
    conflicts="Too many runs are under way, or the app, its provider, the feed or a fault does not allow it.",
)
def start_run(service: Service, asked: Asked) -> Reply:
    """Start a traffic run."""
    body = asked.body
    run = service.runs.start(
        asked["app"],
        rate=float(body["rate"]),
        duration=float(body["duration"]),
        seed=int(body["seed"]) if "seed" in body else None,
        faults=body.get("faults", ()),
        feed=body.get("feed"),
    )
    return Reply(202, _shown(run), {"Location": f"/api/v1/traffic-runs/{run.id}"})


@RESOURCE.operation(
    "GET", "/api/v1/traffic-runs", "read", {200: Answer("The runs.", record({"items": listed(ref("Run"))}))}
)
def list_runs(service: Service, asked: Asked) -> Reply:
    """List traffic runs, the newest first.

    Of those that are over only the last ones are kept.
    """
    return Reply(200, {"items": [_shown(run) for run in service.runs.list()]})


@RESOURCE.operation("GET", "/api/v1/traffic-runs/{run_id}", "read", {200: Answer("The run.", ref("Run"))}, _RUN)
def show_run(service: Service, asked: Asked) -> Reply:
    """Show a traffic run."""
    return Reply(200, _shown(service.runs.get(asked["run_id"])))


@RESOURCE.operation("POST", "/api/v1/traffic-runs/{run_id}/stop", "send", {200: Answer("The run.", ref("Run"))}, _RUN)
def stop_run(service: Service, asked: Asked) -> Reply:
    """Stop a traffic run.

    What it has accepted is delivered. One that is over stays as it is.
    """
    return Reply(200, _shown(service.runs.stop(asked["run_id"])))


def _shown(run: RunView) -> dict[str, Any]:
    return {
        "id": run.id,
        "app": run.app,
        "rate": run.rate,
        "duration": run.duration,
        "seed": run.seed,
        "feed": run.feed,
        "faults": list(run.faults),
        "status": run.status,
        "started_at": run.started_at,
        "ends_at": run.ends_at,
        "ended_at": run.ended_at,
        "total": run.total,
        "accepted": run.accepted,
        "states": dict(run.states),
        "error": run.error,
    }
