"""One process delivers from a file, several from a PostgreSQL database; others may look."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from im_callback.provider_mock.delivery.ledger import (
    Ledger,
    LedgerError,
    LedgerInUse,
    LedgerMissing,
    LedgerReader,
    LedgerUnavailable,
    NotALedger,
)
from im_callback.provider_mock.delivery.ledger.migrations.upgrade import TABLE
from sqlalchemy import NullPool, create_engine, make_url

from tests.provider_mock_ledger.postgres import Cluster
from tests.provider_mock_ledger.values import done, new

OPEN = "import sys; from im_callback.provider_mock.delivery.ledger import Ledger; Ledger(sys.argv[1])"


class TestInUse:
    """The second to open a file for delivery is told so."""

    def test_by_another_process(self, tmp_path: Path, opened: Callable[..., Ledger]) -> None:
        """The error names the ledger and the way out."""
        path = tmp_path / "ledger.db"
        opened(str(path))
        other = subprocess.run([sys.executable, "-c", OPEN, str(path)], capture_output=True, text=True, check=False)
        last = other.stderr.strip().splitlines()[-1]
        assert 1 == other.returncode
        assert "LedgerInUse: the ledger" in last
        assert "open it for reading only" in last
        assert f"{path} is in use: process {os.getpid()} holds {path}.lock" in last

    def test_by_another_object(self, tmp_path: Path, opened: Callable[..., Ledger]) -> None:
        """Two in one process would disturb each other as well."""
        ledger = opened(str(tmp_path / "ledger.db"))
        with pytest.raises(LedgerInUse):
            Ledger(str(tmp_path / "ledger.db"))
        ledger.accept([new()])

    def test_through_another_name(self, tmp_path: Path, opened: Callable[..., Ledger]) -> None:
        """A symbolic link leads to the same ledger."""
        opened(str(tmp_path / "ledger.db"))
        (tmp_path / "link.db").symlink_to(tmp_path / "ledger.db")
        with pytest.raises(LedgerInUse):
            Ledger(f"sqlite:///{tmp_path / 'link.db'}")

    def test_free_after_closing(self, url: str, opened: Callable[..., Ledger]) -> None:
        """Also when opening failed half-way."""
        for _ in range(3):
            opened(url).close()

    def test_schemas_of_one_database(self, postgres: Cluster, opened: Callable[..., Ledger]) -> None:
        """Each schema is a ledger of its own."""
        url = postgres.new_database()
        name = make_url(url).database
        postgres.sql(name, "CREATE SCHEMA one; CREATE SCHEMA two")
        one, two = (opened(f"{url}&options=-csearch_path%3D{schema}") for schema in ("one", "two"))
        assert (2, 1) == (len(one.accept([new(), new()])), len(two.accept([new()])))
        assert (2, 1) == (one.counts()["waiting"], two.counts()["waiting"])


class TestShared:
    """Several processes have a PostgreSQL database open for delivery."""

    @pytest.fixture
    def both(self, postgres: Cluster, opened: Callable[..., Ledger]) -> tuple[Ledger, Ledger]:
        """Two ledgers of one database."""
        url = postgres.new_schema()
        return opened(url), opened(url)

    def test_ids(self, both: tuple[Ledger, Ledger]) -> None:
        """No id is given twice, those of a call follow one another, and later calls have higher ones."""
        ids = [both[n % 2].accept([new() for _ in range(1 + n % 3)]) for n in range(30)]
        flat = [one for each in ids for one in each]
        assert sorted(set(flat)) == flat
        assert all(each == list(range(each[0], each[0] + len(each))) for each in ids)

    def test_ids_at_once(self, both: tuple[Ledger, Ledger]) -> None:
        """Also while both accept all the time."""
        ids: list[int] = []

        def accept(ledger: Ledger) -> None:
            for _ in range(50):
                got = ledger.accept([new(), new(), new()])
                assert got == [got[0], got[0] + 1, got[0] + 2]
                ids.extend(got)

        threads = [threading.Thread(target=accept, args=(one,)) for one in both for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 600 == len(set(ids)) == both[0].counts()["waiting"]

    def test_idempotency_key(self, both: tuple[Ledger, Ledger]) -> None:
        """A key that one has taken is known to the other."""
        first = both[0].accept([new(key="k")])
        assert first == both[1].accept([new(key="k")])
        assert 1 == both[1].counts()["waiting"]

    def test_ids_go_on(self, postgres: Cluster, opened: Callable[..., Ledger]) -> None:
        """After the newest were deleted, and after a release that gave ids without the others."""
        url = postgres.new_database()
        with opened(url) as ledger:
            ids = ledger.accept([new(), new()])
            ledger.record([done(one) for one in ids])
            ledger.flush()
            assert 2 == ledger.prune(2**60)
        postgres.sql(
            make_url(url).database, "INSERT INTO setting VALUES ('x', 'y'); ALTER SEQUENCE delivery_ids RESTART"
        )
        with opened(url) as ledger:
            assert [3] == ledger.accept([new()])

    def test_a_process_of_an_earlier_release(
        self, postgres: Cluster, opened: Callable[..., Ledger], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It has the database for itself, and knows of no leases."""
        monkeypatch.setattr("im_callback.provider_mock.delivery.ledger.database._LINGER_SECONDS", 0.0)
        url = postgres.new_database()
        opened(url).close()
        engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
        with engine.connect() as other:
            other.exec_driver_sql(f"SELECT pg_advisory_lock({0x1EDCE4}, hashtext(current_schema()))")
            with pytest.raises(LedgerInUse, match="a process of an earlier release"):
                Ledger(url)
        monkeypatch.undo()
        opened(url)

    def test_upgrade_while_others_deliver(self, postgres: Cluster, opened: Callable[..., Ledger]) -> None:
        """What another process works with is not changed below it."""
        url = postgres.new_database()
        opened(url)
        postgres.sql(make_url(url).database, f"UPDATE {TABLE} SET version_num = '0006'")
        with pytest.raises(LedgerInUse, match="other processes deliver from it; stop them all"):
            Ledger(url)


class TestReading:
    """Inspection beside a running server."""

    def test_sees_what_is_committed(self, ledger: Ledger, url: str) -> None:
        """While the other goes on."""
        with LedgerReader(url) as reader:
            for expected in range(1, 4):
                (delivery_id,) = ledger.accept([new()])
                assert expected == reader.counts()["waiting"]
            ledger.record([done(delivery_id)])
            ledger.flush()
            assert 1 == len(reader.attempts(delivery_id))

    def test_cannot_write(self, ledger: Ledger, url: str) -> None:
        """The connection itself refuses."""
        with LedgerReader(url) as reader, reader._database.readers.connect() as connection:
            with pytest.raises(Exception, match=r"read-?only"):
                connection.exec_driver_sql("DELETE FROM delivery")

    def test_without_a_writer(self, url: str, opened: Callable[..., Ledger]) -> None:
        """A ledger that nobody has open can be read."""
        with opened(url) as ledger:
            ledger.accept([new()])
        with LedgerReader(url) as reader:
            assert 1 == reader.counts("shop")["waiting"]

    def test_missing(self, tmp_path: Path) -> None:
        """Nothing is made by looking."""
        with pytest.raises(LedgerMissing, match="does not exist"):
            LedgerReader(f"sqlite:///{tmp_path / 'none.db'}")
        assert [] == list(tmp_path.iterdir())


class TestUrl:
    """What a ledger can be given by."""

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("sqlite://", "has no file"),
            ("sqlite:///:memory:", "has no file"),
            ("", "has no file"),
            ("sqlite:///x.db?mode=memory", "write only the path"),
            ("mysql://user:s3cr3t@host/db", "neither SQLite nor PostgreSQL"),
            ("://", "cannot be read"),
            ("/no/such/folder/ledger.db", "make the folder first"),
        ],
    )
    def test_refused(self, url: str, said: str) -> None:
        """With a reason, and without the password."""
        with pytest.raises(LedgerError, match=said) as caught:
            Ledger(url)
        assert "s3cr3t" not in str(caught.value)

    @pytest.mark.parametrize("name", ["led ger?x=1#y%41.db", "分类账.db"])
    def test_any_file_name(self, tmp_path: Path, name: str, opened: Callable[..., Ledger]) -> None:
        """A path is taken as it is."""
        with opened(str(tmp_path / name)) as ledger:
            ledger.accept([new()])
        with LedgerReader(str(tmp_path / name)) as reader:
            assert 1 == reader.counts()["waiting"]
        assert (tmp_path / name).is_file()

    def test_a_server_that_is_not_there(self, tmp_path: Path) -> None:
        """Neither in the error nor in the repr a password."""
        with pytest.raises(LedgerUnavailable, match="cannot be used") as caught:
            Ledger(f"postgresql://me:s3cr3t@/db?host={tmp_path}&password=s3cr3t")
        assert "s3cr3t" not in str(caught.value)

    def test_a_file_of_something_else(self, tmp_path: Path) -> None:
        """It is left alone."""
        path = tmp_path / "other.db"
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE app (x)")
        connection.close()
        before = path.read_bytes()
        path.chmod(0o644)
        with pytest.raises(NotALedger, match="tables called app"):
            Ledger(str(path))
        assert "0o100644" == oct(path.stat().st_mode)
        (tmp_path / "text.db").write_text("no database at all, but text of some length" * 100)
        with pytest.raises(LedgerError):
            Ledger(str(tmp_path / "text.db"))
        assert before[100:] == path.read_bytes()[100:]

    def test_another_encoding(self, postgres: Cluster) -> None:
        """PostgreSQL must be able to store every text."""
        with pytest.raises(NotALedger, match="encoded in LATIN1"):
            Ledger(postgres.new_database(options="ENCODING 'LATIN1'"))

    def test_accepted_means_on_disk(self, postgres: Cluster, opened: Callable[..., Ledger]) -> None:
        """Even where the database would not wait for its disk."""
        url = postgres.new_database()
        name = make_url(url).database
        postgres.sql(name, f"ALTER DATABASE {name} SET synchronous_commit = off")
        ledger = opened(url)
        assert "on" == ledger._writer.run(lambda c: c.exec_driver_sql("SHOW synchronous_commit").scalar())

    def test_sqlite_waits_for_the_disk(self, tmp_path: Path, opened: Callable[..., Ledger]) -> None:
        """Write-ahead log, with a sync at every commit."""
        ledger = opened(str(tmp_path / "ledger.db"))
        pragmas = ("journal_mode", "synchronous")
        assert ["wal", 2] == ledger._writer.run(
            lambda c: [c.exec_driver_sql(f"PRAGMA {pragma}").scalar() for pragma in pragmas]
        )
