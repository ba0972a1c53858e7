"""What `make` and CI install is locked: every need of ours in one version, by hash, from nowhere in particular."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "requirements"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
GROUPS: dict[str, list[str]] = PROJECT["dependency-groups"]
CORE: list[str] = PROJECT["project"]["dependencies"]
#: The locks, and what they are for.
LOCKS = {
    "pip": [*GROUPS["installer"], *PROJECT["build-system"]["requires"]],
    "core": CORE,
    "demo": [*CORE, *EXTRAS["demo"]],
    "test": [*CORE, *(one for extra in EXTRAS.values() for one in extra), *GROUPS["test"], *GROUPS["docs"]],
    "schemathesis": GROUPS["schemathesis"],
    "sdks": GROUPS["sdks"],
    "examples": GROUPS["examples"],
    "lint": GROUPS["lint"],
    "docs": GROUPS["docs"],
    "tools": [*GROUPS["package"], *GROUPS["release"], *GROUPS["ci"]],
}
PYTHONS = ("3.10.0", "3.11.0", "3.12.0", "3.13.0")


def environment(python: str) -> dict[str, str]:
    """Return what markers are compared with, on Linux."""
    return {
        "python_version": python.rpartition(".")[0],
        "python_full_version": python,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "platform_machine": "x86_64",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
    }


def entries(lock: str) -> list[tuple[Requirement, list[str]]]:
    """Return what a lock names, with the hashes."""
    text = (FOLDER / f"{lock}.txt").read_text(encoding="utf-8")
    joined = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    return [
        (Requirement(line.partition("--hash")[0].strip()), re.findall(r"--hash=sha256:[0-9a-f]{64}(?= |$)", line))
        for line in joined.splitlines()
    ]


def versions(lock: str, python: str) -> dict[str, str]:
    """Return the version of each package by a lock, for a Python."""
    return {
        one.name: str(one.specifier).removeprefix("==")
        for one, _ in entries(lock)
        if one.marker is None or one.marker.evaluate(environment(python))
    }


def test_all() -> None:
    """Each lock has its purpose, and each dependency its lock."""
    assert set(LOCKS) == {file.stem for file in FOLDER.glob("*.txt")}
    assert set(GROUPS) == {
        "test",
        "lint",
        "docs",
        "release",
        "package",
        "ci",
        "installer",
        "schemathesis",
        "examples",
        "sdks",
    }


@pytest.mark.parametrize("lock", LOCKS)
class TestLock:
    """Tests for each of the files."""

    def test_hashes(self, lock: str) -> None:
        """Every entry has one version and hashes, and nothing else."""
        for one, hashes in entries(lock):
            assert hashes, one
            assert ["=="] == [each.operator for each in one.specifier], one
            assert one.url is None
            assert not one.extras

    def test_no_address(self, lock: str) -> None:
        """Nothing in it says from where: neither an address, nor a path, nor an option of pip's but the hash."""
        text = (FOLDER / f"{lock}.txt").read_text(encoding="utf-8")
        assert not re.search(r"[:/]/|@|\s/|--(?!hash=)", text)
        assert {"hash"} == set(re.findall(r"--([a-z-]+)", text))

    @pytest.mark.parametrize("python", PYTHONS)
    def test_fresh(self, lock: str, python: str) -> None:
        """It holds what pyproject.toml asks for now, in a version that satisfies it, for each Python."""
        locked = versions(lock, python)
        for wanted in map(Requirement, LOCKS[lock]):
            if wanted.marker is None or wanted.marker.evaluate(environment(python)):
                assert wanted.name.lower() in locked, f"run `tox run -e lock`: {wanted}"
                assert wanted.specifier.contains(locked[wanted.name.lower()]), wanted

    @pytest.mark.parametrize("python", PYTHONS)
    def test_agree(self, lock: str, python: str) -> None:
        """Locks that are installed into one environment agree; Schemathesis stands in a folder of its own."""
        if lock == "schemathesis":
            return
        tests = versions("test", python)
        assert {} == {
            name: (version, tests[name])
            for name, version in versions(lock, python).items()
            if name in tests and tests[name] != version
        }


def test_little() -> None:
    """`pip install` brings few packages; one more is a decision. The megabytes: `python -m benchmarks.installed`."""
    lock = (FOLDER / "core.txt").read_text(encoding="utf-8")
    brought = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    assert {Requirement(one).name for one in CORE} <= brought
    assert len(brought) <= 25, sorted(brought)
