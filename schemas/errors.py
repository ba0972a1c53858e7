"""What can go wrong with schemas and pointers; every message ends with the way out."""

from __future__ import annotations

from collections.abc import Iterable

from im_callback.schemas.nearest import choice

__all__ = [
    "BadSchema",
    "PointerError",
    "SchemasError",
    "UnknownEventType",
    "UnknownProvider",
]


class SchemasError(Exception):
    """Any error that this package raises on purpose."""


class UnknownProvider(SchemasError, LookupError):
    """There are no schemas of this provider in the package."""

    def __init__(self, provider: str, known: Iterable[str]) -> None:
        self.provider = provider
        self.known = tuple(known)
        super().__init__(
            f"no schemas for the provider {provider!r}; {choice(provider, self.known)}"
            " (load your own folder with schemas.load)"
        )


class UnknownEventType(SchemasError, LookupError):
    """The catalogue holds no event type of this name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(
            f"no event type is called {name!r}; {choice(name, self.known, 'provider-mock events lists them')}"
        )


class BadSchema(SchemasError, ValueError):
    """A schema file cannot be used; `where` names the file."""

    def __init__(self, where: str, fact: str, hint: str) -> None:
        self.where = where
        self.fact = fact
        self.hint = hint
        super().__init__(f"{where}: {fact}; {hint}")


class PointerError(SchemasError, LookupError):
    """A JSON Pointer is malformed, or leads nowhere in this payload."""

    def __init__(self, pointer: str, fact: str, hint: str) -> None:
        self.pointer = pointer
        self.fact = fact
        self.hint = hint
        super().__init__(f"pointer {pointer!r}: {fact}; {hint}")
