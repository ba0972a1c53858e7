"""Runs in which little or nothing could be judged: never green, and they say what to do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from im_callback.provider_mock.contract import Request

from tests.conformance.little_server import Answer, serving, unused_url
from tests.plugin.processes import SECONDS, environment, options_for, pytest_in, result_in
from tests.programs import spawned

FIRST = "--receiver-check=*.preflight.*"
WRONG = "--receiver-check=*.rejects-wrong-*"


class TestNobody:
    """Nobody listens at the address."""

    def test_all(self, tmp_path: Path) -> None:
        """The run fails at once, and says what to start."""
        ended = pytest_in(tmp_path, f"--receiver-url={unused_url()}")
        assert 1 == ended.status, ended.output
        assert "fix: Start the receiver and give --receiver-url the address" in ended.output
        assert {"fail": 1} == {
            v: list(ended.verdicts.values()).count(v) for v in ("fail", "pass") if v in ended.verdicts.values()
        }
        assert ended.lines("receiver verdict: FAIL: 1 cause (1 check); ")
        (missing,) = ended.lines("could not run: ")
        assert re.search(r"could not run: \d+ checks \(.*\): preflight.reachable failed \(see 1\)$", missing)
        assert ended.lines("acks: none; no valid delivery was acknowledged")
        assert ended.lines("Next: mend 1 and run again; ")
        assert ended.result is not None
        assert 0 == ended.result["acks"]["count"]

    def test_only_others(self, tmp_path: Path) -> None:
        """Without the check that would say so, nothing is green either, even where incompleteness is accepted."""
        ended = pytest_in(tmp_path, f"--receiver-url={unused_url()}", WRONG, "--receiver-allow-incomplete")
        assert 8 == ended.status, ended.output
        assert ": preflight.reachable failed: unreachable: " in ended.output
        assert {"could-not-run"} == set(ended.verdicts.values())


class TestRefusing:
    """A receiver that refuses everything passes no check for refusals."""

    def test_all(self, tmp_path: Path) -> None:
        """The run fails, and names the options to compare."""
        with serving(lambda request: (401, "text/plain", b"no")) as little:
            effects = f"--receiver-effects={little.url}/effects"
            ended = pytest_in(tmp_path, f"--receiver-url={little.url}", effects, FIRST, WRONG)
        assert 1 == ended.status, ended.output
        words = ended.output.replace("\n  ", " ")
        assert "Compare --receiver-provider, --receiver-app-key and --receiver-app-secret with what the" in words
        verdicts = {name.partition(".")[2]: verdict for name, verdict in ended.verdicts.items()}
        assert "fail" == verdicts.pop("preflight.accepts-valid")
        assert "pass" == verdicts.pop("preflight.reachable")
        assert {"could-not-run"} == set(verdicts.values())

    def test_only_others(self, tmp_path: Path) -> None:
        """The refusal of a bad request proves nothing where good ones are refused."""
        with serving(lambda request: (401, "text/plain", b"no")) as little:
            ended = pytest_in(tmp_path, f"--receiver-url={little.url}", WRONG, "--receiver-allow-incomplete")
        assert 8 == ended.status, ended.output
        assert ": preflight.accepts-valid failed: none of " in ended.output


class TestNothingChosen:
    """No check is left."""

    def test_glob(self, good: str, tmp_path: Path) -> None:
        """A glob that fits no check is a bad option."""
        ended = pytest_in(tmp_path, *options_for(good), "--receiver-check=*.signatures.*")
        assert 4 == ended.status
        assert (
            "--receiver-check=*.signatures.* matches no check of commsease (data-sync); did you mean '*.signature.*'? list them with: pytest"
            in ended.output
        )
        assert ended.result is None

    @pytest.mark.parametrize("argument", ["-k=no_such_check", "-m=no_such_mark"])
    def test_deselected(self, argument: str, good: str, tmp_path: Path) -> None:
        """So is a choice of pytest's own that leaves none."""
        ended = pytest_in(tmp_path, *options_for(good), argument)
        assert 4 == ended.status, ended.output
        assert "no check was selected: look at -k, -m, --deselect" in ended.output
        assert ended.result is not None
        assert ("error", 4, []) == tuple(ended.result[name] for name in ("verdict", "exit_status", "checks"))

    def test_paths(self, good: str, tmp_path: Path) -> None:
        """Paths beside the address would be ignored, so they are refused."""
        (tmp_path / "test_own.py").write_text("def test_a(): pass\n", encoding="utf-8")
        ended = pytest_in(tmp_path, *options_for(good), "test_own.py")
        assert 4 == ended.status
        assert "leave out the paths (test_own.py), and choose checks with --receiver-check=GLOB" in ended.output


class TestNoEffects:
    """No effects are given."""

    def test_incomplete(self, good: str, tmp_path: Path) -> None:
        """The run is incomplete, and says how to give them."""
        chosen = (FIRST, WRONG, "--receiver-check=*.deduplication.same-*")
        ended = pytest_in(tmp_path, f"--receiver-url={good}/commsease", *chosen)
        assert 8 == ended.status, ended.output
        assert ": no effects given. " in ended.output
        assert "Give --receiver-effects=…: how your receiver shows what it recorded" in ended.output
        assert "accept it knowingly with --receiver-allow-incomplete" in ended.output
        assert "could-not-run" == ended.verdicts["commsease.deduplication.same-request-again"]
        assert "pass" == ended.verdicts["commsease.signature.rejects-wrong-secret"]

    def test_accepted(self, good: str, tmp_path: Path) -> None:
        """Accepted knowingly, it exits 0, and still is not called passed."""
        ended = pytest_in(tmp_path, f"--receiver-url={good}/commsease", FIRST, RECEIVER_ALLOW_INCOMPLETE="1")
        assert 0 == ended.status, ended.output
        assert ended.result is not None
        assert ("incomplete", 0) == (ended.result["verdict"], ended.result["exit_status"])
        assert ended.lines("receiver verdict: INCOMPLETE")

    def test_unreadable(self, good: str, tmp_path: Path) -> None:
        """Effects that answer with an error are named with their status."""
        given = f"--receiver-effects={good}/nowhere"
        ended = pytest_in(tmp_path, f"--receiver-url={good}/commsease", given, FIRST)
        assert 8 == ended.status, ended.output
        assert f"the effects could not be read: {good}/nowhere answers with status 404" in ended.output
        assert "Is its test mode switched on?" in " ".join(ended.output.split())


class TestStopped:
    """Runs that end before their end."""

    def test_first_failure(self, naive: str, tmp_path: Path) -> None:
        """`-x` stops at the first failure; the result has it, and names what did not run."""
        checks = [f"--receiver-check=commsease.{one}" for one in ("preflight.*", "signature.rejects-wrong-*")]
        ended = pytest_in(tmp_path, "-x", *options_for(naive), *checks, "--receiver-check=*.acks-probe")
        assert 1 == ended.status, ended.output
        assert ended.result is not None
        assert ("fail", 1) == (ended.result["verdict"], ended.result["exit_status"])
        assert "fail" == ended.verdicts["commsease.acknowledgement.acks-probe"]
        assert "could-not-run" == ended.verdicts["commsease.signature.rejects-wrong-secret"]
        assert "pytest ended before it" in ended.output

    @pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send")
    def test_interrupted(self, tmp_path: Path) -> None:
        """Ctrl-C is not green, and no earlier result is left to be taken for this run's."""
        (tmp_path / "result.json").write_text('{"verdict": "pass"}', encoding="utf-8")
        asked, started = threading.Event(), threading.Event()

        def answer(request: Request) -> Answer:
            if not asked.is_set():
                asked.set()
                assert started.wait(SECONDS)
                process.send_signal(signal.SIGINT)
            return 200, "application/json", b""

        with serving(answer) as little:
            command = [sys.executable, "-m", "pytest", f"--receiver-url={little.url}", "--receiver-json=result.json"]
            with spawned(
                command,
                cwd=tmp_path,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process:
                started.set()
                output, _ = process.communicate(timeout=SECONDS)
        assert 2 == process.returncode, output
        assert "KeyboardInterrupt" in output
        assert result_in(tmp_path) is None
