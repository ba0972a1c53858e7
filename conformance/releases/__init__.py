"""The checks that each release had: a gate that is pinned to one does not turn red for what a later one adds.

A file for each release lists its checks as `family.slug`, sorted. The file of the version that is worked on grows with
the catalogue; those of releases are never touched again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.resources import files

from im_callback.conformance.check import Check
from im_callback.schemas.nearest import choice

OURS = "im_callback.conformance."
"""Where the checks are defined that releases list; other packages have versions of their own."""


class UnknownRelease(LookupError):
    """No release has this version."""

    def __init__(self, version: str) -> None:
        super().__init__(f"no release is called {version!r}; {choice(version, versions())}")


def versions() -> list[str]:
    """Return the versions whose checks are listed, the oldest first."""
    found = [one.name.removesuffix(".json") for one in files(__name__).iterdir() if one.name.endswith(".json")]
    return sorted(found, key=lambda version: [int(part) for part in version.split(".")])


def names(version: str) -> frozenset[str]:
    """Return the checks of a release as `family.slug`; raises `UnknownRelease`."""
    if version not in versions():
        raise UnknownRelease(version)
    return frozenset(json.loads((files(__name__) / f"{version}.json").read_text("utf-8")))


def listed(checks: Iterable[Check]) -> list[str]:
    """Return what a release that has these checks lists."""
    return sorted({name(one) for one in checks if ours(one)})


def name(check: Check) -> str:
    """Return what a check is called whatever the provider."""
    return f"{check.family}.{check.slug}"


def ours(check: Check) -> bool:
    """Return whether a check is one of this package."""
    return check.function.__module__.startswith(OURS)
