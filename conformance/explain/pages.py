"""The pages of the documentation about checks: one for each check and each kind of fix, and the tables of both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from im_callback.conformance.check import all_checks
from im_callback.conformance.explain.drawing import LEGEND
from im_callback.conformance.explain.explained import Explained, Requirement
from im_callback.conformance.explain.remedies import FRAMEWORKS, Remedy, kinds, remedy
from im_callback.conformance.releases import ours
from im_callback.conformance.verdict import Level
from im_callback.provider_mock import providers

INDEX = "index.md"
MARK = "<!-- What follows is written by: python -m im_callback.conformance.explain docs/checks -->"
"""In the index the text above it is written by hand."""
WHOLE = MARK.replace("What follows", "This page")
"""The end of a page that is written whole."""
FIXES = "fixes"
EXAMPLES = "Names of fields, tables and functions are examples: what identifies and orders events, `provider-mock events` lists."


class NoIndex(ValueError):
    """The folder is not that of the pages: there is no index in it that says where the tables go."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder / INDEX} is no index of checks; name the folder of the pages: docs/checks")


def written(folder: Path) -> dict[Path, str]:
    """Return the pages below a folder, by path; raises `NoIndex`. The index keeps what is written by hand in it."""
    index = folder / INDEX
    by_hand, found, _ = index.read_text(encoding="utf-8").partition(MARK) if index.is_file() else ("", "", "")
    if not found:
        raise NoIndex(folder)
    known = [one for one in map(providers.load, providers.names()) if type(one).__module__.startswith(_OURS)]
    everything = [Explained(check, known) for check in all_checks(explored=True) if ours(check)]
    everything.sort(key=lambda one: one.check.family)
    pages = {INDEX: f"{by_hand}{MARK}\n{_joined(_tables(everything))}"}
    pages |= {f"{one.check.family}/{one.check.slug}.md": _page(_check(one)) for one in everything}
    pages |= {f"{FIXES}/{kind}.md": _page(_fix(remedy(kind), everything)) for kind in kinds()}
    return {folder / name: text for name, text in pages.items()}


_OURS = f"{providers.__name__}."


def renew(folder: Path) -> list[Path]:
    """Write the pages, take away those of checks that are gone, and return what has changed."""
    pages = written(folder)
    gone = [one for one in folder.glob("*/*.md") if one not in pages and WHOLE in one.read_text(encoding="utf-8")]
    for one in gone:
        one.unlink()
    changed = [path for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pages[path], encoding="utf-8")
    return changed + gone


def _page(lines: Iterable[str]) -> str:
    return _joined([*lines, "", WHOLE])


def _joined(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _tables(everything: Sequence[Explained]) -> Iterator[str]:
    for family, checks in groupby(everything, key=lambda one: one.check.family):
        yield from ("", f"## {family}", "", "| check | requires | level |", "| --- | --- | --- |")
        for one in checks:
            levels = {each.level for each in one.requirements}
            level = ", ".join(each.value for each in Level if each.value in levels) or one.check.usual_level.value
            anchors = "".join(f'<a id="{name}"></a>' for name in one.ids)
            yield f"| {anchors}[`{one.check.slug}`]({family}/{one.check.slug}.md) | {one.check.title} | {level} |"
    yield from ("", "## Fixes", "", f"Each in code, for {', '.join(FRAMEWORKS[:-1])} and {FRAMEWORKS[-1]}.", "")
    yield from (f"- [{remedy(kind).title}]({FIXES}/{kind}.md)" for kind in kinds())


def _check(one: Explained) -> Iterator[str]:
    check, told = one.check, one.told
    yield from (f"# {check.title}", "")
    yield from (f'- <a id="{name}"></a>`{name}`' for name in one.ids)
    if not one.ids:
        yield f"- `{one.name}`"
    yield from ("", f"**Why it matters.** {check.why}")
    if one.drawing:
        yield from ("", "## What is sent", "", "```text", one.drawing, "```", "", LEGEND)
    yield from ("", "## What passes", "", told.passes)
    for note in told.notes:
        yield from ("", note)
    if one.needs:
        yield from ("", f"A run can judge it with {' and '.join(f'`{each}`' for each in one.needs)}.")
    if told.ways:
        yield from ("", "## Known ways to fail it", "", *(f"- {way}" for way in told.ways))
    yield from ("", "## The fix", "", check.fix)
    if one.remedies:
        yield ""
    for each in one.remedies:
        page = f"../{FIXES}/{each.kind}.md"
        code = " · ".join(f"[{snippet.framework}]({page}#{_anchor(snippet.framework)})" for snippet in each.snippets)
        yield f"- [{each.title}]({page}): {code}"
    yield from ("", "## Where it comes from", "")
    if not one.requirements:
        yield "It holds at no provider that comes with this package, and at those of other packages whose contract has it."
        return
    yield from ("| provider | feeds | level | source |", "| --- | --- | --- | --- |")
    yield from (_row(each) for each in one.requirements)


def _row(one: Requirement) -> str:
    feeds = ", ".join(one.feeds)
    return f"| [{one.provider}](../../providers/{one.provider}.md) | {feeds} | {one.level} | {one.source} |"


def _fix(one: Remedy, everything: Sequence[Explained]) -> Iterator[str]:
    yield from (f"# {one.title}", "", one.text, "", EXAMPLES)
    for snippet in one.snippets:
        yield from ("", f"## {snippet.framework}", "", f"```{snippet.language}", snippet.code, "```")
    yield from ("", "## What it mends", "")
    for each in everything:
        if one.kind in each.check.remedies:
            yield f"- [{each.check.title}](../{each.check.family}/{each.check.slug}.md)"


def _anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")
