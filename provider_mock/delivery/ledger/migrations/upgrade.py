"""Finds out a database's version and brings it up to date, or says why it cannot be used."""

from __future__ import annotations

from pathlib import Path

from im_callback.provider_mock.delivery.ledger import models
from im_callback.provider_mock.delivery.ledger.errors import LedgerOutdated, LedgerTooNew, NotALedger
from sqlalchemy import Connection, inspect

VERSION = 7
"""The version that this release writes: the number of the last step."""
TABLE = "ledger_version"
"""Where a database keeps its version; a name of its own, since `alembic_version` may be an application's."""
STEPS = Path(__file__).parent


def version(connection: Connection, where: str) -> int:
    """Return a database's version, 0 if it holds no tables of a ledger.

    Raises:
        NotALedger: it holds tables of these names that are not a ledger's.
    """
    tables = set(inspect(connection).get_table_names())
    if TABLE in tables:
        found = connection.exec_driver_sql(f"SELECT version_num FROM {TABLE}").scalar()  # noqa: S608
        return int(found) if found else 0
    if foreign := sorted(tables.intersection(models.metadata.tables)):
        raise NotALedger(
            where,
            f"has tables called {', '.join(foreign)} but no {TABLE}: it belongs to something else",
            "give it a database of its own",
        )
    return 0


def outdated(connection: Connection, where: str) -> bool:
    """Return whether a database holds tables of an earlier version; NotALedger as `version`."""
    return 0 < version(connection, where) < VERSION


def upgrade(connection: Connection, where: str, *, steps: Path = STEPS, newest: int = VERSION) -> int:
    """Bring a database to the newest version and return the one that it had, 0 if it was empty.

    The caller has begun a transaction and commits it: a step that fails leaves the old version.

    Raises:
        LedgerTooNew: a later release has written it.
        NotALedger: it holds something else.
    """
    found = version(connection, where)
    if found > newest:
        raise _too_new(where, found, newest)
    if found == 0 and newest == VERSION:
        # At once; that the steps lead to the same tables is tested.
        models.metadata.create_all(connection)
        connection.exec_driver_sql(f"CREATE TABLE {TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        connection.exec_driver_sql(f"INSERT INTO {TABLE} VALUES ('{newest:04}')")  # noqa: S608
    elif found < newest:
        climb(connection, steps, newest)
    return found


def climb(connection: Connection, steps: Path, newest: int) -> None:
    """Bring a database to a version step by step."""
    # Only now, because it is not needed often, and takes its time and 10 MB to load.
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection, "version_table": TABLE})
    config.set_main_option("script_location", str(steps).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, f"{newest:04}")


def check(connection: Connection, where: str) -> None:
    """Raise LedgerTooNew, LedgerOutdated or NotALedger unless a database is of the newest version."""
    found = version(connection, where)
    if found > VERSION:
        raise _too_new(where, found, VERSION)
    if found == 0:
        raise NotALedger(where, "holds no ledger", "check the URL")
    if found < VERSION:
        raise LedgerOutdated(
            where,
            f"is of version {found} and this release reads {VERSION}",
            "start the server on it once, which brings it up to date",
        )


def _too_new(where: str, found: int, newest: int) -> LedgerTooNew:
    return LedgerTooNew(
        where,
        f"is of version {found} and this release knows them up to {newest}",
        "upgrade im-callback-conformance or use another ledger",
    )
