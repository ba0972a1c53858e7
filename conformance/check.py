"""One requirement as a function: what it is called, whom it binds, where it comes from."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from conformance.verdict import Level

if TYPE_CHECKING:
    from conformance.run import Run
    from provider_mock.contract import Provider

PREFIX = "check_"

CheckFunction = Callable[["Run"], None]


@dataclass(frozen=True, slots=True)
class Check:
    """A check function with what is known of it before it runs.

    `levels` maps provider names to levels; `*` stands for every provider not named. A check
    holds for no provider that is neither named nor covered by `*`. `topic` names the rule's
    source among a provider's `sources`.
    """

    function: CheckFunction
    family: str
    slug: str
    title: str
    levels: Mapping[str, Level]
    topic: str
    why: str
    fix: str
    effects: bool = False
    last: bool = False
    preflight: bool = False

    def level(self, provider: Provider) -> Level | None:
        """Return how binding the check is at this provider, or None where it does not hold."""
        return self.levels.get(provider.name) or self.levels.get("*")

    def id(self, provider: Provider) -> str:
        """Return the check's id at this provider; it never changes once released."""
        return f"{provider.name}.{self.family}.{self.slug}"

    def source(self, provider: Provider) -> str:
        """Return the document and section that the requirement comes from."""
        return provider.sources.get(self.topic) or provider.sources["transport"]


def check(
    title: str,
    *,
    topic: str,
    why: str,
    fix: str,
    effects: bool = False,
    last: bool = False,
    preflight: bool = False,
    **levels: str,
) -> Callable[[CheckFunction], CheckFunction]:
    """Mark a `check_*` function as a check.

    Levels are given by provider (`commsease="must"`); `every="must"` is for all providers. A check
    with `effects` could not run without them; `last`
    puts it at the end of the run; `preflight` lets it run before the receiver is known to work.
    """

    def mark(function: CheckFunction) -> CheckFunction:
        function.check = Check(  # type: ignore[attr-defined]
            function=function,
            family=function.__module__.rpartition(".")[2],
            slug=function.__name__.removeprefix(PREFIX).replace("_", "-"),
            title=title,
            levels={"*" if name == "every" else name: Level(level) for name, level in levels.items()},
            topic=topic,
            why=why,
            fix=fix,
            effects=effects,
            last=last,
            preflight=preflight,
        )
        return function

    return mark


def checks_of(module: ModuleType) -> list[Check]:
    """Return the checks of a module in the order in which they stand there."""
    found = [value.check for name, value in vars(module).items() if name.startswith(PREFIX)]
    return [one for one in found if isinstance(one, Check)]


def family_modules() -> list[ModuleType]:
    """Return the modules of checks, preflight first, then by name."""
    import conformance.checks

    names = sorted(m.name for m in pkgutil.iter_modules(conformance.checks.__path__))
    names.sort(key=lambda name: name != "preflight")
    return [import_module(f"{conformance.checks.__name__}.{name}") for name in names]


def all_checks() -> list[Check]:
    """Return every check, in the order in which a run takes them."""
    found = [one for module in family_modules() for one in checks_of(module)]
    return sorted(found, key=lambda one: one.last)
