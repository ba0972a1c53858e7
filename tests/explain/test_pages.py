"""The pages about checks: committed, current, and whole."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from im_callback.conformance.check import all_checks
from im_callback.conformance.explain import pages
from im_callback.conformance.releases import ours
from im_callback.provider_mock import providers

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "checks"
RENEW = "python -m im_callback.conformance.explain docs/checks"
OURS = ("commsease", "rongcloud", "tencent")
IDS = {
    check.id(provider)
    for provider in map(providers.load, OURS)
    for check in all_checks(explored=True)
    if ours(check) and check.among(provider.feeds)
}
ANCHOR = re.compile(r'<a id="([^"]+)"></a>')


def test_current() -> None:
    """What is committed is what the checks, the contracts and the fixes say."""
    due = pages.written(FOLDER)
    stale = [path.name for path, text in due.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    there = set(FOLDER.glob("*/*.md"))
    assert not stale, f"renew the pages with: {RENEW}"
    assert not there - due.keys(), f"pages of checks that are gone; take them away with: {RENEW}"
    assert RENEW in pages.MARK


def test_anchors() -> None:
    """Every id leads to its page, and to its line in the table."""
    on_pages = [one for path in FOLDER.glob("*/*.md") for one in ANCHOR.findall(path.read_text(encoding="utf-8"))]
    index = ANCHOR.findall((FOLDER / "index.md").read_text(encoding="utf-8"))
    assert sorted(IDS) == sorted(on_pages)
    assert sorted(IDS) == sorted(index)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*/*.md")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_links(path: Path) -> None:
    """Links lead to pages that are there, and to headings in them."""
    for page, _, anchor in (link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", path.read_text("utf-8"))):
        target = (path.parent / page).resolve()
        assert target.is_file(), page
        headings = re.findall(r"^## (.+)$", target.read_text("utf-8"), re.MULTILINE)
        assert not anchor or anchor in [one.lower().replace(" ", "-") for one in headings], (page, anchor)


class TestRenewed:
    """The program that writes them."""

    @staticmethod
    def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
        """Return what it comes to."""
        command = [sys.executable, *RENEW.split()[1:3], *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    def test_written(self, tmp_path: Path) -> None:
        """It writes what has changed, takes away what is gone, and leaves what is written by hand."""
        folder = tmp_path / "checks"
        shutil.copytree(FOLDER, folder)
        index, page = folder / "index.md", folder / "signature" / "rejects-stale.md"
        index.write_text(index.read_text("utf-8").replace("# Checks\n", "# Checks\n\nBy hand.\n"), encoding="utf-8")
        page.unlink()
        gone = folder / "signature" / "no-more.md"
        gone.write_text(pages.WHOLE, encoding="utf-8")
        kept = folder / "signature" / "by-hand.md"
        kept.touch()
        done = self.ran(str(folder))
        assert (0, "") == (done.returncode, done.stderr)
        assert [str(page), str(gone)] == done.stdout.splitlines()
        assert page.read_text("utf-8") == (FOLDER / "signature" / "rejects-stale.md").read_text("utf-8")
        assert (False, True) == (gone.exists(), kept.exists())
        assert "By hand." in index.read_text("utf-8")
        assert "" == self.ran(str(folder)).stdout

    @pytest.mark.parametrize("arguments", [(), ("docs",), ("docs/nowhere",)])
    def test_typed_wrongly(self, arguments: tuple[str, ...]) -> None:
        """It names the folder that it wants."""
        done = self.ran(*arguments)
        assert (2, "") == (done.returncode, done.stdout)
        assert "docs/checks" in done.stderr
