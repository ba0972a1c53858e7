"""Gathers the changelog fragments in a copy, as a release does; checks that each comes out once, under its heading.

Run as a program: it needs towncrier. Exit status 0 if all is well.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDED = ("changelog.d", "CHANGELOG.md", "towncrier.toml", "pyproject.toml")
HEADINGS = {"added": "### Added", "changed": "### Changed", "fixed": "### Fixed", "removed": "### Removed"}
VERSION = "9.9.9"


def main(work: Path) -> None:
    """Copy, gather, look."""
    checkout = work / "changelog"
    shutil.rmtree(checkout, ignore_errors=True)
    checkout.mkdir(parents=True)
    for name in NEEDED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, checkout / name)
    fragments = sorted(path for path in (ROOT / "changelog.d").iterdir() if path.name != "README.md")
    # Gathered files are removed from the index of the checkout that a release is made in.
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=checkout, check=True)
    ran = subprocess.run(
        [sys.executable, "-m", "towncrier", "build", "--yes", "--version", VERSION],
        cwd=checkout, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ["README.md"] == [path.name for path in (checkout / "changelog.d").iterdir()], "not all were gathered"
    written = (checkout / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {VERSION} (" in written
    for fragment in fragments:
        kind = fragment.name.split(".")[-2]
        text = fragment.read_text(encoding="utf-8").strip()
        assert text, f"{fragment.name} says nothing"
        heading, below = HEADINGS[kind], written.partition(f"{HEADINGS[kind]}\n")[2].partition("\n### ")[0]
        first = text.splitlines()[0].removeprefix("- ")
        assert below.count(first) == 1, f"{fragment.name} does not stand once under {heading}"
    print(f"{len(fragments)} changelog fragments: each comes out once")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
