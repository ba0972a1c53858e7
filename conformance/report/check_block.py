"""The block of one check out of the JSON document, for files that hold text."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

WIDTH = 100
SHOWN = 4
"""Exchanges that are shown whole."""
KEPT = ("content-type", "content-encoding")
"""Headers of a reply that say how its body is to be read."""


def check_block(check: Mapping[str, Any]) -> str:
    """Return the whole story of a check: what is required, what happened, the exchanges, the fix."""
    lines = [f"{check['id']}: {check['title']}", *_labelled("requirement", f"{check['title']} ({check['level']})")]
    lines += _labelled("source", check["source"])
    failed = check["verdict"] == "fail"
    if failed:
        lines += [*_labelled("expected", check["expected"]), *_labelled("actual", check["actual"])]
        lines += _indented(check.get("timeline", ()))
        lines += _indented(f"{one['what']}: {_json(one['record'])}" for one in check.get("records", ()))
    elif check["reason"]:
        lines += [f"{check['verdict']}: {check['reason'].rstrip()}"]
    for exchange in check["exchanges"][:SHOWN]:
        lines += _exchange(exchange)
    if more := len(check["exchanges"][SHOWN:]) + check.get("exchanges_left_out", 0):
        lines += ["", f"and {more} more exchange{'s' if more > 1 else ''}: the JSON result has them"]
    if log := check.get("log"):
        lines += ["", "the receiver printed meanwhile:", *_indented(log)]
    lines.append("")
    if failed and check.get("why"):
        lines += _labelled("why it matters", check["why"])
    if check.get("fix"):
        lines += _labelled("usual fix" if failed else "do this", check["fix"])
    if again := check.get("send_again"):
        lines += ["", "send it again:", *_indented([again])]
    if check.get("known"):
        lines += _labelled("known failure", check["reason"])
    return "\n".join(lines).rstrip()


def _exchange(exchange: Mapping[str, Any]) -> list[str]:
    request, reply = exchange["request"], exchange.get("reply")
    lines = ["", f"request ({exchange['note'] or 'as the provider sends it'}):"]
    lines += _indented([f"{request['method']} {request['url']}", *_headers(request["headers"]), "", request["body"]])
    after = f"after {exchange['seconds'] * 1000:.0f} ms"
    if reply is None:
        return [*lines, "reply:", *_indented([f"none: {exchange['rule']} ({after})"])]
    kept = [one for one in reply["headers"] if one[0].lower() in KEPT]
    return [*lines, "reply:", *_indented([f"{reply['status']} ({after})", *_headers(kept), "", reply["body"]])]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _headers(headers: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{name}: {value}" for name, value in headers]


def _labelled(label: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=f"{label}: ", subsequent_indent="  ") or [f"{label}:"]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {part}" if part else "" for line in lines for part in line.splitlines() or [""]]
