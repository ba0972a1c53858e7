"""Pages as sessions at a terminal: what a page shows as typed is typed, and what it shows as printed is compared.

A page is one session, from its first block to its last, in a folder of its own:

- ```` ```console ````: each `$ command` is typed, with its continued lines. The lines below it are what it prints; `…` stands for
  anything within a line, and for any lines where it stands alone. A command of which nothing is shown may print what it likes.
  A command ends with 0, unless the next one is `$ echo $?`, which shows what it ended with.
- ```` ```python title="receiver.py" ````: a file, in the languages that can be read here. It is there from then on.
- ```` ```diff title="receiver.py" ````: what changes in such a file, in hunks that are apart by `@@`.
- `<!-- keeps running -->` in front of a block: its commands have a terminal each, and run to the end of the page.
- `<!-- not run: reason -->` in front of a block: it is not typed.
- What `curl -s URL` asks of a server may take a moment: it is asked again until it prints what is shown.

Ports that stand in pages are made free ones on the way in, and are themselves again on the way out.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from tests.programs import pseudo_terminal

#: What pages say; a number that stands by itself and is one of these is a port.
PORTS: Final = (3306, 5432, 6379, 8080, 8600, 9000)
SECONDS: Final = 400
KEEPER: Final = Path(__file__).with_name("keeping.py")
MENDER: Final = Path(__file__).with_name("mending.py")
FENCE = re.compile(
    r"^(?: *<!--\s*(?P<mark>keeps running|not run:[^>]*?)\s*-->\n+)?"
    r"^(?P<indent> *)```(?P<language>\S*)(?: title=\"(?P<title>[^\"]+)\")?(?P<rest>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
ASKS = re.compile(r"curl -s '?http\S+")
MATCHES = "import re, sys; sys.exit(not re.fullmatch(open(sys.argv[2]).read(), open(sys.argv[1]).read() + chr(10)))"
CONTROL = re.compile(r"\x1b\[[?0-9;]*[a-zA-Z]")
BEGUN, ENDED = "\x01", "\x02"
_COUNT = count()


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    title: str | None
    text: str
    line: int
    mark: str

    @property
    def runs(self) -> bool:
        """Whether there is something to type."""
        return self.language == "console" and not self.mark.startswith("not run")


@dataclass(frozen=True)
class Typed:
    """A command, with what a page shows of its output; None: nothing."""

    command: str
    shown: str | None
    line: int
    keeps: bool


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        indent = len(found["indent"])
        inner = "".join(line[indent:] if line.strip() else line for line in found["text"].splitlines(keepends=True))
        line = text.count("\n", 0, found.start("language")) + 1
        yield Block(found["language"], found["title"], inner, line, found["mark"] or "")


def commands(block: Block) -> Iterator[Typed]:
    """Yield what a block shows as typed."""
    lines = block.text.splitlines()
    place = 0
    while place < len(lines):
        assert lines[place].startswith("$ "), f"line {block.line + place + 1} is neither typed nor printed"
        first = place
        typed = [lines[place][2:]]
        while lines[place].endswith("\\"):
            place += 1
            typed.append(lines[place])
        place += 1
        shown = []
        while place < len(lines) and not lines[place].startswith("$ "):
            shown.append(lines[place])
            place += 1
        keeps = block.mark == "keeps running"
        yield Typed("\n".join(typed), "\n".join(shown) if shown else None, block.line + first + 1, keeps)


def pattern(shown: str) -> str:
    """Return the regular expression for what a page shows as printed."""
    parts = []
    for line in shown.splitlines():
        if line.strip() == "…":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append(".*?".join(re.escape(one.rstrip()) for one in line.split("…")) + r"[ \t]*\n")
    return "".join(parts)


class Ports:
    """The ports of a page, and those that they are here."""

    def __init__(self, known: Mapping[int, int]) -> None:
        # Below the range from which systems hand out ports, each process of the tests in a part of its own.
        worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0) % 40
        self._here = {port: known[port] if port in known else _free(16000 + 400 * worker) for port in PORTS}

    def __getitem__(self, port: int) -> int:
        return self._here[port]

    def inwards(self, text: str) -> str:
        """Return a text of the page with the ports of here."""
        return re.sub(
            r"(?<![\d.\w])(?:3306|5432|6379|8080|8600)(?![\d\w])", lambda one: str(self._here[int(one[0])]), text
        )

    def outwards(self, text: str) -> str:
        """Return what was printed with the ports of the page."""
        back = {here: port for port, here in self._here.items()}
        return re.sub(r"(?<!\d)\d{4,5}(?!\d)", lambda one: str(back.get(int(one[0]), one[0])), text)


def _free(first: int) -> int:
    while True:
        port = first + next(_COUNT) % 400
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def script(page: Path, ports: Ports, beside: Path) -> tuple[str, list[Typed]]:
    """Return what bash does for a page, and what is typed in it; what the files hold is put beside."""
    beside.mkdir(parents=True, exist_ok=True)
    lines = ["__status=0"]
    typed: list[Typed] = []
    for number, block in enumerate(blocks(page)):
        if block.title and block.language != "console":
            (beside / f"{number}").write_text(ports.inwards(block.text), encoding="utf-8")
            change = f"{sys.executable} {MENDER} '{block.title}'"
            place = f"'{block.title}'"
            held = beside / str(number)
            lines += [f"mkdir -p $(dirname {place})"]
            lines += [f"{change} {held} || exit" if block.language == "diff" else f"cp {held} {place}"]
        if not block.runs:
            continue
        for one in commands(block):
            command = ports.inwards(one.command)
            if one.keeps:
                (beside / f"kept-{len(typed)}").write_text(command, encoding="utf-8")
                (beside / f"kept-{len(typed)}.shown").write_text(
                    ports.inwards(pattern(one.shown or "")), encoding="utf-8"
                )
                kept = beside / f"kept-{len(typed)}"
                command = (
                    f"{sys.executable} {KEEPER} {kept} & until [ -e {kept}.out ]; do sleep 0.05; done; cat {kept}.out"
                )
            elif one.shown and ASKS.fullmatch(one.command):
                (beside / f"asked-{len(typed)}.shown").write_text(ports.inwards(pattern(one.shown)), encoding="utf-8")
                asked = beside / f"asked-{len(typed)}"
                command = (
                    f"for __try in $(seq 50); do {command} > {asked}; __status=$?; "
                    f"{sys.executable} -c '{MATCHES}' {asked} {asked}.shown && break; sleep 0.2; done; "
                    f"cat {asked}; (exit $__status)"
                )
            lines += [
                f"printf '{BEGUN}%s\\n' {len(typed)}",
                "(exit $__status)",
                command,
                "__status=$?",
                f"printf '{ENDED}%s\\n' $__status",
            ]
            typed.append(one)
    return "\n".join(lines) + "\n", typed


@dataclass(frozen=True)
class Session:
    """What came of a page: each command with its output and what it ended with."""

    typed: list[Typed]
    outputs: list[str]
    statuses: list[int]

    def wrong(self) -> Iterator[str]:
        """Yield what a page says otherwise than it is."""
        for place, one in enumerate(self.typed):
            if place >= len(self.statuses):
                yield f"line {one.line}: $ {one.command}\nnever ended; it printed:\n{self.outputs[place] if place < len(self.outputs) else ''}"
                return
            told = place + 1 < len(self.typed) and self.typed[place + 1].command == "echo $?"
            if self.statuses[place] and not told and not one.keeps:
                yield f"line {one.line}: $ {one.command}\nended with {self.statuses[place]}:\n{self.outputs[place]}"
            elif one.shown is not None and not re.fullmatch(pattern(one.shown), self.outputs[place]):
                yield f"line {one.line}: $ {one.command}\nis shown to print:\n{one.shown}\nand printed:\n{self.outputs[place]}"


def session(page: Path, folder: Path, ports: Ports, environment: Mapping[str, str]) -> Session:
    """Type a page, in a folder that holds what it needs."""
    folder.mkdir(parents=True, exist_ok=True)
    text, typed = script(page, ports, folder.parent / "beside")
    file = folder.parent / "page.sh"
    file.write_text(text, encoding="utf-8")
    written = _at_a_terminal(["bash", "--noprofile", "--norc", str(file)], folder, environment)
    outputs, statuses = [], []
    for part in ports.outwards(written).split(BEGUN)[1:]:
        output, ended, status = part.partition("\n")[2].partition(ENDED)
        # What is written over itself on a terminal shows as the last of it.
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in CONTROL.sub("", output).split("\n")]
        outputs.append("\n".join(lines))
        if ended:
            statuses.append(int(status.partition("\n")[0]))
    return Session(typed, [one if not one or one.endswith("\n") else f"{one}\n" for one in outputs], statuses)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the variables of somebody who has this package installed, and nothing of ours."""
    programs = str(Path(sys.executable).parent)
    kept = {name: os.environ[name] for name in ("JAVA_HOME", "PATH", "GOFLAGS", "GOPROXY") if name in os.environ}
    home = {name: os.environ[name] for name in ("HOME",) if name in os.environ}
    return {
        **home,
        **kept,
        "PATH": f"{programs}{os.pathsep}{kept.get('PATH', os.defpath)}{os.pathsep}/usr/sbin",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "NO_COLOR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(folder),
        **more,
    }


def _at_a_terminal(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Run a command that believes to be at a terminal; return what it wrote. What it leaves behind is ended."""
    ours, theirs = pseudo_terminal()
    subprocess.run(["stty", "cols", "120", "rows", "50", "-onlcr", "-echo"], stdin=theirs, check=True)
    with subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        written = bytearray()

        def read() -> None:
            with suppress(OSError):  # the other end is closed
                while some := os.read(ours, 65536):
                    written.extend(some)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        with suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS)
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
            reader.join(10)
    os.close(ours)
    return written.decode(errors="replace")


def needed_by(page: Path) -> set[str]:
    """Return the programs that a page types, of those that are not everywhere."""
    text = "\n".join(one.command for block in blocks(page) if block.runs for one in commands(block))
    return {
        name for name in ("curl", "go", "java", "mvn", "node", "npm", "php", "psql") if re.search(rf"\b{name}\b", text)
    }


def copied(folder: Path, *files: Path) -> None:
    """Put files into the folder of a page."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(file, folder)
