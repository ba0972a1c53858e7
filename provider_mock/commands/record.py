"""`provider-mock record`: stand between a provider and a receiver, and write down what passes."""

from __future__ import annotations

import secrets
import signal
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
from im_callback.provider_mock import addresses, providers
from im_callback.provider_mock.commands.shared import printed, typed
from im_callback.provider_mock.contract import Outcome, Provider

if TYPE_CHECKING:
    from im_callback.provider_mock.recording.exchange import Exchange
    from im_callback.provider_mock.recording.files import Writer
    from im_callback.provider_mock.recording.proxy import Proxy

STOPPING = (signal.SIGTERM, signal.SIGINT)
SWITCH_SECONDS = 0.0005
UNKNOWN = "unknown"
"""What an event type is called that is none of a provider that is known."""


def place(text: str) -> tuple[str, int]:
    """Return the address and the port of PORT or HOST:PORT."""
    host, _, port = text.rpartition(":")
    return host.strip("[]") or "127.0.0.1", typed.whole("--listen", 0, 65535)(port)


def forwarded_to(text: str) -> str:
    """Return an address that can be forwarded to: without a login, for nothing is added to what passes."""
    try:
        return addresses.sendable(text)
    except addresses.BadAddress as error:
        raise typed.Wrong(f"--to {error}") from None


@click.command()
@click.option(
    "--listen",
    required=True,
    type=place,
    metavar="PORT",
    help="Where the provider posts to, on 127.0.0.1, or HOST:PORT; 0: any port that is free.",
)
@click.option("--to", "url", required=True, type=forwarded_to, metavar="URL", help="The receiver.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Where it is written: added to FILE."
)
@click.option(
    "--provider",
    type=typed.provider_named,
    metavar="PROVIDER",
    help="Which IM service posts; the default is to tell by each request.",
)
@click.option("--keep-people", is_flag=True, help="Write accounts, names, texts and addresses as they are.")
@typed.JSON_OPTION
def record(
    listen: tuple[str, int], url: str, out: Path, provider: Provider | None, keep_people: bool, as_json: bool
) -> None:
    """Forward requests to the receiver, byte for byte, and write down what passes.

    FILE gets a line of JSON for each request, with its reply. Stand-ins take the place of people's data: the same one
    for the same value, with a key of this run that nobody keeps. Ctrl-C ends it, once the exchanges under way have
    ended. Exit 0: everything is in the file; 1: some of it could not be written.
    """
    import asyncio

    from im_callback.provider_mock.delivery.clock import utc_millis
    from im_callback.provider_mock.delivery.sockets.system import trusting
    from im_callback.provider_mock.recording.files import Writer
    from im_callback.provider_mock.recording.keeping import kept
    from im_callback.provider_mock.recording.proxy import Proxy
    from im_callback.provider_mock.recording.rewriting import Rewriting
    from im_callback.provider_mock.recording.stand_ins import KEY_BYTES

    known = [provider] if provider is not None else [providers.load(name) for name in providers.names()]
    rewriting = None if keep_people else Rewriting(secrets.token_bytes(KEY_BYTES))
    people = printed.for_people(as_json)
    seen: list[Counter[str]] = [Counter(), Counter()]

    def prepared(exchange: Exchange) -> Exchange:
        return kept(exchange, known, rewriting)

    def written(exchange: Exchange) -> None:
        seen[0][exchange.outcome or UNKNOWN] += 1
        seen[1].update(name or UNKNOWN for name in exchange.event_types or (UNKNOWN,))
        if people:
            click.echo(_told(exchange))
        else:
            printed.line(_shown(exchange))

    for one in known:
        # What is read for the first one is read before anything passes.
        one.identify({})
    # What passes goes first: the thread that writes gives way sooner than is usual.
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        writer = Writer(out, prepared, written)
    except OSError as error:
        raise typed.Wrong(
            f"--out {out} cannot be written ({error.strerror or error}); name a file in a folder of yours"
        ) from None
    try:
        proxy = Proxy(url, writer.write, utc_millis, trusting(None) if url.startswith("https:") else None)
        asyncio.run(_recorded(proxy, listen, url, out, people=people))
    finally:
        writer.close()
    _summarise(writer, out, seen[0], seen[1], people=people)


async def _recorded(proxy: Proxy, listen: tuple[str, int], url: str, out: Path, *, people: bool) -> None:
    """Record until a signal asks for the end; a second one does not wait for what is under way."""
    import asyncio

    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in STOPPING:
        with suppress(NotImplementedError):  # Windows: there Ctrl-C is an exception.
            loop.add_signal_handler(number, asked.set)
    try:
        port = proxy.listen(*listen)
    except OSError as error:
        raise typed.Wrong(
            f"--listen {listen[0]}:{listen[1]} cannot be listened on ({error.strerror or error}); "
            "choose another port, or 0 for one that is free"
        ) from None
    host = f"[{listen[0]}]" if ":" in listen[0] else listen[0]
    post = f"http://{host}:{port}{urlsplit(url).path}"
    if people:
        click.echo(f"post to {post}: it goes to {url}, and to {out}; Ctrl-C stops it")
    else:
        printed.line({"url": post, "to": url, "file": str(out)})
    await asked.wait()
    stopping = asyncio.ensure_future(proxy.stop())
    for number in STOPPING:
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, stopping.cancel)
    with suppress(asyncio.CancelledError):
        await stopping


def _told(exchange: Exchange) -> str:
    names = ", ".join(name or UNKNOWN for name in dict.fromkeys(exchange.event_types)) or UNKNOWN
    status = exchange.lost if exchange.reply is None else f"status {exchange.reply.status}"
    passed = exchange.ended_at - exchange.sent_at
    broken = f"; the request is broken: {exchange.broken}" if exchange.broken else ""
    return f"{names}: {exchange.outcome or 'not judged'} in {passed} ms: {status}{broken}"


def _shown(exchange: Exchange) -> dict[str, Any]:
    return {
        "provider": exchange.provider,
        "event_types": list(exchange.event_types),
        "outcome": exchange.outcome,
        "status": None if exchange.reply is None else exchange.reply.status,
        "lost": exchange.lost or None,
        "broken": exchange.broken or None,
        "seconds": (exchange.ended_at - exchange.sent_at) / 1000,
    }


def _summarise(writer: Writer, out: Path, outcomes: Counter[str], types: Counter[str], *, people: bool) -> None:
    counted = {one.value: outcomes[one.value] for one in Outcome} | {UNKNOWN: outcomes[UNKNOWN]}
    if people:
        told = ", ".join(f"{count} {name}" for name, count in counted.items() if count)
        click.echo(f"{printed.counted(outcomes.total(), 'request', 'requests')} in {out}{told and f': {told}'}")
        for name, count in sorted(types.items()):
            click.echo(f"  {count} {name}")
    else:
        counts = {name.replace(" ", "_"): count for name, count in counted.items()}
        printed.line(
            {"summary": True, "file": str(out), **counts, "event_types": dict(types), "not_written": writer.lost}
        )
    if writer.problem is not None:
        click.echo(
            f"error: {printed.counted(writer.lost, 'request', 'requests')} could not be written to {out} "
            f"({getattr(writer.problem, 'strerror', None) or writer.problem}); see whether the disk is full",
            err=True,
        )
        raise SystemExit(1)
