"""What is printed at the end of a run: one screen, made from the JSON result alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from im_callback.conformance.report.screen import NARROWEST, ROOM, Kind, acks_line, screen, verdict

ACKS = {"count": 12, "p50_ms": 3.456, "p95_ms": 99.0, "max_ms": 1200.0}
REASON = "preflight.reachable failed: unreachable: no connection"


def check(name: str = "family.fine", found: str = "pass", level: str = "must", **more: Any) -> dict[str, Any]:
    """Return a check of a result, as far as the screen looks at it."""
    given = {
        "id": f"acme.{name}",
        "title": f"Title of {name}",
        "verdict": found,
        "level": level,
        "gated": level != "may",
    }
    return {**given, "reason": "", "fix": "", **more}


def failure(name: str, level: str = "must", **more: Any) -> dict[str, Any]:
    """Return a failed check, with what its cause says."""
    return check(name, "fail", level, **{"expected": "this", "actual": "that", "fix": f"Mend {name}.", **more})


def undecided(name: str, reason: str, fix: str = "", level: str = "must") -> dict[str, Any]:
    """Return a check that could not run."""
    return check(name, "could-not-run", level, reason=reason, fix=fix)


def result(*checks: dict[str, Any], grouped: tuple[tuple[int, ...], ...] = (), **more: Any) -> dict[str, Any]:
    """Return a result; each failed check is a cause of its own, unless `grouped` says by place which are together."""
    failed = [one for one in checks if one["verdict"] == "fail"]
    groups = [[failed[at] for at in group] for group in grouped] or [[one] for one in failed]
    causes = [
        {
            **{key: group[0][key] for key in ("id", "title", "level", "expected", "actual", "fix")},
            "checks": [one["id"] for one in group],
            "gated": group[0]["gated"] and not group[0].get("known"),
        }
        for group in groups
    ]
    missing = sum(one["verdict"] == "could-not-run" and one["gated"] for one in checks)
    gate = {
        "failed": sum(one["gated"] and not one.get("known") for one in failed),
        "known": sum(bool(one.get("known")) for one in failed),
        "newer": sum(bool(one.get("newer")) for one in failed),
        "below": sum(one["level"] == "may" for one in failed),
        "incomplete": missing,
    }
    found = "fail" if gate["failed"] else "incomplete" if missing else "pass"
    given = {
        "verdict": found,
        "exit_status": {"fail": 1, "incomplete": 8, "pass": 0}[found],
        "gate": gate,
        "acks": ACKS,
    }
    given |= {"seed": 7, "handles": [], "pinned": False, "notes": [], "baseline": [], "causes": causes}
    return {**given, "checks": list(checks), **more}


class TestCauses:
    """What fails the run."""

    def test_long(self) -> None:
        """Each is told in four lines: what, expected and actual, the fix, and where to read on."""
        assert [
            "1. must: Title of family.a (2 checks)",
            "   expected this; got that",
            "   fix: Mend family.a.",
            "   provider-mock explain family.a",
            "2. should: Title of family.c",
            "   expected this; got that",
            "   fix: Mend family.c.",
            "   provider-mock explain family.c",
            "acks: 12, p50 3.5 ms, p95 99 ms, max 1200 ms",
            "Next: mend 1 and see --receiver-check='*.a' pass; more of each: provider-mock explain ID.",
            "receiver verdict: FAIL: 2 causes (3 checks)",
        ] == screen(
            result(failure("family.a"), failure("family.b"), failure("family.c", "should"), grouped=((0, 1), (2,)))
        )

    def test_short(self) -> None:
        """Where they would fill more than the screen each is told in three."""
        lines = screen(result(*(failure(f"family.a{n}") for n in range(11))))
        assert len(lines) <= ROOM
        assert [
            "11. must: Title of family.a10",
            "    family.a10: expected this; got that",
            "    fix: Mend family.a10.",
        ] == lines[30:33]

    def test_very_many(self) -> None:
        """Of very many the rest is named."""
        lines = screen(result(*(failure(f"family.a{n}") for n in range(40))))
        assert len(lines) < 55
        shown = "\n".join(lines)
        assert "\nand 26 causes more: family.a14, family.a15, " in shown
        named = re.findall(r"(?m)(?<!Title of )family\.a\d+(?=[:,\n])", shown)
        assert [f"family.a{n}" for n in range(40)] == named

    def test_long_texts(self) -> None:
        """Expected and actual are one line; what came has the larger part of it. The fix is never cut."""
        said = failure("family.a", expected="e" * 300, actual="a" * 300, fix="Mend it. " * 30)
        lines = screen(result(said), 80)
        assert "   expected " + "e" * 17 + "…; got " + "a" * 43 + "…" == lines[1]
        assert "Mend it. " * 29 + "Mend it." == " ".join(lines[2:6]).replace("fix: ", "").replace("    ", " ").strip()

    def test_what_came_alone(self) -> None:
        """In three lines the title says what was due, if both do not fit."""
        those = [failure(f"family.a{n}", expected="e" * 300, actual="a" * 300) for n in range(12)]
        assert screen(result(*those), 80)[1] == f"   family.a0: got {'a' * 61}…"

    def test_log(self) -> None:
        """Where a receiver cannot be reached, what it printed last stands there."""
        said = failure("preflight.reachable", log=[f"line {n}" for n in range(20)])
        lines = screen(result(said))
        assert ["   | line 12", "   | line 19"] == [lines[4], lines[11]]
        assert "Next: mend 1 and run again; until then little else can be judged." in lines


class TestOthers:
    """What fails and does not fail the run."""

    def test_told_apart(self) -> None:
        """Each says why it does not."""
        lines = screen(
            result(
                check(),
                failure("family.a", "may"),
                failure("family.b", "may", known=True, reason="ticket 7"),
                failure("family.c", "may", newer=True),
                baseline=["acme.family.x: no check has this id"],
            )
        )
        assert [
            "below the gate (may): family.a: Title of family.a",
            "known failure (ticket 7): family.b: Title of family.b",
            "newer than --receiver-checks-as-of: family.c: Title of family.c",
            "baseline: acme.family.x: no check has this id",
        ] == lines[:4]


class TestMissing:
    """What could not run."""

    def test_grouped(self) -> None:
        """It is told once for each reason, with what to provide."""
        those = [undecided(f"family.{name}", "no effects given", "Give them") for name in "abcd"]
        assert [
            "could not run: 4 checks (family.a, family.b, family.c, …): no effects given. Give them",
            "could not run: family.z: no token",
        ] == screen(result(check(), *those, undecided("family.z", "no token")))[:2]

    @pytest.mark.parametrize("feed", ["", "data-sync: "])
    def test_preflight(self, feed: str) -> None:
        """What waits for preflight is one line, which says where that is told."""
        waiting = [undecided(f"family.a{n}", feed + REASON, "Start it.") for n in range(69)]
        lines = screen(result(failure("preflight.reachable"), *waiting))
        assert [
            "could not run: 69 checks (family.a0, family.a1, family.a2, …): preflight.reachable failed (see 1)"
        ] == [line for line in lines if line.startswith("could not run")]

    def test_preflight_not_chosen(self) -> None:
        """Where its own check does not run, the reason is told with what waits for it."""
        assert (
            f"could not run: family.a: {REASON}. Start it."
            == screen(result(undecided("family.a", REASON, "Start it.")))[0]
        )

    def test_our_error(self) -> None:
        """Our own error is none of the receiver's."""
        broken = check("family.a", "harness-error", reason="Traceback\n  File x\nKeyError: 'ours'\n")
        lines = screen(result(broken, verdict="error", exit_status=3))
        assert [
            "could not run: family.a: our own error: KeyError: 'ours'. Please report it, with its trace",
            "acks: 12, p50 3.5 ms, p95 99 ms, max 1200 ms",
            "Next: report our own error, with what is printed above and --receiver-seed=7.",
            "receiver verdict: ERROR: our own error in 1 check",
        ] == lines


class TestVerdict:
    """Tests for `verdict`: one line that tells what fails the run from what does not."""

    @pytest.mark.parametrize(
        ("expected", "checks"),
        [
            ("PASS: 1 check passed", [check()]),
            ("PASS: 2 checks passed", [check(), check("family.other")]),
            (
                "PASS: 1 check passed; 2 findings below the gate",
                [check(), failure("a.b", "may"), failure("a.c", "may")],
            ),
            ("PASS: 1 check passed; 1 known failure", [check(), failure("a.b", known=True)]),
            ("FAIL: 1 cause (1 check)", [check(), failure("a.b")]),
            (
                "FAIL: 2 causes (2 checks); 1 finding below the gate; 1 check could not run",
                [failure("a.b"), failure("a.c"), failure("a.d", "may"), undecided("a.e", "x")],
            ),
            (
                "INCOMPLETE: nothing failed, and not everything could be judged; 2 checks could not run",
                [check(), undecided("a.b", "x"), undecided("a.c", "x")],
            ),
        ],
    )
    def test_told(self, expected: str, checks: list[dict[str, Any]]) -> None:
        """Numbers and words agree."""
        assert expected == verdict(result(*checks))
        assert screen(result(*checks), 200)[-1] == f"receiver verdict: {expected}"

    def test_baseline_only(self) -> None:
        """A run that only the baseline fails says so."""
        found = result(check(), baseline=["acme.a.b: it passes again; take it out"], verdict="fail", exit_status=1)
        assert "FAIL: the baseline names what is no failure any more" == verdict(found)
        assert "Next: take these entries out of the baseline." in screen(found)

    def test_nothing(self) -> None:
        """A run without checks is an error of whoever chose them."""
        found = result(verdict="error", exit_status=4, acks={**ACKS, "count": 0})
        assert "ERROR: no check was run" == verdict(found)
        assert screen(found)[-2].startswith("Next: choose some checks; ")


class TestFollowing:
    """One sentence on what to do next."""

    @pytest.mark.parametrize(
        ("expected", "found"),
        [
            (", or accept it knowingly with --receiver-allow-incomplete.", result(check(), undecided("a.b", "x"))),
            ("provide what is missing.", result(check(), undecided("a.b", "x"), exit_status=0)),
            ("so far nothing could be judged.", result(undecided("a.b", "x"))),
            ("with the --receiver-handles=… printed above.", result(check(), handles=["acme.login"])),
        ],
    )
    def test_told(self, expected: str, found: dict[str, Any]) -> None:
        """An option that was given is not proposed, nor one that would not help."""
        (line,) = (one for one in screen(found, 200) if one.startswith("Next: "))
        assert line.endswith(expected)

    def test_pinned(self) -> None:
        """After a run that passed, with what is recorded pinned, there is nothing to do."""
        assert not any(one.startswith("Next") for one in screen(result(check(), handles=["acme.login"], pinned=True)))


class TestForm:
    """Widths, colours, and what a receiver may say."""

    MANY = result(
        *(failure(f"family.name-{n}", actual="word " * 40, fix="Mend " * 30) for n in range(5)),
        undecided("family.a", "a reason " * 40, "Provide it"),
        failure("family.below", "may"),
        notes=["a note " * 30] * 9,
        handles=["acme.login", "acme.conversation/PERSON/TEXT"],
    )

    @pytest.mark.parametrize("width", [20, 40, 60, 80, 110, 200])
    def test_width(self, width: int) -> None:
        """No line is longer than the terminal but the one that is to be copied whole."""
        records, *lines = screen(self.MANY, width)
        assert "records: --receiver-handles=acme.login,acme.conversation/PERSON/TEXT" == records
        assert max(map(len, lines)) <= max(width, NARROWEST)
        assert "and 3 notes more" in lines

    def test_colours(self) -> None:
        """Lines are given a colour by what they say; without one they are the same."""
        seen: list[tuple[Kind, str]] = []

        def mark(kind: Kind, line: str) -> str:
            seen.append((kind, line))
            return f"<{kind}>{line}"

        marked = screen(self.MANY, 120, mark)
        assert screen(self.MANY, 120) == [line.partition(">")[2] for line in marked]
        kinds = {line.strip().partition(":")[0]: kind for kind, line in seen}
        assert {
            "1. must": "bad",
            "below the gate (may)": "odd",
            "could not run": "odd",
            "receiver verdict": "bad",
        }.items() <= kinds.items()
        assert {"records": "plain", "fix": "plain", "acks": "plain"}.items() <= kinds.items()
        assert ["<good>receiver verdict: PASS: 1 check passed"] == screen(result(check()), 80, mark)[-1:]

    def test_hostile(self) -> None:
        """Line breaks of a receiver make no lines of their own."""
        said = "\n::error::x\n\n  \t1. must: all is well\nreceiver verdict: PASS"
        lines = screen(
            result(failure("family.a", actual=said), undecided("family.b", said, said), notes=[said], baseline=[said])
        )
        assert 1 == len([line for line in lines if line.startswith(("receiver verdict", "1. "))]) - 1


class TestAcks:
    """Tests for `acks_line`."""

    def test_none(self) -> None:
        """Where nothing was acknowledged there are no times."""
        assert "acks: none; no valid delivery was acknowledged" == acks_line({**ACKS, "count": 0})
