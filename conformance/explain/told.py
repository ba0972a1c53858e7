"""Reads what the docstring of a check tells of it: what passes, what is sent, and known ways to fail.

The first paragraph says what passes. A paragraph of steps says what is sent, a line each:

    REQUEST -> ANSWER       a delivery, and the answer that is right; with " -x" behind it, nobody reads the answer
    REQUEST ->              a delivery whose answer comes later
    -> ANSWER               that answer
    REQUEST -x              a delivery that is cut off on the way
    ... TEXT                what goes on meanwhile
    * TEXT                  what happens to the receiver
    = TEXT                  what the effects show in the end

Letters are events; where numbers stand behind them they are the states of one thing, or the messages of one list, in
their order. A list that begins with `- ` names the ways to fail. Any other paragraph is a note.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Kind(Enum):
    """What a step is."""

    REQUEST = "request"
    ANSWER = "answer"
    MEANWHILE = "meanwhile"
    RECEIVER = "receiver"
    EFFECTS = "effects"


@dataclass(frozen=True, slots=True)
class Step:
    """One arrow, or one line, of what a check does; `lost` where it does not arrive."""

    kind: Kind
    text: str
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What a docstring tells of a check; parts that it lacks are empty."""

    passes: str
    steps: tuple[Step, ...]
    ways: tuple[str, ...]
    notes: tuple[str, ...]


_LINES = {"... ": Kind.MEANWHILE, "* ": Kind.RECEIVER, "= ": Kind.EFFECTS}
_CUT = " -x"
_EXCHANGE = re.compile(r"(?P<request>.*?)(?:^| )->(?: (?P<answer>.+))?$")


def told_of(function: Callable[..., Any]) -> Told:
    """Return what the docstring of a check function tells."""
    paragraphs = re.split(r"\n\s*\n", inspect.getdoc(function) or "")
    passes, notes = "", []
    steps: list[Step] = []
    ways: list[str] = []
    for number, paragraph in enumerate(filter(None, paragraphs)):
        lines = paragraph.splitlines()
        if all(map(steps_in, lines)):
            steps += [step for line in lines for step in steps_in(line)]
        elif paragraph.startswith("- "):
            ways += [" ".join(one.split()) for one in re.split(r"(?:^|\n)- ", paragraph) if one]
        elif number == 0:
            passes = " ".join(paragraph.split())
        else:
            notes.append(" ".join(paragraph.split()))
    return Told(passes, tuple(steps), tuple(ways), tuple(notes))


def steps_in(line: str) -> list[Step]:
    """Return the steps that a line stands for; none if it is no line of steps."""
    for mark, kind in _LINES.items():
        if line.startswith(mark):
            return [Step(kind, line.removeprefix(mark))]
    lost = line.endswith(_CUT)
    found = _EXCHANGE.match(line.removesuffix(_CUT))
    if found is None:
        return [Step(Kind.REQUEST, line.removesuffix(_CUT), lost=True)] if lost else []
    request, answer = found["request"], found["answer"]
    steps = [Step(Kind.REQUEST, request)] if request else []
    return [*steps, Step(Kind.ANSWER, answer, lost)] if answer else steps
