"""`provider-mock sign`: what the provider would sign a body with."""

from __future__ import annotations

from random import SystemRandom
from typing import IO

import click
from im_callback.provider_mock.commands.shared import printed, typed
from im_callback.provider_mock.contract import Provider, Stamp


@click.command()
@click.argument("provider", type=typed.provider_named)
@typed.FILE_ARGUMENT
@typed.FEED_OPTION
@click.option(
    "--to",
    "url",
    type=typed.endpoint,
    default="http://127.0.0.1/",
    show_default=True,
    help="The address that it is signed for.",
)
@click.option("--at", type=typed.whole("--at", 0), metavar="MILLIS", help="UTC milliseconds; the default is now.")
@typed.credentials_options
@typed.JSON_OPTION
def sign(
    provider: Provider,
    file: IO[bytes],
    feed_name: str | None,
    url: str,
    at: int | None,
    app_key: str | None,
    app_secret: str | None,
    as_json: bool,
) -> None:
    """Print URL and headers for a body, byte for byte as it stands in FILE."""
    from im_callback.provider_mock.delivery.clock import utc_millis

    body = typed.read_body(file)
    nonce = str(SystemRandom().getrandbits(48))
    stamp = Stamp(utc_millis() if at is None else at, nonce, nonce)
    feed, code = typed.feed_of_body(provider, feed_name, body)
    request = feed.sign(body, code, url, typed.credentials_for(provider, app_key, app_secret), stamp)
    if printed.for_people(as_json):
        click.echo(f"{request.method} {request.url}")
        for name, value in request.headers:
            click.echo(f"{name}: {value}")
        if request.body != body:
            click.echo(f"\n{request.body.decode('utf-8', 'replace')}")
    else:
        # A signature that travels in the body changes it.
        signed = {} if request.body == body else {"body": request.body.decode("utf-8", "replace")}
        printed.line({"method": request.method, "url": request.url, "headers": dict(request.headers), **signed})
