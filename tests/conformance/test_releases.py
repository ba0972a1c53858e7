"""The checks of each release are frozen; a run that is pinned to one fails for no other."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from im_callback.conformance import releases
from im_callback.conformance.check import Check, all_checks
from im_callback.conformance.run import Run
from im_callback.conformance.runner import conclude, fold, run_check
from im_callback.conformance.settings import Settings
from im_callback.conformance.verdict import CouldNotRun, Failed, Level, Result
from im_callback.provider_mock import providers

from tests.conformance.little_server import unused_url

HERE = releases.versions()[-1]


def test_frozen() -> None:
    """The version that is worked on lists every check; what a release had stays there under its name."""
    current = releases.listed(all_checks())
    assert version("im-callback-conformance") == HERE
    assert current == sorted(releases.names(HERE)), (
        f"write conformance/releases/{HERE}.json anew: {json.dumps(current)}"
    )
    for one in releases.versions():
        assert releases.names(one) <= set(current), f"checks of {one} are gone or renamed"


def test_file_is_sorted() -> None:
    """A check is a line, in the order in which a diff shows what came."""
    for path in Path(releases.__file__).parent.glob("*.json"):
        listed = json.loads(path.read_text())
        assert sorted(set(listed)) == listed
        assert len(listed) + 2 == len(path.read_text().splitlines())


def test_unknown() -> None:
    """A version that there is not is said, with those there are."""
    with pytest.raises(releases.UnknownRelease, match=re.escape(f"no release is called '9.9'; choose one of: {HERE}")):
        releases.names("9.9")


def fails(run: Run) -> None:
    """Fail, for a cause that others show too."""
    raise Failed("due", "done", cause="x")


def cannot(run: Run) -> None:
    """Find nothing out."""
    raise CouldNotRun("nothing there")


def passes(run: Run) -> None:
    """Find nothing wrong."""


for function in (fails, cannot, passes):
    function.__module__ = f"{releases.OURS}checks.family"


def played(*functions: object, pinned: frozenset[str] | None, level: Level = Level.MUST) -> tuple[list[Result], str]:
    """Return the results of checks called a, b, … in a run that is pinned, and the verdict."""
    provider = providers.load("tencent")
    run = Run(Settings(unused_url(), provider, provider.defaults, seed=1, pinned=pinned))
    results = []
    for name, function in zip("abc", functions):  # noqa: B905
        check = Check(function, "family", name, name, level, "transport", "why", "fix", preflight=True)  # type: ignore[arg-type]
        results.append(run_check(check, run))
        fold(results[-1], run)
    return results, conclude(results, Level.SHOULD, {}, ()).verdict


class TestPinned:
    """What a newer check does to a gate: nothing."""

    @pytest.mark.parametrize(
        ("verdict", "newer", "functions", "pinned"),
        [
            ("fail", [False, False], (passes, fails), None),
            ("fail", [False, False], (passes, fails), frozenset({"family.a", "family.b"})),
            ("pass", [False, True], (passes, fails), frozenset({"family.a"})),
            ("pass", [False, True], (passes, cannot), frozenset({"family.a"})),
            # Nothing that counts has run.
            ("incomplete", [True], (passes,), frozenset()),
        ],
    )
    def test_table(
        self, verdict: str, newer: list[bool], functions: tuple[object, ...], pinned: frozenset[str] | None
    ) -> None:
        """The verdict, and which results are newer."""
        results, found = played(*functions, pinned=pinned)
        assert (verdict, newer) == (found, [one.newer for one in results])

    def test_folded(self) -> None:
        """A failure that counts is not folded into one that does not."""
        results, verdict = played(fails, fails, fails, pinned=frozenset({"family.b", "family.c"}))
        tail = [one.folded_into.rpartition(".")[2] for one in results]
        assert ("fail", ["", "", "b"]) == (verdict, tail)

    def test_binds_less(self) -> None:
        """What only a newer check sends is not for the others to judge."""
        seen = []
        played(lambda run: seen.append(run.binding), pinned=None)
        function = replace  # any callable of another module is no check of ours
        assert not releases.ours(Check(function, "f", "s", "t", Level.MUST, "t", "w", "f"))  # type: ignore[arg-type]

        def sends(run: Run) -> None:
            seen.append(run.binding)

        sends.__module__ = f"{releases.OURS}checks.family"
        played(sends, pinned=frozenset())
        assert [Level.MUST, Level.MAY] == list(dict.fromkeys(seen))
