"""A provider: its name, its credentials and its feeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from im_callback.provider_mock.contract.feed import Feed
from im_callback.provider_mock.contract.server_api import ServerApi
from im_callback.provider_mock.contract.values import NO_SECRET, Credentials
from im_callback.provider_mock.wire import NamedWire
from im_callback.schemas.nearest import choice

if TYPE_CHECKING:
    from im_callback.schemas import Catalogue, EventType


class BadCredentials(ValueError):
    """The given app key or secret (`which`) cannot be used with a provider. Never contains the secret."""

    def __init__(self, which: str, problem: str) -> None:
        super().__init__(problem)
        self.which = which


class UnknownFeed(LookupError):
    """A provider has no feed of this name."""

    def __init__(self, provider: Provider, name: str) -> None:
        super().__init__(f"{provider.name} has no feed {name!r}; {choice(name, provider.feed_names)}")
        self.name = name


class Provider:
    """An IM service. A package that adds one names its instance in an entry point, and brings a folder of schemas."""

    name: str
    title: str
    defaults: Credentials
    """The credentials a run uses when none are given; they open nothing."""
    unsigned: bool = False
    """Whether the provider can be set to send no signature."""
    api: ServerApi | None = None
    """Its server API, as far as the server plays it."""

    def __init__(self, *feeds: Feed) -> None:
        if not feeds:
            raise ValueError(f"the provider {self.name} has no feed; give it one")
        self.feeds: tuple[Feed, ...] = feeds
        for feed in feeds:
            feed.provider = self
        if len(set(self.feed_names)) < len(feeds):
            raise ValueError(f"two feeds of {self.name} have one name: {', '.join(self.feed_names)}")
        self._feed_of: dict[str, Feed] = {}

    @property
    def feed_names(self) -> tuple[str, ...]:
        """The names of its feeds, the first first."""
        return tuple(feed.name for feed in self.feeds)

    @property
    def usual_feeds(self) -> tuple[Feed, ...]:
        """The feeds that arrive at one address if nobody says which: the first, unless a provider says more."""
        return self.feeds[:1]

    @cached_property
    def catalogue(self) -> Catalogue:
        """The provider's event types; a provider outside this project loads its own folder here."""
        from im_callback import schemas

        return schemas.catalogue(self.name)

    def feed(self, name: str) -> Feed:
        """Return the feed with this short name; raises `UnknownFeed`."""
        for feed in self.feeds:
            if feed.name == name:
                return feed
        raise UnknownFeed(self, name)

    def feed_of(self, event_type: str) -> Feed:
        """Return the feed that delivers an event type; one that is not known belongs to the first."""
        found = self._feed_of.get(event_type)
        if found is None:
            known = self.catalogue.get(event_type)
            found = self.feeds[0] if known is None or known.feed is None else self.feed(known.feed)
            if known is not None:
                self._feed_of[event_type] = found
        return found

    def identify(self, payload: object, feeds: Sequence[Feed] = ()) -> EventType | None:
        """Return the event type that a payload is meant as, of these feeds or of all."""
        found = self.catalogue.identify(payload)
        if found is None or not feeds or self.feed_of(found.name) in feeds:
            return found
        return next((one for feed in feeds for one in feed.event_types if one.detects(payload)), None)

    @cached_property
    def wires(self) -> Mapping[str, NamedWire]:
        """How requests of its feeds can be written, by the names that users give."""
        return {name: wire for feed in self.feeds for name, wire in feed.wires.items()}

    def credentials(self, app_key: str | None, app_secret: str | None) -> Credentials:
        """Return credentials as a user gives them; raises `BadCredentials`.

        What is None is taken from `defaults`; the word `none` as the secret means that nothing is signed.
        """
        for which, value in (("key", app_key), ("secret", app_secret)):
            if value == "":
                raise BadCredentials(which, f"it is empty; give it, or leave it out for the test {which}")
            if value and any("\ud800" <= character <= "\udfff" for character in value):
                raise BadCredentials(which, "it is not UTF-8; give it in UTF-8")
        if app_key and not app_key.isprintable():
            raise BadCredentials("key", "it holds a line break or another control character; give it without")
        if app_secret == NO_SECRET and not self.unsigned:
            raise BadCredentials("secret", f"{self.name} always signs; give it, or leave it out for the test secret")
        secret = self.defaults.app_secret if app_secret is None else None if app_secret == NO_SECRET else app_secret
        return Credentials(self.defaults.app_key if app_key is None else app_key, secret)
