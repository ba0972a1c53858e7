"""What CI systems get of a whole run: files, summary, annotations, and no command that a receiver made up."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import junitparser
import pytest
import xunitparser
from im_callback.conformance.ci import add_summary
from im_callback.conformance.report.junit import junit
from im_callback.conformance.report.markdown import LARGEST, markdown
from im_callback.conformance.report.sarif import sarif

from tests.commands import Run
from tests.conformance.little_server import Answer, serving
from tests.plugin.processes import pytest_in
from tests.report.documents import check, document, failed, valid
from tests.report.test_github import obeyed

EVIL = "::error::forged\n  ::set-output name=a::b\nx ##[add-mask]t\n##vso[task.complete]\n::stop-commands::t"
UNSHAPED: Answer = (200, "text/plain; x=##[error]", EVIL.encode())
CHECKS = ("--receiver-provider=tencent", "--receiver-check=*.answer-shape", "--receiver-check=*.preflight.*")


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the CI system that these tests may run in alone."""
    for name in list(os.environ):
        if name.startswith("GITHUB_"):
            monkeypatch.delenv(name)


class TestWholeRun:
    """Both commands against a receiver whose words are commands of CI systems."""

    def test_pytest(self, tmp_path: Path) -> None:
        """All files are of the one document; pytest's own option for JUnit gives ours; what is printed commands nothing."""
        summary = tmp_path / "summary.md"
        with serving(lambda request: UNSHAPED) as little:
            ended = pytest_in(
                tmp_path,
                f"--receiver-url={little.url}",
                *CHECKS,
                *("-vv", "-rA", "--junitxml=new/pytest.xml", "--receiver-junit=ours.xml"),
                *("--receiver-markdown=ours.md", "--receiver-sarif=ours.sarif"),
                GITHUB_ACTIONS="true",
                GITHUB_STEP_SUMMARY=str(summary),
            )
        assert 1 == ended.status, ended.output
        assert ended.result is not None
        texts = {
            "ours.xml": junit(ended.result),
            "new/pytest.xml": junit(ended.result),
            "ours.md": markdown(ended.result),
            "summary.md": markdown(ended.result),
            "ours.sarif": sarif(ended.result),
        }
        assert texts == {name: (tmp_path / name).read_text(encoding="utf-8") for name in texts}
        valid(ended.result)
        [suite] = junitparser.JUnitXml.fromfile(str(tmp_path / "new" / "pytest.xml"))
        assert [one["id"] for one in ended.result["checks"]] == [case.name for case in suite]
        commands = [found for line in ended.output.splitlines() if (found := obeyed(line))]
        assert len(ended.result["causes"]) == len([one for one in commands if one[2].startswith("expected: ")]) > 0
        assert {"error", "warning"} >= {one[0] for one in commands}
        assert all(" (" in one[1]["title"] or one[1]["title"].startswith("could not run") for one in commands)
        assert r"\x3a:error::forged" in ended.output

    def test_check(self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """So it is with the command that knows no pytest; outside of GitHub nothing is marked."""
        file, result = tmp_path / "ours.xml", tmp_path / "result.json"
        command = ("check", "--provider=tencent", "--check=*.answer-shape", "-v", f"--junit={file}", f"--json={result}")
        with serving(lambda request: UNSHAPED) as little:
            ran = run(*command, f"--to={little.url}")
            assert [] == [line for line in ran.out.splitlines() if obeyed(line)]
            assert junit(json.loads(result.read_text(encoding="utf-8"))) == file.read_text(encoding="utf-8")
            monkeypatch.setenv("GITHUB_ACTIONS", "true")
            monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
            ran = run(*command, f"--to={little.url}")
        assert 8 == ran.status
        [annotation] = [line for line in ran.out.splitlines() if obeyed(line)]
        assert annotation.startswith("::error title=could not run%3A tencent.acknowledgement.answer-shape::")
        assert f"GITHUB_STEP_SUMMARY: {tmp_path} could not be written (Is a directory)" in ran.out

    def test_one_folder(self, run: Run, tmp_path: Path) -> None:
        """The files of three providers, and of two feeds, go together: two readers find each test case once."""
        runs = [("commsease", "data-sync"), ("commsease", "rtc"), ("rongcloud", "chatroom-kv"), ("tencent", "after")]
        with serving(lambda request: UNSHAPED) as little:
            for provider, feed in runs:
                file = tmp_path / f"{provider}-{feed}.xml"
                checks = (f"--provider={provider}", f"--feed={feed}", "--check=*.preflight.*", f"--junit={file}")
                assert run("check", f"--to={little.url}", *checks).status in (1, 8)
        whole = junitparser.JUnitXml()
        for file in sorted(tmp_path.glob("*.xml")):
            whole += junitparser.JUnitXml.fromfile(str(file))
        first = [(case.classname, case.name) for suite in whole for case in suite]
        second = []
        for file in sorted(tmp_path.glob("*.xml")):
            suite, _ = xunitparser.parse(io.StringIO(file.read_text(encoding="utf-8")))
            second += [(case.classname, case.methodname) for case in suite]
        assert sorted(first) == sorted(second)
        assert len(first) == len(set(first)) > 4 * len(runs)
        assert whole.failures + whole.errors > 0

    def test_collected(self, tmp_path: Path) -> None:
        """Where checks are only listed, nothing is written."""
        ended = pytest_in(
            tmp_path,
            *("--receiver-url=http://127.0.0.1:9/", *CHECKS, "--collect-only", "--junitxml=pytest.xml"),
            GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"),
        )
        assert 0 == ended.status, ended.output
        assert [] == [one for one in os.listdir(tmp_path) if not one.startswith(".")]

    def test_unwritable(self, tmp_path: Path) -> None:
        """A path for pytest's own option that cannot be written is refused by its name."""
        (tmp_path / "file").write_text("", encoding="utf-8")
        ended = pytest_in(tmp_path, "--receiver-url=http://127.0.0.1:9/", "--junitxml=file/pytest.xml")
        assert 4 == ended.status
        assert ended.output.startswith("ERROR: --junitxml=file/pytest.xml: it cannot be written")


class TestSummary:
    """Tests for `add_summary`."""

    def test_appended(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What other commands of the step have written stays, and counts."""
        file = tmp_path / "summary.md"
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
        given = document(*(failed(f"payloads.n{n}", actual="x" * 4000) for n in range(300)))
        others = "y" * 500_000 + "\n"
        file.write_text(others, encoding="utf-8")
        assert "" == add_summary(given)
        written = file.read_text(encoding="utf-8")
        assert written.startswith(f"{others}\n## ❌ FAIL")
        assert LARGEST - 20_000 < len(written.encode()) <= LARGEST
        assert "_Cut here: " in written[-200:]

    def test_nowhere(self) -> None:
        """Where there is no such file, nothing happens."""
        assert "" == add_summary(document(check("signature.good")))
