"""The block of one check out of the JSON document, for files that hold text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from im_callback.conformance.report.lines import WIDTH, indented, labelled
from im_callback.conformance.report.side_by_side import side_by_side
from im_callback.conformance.words import counted

SHOWN = 4
"""Exchanges that are shown whole."""
KEPT = ("content-type", "content-encoding")
"""Headers of a reply that say how its body is to be read."""


def check_block(check: Mapping[str, Any]) -> str:
    """Return the whole story of a check: what is required, what happened, the exchanges, the fix."""
    lines = [f"{check['id']}: {check['title']}", *labelled("requirement", f"{check['title']} ({check['level']})")]
    lines += labelled("source", check["source"])
    failed = check["verdict"] == "fail"
    if failed:
        lines += [*labelled("expected", check["expected"]), *labelled("actual", check["actual"])]
        lines += indented(check.get("timeline", ()))
        if records := check.get("records"):
            lines += ["", "records side by side (what differs has a star):"]
            lines += indented(side_by_side(records, WIDTH - 4))
    elif check["reason"]:
        lines += [f"{check['verdict']}: {check['reason'].rstrip()}"]
    for exchange in check["exchanges"][:SHOWN]:
        lines += _exchange(exchange)
    if more := len(check["exchanges"][SHOWN:]) + check.get("exchanges_left_out", 0):
        lines += ["", f"… {counted(more, 'exchange', 'exchanges')} more"]
    if log := check.get("log"):
        lines += ["", "the receiver printed meanwhile:", *indented(log)]
    lines.append("")
    if failed and check.get("why"):
        lines += labelled("why it matters", check["why"])
    if check.get("fix"):
        lines += labelled("usual fix" if failed else "do this", check["fix"])
    if again := check.get("send_again"):
        lines += ["", "send it again:", *indented([again])]
    if check.get("known"):
        lines += labelled("known failure", check["reason"])
    return "\n".join(lines).rstrip()


def _exchange(exchange: Mapping[str, Any]) -> list[str]:
    request, reply = exchange["request"], exchange.get("reply")
    lines = ["", f"request ({exchange['note'] or 'as the provider sends it'}):"]
    lines += indented([f"{request['method']} {request['url']}", *_headers(request["headers"]), "", request["body"]])
    after = f"after {exchange['seconds'] * 1000:.0f} ms"
    if reply is None:
        return [*lines, "reply:", *indented([f"none: {exchange['rule']} ({after})"])]
    kept = [one for one in reply["headers"] if one[0].lower() in KEPT]
    return [*lines, "reply:", *indented([f"{reply['status']} ({after})", *_headers(kept), "", reply["body"]])]


def _headers(headers: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{name}: {value}" for name, value in headers]
