"""`provider-mock verify`: whether the signature of a received request fits."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import IO

import click
from im_callback.provider_mock.commands.shared import printed, typed
from im_callback.provider_mock.contract import Provider, Request


@click.command()
@click.argument("provider", type=typed.provider_named)
@typed.FILE_ARGUMENT
@typed.FEED_OPTION
@click.option("--url", default="http://127.0.0.1/", help="The address with the query as received.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header as received; repeatable.")
@click.option("--at", type=typed.whole("--at", 0), metavar="MILLIS", help="When it was received; the default is now.")
@click.option(
    "--attempt", is_flag=True, help="FILE is an attempt as a running server shows it: address, headers, body."
)
@typed.credentials_options
@typed.JSON_OPTION
def verify(
    provider: Provider,
    file: IO[bytes],
    feed_name: str | None,
    url: str,
    headers: tuple[str, ...],
    at: int | None,
    attempt: bool,
    app_key: str | None,
    app_secret: str | None,
    as_json: bool,
) -> None:
    """Check the signature of a received request whose body stands in FILE. Exit 0: it fits; 1: it does not."""
    from im_callback.provider_mock.delivery.clock import utc_millis

    body = typed.read_body(file)
    if attempt:
        request, now = _received(body)
    else:
        split = [header.partition(":") for header in headers]
        if wrong := [text for text, (_, colon, _) in zip(headers, split, strict=True) if not colon]:
            raise typed.Wrong(f"--header {wrong[0]}: give it as NAME:VALUE")
        request = Request(url, tuple((name.strip(), value.strip()) for name, _, value in split), body)
        now = utc_millis()
    credentials = typed.credentials_for(provider, app_key, app_secret)
    feed, _ = typed.feed_of_body(provider, feed_name, request.body)
    problem = feed.verify(request, credentials, now if at is None else at)
    if printed.for_people(as_json):
        click.echo(problem or "the signature fits")
    else:
        printed.line({"feed": feed.full_name, "valid": problem is None, "problem": problem})
    if problem:
        raise SystemExit(1)


def _received(text: bytes) -> tuple[Request, int]:
    """Return the request of an attempt, and when it was sent, in UTC milliseconds; of a page of attempts, the last one's.

    A `typed.Wrong` says why there is none.
    """
    try:
        found = json.loads(text)
        attempt = found["items"][-1] if "items" in found else found
        sent, at = attempt["request"], int(attempt["sent_at"])
        if sent is None:
            raise typed.Wrong("nothing was sent with this attempt, or it is not on record")
        if sent["body"] is None:
            raise typed.Wrong(f"the body is not known: {sent['note']}")
        body = b64decode(sent["body"]) if sent["body_encoding"] == "base64" else sent["body"].encode()
        headers = tuple((one["name"], one["value"]) for one in sent["headers"])
        return Request(sent["url"], headers, body, sent["method"]), at
    except (ValueError, LookupError, TypeError, AttributeError):
        raise typed.Wrong("FILE is no attempt; give what GET /api/v1/deliveries/ID/attempts answers") from None
