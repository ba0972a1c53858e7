"""One requirement as a function: what it is called, what it needs, where it comes from."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from im_callback.conformance.verdict import Level
from im_callback.provider_mock.plugins import Plugins, Unusable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from im_callback.conformance.needs import Need
    from im_callback.conformance.run import Run
    from im_callback.provider_mock.contract import Feed, Provider

PREFIX = "check_"

CheckFunction = Callable[["Run"], "str | None"]
"""Raises what a check came to other than passing; may return what is to be said of a pass."""


class MissingSource(LookupError):
    """A feed does not say where a rule comes from that it has: its package is to be mended."""

    def __init__(self, feed: Feed, topic: str) -> None:
        super().__init__(
            f"the feed {feed.full_name} gives no source for the topic {topic!r}; name document and section in `sources`"
        )


@dataclass(frozen=True, slots=True)
class Check:
    """A check function with what is known of it before it runs.

    It holds at every feed whose contract has what it `needs`. `usual_level` is how binding it is where the
    feed says nothing else about the `topic`; the topic also names the rule's source.
    """

    function: CheckFunction
    family: str
    slug: str
    title: str
    usual_level: Level
    topic: str
    why: str
    fix: str
    effects: bool = False
    last: bool = False
    alone: bool = False
    preflight: bool = False
    needs: Need | None = None
    remedies: tuple[str, ...] = ()
    """Kinds of changes to a receiver's code that mend a failure, by the names of the files in `explain/remedies`."""
    option: str = ""
    """The option without which the check does not apply, as in `command`."""

    def level(self, feed: Feed) -> Level | None:
        """Return how binding the check is at this feed, or None where it does not hold."""
        if self.needs is not None and not self.needs(feed):
            return None
        named = feed.levels.get(self.topic)
        return self.usual_level if named is None else Level(named)

    def among(self, feeds: Sequence[Feed]) -> list[Feed]:
        """Return those of the feeds at which the check holds."""
        return [feed for feed in feeds if self.level(feed) is not None]

    def level_among(self, feeds: Sequence[Feed]) -> Level | None:
        """Return how binding the check is at the feed where it binds most, or None where it holds at none."""
        levels = [level for feed in feeds if (level := self.level(feed)) is not None]
        return min(levels, key=list(Level).index, default=None)

    def id(self, provider: Provider) -> str:
        """Return the check's id at this provider; it never changes once released."""
        return f"{provider.name}.{self.family}.{self.slug}"

    def source(self, feed: Feed) -> str:
        """Return the document and section that the requirement comes from; raises `MissingSource`."""
        try:
            return feed.sources[self.topic]
        except KeyError:
            raise MissingSource(feed, self.topic) from None


def check(
    title: str,
    *,
    topic: str,
    level: str,
    why: str,
    fix: str,
    effects: bool = False,
    last: bool = False,
    alone: bool = False,
    preflight: bool = False,
    needs: Need | None = None,
    remedies: tuple[str, ...] = (),
    option: str = "",
) -> Callable[[CheckFunction], CheckFunction]:
    """Mark a `check_*` function as a check.

    `level` (must, should, may) is how binding it is unless a feed's contract says otherwise for the topic. What the
    contract `needs` to have for the check to hold is asked of each feed. A check with `effects` could not run without
    them; `last` puts it at the end of the run, behind those that are `alone`: while such a one runs, no other is
    under way. `preflight` lets it run before the receiver is known to work. Where an `option` is not given, a check
    that names it does not apply. `remedies` name kinds of fixes that are shown in code, and the function's docstring
    tells what passes, what is sent and how one fails, in the form of `explain.told`.
    """

    def mark(function: CheckFunction) -> CheckFunction:
        function.check = Check(  # type: ignore[attr-defined]
            function=function,
            family=function.__module__.rpartition(".")[2],
            slug=function.__name__.removeprefix(PREFIX).replace("_", "-"),
            title=title,
            usual_level=Level(level),
            topic=topic,
            why=why,
            fix=fix,
            effects=effects,
            last=last,
            alone=alone,
            preflight=preflight,
            needs=needs,
            remedies=remedies,
            option=option,
        )
        return function

    return mark


def checks_of(module: ModuleType) -> list[Check]:
    """Return the checks of a module in the order in which they stand there."""
    found = [value.check for name, value in vars(module).items() if name.startswith(PREFIX)]
    return [one for one in found if isinstance(one, Check)]


EXPLORED = "im_callback.conformance.explore.explored"
"""The family that exists only where sequences are explored, or one is replayed."""
GROUP = "im_callback.checks"
"""Entry points of packages that add checks: each names a module with `check_*` functions, whose name is the family."""


def family_modules(*, explored: bool = False) -> list[ModuleType]:
    """Return the modules of checks: preflight, ours by name, those that packages add, and, if asked, `EXPLORED`."""
    from im_callback.conformance import checks

    names = sorted(m.name for m in pkgutil.iter_modules(checks.__path__))
    names.sort(key=lambda name: name != "preflight")
    found = [import_module(f"{checks.__name__}.{name}") for name in names] + list(_added.usable().values())
    return [*found, import_module(EXPLORED)] if explored else found


def unusable_checks() -> list[Unusable]:
    """Return why packages that add checks cannot be loaded: a run without them would be green for too little."""
    return list(_added.unusable().values())


def all_checks(*, explored: bool = False) -> list[Check]:
    """Return every check, in the order in which a run takes them."""
    found = [one for module in family_modules(explored=explored) for one in checks_of(module)]
    return sorted(found, key=lambda one: (one.last, one.alone))


def _checked(found: object) -> ModuleType:
    if not isinstance(found, ModuleType):
        raise TypeError("it is no module")
    if not checks_of(found):
        raise ValueError("it holds no check; mark its check_ functions with @check")
    return found


_added: Plugins[ModuleType] = Plugins(GROUP, "family of checks", _checked)
