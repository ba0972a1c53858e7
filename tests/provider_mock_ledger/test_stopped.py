"""PostgreSQL that is stopped, hangs or is locked, SQLite that somebody else has locked, and disks that are full."""

from __future__ import annotations

import re
import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from im_callback.provider_mock.delivery.ledger import (
    Ledger,
    LedgerReader,
    LedgerUnavailable,
    bounded,
    database,
    patience,
    reader,
    writer,
)
from sqlalchemy import make_url, text

from tests.programs import needed
from tests.provider_mock_ledger.postgres import Cluster, cluster, programs
from tests.provider_mock_ledger.values import NOW, done, new
from tests.provider_mock_server.waiting import until

pytestmark = pytest.mark.long

Open = Callable[..., Ledger]
LONG = 60.0
"""Seconds that nothing here takes, unless it has no bound of its own."""


@pytest.fixture(scope="module")
def alone() -> Iterator[Cluster]:
    """A server that only this module's tests use: others would hang with it."""
    needed("initdb")
    found = programs()
    assert found is not None
    with cluster(found) as server:
        yield server


@contextmanager
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Shorter bounds than anybody would choose, so that tests do not wait for them."""
    with monkeypatch.context() as patched:
        patched.setattr(bounded, "ANSWER_SECONDS", 1.0)
        patched.setattr(reader, "READ_SECONDS", 1.5)
        yield


def within(seconds: float, use: Callable[[], object]) -> Any:
    """Return what came of a call, or the error, in a thread of its own; it fails where there is no end to it."""
    outcome: list[Any] = []

    def call() -> None:
        try:
            outcome.append(use())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it hangs"
    return outcome[0]


class TestStopped:
    """All processes of PostgreSQL stand still (SIGSTOP): no connection ends, and nothing is answered."""

    def test_every_call_ends(self, alone: Cluster, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        """With an error that says so; readers and writers go on by themselves afterwards, nothing is lost or twice."""
        with quick(monkeypatch):
            url = alone.new_schema()
            ledger = opened(url, patience=1.0)
            ids = ledger.accept([new(n=n) for n in range(10)])
            with LedgerReader(url) as other:
                other.counts()
                with alone.stopped():
                    assert "answer" in until(lambda: ledger.health().error)
                    assert 5 == ledger.record([done(one) for one in ids[:5]])
                    calls: list[Callable[[], object]] = [
                        lambda: ledger.accept([new()]),
                        ledger.flush,
                        ledger.counts,
                        ledger.deliveries,
                        lambda: ledger.due("shop", NOW, 10),
                        lambda: ledger.next_due("shop"),
                        lambda: ledger.release("shop"),
                        lambda: ledger.redeliver(ids),
                        lambda: ledger.prune(NOW),
                        lambda: ledger.put_setting("k", "v"),
                        lambda: ledger.setting("k"),
                        ledger.apps,
                        other.counts,
                        lambda: LedgerReader(url),
                    ]
                    with ThreadPoolExecutor(len(calls)) as pool:
                        found = list(pool.map(lambda call: within(LONG, call), calls))
                    assert [LedgerUnavailable] * len(calls) == [type(one) for one in found]
                    assert "answer" in ledger.health().error  # type: ignore[operator]
                assert until(lambda: ledger.health().error is None and not ledger.health().queued)
                assert 5 == until(lambda: other.counts()["acked"], 5)
                assert ids[5:] == [one.id for one in ledger.due("shop", NOW, 100)]
                assert not {*ids}.intersection(ledger.accept([new()]))
                assert 6 == ledger.counts()["waiting"]

    def test_all_connections_of_the_pool(self, alone: Cluster, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        """Hang at once, and are replaced."""
        with quick(monkeypatch):
            ledger = opened(alone.new_schema(), patience=1.0)
            ledger.accept([new()])

            def ask(wanted: type) -> bool:
                found: list[Any] = []
                threads = [
                    threading.Thread(target=lambda: found.append(within(LONG, ledger.counts))) for _ in range(30)
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                return {wanted} == {type(one) for one in found}

            assert ask(dict)
            with alone.stopped():
                assert ask(LedgerUnavailable)
            assert until(lambda: ledger.health().error is None)
            assert ask(dict)

    def test_a_commit_under_way(self, alone: Cluster, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        """May be carried out all the same: the caller is told, and its key finds it, once."""
        with quick(monkeypatch):
            ledger = opened(alone.new_schema(), patience=1.5)
            ledger.accept([new()])
            at_commit, go_on = threading.Event(), threading.Event()

            @contextmanager
            def slowly(connection: Any) -> Iterator[None]:
                with database.transaction(connection):
                    yield
                    at_commit.set()
                    go_on.wait(LONG)

            with monkeypatch.context() as patched:
                patched.setattr(writer, "transaction", slowly)
                found: list[Any] = []
                thread = threading.Thread(
                    target=lambda: found.append(within(LONG, lambda: ledger.accept([new(key="k")])))
                )
                thread.start()
                assert at_commit.wait(LONG)
            with alone.stopped():
                go_on.set()
                thread.join()
                (error,) = found
                assert isinstance(error, LedgerUnavailable)
                assert (None, True) == (error.stored, "it may be stored" in str(error))
            assert until(lambda: ledger.health().error is None)
            (stored,) = until(lambda: _accepted(ledger, new(key="k")))
            assert [stored] == ledger.accept([new(key="k")])
            assert 2 == ledger.counts()["waiting"]

    def test_known_for_long(self, alone: Cluster, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        """Then nobody waits any more, however long the patience: a crowd would be told one after the other."""
        with quick(monkeypatch):
            monkeypatch.setattr(database, "AWAY_SECONDS", 0.0)
            ledger = opened(alone.new_schema(), patience=LONG)
            ledger.accept([new()])
            with alone.stopped():
                with monkeypatch.context() as patched:
                    patched.setattr(ledger._writer, "_patience", 1.0)
                    assert isinstance(within(LONG, lambda: ledger.accept([new()])), LedgerUnavailable)
                    assert until(lambda: ledger._writer.health().error)
                    ledger._writer._patience = 0.0
                    with pytest.raises(LedgerUnavailable, match=r"takes nothing: .*the change is not stored"):
                        ledger.accept([new() for _ in range(1000)])
                    assert ledger.health().queued < 1000
                assert until(lambda: ledger._database.away)
                monkeypatch.setattr(ledger, "_read_once", lambda *_: pytest.fail("it asks"))
                with pytest.raises(LedgerUnavailable, match=r"answer.*it is tried again by itself"):
                    ledger.counts()

    def test_close(self, alone: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ends too, and says what is lost."""
        with quick(monkeypatch):
            ledger = Ledger(alone.new_schema(), patience=1.0)
            (delivery_id,) = ledger.accept([new()])
            with alone.stopped():
                ledger.record([done(delivery_id)])
                error = within(LONG, ledger.close)
                assert "the last attempts of 1 deliveries" in str(error)

    def test_opening(self, alone: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ends with an error, too; not the password is in it."""
        url = alone.new_schema()
        with alone.stopped():
            error = within(LONG, lambda: Ledger(f"{url}&connect_timeout=2"))
        assert isinstance(error, LedgerUnavailable)
        assert "timeout expired; see whether its server runs and answers" in str(error)


def _accepted(ledger: Ledger, one: Any) -> list[int]:
    try:
        return ledger.accept([one])
    except LedgerUnavailable:
        return []


class TestSlow:
    """One slow statement does not hold everything."""

    def test_a_read_has_an_end(self, url: str, opened: Open) -> None:
        """Whatever it asks for, on both databases."""
        ledger = opened(url)
        ledger.accept([new(n=n) for n in range(400)])
        endless = text("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t")
        error = within(LONG, lambda: ledger._read(endless, lambda result: result.all(), 0.3))  # type: ignore[arg-type]
        assert isinstance(error, LedgerUnavailable)
        assert re.search("interrupted|not answered", str(error))
        assert 400 == ledger.counts()["waiting"]
        assert 1 == len(ledger.accept([new()]))

    def test_the_earlier_end_counts(self) -> None:
        """Of limits inside each other."""
        assert 7.0 == patience.left(7.0)
        with patience.within(100), patience.within(1), patience.within(50):
            assert 0 < patience.left(7.0) <= 1
        with patience.within(-1):
            assert 0.0 == patience.left(7.0)
        assert 7.0 == patience.left(7.0)


class TestLocked:
    """Somebody else holds the ledger's lock."""

    @pytest.mark.parametrize("how", ["IMMEDIATE", "EXCLUSIVE"])
    def test_sqlite(self, how: str, tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        """Accepting ends in time, reading goes on, what was recorded is written when the lock is gone."""
        monkeypatch.setattr("im_callback.provider_mock.delivery.ledger.database.BUSY_SECONDS", 0.2)
        ledger = opened(str(tmp_path / "ledger.db"), patience=1.0)
        ids = ledger.accept([new() for _ in range(3)])
        with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
            other.execute(f"BEGIN {how}")
            with pytest.raises(LedgerUnavailable, match=r"database is locked; end what holds its lock.*is not stored"):
                ledger.accept([new()])
            assert 3 == ledger.record([done(one) for one in ids])
            assert "database is locked; end what holds its lock" in str(until(lambda: ledger.health().error))
            assert 3 == ledger.counts()["waiting"]
            with pytest.raises(LedgerUnavailable, match="takes nothing: database is locked"):
                ledger.due("shop", NOW, 10)
            other.execute("ROLLBACK")
        assert until(lambda: ledger.health().error is None and not ledger.health().queued)
        assert 3 == ledger.counts()["acked"]

    def test_postgresql(self, postgres: Cluster, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        """A lock on the tables blocks readers too; none of them waits without end."""
        monkeypatch.setattr("im_callback.provider_mock.delivery.ledger.database.LOCK_SECONDS", 0.3)
        url = postgres.new_database()
        ledger = opened(url, patience=2.0)
        (delivery_id,) = ledger.accept([new()])
        name = make_url(url).database
        with psycopg.connect(postgres.url(str(name)).replace("postgresql+psycopg", "postgresql")) as other:
            other.execute("LOCK TABLE delivery IN ACCESS EXCLUSIVE MODE")
            ledger.record([done(delivery_id)])
            assert "lock timeout; end what holds its lock" in until(lambda: ledger.health().error)
            for use in (ledger.counts, lambda: ledger.accept([new()])):
                with pytest.raises(LedgerUnavailable, match="lock timeout"):
                    use()
            other.rollback()
        assert until(lambda: ledger.health().error is None and not ledger.health().queued)
        assert 1 == ledger.counts()["acked"]


FILL = """
import sys
from im_callback.provider_mock.delivery.ledger import Ledger, LedgerUnavailable
from tests.provider_mock_ledger.values import NOW, done, new
from tests.provider_mock_server.waiting import until
ledger = Ledger(sys.argv[1], patience=1.5)
accepted = ledger.accept([new(text="x" * 1000) for _ in range(20)])
print("ready", flush=True)
sys.stdin.readline()
for size in 20_000, 1000, 10:
    try:
        while True:
            accepted += ledger.accept([new(text="x" * size)])
    except LedgerUnavailable as error:
        said = str(error)
print(said, flush=True)
recorded = ledger.record([done(one) for one in accepted[:10]])
print(until(lambda: ledger.health().error), flush=True)
try:
    due = ledger.due("shop", NOW, 1)
except LedgerUnavailable as error:
    due = []
print(len(due), ledger.counts()["waiting"] >= 20, flush=True)
sys.stdin.readline()
until(lambda: not ledger.health().error and not ledger.health().queued)
accepted += ledger.accept([new(text="x" * 20_000)])
print(recorded, *accepted, flush=True)
ledger.close()
"""


def may_mount() -> bool:
    """Return whether this process may put a disk somewhere (CAP_SYS_ADMIN)."""
    status = Path("/proc/self/status").read_text()
    return bool(int(re.findall(r"CapEff:\s*(\w+)", status)[0], 16) & 1 << 21)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Put a disk of a megabyte in a folder's place."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class TestFull:
    """The disk takes no more."""

    @contextmanager
    def filling(self, path: Path) -> Iterator[tuple[subprocess.Popen[str], Callable[[], str], Callable[[], None]]]:
        """Run a process that accepts until nothing goes in; give its lines, and what lets it go on."""
        with subprocess.Popen(
            [sys.executable, "-c", FILL, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            read, stdin = process.stdout.readline, process.stdin
            try:
                yield process, lambda: read().strip(), lambda: print(file=stdin, flush=True)
            finally:
                process.kill()

    def test_no_file_may_grow(self, tmp_path: Path) -> None:
        """As far as the process is concerned; it goes on as soon as there is room."""
        path = tmp_path / "ledger.db"
        with self.filling(path) as (process, line, go_on):
            assert "ready" == line()
            unlimited = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            size = path.with_name("ledger.db-wal").stat().st_size + 300_000
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, unlimited[1]))
            go_on()
            # After an I/O error at the commit it is not known what came of it.
            self._refused(line, "(disk I/O error|disk is full); make room on its disk.*(is not|may be) stored")
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, unlimited)
            go_on()
            there = line()
            process.wait(LONG)
        self._all_there(path, there)

    # Elsewhere it does not exist: the test above shows the same, wherever it runs.
    if may_mount():

        def test_a_small_disk(self, tmp_path: Path) -> None:
            """Of memory; it goes on when a file is deleted there."""
            folder = tmp_path / "disk"
            folder.mkdir()
            with small_disk(folder):
                ballast = folder / "ballast"
                ballast.write_bytes(b"x" * 500_000)
                with self.filling(folder / "ledger.db") as (process, line, go_on):
                    assert "ready" == line()
                    go_on()
                    self._refused(line, "disk is full; make room on its disk.*is not stored")
                    ballast.unlink()
                    go_on()
                    there = line()
                    process.wait(LONG)
                self._all_there(folder / "ledger.db", there)

    def _refused(self, line: Callable[[], str], said: str) -> None:
        error, health, then = line(), line(), line()
        assert re.search(said, error)
        assert "make room on its disk" in health
        assert "0 True" == then

    def _all_there(self, path: Path, line: str) -> None:
        recorded, *ids = map(int, line.split())
        assert 10 == recorded
        with Ledger(str(path)) as ledger:
            assert sorted(ids[10:]) == [one.id for one in ledger.due("shop", NOW, 10_000)]
            assert 10 == ledger.counts()["acked"]
