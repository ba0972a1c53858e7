"""Applications and deliveries as the engine's tests need them."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Event, RetryPolicy
from im_callback.provider_mock.delivery.app import App
from im_callback.provider_mock.delivery.disturbance import disturbed
from im_callback.provider_mock.delivery.ledger import AttemptRecord, Ledger, NewDelivery

from tests.feeds import changed, first
from tests.provider_mock import peers

START = 1_767_225_600_000
QUICK = 1.0
"""Seconds that the providers of these tests wait for an answer: real ones, so they are few."""
REFUSED = peers.answers(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
DECLINED = peers.answers(b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"code":414}')


def app(
    provider: str,
    url: str,
    policy: str | RetryPolicy = "",
    *,
    name: str = "app",
    deadline: float = QUICK,
    concurrency: int = 1,
) -> App:
    """Return an application whose provider is not as patient as the real one; its first policy, unless given."""
    played = changed(providers.load(provider), deadline=deadline)
    known = first(played).policies
    chosen = known[policy or next(iter(known))] if isinstance(policy, str) else policy
    return App(name, played, url, played.defaults, chosen, concurrency=concurrency)


def payloads(provider: str, count: int, **changes: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return so many samples of the first event type that has any, of the provider's first feed, with its name."""
    event_type = next(one for one in providers.load(provider).feeds[0].event_types if one.examples)
    return [(event_type.name, {**event_type.examples[0], **changes})] * count


def accept(
    ledger: Ledger,
    provider: str,
    count: int = 1,
    *,
    name: str = "app",
    due_at: int = START,
    faults: Sequence[str] = (),
    seed: int = 1,
) -> list[int]:
    """Accept so many samples together."""
    found = payloads(provider, count)
    played = providers.load(provider)
    batches = [[Event(event_type, payload)] for event_type, payload in found]
    plans = disturbed(faults, played, played.defaults, batches, seed)
    new = [NewDelivery(name, kind, (payload,), due_at) for kind, payload in found]
    return ledger.accept([replace(one, plan=plan) for one, plan in zip(new, plans, strict=True)])


def attempts(ledger: Ledger, delivery: int) -> tuple[str, list[AttemptRecord]]:
    """Return a delivery's state and its attempts."""
    ledger.flush()
    record = ledger.delivery(delivery)
    assert record is not None
    return record.state, ledger.attempts(delivery, limit=2000)


def timeline(ledger: Ledger, delivery: int) -> tuple[str, list[tuple[float, str]]]:
    """Return a delivery's state, and its attempts as seconds from the start with their outcomes."""
    state, made = attempts(ledger, delivery)
    return state, [((one.sent_at - START) / 1000, one.outcome) for one in made]


def resets(connection: socket.socket, _: bytes) -> None:
    """End the connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def in_turn(*scripts: peers.Script) -> peers.Script:
    """Follow one script after the other, one for each request."""
    left = iter(scripts)

    def script(connection: socket.socket, data: bytes) -> None:
        next(left)(connection, data)

    return script
