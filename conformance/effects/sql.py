"""Effects in a database: an SQLAlchemy URL, with the query that lists the records in the order shown.

Rows that were there before the run are passed over where the query is a plain SELECT from one table that numbers its rows
itself; this run's own are read anew each time, because an application may change them in place.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from im_callback.conformance.effects.kept import Kept
from im_callback.conformance.effects.plain_select import PlainSelect, plain, quoted_run
from im_callback.conformance.effects.source import SECONDS, BadEffects, EffectsError, SourceOptions, missing_driver
from im_callback.conformance.effects.texts import said

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

SCHEMES = ("sqlite", "postgresql", "postgres", "mysql", "mariadb")
DRIVERS = {
    "postgresql": ("postgresql+psycopg", "psycopg", "sql,postgresql"),
    "postgres": ("postgresql+psycopg", "psycopg", "sql,postgresql"),
    "mysql": ("mysql+pymysql", "pymysql", "sql,mysql"),
    "mariadb": ("mariadb+pymysql", "pymysql", "sql,mysql"),
}
"""By scheme, the driver that is used where the address names none, its package and our extras that install it."""
MARK = "im_callback_mark"
_COLON = re.compile(rf"(?<![:\w\\]):(?!(?:run|{MARK})\b)(?=\w)")
"""A colon that is the query's own: in a path of JSON, or a time."""
_RUN = re.compile(r"(?<![:\w\\]):run\b")
_PASSWORD = re.compile(r"(?i)denied|authentication|password|role .* does not exist")
_UNKNOWN = re.compile(r"(?i)no such (table|column)|does not exist|doesn't exist|unknown (column|table)")
_BROKEN_OFF = re.compile(r"(?i)interrupt|timed out|statement timeout|query_canceled|max_statement_time")


def open_source(spec: str, options: SourceOptions) -> Database:
    """Return what asks the database; `BadEffects` for an address or a query that cannot be used."""
    try:
        import sqlalchemy
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError
    except ImportError:
        raise missing_driver("A database", "SQLAlchemy", "sql") from None
    if not (options.query or "").strip():
        raise BadEffects(
            f"--receiver-effects={spec} is a database: give --receiver-effects-query=SQL too, "
            "a query that lists the records in the order in which the application shows them"
        )
    assert options.query is not None
    if quoted_run(options.query):
        raise BadEffects(
            "--receiver-effects-query: :run stands inside quotes, where it is only a text; "
            "write it outside of them, as in LIKE :run || '%' (MySQL: LIKE CONCAT(:run, '%'))"
        )
    try:
        url = sqlalchemy.make_url(spec)
    except (ArgumentError, ValueError) as error:
        raise BadEffects(
            f"--receiver-effects={spec}: {_line(error)}; give DIALECT://USER:PASSWORD@HOST/DATABASE"
        ) from None
    driver, package, extras = DRIVERS.get(url.drivername, (url.drivername, "", ""))
    url = url.set(drivername=driver)
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        assert url.database is not None
        if not url.database.startswith("file:"):
            url = url.set(database=str(options.folder / url.database))
    try:
        engine = sqlalchemy.create_engine(
            url, poolclass=sqlalchemy.NullPool, connect_args=_limits(url, options), hide_parameters=True
        )
    except NoSuchModuleError:
        raise BadEffects(f"--receiver-effects={spec}: SQLAlchemy knows no database {driver}; is it right?") from None
    except ImportError as error:
        name = package or str(error.name or error)
        raise missing_driver(driver, name, *(extras.split(",") if extras else ["sql"])) from None
    except (ArgumentError, TypeError, ValueError) as error:
        raise BadEffects(f"--receiver-effects={spec}: {_line(error)}") from None
    return Database(engine, options.query, options, SECONDS)


def _limits(url: URL, options: SourceOptions) -> dict[str, Any]:
    """Return what bounds connecting and waiting, by driver."""
    seconds, driver = int(SECONDS), url.get_driver_name()
    if driver in ("psycopg", "psycopg2"):
        return {"connect_timeout": seconds, "application_name": "receiver-effects"}
    if driver == "pymysql":
        secure = {"ssl": {"ca": str(options.ca_file)}} if options.ca_file else {}
        return {"connect_timeout": seconds, "read_timeout": seconds, "write_timeout": seconds, **secure}
    if url.get_backend_name() == "sqlite":
        return {"timeout": SECONDS, "check_same_thread": False}
    return {}


class Database:
    """Asks a query, each time in a transaction of its own, over a connection that is kept."""

    def __init__(self, engine: Engine, query: str, options: SourceOptions, seconds: float) -> None:
        self._engine = engine
        self._query = query.strip().rstrip(";")
        self._run = options.run
        self._recurring = options.recurring
        self._seconds = seconds
        self._connection: Connection | None = None
        self._columns: tuple[str, ...] = ()
        self._kept: Kept[str] = Kept()
        self._since: tuple[str, int] | None = None

    def mark(self) -> None:
        """Pass over the rows that are there now, where those that are added can be told."""
        select = plain(self._query)
        if self._recurring or select is None or _RUN.search(self._query):
            return
        self._check_file()
        with self._asking() as connection:
            column = _numbered_by(connection, select)
            if column is None:
                return
            highest = connection.exec_driver_sql(
                f"SELECT max({column}) FROM {select.table}"  # noqa: S608 - As it was typed.
            ).scalar()
        if isinstance(highest, int):
            self._since = (select.since(f"{select.called}.{column} > :{MARK}"), highest)

    def __call__(self) -> list[Any]:
        """Return the records of this run; `EffectsError` where the database does not give them."""
        if self._since is None:
            return self.whole()
        query, highest = self._since
        return self._asked(query, {MARK: highest})

    def whole(self) -> list[Any]:
        """Return the record of every row that the query gives."""
        return self._asked(self._query, {})

    def close(self) -> None:
        """Let go of the connection."""
        self._drop()

    def _asked(self, query: str, given: Mapping[str, Any]) -> list[Any]:
        from sqlalchemy import text

        self._check_file()
        used = {**given, **({"run": self._run} if _RUN.search(query) else {})}
        statement = text(_COLON.sub(r"\:", query))
        with self._asking() as connection:
            found = connection.execute(statement, used)
            if not found.returns_rows:
                raise EffectsError("the query gives no rows", "Give a SELECT as --receiver-effects-query")
            self._columns = tuple(map(str, found.keys()))
            return self._records(found.fetchall())

    def _records(self, rows: Sequence[Any]) -> list[Any]:
        # By its text a row is known with the types of its values: 1 is not true.
        keys = [repr(tuple(row)) for row in rows]
        by_key = dict(zip(keys, rows, strict=True))
        return self._kept.records(keys, lambda key: _record(self._columns, by_key[key]))

    def _check_file(self) -> None:
        """Keep SQLite from making the file that it is to read."""
        url = self._engine.url
        name = url.database or ""
        if url.get_backend_name() != "sqlite" or name in ("", ":memory:") or name.startswith("file:"):
            return
        if not Path(name).is_file():
            raise EffectsError(f"there is no database {name}", "Is --receiver-effects the receiver's own file?")

    @contextmanager
    def _asking(self) -> Iterator[Connection]:
        """Give the connection, for so many seconds; what goes wrong is told without the address."""
        from sqlalchemy.exc import SQLAlchemyError

        place = self._place()
        watch: Watch | None = None
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            watch = Watch(_breaker(self._connection), self._seconds)
            with watch:
                yield self._connection
                self._connection.rollback()
        except EffectsError:
            self._drop()
            raise
        except (SQLAlchemyError, OSError) as error:
            connected = self._connection is not None
            self._drop()
            raise self._told(error, place, connected=connected, late=watch is not None and watch.late) from None

    def _told(self, error: Exception, place: str, *, connected: bool, late: bool) -> EffectsError:
        words = _line(getattr(error, "orig", None) or error)
        if connected and (late or _BROKEN_OFF.search(words)):
            return EffectsError(
                f"{place} was not ready with the query after {self._seconds:g} s",
                "Let the query list this run's records alone (:run is what their identifiers begin with), or give it an index",
            )
        if _PASSWORD.search(words) and not connected:
            return EffectsError(f"{place} lets nobody in ({words})", "Give DIALECT://USER:PASSWORD@HOST/DATABASE")
        if not connected:
            return EffectsError(f"{place} cannot be reached ({words})", "Is it there, and is --receiver-effects right?")
        if _UNKNOWN.search(words):
            return EffectsError(
                f"{place} does not know what the query names ({words})", "Is --receiver-effects-query right?"
            )
        return EffectsError(f"{place} does not answer the query ({words})", "Try --receiver-effects-query by hand")

    def _place(self) -> str:
        url = self._engine.url
        where = f" at {url.host}{f':{url.port}' if url.port else ''}" if url.host else ""
        return f"the database {url.database or url.get_backend_name()}{where}"

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.invalidate()
            with suppress(Exception):
                connection.close()


class Watch:
    """Breaks a connection off that takes longer than it may: not every driver has a limit of its own."""

    def __init__(self, break_off: Callable[[], None], seconds: float) -> None:
        self._break_off = break_off
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self.late = False

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _end(self) -> None:
        self.late = True
        with suppress(Exception):
            self._break_off()


def _breaker(connection: Connection) -> Callable[[], None]:
    """Return what ends the wait for a reply, from another thread."""
    driver: Any = connection.connection.driver_connection

    def break_off() -> None:
        if hasattr(driver, "interrupt"):
            driver.interrupt()
            return
        # psycopg tells the number of its socket, PyMySQL holds it.
        number = driver.fileno() if hasattr(driver, "fileno") else driver._sock.fileno()  # noqa: SLF001 - It has no other way.
        with socket.socket(fileno=socket.dup(number)) as held:
            held.shutdown(socket.SHUT_RDWR)

    return break_off


def _numbered_by(connection: Connection, select: PlainSelect) -> str | None:
    """Return the column, as SQL, by which the database numbers the rows of a table in the order of adding; None if none."""
    from sqlalchemy import inspect
    from sqlalchemy.exc import SQLAlchemyError

    parts = [part.strip('"`') if part[0] in '"`' else part for part in select.table.split(".")]
    schema, name = ".".join(parts[:-1]) or None, parts[-1]
    quote = connection.dialect.identifier_preparer.quote
    try:
        inspector = inspect(connection)
        if not inspector.has_table(name, schema) or name in inspector.get_view_names(schema):
            return None
        key = inspector.get_pk_constraint(name, schema)["constrained_columns"]
        columns = {one["name"]: one for one in inspector.get_columns(name, schema)}
    except SQLAlchemyError:
        return None
    if connection.dialect.name == "sqlite":
        if len(key) == 1 and str(columns[key[0]]["type"]).upper() == "INTEGER":
            return str(quote(key[0]))
        with suppress(SQLAlchemyError):
            connection.exec_driver_sql(f"SELECT rowid FROM {select.table} LIMIT 0")  # noqa: S608 - As it was typed.
            return "rowid" if "rowid" not in columns else None
        return None
    for column in columns.values():
        if len(key) == 1 and column["name"] == key[0] and _is_counted(column):
            return str(quote(key[0]))
    return None


def _is_counted(column: Mapping[str, Any]) -> bool:
    """Return whether the database itself counts a column up."""
    return bool(column.get("identity")) or column.get("autoincrement") is True


def _record(columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in zip(columns, row, strict=True)}


def _plain(value: Any) -> Any:
    """Return a value of a column as JSON would have it."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return said(bytes(value))
    if isinstance(value, (date, time, timedelta, UUID)):
        return str(value)
    return value


def _line(error: object) -> str:
    return " ".join(str(error).split())
