"""Verifying: whether deliveries came about as a test expects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from im_callback.provider_mock.delivery.ledger import STATES
from im_callback.provider_mock.server.api.operation import Answer, Asked, Reply, Resource, Schema, listed, record, ref
from im_callback.provider_mock.server.api.resources.deliveries import EVENT_TYPE
from im_callback.provider_mock.server.api.shapes import COUNT, ID, NAME, TIME
from im_callback.provider_mock.server.errors import Invalid
from im_callback.provider_mock.server.models import OUTCOMES
from im_callback.provider_mock.server.service import Service
from im_callback.provider_mock.server.verifying import LONGEST_WAIT, Expectation, Found
from im_callback.schemas.pointer import MISSING

MOST = 20
"""Expectations of one call, and fields of one expectation."""
_NUMBER: Schema = {"type": "integer", "minimum": 0, "maximum": 10_000}

RESOURCE = Resource(
    "verify",
    "Whether deliveries came about as a test expects.",
    {
        "Expectation": record(
            {},
            {
                "app": {**NAME, "description": "Of this app."},
                "event_type": {**EVENT_TYPE, "description": "Of this event type."},
                "variant": {"type": "string", "maxLength": 200, "description": "Of this variant of the event type."},
                "fields": {
                    "type": "object",
                    "propertyNames": {"pattern": "^(/([^/~]|~[01])*)+$", "x-wanted": "a JSON Pointer, such as /key"},
                    "maxProperties": MOST,
                    "description": "With these values in the payload, by JSON Pointer, also into JSON that is in a string.",
                },
                "state": {"type": "string", "enum": list(STATES), "description": "In this state."},
                "outcome": {
                    "type": "string",
                    "enum": list(OUTCOMES),
                    "description": "Whose last attempt came to this.",
                },
                "at_least": {
                    **_NUMBER,
                    "description": "At least so many; 1 if no number is given, 0 beside `at_most`.",
                },
                "at_most": {**_NUMBER, "description": "At most so many."},
                "exactly": {**_NUMBER, "description": "Exactly so many, in the place of the two."},
            },
            description="So many deliveries for which everything that is given here holds.",
        ),
        "Verification": record(
            {"expect": listed(ref("Expectation"), minItems=1, maxItems=MOST)},
            {
                "in_order": {
                    "type": "boolean",
                    "description": "Whether what is expected first has to be sent first; the last attempt counts.",
                },
                "within_seconds": {
                    "type": "number",
                    "minimum": 0,
                    "maximum": LONGEST_WAIT,
                    "description": "How long it is waited for, in true time; left out: it has to hold now.",
                },
                "since": {**TIME, "description": "Of those accepted at this time or later, in UTC milliseconds."},
            },
        ),
        "Verified": record(
            {
                "holds": {"type": "boolean"},
                "found": listed(
                    record(
                        {
                            "count": {**COUNT, "description": "How many match."},
                            "deliveries": listed(ID, description="The first of them."),
                            "problem": {"type": ["string", "null"]},
                            "near": listed(
                                record({"delivery": ID, "differences": listed(ref("Difference"))}),
                                description="Where too few match: those that differ least.",
                            ),
                        }
                    ),
                    description="For each expectation, in turn.",
                ),
                "order": {"type": ["string", "null"], "description": "What is wrong with the order."},
                "waited": {"type": "number", "description": "Seconds."},
            }
        ),
        "Difference": record(
            {
                "field": {"type": "string", "description": "A JSON Pointer, or a member of the expectation."},
                "wanted": {},
            },
            {"found": {"description": "Left out where there is nothing."}},
        ),
    },
)


@RESOURCE.operation(
    "POST",
    "/api/v1/verify",
    "read",
    {200: Answer("Whether all of it holds, and what nearly does.", ref("Verified"))},
    body=ref("Verification"),
    conflicts="The numbers contradict each other, or there are too many deliveries to look through.",
)
def verify(service: Service, asked: Asked) -> Reply:
    """Verify that deliveries came about.

    Answers as soon as all of it holds, or when the time is up. With `at_most` or `exactly` it holds only when nothing of the
    app is waiting and no traffic runs, or when the time is up.
    """
    body = asked.body
    verified = service.verifier.verify(
        [_expectation(f"/expect/{index}", one) for index, one in enumerate(body["expect"])],
        in_order=body.get("in_order", False),
        within=float(body.get("within_seconds", 0)),
        since=int(body["since"]) if "since" in body else None,
    )
    return Reply(
        200,
        {
            "holds": verified.holds,
            "found": [_found(one) for one in verified.found],
            "order": verified.order,
            "waited": verified.waited,
        },
    )


def _expectation(place: str, given: Mapping[str, Any]) -> Expectation:
    least, most = int(given.get("at_least", "at_most" not in given)), given.get("at_most")
    if "exactly" in given:
        if {"at_least", "at_most"} & set(given):
            raise Invalid.of(f"{place}/exactly", "it stands beside at_least or at_most", "give either")
        least = most = int(given["exactly"])
    which = {name: given.get(name) for name in ("app", "event_type", "variant", "state", "outcome")}
    return Expectation(**which, fields=given.get("fields", {}), least=least, most=None if most is None else int(most))


def _found(one: Found) -> dict[str, Any]:
    return {
        "count": one.count,
        "deliveries": list(one.deliveries),
        "problem": one.problem,
        "near": [
            {
                "delivery": each.delivery,
                "differences": [
                    {"field": name, "wanted": wanted} | ({} if found is MISSING else {"found": found})
                    for name, wanted, found in each.differences
                ],
            }
            for each in one.near
        ],
    }
