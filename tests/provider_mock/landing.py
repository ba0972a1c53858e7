"""What becomes of requests."""

from __future__ import annotations

from im_callback.provider_mock.contract import NoReply, Reply
from im_callback.provider_mock.delivery.sockets.connections import Connections


def all_of(connections: Connections[str]) -> dict[str, Reply | NoReply]:
    """Return what became of the requests under way, by token."""
    replies: dict[str, Reply | NoReply] = {}
    while len(connections):
        replies.update(connections.landed(0.2))
    return replies
