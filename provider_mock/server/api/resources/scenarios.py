"""Scenarios: an outage, a flood, a slow hour, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
from im_callback.provider_mock.server.api.shapes import APP, FAULTS, ID, NAME, SEED
from im_callback.provider_mock.server.errors import Invalid
from im_callback.provider_mock.server.options import FASTEST
from im_callback.provider_mock.server.scenarios import LONGEST, MOST_PHASES, Phase, Played, ScenarioView
from im_callback.provider_mock.server.service import Service

_PHASE_NAME = {"type": "string", "minLength": 1, "maxLength": 100}

RESOURCE = Resource(
    "scenarios",
    "Phases that follow one another in the server's time, each with its traffic and its faults.",
    {
        "Phase": record(
            {
                "name": _PHASE_NAME,
                "seconds": {
                    "type": "number",
                    "minimum": 0.001,
                    "maximum": LONGEST,
                    "description": "How long it takes, by the server's clock.",
                },
            },
            {
                "rate": {
                    "type": "number",
                    "minimum": 0,
                    "maximum": FASTEST,
                    "description": "Deliveries that are accepted per second of the server's clock; left out: none.",
                },
                "faults": {
                    **FAULTS,
                    "description": "Disturb everything that is accepted for the app meanwhile, after its own faults.",
                },
            },
        ),
        "NewScenario": record(
            {},
            {
                "phases": listed(ref("Phase"), minItems=1, maxItems=MOST_PHASES),
                "scenario": {**NAME, "description": "One of the configuration file, in the place of phases."},
                "seed": SEED,
            },
        ),
        "Scenario": record(
            {
                "id": ID,
                "app": {"type": "string"},
                "scenario": optional({"type": "string"}, "Its name in the configuration file."),
                "seed": {"type": "integer"},
                "status": {"type": "string", "enum": ["running", "finished", "stopped", "failed"]},
                "phases": listed(
                    record(
                        {
                            "name": {"type": "string"},
                            "seconds": {"type": "number"},
                            "rate": {"type": "number"},
                            "faults": listed({"type": "string"}),
                            "began_at": optional({"type": "integer"}, "UTC milliseconds; null: it is still to come."),
                            "ended_at": optional({"type": "integer"}, "UTC milliseconds; null: it is not over."),
                            "run": optional({"type": "integer"}, "The id of its traffic run."),
                        }
                    )
                ),
                "error": {"type": ["string", "null"]},
            }
        ),
    },
)
_SCENARIO = Parameter("scenario_id", "path", ID, "The scenario's id.")


@RESOURCE.operation(
    "POST",
    "/api/v1/apps/{app}/scenarios",
    "send",
    {202: Answer("The scenario, begun.", ref("Scenario"), {"Location": "Where the scenario is."})},
    APP,
    body=ref("NewScenario"),
    conflicts="A scenario of the app runs, there is none of this name, or the app, its clock or a fault does not allow it.",
)
def start_scenario(service: Service, asked: Asked) -> Reply:
    """Start a scenario.

    Give either phases or the name of a scenario. Its faults are gone when it is over, also if the server ends before.
    """
    body = asked.body
    if ("phases" in body) == ("scenario" in body):
        raise Invalid.of("", "it has both phases and scenario, or neither", "give either")
    scenario = service.scenarios.start(
        asked["app"],
        [_phase(one) for one in body.get("phases", ())],
        name=body.get("scenario"),
        seed=int(body["seed"]) if "seed" in body else None,
    )
    return Reply(202, _shown(scenario), {"Location": f"/api/v1/scenarios/{scenario.id}"})


@RESOURCE.operation(
    "GET", "/api/v1/scenarios", "read", {200: Answer("The scenarios.", record({"items": listed(ref("Scenario"))}))}
)
def list_scenarios(service: Service, asked: Asked) -> Reply:
    """List scenarios, the newest first.

    Of those that are over only the last ones are kept.
    """
    return Reply(200, {"items": [_shown(one) for one in service.scenarios.list()]})


@RESOURCE.operation(
    "GET", "/api/v1/scenarios/{scenario_id}", "read", {200: Answer("The scenario.", ref("Scenario"))}, _SCENARIO
)
def show_scenario(service: Service, asked: Asked) -> Reply:
    """Show a scenario."""
    return Reply(200, _shown(service.scenarios.get(asked["scenario_id"])))


@RESOURCE.operation(
    "POST", "/api/v1/scenarios/{scenario_id}/stop", "send", {200: Answer("The scenario.", ref("Scenario"))}, _SCENARIO
)
def stop_scenario(service: Service, asked: Asked) -> Reply:
    """Stop a scenario.

    Its traffic ends, and its faults are taken away. One that is over stays as it is.
    """
    return Reply(200, _shown(service.scenarios.stop(asked["scenario_id"])))


def _phase(given: Mapping[str, Any]) -> Phase:
    return Phase(given["name"], float(given["seconds"]), float(given.get("rate", 0)), tuple(given.get("faults", ())))


def _shown(view: ScenarioView) -> dict[str, Any]:
    return {
        "id": view.id,
        "app": view.app,
        "scenario": view.name,
        "seed": view.seed,
        "status": view.status,
        "phases": [_played(one) for one in view.phases],
        "error": view.error,
    }


def _played(one: Played) -> dict[str, Any]:
    return {
        "name": one.phase.name,
        "seconds": one.phase.seconds,
        "rate": one.phase.rate,
        "faults": list(one.phase.faults),
        "began_at": one.began_at,
        "ended_at": one.ended_at,
        "run": one.run,
    }
