"""The result as one page that people show each other: it needs no network, and can be read without its script.

Everything in it comes from the document; a receiver's words are text there, whatever they look like. The page's own
style and script are named to the browser by their digests, so that nothing else can run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from importlib.resources import files
from itertools import groupby
from typing import Any

from im_callback.conformance.report.html import story
from im_callback.provider_mock.drawing import style
from im_callback.provider_mock.drawing.bars import Bar, bars
from im_callback.provider_mock.drawing.bars import told as bars_told
from im_callback.provider_mock.drawing.svg import span
from im_callback.provider_mock.drawing.timeline import drawn, told
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

Check = Mapping[str, Any]
VERDICTS = {
    "fail": ("✗", "failed"),
    "could-not-run": ("?", "could not run"),
    "harness-error": ("!", "our own error"),
    "pass": ("✓", "passed"),
    "not-applicable": ("–", "not applicable"),
}
"""By verdict, its sign and how it is said; in the order of what wants to be seen first."""


def page(document: Mapping[str, Any]) -> str:
    """Return the page. `document` is what `result.schema.json` describes."""
    css, script = style() + _file("page.css"), _file("page.js")
    checks: Sequence[Check] = document["checks"]
    return (
        _environment()
        .get_template("page.html")
        .render(
            document=document,
            css=Markup(css),  # noqa: S704 - Our own file.
            script=Markup(script),  # noqa: S704 - Our own file.
            css_digest=_digest(css),
            script_digest=_digest(script),
            verdicts=VERDICTS,
            counts={name: sum(one["verdict"] == name for one in checks) for name in VERDICTS},
            families=[(name, list(those)) for name, those in groupby(checks, key=lambda one: one["id"].split(".")[1])],
            by_id={one["id"]: one for one in checks},
            unjudged=_unjudged(checks),
            acks_picture=_acks_picture(document["acks"]),
            acks_words=_bars_words(document["acks"]),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_file), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        span=span, moment=_moment, picture=_picture, words=_words, wrong=story.wrong_with, beside=_beside
    )
    environment.globals.update(answer_of=story.answer_of)
    return environment


def _file(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _moment(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def _picture(check: Check, place: str) -> Markup:
    """Return the timeline of a check, or nothing; `place` tells several pictures of one check apart."""
    found = story.timeline(check)
    if found is None:
        return Markup()
    return Markup(drawn(found, f"{place}-{check['id']}", f"What happened: {check['title']}"))  # noqa: S704 - Escaped there.


def _words(check: Check) -> list[str]:
    found = story.timeline(check)
    return [] if found is None else told(found)


def _bars(acks: Mapping[str, Any]) -> list[Bar]:
    """Return the bars, up to the one in which the deadline falls at least: it is to be seen how far away it is."""
    counted = [Bar(one["up_to_ms"], one["count"]) for one in acks["buckets"]]
    while counted and counted[-1].up_to < acks["deadline_ms"]:
        before = counted[-1].up_to
        counted.append(Bar(before * (2.5 if str(before).startswith("2") else 2), 0))
    return counted


def _acks_picture(acks: Mapping[str, Any]) -> Markup:
    if not acks["buckets"]:
        return Markup()
    return Markup(  # noqa: S704 - Escaped there.
        bars(_bars(acks), acks["deadline_ms"], "acks-picture", "Acknowledgement times against the deadline")
    )


def _bars_words(acks: Mapping[str, Any]) -> list[str]:
    return bars_told(_bars(acks), acks["deadline_ms"])


def _unjudged(checks: Iterable[Check]) -> list[tuple[str, str, list[Check]]]:
    """Return why checks could not run, what to do, and which these are."""
    groups: dict[tuple[str, str], list[Check]] = {}
    for one in checks:
        if one["verdict"] == "could-not-run":
            groups.setdefault((one["reason"], one["fix"]), []).append(one)
    return [(*known, those) for known, those in groups.items()]


def _beside(records: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[tuple[str, bool]]]]:
    """Return records as lines, each with whether it is not in all of them."""
    texts = [json.dumps(one["record"], ensure_ascii=False, indent=1).splitlines() for one in records]
    common = set.intersection(*({line.rstrip(",") for line in lines} for lines in texts))
    return [
        (one["what"], [(line, line.rstrip(",") not in common) for line in lines])
        for one, lines in zip(records, texts, strict=True)
    ]
