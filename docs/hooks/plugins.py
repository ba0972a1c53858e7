"""Puts what stands beside the example of a package into its page whenever the documentation is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MARK = "<!-- the example of a package -->"
BESIDE = Path(__file__).parents[2] / "examples" / "provider_plugin" / "README.md"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the text where a page asks for it, without its title."""
    return (
        markdown.replace(MARK, BESIDE.read_text(encoding="utf-8").partition("\n")[2]) if MARK in markdown else markdown
    )
