"""What a source of effects is given, what it may raise, and how long a single reading may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

SECONDS = 10.0
"""How long one reading may take: a store that hangs must not hang the run."""
RUN = "{run}"
"""What stands in an address or a command for the text that this run's identifiers begin or end with."""


class EffectsError(Exception):
    """The effects could not be read: `reason` says why, `fix` what to do."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(f"{reason}. {fix}")
        self.reason = reason
        self.fix = fix


class BadEffects(ValueError):
    """The value of --receiver-effects, or of an option that goes with it, cannot be used."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What a source may need besides its address.

    `headers` and `ca_file` are for a gateway on the way; paths are looked for from `folder`. `query` is that of a
    database. `run` is what this run's identifiers begin or end with. With `recurring` names of accounts or fields
    were given, so that what an earlier run left may be taken up again: then nothing old may be passed over.
    """

    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca_file: Path | None = None
    folder: Path = Path()
    query: str | None = None
    run: str = ""
    recurring: bool = False

    def filled(self, text: str) -> str:
        """Return a text with what stands in it for the run filled in, as it is and as in an address."""
        return text.replace(RUN, self.run).replace(quote(RUN), self.run)


def missing_driver(what: str, package: str, *extras: str) -> BadEffects:
    """Return the error that names what has to be installed to read such a store."""
    return BadEffects(
        f"{what} needs the package {package}; "
        f"install it: pip install 'im-callback-conformance[{','.join(extras)}]' (or {package} alone)"
    )
