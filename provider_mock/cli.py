"""The command line `provider-mock`: play the provider by hand, and look at the contract."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import click
from im_callback.provider_mock import commands
from im_callback.provider_mock.commands.shared import mistakes
from im_callback.provider_mock.commands.shared.printed import INTERRUPTED

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


@click.group(cls=mistakes.Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="im-callback-conformance")
def main() -> None:
    """Play an IM service that calls a server: send signed callbacks, look at the contract."""


for _found in pkgutil.iter_modules(commands.__path__):
    if not _found.ispkg:
        main.add_command(getattr(import_module(f"{commands.__name__}.{_found.name}"), _found.name))
