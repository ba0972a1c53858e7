"""What other packages add by entry points. A package that cannot be loaded is passed over, and can be reported."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any, Generic, TypeVar

T = TypeVar("T")
LONGEST = 200
"""Characters that are told of an error."""


class Unusable(LookupError):
    """What a package adds cannot be loaded; the text names both, says why, and what to do."""

    def __init__(self, kind: str, entry: EntryPoint, why: str) -> None:
        package = entry.dist.name if entry.dist is not None else entry.module
        super().__init__(
            f"the {kind} {entry.name!r} of the package {package} cannot be loaded ({why}); "
            "install what it needs, or uninstall the package"
        )
        self.name = entry.name


class Plugins(Generic[T]):
    """What packages add in a group. `checked` returns what was loaded, or raises whatever says what is wrong with it.

    `kind` is the word for one of them. What could not be loaded is not tried again.
    """

    def __init__(self, group: str, kind: str, checked: Callable[[Any], T]) -> None:
        self._group, self._kind, self._checked = group, kind, checked
        self._broken: dict[tuple[str, str], Unusable] = {}

    def load(self, name: str) -> T:
        """Return the one of this name; raises KeyError if there is none, and `Unusable`."""
        for entry in _installed(self._group).select(name=name):
            return self._load(entry)
        raise KeyError(name)

    def usable(self) -> dict[str, T]:
        """Return those that can be loaded, by name."""
        return {name: one for name, one in self._all() if not isinstance(one, Unusable)}

    def unusable(self) -> dict[str, Unusable]:
        """Return why those that cannot be loaded cannot, by name."""
        return {name: one for name, one in self._all() if isinstance(one, Unusable)}

    def _all(self) -> Iterator[tuple[str, T | Unusable]]:
        for name in sorted({entry.name for entry in _installed(self._group)}):
            yield name, self._loaded(name)

    def _loaded(self, name: str) -> T | Unusable:
        try:
            return self.load(name)
        except Unusable as error:
            return error

    def _load(self, entry: EntryPoint) -> T:
        key = (entry.name, entry.value)
        if key in self._broken:
            raise self._broken[key]
        try:
            return self._checked(entry.load())
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a package may raise anything, SystemExit too
            said = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
            self._broken[key] = Unusable(self._kind, entry, said[:LONGEST])
            raise self._broken[key] from None


def _installed(group: str) -> EntryPoints:
    found: EntryPoints = _read(tuple(sys.path)).select(group=group)
    return found


@lru_cache(maxsize=1)
def _read(path: tuple[str, ...]) -> Any:
    """Return what all packages on the path add: once, because every package is opened for it."""
    del path
    return entry_points()
