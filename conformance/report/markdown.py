"""The results of a run as Markdown, for the summary of a CI job or a comment.

What may repeat the receiver's own words stands in code, or has its punctuation escaped: it makes no link, no
mention, no HTML and no other row. GitHub takes a summary of 1 MiB at most, and none at all beyond that.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from im_callback.conformance.report.check_block import check_block
from im_callback.conformance.report.lines import short

LARGEST = 1024 * 1024
"""Bytes that GitHub takes as the summary of one step."""
CUT = "\n\n_Cut here: the whole result is too large for a summary. Read the report, or the JSON result._\n"
SIGNS = {"pass": "✅", "fail": "❌", "incomplete": "⚠️", "error": "⚠️"}
_MEANING = re.compile(r"([\\`*_\[\]<>#|~$&@!])")
_BEGINNING = re.compile(r"^(\d*)([-+=:.)])")
"""What makes a list or a heading at the beginning of a line."""
_SPOKEN = re.compile(r"(?i)([@#]|:(?=//)|\bwww(?=\.)|\bGH(?=-)|\b(?:mailto|xmpp)(?=:))")
"""Where a mention, a reference or a link would begin that a backslash does not keep from being one."""


def markdown(document: Mapping[str, Any], largest: int = LARGEST) -> str:
    """Return the document as Markdown of at most so many bytes; where more would be said, it says that it is cut."""
    causes = [one for one in document["causes"] if not _known(one, document)]
    parts = [
        *_head(document),
        *_causes("What to mend", [one for one in causes if one["gated"]], document),
        *_causes("Below the gate", [one for one in causes if not one["gated"]], document),
        *_undecided(document),
        *_acks(document["acks"]),
        *(f"{text(note)}\n" for note in document["notes"]),
        *_table(document),
        *_blocks(document),
    ]
    kept, size = "", len(CUT.encode())
    for part in parts:
        size += len(part.encode()) + 1
        if size > largest:
            return kept + CUT if len((kept + CUT).encode()) <= largest else ""
        kept += f"{part}\n"
    return kept


def text(words: str) -> str:
    """Return the words as text on one line that means nothing else in Markdown."""
    line = _MEANING.sub(r"\\\1", _SPOKEN.sub("\\1\u2060", " ".join(words.split())))
    return _BEGINNING.sub(r"\1\\\2", line)


def code(words: str) -> str:
    """Return the words as a code span on one line."""
    line = " ".join(words.split()) or " "
    fence = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    return f"{fence} {line} {fence}" if "`" in line else f"{fence}{line}{fence}"


def fenced(words: str) -> str:
    """Return the lines as a code block."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", words)), default=0))
    return f"{fence}text\n{words}\n{fence}"


def _head(document: Mapping[str, Any]) -> Iterator[str]:
    verdict, gate = document["verdict"], document["gate"]
    where = f"{document['provider']} ({', '.join(document['feeds'])})"
    yield f"## {SIGNS[verdict]} {verdict.upper()}: {text(where)}\n"
    said = [
        _many(gate["failed"], "fails the gate", "fail the gate"),
        _many(gate["below"], "fails below the gate", "fail below the gate"),
        _many(gate["known"], "is a known failure", "are known failures"),
        _many(gate["newer"], "fails that is newer", "fail that are newer"),
        _many(gate["incomplete"], "in the gate could not run", "in the gate could not run"),
    ]
    total = len(document["checks"])
    counted = "; ".join(filter(None, said)) or "nothing failed"
    yield f"{_many(total, 'check', 'checks') or 'no checks'}: {counted}.\n"
    yield f"Receiver {code(document['receiver'])}, level {document['level']}, seed {document['seed']}.\n"
    if document["baseline"]:
        yield "".join(f"- {text(one)}\n" for one in document["baseline"])


def _many(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}" if count else ""


def _causes(heading: str, causes: Sequence[Mapping[str, Any]], document: Mapping[str, Any]) -> Iterator[str]:
    if causes:
        yield f"### {heading}\n"
    for number, cause in enumerate(causes, 1):
        others = len(cause["checks"]) - 1
        more = f" and {_many(others, 'other check', 'other checks')}" if others else ""
        mark = f"{number}. "
        inside = " " * len(mark)
        yield f"{mark}**{text(cause['title'])}** ({cause['level']}): {code(cause['id'])}{more}"
        yield f"{inside}- expected: {code(short(cause['expected']))}"
        yield f"{inside}- actual: {code(short(cause['actual']))}"
        yield f"{inside}- fix: {text(short(cause['fix']))}\n"


def _undecided(document: Mapping[str, Any]) -> Iterator[str]:
    groups: dict[tuple[str, str], list[str]] = {}
    for check in document["checks"]:
        if check["verdict"] in ("could-not-run", "harness-error"):
            last = check["reason"].rstrip().rpartition("\n")[2]
            groups.setdefault((last, check.get("fix", "")), []).append(check["id"])
    if groups:
        yield "### Could not run\n"
    for (reason, fix), ids in groups.items():
        named = ", ".join([*map(code, ids[:3]), *(["…"] if ids[3:] else [])])
        many = f"{len(ids)} checks ({named})" if ids[1:] else named
        yield f"- {many}: {text(reason)}{f'. {text(fix)}' if fix else ''}"
    if groups:
        yield ""


def _acks(acks: Mapping[str, Any]) -> Iterator[str]:
    if acks["count"]:
        yield (
            f"{acks['count']} deliveries were acknowledged: half of them within {acks['p50_ms']:.1f} ms, 95 % within "
            f"{acks['p95_ms']:.1f} ms, the slowest after {acks['max_ms']:.1f} ms; the deadline is {acks['deadline_ms']} ms.\n"
        )


def _table(document: Mapping[str, Any]) -> Iterator[str]:
    failed = [one for one in document["checks"] if one["verdict"] == "fail"]
    if not failed:
        return
    rows = [f"| {code(one['id'])} | {one['level']} | {text(one['title'])} | {_counts(one)} |" for one in failed]
    yield from _folded(
        _many(len(failed), "failed check", "failed checks"),
        ["| check | level | requirement | counts |", "| --- | --- | --- | --- |", *rows],
    )


def _counts(check: Mapping[str, Any]) -> str:
    if check.get("known"):
        return f"no, known: {text(check['reason'])}"
    return "yes" if check["gated"] else "no"


def _blocks(document: Mapping[str, Any]) -> Iterator[str]:
    checks = {one["id"]: one for one in document["checks"]}
    for cause in document["causes"]:
        yield from _folded(
            f"<code>{html.escape(cause['id'])}</code> in full", [fenced(check_block(checks[cause["id"]]))]
        )


def _folded(summary: str, lines: Iterable[str]) -> Iterator[str]:
    # One part: a summary is cut between parts, so that nothing stays open.
    yield "\n".join([f"<details><summary>{summary}</summary>\n", *lines, "\n</details>\n"])


def _known(cause: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    return all(one.get("known") for one in document["checks"] if one["id"] in cause["checks"])
