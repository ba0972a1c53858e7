"""Where the options of a run come from: the command line wins, then the environment, then the ini file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"", "0", "false", "no", "off"})


class BadOption(ValueError):
    """An option cannot be used; the text names it and its value, and says what to give."""


def _nothing(name: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Given:
    """What was given for a run, by the options' names (`effects-map`).

    `typed` returns what the command line has, or None; `kept` what an ini file has. Files are looked for from `folder`.
    """

    typed: Callable[[str], Any]
    folder: Path
    kept: Callable[[str], Any] = _nothing

    def one(self, name: str) -> str | None:
        """Return an option's value, or None where it is given nowhere; an empty variable gives nothing."""
        typed = self.typed(name)
        if typed is not None:
            return str(typed) or None
        # CI systems set variables to nothing where a secret or an input is not there.
        return os.environ.get(_variable(name)) or str(self.kept(name) or "") or None

    def many(self, name: str) -> list[str]:
        """Return a repeatable option's values; in the environment they stand on lines of their own."""
        typed = self.typed(name)
        if typed:
            return [str(value) for value in typed]
        if value := os.environ.get(_variable(name)):
            return [line.strip() for line in value.splitlines() if line.strip()]
        return list(self.kept(name) or ())

    def flag(self, name: str) -> bool:
        """Return whether a switch is on; raises `BadOption`."""
        value = (self.one(name) or "").lower()
        if value not in TRUE | FALSE:
            raise BadOption(f"--receiver-{name}: {value!r} is neither true nor false")
        return value in TRUE


def _variable(name: str) -> str:
    return f"RECEIVER_{name.replace('-', '_').upper()}"
