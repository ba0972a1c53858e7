"""What an attempt has sent and was answered, from what is on record: no I/O.

The body is kept only where it is not the one that the delivery's payloads make; otherwise it is
made again, byte for byte. Secrets were masked when it was recorded, and are not put back.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from im_callback.provider_mock.contract import Credentials, Provider, Request, Stamp, Written
from im_callback.provider_mock.delivery.ledger import AttemptRecord, DeliveryRecord
from im_callback.provider_mock.delivery.ledger.records import to_text

Headers = tuple[tuple[str, str], ...]
Body = Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it was sent; without the chunks' lengths where it went out in chunks.

    `body` is None where it cannot be known any more; `note` then says why.
    """

    method: str
    url: str
    headers: Headers
    body: bytes | None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer: its status, its headers and the beginning of its body."""

    status: int | None
    headers: Headers
    body: str


def usual(delivery: DeliveryRecord, provider: Provider, credentials: Credentials, endpoint: str) -> Request:
    """Return the request of a delivery when nothing disturbs it; raises what the provider's code raises."""
    text, stamp = to_text(delivery.payloads), Stamp(delivery.created_at, "0")
    return provider.feed_of(delivery.event_type).request(
        Written(delivery.event_type, text), endpoint, credentials, stamp
    )


def sent(attempt: AttemptRecord, usual: Body) -> Sent | None:
    """Return what an attempt has sent; None where nothing was, or an earlier release has recorded it.

    `usual` makes the delivery's body; what it raises becomes the note.
    """
    first, _, rest = attempt.request.partition("\n")
    words = first.split(" ")
    if len(words) < 2:
        return None
    headers = _headers(rest)
    method, url = words[0], words[1]
    if attempt.body is not None:
        return Sent(method, url, headers, _content(headers, attempt.body))
    try:
        body = usual()
    except Exception as error:  # noqa: BLE001 - The provider's code may be another one by now.
        return Sent(method, url, headers, None, f"the body cannot be made again: {type(error).__name__}")
    length = next((value for name, value in headers if name.lower() == "content-length"), None)
    if length is not None and length != str(len(body)):
        note = f"the body had {length} bytes; made again, it has {len(body)}, so it is another one"
        return Sent(method, url, headers, None, note)
    return Sent(method, url, headers, body)


def answered(attempt: AttemptRecord) -> Answered | None:
    """Return what an attempt was answered; None where no answer came."""
    if attempt.status is None:
        return None
    head, _, body = (
        attempt.answer.partition("\n\n") if not attempt.answer.startswith("\n") else ("", "", attempt.answer[1:])
    )
    return Answered(attempt.status, _headers(head), body)


def _headers(text: str) -> Headers:
    lines = (line.partition(":") for line in text.split("\n"))
    return tuple((name, value.strip(" ")) for name, colon, value in lines if colon)


def _content(headers: Headers, body: bytes) -> bytes:
    """Return a body without the lengths of its chunks, as far as it goes."""
    if not any(name.lower() == "transfer-encoding" and value == "chunked" for name, value in headers):
        return body
    content, rest = b"", body
    with suppress(ValueError):
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            count = int(size, 16)
            content, rest = content + rest[:count], rest[count + 2 :]
    return content
