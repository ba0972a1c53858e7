"""The providers by name: our own modules in this folder and those that other packages register.

A provider of a third party is an entry point in the group `im_callback.providers` that
names its `Provider` instance.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from importlib.metadata import entry_points

from provider_mock.contract import Provider

GROUP = "im_callback.providers"


class UnknownProvider(LookupError):
    """No provider has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no provider is called {name!r}; choose one of: {', '.join(names())}")
        self.name = name


def names() -> list[str]:
    """Return the names of all providers, ours first."""
    ours = [module.name for module in pkgutil.iter_modules(__path__)]
    return ours + sorted(e.name for e in entry_points(group=GROUP) if e.name not in ours)


def load(name: str) -> Provider:
    """Return the provider with this name; raises `UnknownProvider`."""
    if name in (module.name for module in pkgutil.iter_modules(__path__)):
        provider: Provider = import_module(f"{__name__}.{name}").PROVIDER
        return provider
    for entry in entry_points(group=GROUP, name=name):
        loaded: Provider = entry.load()
        return loaded
    raise UnknownProvider(name)
