"""The command line `provider-mock`: play the provider by hand, and look at the contract."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

import click
from im_callback.provider_mock import commands
from im_callback.provider_mock.commands.shared import mistakes
from im_callback.provider_mock.commands.shared.printed import INTERRUPTED, passed_over
from im_callback.provider_mock.commands.shared.typed import fail
from im_callback.provider_mock.plugins import Plugins, Unusable

GROUP = "im_callback.commands"
"""Entry points of packages that add commands: each names a `click.Command`; the entry's name is the command's."""

# New in click 8.2: its message is the help text.
_HELP: tuple[type[Exception], ...] = tuple(filter(None, [getattr(click.exceptions, "NoArgsIsHelpError", None)]))


def entry() -> None:
    """Run the command line; every error is one line on standard error."""
    try:
        status = main.main(prog_name="provider-mock", standalone_mode=False)
    except click.exceptions.Abort:
        raise SystemExit(INTERRUPTED) from None
    except click.ClickException as error:
        click.echo(error.format_message() if isinstance(error, _HELP) else f"error: {mistakes.told(error)}", err=True)
        raise SystemExit(error.exit_code) from None
    raise SystemExit(status if isinstance(status, int) else 0)


class Commands(mistakes.Group):
    """Our commands, and those that packages add: these are loaded when one is asked for by name, or all are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all that can be used."""
        return sorted({*super().list_commands(ctx), *_added.usable()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, or None; the error says why that of a package cannot be loaded."""
        try:
            return super().get_command(ctx, cmd_name) or _added.load(cmd_name)
        except Unusable as error:
            raise fail(error) from None
        except KeyError:
            return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, and say on standard error which of a package are missing."""
        super().format_commands(ctx, formatter)
        passed_over(_added.unusable().values())


def _checked(found: Any) -> click.Command:
    if not isinstance(found, click.Command):
        raise TypeError("it is no click.Command")
    return found


_added: Plugins[click.Command] = Plugins(GROUP, "command", _checked)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="im-callback-conformance")
def main() -> None:
    """Play an IM service that calls a server: send signed callbacks, look at the contract."""


for _found in pkgutil.iter_modules(commands.__path__):
    if not _found.ispkg:
        main.add_command(getattr(import_module(f"{commands.__name__}.{_found.name}"), _found.name))
