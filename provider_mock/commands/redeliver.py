"""`provider-mock redeliver`: has a running server send deliveries again."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
from im_callback.provider_mock.commands.shared import printed, typed
from im_callback.provider_mock.commands.shared.server_api import ServerApi, server_options

AT_ONCE = 1000
"""Ids that the server takes in one request."""


def moment(text: str) -> int:
    """Return UTC milliseconds for a time as it is typed; without an offset it is UTC."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise typed.Wrong(f"{text} is no time; give one such as 2026-01-31T12:00:00, or UTC milliseconds") from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=timezone.utc)
    return round(found.timestamp() * 1000)


@click.command()
@click.argument("ids", type=typed.whole("ID", 1), nargs=-1, metavar="[ID]...")
@click.option("--app", metavar="NAME", help="All of this app.")
@click.option("--state", metavar="STATE", help="All in this state: waiting, acked, declined, dropped, parked.")
@click.option("--event-type", metavar="EVENT-TYPE", help="All of this event type.")
@click.option(
    "--outcome",
    metavar="OUTCOME",
    help="All whose last attempt came to this: acked, declined, refused, 'timed out', unreachable, 'not sent', 'not judged'.",
)
@click.option("--since", type=moment, metavar="TIME", help="All accepted at this time or later.")
@click.option("--until", type=moment, metavar="TIME", help="All accepted before this time.")
@server_options
@typed.JSON_OPTION
def redeliver(
    ids: tuple[int, ...],
    server: str,
    token_file: Path | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Send deliveries again, whatever became of them: these IDs, or all that every given option chooses.

    The server must be running. A time is such as 2026-01-31T12:00:00 (UTC), or UTC milliseconds. Exit 1 if some
    of the IDs are not on record.
    """
    wanted = {name: value for name, value in chosen.items() if value is not None}
    if bool(ids) == bool(wanted):
        raise typed.Wrong("give either the IDs of deliveries, or options that choose them, such as --app NAME")
    client = ServerApi(server, token_file)
    distinct = list(dict.fromkeys(ids))
    if wanted:
        count = _count(client, {"filter": wanted})
    else:
        parts = [distinct[start : start + AT_ONCE] for start in range(0, len(distinct), AT_ONCE)]
        count = sum(_count(client, {"ids": part}) for part in parts)
    if printed.for_people(as_json):
        click.echo(f"{printed.counted(count, 'delivery is', 'deliveries are')} sent again")
    else:
        printed.line({"redelivered": count})
    if count < len(distinct):
        missing = printed.counted(len(distinct) - count, "ID is", "IDs are")
        click.echo(
            f"error: {missing} not on record, of {len(distinct)}; see those of the app's deliveries in the API",
            err=True,
        )
        raise SystemExit(1)


def _count(client: ServerApi, which: dict[str, Any]) -> int:
    return int(client.post("/redeliveries", which)["count"])
