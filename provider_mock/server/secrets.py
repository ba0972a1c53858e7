"""Where the apps' secrets are: found by reference, and those given literally kept in files for this user alone."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

LONGEST = 4096
"""Bytes of a file that can be a secret."""


class SecretMissing(LookupError):
    """A reference leads to no secret; says which and what to do, never what was found."""

    def __init__(self, ref: str, problem: str, fix: str) -> None:
        super().__init__(f"its secret {ref} {problem}; {fix}")
        self.ref, self.problem, self.fix = ref, problem, fix


class SecretStore:
    """Resolves `env:NAME` and `file:PATH`, and keeps literal secrets in `folder`; None: it keeps none."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def find(self, ref: str) -> str:
        """Return the secret that a reference leads to; raises SecretMissing."""
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

    def keep(self, name: str, secret: str) -> str:
        """Write an app's secret to its file and return the reference to it; OSError if that is not possible."""
        assert self.folder is not None
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(name)
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

    def forget(self, name: str, ref: str | None) -> None:
        """Remove an app's secret if it is one that was kept here."""
        if self.folder is not None and ref == f"file:{self._path(name)}":
            with suppress(OSError):
                self._path(name).unlink()

    def _path(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder.resolve() / f"{name}.secret"

    def _read(self, ref: str, path: Path) -> str:
        try:
            with path.open("rb") as file:
                content = file.read(LONGEST + 1)
        except OSError as error:
            raise SecretMissing(
                ref, f"cannot be read ({error.strerror})", "put a file there that this user may read"
            ) from None
        if len(content) > LONGEST:
            raise SecretMissing(ref, f"is longer than {LONGEST} bytes", "put only the secret in the file")
        try:
            return content.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise SecretMissing(ref, "is not UTF-8", "put the secret there as text") from None
