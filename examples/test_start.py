"""The pages for the first five minutes, typed from the first command to the last: a gate that fails, and then passes.

Not part of `make test`: some fetch packages, and each runs the whole gate twice.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs import typed
from tests.docs.conftest import mysql_port, mysql_server, postgresql_port, postgresql_server, redis_port, redis_server
from tests.docs.test_pages import STORES
from tests.programs import needed

__all__ = ["mysql_port", "mysql_server", "postgresql_port", "postgresql_server", "redis_port", "redis_server"]

PAGES = sorted((Path(__file__).parents[1] / "docs" / "start").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """It can be typed as it stands, and prints what it shows."""
    needed(*typed.needed_by(page))
    text = page.read_text(encoding="utf-8")
    known = {
        port: request.getfixturevalue(f"{kind}_port")
        for kind, port in STORES.items()
        if f":{port}" in text or f"{port};" in text
    }
    session = typed.session(page, tmp_path / "page", typed.Ports(known), typed.environment(tmp_path))
    if wrong := "\n".join(session.wrong()):
        pytest.fail(f"{page}: {wrong}", pytrace=False)


def test_demo(tmp_path: Path) -> None:
    """What the README shows of `make demo` is what the demonstration prints, on a terminal or not."""
    root = Path(__file__).parents[1]
    recipe = re.search(r"^demo: .*\n\t@\$\(VENV\)/bin/(.*)$", (root / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert recipe is not None
    (shown,) = [
        one.shown or ""
        for block in typed.blocks(root / "README.md")
        if block.language == "console"
        for one in typed.commands(block)
        if one.command.startswith("make demo")
    ]
    page = tmp_path / "page.md"
    page.write_text(f"```console\n$ {recipe[1]} | cat\n{shown}\n```\n", encoding="utf-8")
    session = typed.session(page, tmp_path / "page", typed.Ports({}), typed.environment(tmp_path))
    if wrong := "\n".join(session.wrong()):
        pytest.fail(wrong, pytrace=False)
