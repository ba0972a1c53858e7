"""Hands requests to a receiver without a network between: what they say arrives, and takes no time.

For proofs that need many runs. What is between a sender and a receiver (connections, deadlines, who is first of
many) is proven where they are served.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from urllib.parse import urlsplit

from im_callback.conformance.run import Run
from im_callback.provider_mock import contract
from im_callback.provider_mock.contract import NoReply, Reply
from im_callback.provider_mock.delivery.courier import Courier
from im_callback.provider_mock.delivery.plan import NO_TRANSPORT, Transport
from im_callback.provider_mock.delivery.sockets.raw_client import RawClient
from im_callback.provider_mock.history import Attempt, Shot

from tests.receivers.good import Answer, Good, Request
from tests.receivers.serving import pairs


def hand_over(run: Run, receiver: Good) -> None:
    """Have a run hand its requests to the receiver, unless what is wrong with that needs a network to be seen."""
    if not receiver.wired:
        run.courier = Direct(run.courier.client, receiver=receiver)


def handed(receiver: Good, request: contract.Request) -> Reply:
    """Return what a receiver answers; as behind a web server, header names have one case and errors are a 500."""
    if request.method != "POST" and not receiver.any_method:
        return Reply(405, (), b"", 0.0)
    lengths = (("TRANSFER-ENCODING", "chunked"),) if request.chunked else (("CONTENT-LENGTH", str(len(request.body))),)
    headers = tuple((name.upper(), value) for name, value in request.headers)
    started = time.monotonic()
    try:
        answer = receiver.receive(Request(pairs(urlsplit(request.url).query), (*headers, *lengths), request.body))
    except Exception:  # As web frameworks do.
        answer = Answer(500)
    told = (("Content-Type", "application/json"),)
    return Reply(answer.status, told, answer.body.encode(), time.monotonic() - started)


class Disturbing(RawClient):
    """Hands over what is disturbed: whole, and the answer is lost, or cut off, and then nothing arrives."""

    def __init__(self, receiver: Good) -> None:
        self.receiver = receiver

    def submit(
        self, request: contract.Request, transport: Transport = NO_TRANSPORT, connection: str | None = None
    ) -> Future[Reply | NoReply]:
        """Hand the request over before returning."""
        seconds = handed(self.receiver, request).seconds if transport.body_limit is None else 0.0
        future: Future[Reply | NoReply] = Future()
        future.set_result(NoReply("unreachable", "closed before the answer was read", seconds))
        return future

    def close(self) -> None:
        """Do nothing: there is no connection."""


@dataclass(frozen=True, slots=True)
class Direct(Courier):
    """A courier that needs no connection."""

    receiver: Good | None = None

    def disturbing(self) -> RawClient:
        """Return what needs no connection either."""
        assert self.receiver is not None
        return Disturbing(self.receiver)

    def _send(self, shots: Sequence[Shot], noticed: Callable[[Attempt], None]) -> list[Attempt]:
        attempts = []
        for shot in shots:
            attempts.append(self._handed(shot))
            noticed(attempts[-1])
        return attempts

    def together(self, shots: Sequence[Shot]) -> list[Attempt]:
        """Hand the shots over at one moment."""
        begin = Barrier(len(shots))

        def one(shot: Shot) -> Attempt:
            begin.wait()
            return self._handed(shot)

        with ThreadPoolExecutor(len(shots)) as threads:
            return list(threads.map(one, shots))

    def _handed(self, shot: Shot) -> Attempt:
        assert self.receiver is not None
        sent_at = self.clock()
        attempt = self._attempt(shot, handed(self.receiver, shot.request), sent_at)
        self.history.append(attempt)
        return attempt
