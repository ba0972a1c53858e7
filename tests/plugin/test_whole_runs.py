"""Whole runs in an empty folder, against receivers that run as processes of their own."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from im_callback.conformance.check import all_checks
from im_callback.provider_mock import providers

from tests.conformance.little_server import serving
from tests.plugin.processes import Ended, options_for, pytest_in

pytestmark = pytest.mark.long

NAMES = ("commsease", "rongcloud", "tencent")
SCHEMA = json.loads(files("im_callback.conformance.report").joinpath("result.schema.json").read_text(encoding="utf-8"))
WRONG = {
    "commsease": {"signature.rejects-wrong-md5-header", "signature.accepts-raw-bytes", "ordering.stale-ignored"},
    "rongcloud": {"deduplication.inside-one-batch", "ordering.newest-wins", "signature.rejects-foreign-app"},
    "tencent": {"signature.rejects-wrong-secret", "ordering.listed-in-order", "acknowledgement.answer-shape"},
}
"""What, among other things, the naive receiver does wrong."""
SCREEN, NARROW = 60, 100
"""Lines in which a run is told in whole, with all that pytest says, and the columns in which they fit."""


def expected_ids(name: str) -> list[str]:
    """Return the ids of all checks that hold for a provider, in the order of a run."""
    provider = providers.load(name)
    return [check.id(provider) for check in all_checks() if check.among(provider.usual_feeds)]


def valid(ended: Ended) -> Ended:
    """Return what ended with a valid result that agrees with the exit status and the last lines."""
    assert ended.result is not None, ended.output
    jsonschema.Draft202012Validator(SCHEMA).validate(ended.result)
    assert ended.status == ended.result["exit_status"], ended.output
    (line,) = ended.lines("receiver verdict: ")
    assert line.startswith(f"receiver verdict: {ended.result['verdict'].upper()}: ")
    return ended


@pytest.mark.parametrize("name", NAMES)
def test_good(name: str, good: str, tmp_path: Path) -> None:
    """The good receiver passes every check, or the check does not apply to it."""
    ended = valid(pytest_in(tmp_path, "-q", "-rs", *options_for(good, name)))
    assert 0 == ended.status, ended.output
    assert expected_ids(name) == list(ended.verdicts)
    assert {"pass", "not-applicable"} >= set(ended.verdicts.values())
    assert ended.result is not None
    assert "pass" == ended.result["verdict"]
    assert ended.result["handles"]
    assert ended.result["acks"]["count"] > 100
    assert {"result.json"} >= {file.name for file in tmp_path.iterdir()} - {".pytest_cache"}


@pytest.mark.parametrize("name", NAMES)
def test_naive(name: str, naive: str, tmp_path: Path) -> None:
    """The naive receiver fails: on one screen each cause is named once, and JUnit XML has the whole blocks."""
    # All checks for one provider, for the others a few: time is short.
    some = [f"--receiver-check={name}.{check}" for check in ("preflight.*", *sorted(WRONG[name]))]
    chosen = some if name != "commsease" else []
    ended = valid(pytest_in(tmp_path, "--junitxml=junit.xml", *options_for(naive, name), *chosen, COLUMNS=str(NARROW)))
    assert 1 == ended.status, ended.output
    failed = {check for check, verdict in ended.verdicts.items() if verdict == "fail"}
    assert {f"{name}.{check}" for check in WRONG[name]} <= failed
    assert "harness-error" not in ended.verdicts.values()
    assert ended.result is not None
    assert "fail" == ended.result["verdict"]
    for check in ended.result["checks"]:
        assert check["exchanges"] or check["verdict"] != "fail", check["id"]
    # What pytest says of its own file is not ours.
    lines = [line for line in ended.output.splitlines() if "generated xml file" not in line]
    assert len(lines) <= SCREEN, ended.output
    start = next(number for number, line in enumerate(lines) if " receiver conformance " in line)
    assert max(len(line) for line in lines[start:-1] if "--receiver-handles=" not in line) <= NARROW
    for cause in ended.result["causes"]:
        slug = re.escape(cause["id"].partition(".")[2])
        assert 1 == len(re.findall(rf"(?m)^(?: +{slug}:|below .*: {slug}:|.* explain {slug}$)", ended.output)), slug
    gated = {c["id"] for c in ended.result["checks"] if c["verdict"] == "fail" and c["level"] != "may"}
    suite = ET.parse(tmp_path / "junit.xml").getroot()[0]
    blocks = {case.get("name"): case.findtext("failure") or "" for case in suite if case.find("failure") is not None}
    assert len(gated) == len(blocks) == int(suite.get("failures", ""))
    for name_, block in blocks.items():
        assert name_ is not None
        assert block.startswith(f"{name_}: ")
        parts = [block.find(f"\n{part}") for part in ("requirement: ", "source: ", "expected: ", "actual: ", "why it ")]
        assert sorted(parts) == parts
        assert -1 not in parts


def test_ids(tmp_path: Path) -> None:
    """The ids of the tests are fixed: they say nothing of where the package lies, and nothing is sent for them."""
    with serving(lambda request: (200, "application/json", b"")) as little:
        ended = pytest_in(tmp_path, "--collect-only", "-q", f"--receiver-url={little.url}")
    assert [] == little.got
    assert 0 == ended.status
    assert ended.result is None
    provider = providers.load("commsease")
    due = [f"conformance/{c.family}::{c.function.__name__}" for c in all_checks() if c.among(provider.usual_feeds)]  # type: ignore[attr-defined]
    assert sorted(due) == sorted(ended.lines("conformance/"))
    assert "conformance/signature::check_rejects_wrong_secret" in due


def test_selected(good: str, tmp_path: Path) -> None:
    """Checks can be chosen by glob, by -k and by the id of the test that is left out."""
    ended = valid(
        pytest_in(
            tmp_path,
            "-v",
            *options_for(good),
            "--receiver-check=*.preflight.*",
            "--receiver-check=*.signature.rejects-wrong-*",
            "-k=not records",
            "--deselect=conformance/signature::check_rejects_wrong_md5_header",
        )
    )
    assert 0 == ended.status, ended.output
    assert [
        "commsease.preflight.reachable",
        "commsease.preflight.accepts-valid",
        "commsease.preflight.effects-answer",
        "commsease.preflight.effects-show-delivery",
        "commsease.signature.rejects-wrong-secret",
    ] == list(ended.verdicts)
    assert "conformance/signature::check_rejects_wrong_secret PASSED" in ended.output


def test_list(tmp_path: Path) -> None:
    """`--receiver-list` needs no address, and prints every check of all providers."""
    ended = pytest_in(tmp_path, "--receiver-list")
    assert 0 == ended.status
    ids = [line.partition("\t")[0] for line in ended.output.splitlines()]
    known = map(providers.load, NAMES)
    assert [check.id(one) for one in known for check in all_checks() if check.among(one.feeds)] == ids
