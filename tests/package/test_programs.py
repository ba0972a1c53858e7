"""Tests that need a program beside Python are left out by name with the reason; in CI they fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import programs

ROOT = Path(__file__).parents[2]
CONFTEST = """
from tests.programs import pytest_make_collect_report, pytest_runtest_makereport
"""
TEST = """
import pytest
from tests.programs import needed

@pytest.fixture
def service():
    needed("curl")

def test_in_fixture(service): pass
def test_in_call(): needed("bash", "curl")
def test_none(): pass

@pytest.mark.xfail(reason="known", strict=True)
def test_known(): assert 0
"""
MODULE = "import pytest\npytest.skip('not today', allow_module_level=True)\n"


def ended(folder: Path, ci: str, **modules: str) -> tuple[int, set[str]]:
    """Run tests where no program is to be had; return the exit status, and what was left out, failed or broke off."""
    for name, text in {"conftest": CONFTEST, **modules}.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-rsfE", "--no-fold-skipped", "-p", "no:cacheprovider"]
    env = {"PATH": str(folder), "PYTHONPATH": str(ROOT), "CI": ci, "COLUMNS": "300"}
    run = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    lines = run.stdout.partition("short test summary info")[2].splitlines()
    return run.returncode, {line for line in lines if line.startswith(("SKIPPED", "FAILED", "ERROR"))}


def test_left_out(tmp_path: Path) -> None:
    """Each by its name, with what is missing and what installs it."""
    both = "not installed: bash, curl (Debian: apt-get install bash curl)"
    one = "not installed: curl (Debian: apt-get install curl)"
    assert (
        0,
        {
            "SKIPPED test_module.py - Skipped: not today",
            f"SKIPPED test_it.py::test_in_call - Skipped: {both}",
            f"SKIPPED test_it.py::test_in_fixture - Skipped: {one}",
        },
    ) == ended(tmp_path, "", test_it=TEST, test_module=MODULE)


def test_in_ci(tmp_path: Path) -> None:
    """There it is a failure; an expected failure stays one."""
    status, told = ended(tmp_path, "true", test_it=TEST)
    assert 1 == status
    assert {"FAILED test_it.py::test_in_call", "ERROR test_it.py::test_in_fixture"} == {
        one.partition(" - ")[0] for one in told
    }
    assert all("In CI nothing may be left out. Skipped: not installed: " in one for one in told)


def test_module_in_ci(tmp_path: Path) -> None:
    """So is a whole module, which ends the run."""
    assert (2, {"ERROR test_module.py - In CI nothing may be left out. Skipped: not today"}) == ended(
        tmp_path, "true", test_it=TEST, test_module=MODULE
    )


@pytest.mark.parametrize("name", programs.PACKAGES)
def test_found(name: str) -> None:
    """A program is a file that can be run, or it is not there, which is said."""
    found = programs.found(name)
    assert (found is None) is bool(programs.missing(name))
    assert found is None or found.is_file()
