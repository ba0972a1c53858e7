"""A second receiver by the same command, behind the same address: what a load balancer would put there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from im_callback.conformance.around.command import ReceiverError, said
from im_callback.conformance.around.recovery import process_of
from im_callback.conformance.run import Run
from im_callback.conformance.verdict import CouldNotRun, NotApplicable
from im_callback.provider_mock.history import Shot
from im_callback.provider_mock.wire import Wire

AT_ITS_PORT = (
    "Let the command listen at the port that {port} and the variable PORT hold, and nothing in it be taken twice"
)


@contextmanager
def second_receiver(run: Run) -> Iterator[str]:
    """Start a second one beside the first, and yield its address; it is ended afterwards.

    Not applicable where the command cannot be started twice.
    """
    second = process_of(run).another()
    try:
        try:
            second.start()
        except ReceiverError as error:
            if second.status is not None:
                last = f": {error.lines[-1].removeprefix(second.tag)}" if error.lines else ""
                raise NotApplicable(
                    "the command starts no second receiver beside the first: it ended with "
                    f"{said(second.status)}{last}. {AT_ITS_PORT}"
                ) from None
            raise CouldNotRun(f"the second receiver by the same command: {error.reason}", AT_ITS_PORT) from None
        yield second.url
    finally:
        second.close()


def to_address(shot: Shot, address: str, wire: Wire) -> Shot:
    """Return a shot as a load balancer hands it on: as it is, to another address.

    Where the signature covers the address it is signed for the other one: no header says to what it was sent.
    """
    request, feed = shot.request, shot.feed
    if "url" in feed.covers and shot.credentials is not None and shot.stamp is not None:
        code = feed.code_of(shot.events)
        request = feed.sign(request.body, code, address, shot.credentials, shot.stamp, wire)
    else:
        url, to = urlsplit(request.url), urlsplit(address)
        request = request._replace(url=url._replace(netloc=to.netloc).geturl())
    return replace(shot, request=request, signed=request)
