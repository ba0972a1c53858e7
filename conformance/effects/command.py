"""Effects that a command prints: a JSON array, or JSON lines."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from typing import Any

from im_callback.conformance.effects.source import SECONDS, BadEffects, EffectsError, SourceOptions
from im_callback.conformance.effects.texts import MOST, parse, said

SCHEMES = ("command",)
WORDS = 300
"""Characters of what the command says on standard error that are told: the last ones."""


def open_source(spec: str, options: SourceOptions) -> Command:
    """Return what runs the command in the shell; `BadEffects` where there is none."""
    line = spec.partition(":")[2].strip()
    if not line:
        raise BadEffects("--receiver-effects=command: names no command; give command:SHELL, as in command:./effects.sh")
    return Command(options.filled(line), options, SECONDS)


class Command:
    """Runs a command and reads what it prints."""

    def __init__(self, line: str, options: SourceOptions, seconds: float) -> None:
        self._line = line
        self._folder = options.folder
        self._seconds = seconds
        self._last: tuple[bytes, Any] | None = None

    def __call__(self) -> Any:
        """Return the records that it prints; `EffectsError` where it fails, takes too long or prints no JSON."""
        output = self._output()
        if self._last is None or self._last[0] != output:
            try:
                self._last = output, parse(output)
            except (ValueError, RecursionError) as error:
                raise EffectsError(
                    f"the command prints no JSON ({error}): {self._line}", "Print a JSON array or JSON lines"
                ) from None
        return self._last[1]

    def _output(self) -> bytes:
        # Files, not pipes: what the command leaves running would keep a pipe open.
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            with subprocess.Popen(  # noqa: S602 - A command line is what the option takes.
                self._line,
                shell=True,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            ) as process:
                try:
                    status = process.wait(self._seconds)
                except subprocess.TimeoutExpired:
                    status = None
                finally:
                    # With all that it has started, also where it ended by itself.
                    with suppress(ProcessLookupError, PermissionError):
                        os.killpg(process.pid, signal.SIGKILL)
            errors.seek(0)
            words = " ".join(said(errors.read()).split())[-WORDS:]
            if status is None:
                raise EffectsError(
                    f"the command was not ready after {self._seconds:g} s and was ended{_quoted(words)}: {self._line}",
                    "Let it print this run's records alone ({run} stands for what their identifiers begin with)",
                )
            if status:
                raise EffectsError(
                    f"the command ended with status {status}{_quoted(words)}: {self._line}", "Try it by hand"
                )
            if output.tell() > MOST or os.fstat(output.fileno()).st_size > MOST:
                raise EffectsError(
                    f"the command prints more than {MOST} bytes: {self._line}", "Let it print this run's records alone"
                )
            output.seek(0)
            return output.read()


def _quoted(words: str) -> str:
    return f" ({words})" if words else ""
