"""How long answers took, as bars against the deadline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from im_callback.provider_mock.drawing.svg import element, picture, span, words

WIDTH, HEIGHT = 360, 176
TOP, BOTTOM = 40, 128
LEFT, RIGHT = 10, 350
LEAST = 3
"""How high a bar is at least where anything is counted."""


@dataclass(frozen=True, slots=True)
class Bar:
    """So many took up to so many milliseconds, and longer than the bar before."""

    up_to: float
    count: int


def bars(counted: Sequence[Bar], deadline: float, name: str, title: str) -> str:
    """Return the picture as SVG: the bars in their order, and the deadline where it falls among them."""
    width = (RIGHT - LEFT) / max(1, len(counted))
    most = max((bar.count for bar in counted), default=0) or 1
    parts = [element("line", x1=LEFT, y1=BOTTOM, x2=RIGHT, y2=BOTTOM, class_="dr-axis")]
    for index, bar in enumerate(counted):
        x = LEFT + index * width
        if bar.count:
            high = max(LEAST, (BOTTOM - TOP) * bar.count / most)
            late = bar.up_to > deadline
            class_ = "dr-bar-late" if late else "dr-bar"
            parts.append(element("rect", x=x + 1.5, y=BOTTOM - high, width=width - 3, height=high, class_=class_))
            parts.append(words(str(bar.count), x + width / 2, BOTTOM - high - 4, "dr-count", "middle"))
        # Every third edge, so that they stand apart on a phone.
        if index % 3 == 2:
            parts.append(element("line", x1=x + width, y1=BOTTOM, x2=x + width, y2=BOTTOM + 5, class_="dr-axis"))
            parts.append(words(span(bar.up_to), x + width, BOTTOM + 18, "dr-time", "middle"))
    at = LEFT + place(deadline, counted) * width
    parts.append(element("line", x1=at, y1=22, x2=at, y2=BOTTOM + 6, class_="dr-deadline"))
    anchor = "end" if at > WIDTH / 2 else "start"
    parts.append(words(f"deadline {span(deadline)}", at + (-5 if anchor == "end" else 5), 24, "dr-label", anchor))
    parts.append(words("time until the acknowledgement", (LEFT + RIGHT) / 2, HEIGHT - 8, "dr-time", "middle"))
    return picture(name, title, " ".join(told(counted, deadline)), WIDTH, HEIGHT, parts)


def place(milliseconds: float, counted: Sequence[Bar]) -> float:
    """Return where a time falls, in bars from the left; within a bar by its logarithm."""
    before = 0.0
    for index, bar in enumerate(counted):
        if milliseconds <= bar.up_to:
            if not before or milliseconds <= before:
                return index + milliseconds / bar.up_to if not before else float(index)
            return index + math.log(milliseconds / before) / math.log(bar.up_to / before)
        before = bar.up_to
    return float(len(counted))


def told(counted: Sequence[Bar], deadline: float) -> list[str]:
    """Return the picture in words."""
    said = [f"The deadline is {span(deadline)}."]
    before = 0.0
    for bar in counted:
        if bar.count:
            said.append(f"{bar.count} took {f'{span(before)} to ' if before else 'up to '}{span(bar.up_to)}.")
        before = bar.up_to
    return said
