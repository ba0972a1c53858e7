"""What the processes that share a PostgreSQL ledger tell each other: what kind of change, and of which app.

It is told with the transaction that changes something, by NOTIFY. Whoever was away looks at everything anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

ACCEPTED = "accepted"
"""Deliveries of an app wait."""
CHANGED = "changed"
"""What waits for an app, or is parked, is not what it was."""
APP = "app"
"""An app was put, or removed."""
FAULTS = "faults"
"""An app's standing faults are others."""
RESUMED = "resumed"
"""An app that was switched off, or pauses, is sent for again."""
LEASE = "lease"
"""A lease is free, or wanted."""
CLOCK = "clock"
"""The clock goes otherwise."""
_CHANNEL = "'provider_mock_' || md5(current_schema())"


def tell(connection: Connection, process: str, what: str, apps: Sequence[str] = ("",)) -> None:
    """Tell the other processes of a change that this one has made, at the end of the transaction."""
    for app in apps:
        connection.exec_driver_sql(f"SELECT pg_notify({_CHANNEL}, %s)", (f"{process} {what} {app}",))


def told(payload: str) -> tuple[str, str, str]:
    """Return which process tells of which kind of change, and of which app."""
    process, _, rest = payload.partition(" ")
    what, _, app = rest.partition(" ")
    return process, what, app


def listen(connection: Connection) -> None:
    """Have a connection told from now on."""
    channel = connection.exec_driver_sql(f"SELECT {_CHANNEL}").scalar_one()
    connection.exec_driver_sql(f'LISTEN "{channel}"')
