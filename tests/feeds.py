"""Providers as tests need them: with other feeds than the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

from im_callback.conformance.verdict import Result, Verdict
from im_callback.provider_mock.contract import Feed, Provider


def changed(provider: Provider, **attributes: Any) -> Provider:
    """Return the provider with these attributes of its feeds; the real one stays as it is."""
    feeds = [copy(feed) for feed in provider.feeds]
    for feed in feeds:
        vars(feed).update(attributes)
    return type(provider)(*feeds)


def first(provider: Provider) -> Feed:
    """Return the feed that arrives if nobody says which."""
    return provider.feeds[0]


def with_exchanges(found: Sequence[Result]) -> list[Result]:
    """Return results of checks that have sent something: no failure among them is without what shows it."""
    bare = [one.id for one in found if one.verdict is Verdict.FAIL and not one.attempts]
    assert not bare, bare
    return list(found)
