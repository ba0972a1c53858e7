"""Annotations: read as GitHub's runner reads a line, which nothing from a receiver commands."""

from __future__ import annotations

import re

import pytest
from im_callback.conformance.report.github import MOST, annotation_lines
from im_callback.conformance.report.visible import no_command

from tests.report.documents import HOSTILE, check, document, failed, hostile

COMMANDS = {"error", "warning", "notice", "debug", "add-mask", "set-output", "set-env", "add-path", "stop-commands"}
SAID = "expected: refused%0Aactual: acknowledged%0Afix: The way out.%0Aprovider-mock explain "


def obeyed(line: str) -> tuple[str, dict[str, str], str] | None:
    """Return the command that GitHub's runner sees in a line, with its properties and data; its two forms one by one."""
    begun = line.lstrip()
    if begun.startswith("::") and "::" in begun[2:]:
        told, _, data = begun[2:].partition("::")
        name, _, given = told.partition(" ")
        if name.lower() in COMMANDS:
            pairs = (one.partition("=") for one in given.split(",") if one)
            return name, {key.strip(): unescaped(value) for key, _, value in pairs}, unescaped(data)
    if found := re.search(r"##\[([^\] ]*)([^\]]*)\](.*)", line):
        return (found[1], {}, found[3]) if found[1].lower() in COMMANDS else None
    return None


def unescaped(text: str) -> str:
    """Return what the runner makes of escapes."""
    for escape, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(escape, character)
    return text


class TestAnnotations:
    """Tests for `annotation_lines`."""

    def test_kinds(self) -> None:
        """A cause that fails the run is an error, one below the gate a warning, a known one nothing."""
        given = document(
            failed("signature.bad"),
            failed("payloads.small", level="may", gated=False),
            failed("payloads.known", reason="ticket 7"),
            check("ordering.unseen", "could-not-run"),
            check("ordering.other", "could-not-run"),
            check("ordering.hardly", "could-not-run", gated=False, level="may"),
            check("signature.good"),
        )
        assert [
            f"::error title=What is wrong about commsease.signature.bad (must)::{SAID}commsease.signature.bad",
            "::error title=could not run%3A 2 checks::no effects were given%0AGive them with --receiver-effects",
            f"::warning title=What is wrong about commsease.payloads.small (may)::{SAID}commsease.payloads.small",
        ] == annotation_lines(given)

    def test_more(self) -> None:
        """A cause says how many more checks show it."""
        given = document(failed("signature.bad"), failed("signature.worse"))
        del given["causes"][1]
        given["causes"][0]["checks"].append("commsease.signature.worse")
        [line] = annotation_lines(given)
        assert line.endswith("provider-mock explain commsease.signature.bad (1 more with the same cause)")

    def test_allowed(self) -> None:
        """What could not run is a warning where that is accepted."""
        given = document(check("ordering.unseen", "could-not-run"), exit_status=0)
        assert ["::warning title=could not run%3A commsease.ordering.unseen"] == [
            one.rpartition("::")[0] for one in annotation_lines(given)
        ]

    def test_wrong(self) -> None:
        """What fails the run besides its checks is an error, and so is our own."""
        given = document(check("signature.odd", "harness-error", reason="Traceback\nValueError: 5 %\n"), baseline=["x"])
        assert [
            "::error title=receiver verdict%3A error::x",
            "::error title=our own error in commsease.signature.odd::ValueError: 5 %25",
        ] == annotation_lines(given)

    def test_green(self) -> None:
        """A green run has none."""
        assert [] == annotation_lines(document(check("signature.good")))

    def test_most(self) -> None:
        """There are no more than GitHub keeps, and the last says how many there were."""
        given = document(
            *(failed(f"signature.n{n}") for n in range(14)),
            *(failed(f"payloads.n{n}", gated=False, level="may") for n in range(MOST)),
        )
        lines = annotation_lines(given)
        assert 2 * MOST == len(lines)
        assert lines[MOST - 1].endswith("%0Aand 4 more, which GitHub would not show")
        assert not lines[-1].endswith("would not show")

    def test_hostile(self) -> None:
        """A receiver's words stay in the title or the message of our own annotation."""
        lines = annotation_lines(hostile())
        assert 5 == len(lines)
        for line in lines:
            assert "\n" not in line
            name, properties, message = obeyed(line)
            assert name in ("error", "warning")
            assert ["title"] == list(properties)
            assert HOSTILE.splitlines()[-1] in message


class TestNoCommand:
    """Tests for `no_command`."""

    @pytest.mark.parametrize(
        ("expected", "line"),
        [
            ("\\x3a:error::x", "::error::x"),
            ("   \\x3a:set-output name=a::b", "   ::set-output name=a::b"),
            ("\t\u3000\\x3a:add-mask::a", "\t\u3000::add-mask::a"),
            ("x\n\\x3a:stop-commands::t", "x\n::stop-commands::t"),
            ("said \\x23#[add-mask]x", "said ##[add-mask]x"),
            ("said \\x23#vso[task.setvariable]x", "said ##vso[task.setvariable]x"),
            ("\\x23#teamcity[buildStop]", "##teamcity[buildStop]"),
            ("\u200d\\x3a:error::x", "\u200d::error::x"),
            ("\\x3a\u200d:error::x", ":\u200d:error::x"),
            ("\\x23\ufe0f#[error]x", "#\ufe0f#[error]x"),
        ],
    )
    def test_marks(self, expected: str, line: str) -> None:
        """A mark that a CI system obeys is one no more, also where characters without width stand in it."""
        assert expected == no_command(line)
        assert not any(map(obeyed, no_command(line).splitlines()))

    @pytest.mark.parametrize("line", ["a::b::c", '{":": 1}', "## heading", "#1 [x]", "curl http://[::1]:80/", "x: : y"])
    def test_others(self, line: str) -> None:
        """Everything else stays as it is."""
        assert line == no_command(line)

    def test_whole(self) -> None:
        """Whatever a receiver says, none of its lines commands."""
        assert any(map(obeyed, HOSTILE.splitlines()))
        assert not any(map(obeyed, no_command(HOSTILE).splitlines()))
