"""`provider-mock validate`: which event type a payload is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click
from im_callback.provider_mock.commands.shared import printed, typed
from im_callback.provider_mock.commands.shared.documents import Unreadable, read_documents
from im_callback.provider_mock.contract import Feed, Provider, Stamp

INVALID, UNKNOWN, BAD_OPTIONS = 1, 2, 4


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
@typed.FEED_OPTION
@typed.JSON_OPTION
def validate(provider: Provider, file: IO[bytes], feed_name: str | None, as_json: bool) -> None:
    """Say which event type a payload is, and what is wrong with it.

    FILE is a request body, or several as JSON lines. Exit 0: valid; 1: not valid; 2: unknown event type;
    4: it cannot be read, or the command was typed wrongly.
    """
    feeds = typed.feeds_named(provider, feed_name)
    try:
        documents, notes = read_documents(typed.read_body(file), forms=any(feed.encoding == "form" for feed in feeds))
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
