"""The results of a run as annotations of GitHub Actions: lines that its runner turns into marks on the job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from im_callback.conformance.report.lines import short

MOST = 10
"""Annotations of one kind that GitHub keeps of a step."""


def annotation_lines(document: Mapping[str, Any]) -> list[str]:
    """Return a line for each cause, and for what kept the run from being whole: errors where that fails the run."""
    found = [*_wrong(document), *_causes(document), *_undecided(document)]
    lines: list[str] = []
    for kind in ("error", "warning"):
        those = [(title, message) for one, title, message in found if one == kind]
        if left_out := len(those[MOST:]):
            title, message = those[MOST - 1]
            those = [*those[: MOST - 1], (title, f"{message}\nand {left_out} more, which GitHub would not show")]
        lines += [f"::{kind} title={_property(title)}::{_data(message)}" for title, message in those]
    return lines


def _wrong(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for problem in document["baseline"]:
        yield "error", f"receiver verdict: {document['verdict']}", problem
    for check in document["checks"]:
        if check["verdict"] == "harness-error":
            yield "error", f"our own error in {check['id']}", check["reason"].rstrip().rpartition("\n")[2]


def _causes(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    known = {check["id"] for check in document["checks"] if check.get("known")}
    for cause in document["causes"]:
        if known.issuperset(cause["checks"]):
            continue
        others = len(cause["checks"]) - 1
        message = [
            f"expected: {short(cause['expected'])}",
            f"actual: {short(cause['actual'])}",
            f"fix: {short(cause['fix'])}",
            f"provider-mock explain {cause['id']}{f' ({others} more with the same cause)' if others else ''}",
        ]
        yield "error" if cause["gated"] else "warning", f"{cause['title']} ({cause['level']})", "\n".join(message)


def _undecided(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    groups: dict[tuple[bool, str, str], list[str]] = {}
    for check in document["checks"]:
        if check["verdict"] == "could-not-run" and check["gated"]:
            groups.setdefault((document["exit_status"] != 0, check["reason"], check.get("fix", "")), []).append(
                check["id"]
            )
    for (fails, reason, fix), ids in groups.items():
        title = ids[0] if len(ids) == 1 else f"{len(ids)} checks"
        yield "error" if fails else "warning", f"could not run: {title}", "\n".join(filter(None, (reason, fix)))


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
