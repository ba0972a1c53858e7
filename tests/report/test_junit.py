"""JUnit XML: read by other people's readers, who come to the verdict of the exit status."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from typing import Any

import junitparser
import pytest
import xunitparser
from im_callback.conformance.report.junit import junit

from tests.report.documents import HOSTILE, check, document, failed, hostile

RECORDS = [{"what": f"effect {n} of 2", "record": {"accid": "ann", "n": n}} for n in (1, 2)]
MIXED = document(
    check("signature.good"),
    failed("signature.bad", records=RECORDS),
    failed("signature.accepted", reason="ticket 7"),
    failed("payloads.small", level="may", gated=False),
    failed("payloads.fresh", gated=False, newer=True),
    check("ordering.unseen", "could-not-run"),
    check("ordering.hardly", "could-not-run", level="may", gated=False),
    check("decision.asked", "not-applicable", reason="it is not asked"),
)
MINIMAL = document(check("signature.good"))
STATES = {
    "commsease.signature.good": [],
    "commsease.signature.bad": ["failure"],
    "commsease.signature.accepted": ["skipped"],
    "commsease.payloads.small": ["skipped"],
    "commsease.payloads.fresh": ["skipped"],
    "commsease.ordering.unseen": ["error"],
    "commsease.ordering.hardly": ["skipped"],
    "commsease.decision.asked": ["skipped"],
}


def read(given: dict[str, Any]) -> junitparser.JUnitXml:
    """Return what junitparser makes of a document's JUnit."""
    return junitparser.JUnitXml.fromstring(junit(given).encode())


def suite_of(given: dict[str, Any]) -> Any:
    """Return the one suite of a document, as junitparser reads it."""
    [suite] = read(given)
    return suite


def red(given: dict[str, Any]) -> bool:
    """Return whether a reader holds the file for a failure."""
    whole = read(given)
    return bool(whole.failures or whole.errors)


class TestReaders:
    """What other people's readers find in the file."""

    def test_junitparser(self) -> None:
        """Each check is a test case under its id, in the state that its verdict calls for."""
        states = {case.name: [type(one).__name__.lower() for one in case.result] for case in suite_of(MIXED)}
        assert STATES == states
        whole = read(MIXED)
        assert (8, 1, 1, 5) == (whole.tests, whole.failures, whole.errors, whole.skipped)
        assert 2.0 == whole.time
        assert "2026-11-29T20:47:59" == suite_of(MIXED).timestamp

    def test_xunitparser(self) -> None:
        """A second reader comes to the same, and finds the properties of the suite."""
        suite, result = xunitparser.parse(io.StringIO(junit(MIXED)))
        named = {"success": [], "failure": ["failure"], "error": ["error"], "skipped": ["skipped"]}
        assert STATES == {case.methodname: named[case.result] for case in suite}
        assert (8, 1, 1, 5) == (result.testsRun, len(result.failures), len(result.errors), len(result.skipped))
        expected = {
            "receiver": "http://127.0.0.1:8080/callbacks",
            "provider": "commsease",
            "feeds": "data-sync",
            "seed": "7",
            "run": "t4g",
            "level": "should",
            "verdict": "fail",
            "exit-status": "1",
            "version im-callback-conformance": "0.1.0",
            "version python": "3.12.1",
        }
        assert expected == suite.properties

    def test_case(self) -> None:
        """A test case has its family as class, its time, and level and source as properties."""
        case = next(iter(suite_of(MIXED)))
        assert ("commsease.data-sync.signature", 0.25) == (case.classname, case.time)
        properties = {one.get("name"): one.get("value") for one in case._elem.iter("property")}
        assert {"level": "must", "source": "Document: section", "title": "Title of signature.good"} == properties

    @pytest.mark.parametrize(
        ("name", "kind", "message"),
        [
            ("signature.bad", "must", "expected: refused; actual: acknowledged; fix: The way out."),
            (
                "signature.accepted",
                "known",
                "known: ticket 7; expected: refused; actual: acknowledged; fix: The way out.",
            ),
            (
                "payloads.small",
                "below-the-gate",
                "fails, below the gate (may): expected: refused; actual: acknowledged; fix: The way out.",
            ),
            (
                "payloads.fresh",
                "below-the-gate",
                "fails, newer than the gate's release: expected: refused; actual: acknowledged; fix: The way out.",
            ),
            ("ordering.unseen", "could-not-run", "could not run: no effects were given"),
            ("ordering.hardly", "could-not-run", "could not run: no effects were given"),
            ("decision.asked", "not-applicable", "not applicable: it is not asked"),
        ],
    )
    def test_message(self, name: str, kind: str, message: str) -> None:
        """What is wrong stands in the message, and the whole block in the text."""
        [ended] = next(case for case in suite_of(MIXED) if case.name == f"commsease.{name}").result
        assert (kind, message) == (ended.type, ended.message)
        assert ended.text.startswith(f"commsease.{name}: Title of {name}\nrequirement: Title of {name} (")

    def test_block(self) -> None:
        """The block of a failure shows the exchange, the fix and how to send it again."""
        [ended] = next(case for case in suite_of(MIXED) if case.name == "commsease.signature.bad").result
        assert (
            "expected: refused\n"
            "actual: acknowledged\n"
            "\n"
            "records side by side (what differs has a star):\n"
            f"             effect 1 of 2{' ' * 31}effect 2 of 2\n"
            f"    * n      1{' ' * 43}2\n"
            f"      accid  ann{' ' * 41}ann\n"
            "\n"
            "request (another secret):\n"
            "    POST http://127.0.0.1:8080/callbacks\n"
            "    Content-Type: application/json\n"
            f"    CheckSum: {'0' * 40}\n"
            "\n"
            '    {"eventType": "2"}\n'
            "reply:\n"
            "    200 (after 12 ms)\n"
            "    Content-Type: text/plain\n"
            "\n"
            "    fine\n"
            "\n"
            "why it matters: The reason why.\n"
            "usual fix: The way out.\n"
            "\n"
            "send it again:\n"
            "    curl -sS -i http://127.0.0.1:8080/callbacks"
        ) in ended.text


class TestVerdict:
    """Whether a reader holds the run for green."""

    @pytest.mark.parametrize(
        ("given", "case"),
        [
            (MINIMAL, None),
            (document(failed("signature.bad", reason="ticket 7"), check("signature.good")), None),
            (document(failed("signature.bad", level="may", gated=False), check("signature.good")), None),
            (document(check("ordering.unseen", "could-not-run"), check("signature.good"), exit_status=0), None),
            (document(failed("signature.bad")), "commsease.signature.bad"),
            (document(check("ordering.unseen", "could-not-run")), "commsease.ordering.unseen"),
            (document(check("ordering.unseen", "harness-error", gated=False)), "commsease.ordering.unseen"),
            (
                document(
                    check("signature.good"), verdict="fail", exit_status=1, baseline=["a.b.c: no check has this id"]
                ),
                "commsease.exit-status",
            ),
            (
                document(check("decision.asked", "not-applicable"), verdict="incomplete", exit_status=8),
                "commsease.exit-status",
            ),
            (document(verdict="error", exit_status=4, baseline=["no check was selected"]), "commsease.exit-status"),
        ],
    )
    def test_agrees(self, given: dict[str, Any], case: str | None) -> None:
        """The file is red exactly where the exit status is not 0, and names the check or says what else it is."""
        assert (given["exit_status"] != 0) == red(given)
        wrong = [
            one.name for one in suite_of(given) for ended in one.result if not isinstance(ended, junitparser.Skipped)
        ]
        assert ([case] if case else []) == wrong

    def test_said(self) -> None:
        """What no single check explains has a test case that says it."""
        given = document(
            check("signature.good"), verdict="fail", exit_status=1, baseline=["a.b.c: no check", "d.e.f: passes"]
        )
        [ended] = list(suite_of(given))[-1].result
        assert "exit status 1: a.b.c: no check; d.e.f: passes" == ended.message


class TestNames:
    """Names in a folder where several runs put their files."""

    def test_unique(self) -> None:
        """Runs of three providers, and of two feeds of one, have no test case in common."""
        checks = check("signature.good"), check("ordering.unseen", "not-applicable")
        runs = [
            document(*checks, baseline=["x"], exit_status=1, verdict="fail"),
            document(*checks, feeds=["third-party"], baseline=["x"], exit_status=1, verdict="fail"),
            document(*checks, feeds=["data-sync", "third-party"], baseline=["x"], exit_status=1, verdict="fail"),
            document(*checks, provider="rongcloud", feeds=["chatroom-kv"]),
            document(*checks, provider="tencent", feeds=["after", "before"]),
        ]
        names = [(case.classname, case.name) for run in runs for case in suite_of(run)]
        assert len(names) == len(set(names))
        assert 5 == len({suite_of(run).name for run in runs})
        assert "tencent.after+before" == suite_of(runs[-1]).name


class TestHostile:
    """What a receiver can do to the file."""

    def test_read(self) -> None:
        """Nothing leaves its element, and every word arrives."""
        root = ET.fromstring(junit(hostile()))
        assert {"testsuites", "testsuite", "properties", "property", "testcase", "failure", "error", "skipped"} == {
            element.tag for element in root.iter()
        }
        assert 7 == len(list(root.iter("testcase")))
        [failure] = root.iter("failure")
        assert HOSTILE in failure.get("message")
        assert all(line in failure.text for line in HOSTILE.splitlines())
        suite, _ = xunitparser.parse(io.StringIO(junit(hostile())))
        assert 7 == len(list(suite))
