"""A timeline of deliveries: who sends and who receives as lanes, what was answered, what shows in the end.

Every step has a row of its own, however far apart they are: times differ by a factor of a million between an
acknowledgement and a retry, and any scale would show one of them as nothing. Times are written instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from im_callback.provider_mock.drawing.svg import element, lines, picture, span, wide, words

Outcome = Literal["acked", "declined", "refused", "timed out", "unreachable"]

WIDTH = 360
LEFT, RIGHT = 66, 330
"""The lanes: of who sends and of who receives."""
SIZE, SMALL, BOLD = 12, 11, 12
"""Sizes of text, the last for small letters that are bold, and as wide as larger ones."""
LINE = 15
PAUSE = 2_000
"""Milliseconds between two steps from which on the time that passes has a row of its own."""
EXACT = 1.0
"""Milliseconds to which it is known when a step began."""
MOST, ALIKE = 6, 2
"""Steps that are drawn, and how many that are alike; the others are counted."""
HEADS = {"due": "expected", "wrong": "what there is", "plain": "what shows"}
CUT = 3
"""Lines of a text about what shows."""


@dataclass(frozen=True, slots=True)
class Step:
    """One attempt. Times are milliseconds: `at` since any moment, `took` until the answer or until it was given up.

    `event` is the same for steps that deliver the same thing. `wrong` says what is wrong with what came of it.
    """

    at: float
    label: str
    outcome: Outcome
    answer: str
    took: float
    deadline: float = 0.0
    event: str = ""
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """What there is to see in the end: a text under a head, and whether it is what is wrong or what was due."""

    text: str
    kind: Literal["due", "wrong", "plain"] = "plain"
    head: str = ""


@dataclass(frozen=True, slots=True)
class Timeline:
    """What is drawn. `more` are steps that are not among `steps`, of a story that was cut before."""

    steps: tuple[Step, ...]
    shown: tuple[Shown, ...] = ()
    lanes: tuple[str, str] = ("provider", "receiver")
    more: int = 0


def drawn(timeline: Timeline, name: str, title: str) -> str:
    """Return the picture as SVG. `name` is the beginning of its ids in the page."""
    steps = sorted(timeline.steps, key=lambda one: one.at)
    letters = lettered(steps)
    parts: list[str] = []
    height = _head(parts, timeline, steps)
    top = height - 6
    before: Step | None = None
    for step in picked(steps):
        if isinstance(step, int):
            height = _gap(parts, height, f"{step} more", "dr-more")
            before = None
            continue
        if before is not None and step.at - (before.at + before.took) >= PAUSE:
            height = _gap(parts, height, f"{span(step.at - before.at - before.took)} later", "dr-pause")
        height = _step(parts, height, step, steps[0], letters.get(step.event, ""), overlaps(step, steps))
        before = step
    if timeline.more:
        height = _gap(parts, height, f"{timeline.more} more are not drawn", "dr-more")
    lanes = [element("line", x1=x, y1=top, x2=x, y2=height, class_="dr-lane") for x in (LEFT, RIGHT)]
    height = _end(parts, height, timeline.shown)
    return picture(name, title, " ".join(told(timeline)), WIDTH, height, [*lanes, *parts])


def told(timeline: Timeline) -> list[str]:
    """Return the picture in words, a sentence for each thing in it."""
    steps = sorted(timeline.steps, key=lambda one: one.at)
    letters = lettered(steps)
    said = []
    for step in picked(steps):
        if isinstance(step, int):
            said.append(f"{step} more.")
            continue
        letter = letters.get(step.event, "")
        what = f"{step.label} (event {letter})" if letter else step.label
        wrong = f" This is wrong: {step.wrong}." if step.wrong else ""
        said.append(f"{_since(step, steps[0])}: {what}: {_answer(step)}.{wrong}")
    if timeline.more:
        said.append(f"{timeline.more} more.")
    return [*said, *(f"{one.head or HEADS[one.kind]}: {one.text}" for one in timeline.shown)]


def lettered(steps: Sequence[Step]) -> dict[str, str]:
    """Return a letter for every event that is told, where there are several steps; none where letters run out."""
    events = dict.fromkeys(step.event for step in steps if step.event)
    if len(steps) < 2 or len(events) > 26:
        return {}
    return {event: chr(ord("A") + index) for index, event in enumerate(events)}


def picked(steps: Sequence[Step]) -> list[Step | int]:
    """Return the steps that are drawn, and between them how many are not.

    What is wrong is drawn first of all, then the first and the last, then what is not like others before it.
    """
    alike: dict[tuple[str, str, str], int] = {}
    ranks = []
    for index, step in enumerate(steps):
        like = ("" if step.wrong else step.label, step.outcome, step.wrong)
        seen = alike[like] = alike.get(like, 0) + 1
        ends = index in (0, len(steps) - 1)
        ranks.append(0 if step.wrong and seen == 1 else 1 if ends else 2 if seen == 1 else 3 if seen <= ALIKE else 4)
    most = MOST if len(steps) > MOST + 1 else len(steps)
    drawable = [index for index in range(len(steps)) if ranks[index] < 4 or len(steps) <= 3]
    kept = sorted(sorted(drawable, key=lambda index: ranks[index])[:most])
    found: list[Step | int] = []
    for before, index in zip((-1, *kept), (*kept, len(steps)), strict=False):
        if index - before > 1:
            found.append(index - before - 1)
        if index < len(steps):
            found.append(steps[index])
    return found


def overlaps(step: Step, steps: Sequence[Step]) -> bool:
    """Return whether another step was under way at the same time, for longer than times are exact."""
    return any(
        one is not step and one.at + EXACT < step.at + step.took and step.at + EXACT < one.at + one.took
        for one in steps
    )


def _head(parts: list[str], timeline: Timeline, steps: Sequence[Step]) -> float:
    """Draw who the lanes belong to and when answers are due; return how far down that is."""
    for x, lane, anchor in ((LEFT, timeline.lanes[0], "middle"), (RIGHT, timeline.lanes[1], "end")):
        name = "".join(lines(lane, 2 * LEFT - 8, BOLD, 1))
        parts.append(words(name, x if anchor == "middle" else WIDTH - 4, 16, "dr-name", anchor))
    deadlines = {step.deadline for step in steps if step.deadline}
    if len(deadlines) == 1:
        parts.append(words(f"deadline {span(deadlines.pop())}", (LEFT + RIGHT) / 2, 16, "dr-faint", "middle"))
    return 30


def _step(parts: list[str], y: float, step: Step, first: Step, letter: str, together: bool) -> float:
    """Draw an attempt below `y`; return where it ends."""
    left = LEFT + (28 if letter else 8)
    label = lines(step.label, RIGHT - 8 - left, SIZE, 2)
    there = y + len(label) * LINE + 6
    back = there + LINE + 14
    wrong = lines(step.wrong, WIDTH - LEFT - 32, BOLD, 2)
    late = bool(step.deadline) and step.took >= step.deadline * 0.5
    due = back + LINE + 4 if late else back
    end = due + 12 + len(wrong) * LINE
    if step.wrong:
        parts.append(
            element("rect", x=2, y=y - 2, width=WIDTH - 4, height=end - y, rx=4, class_="dr-wrong-row")
        )  # fmt: skip
    parts += [words(line, left, y + LINE * number - 2, "dr-label") for number, line in enumerate(label, 1)]
    parts.append(words(_since(step, first), LEFT - 10, there + 4, "dr-time", "end"))
    if together:
        parts.append(element("line", x1=LEFT - 5, y1=y, x2=LEFT - 5, y2=end + 4, class_="dr-together"))
    if letter:
        parts.append(element("circle", cx=LEFT + 16, cy=there - 10, r=8, class_="dr-event"))
        parts.append(words(letter, LEFT + 16, there - 6, "dr-letter", "middle"))
    parts.append(element("line", x1=LEFT, y1=there, x2=RIGHT - 9, y2=there, class_="dr-sent"))
    parts.append(_head_of_arrow(RIGHT - 3, there, -1, "dr-sent-head"))
    parts.append(element("rect", x=RIGHT - 3, y=there, width=6, height=back - there, class_="dr-busy"))
    _reply(parts, back, step)
    if late:
        after = "before" if step.took < step.deadline else "after"
        parts.append(element("line", x1=LEFT - 6, y1=due - 4, x2=RIGHT + 10, y2=due - 4, class_="dr-deadline"))
        text = (
            f"deadline {span(step.deadline)}: answered {after} it" if _came(step) else f"deadline {span(step.deadline)}"
        )
        parts.append(words(text, RIGHT - 8, due - 8, "dr-time", "end"))
    if step.wrong:
        parts.append(_cross(LEFT + 14, end - 10 - (len(wrong) - 1) * LINE))
    for number, line in enumerate(wrong):
        parts.append(words(line, LEFT + 26, end - 6 - (len(wrong) - 1 - number) * LINE, "dr-wrong-text"))
    return end + 4


def _reply(parts: list[str], y: float, step: Step) -> None:
    """Draw what came back, or that nothing did."""
    kind = {"acked": "dr-acked", "declined": "dr-declined", "refused": "dr-refused"}.get(step.outcome, "dr-nothing")
    middle = (LEFT + RIGHT) / 2
    to = LEFT + 9 if _came(step) else middle
    parts.append(element("line", x1=RIGHT, y1=y, x2=to, y2=y, class_=kind))
    parts.append(
        _head_of_arrow(LEFT + 3, y, 1, f"{kind}-head")
        if _came(step)
        else element("path", d=f"M{middle - 5} {y - 5}l10 10m0 -10l-10 10", class_="dr-nothing-head")
    )
    (said,) = lines(_answer(step), RIGHT - LEFT - 24, SMALL, 1) or [""]
    parts.append(words(said, RIGHT - 10, y - 5, "dr-answer", "end"))


def _end(parts: list[str], y: float, shown: Sequence[Shown]) -> float:
    """Draw what shows in the end; return how far down that is."""
    if not shown:
        return y + 6
    y += 6
    for one in shown:
        room = WIDTH - 44
        text = lines(one.text, room, SIZE, 1 if one.kind == "plain" else CUT)
        high = len(text) * LINE + 12 + LINE
        parts.append(element("rect", x=4, y=y, width=WIDTH - 8, height=high, rx=5, class_=f"dr-shown dr-{one.kind}"))
        (head,) = lines(one.head or HEADS[one.kind], room, BOLD, 1)
        mark = {"due": _tick(20, y + 13), "wrong": _cross(20, y + 13), "plain": ""}[one.kind]
        parts += [mark, words(head, 34, y + 17, f"dr-{one.kind}-text dr-head-text")]
        parts += [words(line, 34, y + 17 + LINE * number, "dr-label") for number, line in enumerate(text, 1)]
        y += high + 6
    return y


def _gap(parts: list[str], y: float, text: str, class_: str) -> float:
    """Draw that something is not drawn; return where it ends."""
    across = wide(text, SMALL) / 2 + 10
    middle = (LEFT + RIGHT) / 2
    for x1, x2 in ((LEFT, middle - across), (middle + across, RIGHT)):
        parts.append(element("line", x1=x1, y1=y + 10, x2=x2, y2=y + 10, class_=class_))
    parts.append(words(text, middle, y + 14, "dr-time", "middle"))
    return y + 26


def _came(step: Step) -> bool:
    return step.outcome in ("acked", "declined", "refused")


def _answer(step: Step) -> str:
    return (
        f"{step.answer}, {step.outcome}, after {span(step.took)}"
        if _came(step)
        else f"{step.answer} ({span(step.took)})"
    )


def _since(step: Step, first: Step) -> str:
    return f"+{span(step.at - first.at)}" if step.at > first.at else "0 ms"


def _head_of_arrow(x: float, y: float, way: int, class_: str) -> str:
    return element("path", d=f"M{x} {y}l{8 * way} -4.5v9z", class_=class_)


def _cross(x: float, y: float) -> str:
    """Return a cross in an octagon: the sign of what is wrong, by its shape too."""
    sign = element("path", d=f"M{x - 3} {y - 8}h6l5 5v6l-5 5h-6l-5 -5v-6z", class_="dr-cross")
    return sign + element("path", d=f"M{x - 3} {y - 3}l6 6m0 -6l-6 6", class_="dr-cross-lines")


def _tick(x: float, y: float) -> str:
    sign = element("circle", cx=x, cy=y, r=8, class_="dr-tick")
    return sign + element("path", d=f"M{x - 4} {y}l3 3l5 -6", class_="dr-tick-lines")
