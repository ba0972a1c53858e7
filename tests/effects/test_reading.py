"""What goes wrong with a store is told with its cause and what to do, in time, and without a password."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from im_callback.conformance.effects import BadEffects, EffectsError, Records, SourceOptions, command, open_effects, sql

from tests.conformance.little_server import unused_url
from tests.effects.servers import PASSWORD, Mariadb
from tests.effects.stores import MariadbTable, Postgres, Sqlite
from tests.provider_mock_ledger.postgres import Cluster

QUERY = "SELECT body FROM messages ORDER BY sent, id"
WRONG = "wr0ng-pa55word"


@contextmanager
def reading(spec: str, query: str | None = None, mapping: str | None = None, **options: Any) -> Iterator[Records]:
    """Open a source."""
    read = open_effects(spec, SourceOptions(query=query, **options), mapping)
    try:
        yield read
    finally:
        read.close()


def trouble(spec: str, query: str | None = None) -> str:
    """Return what is said of a store that cannot be read."""
    with reading(spec, query) as read, pytest.raises(EffectsError) as caught:
        read()
    assert caught.value.fix
    for secret in (WRONG, PASSWORD):
        assert secret not in f"{caught.value!r} {caught.value.reason} {caught.value.fix}"
    return f"{caught.value.reason} | {caught.value.fix}"


def append(path: Path, text: str) -> None:
    """Write more to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


@pytest.mark.parametrize(
    ("expected", "spec", "query"),
    [
        ("give --receiver-effects-query=SQL", "sqlite:///x.db", None),
        ("goes with the address of a database", "file:x.jsonl", "SELECT 1"),
        (":run stands inside quotes", "sqlite:///x.db", "SELECT body FROM m WHERE id LIKE ':run%'"),
        ("knows no database nosuch", "nosuch://h/d", "SELECT 1"),
        ("needs the package oracledb", "oracle+oracledb://h/d", "SELECT 1"),
        (r"pip install 'im-callback-conformance\[sql\]'", "oracle+oracledb://h/d", "SELECT 1"),
        ("names no key", "redis://h:1/", None),
        ("names no key", "redis://h:1", None),
        ("redis://h:port/k.*give redis://HOST:PORT/KEY", "redis://h:port/k", None),
        ("names no command", "command: ", None),
        ("names no file", "file:", None),
        ("there is no folder .*/nowhere", "file:nowhere/x.jsonl", None),
        ("that is a folder", "file:.", None),
        ("no source of effects is called 'mongodb'", "mongodb://h/d", None),
    ],
)
def test_refused(expected: str, spec: str, query: str | None, tmp_path: Path) -> None:
    """What can be told before anything is read."""
    with pytest.raises(BadEffects, match=expected):
        open_effects(spec, SourceOptions(query=query, folder=tmp_path))


@pytest.mark.parametrize(
    ("expected", "spec"),
    [
        ("cannot be reached", f"postgresql://u:{WRONG}@NOWHERE/d"),
        ("cannot be reached", f"mysql://u:{WRONG}@NOWHERE/d"),
        ("does not give the effects", f"redis://u:{WRONG}@NOWHERE/k"),
        ("there is no database", "sqlite:////nowhere/x.db"),
        ("there is no file", "file:/tmp/there-is-no-such-file.jsonl"),
        ("ended with status 3 .oh no.: echo oh no >&2; exit 3", "command:echo oh no >&2; exit 3"),
        ("prints no JSON", "command:echo hello"),
    ],
)
def test_not_there(expected: str, spec: str) -> None:
    """Nobody listens, nothing is there, or it fails."""
    spec = spec.replace("NOWHERE", unused_url().removeprefix("http://"))
    assert expected in trouble(spec, QUERY if "sql" in spec else None).replace("(", ".").replace(")", ".")


class TestCommand:
    """Tests for `im_callback.conformance.effects.command`."""

    @pytest.mark.parametrize("line", ["sleep 60", "sleep 60 & sleep 60", "trap '' TERM; sleep 60", "cat"])
    def test_time(self, line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """One that takes too long is ended with all that it started; it gets no input to wait for."""
        monkeypatch.setattr(command, "SECONDS", 0.3)
        spec = f"command:echo $$ > {tmp_path}/group; echo loading >&2; {line}"
        if line == "cat":
            with reading(spec) as read:
                assert [] == read()
            return
        assert "was not ready after 0.3 s and was ended (loading)" in trouble(spec)
        group = int((tmp_path / "group").read_text())
        end = time.monotonic() + 30
        # The system takes a moment to bury them.
        while _alive(group) and time.monotonic() < end:
            time.sleep(0.01)
        assert not _alive(group)

    def test_left_running(self) -> None:
        """What it leaves running is ended, and nobody waits for it."""
        with reading("command:sleep 60 & echo '[1]'") as read:
            assert [1] == read()

    def test_run(self, tmp_path: Path) -> None:
        """It runs in the folder where pytest was started; {run} is filled in."""
        with reading('command:echo "[\\"{run}\\", \\"$PWD\\"]"', folder=tmp_path, run="r7") as read:
            assert ["r7", str(tmp_path)] == read()


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


class TestFile:
    """Tests for `im_callback.conformance.effects.file`."""

    def test_half(self, tmp_path: Path) -> None:
        """A last line that is being written is not there yet; a whole object without an end of line is."""
        path = tmp_path / "e.jsonl"
        path.write_text('\ufeff{"n":1}\n\n{"n":', encoding="utf-8")
        with reading("file:e.jsonl", folder=tmp_path) as read:
            assert [{"n": 1}] == read()
            append(path, "2}")
            assert [{"n": 1}, {"n": 2}] == read()
            append(path, "\nstarted\nnull\n")
            assert [{"n": 1}, {"n": 2}, "started", None] == read()

    def test_rotated(self, tmp_path: Path) -> None:
        """A file that was renamed goes on in the next one; nothing is lost in between."""
        path = tmp_path / "e.jsonl"
        path.write_text('{"n":0}\n')
        with reading("file:e.jsonl", folder=tmp_path) as read:
            read.mark()
            append(path, '{"n":1}\n')
            assert [{"n": 1}] == read()
            append(path.rename(tmp_path / "e.jsonl.1"), '{"n":2}\n')
            assert [{"n": 1}, {"n": 2}] == read()
            path.write_text('{"n":3}\n')
            assert [{"n": 1}, {"n": 2}, {"n": 3}] == read()

    def test_written_anew(self, tmp_path: Path) -> None:
        """A file that was cut off, or holds something else now, is read from its beginning."""
        path = tmp_path / "e.jsonl"
        path.write_text('{"n":1}\n{"n":2}\n')
        with reading("file:e.jsonl", folder=tmp_path) as read:
            assert 2 == len(read())
            for text in ('{"n":3}\n', '{"n":4}\n{"n":5}\n', '{"n":6}\n{"n":7}\n{"n":8}\n'):
                path.write_text(text)
                assert [json.loads(line) for line in text.splitlines()] == read()


class TestDatabases:
    """Tests for `im_callback.conformance.effects.sql`, at all three."""

    def test_queries(self, tmp_path: Path, postgresql: Cluster, mariadb: Mariadb) -> None:
        """:run is a value of its own; other colons and per cent signs are the query's; columns have JSON's types."""
        for store in (Sqlite(tmp_path), Postgres(postgresql), MariadbTable(mariadb)):
            store.add({"n": 1, "id": "r7-1"}, {"n": 2, "id": "r8-1"}, {"n": 3, "id": "x'r7"})
            begins = "CONCAT('%', :run, '%')" if "mysql" in store.spec else "'%' || :run || '%'"
            query = f"SELECT sent, ':x 10:30' AS at FROM messages WHERE body LIKE {begins} ORDER BY sent DESC;"
            with reading(store.spec, query, run="r7") as read:
                read.mark()
                assert [{"sent": 3, "at": ":x 10:30"}, {"sent": 1, "at": ":x 10:30"}] == read()
            exact = "SELECT CAST(sent AS DECIMAL(9, 0)) AS d, NULL AS lacking FROM messages WHERE sent < 2"
            with reading(store.spec, exact) as read:
                assert [{"d": 1, "lacking": None}] == read()
            for wrong in ("SELECT x FROM messages", "SELECT body FROM nowhere"):
                assert "does not know what the query names" in trouble(store.spec, wrong)
            assert "does not answer the query" in trouble(store.spec, "SELECT FROM WHERE")
            assert "gives no rows" in trouble(store.spec, "DELETE FROM messages")
            with reading(store.spec, "SELECT count(*) AS n FROM messages") as read:
                assert [{"n": 3}] == read()
            store.close()

    def test_nobody_in(self, postgresql: Cluster, mariadb: Mariadb) -> None:
        """A wrong password, and a database that is not there."""
        assert "lets nobody in" in trouble(mariadb.url("mysql", password=WRONG), QUERY)
        assert "cannot be reached" in trouble(mariadb.url("nowhere"), QUERY)
        # The tests' PostgreSQL trusts everybody whom it knows.
        assert "lets nobody in" in trouble(postgresql.url("postgres").replace("postgres@", f"me:{WRONG}@"), QUERY)

    def test_hangs(
        self, tmp_path: Path, postgresql: Cluster, mariadb: Mariadb, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A query that takes too long is broken off, also where the whole server stands still; later it goes on."""
        monkeypatch.setattr(sql, "SECONDS", 1.0)
        endless = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r"
        store = Postgres(postgresql)
        store.add({"n": 1})
        slow = [
            (Sqlite(tmp_path).spec, endless),
            (store.spec, "SELECT pg_sleep(60)"),
            (mariadb.url("mysql"), "SELECT sleep(60)"),
        ]
        for spec, query in slow:
            assert "was not ready with the query after 1 s" in trouble(spec, query)
        with reading(store.spec, QUERY) as read:
            assert 1 == len(read())
            with postgresql.stopped(), pytest.raises(EffectsError, match="was not ready"):
                read()
            assert 1 == len(read())
        store.close()

    def test_lost_connection(self, postgresql: Cluster) -> None:
        """A connection that was closed at the other end is opened again for the next look."""
        store = Postgres(postgresql)
        with reading(store.spec, QUERY) as read:
            read()
            postgresql.sql(
                "postgres",
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'receiver-effects'",
            )
            with pytest.raises(EffectsError):
                read()
            assert [] == read()
        store.close()


class TestRedis:
    """Tests for `im_callback.conformance.effects.redis`."""

    def test_nobody_in(self, redis_port: int) -> None:
        """A wrong password, or none."""
        assert "lets nobody in" in trouble(f"redis://:{WRONG}@127.0.0.1:{redis_port}/k")
        assert "Give redis://USER:PASSWORD@" in trouble(f"redis://127.0.0.1:{redis_port}/k")

    @pytest.mark.parametrize(
        ("expected", "path", "commands"),
        [
            ([], "none", []),
            ([{"a": 1}], "text", [("SET", "text", '{"a":1}')]),
            ([{"a": 1}, 2], "texts", [("SET", "texts", '[{"a":1},2]')]),
            ([{"a": "1", "b": "x"}], "hash", [("HSET", "hash", "a", "1", "b", "x")]),
            (
                [{"a": 1, "_field": "f"}, {"a": 2, "_field": "g"}],
                "table",
                [("HSET", "table", "g", '{"a":2}', "f", '{"a":1}')],
            ),
            (["a", "b"], "set", [("SADD", "set", "b", "a")]),
            (["x", None, [1], {"a": 1}, "{"], "list", [("RPUSH", "list", "x", "null", "[1]", '{"a":1}', "{")]),
            ([{"a": "1", "b": "{}"}], "stream", [("XADD", "stream", "*", "a", "1", "b", "{}")]),
            ([{"a": 1}], "0/with%2Fslash%20", [("SET", "with/slash ", '{"a":1}')]),
            ([{"a": 1}], "a/b", [("SET", "a/b", '{"a":1}')]),
            (
                [{"a": "1", "_key": "user:9"}, {"a": "2", "_key": "user:10"}],
                "user:*",
                [("HSET", "user:10", "a", "2"), ("HSET", "user:9", "a", "1")],
            ),
            (
                [{"a": 1, "_key": "room:1"}, {"a": 2, "_key": "room:2"}],
                "room:*",
                [("RPUSH", "room:2", '{"a":2}'), ("RPUSH", "room:1", '{"a":1}')],
            ),
        ],
    )
    def test_shapes(self, expected: list[Any], path: str, commands: list[tuple[str, ...]], redis_port: int) -> None:
        """What a key holds says what a record is."""
        with redis.Redis(port=redis_port, password=PASSWORD) as client:
            client.flushdb()
            for one in commands:
                client.execute_command(*one)
            with reading(f"redis://:{PASSWORD}@127.0.0.1:{redis_port}/{path}", mapping="@") as read:
                assert expected == read()

    def test_cut(self, redis_port: int) -> None:
        """Lists and streams that are cut to a length, also where all that was there before the run is gone."""
        with redis.Redis(port=redis_port, password=PASSWORD) as client:
            client.flushdb()
            for n in range(20):
                client.rpush("behind", n)
                client.lpush("front", n)
                client.xadd("stream", {"n": n})
            base = f"redis://:{PASSWORD}@127.0.0.1:{redis_port}"
            with (
                reading(f"{base}/behind") as behind,
                reading(f"{base}/front") as front,
                reading(f"{base}/stream") as stream,
            ):
                for read in (behind, front, stream):
                    read.mark()
                for n in range(20, 40):
                    client.rpush("behind", n)
                    client.ltrim("behind", -10, -1)
                    client.lpush("front", n)
                    client.ltrim("front", 0, 9)
                    client.xadd("stream", {"n": n}, maxlen=10, approximate=False)
                    assert str(n) == behind()[-1] == front()[-1] == stream()[-1]["n"]
                # What the application cut off was recorded all the same.
                assert 20 == len(stream())
                client.delete("stream")
                assert [] == stream()
