"""All that there is to say about a check: what its decorator, its docstring and the contracts of the providers say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from im_callback.conformance.check import Check, all_checks
from im_callback.conformance.explain.drawing import drawn
from im_callback.conformance.explain.remedies import Remedy, remedy
from im_callback.conformance.explain.told import Told, told_of
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Provider
from im_callback.schemas.nearest import choice

LISTED = "provider-mock check --list lists them"


class NoSuchCheck(LookupError):
    """No check has this name, or not one alone, or not at this provider; the text says which are meant, perhaps."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """How binding a check is at some feeds of a provider, and by which document."""

    provider: str
    id: str
    feeds: tuple[str, ...]
    level: str
    source: str


@dataclass(frozen=True)
class Explained:
    """A check, and the providers for which it is explained."""

    check: Check
    providers: Sequence[Provider]

    @property
    def name(self) -> str:
        """The check's id without a provider."""
        return f"{self.check.family}.{self.check.slug}"

    @cached_property
    def told(self) -> Told:
        """What its docstring tells."""
        return told_of(self.check.function)

    @cached_property
    def drawing(self) -> str:
        """What is sent, drawn; empty where nothing is."""
        return drawn(self.told.steps) if self.told.steps else ""

    @cached_property
    def remedies(self) -> list[Remedy]:
        """The kinds of fixes, with code."""
        return [remedy(kind) for kind in self.check.remedies]

    @cached_property
    def requirements(self) -> list[Requirement]:
        """Where it holds: one for the feeds of a provider that have level and source in common."""
        return [one for provider in self.providers for one in _requirements(self.check, provider)]

    @property
    def ids(self) -> list[str]:
        """The check's ids at the providers where it holds."""
        return list(dict.fromkeys(one.id for one in self.requirements))

    @property
    def needs(self) -> list[str]:
        """The options that a run needs for it, beside an address."""
        needed = ["--receiver-effects"] if self.check.effects else []
        return [*needed, f"--receiver-{self.check.option}"] if self.check.option else needed

    def as_json(self) -> dict[str, Any]:
        """Return it as data."""
        return {
            "check": self.name,
            "title": self.check.title,
            "requirements": [
                {"id": one.id, "provider": one.provider, "feeds": one.feeds, "level": one.level, "source": one.source}
                for one in self.requirements
            ],
            "needs": self.needs,
            "sends": [
                {"step": one.kind.value, "text": one.text} | ({"lost": True} if one.lost else {})
                for one in self.told.steps
            ],
            "drawing": self.drawing,
            "passes": self.told.passes,
            "notes": self.told.notes,
            "why": self.check.why,
            "fix": self.check.fix,
            "ways_to_fail": self.told.ways,
            "fixes": [
                {
                    "kind": one.kind,
                    "title": one.title,
                    "text": one.text,
                    "code": {each.framework: each.code for each in one.snippets},
                }
                for one in self.remedies
            ],
        }


def _requirements(check: Check, provider: Provider) -> Iterator[Requirement]:
    found: dict[tuple[str, str], list[str]] = {}
    for feed in check.among(provider.feeds):
        level = check.level(feed)
        assert level is not None
        found.setdefault((level.value, check.source(feed)), []).append(feed.name)
    for (level_name, source), feeds in found.items():
        yield Requirement(provider.name, check.id(provider), tuple(feeds), level_name, source)


def explained(name: str) -> Explained:
    """Return what there is to say about the check of this name; raises `NoSuchCheck`, or `UnknownProvider`.

    It is an id, an id without its provider, or a check's own name alone where no other family has it. With a provider
    it is explained for that one, else for all.
    """
    checks = {f"{one.family}.{one.slug}": one for one in all_checks(explored=True)}
    first, _, rest = name.partition(".")
    provider = None
    wanted = name
    if rest in checks or (rest and first in providers.names()):
        provider, wanted = providers.load(first), rest
    meant = [wanted] if wanted in checks else [one for one in checks if one.partition(".")[2] == wanted]
    if len(meant) > 1:
        raise NoSuchCheck(f"several checks are called {wanted!r}: give one of {', '.join(meant)}")
    if not meant:
        names = [f"{provider.name}.{one}" for one in checks] if provider else checks
        raise NoSuchCheck(f"no check is called {name!r}; {choice(name, names, LISTED)}")
    check = checks[meant[0]]
    known = [providers.load(one) for one in providers.names()]
    if provider is not None and not check.among(provider.feeds):
        where = ", ".join(one.name for one in known if check.among(one.feeds)) or "none of those that are installed"
        raise NoSuchCheck(f"{meant[0]} holds at no feed of {provider.name}; it holds at {where}")
    return Explained(check, known if provider is None else [provider])
