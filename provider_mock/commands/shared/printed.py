"""What commands print: for people, or as lines of JSON."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

INTERRUPTED = 130
"""The exit status after Ctrl-C."""
_DOUBLED = re.compile(r"(?<=#)#")


def for_people(as_json: bool) -> bool:
    """Return whether output is for people: on a terminal, and JSON was not asked for."""
    return sys.stdout.isatty() and not as_json


def line(value: Any) -> None:
    """Print a value as one line of JSON."""
    text = json.dumps(value, ensure_ascii=False)
    # A lone surrogate is JSON, and no UTF-8.
    text = text if is_utf8(text) else json.dumps(value)
    # CI systems that read the log obey ##[…] and ##vso[…] wherever they stand; as JSON the escape is the same.
    click.echo(_DOUBLED.sub(r"\\u0023", text))


def passed_over(errors: Iterable[Exception]) -> None:
    """Say on standard error what other packages add and cannot be used."""
    for error in errors:
        click.echo(f"warning: {error}", err=True)


def counted(number: int, one: str, many: str) -> str:
    """Return a number and what it counts, in the words for one or for many."""
    return f"{number} {one if number == 1 else many}"


def shortly(names: Sequence[str], most: int = 4) -> str:
    """Return a list in a few words."""
    shown = " ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def is_utf8(text: str) -> bool:
    """Return whether a text is UTF-8: other bytes in arguments come in as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
