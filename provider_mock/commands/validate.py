"""`provider-mock validate`: which event type a payload is."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

import click
from im_callback.provider_mock.commands.shared import printed, typed
from im_callback.provider_mock.commands.shared.documents import Unreadable, read_documents
from im_callback.provider_mock.contract import Feed, Provider, Stamp

if TYPE_CHECKING:
    from im_callback.provider_mock.recording.differences import Compared

INVALID, UNKNOWN, BAD_OPTIONS = 1, 2, 4
RECORDED = b'{"recorded":'
"""How a recording begins."""


class OwnUsageStatus(click.Command):
    """A command whose exit statuses 1 and 2 say something else: what was typed wrongly exits with 4."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Return the context of what was typed."""
        with self._status():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with self._status():
            return super().invoke(ctx)

    @contextmanager
    def _status(self) -> Iterator[None]:
        try:
            yield
        except click.ClickException as error:
            error.exit_code = BAD_OPTIONS  # type: ignore[misc]
            raise


@click.command(cls=OwnUsageStatus)
@click.argument("provider", type=typed.provider_named)
@typed.FILE_ARGUMENT
@click.option(
    "--recording",
    type=typed.Body("recording"),
    metavar="FILE",
    help="What provider-mock record has written, or a HAR file, in place of a body.",
)
@typed.FEED_OPTION
@typed.JSON_OPTION
def validate(
    provider: Provider, file: IO[bytes], recording: IO[bytes] | None, feed_name: str | None, as_json: bool
) -> None:
    """Say which event type a payload is, and what is wrong with it.

    FILE is a request body, or several as JSON lines. Of a recording it is told what the provider really sent and the
    schemas refuse, without people's data, to paste into an issue. Exit 0: valid; 1: not valid; 2: unknown event type;
    4: it cannot be read, or the command was typed wrongly.
    """
    if recording is not None:
        raise SystemExit(_compare(provider, recording, as_json))
    body = typed.read_body(file)
    if body.startswith(RECORDED):
        raise SystemExit(_compare(provider, BytesIO(body), as_json))
    feeds = typed.feeds_named(provider, feed_name)
    try:
        documents, notes = read_documents(body, forms=any(feed.encoding == "form" for feed in feeds))
    except Unreadable as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(INVALID) from None
    for note in notes:
        click.echo(note, err=True)
    worst = 0
    for document in documents:
        if any(_is_probe(feed, document) for feed in feeds):
            _verdict(as_json, "the console's address probe", [])
            continue
        payloads = document if isinstance(document, list) and any(feed.batches for feed in feeds) else [document]
        if not payloads:
            _unnamed(as_json, "an empty array: it carries no event")
            worst = max(worst, INVALID)
        for payload in payloads:
            event_type = provider.identify(payload, feeds)
            if event_type is None or provider.feed_of(event_type.name) not in feeds:
                _unnamed(
                    as_json,
                    f"unknown event type: {json.dumps(payload, ensure_ascii=False)[:120]}; "
                    f"provider-mock events {provider.name} lists the known ones",
                )
                worst = max(worst, UNKNOWN)
                continue
            problems = event_type.problems(payload)
            _verdict(as_json, event_type.name, [f"{one.pointer or 'the payload'}: {one.message}" for one in problems])
            worst = max(worst, INVALID if problems else 0)
    raise SystemExit(worst)


def _unnamed(as_json: bool, problem: str) -> None:
    click.echo(problem, err=True)
    if not printed.for_people(as_json):
        printed.line({"event_type": None, "valid": False, "problems": [problem]})


def _verdict(as_json: bool, name: str, problems: list[str]) -> None:
    if not printed.for_people(as_json):
        printed.line({"event_type": name, "valid": not problems, "problems": problems})
        return
    click.echo(f"{name}: {'not valid' if problems else 'valid'}")
    for problem in problems:
        click.echo(f"  {problem}")


def _is_probe(feed: Feed, document: Any) -> bool:
    probe = feed.probe("", feed.provider.defaults, Stamp(0, ""))
    return probe is not None and document == json.loads(probe.body)


def _compare(provider: Provider, recording: IO[bytes], as_json: bool) -> int:
    """Print what a recording holds that the schemas refuse; return the exit status."""
    from im_callback.provider_mock.recording.differences import compared
    from im_callback.provider_mock.recording.rewriting import Rewriting
    from im_callback.provider_mock.recording.stand_ins import KEY_BYTES

    found = compared(typed.recorded(recording), provider, Rewriting(secrets.token_bytes(KEY_BYTES)))
    if found.others:
        told = printed.counted(found.others, "request is", "requests are")
        click.echo(f"note: {told} none of {provider.name}, or not whole; passed over", err=True)
    if not found.payloads and not found.unreadable:
        raise typed.Wrong(f"the recording holds no request of {provider.name}; name the provider that was recorded")
    if printed.for_people(as_json):
        click.echo(_pasted(provider, found))
    else:
        for name in sorted({*found.valid, *found.refused}):
            printed.line({"event_type": name, "valid": found.valid[name], "not_valid": found.refused[name]})
        for one in (*found.differences.values(), *found.unknown.values()):
            printed.line(
                {
                    "event_type": one.event_type,
                    "pointer": one.pointer,
                    "found": one.found,
                    "message": one.message,
                    "count": one.count,
                    "payload": one.payload,
                }
            )
        if found.unreadable:
            printed.line({"unreadable": found.unreadable})
    return INVALID if found.refused or found.unreadable else UNKNOWN if found.unknown else 0


def _pasted(provider: Provider, found: Compared) -> str:
    """Return what was compared as Markdown."""
    refused = found.refused.total() + found.unreadable + sum(one.count for one in found.unknown.values())
    total = found.payloads + found.unreadable
    if not refused:
        return f"{provider.title}: all recorded payloads fit the schemas ({total})."
    lines = [f"{provider.title}: {refused} of {total} recorded payloads do not fit the schemas."]
    if found.unreadable:
        lines += ["", f"{printed.counted(found.unreadable, 'body holds', 'bodies hold')} no payload that can be read."]
    for name in sorted(found.refused):
        lines += ["", f"### {name}: {found.refused[name]} of {found.refused[name] + found.valid[name]}", ""]
        own = [one for one in found.differences.values() if one.event_type == name]
        lines += [f"- `{one.pointer or '(the payload)'}` {one.message} ({_times(one.count)})" for one in own]
        shown: list[Any] = []
        for one in own:
            if one.payload not in shown:
                shown.append(one.payload)
                lines += _block(one.payload)
    for one in found.unknown.values():
        lines += ["", f"### {one.message} ({_times(one.count)})", *_block(one.payload)]
    return "\n".join(lines)


def _times(count: int) -> str:
    return printed.counted(count, "time", "times")


def _block(payload: Any) -> list[str]:
    return ["", "```json", json.dumps(payload, ensure_ascii=False, indent=2), "```"]
