"""Writes the page of checks from the checks themselves whenever the documentation is built."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from conformance.check import Check, all_checks
from provider_mock import providers
from provider_mock.contract import Provider

MARK = "<!-- the checks -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the table of checks where a page asks for it."""
    return markdown.replace(MARK, table()) if MARK in markdown else markdown


def table() -> str:
    """Return all checks, by family, as Markdown."""
    known = [providers.load(name) for name in providers.names()]
    lines: list[str] = []
    for family, checks in groupby(sorted(all_checks(), key=lambda one: one.family), key=lambda one: one.family):
        lines += ["", f"## {family}", ""]
        for check in checks:
            lines += section(check, [one for one in known if check.level(one)])
    return "\n".join(lines)


def section(check: Check, known: list[Provider]) -> list[str]:
    """Return what there is to say about one check."""
    needs = " Needs effects." if check.effects else ""
    rows = [f"| `{check.id(one)}` | {check.level(one).value} | {check.source(one)} |" for one in known]  # type: ignore[union-attr]
    return [
        f"### {check.title}",
        "",
        f"{check.why} {check.fix}{needs}",
        "",
        "| id | level | source |",
        "| --- | --- | --- |",
        *rows,
        "",
    ]
