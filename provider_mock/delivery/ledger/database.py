"""Opens the database that a URL names, for the one writer and for readers, and tells its errors apart."""

from __future__ import annotations

import importlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from provider_mock.delivery.ledger.errors import LedgerError, LedgerInUse, LedgerMissing, LedgerUnavailable, NotALedger
from provider_mock.delivery.ledger.lock import FileLock

SQLITE_NEEDED = (3, 35)
_LOCK_CLASS = 0x1EDCE4
"""First half of the key of PostgreSQL's advisory lock; the second is the schema's name."""
_LOCK_SECONDS = 2.0
"""How long the lock of a process that was just killed may linger."""
_ROW_AT_FAULT = frozenset({"IntegrityError", "DataError", "OverflowError", "TypeError", "ValueError"})


def rows_at_fault(error: Exception) -> bool:
    """Return whether an error lies in the rows themselves, so that trying them again would not help.

    SQLAlchemy's errors and those of its drivers share their names by PEP 249.
    """
    return any(cls.__name__ in _ROW_AT_FAULT for cls in type(error).__mro__)


def is_databases(error: Exception) -> bool:
    """Return whether an error comes from the database or its driver."""
    return any(cls.__name__ in {"DBAPIError", "DatabaseError", "InterfaceError"} for cls in type(error).__mro__)


class Database:
    """A SQLite file or a PostgreSQL database, by URL or, for a file, by path.

    Raises NotALedger for a URL that is neither.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self.url = _url(url)
        self.read_only = read_only
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.where = str(self.url.database) if self.sqlite else _shown(self.url)
        self._lock: FileLock | None = None
        if self.sqlite:
            self._check_sqlite()
        else:
            self._check_psycopg()

    @cached_property
    def readers(self) -> Engine:
        """Connections for reading: each statement sees what was committed before it began."""
        engine = self._engine(QueuePool, pool_size=5, max_overflow=20)

        @event.listens_for(engine, "connect")
        def only_read(connection: Any, _: Any) -> None:
            with _cursor(connection) as cursor:
                cursor.execute("PRAGMA query_only = on" if self.sqlite else "SET default_transaction_read_only = on")

        return engine

    def lock(self) -> None:
        """Claim a SQLite file for this process; LedgerInUse if another has it. PostgreSQL is claimed by `writer`."""
        if self.sqlite:
            self._lock = FileLock(self._file)

    def writer(self) -> Connection:
        """Return the connection that writes; whoever holds it is the only one.

        Raises:
            LedgerInUse: another process has the PostgreSQL database.
            sqlalchemy.exc.DBAPIError: it cannot be reached.
        """
        connection = self._writers.connect()
        try:
            if self.sqlite:
                for pragma in ("journal_mode = wal", "synchronous = full", "cache_size = -16000"):
                    connection.exec_driver_sql(f"PRAGMA {pragma}")
            else:
                self._claim(connection)
        except BaseException:
            connection.invalidate()
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close every connection that is not in use and give the claim back."""
        self.readers.dispose()
        self._writers.dispose()
        if self._lock is not None:
            self._lock.close()

    def unavailable(self, error: BaseException, *, stored: bool | None = False) -> LedgerUnavailable:
        """Return the public error for one of the database's."""
        return LedgerUnavailable(self.where, f"cannot be used: {reason(error)}", "see to the database", stored=stored)

    @cached_property
    def _writers(self) -> Engine:
        return self._engine(NullPool)

    @property
    def _file(self) -> Path:
        return Path(str(self.url.database)).resolve()

    def _engine(self, pool: type[NullPool | QueuePool], **options: Any) -> Engine:
        url = self.url
        arguments: dict[str, Any]
        if self.sqlite:
            arguments = {"check_same_thread": False, "timeout": 5.0}
            mode = "ro" if self.read_only else "rwc"
            url = url.set(database=f"file:{quote(str(self._file))}", query={"mode": mode, "uri": "true"})
        else:
            defaults: dict[str, Any] = {
                "client_encoding": "utf8",
                "connect_timeout": 5,
                "tcp_user_timeout": 10_000,
                "application_name": "provider-mock",
            }
            arguments = {key: value for key, value in defaults.items() if key not in url.query}
        # Transactions are begun by hand: SQLite's must be IMMEDIATE, and readers need none.
        return create_engine(url, poolclass=pool, connect_args=arguments, isolation_level="AUTOCOMMIT", **options)

    def _check_sqlite(self) -> None:
        if sqlite3.sqlite_version_info < SQLITE_NEEDED:
            raise LedgerError(
                self.where,
                f"needs SQLite {'.'.join(map(str, SQLITE_NEEDED))} or later and this Python has {sqlite3.sqlite_version}",
                "use a newer Python or PostgreSQL",
            )
        if self.read_only and not self._file.is_file():
            raise LedgerMissing(self.where, "does not exist", "check the path; `provider-mock serve` makes one")
        if not self._file.parent.is_dir():
            raise LedgerMissing(self.where, f"lies in {self._file.parent}, which is no folder", "make the folder first")

    def _check_psycopg(self) -> None:
        try:
            importlib.import_module("psycopg")
        except ImportError as error:
            raise LedgerError(self.where, f"needs psycopg ({error})", "pip install 'psycopg[binary]'") from error

    def _claim(self, connection: Connection) -> None:
        if (encoding := connection.exec_driver_sql("SHOW server_encoding").scalar()) != "UTF8":
            raise NotALedger(self.where, f"is encoded in {encoding}", "make the database with ENCODING 'UTF8'")
        if connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "off":
            connection.exec_driver_sql("SET synchronous_commit = on")  # accepted means: on disk
        deadline = time.monotonic() + _LOCK_SECONDS
        claim = f"SELECT pg_try_advisory_lock({_LOCK_CLASS}, hashtext(current_schema()))"
        while not connection.exec_driver_sql(claim).scalar():
            if time.monotonic() > deadline:
                raise LedgerInUse(
                    self.where,
                    "is in use: another process holds its advisory lock",
                    "stop that process, give this one another database or schema, or open it for reading only",
                )
            time.sleep(0.05)


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Commit at the end what is written inside, or nothing of it."""
    sqlite = connection.dialect.name == "sqlite"
    connection.exec_driver_sql("BEGIN IMMEDIATE" if sqlite else "BEGIN")
    try:
        yield
    except BaseException:
        with suppress(Exception):
            connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


def reason(error: BaseException) -> str:
    """Return what a database said, on one line, without the statement and its values."""
    return " ".join(str(getattr(error, "orig", None) or error).split()) or type(error).__name__


def _url(text: str) -> URL:
    try:
        url = make_url(text) if "://" in text else URL.create("sqlite", database=text)
    except ArgumentError:
        raise NotALedger("", "is given by a URL that cannot be read", "write sqlite:///ledger.db") from None
    if url.drivername in {"postgres", "postgresql", "postgresql+psycopg"}:
        return url.set(drivername="postgresql+psycopg")
    where = url.set(password=None, query={}).render_as_string()
    if url.drivername != "sqlite":
        raise NotALedger(
            where, "is neither SQLite nor PostgreSQL", "write sqlite:///ledger.db or postgresql://HOST/NAME"
        )
    if not url.database or url.database == ":memory:":
        raise NotALedger(where, "has no file, and what is accepted must be on disk", "write sqlite:///ledger.db")
    if url.query or url.database.startswith("file:"):
        raise NotALedger(where, "is given with options of SQLite", "write only the path")
    return url


def _shown(url: URL) -> str:
    """Return a URL as text without its password, which PostgreSQL's may also have among its options."""
    host = {"host": url.query["host"]} if "host" in url.query else {}
    return url.set(drivername="postgresql", password=None, query=host).render_as_string()


@contextmanager
def _cursor(connection: Any) -> Iterator[Any]:
    cursor = connection.cursor()
    try:
        yield cursor
    finally:
        cursor.close()
