"""How many there were in each stretch of time, as columns in two parts: what went well, and the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from im_callback.provider_mock.drawing.svg import element, picture, span, words

WIDTH, HEIGHT = 360, 132
TOP, BOTTOM = 24, 104
LEFT, RIGHT = 10, 350
LEAST = 2
"""How high a part is at least where anything is counted."""


@dataclass(frozen=True, slots=True)
class Column:
    """So many went well, and so many did not."""

    good: int
    bad: int


def columns(counted: Sequence[Column], each: float, name: str, title: str) -> str:
    """Return the picture as SVG: one column for each stretch of `each` milliseconds, the last one ends now."""
    width = (RIGHT - LEFT) / max(1, len(counted))
    most = max((one.good + one.bad for one in counted), default=0)
    parts = [element("line", x1=LEFT, y1=BOTTOM, x2=RIGHT, y2=BOTTOM, class_="dr-axis")]
    for index, one in enumerate(counted):
        y: float = BOTTOM
        for number, class_ in ((one.good, "dr-bar"), (one.bad, "dr-bar-late")):
            if number:
                high = max(LEAST, (BOTTOM - TOP) * number / most)
                y -= high
                x = LEFT + index * width
                parts.append(element("rect", x=x + 0.5, y=y, width=width - 1, height=high, class_=class_))
    parts.append(words(f"{most} at most in {span(each)}", LEFT, 14, "dr-time"))
    parts.append(words(f"{span(each * len(counted))} ago", LEFT, BOTTOM + 18, "dr-time"))
    parts.append(words("now", RIGHT, BOTTOM + 18, "dr-time", "end"))
    return picture(name, title, told(counted, each), WIDTH, HEIGHT, parts)


def told(counted: Sequence[Column], each: float) -> str:
    """Return the picture in words."""
    good, bad = sum(one.good for one in counted), sum(one.bad for one in counted)
    return f"In the last {span(each * len(counted))}, {good} went well and {bad} did not."
