"""The failures of a run as SARIF 2.1.0, for services that keep findings over time.

A finding is about a running receiver and lies in no file. SARIF's readers, GitHub's code scanning among them, want
a path all the same: it is `receiver/PROVIDER/FEED`, and such a service shows the finding without a piece of source.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {"must": "error", "should": "warning", "may": "note"}


def sarif(document: Mapping[str, Any]) -> str:
    """Return the document as SARIF."""
    failed = [one for one in document["checks"] if one["verdict"] == "fail"]
    place = f"{document['provider']}/{'+'.join(document['feeds'])}"
    undecided = [one for one in document["checks"] if one["verdict"] in ("could-not-run", "harness-error")]
    run = {
        "tool": {
            "driver": {
                "name": "im-callback-conformance",
                "semanticVersion": document["versions"]["im-callback-conformance"],
                "rules": [_rule(check) for check in failed],
            }
        },
        "automationDetails": {"id": f"im-callback-conformance/{place}/"},
        "invocations": [
            {
                # Whether we did our work, whatever we found.
                "executionSuccessful": document["verdict"] != "error",
                "exitCode": document["exit_status"],
                "toolExecutionNotifications": [_undecided(check) for check in undecided],
            }
        ],
        "results": [_result(index, check, f"receiver/{place}") for index, check in enumerate(failed)],
        "properties": {key: document[key] for key in ("receiver", "seed", "level", "verdict")},
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, ensure_ascii=False, indent=1) + "\n"


def _rule(check: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": check["id"],
        "name": "".join(word.capitalize() for word in check["id"].split(".")[2].split("-")),
        "shortDescription": {"text": check["title"]},
        "fullDescription": {"text": f"{check['why']}\nsource: {check['source']}"},
        "help": {"text": check["fix"]},
        "defaultConfiguration": {"level": LEVELS[check["level"]]},
        "properties": {"tags": [check["level"]]},
    }


def _result(index: int, check: Mapping[str, Any], place: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": check["id"],
        "ruleIndex": index,
        "level": LEVELS[check["level"]],
        "message": {"text": f"expected: {check['expected']}\nactual: {check['actual']}\nfix: {check['fix']}"},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": place}, "region": {"startLine": 1}},
                "logicalLocations": [{"fullyQualifiedName": check["id"]}],
            }
        ],
        "partialFingerprints": {"check/v1": f"{place} {check['id']}"},
    }
    if check.get("known"):
        result["suppressions"] = [{"kind": "external", "justification": check["reason"]}]
    return result


def _undecided(check: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "level": "error" if check["verdict"] == "harness-error" else "warning",
        "message": {"text": f"{check['id']} could not run: {check['reason'].rstrip().rpartition(chr(10))[2]}"},
    }
