"""Stores of every kind, as an application would keep its records there, for tests that hold for all of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import redis

from tests.effects.servers import PASSWORD, Mariadb
from tests.provider_mock_ledger.postgres import Cluster

Row = dict[str, Any]
TABLE = "messages"
_NUMBERS = count(1)


class Store:
    """What an application does to its store. Every row has `n`, by which it is shown."""

    spec: str
    query: ClassVar[str | None] = None
    mapping: ClassVar[str | None] = None
    sorts = False
    """Whether rows are shown by `n`, however they came; else as they came."""
    unordered = False
    mends = True
    """Whether a row can be changed in place."""
    passes_over = True
    """Whether reading on costs by what is new."""

    def add(self, *rows: Any) -> None:
        """Keep rows, each as one."""
        raise NotImplementedError

    def change(self, old: Row, new: Row) -> None:
        """Change a row in place."""
        raise NotImplementedError

    def remove(self, row: Row) -> None:
        """Take a row away."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the application's connection."""


class Sql(Store):
    """A table with a number of its own and the row as a text."""

    query = f"SELECT body FROM {TABLE} ORDER BY sent, id"
    mapping = "json(body)"
    sorts = True
    key: ClassVar[str]
    mark = "%s"

    def run(self, statement: str, rows: Sequence[tuple[Any, ...]] = ((),)) -> None:
        raise NotImplementedError

    def make(self) -> None:
        self.run(f"CREATE TABLE {TABLE} (id {self.key}, sent BIGINT, body TEXT)")

    def add(self, *rows: Any) -> None:
        values = [(row["n"] if isinstance(row, dict) else 10**9, json.dumps(row)) for row in rows]
        self.run(f"INSERT INTO {TABLE} (sent, body) VALUES ({self.mark}, {self.mark})", values)

    def change(self, old: Row, new: Row) -> None:
        self.run(
            f"UPDATE {TABLE} SET body = {self.mark} WHERE body = {self.mark}", [(json.dumps(new), json.dumps(old))]
        )

    def remove(self, row: Row) -> None:
        self.run(f"DELETE FROM {TABLE} WHERE body = {self.mark}", [(json.dumps(row),)])


class Sqlite(Sql):
    key = "INTEGER PRIMARY KEY"
    mark = "?"

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"{next(_NUMBERS)}.db"
        self.spec = f"sqlite:///{self.path}"
        self.make()

    def run(self, statement: str, rows: Sequence[tuple[Any, ...]] = ((),)) -> None:
        connection = sqlite3.connect(self.path)
        try:
            connection.executemany(statement, rows) if rows != ((),) else connection.execute(statement)
            connection.commit()
        finally:
            connection.close()


class SqliteWithoutKey(Sqlite):
    """A table whose key is a text: SQLite numbers its rows all the same."""

    query = f"SELECT body FROM {TABLE} ORDER BY sent, rowid"
    key = "INTEGER"


class Postgres(Sql):
    key = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"

    def __init__(self, cluster: Cluster) -> None:
        self.spec = cluster.new_database()
        self.connection = psycopg.connect(self.spec, autocommit=True)
        self.make()

    def run(self, statement: str, rows: Sequence[tuple[Any, ...]] = ((),)) -> None:
        with self.connection.cursor() as cursor:
            cursor.executemany(statement, rows) if rows != ((),) else cursor.execute(statement)

    def close(self) -> None:
        self.connection.close()


class PostgresSerial(Postgres):
    """The older way to number rows, a column of JSON, and names that need quotes."""

    key = "SERIAL PRIMARY KEY"
    query = (
        f'SELECT "m".body::jsonb AS "Body" FROM public.{TABLE} AS "m" WHERE 1=1 OR body LIKE \'%:x\' ORDER BY "m".sent'
    )
    mapping = '"Body"'


class MariadbTable(Sql):
    key = "BIGINT AUTO_INCREMENT PRIMARY KEY"

    def __init__(self, server: Mariadb) -> None:
        self.name = server.new_database()
        self.spec = server.url(self.name)
        self.connection = server.connect(self.name)
        self.make()

    def run(self, statement: str, rows: Sequence[tuple[Any, ...]] = ((),)) -> None:
        with self.connection.cursor() as cursor:
            cursor.executemany(statement, rows) if rows != ((),) else cursor.execute(statement)

    def close(self) -> None:
        self.connection.close()


class MariadbJoined(MariadbTable):
    """A query that is not plain: it is asked whole."""

    query = f"SELECT a.body FROM {TABLE} a JOIN {TABLE} b ON a.id = b.id ORDER BY a.sent, a.id"
    passes_over = False


class RedisKey(Store):
    """Something under a key."""

    def __init__(self, port: int) -> None:
        self.client = redis.Redis(port=port, password=PASSWORD, db=3)
        self.key = f"app:{next(_NUMBERS)}"
        self.spec = f"redis://:{PASSWORD}@127.0.0.1:{port}/3/{self.key}"

    def close(self) -> None:
        self.client.close()


class RedisList(RedisKey):
    in_front = False

    def add(self, *rows: Any) -> None:
        for row in rows:
            (self.client.lpush if self.in_front else self.client.rpush)(self.key, json.dumps(row))

    def change(self, old: Row, new: Row) -> None:
        members = self.client.lrange(self.key, 0, -1)
        self.client.lset(self.key, members.index(json.dumps(old).encode()), json.dumps(new))

    def remove(self, row: Row) -> None:
        self.client.lrem(self.key, 0, json.dumps(row))


class RedisListInFront(RedisList):
    in_front = True


class RedisStream(RedisKey):
    """One field that holds JSON."""

    mends = False

    def add(self, *rows: Any) -> None:
        for row in rows:
            self.client.xadd(self.key, {"event": json.dumps(row)})

    def remove(self, row: Row) -> None:
        found = [name for name, fields in self.client.xrange(self.key) if fields[b"event"] == json.dumps(row).encode()]
        self.client.xdel(self.key, *found)


class RedisSorted(RedisKey):
    sorts = True

    def add(self, *rows: Any) -> None:
        # Members are there once: two that are equal cannot be.
        for row in rows:
            self.client.zadd(self.key, {json.dumps(row): row["n"] if isinstance(row, dict) else 10**9})

    def change(self, old: Row, new: Row) -> None:
        self.remove(old)
        self.add(new)

    def remove(self, row: Row) -> None:
        self.client.zrem(self.key, json.dumps(row))


class RedisHashes(RedisKey):
    """A hash for each row, its fields as texts."""

    sorts = True
    unordered = True
    mapping = "{n: to_number(n), who: who, of: split(_key, ':')[1]}"

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.spec += ":*"

    def add(self, *rows: Any) -> None:
        for row in rows:
            self.client.hset(f"{self.key}:{row['n']}", mapping={name: str(value) for name, value in row.items()})

    def change(self, old: Row, new: Row) -> None:
        self.add(new)

    def remove(self, row: Row) -> None:
        self.client.delete(f"{self.key}:{row['n']}")


class RedisFields(RedisKey):
    """One hash, each field of which holds a row as JSON."""

    sorts = True
    unordered = True
    passes_over = False
    mapping = "{n: n, who: who}"

    def add(self, *rows: Any) -> None:
        for row in rows:
            self.client.hset(self.key, f"{row['n']:04}", json.dumps(row))

    def change(self, old: Row, new: Row) -> None:
        self.add(new)

    def remove(self, row: Row) -> None:
        self.client.hdel(self.key, f"{row['n']:04}")


class JsonFile(Store):
    def __init__(self, folder: Path) -> None:
        self.path = folder / f"{next(_NUMBERS)}.jsonl"
        self.path.touch()
        self.spec = f"file:{self.path}"

    def add(self, *rows: Any) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)

    def change(self, old: Row, new: Row) -> None:
        self._write(self._text().replace(json.dumps(old), json.dumps(new)))

    def remove(self, row: Row) -> None:
        self._write(self._text().replace(json.dumps(row) + "\n", ""))

    def _text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def _write(self, text: str) -> None:
        whole = self.path.with_suffix(".new")
        whole.write_text(text, encoding="utf-8")
        whole.replace(self.path)


class Printed(JsonFile):
    passes_over = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.spec = f"command:cat '{self.path}'"
