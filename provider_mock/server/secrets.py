"""Where the apps' secrets are: found by reference, and those given literally kept in files for this user alone."""

from __future__ import annotations

import logging
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from im_callback.provider_mock.files import read_regular
from im_callback.provider_mock.server.models import Rules

log = logging.getLogger("im_callback.provider_mock.server")

LONGEST = 4096
"""Bytes of a file that can be a secret."""


PRESENT, PREVIOUS = "secret", "previous"
"""The roles of a secret that is kept: each app has one file for each, whose name ends so."""


class SecretMissing(LookupError):
    """A reference leads to no secret; says which and what to do, never what was found."""

    def __init__(self, ref: str, problem: str, fix: str) -> None:
        super().__init__(f"its secret {ref} {problem}; {fix}")
        self.ref = ref


class SecretStore:
    """Resolves `env:NAME` and `file:PATH`, and keeps literal secrets in `folder`; None: it keeps none.

    The configuration file may refer to whatever this user can read. Whoever comes through the API
    may refer to what the operator's `rules` name, and hears the same of all else, there or not.
    """

    def __init__(self, folder: Path | None, rules: Rules | None = None) -> None:
        self.folder = folder
        if folder is not None and os.name == "posix":
            with suppress(OSError):
                if (mode := stat.S_IMODE(folder.stat().st_mode)) & (stat.S_IRWXG | stat.S_IRWXO):
                    # Not changed: it may be somebody's who named it by mistake.
                    log.warning("the folder for secrets can be entered by others (mode %o): chmod go= %s", mode, folder)
        self._rules = rules or Rules()

    def find(self, ref: str) -> str:
        """Return the secret that a reference of the operator leads to; raises SecretMissing."""
        kind, _, place = ref.partition(":")
        if kind == "env":
            secret = os.environ.get(place)
            if secret is None:
                raise SecretMissing(ref, "is not in the environment", "set it and start the server again")
        elif kind == "file":
            secret = self._read(ref, Path(place))
        else:
            raise SecretMissing(ref, "is no reference", "write env:NAME or file:PATH")
        if not secret:
            raise SecretMissing(ref, "is empty", "put the secret there")
        return secret

    def find_allowed(self, name: str, ref: str, role: str = PRESENT) -> str:
        """Return the secret that a reference of the API leads to, for the app of this name.

        Raises SecretMissing, which says the same of what is missing, unreadable or forbidden.
        """
        if self.keeps(name, ref, role):
            return self.find(ref)
        kind, _, place = ref.partition(":")
        try:
            if kind == "env" and place in self._rules.secret_variables:
                return self.find(ref)
            if kind == "file" and (path := self._below(place)) is not None:
                return self.find(f"file:{path}")
        except (SecretMissing, OSError, ValueError, RuntimeError):  # RuntimeError: symlinks in a circle
            pass
        raise SecretMissing(
            ref,
            "leads to none that an app of the API may use",
            "give app_secret, or a file below the server's secret_folder, or a variable of its secret_variables",
        )

    def keep(self, name: str, secret: str, role: str = PRESENT) -> str:
        """Write an app's secret to its file and return the reference to it; OSError if that is not possible."""
        assert self.folder is not None
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(name, role)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(secret)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise
        return f"file:{path}"

    def forget(self, name: str, ref: str | None, role: str = PRESENT) -> None:
        """Remove an app's secret if it is one that was kept here."""
        if ref is not None and self.keeps(name, ref, role):
            with suppress(OSError):
                self._path(name, role).unlink()

    def keeps(self, name: str, ref: str, role: str = PRESENT) -> bool:
        """Return whether a reference leads to the file that is kept here for an app."""
        return self.folder is not None and ref == f"file:{self._path(name, role)}"

    def _path(self, name: str, role: str) -> Path:
        assert self.folder is not None
        return self.folder.resolve() / f"{name}.{role}"

    def _below(self, place: str) -> Path | None:
        """Return where a file of the operator's folder is; None if the path leads out of it, or to another app's secret."""
        folder = self._rules.secret_folder
        if folder is None:
            return None
        # Nothing outside is looked at, not even to find out that it is outside.
        given = Path(os.path.normpath(folder / place))
        if not (given.is_relative_to(folder) or given.is_relative_to(folder.resolve())):
            return None
        path = given.resolve()
        if not path.is_relative_to(folder.resolve()):
            return None
        if self.folder is not None and path.is_relative_to(self.folder.resolve()):
            return None
        return path

    def _read(self, ref: str, path: Path) -> str:
        try:
            content = read_regular(path, LONGEST)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise SecretMissing(
                ref, f"cannot be read ({why})", "put a file there that this user may read, with the secret alone"
            ) from None
        try:
            return content.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise SecretMissing(ref, "is not UTF-8", "put the secret there as text") from None
