"""Everything of ours is imported as `im_callback.…`, and nothing by the bare name of a folder."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import distribution, entry_points
from pathlib import Path

import pytest

from tests.package.own_packages import OURS

ROOT = Path(__file__).parents[2]
MOVED = {"schemas", "provider_mock", "conformance"}
PLACES = ("schemas", "provider_mock", "conformance", "tests", "examples", "docs", "benchmarks")
FILES = [file for place in PLACES for file in sorted((ROOT / place).rglob("*.py"))]
TEXTS = [
    file
    for place in (*PLACES, "changelog.d")
    for file in sorted((ROOT / place).rglob("*"))
    if file.suffix in {".md", ".py", ".toml", ".ini", ".yml", ".yaml", ".mako", ".html", ".txt", ".sh"}
]


def imported(file: Path) -> set[str]:
    """Return the first parts of what a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or "").partition(".")[0])
    return found


def test_imports() -> None:
    """No file of the checkout imports a folder by its bare name."""
    assert len(FILES) > 100
    assert {} == {str(file): wrong for file in FILES if (wrong := imported(file) & MOVED)}


def test_texts() -> None:
    """Nor does a page, a template or a text that is run elsewhere."""
    names = "|".join(sorted(MOVED))
    bare = re.compile(rf"-m[\"', ]+(?:{names})\b|\bfrom (?:{names})[ .]|(?<!im_callback )\bimport (?:{names})\b")
    told = [f"{file}: {found[0]}" for file in TEXTS for found in bare.finditer(file.read_text(encoding="utf-8"))]
    assert [] == told


@pytest.mark.parametrize("name", OURS)
def test_installed(name: str, tmp_path: Path) -> None:
    """Where the package is installed, no bare name leads to it, in an editable installation neither."""
    code = f"import sys, importlib.util; sys.exit(importlib.util.find_spec({name!r}) is not None)"
    assert 0 == subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode


def test_distribution() -> None:
    """The distribution declares one package, and its entry points lead into it."""
    ours = distribution("im-callback-conformance")
    assert "im_callback" == (ours.read_text("top_level.txt") or "").strip()
    assert {"im_callback"} == {one.value.partition(".")[0] for one in ours.entry_points}
    assert "im_callback.conformance.plugin" in {one.value for one in entry_points(group="pytest11")}


def test_command_as_module(tmp_path: Path) -> None:
    """`python -m im_callback.provider_mock` is the command, its name in messages and its statuses included."""
    command = [sys.executable, "-m", "im_callback.provider_mock"]
    listed = subprocess.run([*command, "faults"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (0, "") == (listed.returncode, listed.stderr)
    assert '"duplicate"' in listed.stdout
    wrong = subprocess.run([*command, "nonsense"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (2, "") == (wrong.returncode, wrong.stdout)
    assert wrong.stderr.startswith("error: there is no command 'nonsense'; there are backlog, ")
