"""The receiver as a process of ours: started, watched, killed, and started again, in whatever language it is written.

How it is kept from outliving the gate stands in `watcher.py`.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from random import SystemRandom
from urllib.parse import urlsplit, urlunsplit

from im_callback.conformance.around.log import Log
from im_callback.conformance.around.moments import Moment, now
from im_callback.conformance.network import connects

START_SECONDS = 60.0
"""How long it may take until it answers."""
STOP_SECONDS = 10.0
"""How long it may take to end after SIGTERM: as long as Docker gives it."""
GONE_SECONDS = 10.0
"""How long the system may take to take away what was killed."""
QUOTED = 15
"""Lines of the log that an error quotes."""
PAUSE = 0.05
PORTS = range(20_000, 32_000)
"""Below those that systems give to connections: nobody takes the port while the receiver is away."""
TAKEN = re.compile(r"(?i)EADDRINUSE|address (?:is )?already in use|address in use|only one usage of each socket")
HERE = Path(__file__).with_name("watcher.py")


class ReceiverError(Exception):
    """The receiver's process did not do what was asked of it: what happened, what to do, and its last lines."""

    def __init__(self, reason: str, fix: str, log: Log | None = None) -> None:
        quoted = log.last(QUOTED) if log is not None else []
        said = "; its last lines:\n" + "\n".join(f"    {line}" for line in quoted) if quoted else ""
        super().__init__(f"{reason}. {fix}{said}")
        self.told = reason + said
        """What happened, with the last lines."""
        self.reason = reason
        self.fix = fix
        self.lines = tuple(quoted)


class NotStarted(ReceiverError):
    """It ended, or does not answer."""


class Occupied(ReceiverError):
    """Something answers at its address that is not ours."""


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port of this host at which nobody listens."""
    pick = SystemRandom()
    for _ in range(200):
        port = pick.choice(PORTS)
        if _free(host, port):
            return port
    with socket.socket(_family(host)) as one:
        one.bind((host, 0))
        return int(one.getsockname()[1])


def _free(host: str, port: int) -> bool:
    with socket.socket(_family(host)) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, port))
        except OSError:
            return False
        return True


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def with_port(url: str, port: int) -> str:
    """Return an address with another port."""
    parts = urlsplit(url)
    before, at, _ = parts.netloc.rpartition("@")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return urlunsplit(parts._replace(netloc=f"{before}{at}{host}:{port}"))


def port_of(url: str) -> int:
    """Return the port that an address means."""
    parts = urlsplit(url)
    return (443 if parts.scheme == "https" else 80) if parts.port is None else parts.port


def filled(text: str, places: Mapping[str, str]) -> str:
    """Return a text with `{name}` replaced by each value; other braces are the shell's."""
    for name, value in places.items():
        text = text.replace(f"{{{name}}}", value)
    return text


class Receiver:
    """A receiver that a shell command starts. Not running until `start` is called; `close` ends it for good.

    `command` may hold `{port}` and the names in `places`; the port of `url` is also in the environment as PORT,
    beside `variables`. `patience` is how many seconds it may take until it answers. `answers` tries the address and returns whether an HTTP server answers there.
    """

    def __init__(
        self,
        command: str,
        url: str,
        answers: Callable[[str], bool],
        *,
        places: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        folder: Path | None = None,
        patience: float = START_SECONDS,
    ) -> None:
        self.command = command
        self.url = url
        self.patience = patience
        self.port = port_of(url)
        self.log = Log()
        self.tag = ""
        """What its lines begin with in a log that it shares."""
        self.moments: list[Moment] = []
        """When it was ended and started."""
        self.starts = 0
        """How often it was started."""
        self._answers = answers
        self._places = dict(places or {})
        self._variables = dict(variables or {})
        self._folder = folder
        self._process: _Process | None = None

    @property
    def uses_port(self) -> bool:
        """Whether the command says where it is told its port; else only the environment does."""
        return "{port}" in self.command or "PORT" in self.command

    @property
    def running(self) -> bool:
        """Whether anything of it is left."""
        return self._process is not None and not self._process.ended.is_set()

    @property
    def status(self) -> int | None:
        """The exit status of the last process; negative after a signal, None while it runs."""
        return self._process.status if self._process is not None and self._process.ended.is_set() else None

    @property
    def group(self) -> int | None:
        """The process group, while it runs."""
        return self._process.group if self._process is not None and self.running else None

    def mark(self) -> float:
        """Return this moment, for `log_since`."""
        return self.log.mark()

    def log_since(self, mark: float) -> list[str]:
        """Return what it has printed since a moment."""
        return self.log.since(mark)

    def another(self) -> Receiver:
        """Return a second receiver by the same command, at a port of its own; it is not started yet."""
        url = with_port(self.url, free_port(urlsplit(self.url).hostname or "127.0.0.1"))
        second = Receiver(
            self.command,
            url,
            self._answers,
            places=self._places,
            variables=self._variables,
            folder=self._folder,
            patience=self.patience,
        )
        second.log, second.tag = self.log, "second: "
        return second

    def start(self, seconds: float | None = None) -> None:
        """Start it, and return when it answers; `ReceiverError` if it does not within these seconds, or its patience."""
        assert not self.running, "it runs already"
        if self._listens():
            raise Occupied(
                f"something listens at port {self.port} before the receiver was started",
                "End it, or let --receiver-url have port 0 and the command listen at {port}",
            )
        end = time.monotonic() + (self.patience if seconds is None else seconds)
        while not self._started(end):
            # The kernel may hold the port of one that was killed; it is free in a moment, or at the next try.
            time.sleep(0.5)
        self.moments.append(now("the receiver is started, and answers"))

    def _started(self, end: float) -> bool:
        """Start it once; return False where its port was still taken and there is time to try again."""
        mark = self.mark()
        if self._process is not None:
            self._process.finish()
        process = self._process = _Process(self._text(), self._environment(), self._folder, self.log, self.tag)
        self.starts += 1
        try:
            self._await(process, end)
        except NotStarted:
            taken = process.ended.is_set() and any(TAKEN.search(line) for line in self.log.since(mark))
            process.kill()
            if taken and time.monotonic() < end and self.starts > 1:
                return False
            raise
        except BaseException:
            process.kill()
            raise
        return True

    def _await(self, process: _Process, end: float) -> None:
        started = time.monotonic()
        while True:
            if process.ended.is_set():
                process.finish()
                raise NotStarted(
                    f"the receiver's command ended with {said(process.status)} before it answered",
                    "Run the command by hand; --receiver-command is shell text",
                    self.log,
                )
            if self._listens() and self._answers(self.url):
                return
            if time.monotonic() > end:
                raise NotStarted(
                    f"the receiver did not answer at {self.url} within {time.monotonic() - started:.0f} s of its start",
                    "Let the command listen there: {port} and the variable PORT hold the port",
                    self.log,
                )
            process.ended.wait(PAUSE)

    def strike(self) -> None:
        """Send SIGKILL to its process group, and return at once; `kill` makes sure afterwards."""
        if self._process is not None:
            self.moments.append(now("the receiver gets SIGKILL"))
            self._process.strike()

    def kill(self) -> None:
        """End everything of it at once, by SIGKILL; return when nothing of it is left.

        `ReceiverError` if something still listens at the address.
        """
        if self.running:
            self.moments.append(now("the receiver gets SIGKILL"))
        if self._process is not None:
            self._process.kill()
        self._must_be_gone("SIGKILL")

    def stop(self, seconds: float | None = None) -> bool:
        """Ask everything of it to end, by SIGTERM, and return whether it did so in time; else it is killed."""
        seconds = STOP_SECONDS if seconds is None else seconds
        if self._process is None:
            return True
        self.terminate()
        if self._process.ended.wait(seconds):
            self._process.finish()
            self._must_be_gone("SIGTERM")
            return True
        self.kill()
        return False

    def terminate(self) -> None:
        """Send SIGTERM, and return at once."""
        if self._process is not None:
            self.moments.append(now("the receiver gets SIGTERM"))
            self._process.terminate()

    def restart(self, seconds: float | None = None) -> None:
        """Stop it and start it."""
        self.stop()
        self.start(seconds)

    def close(self, seconds: float = 3.0) -> None:
        """End it for good, politely first; never fails."""
        with suppress(ReceiverError):
            self.stop(seconds)

    def _must_be_gone(self, how: str) -> None:
        end = time.monotonic() + GONE_SECONDS
        while self._listens():
            if time.monotonic() > end:
                raise Occupied(
                    f"after {how} to all that the command started, something still listens at port {self.port}",
                    "Let the command be the receiver itself, not a client of a service or a container elsewhere",
                    self.log,
                )
            time.sleep(PAUSE)

    def _listens(self) -> bool:
        return connects(urlsplit(self.url).hostname or "127.0.0.1", self.port)

    def _text(self) -> str:
        return filled(self.command, {"port": str(self.port), **self._places})

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PORT": str(self.port), **self._variables}


class _Process:
    """One life of the receiver: the watcher, and what it says."""

    def __init__(
        self, command: str, environment: Mapping[str, str], folder: Path | None, log: Log, tag: str = ""
    ) -> None:
        self.ended = threading.Event()
        """Set once nothing is left of it."""
        self.status: int | None = None
        self.group: int | None = None
        self._known = threading.Event()
        self._control, theirs = socket.socketpair()
        out, printed = os.pipe()
        try:
            self._watcher = subprocess.Popen(
                [sys.executable, "-I", "-S", str(HERE), str(theirs.fileno()), command],
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                pass_fds=(theirs.fileno(),),
                env=environment,
                cwd=folder,
                start_new_session=True,
            )
        except BaseException:
            os.close(out)
            self._control.close()
            raise
        finally:
            theirs.close()
            os.close(printed)
        self._reader = log.follow(out, tag)
        self._listener = threading.Thread(target=self._listen, name="receiver-watch", daemon=True)
        self._listener.start()
        self._known.wait(GONE_SECONDS)

    def _listen(self) -> None:
        with self._control.makefile("r", encoding="ascii", errors="replace") as lines, suppress(OSError):
            for line in lines:
                word, _, number = line.strip().partition(" ")
                if word == "started":
                    self.group = int(number)
                    self._known.set()
                elif word == "ended":
                    self.status = int(number)
        # Without its watcher nobody would end it: what is left of the group goes now.
        if self.status is None:
            self.strike()
        self._watcher.wait()
        self.ended.set()
        self._known.set()

    def strike(self) -> None:
        """Kill the group."""
        if self.group is not None and not self.ended.is_set():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.group, signal.SIGKILL)

    def _send(self, word: bytes) -> None:
        with suppress(OSError):
            self._control.sendall(word)

    def terminate(self) -> None:
        """Ask everything to end."""
        self._send(b"T")

    def kill(self) -> None:
        """End everything, the group at once and the rest by the watcher."""
        if not self.ended.is_set():
            self.strike()
            self._send(b"K")
            if not self.ended.wait(GONE_SECONDS):
                self._watcher.kill()
        self.finish()

    def finish(self) -> None:
        """Let go of what belonged to it, once it has ended."""
        self.ended.wait(GONE_SECONDS)
        # Something out of reach may hold the pipe open; what it prints is lost.
        self._reader.join(0.5)
        self._listener.join(GONE_SECONDS)
        self._control.close()


def said(status: int | None) -> str:
    """Return an exit status in words."""
    if status is None:
        return "an unknown status"
    if status < 0:
        with suppress(ValueError):
            return f"the signal {signal.Signals(-status).name}"
    return f"status {status}"
