"""Draws what a check sends as a sequence between provider and receiver: plain text, for terminals and for pages."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from im_callback.conformance.explain.told import Kind, Step

WIDTH = 60
"""Characters between the two lanes."""
SHORTEST = 4
"""Characters of a line that is left of an arrow beside its text."""
LEGEND = (
    "A, B, C are events; A1, A2, A3 are the states of one thing, or the messages of one list, the oldest first. Left out "
    "is the valid delivery that goes before each look at the effects, to see that the others have been worked off."
)


def drawn(steps: Iterable[Step]) -> str:
    """Return the drawing, without a line break at its end."""
    head = f"provider{'receiver':>{WIDTH - 2}}"
    return "\n".join(line.rstrip() for line in (head, *(line for step in steps for line in _lines(step))))


def _lines(step: Step) -> Iterator[str]:
    *before, text = textwrap.wrap(step.text, WIDTH - 3 * SHORTEST) or [""]
    if step.kind is Kind.REQUEST:
        yield from (_between(f"   {line}") for line in before)
        if step.lost:
            yield _between(f"-- {text} ".ljust(WIDTH - 3 * SHORTEST, "-") + "x")
        else:
            yield _between(f"-- {text} ".ljust(WIDTH - 1, "-") + ">")
    elif step.kind is Kind.ANSWER:
        yield from (_between(f"{line}   ".rjust(WIDTH)) for line in before)
        tip = " " * (3 * SHORTEST) + "x" if step.lost else "<"
        yield _between(tip + f" {text} --".rjust(WIDTH - len(tip), "-"))
    elif step.kind is Kind.MEANWHILE:
        yield from (_between(f"   {line}") for line in (*before, f"{text} ..."))
    else:
        said = f"[{step.text}]" if step.kind is Kind.RECEIVER else f"effects: {step.text}"
        yield from (_between(line.rjust(WIDTH - 1)) for line in textwrap.wrap(said, WIDTH - SHORTEST))


def _between(text: str) -> str:
    return f"  |{text:<{WIDTH}}|"
