"""What is kept of a request and its answer, so that they can be looked at later: secrets masked where they stand."""

from __future__ import annotations

from collections.abc import Sequence

from im_callback.provider_mock.contract import TELLING, Feed, NoReply, Reply
from im_callback.provider_mock.delivery.ledger.records import KEPT_ANSWER
from im_callback.provider_mock.delivery.plan import Transport
from im_callback.provider_mock.delivery.sockets.message import MASK, Headers
from im_callback.provider_mock.delivery.sockets.raw import Message
from im_callback.provider_mock.history import Shot

SHOWN_ANSWER = 1000
"""Characters of an answer that are kept; of one that decides something all, up to `records.KEPT_ANSWER`."""


class Mask:
    """Masks an application's secrets in what somebody else wrote."""

    __slots__ = ("_last", "_secrets")

    def __init__(self, secrets: Sequence[str], headers: Headers) -> None:
        long = [one for one in (*secrets, *(value for _, value in headers)) if len(one) >= TELLING]
        self._secrets = sorted(long, key=len, reverse=True)
        self._last: tuple[Headers, bytes, str] = ((), b"", "\n")

    def __call__(self, text: str) -> str:
        """Return a text with the secrets masked."""
        for one in self._secrets:
            if one in text:
                text = text.replace(one, MASK)
        return text

    def answer(self, reply: Reply | NoReply, feed: Feed) -> str:
        """Return the beginning of an answer: its headers, an empty line, its body."""
        if isinstance(reply, NoReply):
            return ""
        headers, body, shown = self._last
        # A receiver's answers differ little.
        if reply.body != body or reply.headers != headers:
            # Masked before it is cut, so that no part of a secret is left at the end.
            lines = "".join([f"{name}: {value}\n" for name, value in reply.headers])
            most = KEPT_ANSWER if feed.decides else SHOWN_ANSWER
            shown = self(f"{lines}\n{reply.body[: 4 * most].decode('utf-8', 'replace')}")[:most]
            self._last = (reply.headers, reply.body, shown)
        return shown


def shown_shot(shot: Shot, transport: Transport, headers: Headers, body: bytes | None) -> tuple[str, bytes | None]:
    """Return the head of a planned request as it was sent, and its body where that is not the usual one, `body`."""
    message = Message(shot.request, transport, headers)
    return message.shown, None if message.body == body else message.body
