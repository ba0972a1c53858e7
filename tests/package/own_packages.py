"""A repository whose own packages have the names of our folders, for the tests and for the check of the wheel."""

from __future__ import annotations

from pathlib import Path

#: The folders at the top of our checkout that a team could have, too.
OURS = ("schemas", "provider_mock", "conformance", "tests", "examples", "docs", "benchmarks")
#: Settings by which a repository's own packages are found.
SETTINGS = {"usual": "", "importlib": "addopts = --import-mode=importlib\npythonpath = ."}
_IMPORTS = "\n".join(f"import {name}.part" for name in OURS)
_TEST = f"""
{_IMPORTS}
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

@pytest.mark.parametrize("module", [{", ".join(OURS)}])
def test_own(module):
    assert Path(module.__file__).resolve().parents[1] == ROOT
    assert module.part.OWNER == "the team"
"""


def write(folder: Path, settings: str) -> None:
    """Write the repository: packages that are imported by its conftest.py and by its tests, which stand in three places."""
    for name in OURS:
        package = folder / name
        package.mkdir()
        (package / "__init__.py").write_text("", encoding="utf-8")
        (package / "part.py").write_text("OWNER = 'the team'\n", encoding="utf-8")
    for name in ("tests", "conformance", "provider_mock"):
        (folder / name / f"test_{name}.py").write_text(_TEST, encoding="utf-8")
    (folder / "conftest.py").write_text(f"{_IMPORTS}\n", encoding="utf-8")
    (folder / "pytest.ini").write_text(f"[pytest]\n{settings}\n", encoding="utf-8")


#: What the repository's own tests end with.
PASSED = f"{3 * len(OURS)} passed"
