"""Effects from a file of JSON lines that the application writes; only what is added is read again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

from im_callback.conformance.effects.source import BadEffects, EffectsError, SourceOptions
from im_callback.conformance.effects.texts import line_of

SCHEMES = ("file",)
SAMPLE = 256
"""Bytes before the place that was reached: where they are others, the file was written anew."""


def open_source(spec: str, options: SourceOptions) -> JsonLines:
    """Return what reads the file; `BadEffects` where none is named. It need not be there yet."""
    name = spec.partition(":")[2]
    if not name:
        raise BadEffects("--receiver-effects=file: names no file; give file:PATH, as in file:effects.jsonl")
    # Also as an address: file:///path.
    path = options.folder / (name[2:] if name.startswith("///") else name)
    if path.is_dir() or not path.parent.is_dir():
        raise BadEffects(
            f"--receiver-effects=file:{name}: {'that is a folder' if path.is_dir() else f'there is no folder {path.parent}'}"
            "; give the file that the application writes, a JSON object a line"
        )
    return JsonLines(path, recurring=options.recurring)


class JsonLines:
    """Reads a file on from where it was read to.

    A line that is no JSON is a record all the same, a text. A last line without its end that is no whole object is being
    written: it is not there yet. A file that was renamed goes on in the new one
    of its name, as logs do; one that was cut off, or replaced, is what the application shows now.
    """

    def __init__(self, path: Path, *, recurring: bool = False) -> None:
        self._path = path
        self._recurring = recurring
        self._file: BinaryIO | None = None
        self._offset = 0
        self._before = b""
        self._records: list[Any] = []
        self._unended: list[Any] = []
        self._skipped = 0

    def mark(self) -> None:
        """Pass over what is there now, up to the end of its last whole line."""
        if self._recurring or not self._path.is_file():
            return
        self._reopen()
        assert self._file is not None
        end = os.fstat(self._file.fileno()).st_size
        while end:
            start = max(0, end - 2**16)
            self._file.seek(start)
            block = self._file.read(end - start)
            if (place := block.rfind(b"\n")) >= 0:
                self._offset = start + place + 1
                break
            end = start
        self._skipped = self._offset
        self._remember()

    def __call__(self) -> list[Any]:
        """Return the records that were written since the mark; `EffectsError` where there is no file to read."""
        try:
            return self._read()
        except OSError as error:
            raise EffectsError(
                f"the file {self._path} cannot be read ({error.strerror})", "Is --receiver-effects right?"
            ) from None

    def whole(self) -> list[Any]:
        """Return all records of the file, the old ones too."""
        if not self._skipped:
            return self()
        with self._path.open("rb") as file:
            old = file.read(self._skipped)
        return [*_lines(old), *self()]

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()

    def _read(self) -> list[Any]:
        if not self._path.is_file():
            if self._file is None:
                raise EffectsError(
                    f"there is no file {self._path}", "Is it the one that the application writes? If so, make it empty"
                )
            # Renamed, and the next one is not begun yet.
            self._go_on()
            return [*self._records, *self._unended]
        if self._file is None:
            self._reopen()
        here, there = os.fstat(self._known().fileno()), self._path.stat()
        if (here.st_ino, here.st_dev) != (there.st_ino, there.st_dev):
            renamed = here.st_nlink > 0
            if renamed:
                self._go_on()
            kept = self._records if renamed else []
            self._reopen()
            self._records = kept
        elif there.st_size < self._offset or not self._is_the_same():
            self._reopen()
        self._go_on()
        return [*self._records, *self._unended]

    def _known(self) -> BinaryIO:
        assert self._file is not None
        return self._file

    def _reopen(self) -> None:
        self.close()
        self._file = self._path.open("rb")
        self._offset = self._skipped = 0
        self._before = b""
        self._records = []

    def _is_the_same(self) -> bool:
        file = self._known()
        file.seek(self._offset - len(self._before))
        return file.read(len(self._before)) == self._before

    def _remember(self) -> None:
        file = self._known()
        file.seek(max(0, self._offset - SAMPLE))
        self._before = file.read(min(SAMPLE, self._offset))

    def _go_on(self) -> None:
        """Read the lines that were added; one without its end counts once it is a whole object."""
        file = self._known()
        file.seek(self._offset)
        added = file.read()
        ended, unended = added[: added.rfind(b"\n") + 1], added[added.rfind(b"\n") + 1 :]
        # Half an object is none.
        self._unended = [one for one in _lines(unended) if isinstance(one, dict)]
        if ended:
            self._records += _lines(ended)
            self._offset += len(ended)
            self._remember()


def _lines(data: bytes) -> list[Any]:
    return [line_of(line) for line in data.split(b"\n") if line.strip()]
