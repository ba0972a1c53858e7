"""What a run looks like on a terminal: a bar while it runs, colours as pytest has them, its width."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conformance.little_server import Answer, serving
from tests.plugin.processes import MODULE, SECONDS, environment

CHECKS = ("--receiver-check=*.preflight.*", "--receiver-check=*.acks-probe")
COMMAND = (sys.executable, "-m", "im_callback.provider_mock", "check")
RED, GREEN = "\x1b[31m", "\x1b[32m"


def refuses(request: object) -> Answer:
    """Answer as a receiver does that takes nothing, and would like to command a terminal."""
    del request
    return 403, "text/plain", b"\x1b[2J\x1b]0;title\x07no\r\n::error::forged"


def on_terminal(folder: Path, *arguments: str, columns: int = 70, **env: str) -> str:
    """Return what a program prints on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        arguments,
        cwd=folder,
        env=environment(COLUMNS=str(columns), TERM="xterm", **env),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ):
        os.close(theirs)
        printed = b""
        # At its end Linux answers a reader with an error.
        with suppress(OSError):
            while select.select([ours], [], [], SECONDS)[0] and (more := os.read(ours, 65_536)):
                printed += more
        os.close(ours)
    return printed.decode()


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what both doors print on a terminal for a receiver that refuses everything."""
    folder = tmp_path_factory.mktemp("terminal")
    with serving(refuses) as little:
        return {
            "pytest": on_terminal(folder, *MODULE, f"--receiver-url={little.url}", *CHECKS),
            "plain": on_terminal(folder, *MODULE, f"--receiver-url={little.url}", *CHECKS, NO_COLOR="1"),
            "check": on_terminal(folder, *COMMAND, "--to", little.url, "--check", "*.preflight.*"),
        }


class TestTerminal:
    """Runs on a terminal."""

    @pytest.mark.parametrize("door", ["pytest", "plain"])
    def test_bar(self, door: str, shown: dict[str, str]) -> None:
        """A bar says how far the run is and is gone at the end; families have no lines of their own."""
        text = shown[door]
        assert re.search(r"\r\[#* *\] 2 of 6, 1 failed  preflight\.effects-answer +\r", text), text
        assert "\npreflight  " not in text
        screen = text[text.index(" receiver conformance ") :]
        assert "[###" not in screen

    def test_colours(self, shown: dict[str, str]) -> None:
        """Causes and verdict are red; without colours the text is the same."""
        assert f"{RED}1. must: A documented sample, correctly signed, is accepted" in shown["pytest"]
        assert f"{RED}receiver verdict: FAIL: " in shown["pytest"]
        assert "\x1b[3" not in shown["plain"]
        assert f"{RED}receiver verdict: FAIL: " in shown["check"]

    @pytest.mark.parametrize("door", ["pytest", "plain", "check"])
    def test_hostile(self, door: str, shown: dict[str, str]) -> None:
        """What the receiver says neither commands the terminal nor begins a line."""
        text = shown[door]
        assert "\x1b[2J" not in text
        assert "\x1b]0;" not in text
        assert "\x07" not in text
        assert not re.search(r"(?m)^\s*::", text)

    @pytest.mark.parametrize("door", ["plain", "check"])
    def test_width(self, door: str, shown: dict[str, str]) -> None:
        """The screen fits the terminal."""
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown[door])
        lines = text[text.index("1. must: ") :].splitlines()
        assert max(map(len, lines)) <= 70, text

    def test_words(self, shown: dict[str, str]) -> None:
        """Each door speaks of options by its own names."""
        assert "--receiver-" not in shown["check"]
        assert "could not run: " in shown["check"]


def test_forced(tmp_path: Path) -> None:
    """Where it is no terminal there are no colours, unless they are asked for."""
    with serving(refuses) as little:
        chosen = (f"--receiver-url={little.url}", "--receiver-check=*.reachable")
        for env, due in (({}, False), ({"FORCE_COLOR": "1"}, True), ({"PY_COLORS": "1"}, True)):
            ended = subprocess.run(
                [*MODULE, *chosen],
                cwd=tmp_path,
                env=environment(**env),
                capture_output=True,
                text=True,
                check=False,
                timeout=SECONDS,
            )
            assert due is (f"{GREEN}receiver verdict: PASS: 1 check passed" in ended.stdout), ended.stdout
            assert "\npreflight  1 passed\n" in ended.stdout
