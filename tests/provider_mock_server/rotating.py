"""A receiver that says by its own code which secret requests were signed with, and an app whose secret is changed."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from im_callback.provider_mock.server.models import NewEvent
from im_callback.provider_mock.server.options import AppSettings
from im_callback.provider_mock.server.service import Service

from tests.provider_mock.peers import Peer, answers, peer
from tests.provider_mock_server.waiting import until

OLD, NEW = "old-secret-4711", "new-secret-4712"
NAMES = {OLD: "old", NEW: "new", "test-secret": "test"}
BUSY = answers(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
HOUR = 3600
LOGIN = NewEvent("commsease.login")


def sha1(text: str) -> str:
    """Return it in hex."""
    return hashlib.sha1(text.encode()).hexdigest()


def signed_by(request: bytes) -> str:
    """Return which secret a request is signed with, by the documented formula."""
    head, _, body = request.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    digest = hashlib.md5(body).hexdigest()
    found = [NAMES[one] for one in NAMES if headers["CheckSum"] == sha1(f"{one}{digest}{headers['CurTime']}")]
    return found[0] if found else "another"


class Receiver:
    """A receiver that takes nothing until it is told to, and says which secrets requests were signed with."""

    def __init__(self) -> None:
        self.script = BUSY
        self.peer: Peer

    @property
    def url(self) -> str:
        """Where to post."""
        return self.peer.url

    def answer(self, connection: socket.socket, data: bytes) -> None:
        """Answer as it is told to now."""
        self.script(connection, data)

    def came(self, count: int) -> list[str]:
        """Return by what the requests were signed, once so many have come."""
        assert count == until(lambda: len(self.peer.requests), count)
        return [signed_by(one) for one in self.peer.requests]


@contextmanager
def running() -> Iterator[Receiver]:
    """Run one."""
    found = Receiver()
    with peer(found.answer) as found.peer:
        yield found


def shop(receiver: Receiver, **more: Any) -> AppSettings:
    """Return an app that sends again every minute."""
    return AppSettings("commsease", receiver.url, policy="reliable", **more)


def in_an_hour(service: Service) -> int:
    """Return when an overlap of an hour ends."""
    return service.clock().now + HOUR * 1000


def accepted(service: Service, **more: Any) -> int:
    """Return the id of a delivery."""
    return service.intake.accept("shop", [LOGIN], **more).deliveries[0]


def again(service: Service, ids: Sequence[int]) -> None:
    """Have deliveries sent again, once what came of them is on record."""
    for one in ids:
        assert "acked" == until(partial(state, service, one), "acked")
    service.redeliver(ids)


def state(service: Service, delivery: int) -> str:
    """Return the state of a delivery."""
    return service.delivery(delivery).state


def rotate(service: Service, receiver: Receiver, **more: Any) -> None:
    """Change the secret, with an hour in which both hold."""
    service.apps.put("shop", shop(receiver, app_secret=NEW, overlap_until=in_an_hour(service), **more))
