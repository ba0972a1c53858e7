"""Providers as tests need them: with other feeds than the real ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import copy
from typing import Any

from im_callback.conformance.verdict import Result, Verdict
from im_callback.provider_mock.contract import Feed, Provider
from im_callback.provider_mock.delivery.courier import Courier
from im_callback.provider_mock.delivery.sockets.client import Client
from im_callback.provider_mock.history import Attempt, Shot


def changed(provider: Provider, **attributes: Any) -> Provider:
    """Return the provider with these attributes of its feeds; the real one stays as it is."""
    feeds = [copy(feed) for feed in provider.feeds]
    for feed in feeds:
        vars(feed).update(attributes)
    return type(provider)(*feeds)


def first(provider: Provider) -> Feed:
    """Return the feed that arrives if nobody says which."""
    return provider.feeds[0]


def few_at_once(shots: Sequence[Shot], seconds: float) -> list[Attempt]:
    """Send them, and no more together than a busy machine answers within so many seconds."""
    courier = Courier(Client(seconds))
    return [attempt for place in range(0, len(shots), 8) for attempt in courier.send(shots[place : place + 8])]


WRONG_NUMBER = re.compile(
    r"\b1 (?:are|have|were|deliveries|records|events|effects|checks|questions|answers|sequences|times|refusals|scopes)\b"
    r"|\(s\)|\bnone of 1 "
)
"""What no report says: a number and a word that do not agree."""


def well_told(found: Sequence[Result]) -> list[Result]:
    """Return results of checks that have sent something: no failure is without what shows it, and numbers agree."""
    bare = [one.id for one in found if one.verdict is Verdict.FAIL and not one.attempts]
    assert not bare, bare
    texts = [text for one in found for text in (one.expected, one.actual, one.reason, one.fix, one.usual_fix)]
    wrong = [text for text in texts if WRONG_NUMBER.search(text)]
    assert not wrong, wrong
    return list(found)
