"""Pieces of SVG: escaped text, lines of a width, and times as people say them.

Classes carry colours and fonts, so that a page may forbid every other style. Where the page's own style is forbidden
too, plain attributes leave lines and letters that can be read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from html import escape

NARROW, BROAD = 0.6, 1.0
"""Widths of a character, as parts of the font's size: of most, and of those that fill a square."""
SHAPES = frozenset({"circle", "line", "path", "rect"})
_THIN, _THICK = frozenset("ijl.,:;|'!()[]{} tfr"), frozenset("mwMW@%")


def element(tag: str, content: str = "", **attributes: object) -> str:
    """Return an element; `content` is SVG already. `class_` is written without its underscore, as others with one."""
    if tag in SHAPES:
        attributes = {**attributes, "fill": "none", "stroke": "currentColor"}
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_number(value))}"' for name, value in attributes.items()
    )
    return f"<{tag}{given}>{content}</{tag}>" if content or tag == "text" else f"<{tag}{given}/>"


def words(text: str, x: float, y: float, class_: str = "", anchor: str = "start") -> str:
    """Return a line of text at a place."""
    return element("text", escape(text), x=x, y=y, class_=f"dr-text {class_}".rstrip(), text_anchor=anchor)


def picture(name: str, title: str, description: str, width: float, height: float, parts: Iterable[str]) -> str:
    """Return a whole picture that tells what it shows to those who do not see it. `name` is its own in the page."""
    told = (
        element("title", escape(title) or " ", id=f"{name}-title")
        + element("desc", escape(description) or " ", id=f"{name}-desc")
    )  # fmt: skip
    return element(
        "svg",
        told + "".join(parts),
        xmlns="http://www.w3.org/2000/svg",
        class_="dr",
        viewBox=f"0 0 {_number(width)} {_number(height)}",
        width=width,
        height=height,
        font_family="sans-serif",
        font_size=11,
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )


def wide(text: str, size: float) -> float:
    """Return about how wide a text is, in the unit of the font's size."""
    return sum(map(_wide, text)) * size


def lines(text: str, width: float, size: float, most: int) -> list[str]:
    """Return a text in lines no wider than `width`, `most` of them; what does not fit ends in an ellipsis."""
    found: list[str] = []
    left = " ".join(text.split())
    while left and len(found) < most:
        head = _head(left, width, size)
        if len(head) < len(left) and len(found) < most - 1 and left[len(head)] != " ":
            head = head[: max((head.rfind(mark) for mark in " /,"), default=-1) + 1] or head
        found.append(head.strip())
        left = left[len(head) :].strip()
    if left:
        found[-1] = f"{_head(found[-1], width - size, size)}…"
    return found


def span(milliseconds: float) -> str:
    """Return a time as people say it, in no more than three digits: `3.5 ms`, `1.2 s`, `5 min`, `2 h`, `3 d`."""
    for size, unit, until in ((1, "ms", 1000), (1000, "s", 120_000), (60_000, "min", 7_200_000)):
        if abs(milliseconds) < until:
            return _rounded(milliseconds / size, unit)
    hours = milliseconds / 3_600_000
    return _rounded(hours, "h") if hours < 48 else _rounded(hours / 24, "d")


def _rounded(value: float, unit: str) -> str:
    text = f"{value:.1f}".removesuffix(".0") if abs(value) < 100 else f"{value:.0f}"
    return f"{text} {unit}"


def _head(text: str, width: float, size: float) -> str:
    """Return the longest beginning of a text that fits, a character at least."""
    taken = 0.0
    for index, character in enumerate(text):
        taken += _wide(character) * size
        if taken > width and index:
            return text[:index]
    return text


def _wide(character: str) -> float:
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF":
        return BROAD
    return 0.38 if character in _THIN else 0.86 if character in _THICK else NARROW if character.islower() else 0.7


def _number(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
