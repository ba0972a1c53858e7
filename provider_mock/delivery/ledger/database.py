"""Opens the database that a URL names, for the one writer and for readers, and tells its errors apart."""

from __future__ import annotations

import importlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any
from urllib.parse import quote

from im_callback.provider_mock.delivery.ledger.errors import (
    LedgerError,
    LedgerInUse,
    LedgerMissing,
    LedgerUnavailable,
    NotALedger,
)
from im_callback.provider_mock.delivery.ledger.files import Files, LedgerGone
from im_callback.provider_mock.delivery.ledger.lock import FileLock
from im_callback.provider_mock.delivery.ledger.patience import left, within
from sqlalchemy import (
    ARRAY,
    URL,
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    NullPool,
    QueuePool,
    any_,
    bindparam,
    create_engine,
    event,
    func,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError
from sqlalchemy.exc import TimeoutError as NoConnection

SQLITE_NEEDED = (3, 35)
_LOCK_CLASS = 0x1EDCE4
"""First half of the key of PostgreSQL's advisory lock; the second is the schema's name. Who delivers shares it; who
changes the tables, and releases before leases, hold it alone."""
_OPENING_CLASS, _IDS_CLASS, _NAMES_CLASS = _LOCK_CLASS + 1, _LOCK_CLASS + 2, _LOCK_CLASS + 3
"""The same of the locks that are held while tables are made, while ids are drawn, and by names."""
_LINGER_SECONDS = 2.0
"""How long the lock of a process that was just killed may linger."""
_SCHEMA = "hashtext(current_schema())"
BUSY_SECONDS = 2.0
"""How long SQLite waits for another program that has its file locked, before it is tried again."""
LOOK_SECONDS = 2.0
"""How long a database may take to show that it is there."""
AWAY_SECONDS = 8.0
"""After which nobody waits for a database that is known to be away."""
STATEMENT_SECONDS = 9.0
"""After which PostgreSQL ends a statement by itself; a little before we give it up."""
LOCK_SECONDS = 5.0
"""How long PostgreSQL waits for what another session has locked."""
IDLE_SECONDS = 5.0
"""After which PostgreSQL ends a transaction that nobody goes on with."""
_STEPS = 100_000
"""Of SQLite's machine, about a millisecond's: how often it is asked whether time is up."""
_SQLITE_FULL, _SQLITE_LOCKED = "database or disk is full", "database is locked"
_REMEDIES = (
    ((_SQLITE_FULL, "No space left", "disk I/O error"), "make room on its disk, or mend it"),
    ((_SQLITE_LOCKED, "lock timeout"), "end what holds its lock: another program writes to it"),
    (("interrupted", "statement timeout"), "ask for less at a time, or try again when it has less to do"),
    (("readonly", "read-only"), "make it writable"),
    (("has not answered", "timeout expired"), "see whether its server runs and answers"),
)
_ROW_AT_FAULT = frozenset({"IntegrityError", "DataError", "OverflowError", "TypeError", "ValueError"})


def rows_at_fault(error: Exception) -> bool:
    """Return whether an error lies in the rows themselves, so that trying them again would not help.

    SQLAlchemy's errors and those of its drivers share their names by PEP 249.
    """
    return any(cls.__name__ in _ROW_AT_FAULT for cls in type(error).__mro__)


def surely_undone(error: Exception) -> bool:
    """Return whether nothing can have come of a commit that ended with this error."""
    return isinstance(error, LedgerError) or any(words in reason(error) for words in (_SQLITE_FULL, _SQLITE_LOCKED))


def is_databases(error: Exception) -> bool:
    """Return whether an error comes from the database, its driver or the way there."""
    if isinstance(error, LedgerError):
        return True
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
        self._files: Files | None = None
        self.away: tuple[float, str] | None = None
        """Since when of the monotonic clock something is wrong with it, and what, as the watch found out."""
        self._taken_over: LedgerUnavailable | None = None
        """Once another process can have written, ids are not known to be free any more."""
        if self.sqlite:
            self._files = self._checked_files()
        else:
            self._check_psycopg()

    @cached_property
    def readers(self) -> Engine:
        """Connections for reading: each statement sees what was committed before it began."""
        engine = self._engine(QueuePool, pool_size=5, max_overflow=20, pool_timeout=BUSY_SECONDS)

        @event.listens_for(engine, "connect")
        def only_read(connection: Any, _: Any) -> None:
            with _cursor(connection) as cursor:
                cursor.execute("PRAGMA query_only = on" if self.sqlite else "SET default_transaction_read_only = on")

        return engine

    def lock(self) -> None:
        """Claim a SQLite file for this process; a PostgreSQL database is shared, by leases.

        Raises LedgerInUse if another process has it, LedgerUnavailable if its folder cannot be written.
        """
        if self._files is not None:
            self._lock = FileLock(self._files.path)

    def writer(self) -> Connection:
        """Return the connection that writes. A file is made if none was opened yet.

        Raises:
            LedgerInUse: a process of another release has the PostgreSQL database.
            LedgerUnavailable: a SQLite file cannot be written, or is not the one that was opened first.
            sqlalchemy.exc.DBAPIError: it cannot be reached.
        """
        if self._files is not None:
            self._files.prepare()
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

    def opened(self) -> None:
        """Take a SQLite ledger's files as they are now for those to watch; the writer has opened them."""
        if self._files is not None:
            # Kept open: through it the files stay within reach when the folder has lost them.
            with self._lookers.connect() as connection:
                connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar()
            self._files.remember()

    def check(self, *, writing: bool) -> None:
        """Raise LedgerUnavailable if a SQLite file is not the one that was opened, or must not be written any more.

        For readers also if the database has been away for longer than anybody waits. Takes some microseconds.
        """
        if not writing and self.away is not None and time.monotonic() - self.away[0] > AWAY_SECONDS:
            raise LedgerUnavailable(self.where, f"cannot be used: {self.away[1]}", "it is tried again by itself")
        if self._files is not None:
            self._files.check(writing=writing)
        if writing and self._taken_over is not None:
            raise self._taken_over

    def look(self) -> None:
        """Find out, within `LOOK_SECONDS`, whether the database is still there; raises whatever is wrong."""
        with within(LOOK_SECONDS):
            if self._files is None:
                with self._lookers.connect() as connection:
                    connection.exec_driver_sql("SELECT 1")
                return
            try:
                self.check(writing=True)
            except LedgerGone:
                self._rescue()
                raise
            if self._lock is not None:
                try:
                    self._lock.keep()
                except LedgerInUse as error:
                    fix = "stop one of the two processes and start this one again"
                    self._taken_over = LedgerUnavailable(self.where, error.fact, fix)
                    raise self._taken_over from None

    @contextmanager
    def taking(self, connection: Connection, seconds: float) -> Iterator[None]:
        """Let the server, too, end a statement only after these seconds."""
        if self.sqlite or seconds <= STATEMENT_SECONDS:
            yield
            return
        connection.exec_driver_sql(f"SET statement_timeout = '{seconds:g}s'")
        try:
            yield
        finally:
            with suppress(Exception):  # a connection that broke is not used again
                connection.exec_driver_sql(f"SET statement_timeout = '{STATEMENT_SECONDS:g}s'")

    def session(self) -> Connection:
        """Return a connection of one's own; whoever takes it closes it."""
        return self._writers.connect()

    @contextmanager
    def exclusively(self, name: str) -> Iterator[None]:
        """Keep other processes of a PostgreSQL database out that ask for the same name; waits `LOCK_SECONDS` at most."""
        if self.sqlite:
            yield
            return
        key = f"({_NAMES_CLASS}, hashtext(current_schema() || ' ' || %s))"
        with self.readers.connect() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_lock{key}", (name,))
            try:
                yield
            finally:
                try:
                    connection.exec_driver_sql(f"SELECT pg_advisory_unlock{key}", (name,))
                except Exception:  # noqa: BLE001 - the lock ends with the connection
                    connection.invalidate()

    def begin_opening(self, connection: Connection) -> None:
        """Keep others who open it waiting until the transaction's end."""
        if not self.sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_OPENING_CLASS}, {_SCHEMA})")

    @contextmanager
    def alone(self, connection: Connection) -> Iterator[None]:
        """Let no other process use it meanwhile; LedgerInUse if one does."""
        key = f"({_LOCK_CLASS}, {_SCHEMA})"
        if not self.sqlite and not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock{key}").scalar():
            fact = "is of an earlier version, and other processes deliver from it"
            raise LedgerInUse(self.where, fact, "stop them all, then start those of this release")
        try:
            yield
        finally:
            if not self.sqlite:
                with suppress(Exception):  # it ends with the connection
                    connection.exec_driver_sql(f"SELECT pg_advisory_unlock{key}")

    def draw_ids(self, connection: Connection, count: int) -> int:
        """Return the first of so many ids, one after the other, that no process of a PostgreSQL database has."""
        draw = f"""SELECT setval('delivery_ids', nextval('delivery_ids') + {count:d} - 1)
            FROM pg_advisory_xact_lock({_IDS_CLASS}, {_SCHEMA})"""  # noqa: S608
        return int(connection.exec_driver_sql(draw).scalar_one()) - count + 1

    def one_of(self, column: ColumnElement[int], values: Sequence[int]) -> ColumnElement[bool]:
        """Return the condition that a column holds one of many thousand numbers, which are one parameter."""
        if self.sqlite:
            return column.in_(select(func.json_each(json.dumps(values)).table_valued("value").c.value))
        return column == any_(bindparam(None, values, ARRAY(BigInteger)))

    def close(self) -> None:
        """Close every connection, those in use when they come back, and give the claim back."""
        if self._files is not None:
            self._files.forget()
        for engine in (self.readers, self._writers, self._lookers):
            event.listen(engine, "checkin", _close_at_return)
            engine.dispose()
        if self._lock is not None:
            self._lock.close()

    def unavailable(self, error: BaseException, *, stored: bool | None = False) -> LedgerUnavailable:
        """Return the public error for one of the database's."""
        if isinstance(error, NoConnection):
            return LedgerUnavailable(self.where, "is busy: too many ask it at once", "try again in a moment")
        return LedgerUnavailable(
            self.where, f"cannot be used: {reason(error)}", _remedy(error) or "see to the database", stored=stored
        )

    @cached_property
    def _writers(self) -> Engine:
        return self._engine(NullPool)

    @cached_property
    def _lookers(self) -> Engine:
        return self._engine(QueuePool, pool_size=1, max_overflow=0)

    def _rescue(self) -> None:
        """Move what is committed from the write-ahead log into the database, both as they were opened.

        So a log that the folder has lost holds nothing any more, and a database that was moved away
        is whole, and its log no danger for the file in its place.
        """
        with suppress(Exception), self._lookers.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def _engine(self, pool: type[NullPool | QueuePool], **options: Any) -> Engine:
        url = self.url
        arguments: dict[str, Any]
        if self._files is not None:
            arguments = {"check_same_thread": False, "timeout": BUSY_SECONDS}
            # Never made by opening: a file that was deleted would come back empty.
            mode = "ro" if self.read_only else "rw"
            url = url.set(database=f"file:{quote(str(self._files.path))}", query={"mode": mode, "uri": "true"})
        else:
            defaults: dict[str, Any] = {
                "client_encoding": "utf8",
                "connect_timeout": 5,
                "tcp_user_timeout": 10_000,
                "application_name": "provider-mock",
            }
            arguments = {key: value for key, value in defaults.items() if key not in url.query}
        # Transactions are begun by hand: SQLite's must be IMMEDIATE, and readers need none.
        engine = create_engine(url, poolclass=pool, connect_args=arguments, isolation_level="AUTOCOMMIT", **options)
        event.listen(engine, "connect", _bound_sqlite if self.sqlite else _bound_postgresql)
        if not self.sqlite:
            event.listen(engine, "do_connect", _connect_postgresql)
        return engine

    def _checked_files(self) -> Files:
        if sqlite3.sqlite_version_info < SQLITE_NEEDED:
            raise LedgerError(
                self.where,
                f"needs SQLite {'.'.join(map(str, SQLITE_NEEDED))} or later and this Python has {sqlite3.sqlite_version}",
                "use a newer Python or PostgreSQL",
            )
        files = Files(self.where)
        if self.read_only and not files.path.exists():
            raise LedgerMissing(self.where, "does not exist", "check the path; `provider-mock serve` makes one")
        return files

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
        deadline = time.monotonic() + _LINGER_SECONDS
        claim = f"SELECT pg_try_advisory_lock_shared({_LOCK_CLASS}, {_SCHEMA})"
        while not connection.exec_driver_sql(claim).scalar():
            if time.monotonic() > deadline:
                raise LedgerInUse(
                    self.where,
                    "is in use: a process of an earlier release, or one that changes its tables, holds its advisory lock",
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
    if isinstance(error, LedgerError):
        return f"{error.where} {error.fact}; {error.hint}"
    cause = getattr(error, "orig", None) or error
    said = getattr(getattr(cause, "diag", None), "message_primary", None) or str(cause)
    return " ".join(said.split()) or type(error).__name__


def told(error: BaseException) -> str:
    """Return what a database said, and what helps if that is known."""
    return f"{reason(error)}; {fix}" if (fix := _remedy(error)) else reason(error)


def _remedy(error: BaseException) -> str | None:
    said = "" if isinstance(error, LedgerError) else reason(error)
    return next((fix for words, fix in _REMEDIES if any(word in said for word in words)), None)


def _bound_sqlite(connection: Any, _: Any) -> None:
    connection.set_progress_handler(lambda: left(1.0) <= 0, _STEPS)


def _bound_postgresql(connection: Any, _: Any) -> None:
    session = {
        "statement_timeout": f"{STATEMENT_SECONDS:g}s",
        "lock_timeout": f"{LOCK_SECONDS:g}s",
        # A machine that was cut off ends no connection: what it has locked is to be free again soon.
        "idle_in_transaction_session_timeout": f"{IDLE_SECONDS:g}s",
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "10s",
    }
    with _cursor(connection) as cursor:
        cursor.execute("; ".join(f"SET {name} = '{value}'" for name, value in session.items()))


def _connect_postgresql(_: Any, __: Any, arguments: Any, options: Any) -> Any:
    # psycopg comes with an extra of its own.
    from im_callback.provider_mock.delivery.ledger import bounded

    return bounded.connect(*arguments, **options)


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


def _close_at_return(_: object, record: Any) -> None:
    record.invalidate()
