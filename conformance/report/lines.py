"""How a block of text is laid out: labels with what belongs to them, and what is quoted indented."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from im_callback.provider_mock.visible import visible

WIDTH = 100
LONGEST = 400
"""Characters of a text that is told in short; the block has it whole."""


def short(text: str) -> str:
    """Return a text that is told in short."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def labelled(label: str, text: str) -> list[str]:
    """Return the text behind its label, on as many lines as it needs."""
    return textwrap.wrap(visible(text), WIDTH, initial_indent=f"{label}: ", subsequent_indent="  ") or [f"{label}:"]


def indented(lines: Iterable[str]) -> list[str]:
    """Return the lines, and those within them, to the right of everything else."""
    return [f"    {part}" if part else "" for line in lines for part in line.splitlines() or [""]]
