"""What the delivering side asks of sockets: when something arrived, what the other side has taken, and TLS in memory."""

from __future__ import annotations

import errno
import socket
import ssl
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path

import certifi
from im_callback.provider_mock.delivery.sockets.answer_reader import Lost
from im_callback.provider_mock.files import authority_problem

PIECE = 64 * 1024
SET = 0.05
"""Seconds by which two clocks go apart only if one of them is set."""
# Linux's; Python has no name for it. The stamp comes as two C longs, seconds and nanoseconds of the time of day.
_TIMESTAMPNS = 35 if sys.platform == "linux" else None
_STAMP = struct.Struct("ll")
_ANCILLARY = socket.CMSG_SPACE(_STAMP.size) if hasattr(socket, "CMSG_SPACE") else 0


class Stamped:
    """A socket that can say when what it holds arrived, where the system tells."""

    __slots__ = ("_socket",)

    def __init__(self, one: socket.socket) -> None:
        self._socket = one

    def ask(self) -> None:
        """Have the system stamp what arrives."""
        if _TIMESTAMPNS is not None:
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)

    def recv(self, size: int, offset: float) -> tuple[bytes, float | None]:
        """Return what has come, and when its last byte did, in seconds of the monotonic clock; None: that is not known.

        `offset` is by how much the time of day was ahead of that clock when the bytes were waited for.
        """
        if _TIMESTAMPNS is None:
            return self._socket.recv(size), None
        data, more, _, _ = self._socket.recvmsg(size, _ANCILLARY)
        for level, kind, stamp in more:
            if level == socket.SOL_SOCKET and kind == _TIMESTAMPNS and len(stamp) == _STAMP.size:
                seconds, nanos = _STAMP.unpack(stamp)
                # The time of day was set meanwhile: before or after it came?
                set_meanwhile = abs(time.time() - time.monotonic() - offset) > SET
                return data, None if set_meanwhile else seconds + nanos / 1e9 - offset
        return data, None


class Tunnel:
    """TLS over a non-blocking socket. Raises ssl.SSLError, BlockingIOError where there is nothing yet, `Lost`."""

    __slots__ = ("_incoming", "_object", "_outgoing", "_socket", "_stuck")

    def __init__(self, one: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self._socket = one
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._stuck = b""

    @property
    def pending(self) -> bool:
        """Whether something is left to be sent that the system did not take."""
        return bool(self._stuck)

    def shake_hands(self) -> bool:
        """Go on with the handshake; return whether it is done, certificate and all."""
        while True:
            try:
                self._object.do_handshake()
            except ssl.SSLWantReadError:  # noqa: PERF203 - It steers the loop.
                self.flush()
                try:
                    data = self._socket.recv(PIECE)
                except BlockingIOError:
                    return False
                if not data:
                    raise Lost("closed during the TLS handshake") from None
                self._incoming.write(data)
            except ssl.SSLError:
                # The other side is told why.
                with suppress(OSError):
                    self.flush()
                raise
            else:
                return True

    def flush(self) -> None:
        """Send what the protocol itself has to say."""
        self._stuck += self._outgoing.read()
        if self._stuck:
            with suppress(BlockingIOError):
                self._stuck = self._stuck[self._socket.send(self._stuck) :]

    def packed(self, data: bytes) -> bytes:
        """Return data as it goes over the wire, behind whatever has to go before it."""
        self._object.write(data)
        packed, self._stuck = self._stuck + self._outgoing.read(), b""
        return packed

    def recv(self, stamped: Stamped | None = None, offset: float = 0.0) -> tuple[bytes, float | None]:
        """Return what has come, b"" at the end; and when, see `Stamped`, if asked."""
        arrived = None
        while True:
            try:
                data = self._object.read(PIECE)
            except ssl.SSLWantReadError:  # noqa: PERF203 - It steers the loop.
                if stamped is None:
                    packed = self._socket.recv(PIECE)
                else:
                    packed, arrived = stamped.recv(PIECE, offset)
                if packed:
                    self._incoming.write(packed)
                else:
                    self._incoming.write_eof()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b"", arrived
            else:
                return data, arrived


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Return the TLS context that trusts this authority, or the public ones; OSError if the file cannot be used."""
    # It may be another file by now, and a pipe would be waited for.
    if ca_file is not None and (problem := authority_problem(ca_file)) is not None:
        raise OSError(errno.EINVAL, f"it {problem}")
    return ssl.create_default_context(cafile=str(ca_file or certifi.where()))


def unsent(one: socket.socket) -> int:
    """Return how many bytes the other side's machine has not confirmed; 0 where the system does not say."""
    try:
        from termios import TIOCOUTQ
    except ImportError:
        return 0
    return asked(one, TIOCOUTQ)


def asked(one: socket.socket, what: int) -> int:
    """Return a number that the system tells about a socket; 0 where it does not."""
    try:
        from fcntl import ioctl
    except ImportError:
        return 0
    try:
        return int(struct.unpack("i", ioctl(one.fileno(), what, b"\0\0\0\0"))[0])
    except (OSError, ValueError):
        return 0
