"""Each check around the receiver is proven: receivers with one fault each, and exactly which checks catch it."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple

import pytest
from im_callback.conformance.around import command as around_command
from im_callback.conformance.around import recovery
from im_callback.conformance.checks import acknowledgement
from im_callback.conformance.run import Run
from im_callback.conformance.runner import run_check
from im_callback.conformance.verdict import Result, Verdict

from tests.around.receiver import FAULTS
from tests.around.running import AROUND, command, quick, surrounded
from tests.feeds import well_told

pytestmark = pytest.mark.long

KILL, STOP, RESTART, SECOND = "acked-survives-kill", "acked-survives-stop", "after-restart", "across-receivers"
HANGS, FAILS = "within-deadline-while-downstream-hangs", "failure-is-not-acked"
TOLD = "fails-as-told"
TELLING = ("rongcloud", "chatroom-kv")
ACKS_ERRORS = ("commsease", "data-sync")
"""Where a status of 500 is an acknowledgement, and whatever was not taken may be sent again."""
DECIDING = ("commsease", "third-party")


class Case(NamedTuple):
    """A receiver at a feed, and what becomes of the checks that do not pass."""

    fault: str
    failed: AbstractSet[str] = frozenset()
    stopped: AbstractSet[str] = frozenset()
    passed_over: AbstractSet[str] = frozenset()
    feed: tuple[str, str] = TELLING


CASES = (
    Case("Good"),
    Case("Good", feed=ACKS_ERRORS),
    # Honest in its own way.
    Case("Patient"),
    Case("Journal"),
    Case("Careless"),
    Case("Crashes"),
    Case("Single", passed_over={SECOND}),
    # What is no acknowledgement there.
    Case("FiveHundred"),
    Case("Queue", {KILL}),
    Case("DropsQueue", {KILL, STOP}),
    Case("MemoryDedupe", {RESTART, SECOND}),
    Case("OwnDedupe", {SECOND}),
    Case("Swallows", {FAILS}),
    Case("FiveHundred", {FAILS}, feed=ACKS_ERRORS),
    Case("RemembersFirst", {FAILS}, feed=ACKS_ERRORS),
    Case("Stuck", {HANGS, FAILS}),
    Case("LockFile", {KILL}, stopped={STOP, RESTART, SECOND, HANGS, FAILS}),
    Case("Allows", feed=DECIDING),
    Case("ErrorPage", {TOLD}, feed=DECIDING),
)


WHOLE = {"Mortal", "Sql"}
"""Receivers that stand for whole runs."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "APPEARS", 0.6)
    monkeypatch.setattr(around_command, "STOP_SECONDS", 1.0)
    monkeypatch.setattr(acknowledgement, "KILLED", ((8, 4), (1, 1)))
    monkeypatch.setattr(acknowledgement, "STOPPED", 8)


def judged(run: Run) -> dict[str, Result]:
    """Return what each check around the receiver comes to, where it holds."""
    found = {slug: run_check(check, run) for slug, check in AROUND.items() if check.among(run.feeds)}
    well_told(list(found.values()))
    return found


def slugs(found: Mapping[str, Result], verdict: Verdict) -> set[str]:
    """Return the checks that came to a verdict."""
    return {slug for slug, one in found.items() if one.verdict is verdict}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.fault}-{case.feed[0]}")
def test_matrix(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks that fail, could not run and do not apply are exactly those that are named; the others pass."""
    provider, feed = case.feed
    if HANGS in case.failed:
        # It never comes back, and is not waited for in vain for as long as others.
        monkeypatch.setattr(recovery, "COMES_BACK", 1.0)
    with surrounded(command(case.fault), quick(provider), tmp_path, feed=feed) as (run, _):
        found = judged(run)
        said = "\n".join(f"{slug}: {one.verdict.value}: {one.actual or one.reason}" for slug, one in found.items())
        assert not slugs(found, Verdict.HARNESS_ERROR), said
        assert case.failed == slugs(found, Verdict.FAIL), said
        assert case.stopped == slugs(found, Verdict.COULD_NOT_RUN), said
        assert case.passed_over == slugs(found, Verdict.NOT_APPLICABLE), said
        if case.fault == "Careless":
            assert ["the receiver did not end within 10 s of SIGTERM, and was killed"] == run.notes
        if case.fault == "Crashes":
            assert "the receiver ended before its store hangs no more; it was started again" in "\n".join(run.notes)
        if case.fault == "Swallows":
            assert "not stored: " in "\n".join(found[FAILS].log)
        if case.fault == "LockFile":
            assert ("it runs already: the lock is there",) == found[KILL].log[-1:]
        if case.fault == "Allows":
            assert "while its store refuses connections: allow (6 of 6 answers)" in run.notes


def test_every_fault_is_tried() -> None:
    """No receiver stands there for nothing."""
    assert set(FAULTS) - WHOLE == {case.fault for case in CASES}


def test_every_check_is_proven() -> None:
    """Each check has a receiver that it catches."""
    assert set(AROUND) == {slug for case in CASES for slug in case.failed}


def test_beside_the_proxy(tmp_path: Path) -> None:
    """Where the receiver goes to its store without the proxy, nothing is concluded, and the port is named."""
    text = command().replace("{downstream}", "$(cat store)")
    with surrounded("while [ ! -s store ]; do sleep 0.01; done; " + text, quick("rongcloud"), tmp_path) as (run, _):
        found = judged(run)
        assert {HANGS, FAILS} == slugs(found, Verdict.COULD_NOT_RUN)
        assert run.downstream is not None
        assert f"nothing went through the proxy at 127.0.0.1:{run.downstream.own_port}" in found[FAILS].reason
        assert "{downstream}" in found[FAILS].fix


def test_without_the_options(tmp_path: Path) -> None:
    """Without its option a check does not apply, whatever else is wrong, and says which one it is."""
    with surrounded(command(), quick("rongcloud"), tmp_path) as (run, _):
        run.receiver = run.downstream = None
        found = judged(run)
    assert set(found) == slugs(found, Verdict.NOT_APPLICABLE)
    for slug, one in found.items():
        assert f"--receiver-{AROUND[slug].option}=" in one.reason
