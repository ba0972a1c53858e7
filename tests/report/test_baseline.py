"""The baseline: what of it stays, comes and goes when it is written anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from im_callback.conformance.baseline import UNEXPLAINED, BadBaseline, check_ids, parsed, updated
from im_callback.conformance.verdict import Level, Result, Verdict

from tests.commands import Run
from tests.conformance.little_server import Answer, serving

FAIL, PASS = Verdict.FAIL, Verdict.PASS
UNSHAPED: Answer = (200, "application/json", b'{"echo": 1}')
SHAPED: Answer = (200, "application/json", b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}')
SHAPE = "tencent.acknowledgement.answer-shape"


def result(name: str, verdict: Verdict, level: Level = Level.MUST, *, newer: bool = False) -> Result:
    """Return what a check came to."""
    return Result(name, "Title", level, "Document", verdict, newer=newer)


def flat(said: str) -> str:
    """Return what was printed on one line."""
    return " ".join(said.split())


class TestParsed:
    """Tests for `parsed`."""

    @pytest.mark.parametrize(
        ("said", "text"),
        [
            ("not JSON", "{"),
            ("give an object from check id to a reason, never empty", "[]"),
            ("give an object from check id to a reason, never empty", '{"a.b.c": ""}'),
            ("give an object from check id to a reason, never empty", '{"a.b.c": 1}'),
            ("without a.preflight.c nothing is judged; take it out", '{"a.preflight.c": "x"}'),
        ],
    )
    def test_refused(self, said: str, text: str) -> None:
        """What is no baseline is refused."""
        with pytest.raises(BadBaseline, match=f"^{said}"):
            parsed(text.encode())


class TestUpdated:
    """Tests for `updated`."""

    OLD = {
        "a.x.fails": "ticket 1",
        "a.x.passes": "ticket 2",
        "a.x.below": "ticket 3",
        "a.x.unsure": "ticket 4",
        "a.x.chosen-not": "ticket 5",
        "b.x.other": "ticket 6",
        "a.x.gone": "ticket 7",
        "a.x.odd": "ticket 8",
        "a.x.asked-not": "ticket 9",
    }
    RESULTS = (
        result("a.x.fails", FAIL),
        result("a.x.passes", PASS),
        result("a.x.below", FAIL, Level.MAY),
        result("a.x.unsure", Verdict.COULD_NOT_RUN),
        result("a.x.odd", Verdict.HARNESS_ERROR),
        result("a.x.asked-not", Verdict.NOT_APPLICABLE),
        result("a.x.new", FAIL),
        result("a.x.new-below", FAIL, Level.MAY),
        result("a.x.newer", FAIL, newer=True),
        result("a.preflight.records", FAIL),
    )
    IDS = {*OLD, *(one.id for one in RESULTS)} - {"a.x.gone"}

    def test_update(self) -> None:
        """Reasons stay where nothing passed; what fails the run comes, without preflight; what passes or is no check goes."""
        update = updated(self.OLD, self.RESULTS, Level.SHOULD, self.IDS)
        gone = {"a.x.passes", "a.x.gone"}
        kept = {name: reason for name, reason in self.OLD.items() if name not in gone}
        assert {**kept, "a.x.new": UNEXPLAINED} == dict(update.known)
        assert (("a.x.new",), ("a.x.gone", "a.x.passes")) == (update.added, update.dropped)

    def test_text(self) -> None:
        """The file is sorted, is a baseline itself, and comes out the same again."""
        update = updated(self.OLD, self.RESULTS, Level.SHOULD, self.IDS)
        again = parsed(update.text.encode())
        assert sorted(again) == list(again)
        second = updated(again, self.RESULTS, Level.SHOULD, self.IDS)
        assert (update.text, (), ()) == (second.text, second.added, second.dropped)
        assert ["baseline known.json: nothing changed"] == second.lines("known.json")

    def test_lines(self) -> None:
        """What came and went is said."""
        assert [
            "baseline known.json: 1 failure came, known from the next run on; give each its reason (a.x.new)",
            "baseline known.json: 2 entries went (a.x.gone, a.x.passes)",
        ] == updated(self.OLD, self.RESULTS, Level.SHOULD, self.IDS).lines("known.json")

    def test_ids(self) -> None:
        """The checks of every provider are known."""
        assert {"commsease.signature.rejects-wrong-secret", SHAPE} <= check_ids()


class TestCommand:
    """--baseline-update, from end to end."""

    def check(self, run: Run, url: str, *more: str) -> tuple[int, str]:
        """Run a few checks; return the exit status and what was printed."""
        names = (f"--check={SHAPE}", "--check=*.preflight.reachable")
        ran = run("check", f"--to={url}", "--provider=tencent", *names, *more)
        return ran.status, ran.out + ran.err

    def test_written(self, run: Run, tmp_path: Path) -> None:
        """A new failure fails the run that notes it, is known in the next, and is taken out when it passes."""
        file = tmp_path / "known.json"
        file.write_text(json.dumps({"commsease.signature.rejects-wrong-secret": "ticket 7"}), encoding="utf-8")
        options = (f"--baseline={file}", f"--json={tmp_path / 'result.json'}")
        with serving(lambda request: UNSHAPED) as little:
            status, said = self.check(run, little.url, *options, "--baseline-update")
            assert (1, True) == (
                status,
                f"baseline known.json: 1 failure came, known from the next run on; give each its reason ({SHAPE})"
                in flat(said),
            )
            added = {"commsease.signature.rejects-wrong-secret": "ticket 7", SHAPE: UNEXPLAINED}
            assert added == json.loads(file.read_text(encoding="utf-8"))
            assert 1 == json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["exit_status"]
            status, said = self.check(run, little.url, *options)
            assert 0 == status, said
            file.write_text(json.dumps({**added, SHAPE: "ticket 8"}), encoding="utf-8")
            status, said = self.check(run, little.url, *options, "--baseline-update")
            assert (0, True) == (status, "baseline known.json: nothing changed" in said)
            assert "ticket 8" == json.loads(file.read_text(encoding="utf-8"))[SHAPE]
        with serving(lambda request: SHAPED) as little:
            assert 1 == self.check(run, little.url, *options)[0]
            status, said = self.check(run, little.url, *options, "--baseline-update")
            assert (0, True) == (status, f"baseline known.json: 1 entry went ({SHAPE})" in flat(said))
            assert ["commsease.signature.rejects-wrong-secret"] == list(json.loads(file.read_text(encoding="utf-8")))

    def test_first(self, run: Run, tmp_path: Path) -> None:
        """The file need not be there yet; what cannot be excused is not written into it."""
        file = tmp_path / "known.json"
        with serving(lambda request: (403, "text/plain", b"")) as little:
            ran = run(
                *("check", f"--to={little.url}", "--provider=tencent", "--check=*.preflight.*"),
                *(f"--baseline={file}", "--baseline-update"),
            )
        assert (1, "{}\n") == (ran.status, file.read_text(encoding="utf-8"))

    @pytest.mark.parametrize(
        ("said", "more"),
        [
            ("--baseline-update: name the file that it is to write with --baseline=FILE", []),
            ("--baseline={folder}: there is no file {folder}", ["--baseline={folder}"]),
            (
                "--baseline={folder}/no/known.json: there is no folder {folder}/no; make it first",
                ["--baseline={folder}/no/known.json"],
            ),
            ("--baseline={folder}/bad.json: not JSON", ["--baseline={folder}/bad.json"]),
        ],
    )
    def test_refused(self, said: str, more: list[str], run: Run, tmp_path: Path) -> None:
        """What cannot be written or read is refused before anything is sent."""
        (tmp_path / "bad.json").write_text("{", encoding="utf-8")
        status, told = self.check(
            run, "http://127.0.0.1:9/", "--baseline-update", *(one.format(folder=tmp_path) for one in more)
        )
        assert 4 == status
        assert said.format(folder=tmp_path) in told
        assert "{" == (tmp_path / "bad.json").read_text(encoding="utf-8")
