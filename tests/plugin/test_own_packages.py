"""In a repository whose packages are called as our folders, its own tests pass, and so does the gate."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import pytest

from tests.package.own_packages import PASSED, SETTINGS, write
from tests.plugin.processes import options_for, pytest_in

COMMANDS = {
    "pytest": (str(Path(sysconfig.get_path("scripts"), "pytest")),),
    "python -m pytest": (sys.executable, "-m", "pytest"),
}
by_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
by_settings = pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())


@by_command
@by_settings
def test_own_tests(command: tuple[str, ...], settings: str, tmp_path: Path) -> None:
    """With our plugin installed, a team's tests import the team's packages."""
    write(tmp_path, settings)
    ended = pytest_in(tmp_path, "-W", "error", command=command)
    assert (0, True) == (ended.status, PASSED in ended.output), ended.output


@by_command
@by_settings
def test_gate(command: tuple[str, ...], settings: str, good: str, tmp_path: Path) -> None:
    """The gate imports ours, and does not run theirs."""
    write(tmp_path, settings)
    ended = pytest_in(tmp_path, *options_for(good), "--receiver-check=*.signature.rejects-*", command=command)
    assert 0 == ended.status, ended.output
    assert {"pass"} == set(ended.verdicts.values())
    assert "test_own" not in ended.output
