"""JSON documents of runs, written by hand: what the outputs for machines are made from."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema

SCHEMA = json.loads(files("im_callback.conformance.report").joinpath("result.schema.json").read_text(encoding="utf-8"))

EXCHANGE: dict[str, Any] = {
    "note": "another secret",
    "outcome": "acked",
    "rule": "200 is an acknowledgement",
    "sent_at": 1795985279253,
    "deadline_ms": 5000,
    "expected": "refusal",
    "seconds": 0.012,
    "request": {
        "method": "POST",
        "url": "http://127.0.0.1:8080/callbacks",
        "headers": [["Content-Type", "application/json"], ["CheckSum", "0" * 40]],
        "body": '{"eventType": "2"}',
    },
    "reply": {"status": 200, "headers": [["Content-Type", "text/plain"], ["Server", "x"]], "body": "fine"},
}


def check(name: str, verdict: str = "pass", **more: Any) -> dict[str, Any]:
    """Return a check as the document has it; `name` is its id, or what stands behind the provider's name."""
    told: dict[str, Any] = {
        "id": f"commsease.{name}",
        "title": f"Title of {name}",
        "level": "must",
        "verdict": verdict,
        "source": "Document: section",
        "expected": "",
        "actual": "",
        "reason": "",
        "seconds": 0.25,
        "exchanges": [],
        "gated": True,
        "why": "The reason why.",
        "fix": "The way out.",
    }
    if verdict == "fail":
        told |= {"expected": "refused", "actual": "acknowledged", "exchanges": [EXCHANGE]}
        told |= {"send_again": "curl -sS -i http://127.0.0.1:8080/callbacks"}
    elif verdict != "pass":
        told |= {"reason": "no effects were given", "fix": "Give them with --receiver-effects"}
    return {**told, **more}


def failed(name: str, **more: Any) -> dict[str, Any]:
    """Return a check that failed."""
    return check(name, "fail", **more, **({"known": True} if more.get("reason") else {}))


def document(*checks: dict[str, Any], provider: str = "commsease", **more: Any) -> dict[str, Any]:
    """Return a document that holds these checks, each failure a cause of its own, and says of itself what they come to."""
    those = [{**one, "id": one["id"].replace("commsease", provider, 1)} for one in checks]
    failures = [one for one in those if one["verdict"] == "fail"]
    counts = {
        "failed": sum(one["gated"] and not one["reason"] for one in failures),
        "below": sum(not one["gated"] and not one["reason"] and not one.get("newer") for one in failures),
        "known": sum(bool(one["reason"]) for one in failures),
        "newer": sum(bool(one.get("newer")) and not one["reason"] for one in failures),
        "incomplete": sum(one["gated"] and one["verdict"] == "could-not-run" for one in those),
    }
    ours = any(one["verdict"] == "harness-error" for one in those)
    verdict = "error" if ours else "fail" if counts["failed"] else "incomplete" if counts["incomplete"] else "pass"
    made: dict[str, Any] = {
        "provider": provider,
        "feeds": ["data-sync"],
        "receiver": "http://127.0.0.1:8080/callbacks",
        "app_key": "test-key",
        "seed": 7,
        "run": "t4g",
        "level": "should",
        "settle": 5.0,
        "verdict": verdict,
        "exit_status": {"error": 3, "fail": 1, "incomplete": 8, "pass": 0}[verdict],
        "versions": {"im-callback-conformance": "0.1.0", "python": "3.12.1"},
        "gate": counts,
        "acks": {"count": 812, "p50_ms": 2.125, "p95_ms": 8.5, "max_ms": 40.0, "deadline_ms": 5000, "buckets": []},
        "began": 1795985279253,
        "handles": [],
        "pinned": False,
        "notes": [],
        "baseline": [],
        "causes": [
            {
                "id": one["id"],
                "title": f"What is wrong about {one['id']}",
                "checks": [one["id"]],
                "level": one["level"],
                "gated": one["gated"] and not one["reason"],
                "expected": one["expected"],
                "actual": one["actual"],
                "fix": one["fix"],
            }
            for one in failures
        ],
        "checks": those,
    }
    return {**made, **more}


def valid(given: dict[str, Any]) -> dict[str, Any]:
    """Return the document, which is as its schema says."""
    jsonschema.validate(given, SCHEMA, jsonschema.Draft202012Validator)
    return given


HOSTILE = (
    "</code></details><script>alert(1)</script> `` ` ``` ]]> <![CDATA[ &lt; | x | \\| \\ [a](http://evil.example) "
    "![i](http://evil.example/i) @everyone #1 GH-1 http://evil.example www.evil.example me@evil.example <b> **b** _i_ $x$\n"
    "\n# heading\n::error::forged\n##[add-mask]x\n- item\n```\n~~~\n| a | b |\n--- \n%0A::warning::x \\x1b[2J 你好 👨\u200d👩\u200d👧"
)
"""What a receiver may say, as the document holds it: control characters are escapes already."""


def hostile() -> dict[str, Any]:
    """Return a document in which everything that can repeat the receiver's words does."""
    exchange = {
        **EXCHANGE,
        "note": HOSTILE,
        "rule": HOSTILE,
        "reply": {"status": 200, "headers": [["Content-Type", HOSTILE]], "body": HOSTILE},
    }
    words = {"actual": HOSTILE, "expected": HOSTILE, "fix": HOSTILE, "exchanges": [exchange], "log": [HOSTILE]}
    return document(
        failed("signature.first", **words, timeline=[HOSTILE]),
        failed("signature.second", **words, gated=False, level="may"),
        failed("signature.third", **words, reason=HOSTILE),
        check("ordering.fourth", "could-not-run", reason=HOSTILE, fix=HOSTILE),
        check("ordering.fifth", "not-applicable", reason=HOSTILE),
        check("ordering.sixth", "harness-error", reason=f"Traceback\n  {HOSTILE}", fix=""),
        receiver=f"http://127.0.0.1:8080/{HOSTILE}",
        notes=[HOSTILE],
        baseline=[HOSTILE],
    )
