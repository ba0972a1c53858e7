"""How scripts are made up and made shorter: by Hypothesis, which is imported here alone.

Made up, a script follows a frame: what happens around the deliveries, the same for all scripts that are played
together. Made shorter, it is the same script with steps left out, and numbers, forms and fates made plainer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from im_callback.conformance.explore.script import AROUND, Fate, Form, Request, Script, Step, Thing, tidied
from im_callback.conformance.explore.stock import Kind, Stock

if TYPE_CHECKING:
    from hypothesis import strategies as st

FATES: tuple[Fate, ...] = (*(("answered",) * 15), "ack-lost", "given-up", "cut-off")
COUNTS = (1, 2, 2, 3, 3, 4, 4, 5, 6)
"""How many things a script may have: short ones play fast, and show most of what there is."""
MOST_REPEATS = 5
SHRINKS = 400
"""Shorter scripts that are looked at, at most; most of them are known already."""


class NoHypothesis(ImportError):
    """What makes up sequences is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "it needs Hypothesis, which makes up the sequences; install it: pip install 'im-callback-conformance[explore]'"
        )


def must_be_there() -> None:
    """Raise `NoHypothesis` where Hypothesis cannot be imported."""
    try:
        import hypothesis  # noqa: F401
    except ImportError:
        raise NoHypothesis from None


@dataclass(frozen=True, slots=True)
class Frame:
    """What scripts that are played together have in common.

    `around` is what happens between their phases. With `apart` no two requests leave together and no connection is
    broken, as with a rate.
    """

    around: tuple[Step, ...] = ()
    apart: bool = False


def made_up(stock: Stock, frame: Frame, count: int, random: Random) -> list[Script]:
    """Return up to so many different scripts that follow the frame; the same random gives the same scripts."""
    from hypothesis import Phase, find
    from hypothesis.errors import NoSuchExample

    found: dict[Script, None] = {}

    def note(script: Script) -> bool:
        if script.deliveries:
            found.setdefault(script)
        return False

    with _nowhere(), suppress(NoSuchExample):
        # The first ones of a search are its simplest.
        find(_scripts(stock, frame), note, settings=_settings(count, Phase.generate), random=random)
    return list(found)


def shortest(script: Script, fails: Callable[[Script], bool], random: Random) -> Script:
    """Return the simplest of what is left of a script that still fails; the script itself if nothing simpler does.

    `fails` is asked once about each script.
    """
    from hypothesis import Phase, find
    from hypothesis.errors import NoSuchExample

    known: dict[Script, bool] = {script: True}

    def still(one: Script) -> bool:
        if one not in known:
            known[one] = bool(one.deliveries) and one.weight < script.weight and fails(one)
        return known[one]

    with _nowhere():
        try:
            found = find(
                _remains(script), still, settings=_settings(SHRINKS, Phase.generate, Phase.shrink), random=random
            )
        except NoSuchExample:
            found = script
    return min([found, *(one for one, failed in known.items() if failed)], key=lambda one: one.weight)


def _settings(count: int, *phases: Any) -> Any:
    from hypothesis import settings

    return settings(max_examples=count, database=None, deadline=None, phases=phases)


@contextmanager
def _nowhere() -> Iterator[None]:
    """Let Hypothesis leave nothing in the folder of whoever runs the checks."""
    from hypothesis import configuration

    with TemporaryDirectory() as folder:
        configuration.set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(None)


def _scripts(stock: Stock, frame: Frame) -> st.SearchStrategy[Script]:
    from hypothesis import strategies as st

    @st.composite
    def scripts(draw: st.DrawFn) -> Script:
        kinds = _kinds(draw, stock)
        count = draw(st.sampled_from(COUNTS))
        scopes = draw(st.sampled_from((1, 1, 1, 2)))
        places = draw(st.permutations(range(count)))
        things = []
        for place in places:
            kind = draw(st.sampled_from(kinds)) if len(kinds) > 1 else kinds[0]
            # Half of the things of a kind that can be removed are removals.
            options = (None, *(number for number, *_ in kind.removals))
            removal = draw(st.sampled_from((None,) * (len(options) - 1) + options)) if len(options) > 1 else None
            scope = draw(st.integers(0, scopes - 1)) if scopes > 1 else 0
            things.append(Thing(kind.name, scope, place, removal))
        again = draw(st.lists(st.integers(0, count - 1), max_size=MOST_REPEATS))
        # Each once, as they arrive; then what is repeated, anywhere after it.
        order = list(range(count))
        for number in again:
            order.insert(draw(st.integers(order.index(number) + 1, len(order))), number)
        steps = _steps(draw, order, stock, frame)
        return _framed(draw, Script(tuple(things), tuple(steps)), frame)

    return scripts()


def _kinds(draw: Any, stock: Stock) -> tuple[Kind, ...]:
    from hypothesis import strategies as st

    # First how they are ordered: there may be many kinds that are not, of which little can go wrong.
    rule = draw(st.sampled_from(tuple(dict.fromkeys(one.rule for one in stock.kinds))))
    one = draw(st.sampled_from([one for one in stock.kinds if one.rule == rule]))
    # Kinds that are ordered differently have nothing to do with each other, most of the time.
    return tuple(stock.kinds[:8]) if draw(st.integers(0, 9)) == 9 else (one,)


def _steps(draw: Any, order: Sequence[int], stock: Stock, frame: Frame) -> list[Step]:
    from hypothesis import strategies as st

    steps: list[Step] = []
    seen: set[int] = set()
    batch: list[int] = []
    requests: list[Request] = []
    form: Form
    fate: Fate
    arrays = draw(st.integers(0, 2)) if stock.batches else 0
    for index, number in enumerate(order):
        batch.append(number)
        last = index == len(order) - 1
        if arrays and not last and draw(st.integers(0, 2)) < arrays:
            continue
        form = draw(st.sampled_from(("afresh", "afresh", "same", "reformatted"))) if seen & set(batch) else "afresh"
        fate = "answered" if frame.apart else draw(st.sampled_from(FATES))
        requests.append(Request(tuple(batch), form, fate))
        seen |= set(batch)
        batch = []
        if frame.apart or last or draw(st.integers(0, 4)) < 4:
            steps.append(Step("deliver", tuple(requests)))
            requests = []
    if not all(one.fate == "answered" for step in steps for one in step.requests) and draw(st.booleans()):
        steps.insert(draw(st.integers(1, len(steps))), Step("retry"))
    return steps


def _framed(draw: Any, script: Script, frame: Frame) -> Script:
    """Put what happens around between the steps, in its order."""
    from hypothesis import strategies as st

    steps = list(script.steps)
    at = 0
    for step in frame.around:
        # Something has to come before, or it changes nothing.
        at = draw(st.integers(min(max(at, 1), len(steps)), len(steps)))
        steps.insert(at, step)
        at += 1
        if step.how in ("under-way", "heal"):
            # The provider still has what was not acknowledged.
            steps.insert(at, Step("retry"))
            at += 1
    return tidied_around(replace(script, steps=tuple(steps)))


def tidied_around(script: Script) -> Script:
    """Return the script tidied, but with all that happens around it."""
    found = tidied(script)
    return found if found.around == script.around else script


def _remains(script: Script) -> st.SearchStrategy[Script]:
    """What is left of a script when steps and things are left out and the rest is made plainer; nothing, at the least."""
    from hypothesis import strategies as st

    @st.composite
    def remains(draw: st.DrawFn) -> Script:
        steps: list[Step] = []
        for step in script.steps:
            # The smaller number is the plainer script, and rare at first.
            if step.do != "deliver":
                if draw(st.integers(0, 7)):
                    steps.append(_plainer(draw, step))
                continue
            requests = []
            for request in step.requests:
                if not draw(st.integers(0, 7)):
                    continue
                things = tuple(n for n in request.things if len(request.things) == 1 or draw(st.integers(0, 7)))
                plain = not draw(st.integers(0, 3)) if (request.form, request.fate) != ("afresh", "answered") else False
                requests.append(Request(things) if plain else replace(request, things=things))
            if len(requests) > 1 and not draw(st.integers(0, 3)):
                steps += [replace(step, requests=(one,)) for one in requests]
            else:
                steps.append(replace(step, requests=tuple(requests)))
        return tidied(replace(script, steps=tuple(steps)))

    return remains()


def _plainer(draw: Any, step: Step) -> Step:
    from hypothesis import strategies as st

    if step.do == "others":
        parts = sorted({max(1, int(step.number * part / 16)) for part in (0, 1, 2, 4, 6, 8, 10, 12, 14)})
        return replace(step, number=draw(st.sampled_from((*parts, int(step.number)))))
    if step.do == "wait":
        return replace(step, number=draw(st.sampled_from((step.number / 4, step.number / 2, step.number))))
    assert step.do in AROUND or step.do == "retry"
    return step
