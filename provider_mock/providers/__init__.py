"""The providers by name: our own packages in this folder and those that other packages register.

A provider of a third party is an entry point in the group `im_callback.providers` that
names its `Provider` instance. One that cannot be loaded is passed over.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

from im_callback.provider_mock.contract import Provider
from im_callback.provider_mock.plugins import Plugins, Unusable
from im_callback.schemas.nearest import choice

GROUP = "im_callback.providers"
_NEEDED = ("name", "title", "defaults", "feeds", "catalogue")
_NEEDED_OF_FEEDS = ("name", "title", "deadline", "ack_rule", "sources")


class UnknownProvider(LookupError):
    """No provider has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no provider is called {name!r}; {choice(name, names())}")
        self.name = name


class UnusableProvider(UnknownProvider):
    """The package that adds the provider cannot be loaded; the text says why."""

    def __init__(self, error: Unusable) -> None:
        LookupError.__init__(self, str(error))
        self.name = error.name


def names() -> list[str]:
    """Return the names of all providers that can be used, ours first."""
    ours = _ours()
    return ours + [name for name in _others.usable() if name not in ours]


def unusable() -> dict[str, UnusableProvider]:
    """Return why those that cannot be used cannot, by name."""
    ours = _ours()
    return {name: UnusableProvider(error) for name, error in _others.unusable().items() if name not in ours}


def load(name: str) -> Provider:
    """Return the provider with this name; raises `UnknownProvider`, and of these `UnusableProvider` for a broken one."""
    if name in _ours():
        provider: Provider = import_module(f"{__name__}.{name}").PROVIDER
        return provider
    try:
        return _others.load(name)
    except Unusable as error:
        raise UnusableProvider(error) from None
    except KeyError:
        raise UnknownProvider(name) from None


def _ours() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(__path__)]


def _checked(found: Any) -> Provider:
    if not isinstance(found, Provider):
        raise TypeError("it is no instance of Provider")
    for name in _NEEDED:
        getattr(found, name)
    for feed in found.feeds:
        for name in _NEEDED_OF_FEEDS:
            getattr(feed, name)
        if not feed.policies:
            raise ValueError(f"its feed {feed.name} has no retry policy")
    for one in found.catalogue:
        found.feed_of(one.name)
    return found


_others = Plugins(GROUP, "provider", _checked)
