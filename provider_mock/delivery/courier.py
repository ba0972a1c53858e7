"""Sends signed requests, judges the replies by the provider's rule and writes history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from provider_mock.contract import Provider
from provider_mock.delivery.client import Client
from provider_mock.delivery.clock import utc_millis
from provider_mock.history import Attempt, History, Shot


@dataclass(frozen=True, slots=True)
class Courier:
    """Carries shots to the receiver. `clock` gives UTC milliseconds."""

    provider: Provider
    client: Client
    history: History = field(default_factory=History)
    clock: Callable[[], int] = utc_millis

    def send(self, shots: Sequence[Shot]) -> list[Attempt]:
        """Send the shots at once; return the attempts in the order of the shots."""
        sent_at = self.clock()
        attempts: list[Attempt | None] = [None] * len(shots)
        for index, reply in self.client.stream(enumerate(shot.request for shot in shots)):
            attempt = Attempt(shots[index], reply, self.provider.judge(reply), sent_at)
            self.history.append(attempt)
            attempts[index] = attempt
        return [attempt for attempt in attempts if attempt is not None]
