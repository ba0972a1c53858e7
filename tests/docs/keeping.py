"""Runs a command of a page at a terminal of its own for as long as the page lasts; tells once its output is what is shown."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 60.0
"""Seconds after which what has come is told, though it is not what is shown."""

command = Path(sys.argv[1])
shown = re.compile(command.with_name(f"{command.name}.shown").read_text(encoding="utf-8"))
told = command.with_name(f"{command.name}.out")
ours, theirs = os.openpty()
process = subprocess.Popen(["bash", str(command)], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
signal.signal(signal.SIGTERM, lambda *_: process.terminate())
os.close(theirs)
page = os.getppid()
written = ""
late = time.monotonic() + PATIENCE


def tell() -> None:
    """Write down what has come, whole or not at all."""
    partial = told.with_name(f"{told.name}.partial")
    partial.write_text(written, encoding="utf-8")
    partial.replace(told)


while True:
    while not select.select([ours], [], [], 1)[0]:
        if os.getppid() != page:  # the page is over, and nobody has ended this
            process.terminate()
        if not told.exists() and time.monotonic() > late:
            tell()
    try:
        some = os.read(ours, 65536)
    except OSError:
        some = b""
    written += some.decode(errors="replace").replace("\r\n", "\n")
    if not told.exists() and (not some or shown.fullmatch(written)):
        tell()
    if not some:
        break
process.wait()
