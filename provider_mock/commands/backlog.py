"""`provider-mock backlog`: what a running server keeps for manual synchronisation, and that synchronisation."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from im_callback.provider_mock.commands.shared import mistakes, printed, typed
from im_callback.provider_mock.commands.shared.server_api import ServerApi, server_options

AT_ONCE = 1000
"""Deliveries that are released in one request."""


@click.group(cls=mistakes.Group)
def backlog() -> None:
    """Show and release the deliveries of a running server that are parked: their retries are used up."""


@backlog.command()
@click.argument("app")
@click.option(
    "--limit", type=typed.whole("--limit", 1), default=100, metavar="N", show_default=True, help="Show at most so many."
)
@server_options
@typed.JSON_OPTION
def show(app: str, limit: int, server: str, token_file: Path | None, as_json: bool) -> None:
    """List the parked deliveries of APP, the longest waiting first."""
    client = ServerApi(server, token_file)
    shown = 0
    for one in client.pages(_path(app), limit):
        shown += 1
        if not printed.for_people(as_json):
            printed.line(one)
            continue
        accepted = datetime.fromtimestamp(one["created_at"] / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
        click.echo(
            f"{one['id']:>10}  {accepted}  {one['event_type']}  {printed.counted(one['attempts'], 'attempt', 'attempts')}, {one['last_outcome']}"
        )
    if printed.for_people(as_json):
        parked = max(_parked(client, app), shown)
        click.echo(f"{shown} of {parked} shown; --limit shows more" if parked > shown else f"{parked} parked")


@backlog.command()
@click.argument("app")
@click.option(
    "--limit", type=typed.whole("--limit", 1), metavar="N", help="Release at most so many; the default is all."
)
@server_options
@typed.JSON_OPTION
def release(app: str, limit: int | None, server: str, token_file: Path | None, as_json: bool) -> None:
    """Send the parked deliveries of APP again, the longest waiting first: the provider's manual synchronisation."""
    client = ServerApi(server, token_file)
    people = printed.for_people(as_json)
    total = 0

    def drain(told: Callable[[int], None]) -> None:
        nonlocal total
        while limit is None or total < limit:
            size = AT_ONCE if limit is None else min(AT_ONCE, limit - total)
            count = int(client.post(f"{_path(app)}/release", {"limit": size})["count"])
            total += count
            if count:
                told(count)
            if count < size:
                return

    if people and _on_terminal():
        parked = _parked(client, app)
        length = parked if limit is None else min(parked, limit)
        with click.progressbar(length=max(length, 1), label="Releasing", file=sys.stderr) as bar:
            drain(bar.update)
    else:
        drain(lambda count: None if people else printed.line({"released": count, "so_far": total}))
    if people:
        click.echo(f"{total} released")
    else:
        printed.line({"summary": True, "released": total})


def _on_terminal() -> bool:
    return sys.stderr.isatty()


def _path(app: str) -> str:
    return f"/apps/{quote(app, safe='')}/backlog"


def _parked(client: ServerApi, app: str) -> int:
    parked: Any = client.get(_path(app), limit=1)["parked"]
    return int(parked)
