"""The receiver that pages speak of: the good one of the examples, with all providers at one address, `/callbacks`.

What it records it also puts into the stores that are named in `STORES`, as applications do that keep their records there.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from waitress import create_server

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "flask_receiver"))

import receiver

TABLE = "CREATE TABLE messages (id {}, sent_at BIGINT, payload {})"


def postgresql(port: str) -> Callable[[dict[str, Any]], None]:
    """Keep payloads in a table of PostgreSQL."""
    import psycopg

    connection = psycopg.connect(f"postgresql://app@127.0.0.1:{port}/app", autocommit=True)
    connection.execute("DROP TABLE IF EXISTS messages")
    connection.execute(TABLE.format("serial PRIMARY KEY", "jsonb").encode())
    return lambda payload: (
        connection.execute(
            "INSERT INTO messages (sent_at, payload) VALUES (%s, %s)", (sent_at(payload), json.dumps(payload))
        )
        and None
    )


def mysql(port: str) -> Callable[[dict[str, Any]], None]:
    """Keep payloads in a table of MySQL."""
    import pymysql

    connection = pymysql.connect(
        host="127.0.0.1", port=int(port), user="app", password="secret", database="app", autocommit=True
    )
    cursor = connection.cursor()
    cursor.execute("DROP TABLE IF EXISTS messages")
    cursor.execute(TABLE.format("INT AUTO_INCREMENT PRIMARY KEY", "JSON"))

    def keep(payload: dict[str, Any]) -> None:
        cursor.execute(
            "INSERT INTO messages (sent_at, payload) VALUES (%s, %s)", (sent_at(payload), json.dumps(payload))
        )

    return keep


def sqlite(path: str) -> Callable[[dict[str, Any]], None]:
    """Keep payloads in a table of SQLite."""
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    connection.execute(TABLE.format("INTEGER PRIMARY KEY", "TEXT"))

    def keep(payload: dict[str, Any]) -> None:
        connection.execute(
            "INSERT INTO messages (sent_at, payload) VALUES (?, ?)", (sent_at(payload), json.dumps(payload))
        )

    return keep


def redis(port: str) -> Callable[[dict[str, Any]], None]:
    """Keep payloads in Redis, in every way in which applications do."""
    from redis import Redis

    client = Redis(port=int(port))
    client.flushall()

    def keep(payload: dict[str, Any]) -> None:
        client.xadd("events", {"payload": json.dumps(payload)})
        client.rpush("messages", json.dumps(payload))
        client.zadd("timeline", {json.dumps(payload): sent_at(payload)})
        if "accid" in payload:
            client.hset(f"user:{payload['accid']}", mapping={"at": payload.get("timestamp", ""), **texts(payload)})

    return keep


def file(path: str) -> Callable[[dict[str, Any]], None]:
    """Keep payloads in a file."""
    lines = Path(path).open("a", encoding="utf-8")

    def keep(payload: dict[str, Any]) -> None:
        lines.write(json.dumps(payload) + "\n")
        lines.flush()

    return keep


def sent_at(payload: dict[str, Any]) -> int:
    """Return when it was, where it says so."""
    return int(payload.get("msgTimestamp") or payload.get("timestamp") or 0)


def texts(payload: dict[str, Any]) -> dict[str, str]:
    """Return its fields as they stand in a hash."""
    return {name: value for name, value in payload.items() if isinstance(value, str) and name != "timestamp"}


KINDS = {"postgresql": postgresql, "mysql": mysql, "sqlite": sqlite, "redis": redis, "file": file}
STORES = [KINDS[one.partition("=")[0]](one.partition("=")[2]) for one in os.environ.get("STORES", "").split()]


class Kept(receiver.Store):
    """A store beside others."""

    def accept(self, provider: str, body: bytes) -> None:
        """Keep a body everywhere, and leave out what is none."""
        super().accept(provider, body)
        for keep in STORES:
            if provider == "commsease" and len(body) > len("{}"):
                keep(json.loads(body))


port, database = sys.argv[1:]
receiver.credentials.update(receiver.TEST_CREDENTIALS)
application = receiver.application(Kept(database), test_mode=True)


def at_one_address(environ: dict[str, Any], start_response: Any) -> Any:
    """Find out by the request whose it is."""
    if environ["PATH_INFO"] == "/callbacks":
        query = environ["QUERY_STRING"]
        provider = "rongcloud" if "signature=" in query else "tencent" if "SdkAppid=" in query else "commsease"
        environ["PATH_INFO"] = f"/{provider}"
    return application(environ, start_response)


# One thread: the stores beside it take one at a time.
server = create_server(
    at_one_address, host="127.0.0.1", port=int(port), threads=1 if STORES else 8, connection_limit=500
)
print("listening", flush=True)
server.run()
