"""SARIF: as its official schema says (`sarif-2.1.0.json` here, by OASIS, without the descriptions)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
from im_callback.conformance.report.sarif import sarif

from tests.report.documents import check, document, failed, hostile
from tests.report.test_junit import MINIMAL, MIXED

SCHEMA = json.loads(Path(__file__).with_name("sarif-2.1.0.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


def run_of(given: dict[str, Any]) -> dict[str, Any]:
    """Return the one run in the SARIF of a document."""
    [run] = json.loads(sarif(given))["runs"]
    return run


class TestSarif:
    """Tests for `sarif`."""

    @pytest.mark.parametrize("given", [MIXED, MINIMAL, hostile()])
    def test_schema(self, given: dict[str, Any]) -> None:
        """The whole is as the schema of SARIF says."""
        VALIDATOR.validate(json.loads(sarif(given)))

    def test_results(self) -> None:
        """Each failure is a result with its level, the rule beside it; a known one is suppressed with its reason."""
        run = run_of(MIXED)
        assert {
            "commsease.signature.bad": ("error", None),
            "commsease.signature.accepted": ("error", "ticket 7"),
            "commsease.payloads.small": ("note", None),
            "commsease.payloads.fresh": ("error", None),
        } == {
            one["ruleId"]: (one["level"], next((each["justification"] for each in one.get("suppressions", ())), None))
            for one in run["results"]
        }
        rules = run["tool"]["driver"]["rules"]
        assert [one["ruleId"] for one in run["results"]] == [rules[one["ruleIndex"]]["id"] for one in run["results"]]
        assert "expected: refused\nactual: acknowledged\nfix: The way out." == run["results"][0]["message"]["text"]

    def test_location(self) -> None:
        """A result has a path, relative and of provider and feeds: GitHub takes none without, and no other scheme."""
        places = {
            one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
            for given in (MIXED, document(failed("signature.bad"), provider="tencent", feeds=["after", "before"]))
            for one in run_of(given)["results"]
        }
        assert {"receiver/commsease/data-sync", "receiver/tencent/after+before"} == places
        assert not any(urlsplit(one).scheme for one in places)

    def test_identity(self) -> None:
        """The same failure in another run is the same finding; that of another feed is another."""
        first, again, other = (
            run_of(document(failed("signature.bad", actual=actual), feeds=[feed], seed=seed))
            for actual, feed, seed in (("a", "data-sync", 1), ("b", "data-sync", 2), ("a", "rtc", 1))
        )
        prints = [one["results"][0]["partialFingerprints"] for one in (first, again, other)]
        assert prints[0] == prints[1] != prints[2]
        assert first["automationDetails"]["id"] != other["automationDetails"]["id"]

    def test_could_not_run(self) -> None:
        """What could not run is no finding, and is told beside them."""
        run = run_of(document(check("ordering.unseen", "could-not-run"), check("ordering.odd", "harness-error")))
        assert [] == run["results"]
        [invocation] = run["invocations"]
        assert (False, 3) == (invocation["executionSuccessful"], invocation["exitCode"])
        assert [
            ("warning", "commsease.ordering.unseen could not run: no effects were given"),
            ("error", "commsease.ordering.odd could not run: no effects were given"),
        ] == [(one["level"], one["message"]["text"]) for one in invocation["toolExecutionNotifications"]]
