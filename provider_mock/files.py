"""Reads small files that somebody names, without waiting for what is no file: a pipe, a device, a directory."""

from __future__ import annotations

import errno
import os
import ssl
import stat
from pathlib import Path

MOST_CERTIFICATES = 4 * 2**20
"""Bytes of a file with certificates."""
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


def read_regular(path: Path, most: int) -> bytes:
    """Return what is in a regular file of so many bytes at most; OSError says why not."""
    # Looked at before it is opened as well: opening can do something to a device.
    _check(path.stat())
    descriptor = os.open(path, _FLAGS)
    try:
        _check(os.fstat(descriptor))
        content = b""
        while piece := os.read(descriptor, most + 1 - len(content)):
            content += piece
            if len(content) > most:
                raise OSError(errno.EFBIG, f"it is longer than {most} bytes")
        return content
    finally:
        os.close(descriptor)


def authority_problem(path: Path) -> str | None:
    """Return why a file cannot say whom to trust, or None if it holds certificates in PEM."""
    try:
        read_regular(path, MOST_CERTIFICATES)
    except (OSError, ValueError) as error:
        return f"cannot be read ({getattr(error, 'strerror', None) or error})"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
    except (OSError, ValueError):  # SSLError is an OSError
        return "holds no certificates that can be read"
    return None if context.cert_store_stats()["x509"] else "holds no certificates"


def _check(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
