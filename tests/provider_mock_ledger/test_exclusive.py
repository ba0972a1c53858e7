"""One process delivers from a ledger; others may look."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
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
from sqlalchemy import make_url

from tests.provider_mock_ledger.postgres import Cluster
from tests.provider_mock_ledger.values import done, new

OPEN = "import sys; from im_callback.provider_mock.delivery.ledger import Ledger; Ledger(sys.argv[1])"


class TestInUse:
    """The second to open it for delivery is told so."""

    def test_by_another_process(self, ledger: Ledger, url: str) -> None:
        """The error names the ledger and the way out."""
        other = subprocess.run([sys.executable, "-c", OPEN, url], capture_output=True, text=True, check=False)
        last = other.stderr.strip().splitlines()[-1]
        assert 1 == other.returncode
        assert "LedgerInUse: the ledger" in last
        assert "open it for reading only" in last
        if url.startswith("sqlite"):
            path = url.removeprefix("sqlite:///")
            assert f"{path} is in use: process {os.getpid()} holds {path}.lock" in last

    def test_by_another_object(self, ledger: Ledger, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two in one process would disturb each other as well."""
        monkeypatch.setattr("im_callback.provider_mock.delivery.ledger.database._LINGER_SECONDS", 0.0)
        with pytest.raises(LedgerInUse):
            Ledger(url)
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
