"""Starts the receiver and never lets it outlive the gate: a program of its own, of the standard library alone.

It is run as `python watcher.py CONTROL COMMAND`, in a session of its own, where no Ctrl-C reaches it. CONTROL is
the descriptor of a socket whose other end only the gate holds. Whatever becomes of the gate, `kill -9` included,
the socket ends then, and so does everything that the command has started.

The command becomes the leader of a process group. Processes that leave the group are found by their parents: on
Linux orphans come to the watcher, which is their subreaper. Elsewhere those that leave it and lose their parent
too, as daemons do, are out of reach.

From the gate come `T` (SIGTERM to everything) and `K` (SIGKILL). To the gate go lines: `started GROUP`, and
`ended STATUS` once nothing is left, where STATUS is negative after a signal.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

SET_PARENT_DEATH_SIGNAL = 1
SET_CHILD_SUBREAPER = 36
TICK = 0.2
"""Seconds after which it looks again, where no signal tells."""
SWEEP = 5.0
"""Seconds for which what was killed may take to be gone: a process that waits for a disk does."""


def main() -> None:
    """Watch the command that the arguments name until nothing is left of it."""
    control = socket.socket(fileno=int(sys.argv[1]))
    Watcher(control, sys.argv[2]).watch()


class Watcher:
    """The command, and everything that came of it."""

    def __init__(self, control: socket.socket, command: str) -> None:
        self.control = control
        self.parent = os.getppid()
        self.asked = False
        """Whether somebody has asked us to end."""
        self.stopping = False
        self.status: int | None = None
        """The exit status of the leader, once it has ended."""
        self.grouped = True
        """Whether the group exists: once it is empty, its number may become another's."""
        # Handlers and not SIG_IGN, which the command would inherit.
        for name in ("SIGTERM", "SIGINT", "SIGHUP"):
            signal.signal(getattr(signal, name), self._ask)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.woken, wake = os.pipe()
        for end in (self.woken, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self.prctl = _prctl()
        self.prctl(SET_CHILD_SUBREAPER, 1)
        # Kept, because one that is thrown away asks after its process in our place.
        self.started = subprocess.Popen(  # noqa: S602 - It is the user's own shell text.
            command,
            shell=True,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            # Should the watcher itself be killed, its child at least goes too.
            preexec_fn=lambda: self.prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL),  # noqa: PLW1509 - One thread only.
        )
        self.leader = self.started.pid

    def watch(self) -> None:
        """Return when nothing is left."""
        self._tell(f"started {self.leader}")
        while True:
            self._reap()
            if self.asked or os.getppid() != self.parent:
                break
            if self.status is not None and (not self._left() or (self.status and not self.stopping)):
                break
            try:
                ready = select.select([self.control.fileno(), self.woken], [], [], TICK)[0]
            except InterruptedError:
                continue
            if self.woken in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.woken, 4096)
            if self.control.fileno() in ready and not self._obey():
                break
        self._sweep()
        self._tell(f"ended {0 if self.status is None else self.status}")

    def _ask(self, *_: object) -> None:
        self.asked = True

    def _obey(self) -> bool:
        """Do what the gate says; return whether to go on."""
        try:
            word = self.control.recv(1)
        except OSError:
            return False
        if word == b"T":
            self.stopping = True
            self._signal(signal.SIGTERM)
            return True
        return False

    def _tell(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self.control.sendall(line.encode() + b"\n")

    def _reap(self) -> None:
        """Take note of what has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.leader:
                self.status = os.waitstatus_to_exitcode(status)

    def _left(self) -> bool:
        """Return whether anything is left of the command."""
        self._to_group(0)
        return self.grouped or bool(descendants(os.getpid()))

    def _signal(self, number: int) -> None:
        """Send a signal to the group, and to what has left it."""
        # Looked for first: while parents end, their children are nobody's for a moment.
        apart = [pid for pid in descendants(os.getpid()) if _group(pid) != self.leader]
        self._to_group(number)
        for pid in apart:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def _to_group(self, number: int) -> None:
        if not self.grouped:
            return
        try:
            os.killpg(self.leader, number)
        except (ProcessLookupError, PermissionError):
            # macOS permits no signal to a group of which only zombies are left.
            self.grouped = False

    def _sweep(self) -> None:
        """Kill everything, until nothing is left: twice, for an orphan may be nobody's at one look."""
        end = time.monotonic() + SWEEP
        empty = 0
        while empty < 2 and time.monotonic() < end:
            self._signal(signal.SIGKILL)
            self._reap()
            empty = 0 if self._left() else empty + 1
            time.sleep(0.005)


def _prctl() -> ctypes._NamedFuncPointer:
    """Return Linux's call, or elsewhere one that does nothing."""
    if sys.platform == "linux":
        return ctypes.CDLL(None).prctl
    return lambda *_: 0


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def descendants(root: int) -> list[int]:
    """Return the processes that come from one, those aside that have ended."""
    children: dict[int, list[int]] = {}
    for pid, parent in _processes():
        children.setdefault(parent, []).append(pid)
    found: list[int] = []
    waiting = [root]
    while waiting:
        below = children.pop(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _processes() -> list[tuple[int, int]]:
    """Return every living process with its parent."""
    found: list[tuple[int, int]] = []
    if Path("/proc/self/stat").exists():
        for name in os.listdir("/proc"):  # noqa: PTH208 - Path.iterdir takes twice as long.
            if name.isdigit():
                with contextlib.suppress(OSError):
                    state, parent = (
                        Path(f"/proc/{name}/stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
                    )
                    if state not in "ZX":
                        found.append((int(name), int(parent)))
        return found
    with contextlib.suppress(OSError):
        listed = subprocess.Popen(["ps", "-A", "-o", "pid=,ppid=,stat="], stdout=subprocess.PIPE, text=True)  # noqa: S607
        for line in listed.communicate()[0].splitlines():
            pid, parent, state = line.split()[:3]
            if not state.startswith("Z") and int(pid) != listed.pid:
                found.append((int(pid), int(parent)))
    return found


if __name__ == "__main__":
    main()
