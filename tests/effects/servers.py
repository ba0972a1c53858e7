"""MariaDB and Redis of our own in temporary folders, gone afterwards; PostgreSQL is in provider_mock_ledger/postgres.py."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pymysql
import redis

from tests.programs import found

PASSWORD = "pa55-w0rd"
SECONDS = 60
"""How long a server may take to start on a busy machine."""
STARTS = 5
"""A free port may be taken by somebody else before the server has it."""


class Mariadb:
    """A running MariaDB: `new_database` gives a URL that nobody had before."""

    def __init__(self, socket_path: Path, port: int) -> None:
        self.socket_path, self.port = socket_path, port
        self._numbers = count(1)

    def connect(self, database: str | None = None) -> pymysql.Connection:
        """Return a connection of the tests' own."""
        return pymysql.connect(unix_socket=str(self.socket_path), user="root", database=database, autocommit=True)

    def new_database(self) -> str:
        """Make an empty database and return its name."""
        name = f"effects_{next(self._numbers)}"
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return name

    def url(self, database: str, *, password: str = PASSWORD) -> str:
        """Return the URL of a database for the user who has a password."""
        return f"mysql://reader:{password}@127.0.0.1:{self.port}/{database}"


@contextmanager
def mariadb() -> Iterator[Mariadb]:
    """Run a MariaDB server."""
    folder = Path(tempfile.mkdtemp(prefix="effects-my-"))
    # A user of its own, whoever runs the tests.
    options = [f"--datadir={folder / 'data'}", *(["--user=root"] if os.geteuid() == 0 else [])]

    def command(port: int) -> list[str | Path]:
        quick = ["--innodb-flush-log-at-trx-commit=0", "--skip-log-bin", "--innodb-buffer-pool-size=32M"]
        return [
            found("mariadbd") or "mariadbd",
            "--no-defaults",
            *options,
            f"--socket={folder / 's'}",
            f"--port={port}",
            "--bind-address=127.0.0.1",
            f"--pid-file={folder / 'pid'}",
            *quick,
        ]

    def answers(port: int) -> None:
        with Mariadb(folder / "s", port).connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE OR REPLACE USER reader@'%' IDENTIFIED BY '{PASSWORD}'")
            cursor.execute("GRANT ALL ON *.* TO reader@'%'")

    # Two that start at once must not share a folder for what is temporary.
    apart = {**os.environ, "TMPDIR": str(folder)}
    try:
        _installed(folder, options, apart)
        with started(command, answers, folder / "log", apart) as port:
            yield Mariadb(folder / "s", port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _installed(folder: Path, options: Sequence[str], environment: Mapping[str, str]) -> None:
    command = [found("mariadb-install-db") or "mariadb-install-db", "--no-defaults", "--skip-test-db", *options]
    with (folder / "log").open("ab") as log:
        done = subprocess.run(
            [*command, "--auth-root-authentication-method=normal"], stdout=log, stderr=log, env=environment, check=False
        )
    assert done.returncode == 0, (folder / "log").read_text(encoding="utf-8", errors="replace")


@contextmanager
def redis_server(password: str = PASSWORD) -> Iterator[int]:
    """Run a Redis server that wants a password, unless it is empty; give its port."""

    def command(port: int) -> list[str | Path]:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", password]
        # By its name: it is a link to a program that does what it was called.
        return ["redis-server", *options]

    def answers(port: int) -> None:
        with redis.Redis(port=port, password=password or None) as client:
            client.ping()

    with tempfile.TemporaryDirectory(prefix="effects-redis-") as folder:
        with started(command, answers, Path(folder) / "log") as port:
            yield port


@contextmanager
def started(
    command: Callable[[int], Sequence[str | Path]],
    answers: Callable[[int], None],
    log_file: Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """Run a server on a free port until the block ends; give the port once it answers."""
    for _ in range(STARTS):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with log_file.open("ab") as log:
            process = subprocess.Popen(
                command(port), cwd=log_file.parent, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            if _answering(process, answers, port):
                yield port
                return
        finally:
            process.kill()
            process.wait()
    raise AssertionError(log_file.read_text(encoding="utf-8", errors="replace"))


def _answering(process: subprocess.Popen[bytes], answers: Callable[[int], None], port: int) -> bool:
    end = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            answers(port)
        except (OSError, pymysql.Error, redis.RedisError):
            time.sleep(0.05)
        else:
            return True
    return False
