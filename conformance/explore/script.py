"""A sequence of deliveries as plain data: what happens, how it is delivered, and what happens around it.

A script speaks of things (something that happens in a scope, at a place of its order) and of steps. It holds no
identities, no times and no bytes, so that it can be played again and again, each time with fresh ones. Nothing here
reads a clock, draws a random number or performs I/O. Two rules hold for every script: no two things of one scope have
the same place, and each step names things that are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Form = Literal["afresh", "same", "reformatted"]
"""How a delivery is written: signed anew, byte for byte as before, or with other key order and white space."""
Fate = Literal["answered", "ack-lost", "given-up", "cut-off"]
"""What becomes of a request: the answer is read; the connection closes as the answer begins, or before it does; or it
closes in the middle of the body."""
Do = Literal["deliver", "retry", "others", "wait", "restart", "store"]
AROUND: frozenset[str] = frozenset({"others", "wait", "restart", "store"})
"""What happens to the receiver as a whole, and so to all scripts that are played at the same time."""
PARTS = (0.02, 0.25, 0.5, 0.75, 0.9)
"""What is tried of a number."""
NUMBERS = 2
"""The first of the groups of simpler scripts in which numbers alone are smaller."""
GROUPS = NUMBERS + len(PARTS)
SICK: frozenset[str] = frozenset({"hang", "slow", "refuse"})
"""What a store suffers from until it is healed."""


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that happens, of an event type, at a place in the order of its scope.

    `removal` is None, or says which of the removals that end a state of the type it is.
    """

    type: str
    scope: int = 0
    place: int = 0
    removal: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One request: the things that it carries, by their numbers from 0."""

    things: tuple[int, ...]
    form: Form = "afresh"
    fate: Fate = "answered"


@dataclass(frozen=True, slots=True)
class Step:
    """What is done next; requests of one step leave at the same moment.

    `retry` delivers again what was not acknowledged. `others` are `number` deliveries of other things. `wait` takes
    `number` seconds. A `restart` is `how` the receiver ends before it starts again: `kill`, `stop`, or `under-way`,
    killed `number` seconds after the requests of the step before have left. The `store` is told to `hang`, `slow`
    (by `number` seconds), `refuse`, `cut`, `reset` or `heal`.
    """

    do: Do
    requests: tuple[Request, ...] = ()
    number: float = 0.0
    how: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """Things, and the steps in which they are delivered, all of one feed."""

    things: tuple[Thing, ...]
    steps: tuple[Step, ...]

    @property
    def deliveries(self) -> int:
        """How many requests carry its things, retries aside."""
        return sum(len(step.requests) for step in self.steps)

    @property
    def around(self) -> tuple[Step, ...]:
        """What happens to the receiver as a whole, in order."""
        return tuple(step for step in self.steps if step.do in AROUND)

    @property
    def needs_command(self) -> bool:
        """Whether the receiver is restarted."""
        return any(step.do == "restart" for step in self.steps)

    @property
    def needs_store(self) -> bool:
        """Whether something is done to its store."""
        return any(step.do == "store" for step in self.steps)

    @property
    def weight(self) -> tuple[float, ...]:
        """By what of two scripts that show the same the simpler one is found: the lighter."""
        retries = sum(step.do == "retry" for step in self.steps)
        others = sum(step.number for step in self.steps if step.do == "others")
        waits = sum(step.number for step in self.steps if step.do == "wait")
        odd = sum(
            (one.form != "afresh") + 2 * (one.fate != "answered") + 2 * len(one.things) + len(step.requests) - 3
            for step in self.steps
            for one in step.requests
        )
        scopes = len({one.scope for one in self.things})
        size = self.deliveries + 2 * retries
        return (size, len(self.around), odd, len(self.steps), others, waits, len(self.things), scopes)


def phases(script: Script) -> list[tuple[Step, ...]]:
    """Return the deliveries between what happens around them: one phase more than there are steps around."""
    found: list[list[Step]] = [[]]
    for step in script.steps:
        if step.do in AROUND:
            found.append([])
        else:
            found[-1].append(step)
    return [tuple(one) for one in found]


def tidied(script: Script) -> Script:
    """Return the script without what changes nothing: empty steps, things that are never delivered, gaps in places."""
    steps: list[Step] = []
    sick = False
    for step in script.steps:
        if step.do == "deliver":
            requests = tuple(one for one in step.requests if one.things)
            if requests:
                steps.append(replace(step, requests=requests))
        elif step.do == "store":
            if step.how != "heal" or sick:
                steps.append(step)
            sick = step.how in SICK or (sick and step.how != "heal")
        elif step.do in ("others", "wait") and step.number <= 0:
            continue
        elif step.do != "retry" or any(one.do == "deliver" for one in steps):
            steps.append(step)
    used = sorted({number for step in steps for one in step.requests for number in one.things})
    numbers = {old: new for new, old in enumerate(used)}
    things = [script.things[old] for old in used]
    scopes = {scope: n for n, scope in enumerate(dict.fromkeys(one.scope for one in things))}
    places = {place: n for n, place in enumerate(sorted({one.place for one in things}))}
    return Script(
        tuple(replace(one, scope=scopes[one.scope], place=places[one.place]) for one in things),
        tuple(
            replace(
                step,
                requests=tuple(
                    replace(one, things=tuple(numbers[number] for number in one.things)) for one in step.requests
                ),
            )
            for step in steps
        ),
    )


def simpler(script: Script) -> Iterator[list[Script]]:
    """Yield simpler scripts in groups, each with the simplest first: less around, fewer deliveries, smaller numbers."""
    steps = script.steps
    around = [place for place, step in enumerate(steps) if step.do in AROUND]
    own = [place for place, step in enumerate(steps) if step.do not in AROUND]
    none = _without(script, around)
    yield _sorted(script, [none, *(_without(script, [place]) for place in around)])
    fewer = [
        _without(script, [place, *more]) for place in own for more in ([], *([other] for other in own if other > place))
    ]
    for place in own:
        fewer += [_instead(script, place, made) for made in _plainer(steps[place])]
    fewer += [_scoped(script, scope) for scope in {one.scope for one in script.things} - {0}]
    yield _sorted(script, fewer)
    for part in PARTS:
        yield _sorted(script, [_smaller(script, place, part) for place in around])


def _sorted(script: Script, found: Iterable[Script]) -> list[Script]:
    kept = {one for one in found if one.deliveries and one.weight < script.weight}
    return sorted(kept, key=lambda one: one.weight)


def _without(script: Script, places: Iterable[int]) -> Script:
    left_out = set(places)
    kept = tuple(step for place, step in enumerate(script.steps) if place not in left_out)
    return tidied(replace(script, steps=kept))


def _instead(script: Script, place: int, made: Sequence[Step]) -> Script:
    return tidied(replace(script, steps=(*script.steps[:place], *made, *script.steps[place + 1 :])))


def _plainer(step: Step) -> Iterator[list[Step]]:
    """Yield what may stand for a step of deliveries: with one thing less, or one of its requests plainer."""
    for index, request in enumerate(step.requests):
        before, after = step.requests[:index], step.requests[index + 1 :]
        yield [replace(step, requests=before + after)]
        yield [replace(step, requests=(*before, Request(request.things), *after))]
        yield [replace(step, requests=(*before, replace(request, form="afresh"), *after))]
        for one in range(len(request.things)):
            fewer = request.things[:one] + request.things[one + 1 :]
            yield [replace(step, requests=(*before, replace(request, things=fewer), *after))]
        if len(request.things) > 1 and len(step.requests) == 1:
            yield [replace(step, requests=(replace(request, things=(one,)),)) for one in request.things]
    if len(step.requests) > 1:
        yield [replace(step, requests=(one,)) for one in step.requests]


def _scoped(script: Script, scope: int) -> Script:
    """Return the script with the things of a scope in the first one; itself where places would be the same."""
    things = tuple(replace(one, scope=0) if one.scope == scope else one for one in script.things)
    return tidied(replace(script, things=things)) if len(set(_stands(things))) == len(things) else script


def _smaller(script: Script, place: int, part: float) -> Script:
    step = script.steps[place]
    number = step.number * part
    smaller = replace(step, number=max(1, int(number)) if step.do == "others" else round(number, 2))
    return _instead(script, place, [smaller])


def spaced(script: Script, seconds: float) -> Script:
    """Return the script with so many seconds between any two of its own steps."""
    return _between(script, Step("wait", number=seconds))


def retimed(script: Script, factor: float) -> Script:
    """Return the script with the receiver killed so many times later while requests are under way."""
    steps = (
        replace(step, number=round(step.number * factor, 4)) if step.how == "under-way" else step
        for step in script.steps
    )
    return replace(script, steps=tuple(steps))


def widened(script: Script, number: int) -> Script:
    """Return the script with so many deliveries of other things between any two of its own steps."""
    return _between(script, Step("others", number=number))


def _between(script: Script, what: Step) -> Script:
    steps: list[Step] = []
    for step in script.steps:
        if steps and steps[-1].do == "deliver" and step.do in ("deliver", "retry"):
            steps.append(what)
        steps.append(step)
    return replace(script, steps=tuple(steps))


def to_json(script: Script) -> dict[str, Any]:
    """Return the script as JSON has it."""
    return {
        "things": [
            {
                "type": one.type,
                "scope": one.scope,
                "place": one.place,
                **({} if one.removal is None else {"removal": one.removal}),
            }
            for one in script.things
        ],
        "steps": [_step(one) for one in script.steps],
    }


def _step(step: Step) -> dict[str, Any]:
    match step.do:
        case "deliver":
            return {
                "deliver": [{"things": list(one.things), "form": one.form, "fate": one.fate} for one in step.requests]
            }
        case "others":
            return {"others": int(step.number)}
        case "wait":
            return {"wait": step.number}
        case "retry":
            return {"retry": True}
        case _:
            return {step.do: step.how, **({"seconds": step.number} if step.number else {})}


def from_json(document: Mapping[str, Any]) -> Script:
    """Return the script that a document holds whose form was checked; ValueError if it breaks a rule of scripts."""
    things = tuple(Thing(one["type"], one["scope"], one["place"], one.get("removal")) for one in document["things"])
    script = Script(things, tuple(_read(one) for one in document["steps"]))
    for step in script.steps:
        for number in (number for one in step.requests for number in one.things):
            if number >= len(things):
                raise ValueError(f"a step delivers the thing {number}, and there are {len(things)}, counted from 0")
    if len(set(_stands(things))) < len(things):
        raise ValueError("two things of one scope have the same place")
    return script


def _stands(things: Iterable[Thing]) -> list[tuple[int, int]]:
    return [(one.scope, one.place) for one in things]


def _read(step: Mapping[str, Any]) -> Step:
    if "deliver" in step:
        return Step(
            "deliver", tuple(Request(tuple(one["things"]), one["form"], one["fate"]) for one in step["deliver"])
        )
    for name in ("others", "wait"):
        if name in step:
            return Step("others" if name == "others" else "wait", number=step[name])
    for name in ("restart", "store"):
        if name in step:
            return Step("restart" if name == "restart" else "store", number=step.get("seconds", 0.0), how=step[name])
    return Step("retry")
