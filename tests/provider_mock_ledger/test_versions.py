"""Versions of the database: made, brought up to date, refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from im_callback.provider_mock.delivery.ledger import Ledger, LedgerOutdated, LedgerReader, LedgerTooNew, models
from im_callback.provider_mock.delivery.ledger.database import Database, transaction
from im_callback.provider_mock.delivery.ledger.migrations.upgrade import STEPS, TABLE, VERSION, climb, upgrade, version
from sqlalchemy import Connection, make_url

from tests.provider_mock_ledger.postgres import Cluster
from tests.provider_mock_ledger.values import NOW, done, new

HERE = Path(__file__).parent


def changed(url: str, statement: str) -> None:
    """Run a statement in a database that nobody has open."""
    database = Database(url)
    connection = database.writer()
    with transaction(connection):
        connection.exec_driver_sql(statement)
    connection.close()
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def of_version_1(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database as version 1 left it, with rows in every table; its text was written then and is not made anew."""
    text = (HERE / f"version_1.{request.param}.sql").read_text()
    if request.param == "sqlite":
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
            connection.executescript(text)
        return str(tmp_path / "ledger.db")
    server: Cluster = request.getfixturevalue("postgres")
    url = server.new_database()
    server.sql(make_url(url).database, text)
    return url


class TestUpgrade:
    """On opening for delivery."""

    @pytest.mark.parametrize("by_steps", [False, True], ids=["at once", "by steps"])
    def test_makes_what_the_models_say(self, by_steps: bool, url: str) -> None:
        """Steps and models do not drift apart."""
        database = Database(url)
        connection = database.writer()
        with transaction(connection):
            if by_steps:
                climb(connection, STEPS, VERSION)
            else:
                upgrade(connection, "here")
            context = MigrationContext.configure(
                connection, opts={"version_table": TABLE, "compare_type": True, "compare_server_default": True}
            )
            assert [] == compare_metadata(context, models.metadata)
            assert VERSION == version(connection, "here")
        connection.close()
        database.close()

    def test_the_same_either_way(self, tmp_path: Path) -> None:
        """Tables, columns in their order, keys and partial indexes are those that the steps make."""

        def made(name: str, make: Callable[[Connection], object]) -> list[object]:
            database = Database(str(tmp_path / name))
            connection = database.writer()
            with transaction(connection):
                make(connection)
            names = sorted((*models.metadata.tables, TABLE))
            found: list[object] = [
                connection.exec_driver_sql(f"PRAGMA table_xinfo({table})").fetchall() for table in names
            ]
            indexes = connection.exec_driver_sql(
                "SELECT name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name"
            )
            found.append([(name, sql and " ".join(sql.split())) for name, sql in indexes])
            found.append(connection.exec_driver_sql("SELECT name, wr FROM pragma_table_list ORDER BY name").fetchall())
            connection.close()
            database.close()
            return found

        assert made("steps.db", lambda c: climb(c, STEPS, VERSION)) == made("once.db", lambda c: upgrade(c, "here"))

    def test_the_last_step_is_the_newest(self) -> None:
        """One file for each version, numbered without gaps."""
        numbers = sorted(int(path.name[1:5]) for path in (STEPS / "versions").glob("v*.py"))
        assert list(range(1, VERSION + 1)) == numbers

    def test_from_version_1(self, of_version_1: str, opened: Callable[..., Ledger]) -> None:
        """Everything is still there and goes on as before."""
        ledger = opened(of_version_1)
        assert 1 == ledger.upgraded_from
        assert {"waiting": 2, "acked": 1, "declined": 0, "dropped": 0, "parked": 1} == ledger.counts()
        first, second = ledger.due("shop", NOW, 10)
        assert ({"msgidServer": 2**53 + 1, "body": "你好"},) == first.payloads
        assert (1, 0, "timed out", ("timed out",)) == (
            first.attempts,
            first.earlier,
            first.last_outcome,
            first.outcomes,
        )
        assert "n-1" == first.signed.nonce  # type: ignore[union-attr]
        assert (0, ()) == (second.attempts, second.outcomes)
        assert [("refused", "", None, ""), ("acked", "", None, "")] == [
            (attempt.outcome, attempt.request, attempt.body, attempt.answer) for attempt in ledger.attempts(3)
        ]
        assert [2] == ledger.accept([new(key="key-2")])
        # Those that several processes draw may be left out.
        assert ledger.accept([new()]) in ([10], [11])
        assert ("env:SHOP", "on") == (ledger.apps()[0].secret_ref, ledger.setting("colour"))
        ledger.record([done(first.id, 2)])
        assert 1 == ledger.release("shop")
        assert 2 == ledger.prune(NOW + 1)
        ledger.close()
        assert VERSION == opened(of_version_1).upgraded_from

    def test_reading_does_not_upgrade(self, of_version_1: str) -> None:
        """Who only looks changes nothing."""
        for _ in range(2):
            with pytest.raises(LedgerOutdated, match=f"is of version 1 and this release reads {VERSION}"):
                LedgerReader(of_version_1)

    def test_a_step_that_fails(self, of_version_1: str, opened: Callable[..., Ledger], tmp_path: Path) -> None:
        """Leaves the version before it, whole."""
        steps = tmp_path / "steps"
        (steps / "versions").mkdir(parents=True)
        for path in (STEPS / "env.py", *(STEPS / "versions").glob("v*.py")):
            (steps / path.relative_to(STEPS)).write_text(path.read_text())
        (steps / "versions/fails.py").write_text(
            f"from alembic import op\nrevision, down_revision = '{VERSION + 1:04}', '{VERSION:04}'\n"
            "def upgrade():\n    op.execute('CREATE TABLE half (x integer)')\n    raise RuntimeError('half-way')\n"
        )
        database = Database(of_version_1)
        connection = database.writer()
        with pytest.raises(RuntimeError, match="half-way"), transaction(connection):
            upgrade(connection, "here", steps=steps, newest=VERSION + 1)
        connection.close()
        database.close()
        assert 1 == opened(of_version_1).upgraded_from


class TestTooNew:
    """A database of a later release."""

    def test_is_refused(self, url: str, opened: Callable[..., Ledger]) -> None:
        """For delivery and for reading, with what to do; it stays as it is."""
        opened(url).close()
        changed(url, f"UPDATE {TABLE} SET version_num = '{VERSION + 1:04}'")
        for open_ in (Ledger, LedgerReader):
            with pytest.raises(LedgerTooNew, match=f"is of version {VERSION + 1} .* up to {VERSION}; upgrade"):
                open_(url)
        changed(url, f"UPDATE {TABLE} SET version_num = '{VERSION:04}'")
        opened(url).accept([new()])
