"""A PostgreSQL of our own in a temporary folder, on a Unix socket and a port if need be, gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import psycopg

from tests.programs import found


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs; None without them."""
    initdb = found("initdb")
    return initdb.parent if initdb else None


class Cluster:
    """A running server; `new_database` gives a URL that nobody had before."""

    def __init__(
        self, folder: Path, programs: Path, *, durable: bool, port: int | None = None, address: str = "127.0.0.1"
    ) -> None:
        self._folder, self._programs = folder, programs
        self.port, self.address = port, address
        self._numbers = count(1)
        self._run("initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        with (folder / "data/postgresql.conf").open("a") as settings:
            settings.write(f"listen_addresses = '{address if port else ''}'\nport = {port or 5432}\n")
            settings.write(f"unix_socket_directories = '{folder}'\nmax_connections = 50\n")
            settings.write(f"fsync = {'on' if durable else 'off'}\n")
        with (folder / "data/pg_hba.conf").open("a") as settings:
            settings.write("host all all samenet trust\n")

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._run("pg_ctl", "start", "-w", "-D", self._folder / "data", "-l", self._folder / "log")

    def stop(self) -> None:
        """Stop it at once, as a crash would."""
        self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", self._folder / "data")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let all its processes stand still: connections stay, nothing is answered."""
        group = os.getpgid(int((self._folder / "data/postmaster.pid").read_text().split()[0]))
        sessions = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _parent(pid) == group]
        processes = [group, *sessions]
        for pid in processes:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in processes:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def url(self, name: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://postgres@/{name}?host={self._folder}{f'&port={self.port}' if self.port else ''}"

    def new_database(self, *, options: str = "") -> str:
        """Make an empty database and return its URL."""
        name = f"ledger_{next(self._numbers)}"
        self.sql("postgres", f"CREATE DATABASE {name} TEMPLATE template0 {options}")
        return self.url(name)

    def new_schema(self) -> str:
        """Make an empty schema, which is faster than a database, and return the URL that leads into it."""
        name = f"ledger_{next(self._numbers)}"
        self.sql("postgres", f"CREATE SCHEMA {name}")
        return f"{self.url('postgres')}&options=-csearch_path%3D{name}"

    def sql(self, name: str | None, statements: str) -> None:
        """Run statements in a database."""
        place = {"host": str(self._folder), "port": self.port or 5432}
        with psycopg.connect(**place, user="postgres", dbname=name, autocommit=True) as connection:
            connection.execute(statements.encode())

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            command = ["runuser", "-u", "postgres", "--", *command]
        # A file, because the server keeps an inherited pipe open; and a folder that it may enter.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd="/", check=False
            )
            output.seek(0)
            text = output.read().decode(errors="replace")
        assert done.returncode == 0, f"{command}: {text}"


@contextmanager
def cluster(
    programs: Path, *, durable: bool = False, port: int | None = None, address: str = "127.0.0.1"
) -> Iterator[Cluster]:
    """Run a server; with `durable`, it waits for the disk as in production; with a port, it also listens at an address."""
    folder = Path(tempfile.mkdtemp(prefix="ledger-pg-"))  # short: a socket's path has 107 bytes at most
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    try:
        server = Cluster(folder, programs, durable=durable, port=port, address=address)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _parent(pid: int) -> int | None:
    """Return a process's parent; None if it is gone."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return None
