"""What click finds wrong in what was typed: said in one sentence that names it and the fix."""

from __future__ import annotations

from typing import Any

import click
from im_callback.schemas.nearest import question

_TOO_MANY = "Got unexpected extra argument"


class Group(click.Group):
    """A command that has commands of its own; the error about one that it has not asks which was meant."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Return the command that the first argument names."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            known = self.list_commands(ctx)
            asked = question(name, known) or f"there are {', '.join(known)}"
            raise click.UsageError(f"there is no command {name!r}; {asked}", ctx)
        return super().resolve_command(ctx, args)


def told(error: click.ClickException) -> str:
    """Return the error as one line; behind one about how a command is typed stands where its help is."""
    text = " ".join(_sentence(error).split())
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{text} (see {error.ctx.command_path} --help)"
    return text


def _sentence(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return error.format_message()
    options = {name: one for one in context.command.params for name in one.opts if one.param_type_name == "option"}
    if isinstance(error, click.NoSuchOption):
        asked = question(error.option_name, [*options, *context.help_option_names])
        return f"there is no option {error.option_name}; {asked or 'leave it out'}"
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return f"{name_of(error.param)} is missing; give {usage_of(error.param)}"
    message = error.format_message()
    if message.startswith(_TOO_MANY):
        return f"{message.partition('(')[2].rstrip(')')}: {context.command_path} takes no more arguments; leave it out"
    return message


def name_of(parameter: click.Parameter) -> str:
    """Return what people call an option or an argument."""
    if parameter.param_type_name == "option":
        return parameter.opts[0]
    return (parameter.metavar or (parameter.name or "").upper()).strip("[].")


def usage_of(parameter: click.Parameter) -> str:
    """Return an option or an argument as it is typed."""
    if parameter.param_type_name != "option":
        return "it"
    return f"{parameter.opts[0]} {parameter.metavar or parameter.type.name.partition(' ')[0].upper()}"
