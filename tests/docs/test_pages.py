"""Every page is typed from its first command to its last, and prints what it shows."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs import typed
from tests.docs.typed import Block, Ports, blocks
from tests.programs import needed

pytestmark = pytest.mark.long

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
ANYONE = Path(__file__).with_name("anyone.py")
#: Pages of checks are generated; what they show is tested where it is written.
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.relative_to(ROOT).parts[1] != "checks"),
]
#: The stores that pages read, and the ports at which they look for them.
STORES = {"postgresql": 5432, "mysql": 3306, "redis": 6379}
#: What runs the whole gate, and fetches packages, is run with the examples (examples/test_start.py).
START = "start/"
#: The gate of a page is as short as can be, where the page shows nothing of what it judges.
SHORT = {"RECEIVER_CHECK": "*.preflight.*", "RECEIVER_SETTLE": "1"}
NOT_RUN = 20
"""So many blocks may not be typed, at most."""


def name(page: Path) -> str:
    """Return how a page is called here."""
    return page.relative_to(ROOT / "docs" if page.is_relative_to(ROOT / "docs") else ROOT).as_posix()


@contextmanager
def receiver(port: int, folder: Path, stores: Mapping[str, object]) -> Iterator[None]:
    """Run a receiver at the address that pages speak of, with stores behind it."""
    command = [sys.executable, ANYONE, str(port), folder.parent / "receiver.db"]
    named = {**os.environ, "STORES": " ".join(f"{kind}={where}" for kind, where in stores.items())}
    (folder / "receiver.py").write_text(f"import runpy; runpy.run_path({str(ANYONE)!r}, run_name='__main__')\n")
    with subprocess.Popen(
        command, cwd=folder, env=named, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            yield
        finally:
            process.kill()


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if not name(page).startswith(START) and any(block.runs for block in blocks(page))],
    ids=name,
)
def test_page(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """What it shows as typed can be typed, and prints what it shows."""
    needed(*typed.needed_by(page))
    text = page.read_text(encoding="utf-8")
    folder = tmp_path / "page"
    folder.mkdir()
    known = {
        kind: request.getfixturevalue(f"{kind}_port") for kind, port in STORES.items() if f"127.0.0.1:{port}" in text
    }
    ports = Ports({STORES[kind]: port for kind, port in known.items()})
    files = {"sqlite": "app.db", "file": "effects.jsonl"} if "app.db" in text else {}
    more = {"PROVIDER_MOCK_SERVER": f"http://127.0.0.1:{ports[8600]}", **SHORT}
    with receiver(ports[8080], folder, {**known, **files}):
        session = typed.session(page, folder, ports, typed.environment(tmp_path, **more))
    if wrong := "\n".join(session.wrong()):
        pytest.fail(f"{page}: {wrong}", pytrace=False)


@pytest.mark.parametrize("page", PAGES, ids=name)
class TestBlocks:
    """Tests for the blocks of each page."""

    def test_known(self, page: Path) -> None:
        """Every block that looks like a session is one, and every fence has a language."""
        for block in blocks(page):
            assert block.language, block.line
            assert block.language == "console" or not block.text.startswith("$ "), block.line

    def test_reads(self, page: Path) -> None:
        """What is shown of files is what it says it is."""
        for block in blocks(page):
            try:
                read(block)
            except (SyntaxError, ValueError) as error:
                raise AssertionError(f"{name(page)}, line {block.line}: {error}") from error


def read(block: Block) -> None:
    """Raise SyntaxError or ValueError if a block is not in its language."""
    if block.language == "python":
        ast.parse(block.text)
    elif block.language == "toml":
        tomllib.loads(block.text)
    elif block.language == "json":
        try:
            json.loads(block.text)
        except ValueError:
            for line in block.text.splitlines():
                json.loads(line)


def test_not_run() -> None:
    """Few blocks are not typed, each with a reason."""
    left_out = [block.mark for page in PAGES for block in blocks(page) if block.mark.startswith("not run")]
    assert len(left_out) <= NOT_RUN
    assert all(len(mark.partition(":")[2].split()) > 2 for mark in left_out)
