"""Writes the page of checks from the checks themselves whenever the documentation is built."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from im_callback.conformance.check import Check, all_checks
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Provider

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
            lines += section(check, [one for one in known if check.among(one.feeds)])
    return "\n".join(lines)


def rows_of(check: Check, provider: Provider) -> Iterator[str]:
    """Yield a row for the feeds of a provider that have a level and a source in common."""
    found: dict[tuple[str, str], list[str]] = {}
    for feed in check.among(provider.feeds):
        found.setdefault((check.level(feed).value, check.source(feed)), []).append(feed.name)  # type: ignore[union-attr]
    for (level, source), feeds in found.items():
        yield f"| `{check.id(provider)}` | {', '.join(feeds)} | {level} | {source} |"


def section(check: Check, known: list[Provider]) -> list[str]:
    """Return what there is to say about one check."""
    needs = " Needs effects." if check.effects else ""
    needs += f" Needs `--receiver-{check.option}`." if check.option else ""
    rows = [row for one in known for row in rows_of(check, one)]
    return [
        f"### {check.title}",
        "",
        f"{check.why} {check.fix}{needs}",
        "",
        "| id | feeds | level | source |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
    ]
