"""The tokens of a server: where each is found, what it may be used for, and until when. Only their digests are held.

A file is looked at again, once a second, and what is in it then counts. A file that cannot be used any more takes its
token out of use, until it can be used again.
"""

from __future__ import annotations

import codecs
import hashlib
import hmac
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal, get_args

from im_callback.provider_mock.files import read_regular

log = logging.getLogger("im_callback.provider_mock.server")

Scope = Literal["read", "send", "manage"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
DEFAULT = "default"
"""What the token of `--token-file`, or of the environment, is called."""
SHORTEST = 16
"""Characters of a token, so that it cannot be guessed."""
LONGEST = 4096
"""Bytes of a file that can hold one."""
_ALPHABET = "choose letters and digits"


class BadToken(ValueError):
    """A token cannot be used: which, why and what to do, never what was found."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(problem)
        self.name = name


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """Where a token is (`file:PATH` or `env:NAME`), what it may be used for, and when it ends (with a time zone)."""

    ref: str
    scopes: frozenset[Scope] = frozenset(SCOPES)
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A token that is in use: its name, what it may be used for, when it ends, its SHA-256, how many characters it has."""

    name: str
    scopes: frozenset[Scope]
    expires: datetime | None = None
    digest: bytes = field(default=b"", repr=False)
    length: int = 0


LOCAL = Token("local", frozenset(SCOPES))
"""Who asks a server that has no tokens: this machine."""
RESERVED = frozenset({DEFAULT, LOCAL.name})
"""Names that are none of the configuration file's."""


class Tokens:
    """The tokens by name. Raises BadToken if one cannot be used from the start."""

    def __init__(
        self,
        settings: Mapping[str, TokenSettings] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._settings = dict(settings or {})
        self._now = now
        self._held = {name: _token(name, one, _first(name, one.ref)) for name, one in self._settings.items()}
        self._broken: dict[str, str] = {}
        # A pipe gives what it holds once.
        self._looked_at = [name for name, one in self._settings.items() if _is_regular(one.ref)]

    def __bool__(self) -> bool:
        """Whether a token is wanted at all, also where none can be used at the moment."""
        return bool(self._settings)

    def find(self, given: str) -> Token | None:
        """Return the token that somebody gives, also one that has expired; of several that are equal the first that has not."""
        digest = _digest(given)
        # All are compared: how long it takes tells nothing.
        found = [one for one in self._held.values() if hmac.compare_digest(one.digest, digest)]
        return min(found, key=self.expired, default=None)

    def named(self, name: str) -> Token | None:
        """Return the token of this name if it can be used now."""
        found = self._held.get(name)
        return None if found is None or self.expired(found) else found

    def expired(self, token: Token) -> bool:
        """Return whether a token has come to its end."""
        return token.expires is not None and self._now() >= token.expires

    def look(self) -> None:
        """Read the files again; whoever starts the server calls it every second."""
        held = dict(self._held)
        for name in self._looked_at:
            settings = self._settings[name]
            try:
                token = _token(name, settings, _again(name, settings.ref))
            except BadToken as error:
                held.pop(name, None)
                if self._broken.get(name) != str(error):
                    log.warning("the token %s is out of use: %s", name, error, extra={"event": "token"})
                self._broken[name] = str(error)
                continue
            if held.get(name) != token:
                log.info("the token %s was read again and has changed", name, extra={"event": "token"})
            held[name] = token
            self._broken.pop(name, None)
        # In the order of the settings, and at once for those who are looking.
        self._held = {name: held[name] for name in self._settings if name in held}

    def masked(self, text: str, most: int) -> str:
        """Return the first characters of a text, with asterisks where a token that is in use begins among them."""
        held = list(self._held.values())
        for length in {one.length for one in held}:
            digests = {one.digest for one in held}
            place = 0
            while place < min(most, len(text) - length + 1):
                if _digest(text[place : place + length]) in digests:
                    text = f"{text[:place]}***{text[place + length :]}"
                place += 1
        return text[:most]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _token(name: str, settings: TokenSettings, text: str) -> Token:
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise BadToken(name, f"the token is empty or holds spaces or other characters; {_ALPHABET}")
    if len(text) < SHORTEST:
        raise BadToken(name, f"the token has {len(text)} characters; give it {SHORTEST} at least")
    return Token(name, settings.scopes, settings.expires, _digest(text), len(text))


def _first(name: str, ref: str) -> str:
    """Return what is found at the start, in a file of any kind."""
    kind, _, place = ref.partition(":")
    if kind == "env":
        text = os.environ.get(place)
        if text is None:
            raise BadToken(name, f"is not in the environment; set {place} and start the server again")
        return text
    return _again(name, ref) if _is_regular(ref) else _read(name, lambda: _beginning(Path(place)))


def _again(name: str, ref: str) -> str:
    return _read(name, lambda: read_regular(Path(ref.partition(":")[2]), LONGEST))


def _read(name: str, read: Callable[[], bytes]) -> str:
    try:
        return read().removeprefix(codecs.BOM_UTF8).decode("ascii").strip()
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise BadToken(name, f"the token is not ASCII; {_ALPHABET}") from None
        raise BadToken(
            name, f"cannot be read ({getattr(error, 'strerror', None) or error}); put the token there"
        ) from None


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LONGEST)


def _is_regular(ref: str) -> bool:
    kind, _, place = ref.partition(":")
    return kind == "file" and Path(place).is_file()
