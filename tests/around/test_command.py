"""A receiver that is started by command: it comes up or says why, and nothing of it outlives whoever started it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from im_callback.conformance.around.command import NotStarted, Occupied, Receiver, free_port, said, with_port
from im_callback.provider_mock.contract import Reply, Request
from im_callback.provider_mock.delivery.sockets.client import Client

from tests.programs import needed

PYTHON = sys.executable
SECONDS = 60.0
"""Longer than anything takes here on a busy machine."""
SERVER = f"{PYTHON} -u -m http.server --bind 127.0.0.1 {{port}}"
NODE = 'node -e \'require("http").createServer((q, s) => s.end("yes")).listen(process.env.PORT)\''
GO = """package main

import ("net"; "os")

func main() {
	listener, _ := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	for {
		one, _ := listener.Accept()
		one.Read(make([]byte, 9999))
		one.Write([]byte("HTTP/1.1 204 No Content\\r\\n\\r\\n"))
		one.Close()
	}
}
"""


def answers(url: str) -> bool:
    """Return whether an HTTP server answers."""
    return isinstance(Client(5.0).send([Request(url, (), b"", method="GET")])[0], Reply)


@contextmanager
def received(command: str, folder: Path, **options: object) -> Iterator[Receiver]:
    """Yield a receiver that is not started yet, and end it afterwards."""
    one = Receiver(command, f"http://127.0.0.1:{free_port()}/", answers, folder=folder, **options)  # type: ignore[arg-type]
    try:
        yield one
    finally:
        one.close()


def alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended and waits to be asked after does not."""
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    if Path("/proc/self").exists():
        return False
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def soon(holds: Callable[[], bool]) -> bool:
    """Return whether something comes to hold before time is over."""
    end = time.monotonic() + SECONDS
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def pids(folder: Path, count: int) -> list[int]:
    """Return the processes that have left their numbers in a folder, once there are so many."""

    def noted() -> list[int]:
        return [int(file.name) for file in folder.glob("[0-9]*")]

    assert soon(lambda: len(noted()) >= count)
    return noted()


class TestStarts:
    """It is started, and known to answer."""

    def test_comes_up(self, tmp_path: Path) -> None:
        """Port, places and variables are filled in; what it prints is kept with its moment."""
        command = f"echo at $PORT {{port}} {{there}} $WHERE ${{HOME:+home}}; exec {SERVER}"
        with received(command, tmp_path, places={"there": "T"}, variables={"WHERE": "W"}) as one:
            before = one.mark()
            one.start()
            assert answers(one.url)
            assert one.running
            assert one.status is None
            assert one.uses_port
            assert f"at {one.port} {one.port} T W home" == one.log_since(before)[0]
            after = one.mark()
            assert answers(f"{one.url}again")
            assert soon(lambda: any("GET /again" in line for line in one.log_since(after)))
            assert not any("at " in line for line in one.log_since(after) if line.startswith("at "))

    @pytest.mark.parametrize(
        ("command", "why"),
        [
            ("echo oh; echo no >&2; exit 3", "ended with status 3"),
            ("no-such-program", "ended with status 127"),
            ("kill -9 $$", "ended with the signal SIGKILL"),
        ],
    )
    def test_ends(self, command: str, why: str, tmp_path: Path) -> None:
        """One that ends is noticed without waiting for it; the error quotes what it printed."""
        with received(command, tmp_path) as one, pytest.raises(NotStarted, match=why) as raised:
            one.start(10 * SECONDS)
        assert not one.running
        if "oh" in command:
            assert ("oh", "no") == raised.value.lines
            assert "its last lines:\n    oh\n    no" in str(raised.value)

    def test_does_not_answer(self, tmp_path: Path) -> None:
        """One that never listens is ended when time is over."""
        with received("touch $$; sleep 1000 & touch $!; wait", tmp_path) as one:
            with pytest.raises(NotStarted, match="did not answer at http://127"):
                one.start(1.0)
            assert not any(alive(pid) for pid in pids(tmp_path, 1))

    def test_occupied(self, tmp_path: Path) -> None:
        """Where somebody else listens nothing is started: it would be judged in the receiver's place."""
        with received("touch started", tmp_path) as one, socket.create_server(("127.0.0.1", one.port)):
            with pytest.raises(Occupied, match=f"something listens at port {one.port}"):
                one.start()
        assert not (tmp_path / "started").exists()

    def test_port_still_taken(self, tmp_path: Path) -> None:
        """A restart that comes before the system has let go of the port is tried again."""
        command = f"[ -e again ] && rm again && echo 'OSError: Address already in use' && exit 1; exec {SERVER}"
        with received(command, tmp_path) as one:
            one.start()
            one.kill()
            (tmp_path / "again").touch()
            one.start()
            assert 3 == one.starts

    def test_second(self, tmp_path: Path) -> None:
        """A second one by the same command has a port of its own, and its lines say whose they are."""
        with received(f"echo here; exec {SERVER}", tmp_path) as one:
            one.start()
            second = one.another()
            second.start()
            try:
                assert answers(second.url)
                assert second.port != one.port
                assert soon(lambda: {"here", "second: here"} <= set(one.log_since(0)))
            finally:
                second.close()
            assert answers(one.url)

    @pytest.mark.parametrize(("program", "command"), [("node", NODE), ("go", "go run main.go")])
    def test_other_languages(self, program: str, command: str, tmp_path: Path) -> None:
        """Whatever it is written in; `go run` is itself a wrapper that leaves its child behind when it is killed."""
        needed(program)
        (tmp_path / "main.go").write_text(GO)
        with received(command, tmp_path) as one:
            one.start(SECONDS)
            one.kill()
            assert not answers(one.url)
            one.start(SECONDS)
            assert one.stop(SECONDS)
            assert not answers(one.url)


BACKGROUND = f"touch $$; sleep 1000 & touch $!; (sleep 1000 & touch $!; wait) & touch $!; {SERVER}; echo never"
ALONE = f"touch $$; setsid sh -c 'touch $$; exec sleep 1000' & exec {SERVER}"
DAEMON = f"setsid sh -c 'touch $$; sleep 1000 & touch $!; exec {SERVER}' >log 2>&1 &"


class TestEnds:
    """Nothing of it is left, however it ends."""

    @pytest.mark.parametrize(("command", "count"), [(BACKGROUND, 4), (ALONE, 2), (DAEMON, 2)])
    @pytest.mark.parametrize("how", ["kill", "stop", "close"])
    def test_grandchildren(self, command: str, count: int, how: str, tmp_path: Path) -> None:
        """A shell that wraps it, children in the background, and those that have left the group go with it."""
        if "setsid" in command and not Path("/proc/self").exists():
            pytest.skip("there is no Linux to bring orphans back")
        with received(command, tmp_path) as one:
            one.start()
            found = pids(tmp_path, count)
            assert all(alive(pid) for pid in found)
            getattr(one, how)()
            assert not answers(one.url)
            assert not any(alive(pid) for pid in found)
            assert one.status is not None

    def test_kill(self, tmp_path: Path) -> None:
        """A kill is one that cannot be caught."""
        with received(f"trap 'touch caught' TERM; {SERVER}", tmp_path) as one:
            one.start()
            one.strike()
            one.kill()
            assert -signal.SIGKILL == one.status
        assert not (tmp_path / "caught").exists()

    def test_stop(self, tmp_path: Path) -> None:
        """Who is asked to end may finish: the shell and what it waits for."""
        command = f"trap 'wait; touch finished; exit 0' TERM; {SERVER} & touch $$; wait"
        with received(command, tmp_path) as one:
            one.start()
            assert one.stop(SECONDS)
            assert 0 == one.status
        assert (tmp_path / "finished").exists()

    def test_will_not_stop(self, tmp_path: Path) -> None:
        """Who does not end in time is killed."""
        with received(f"trap '' TERM; exec {SERVER}", tmp_path) as one:
            one.start()
            assert not one.stop(0.2)
            assert not answers(one.url)

    def test_by_itself(self, tmp_path: Path) -> None:
        """One that ends by itself is known to have ended, and what it left in the background goes too."""
        with received(f"sleep 1000 & touch $!; {SERVER} & touch $!; wait $!", tmp_path) as one:
            one.start()
            found = pids(tmp_path, 2)
            os.kill(max(found), signal.SIGKILL)
            assert soon(lambda: not one.running)
            assert not any(alive(pid) for pid in found)
            assert 128 + signal.SIGKILL == one.status

    def test_without_its_watcher(self, tmp_path: Path) -> None:
        """Should the watcher itself be killed, the receiver is ended all the same."""
        with received(f"touch $$; exec {SERVER}", tmp_path) as one:
            one.start()
            (pid,) = pids(tmp_path, 1)
            process = one._process
            assert process is not None
            process._watcher.kill()
            assert soon(lambda: not one.running)
            assert soon(lambda: not alive(pid))

    def test_elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where something goes on listening after the kill, the command is not the receiver."""
        monkeypatch.setattr("im_callback.conformance.around.command.GONE_SECONDS", 0.2)
        with received("sleep 1000", tmp_path) as one:
            with pytest.raises(NotStarted):
                one.start(0.2)
            # A service that the command only talks to.
            with (
                socket.create_server(("127.0.0.1", one.port)),
                pytest.raises(Occupied, match="still listens at port"),
            ):
                one.kill()


GATE = """
import sys, os, time
from im_callback.conformance.around.command import Receiver
one = Receiver(sys.argv[1], sys.argv[2], lambda url: True)
one.start()
print("up", flush=True)
if sys.argv[3] == "crash":
    os._exit(1)
time.sleep(1000)
"""


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "SIGINT", "crash"])
def test_dies_with_the_gate(how: str, tmp_path: Path) -> None:
    """Whatever becomes of the gate, the receiver does not outlive it, wrapped in a shell with children or not."""
    url = f"http://127.0.0.1:{free_port()}/"
    command = [PYTHON, "-c", GATE, BACKGROUND, url, how]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as gate:
        try:
            assert gate.stdout is not None
            assert b"up\n" == gate.stdout.readline()
            found = pids(tmp_path, 4)
            if how != "crash":
                gate.send_signal(getattr(signal, how))
            gate.wait(SECONDS)
        finally:
            gate.kill()
    assert soon(lambda: not any(alive(pid) for pid in found))
    assert not answers(url)


def test_words() -> None:
    """An exit status is said in words."""
    assert ["status 0", "the signal SIGTERM", "the signal SIGKILL", "an unknown status", "status -999"] == [
        said(one) for one in (0, -15, -9, None, -999)
    ]


@pytest.mark.parametrize(
    ("expected", "url"),
    [
        ("http://h:7/p?q=1", "http://h:0/p?q=1"),
        ("http://u:p@h:7/", "http://u:p@h:0/"),
        ("https://[::1]:7/x", "https://[::1]:0/x"),
    ],
)
def test_with_port(expected: str, url: str) -> None:
    """Only the port of an address changes."""
    assert expected == with_port(url, 7)
