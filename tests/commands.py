"""What a command that was run came to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import click
from im_callback.provider_mock import cli


@dataclass(frozen=True)
class Ran:
    """A command's exit status, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """The JSON lines on standard output."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def summary(self) -> Any:
        """The last line: the whole run."""
        return self.lines[-1]


Run = Callable[..., Ran]


def leaves() -> list[str]:
    """Return every command that has no commands of its own, by what is typed; those of packages too."""
    return list(_leaves(cli.main, "", click.Context(cli.main)))


def _leaves(command: click.Command, path: str, context: click.Context) -> Iterator[str]:
    if not isinstance(command, click.Group):
        yield path
        return
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from _leaves(found, f"{path} {name}".strip(), context)
