"""What a command that was run came to."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from im_callback.provider_mock import cli

SECONDS = 600
"""What a registry may take for one command."""


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


def typed(commands: Iterable[str], folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Run shell lines in a folder, one after the other; return what each printed. All of them have to end well."""
    printed = {}
    for command in commands:
        ended = subprocess.run(
            ["bash", "-euc", command],
            cwd=folder,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
        printed[command] = ended.stdout
    return printed
