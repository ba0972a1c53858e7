"""The clock that decides what is due."""

from __future__ import annotations

from im_callback.provider_mock.server.api.operation import Answer, Asked, Reply, Resource, record, ref
from im_callback.provider_mock.server.models import ClockView
from im_callback.provider_mock.server.service import Service

FASTEST = 1_000_000
FURTHEST = 10 * 365 * 86_400
"""Seconds."""

RESOURCE = Resource(
    "clock",
    "The clock that decides what is due; it can run faster than the time of day, or be moved. Requests are signed "
    "with the time of day all the same.",
    {
        "Clock": record(
            {
                "now": {"type": "integer", "description": "Its time, in UTC milliseconds."},
                "wall": {"type": "integer", "description": "The time of day, in UTC milliseconds."},
                "scale": {"type": "number", "description": "How many of its seconds pass in a true one."},
            }
        )
    },
)
_CLOCK = {200: Answer("The clock.", ref("Clock"))}


@RESOURCE.operation("GET", "/api/v1/clock", "read", _CLOCK)
def show_clock(service: Service, asked: Asked) -> Reply:
    """Show the clock."""
    return _shown(service.clock())


@RESOURCE.operation(
    "PUT",
    "/api/v1/clock",
    "manage",
    _CLOCK,
    body=record(
        {
            "scale": {
                "type": "number",
                "minimum": 0.001,
                "maximum": FASTEST,
                "description": "How many of its seconds pass in a true one.",
            }
        }
    ),
)
def set_clock(service: Service, asked: Asked) -> Reply:
    """Let the clock run faster or slower."""
    return _shown(service.set_scale(float(asked.body["scale"])))


@RESOURCE.operation(
    "POST",
    "/api/v1/clock/advance",
    "manage",
    _CLOCK,
    body=record({"seconds": {"type": "number", "minimum": 0.001, "maximum": FURTHEST}}),
    conflicts="It would leave the times that can be written down.",
)
def advance_clock(service: Service, asked: Asked) -> Reply:
    """Move the clock forward; what becomes due by that is delivered."""
    return _shown(service.advance(float(asked.body["seconds"])))


def _shown(clock: ClockView) -> Reply:
    return Reply(200, {"now": clock.now, "wall": clock.wall, "scale": clock.scale})
