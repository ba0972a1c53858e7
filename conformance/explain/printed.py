"""An explanation as people read it on a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import click
from im_callback.conformance.explain.drawing import LEGEND
from im_callback.conformance.explain.explained import Explained

INDENT = "  "


def printed(one: Explained, width: int) -> str:
    """Return the explanation in lines of this width; drawings and code are as wide as they are."""
    return "\n".join(_lines(one, width))


def _lines(one: Explained, width: int) -> Iterator[str]:
    told = one.told
    yield click.style(one.check.title, bold=True)
    yield from one.ids or [one.name]
    if one.drawing:
        yield from _part("What is sent")
        yield from (f"{INDENT}{line}" for line in one.drawing.splitlines())
        yield from _wrapped(LEGEND, width)
    if told.passes:
        yield from _part("What passes")
        for text in (told.passes, *told.notes):
            yield from _wrapped(text, width)
    yield from _part("Why it matters")
    yield from _wrapped(one.check.why, width)
    yield from _part("The fix")
    yield from _wrapped(one.check.fix, width)
    if told.ways:
        yield from _part("Known ways to fail it")
        for way in told.ways:
            yield from _wrapped(f"- {way}", width, hang=True)
    yield from _part("Where it comes from")
    for each in one.requirements:
        yield from _wrapped(f"{each.level}, {each.provider} {', '.join(each.feeds)}: {each.source}", width, hang=True)
    if not one.requirements:
        yield from _wrapped("It holds at no provider that is installed.", width)
    if one.needs:
        yield from _wrapped(f"It needs {' and '.join(one.needs)}.", width)
    for remedy in one.remedies:
        yield from _part(remedy.title)
        yield from _wrapped(" ".join(remedy.text.split()), width)
        for snippet in remedy.snippets:
            yield from ("", f"{INDENT}{snippet.framework}")
            yield from (f"{2 * INDENT}{line}".rstrip() for line in snippet.code.expandtabs(4).splitlines())


def _part(heading: str) -> Iterator[str]:
    yield from ("", click.style(heading, bold=True))


def _wrapped(text: str, width: int, *, hang: bool = False) -> Iterator[str]:
    yield from textwrap.wrap(
        text,
        width,
        initial_indent=INDENT,
        subsequent_indent=2 * INDENT if hang else INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
