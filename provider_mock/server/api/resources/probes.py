"""What monitoring asks for. The routes are the application's own; here they are only described."""

from __future__ import annotations

from im_callback.provider_mock.server.api.operation import Answer, Operation, Resource, listed, record, ref

RESOURCE = Resource(
    "monitoring",
    "Health and metrics.",
    {
        "Readiness": record(
            {
                "ready": {"type": "boolean"},
                "reasons": listed({"type": "string"}, description="Why not, one sentence each."),
            }
        )
    },
    [
        Operation(
            "GET",
            "/healthz",
            None,
            "healthz",
            "Whether the process lives",
            "",
            {200: Answer("It does.", {"type": "string"}, content_type="text/plain")},
        ),
        Operation(
            "GET",
            "/readyz",
            None,
            "readyz",
            "Whether deliveries can be accepted and made",
            "",
            {200: Answer("They can.", ref("Readiness")), 503: Answer("They cannot.", ref("Readiness"))},
        ),
        Operation(
            "GET",
            "/metrics",
            "read",
            "metrics",
            "Metrics for Prometheus",
            "",
            {200: Answer("In its text format.", {"type": "string"}, content_type="text/plain")},
        ),
    ],
)
