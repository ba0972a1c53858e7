"""`provider-mock check`: the gate without pytest; of the current folder nothing is read but what an option names."""

from __future__ import annotations

import os
import re
import shutil
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from im_callback.conformance.option_table import FLAGS, OPTIONS, REPEATABLE
from im_callback.provider_mock.commands.shared import mistakes
from im_callback.provider_mock.commands.shared.printed import INTERRUPTED

if TYPE_CHECKING:
    from im_callback.conformance.gate import Gate

BAD_OPTIONS = 4
OUR_ERROR = 3
NAMES = {"url": "to", "command": "start"}
"""Options that are called otherwise here."""
COLOURS = {"bad": "red", "odd": "yellow", "good": "green"}
_PYTEST = "pytest --receiver-list"
_OPTION = re.compile(r"--receiver-([a-z]+(?:-[a-z]+)*)")


def spelled(text: str) -> str:
    """Return a text about the gate's options with their names here."""
    return _OPTION.sub(
        lambda found: f"--{NAMES.get(found[1], found[1])}", text.replace(_PYTEST, "provider-mock check --list")
    )


class BadOptions(click.ClickException):
    """What was typed cannot be used: one line, with the fix."""

    exit_code = BAD_OPTIONS


class Command(click.Command):
    """A command whose bad options have the gate's own exit status."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise BadOptions(mistakes.told(error)) from None


def _options() -> Iterator[click.Option]:
    yield click.Option(["--to", "url"], metavar="URL", help="Where callbacks are posted.")
    for name, value, text in OPTIONS:
        yield click.Option([f"--{NAMES.get(name, name)}", _key(name)], metavar=value, help=_help(text))
    for name, value, text in REPEATABLE:
        yield click.Option([f"--{name}", _key(name)], metavar=value, help=_help(text), multiple=True)
    for name, text in FLAGS:
        yield click.Option([f"--{name}", _key(name)], is_flag=True, default=None, help=_help(text))
    yield click.Option(["--list", "listed"], is_flag=True, help="Print every check: id, level, title, source.")
    yield click.Option(["-v", "--verbose"], is_flag=True, help="Print every exchange of what failed.")


def _key(name: str) -> str:
    return name.replace("-", "_")


def _help(text: str) -> str:
    return spelled(text[0].upper() + text[1:] + ".")


def run(*, listed: bool, verbose: bool, **typed: Any) -> int:
    """Check a receiver; return the exit status."""
    from im_callback.conformance.gate import Gate
    from im_callback.conformance.given import BadOption, Given
    from im_callback.conformance.options import list_checks

    given = Given(lambda name: typed[_key(name)] or None, Path.cwd())
    try:
        if listed:
            list_checks(given)
            return 0
        if typed["url"] is None:
            raise BadOption("--receiver-url is missing: give the address that callbacks are posted to")
        gate = Gate(given, spelled)
    except BadOption as error:
        raise BadOptions(spelled(str(error))) from None
    try:
        gate.take_outputs()
        return _run(gate, verbose=verbose)
    except BadOption as error:
        raise BadOptions(spelled(str(error))) from None
    except KeyboardInterrupt:
        click.echo(
            f"\ninterrupted, with {len(gate.results)} of {len(gate.checks)} checked; there is no verdict", err=True
        )
        return INTERRUPTED
    except Exception:  # noqa: BLE001 - Whatever is wrong with us is no verdict about the receiver.
        click.echo(gate.told(traceback.format_exc()), err=True)
        return OUR_ERROR
    finally:
        gate.close()


def _run(gate: Gate, *, verbose: bool) -> int:
    from im_callback.conformance.report.screen import WIDTH

    gate.clear_outputs()
    gate.open()
    for line in gate.header():
        click.echo(line)
    gate.plan(gate.checks)
    _each(gate)
    conclusion = gate.finish(gate.checks, ("the run ended before it", ""))
    for result in gate.results.values():
        broken = result.verdict.value == "harness-error"
        if broken or (verbose and result.verdict.value == "fail"):
            click.echo(f"{gate.block(result)}\n")
    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    for line in gate.closing(shutil.get_terminal_size().columns if known else WIDTH, _marked):
        click.echo(line, color=_coloured())
    for line in gate.annotations():
        click.echo(line)
    return int(conclusion.status)


def _each(gate: Gate) -> None:
    """Run the checks, and show how far they are: a bar on a terminal, else a line for each family."""
    if sys.stdout.isatty():
        with click.progressbar(
            gate.checks, item_show_func=lambda one: f"{one.family}.{one.slug}" if one else ""
        ) as bar:
            for check in bar:
                gate.result(check)
        return
    for check in gate.checks:
        for line in gate.progress.ended(gate.result(check)):
            click.echo(line)


def _marked(kind: str, line: str) -> str:
    return click.style(line, fg=COLOURS[kind]) if kind in COLOURS else line


def _coloured() -> bool:
    """Return whether colours are wanted, as the environment says it to all programs; else by where they go."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()


check = Command(
    "check",
    callback=run,
    params=list(_options()),
    help="""Check a receiver as the provider would call it.

    Exit status: 0 passed, 1 failed, 3 our own error, 4 bad options, 8 nothing failed but something could not be judged.
    Each option can also come from the environment: RECEIVER_APP_SECRET for --app-secret.""",
    short_help="Check a receiver: signatures, answers in time, duplicates, order.",
)
