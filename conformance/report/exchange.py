"""A request and its reply, as lines for people and as data for programs, with the secrets taken out."""

from __future__ import annotations

from typing import Any

from im_callback.conformance.report.masking import Masking
from im_callback.conformance.report.visible import body_text
from im_callback.conformance.run import Run
from im_callback.provider_mock.contract import Reply, Request
from im_callback.provider_mock.history import Attempt
from im_callback.provider_mock.visible import visible

NAMED = 10
"""Events of a batch that are named."""


def request_lines(request: Request, mask: Masking) -> list[str]:
    """Return the request as it went out, a line each."""
    lines = [f"{request.method} {request.url}", *(f"{name}: {value}" for name, value in request.headers)]
    if request.chunked:
        lines.append("Transfer-Encoding: chunked")
    return [*(visible(mask(line)) for line in lines), "", body_text(request.body, mask)]


def reply_lines(attempt: Attempt, mask: Masking) -> list[str]:
    """Return what came back, a line each."""
    reply = attempt.reply
    if not isinstance(reply, Reply):
        return [visible(mask(f"no reply: {reply.detail} (after {reply.seconds * 1000:.0f} ms)"))]
    kept = [f"{name}: {value}" for name, value in reply.headers if name.lower() in ("content-type", "content-encoding")]
    lines = [f"{reply.status} (after {reply.seconds * 1000:.0f} ms)", *kept]
    return [*(visible(mask(line)) for line in lines), "", body_text(reply.body, mask, reply.headers)]


def as_json(attempt: Attempt, mask: Masking, run: Run) -> dict[str, Any]:
    """Return the exchange as data for programs."""
    request, reply, events = attempt.shot.request, attempt.reply, attempt.shot.events
    said = list(dict.fromkeys(map(str, run.occurrences(*events))))
    shown: dict[str, Any] = {
        "note": attempt.shot.note,
        "sent_at": attempt.sent_at,
        "deadline_ms": round(attempt.shot.feed.deadline * 1000),
        "expected": attempt.expected,
        **({"type": run.kind_of(events[0]).rstrip("/")} if events else {}),
        **({"events": said[:NAMED]} if said else {}),
        "outcome": attempt.outcome.value,
        "rule": attempt.judgement.rule,
        "seconds": round(reply.seconds, 6),
        "request": {
            "method": request.method,
            "url": mask(request.url),
            "headers": [[name, mask(f"{name}: {value}").partition(": ")[2]] for name, value in request.headers],
            "body": body_text(request.body, mask),
        },
    }
    if isinstance(reply, Reply):
        shown["reply"] = {
            "status": reply.status,
            "headers": [[name, mask(f"{name}: {value}").partition(": ")[2]] for name, value in reply.headers],
            "body": body_text(reply.body, mask, reply.headers),
        }
    return shown
