"""The catalogue of faults: one file here for each, and those that other packages register.

A fault of a third party is an entry point in the group `im_callback.faults` that names its
class; one that cannot be loaded is passed over. What a fault is, and how faults combine, is written
down in `im_callback.provider_mock.delivery.fault`.
"""

from __future__ import annotations

import math
import pkgutil
from collections.abc import Iterable
from dataclasses import Field, dataclass, fields, is_dataclass, replace
from functools import cache
from importlib import import_module
from random import Random
from typing import Any, cast

from im_callback.provider_mock.delivery.fault import Fault, NothingToDisturb, Shared, attribute, attributes
from im_callback.provider_mock.delivery.plan import Plan
from im_callback.provider_mock.plugins import Plugins, Unusable
from im_callback.schemas.nearest import choice, nearest

GROUP = "im_callback.faults"


LONGEST_NAME = 100
"""Characters of a name that are repeated."""
LIST = "provider-mock faults lists them"


@dataclass(frozen=True)
class _OfAll:
    share: float = attribute(
        1.0, "the share of the deliveries that it disturbs, drawn from the seed", least=0, most=1, zero=False
    )


(SHARE,) = fields(_OfAll)
"""The attribute that every fault has besides its own."""


class UnknownFault(LookupError):
    """No fault has this name."""

    def __init__(self, name: str) -> None:
        name = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
        super().__init__(f"no fault is called {name!r}; {choice(name, load(), LIST)}")
        self.name = name


class UnknownAttribute(LookupError):
    """The fault has no attribute of this name."""

    def __init__(self, fault: str, name: str, names: list[str]) -> None:
        name = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
        known = choice(name, names) if names else "it has none: give its name alone"
        super().__init__(f"the fault {fault} has no attribute {name!r}; {known}")
        self.fault = fault
        self.name = name


class BadValue(ValueError):
    """An attribute cannot have this value."""

    def __init__(self, fault: str, name: str, value: str, due: str, example: str) -> None:
        super().__init__(f"the fault {fault} cannot take {name}={value}: give {due}, such as {name}={example}")
        self.fault = fault
        self.name = name
        self.value = value


def load() -> dict[str, type[Fault]]:
    """Return every class of faults that can be used by name: ours in alphabetical order, then those of other packages."""
    ours = _ours()
    return {**ours, **{name: kind for name, kind in _others.usable().items() if name not in ours}}


def unusable() -> dict[str, Unusable]:
    """Return why those that cannot be used cannot, by name."""
    return {name: error for name, error in _others.unusable().items() if name not in _ours()}


def find(name: str) -> type[Fault]:
    """Return the class of the fault with this name; raises `UnknownFault`, and `Unusable` for a broken one."""
    if name in _ours():
        return _ours()[name]
    try:
        return _others.load(name)
    except KeyError:
        raise UnknownFault(name) from None


def parse(text: str) -> Fault:
    """Return the fault that `NAME` or `NAME:attribute=value,…` describes; with `share=…`, for so many of the deliveries.

    Raises what `find` raises, `UnknownAttribute` or `BadValue`; each names the value and the fix.
    """
    name, _, settings = text.partition(":")
    kind = find(name)
    own = {typed(one): one for one in attributes(kind)}
    known = {"share": SHARE, **own}
    values: dict[str, Any] = {}
    for setting in filter(None, settings.split(",")):
        key, equals, value = setting.partition("=")
        if key not in known:
            raise UnknownAttribute(name, key, list(own))
        one = known[key]
        if not equals:
            raise BadValue(name, key, "", "a value", shown(one.default))
        values[one.name] = _value(name, one, value)
    share = 1.0 if "share" in own else values.pop("share", 1.0)
    return kind(**values) if share == 1 else Shared(kind(**values), share)


def apply(faults: Iterable[Fault], plan: Plan, rng: Random, offset: int = 0) -> Plan:
    """Return the plan with the faults applied from left to right; raises `NothingToDisturb`.

    `offset` is the place of its first delivery in a longer stream, so that every=N means the same
    in each part. Every fault chooses the very first delivery; later parts may hold none of its
    share, and stay as they are.
    """
    plan = _moved_on(plan, offset)
    for fault in faults:
        plan = _applied(fault, plan, rng, later=offset > 0)
    return _moved_on(plan, -offset)


def _applied(fault: Fault, plan: Plan, rng: Random, *, later: bool) -> Plan:
    try:
        return fault.apply(plan, rng)
    except NothingToDisturb:
        if not later:
            raise
        return plan


def _moved_on(plan: Plan, places: int) -> Plan:
    return tuple(replace(step, index=step.index + places) for step in plan) if places else plan


def sentence(kind: type[Fault]) -> str:
    """Return the first sentence of the fault's docstring."""
    text = " ".join((kind.__doc__ or "").split())
    end = text.find(". ")
    return text if end < 0 else text[: end + 1]


def typed(one: Field[Any]) -> str:
    """Return an attribute's name as people type it."""
    return one.name.replace("_", "-")


def shown(value: Any) -> str:
    """Return a value as people type it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


@cache
def _ours() -> dict[str, type[Fault]]:
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    kinds = (import_module(f"{__name__}.{module}").FAULT for module in modules)
    return {kind.name: kind for kind in kinds}


def _checked(found: Any) -> type[Fault]:
    if not (isinstance(found, type) and is_dataclass(found) and isinstance(getattr(found, "name", None), str)):
        raise TypeError("it is no class of faults: a frozen dataclass with a name")
    return cast("type[Fault]", found)


_others: Plugins[type[Fault]] = Plugins(GROUP, "fault", _checked)


def _value(fault: str, one: Field[Any], text: str) -> Any:
    kind = type(one.default)
    choices = one.metadata.get("choices") or (("true", "false") if kind is bool else ())
    example = shown(one.default)
    if choices:
        if text not in choices:
            meant = nearest(text, choices)
            raise BadValue(fault, typed(one), text, f"one of {', '.join(choices)}", meant[0] if meant else example)
        return text == "true" if kind is bool else text
    if kind is str:
        if not text.isprintable():
            raise BadValue(fault, typed(one), repr(text), "printable text", example)
        return text
    due = "a whole number" if kind is int else "a number"
    least, most, zero = one.metadata.get("least"), one.metadata.get("most"), one.metadata.get("zero", True)
    if least is not None and most is not None:
        due += f" from {shown(least)} to {shown(most)}"
    elif least is not None:
        due += f" not less than {shown(least)}"
    elif not zero:
        due += " other than 0"
    try:
        value = int(text) if kind is int else float(text)
    except ValueError:
        raise BadValue(fault, typed(one), text, due, example) from None
    low, high = -math.inf if least is None else least, math.inf if most is None else most
    if not (math.isfinite(value) and low <= value <= high and (value or zero)):
        raise BadValue(fault, typed(one), text, due, example)
    return value
