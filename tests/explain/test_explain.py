"""The command `provider-mock explain`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from im_callback.conformance.check import all_checks
from im_callback.conformance.explain.explained import Explained, NoSuchCheck, explained
from im_callback.conformance.explain.printed import printed
from im_callback.conformance.releases import name
from im_callback.provider_mock import providers
from im_callback.provider_mock.commands.shared import printed as shared

from tests.commands import Ran, Run

TAMPERED = "signature.rejects-tampered-body"
EVERY = [name(one) for one in all_checks(explored=True)]


class TestFound:
    """Tests for `explained`."""

    @pytest.mark.parametrize("given", [f"commsease.{TAMPERED}", TAMPERED, "rejects-tampered-body"])
    def test_names(self, given: str) -> None:
        """An id, an id without its provider, or the rest of it alone."""
        found = explained(given)
        assert TAMPERED == found.name
        assert [f"commsease.{TAMPERED}"] == found.ids

    @pytest.mark.parametrize("given", EVERY)
    def test_every(self, given: str) -> None:
        """Every check is explained, for all providers and for each where it holds."""
        whole = explained(given)
        assert {one.id for one in whole.requirements} == set(whole.ids)
        for one in whole.ids:
            alone = explained(one)
            assert {one} == {each.id for each in alone.requirements}
            assert alone.requirements == [each for each in whole.requirements if each.id == one]

    def test_providers(self) -> None:
        """With a provider it is explained for that one alone."""
        found = explained("tencent.deduplication.concurrent")
        assert {"tencent"} == {one.provider for one in found.requirements}
        feeds = [feed for one in found.requirements for feed in one.feeds]
        assert sorted(feed.name for feed in providers.load("tencent").feeds) == sorted(feeds)
        assert ["--receiver-effects"] == found.needs
        assert ["--receiver-effects", "--receiver-command"] == explained("after-restart").needs

    @pytest.mark.parametrize(
        ("said", "given"),
        [
            (f"no check is called 'rejects-tampered'; did you mean '{TAMPERED}'? ", "rejects-tampered"),
            (f"no check is called 'rejects-tamperd-body'; did you mean '{TAMPERED}'? ", "rejects-tamperd-body"),
            (f"did you mean 'commsease.{TAMPERED}'? provider-mock", "commsease.signature.rejects-tamperd-body"),
            ("no check is called 'zzz'; provider-mock check --list lists them", "zzz"),
            ("no check is called ''; provider-mock", ""),
            ("no check is called 'commsease.'; provider-mock", "commsease."),
            (f"{TAMPERED} holds at no feed of rongcloud; it holds at commsease", f"rongcloud.{TAMPERED}"),
            (
                "signature.rejects-altered-id holds at no feed of tencent; it holds at ",
                "tencent.signature.rejects-altered-id",
            ),
        ],
    )
    def test_none(self, said: str, given: str) -> None:
        """What is no check is told with the nearest ones, or with where it holds."""
        with pytest.raises(NoSuchCheck) as error:
            explained(given)
        assert said in str(error.value)

    def test_several(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A name that several families have needs its family."""
        lost = next(one for one in all_checks(explored=True) if one.family == "explored")
        twins = [lost, type(lost)(**{one: getattr(lost, one) for one in lost.__slots__} | {"family": "other"})]
        monkeypatch.setattr("im_callback.conformance.explain.explained.all_checks", lambda **_: twins)
        with pytest.raises(NoSuchCheck, match=f"called '{lost.slug}': give one of explored.{lost.slug}, other"):
            explained(lost.slug)

    def test_untold(self) -> None:
        """A check of a package that tells nothing of itself is explained with what its decorator says."""
        check = next(one for one in all_checks() if name(one) == TAMPERED)

        def bare(run: object) -> None:
            pass

        given = {one: getattr(check, one) for one in check.__slots__} | {"function": bare, "remedies": ()}
        found = Explained(type(check)(**given), [providers.load("commsease")])
        told = printed(found, 80)
        assert check.why in " ".join(told.split())
        assert "What is sent" not in told
        assert ("", (), []) == (found.drawing, found.told.ways, found.as_json()["fixes"])


class TestCommand:
    """What is printed."""

    def test_piped(self, run: Run) -> None:
        """A line of JSON with all of it."""
        ran = run("explain", TAMPERED)
        assert (0, "", 1) == (ran.status, ran.err, len(ran.lines))
        (told,) = ran.lines
        assert TAMPERED == told["check"]
        assert {"must"} == {one["level"] for one in told["requirements"]}
        assert {"step": "answer", "text": "refused"} in told["sends"]
        assert ["raw-body", "constant-time"] == [one["kind"] for one in told["fixes"]]
        assert "get_data()" in told["fixes"][0]["code"]["Flask"]
        lost = run("explain", "retry-after-lost-ack").lines[0]["sends"]
        assert {"step": "answer", "text": "acknowledged", "lost": True} in lost

    @pytest.mark.parametrize("columns", [60, 80, 200])
    def test_people(self, run: Run, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """On a terminal it is text that fits; drawings and code are as wide as they are."""
        monkeypatch.setattr(shared, "for_people", lambda as_json: not as_json)
        monkeypatch.setenv("COLUMNS", str(columns))
        ran = run("explain", f"commsease.{TAMPERED}")
        assert (0, "") == (ran.status, ran.err)
        headings = ["What is sent", "What passes", "Why it matters", "The fix", "Known ways to fail it"]
        at = [ran.out.index(one) for one in [*headings, "Where it comes from", "Hash the bytes as they came", "Flask"]]
        assert sorted(at) == at
        text = [line for line in ran.out[: ran.out.index("Flask")].splitlines() if "|" not in line]
        assert max(map(len, text[2:])) <= max(min(columns, 100), 68)
        assert ran.out.isascii()

    def test_unknown(self, run: Run) -> None:
        """It is one line, with the nearest ones."""
        ran = run("explain", "rejects-tampered")
        assert (
            Ran(
                2,
                "",
                f"error: no check is called 'rejects-tampered'; did you mean '{TAMPERED}'? "
                "provider-mock check --list lists them\n",
            )
            == ran
        )
        assert "error: no provider is called 'comsease'" in run("explain", f"comsease.{TAMPERED}").err

    def test_started_by_itself(self) -> None:
        """Nothing of the gate is loaded until it is asked for."""
        code = (
            "import sys\n"
            "from im_callback.provider_mock.cli import main\n"
            "main(['sample', 'commsease.login'], standalone_mode=False)\n"
            "sys.exit(any(one.startswith('im_callback.conformance') for one in sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
        assert 0 == done.returncode


class TestPackages:
    """Families that cannot be loaded."""

    def test_told(self, tmp_path: Path) -> None:
        """A check that may be in one of them is told with what is wrong with it."""
        info = tmp_path / "broken-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text("[im_callback.checks]\nours = not_there\n", encoding="utf-8")
        code = "from im_callback.provider_mock.cli import entry; entry()"
        done = subprocess.run(
            [sys.executable, "-c", code, "explain", "ours.check"],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (2, "") == (done.returncode, done.stdout)
        warning, error = done.stderr.splitlines()
        assert warning.startswith("warning: the family of checks 'ours' of the package broken cannot be loaded")
        assert error.startswith("error: no check is called 'ours.check'; ")
