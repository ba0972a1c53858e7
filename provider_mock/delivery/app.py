"""An application at a provider, as its deliveries need it: plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from im_callback.provider_mock.contract import Credentials, Feed, Provider, RetryPolicy
from im_callback.provider_mock.delivery.sockets.flights import anywhere


class Overlap(NamedTuple):
    """How long the previous secret is still signed with, and for what: deliveries up to an id, accepted before the change.

    `until` is in UTC milliseconds of the engine's clock.
    """

    until: int
    last_id: int


@dataclass(frozen=True)
class App:
    """An application at a provider: where its deliveries go, and how.

    `concurrency` is how many of its requests are in flight at once, `rate` how many start per second
    at most, `give_up_hours` after how many hours of nothing but failures it is switched off. `proxy`
    is the URL of the HTTP proxy they go through; without one they go straight to the endpoint.
    `refuses` returns why an address must not be connected to, or None. Feeds that `endpoints` and `policies`
    name have an address and a retry policy of their own. With an `overlap` the credentials have a previous secret.
    """

    name: str
    provider: Provider
    endpoint: str
    credentials: Credentials
    policy: RetryPolicy
    concurrency: int = 64
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca_file: Path | None = None
    proxy: str | None = field(default=None, repr=False)
    rate: float | None = None
    give_up_hours: float | None = None
    refuses: Callable[[str], str | None] = anywhere
    endpoints: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, RetryPolicy] = field(default_factory=dict)
    overlap: Overlap | None = None

    def endpoint_of(self, feed: Feed) -> str:
        """Return where the requests of a feed go."""
        return self.endpoints.get(feed.name, self.endpoint)

    def policy_of(self, feed: Feed) -> RetryPolicy:
        """Return by what policy the deliveries of a feed are sent again."""
        return self.policies.get(feed.name, self.policy)

    def credentials_of(self, number: int, now: int) -> Credentials:
        """Return what a delivery's requests are signed with at a time of the engine's clock."""
        if self.overlap is None or number > self.overlap.last_id or now >= self.overlap.until:
            return self.credentials
        return self.credentials.swapped

    def delivery_id(self, number: int) -> str:
        """Return what a delivery is called in its requests, in all of its attempts."""
        return f"{self.name}-{number}"

    @property
    def deadline(self) -> float:
        """The longest of its feeds' deadlines, in seconds."""
        return max(feed.deadline for feed in self.provider.feeds)
