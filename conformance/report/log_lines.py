"""What the receiver printed around a failure, as reports show it: few lines, and none of the team's secrets.

A receiver logs what it likes: a database's password, say, or a header. Beside what the run knows to be secret, what
stands behind a telling name is masked, and so is what the environment holds under one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence

from im_callback.conformance.report.masking import Masking, secrets_in, telling
from im_callback.provider_mock.contract import MASK

PRINTED = 30
"""Lines that are printed with a failure."""
KEPT = 200
"""Lines that a result keeps."""
LONGEST = 400
"""Characters of a line."""

_NAME = r"[\w.-]*(?:token|secret|passw(?:or)?d|passwd|pwd|credential|api[-_]?key|access[-_]?key|private[-_]?key)[\w.-]*"
_HEADER = r"(?:proxy-)?authorization|(?:set-)?cookie"
_SAID = re.compile(rf"(?i)({_NAME}[\"']?)(\s*[:=]\s*[\"']?)([^\s\"'&,;]+)")
_SENT = re.compile(rf"(?i)((?:{_HEADER})[\"']?\s*[:=,]\s*[\"']?)([^\"'\r\n]+)")
_SCHEME = re.compile(r"(?i)\b(bearer|basic)(\s+)([\w.~+/=-]{8,})")
_LOGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^\s/?#'\":@]*:)([^\s/?#'\"]+)(@)")
_SECRET_NAME = re.compile(rf"(?i){_NAME}")
_OURS = re.compile(r"(?i)receiver_|im_app_")
"""Variables that the run itself knows, and masks by what they mean."""


def shown(lines: Sequence[str], mask: Masking, count: int) -> list[str]:
    """Return the last lines, no more than `count`, without secrets; before them how many are left out."""
    hidden = of_environment(os.environ)
    last = [_cut(without(hidden(mask(line)))) for line in lines[-count:]]
    left = len(lines) - len(last)
    return [f"… {left} lines before", *last] if left > 0 else last


def without(line: str) -> str:
    """Return a line without what stands behind a telling name."""
    line = _LOGIN.sub(rf"\1{MASK}\3", line)
    line = _SENT.sub(rf"\1{MASK}", line)
    line = _SCHEME.sub(rf"\1\2{MASK}", line)
    return _SAID.sub(_value, line)


def _value(found: re.Match[str]) -> str:
    name, sign, value = found.groups()
    # "token: expired" is a sentence, "token=expired" may be one.
    return f"{name}{sign}{MASK}" if "=" in sign or telling(value) else found[0]


def of_environment(variables: Mapping[str, str]) -> Masking:
    """Return the masking of what variables with telling names hold, and of passwords in addresses."""
    return Masking.hiding(*_secrets(variables.items()))


def _secrets(variables: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    words: list[str] = []
    places: list[str] = []
    for name, value in variables:
        if _OURS.match(name):
            continue
        if _SECRET_NAME.fullmatch(name) and telling(value):
            words.append(value)
        if "://" in value:
            found, where = secrets_in(value)
            words += found
            places += where
    return words, places


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
