"""Guards that keep tests off the network are taken off for the checks, and put back."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from im_callback.conformance.network import allowed, genuine

REAL = socket.socket


class Blocked(RuntimeError):
    """A guard spoke."""


class Guarded(socket.socket):
    """What stands in the place of `socket.socket`."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        raise Blocked


def refuse(*args: Any, **kwargs: Any) -> Any:
    """Let nobody connect."""
    raise Blocked


def try_it() -> None:
    """Connect to a port of this machine."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with socket.socket() as client:
            client.connect(server.getsockname())


@pytest.fixture(params=["class", "function", "method"])
def guard(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Block the network in each of the ways that plugins have."""
    if request.param == "method":
        monkeypatch.setattr(REAL, "connect", refuse, raising=False)
    else:
        monkeypatch.setattr(socket, "socket", Guarded if request.param == "class" else refuse)
    return


def test_allowed(guard: None) -> None:
    """Inside the block there is a network, before and after it there is none."""
    with pytest.raises(Blocked):
        try_it()
    with allowed():
        assert REAL is genuine() is socket.socket
        try_it()
    with pytest.raises(Blocked):
        try_it()


def test_put_back_after_an_error(guard: None) -> None:
    """The guard is back whatever happened."""

    def fails() -> None:
        with allowed():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    with pytest.raises(Blocked):
        try_it()


def test_unguarded() -> None:
    """Without a guard nothing changes."""
    with allowed():
        try_it()
    assert REAL is socket.socket
    assert "connect" not in vars(REAL)
