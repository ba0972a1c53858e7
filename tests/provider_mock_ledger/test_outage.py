"""The database fails: nothing that was handed in is lost, nobody waits for ever, nothing is stored twice."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from im_callback.provider_mock.delivery.ledger import (
    Ledger,
    LedgerReader,
    LedgerUnavailable,
    database,
    rows,
    writer,
)
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import OperationalError

from tests.provider_mock_ledger.postgres import Cluster
from tests.provider_mock_ledger.values import NOW, done, new


class Failing:
    """Stands in for `rows.write` and breaks the connection as often as told; `tried` is set at the second time."""

    def __init__(self) -> None:
        self.before = self.tries = 0
        self.failed = False
        self.tried = threading.Event()
        self._write = rows.write

    def __call__(self, *arguments: Any, **options: Any) -> None:
        self.tries += 1
        if self.before:
            self.before -= 1
            if self.failed:
                self.tried.set()
            self.failed = True
            raise OperationalError("INSERT", None, Exception("the connection broke\nat this point"))
        self._write(*arguments, **options)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Breaks connections."""
    replacement = Failing()
    monkeypatch.setattr(rows, "write", replacement)
    monkeypatch.setattr("im_callback.provider_mock.delivery.ledger.writer.FIRST_PAUSE", 0.001)
    return replacement


class TestTriedAgain:
    """With growing pauses, until it works."""

    def test_accept_succeeds_in_the_end(self, ledger: Ledger, failing: Failing) -> None:
        """The caller only notices that it took longer."""
        failing.before = 3
        ids = ledger.accept([new(n=n) for n in range(3)])
        assert (ids, 4) == ([w.id for w in ledger.due("shop", NOW, 10)], failing.tries)

    def test_records_are_kept(self, ledger: Ledger, failing: Failing, caplog: pytest.LogCaptureFixture) -> None:
        """In order, and health tells while it lasts."""
        ids = ledger.accept([new() for _ in range(20)])
        failing.before = 10**6
        for delivery_id in ids:
            ledger.record([done(delivery_id, 1, "waiting")])
            ledger.record([done(delivery_id, 2, "acked")])
        assert failing.tried.wait(60)
        assert 40 == ledger.health().queued
        assert ("the connection broke at this point", True) == (
            ledger.health().error,
            ledger.health().failing_seconds is not None,
        )
        with pytest.raises(LedgerUnavailable, match="takes nothing: the connection broke at this point"):
            ledger.due("shop", NOW, 100)
        failing.before = 0
        ledger.flush()
        assert [] == ledger.due("shop", NOW, 100)
        assert 20 == ledger.counts()["acked"]
        assert [1, 2] == [attempt.number for attempt in ledger.attempts(ids[-1])]
        assert (None, 0) == (ledger.health().error, ledger.health().queued)
        assert 1 == caplog.text.count("fails, and is tried again")

    def test_a_commit_of_unknown_fate(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        """The connection breaks after the commit was carried out; trying again stores nothing twice."""
        (before,) = ledger.accept([new(key="before")])
        execute, broken = ledger._writer._execute, threading.Event()

        def commit_and_break(group: Any, *, again: bool) -> None:
            execute(group, again=again)
            if not broken.is_set():
                broken.set()
                raise OperationalError("COMMIT", None, Exception("the connection broke"))

        monkeypatch.setattr(ledger._writer, "_execute", commit_and_break)
        ids = ledger.accept([new(n=1), new(key="before"), new(key="k", n=2), new(key="k"), new(n=3)])
        assert ([before, ids[2]], 4) == ([ids[1], ids[3]], len(set(ids)))
        assert [before, ids[0], ids[2], ids[4]] == [w.id for w in ledger.due("shop", NOW, 10)]
        broken.clear()
        ledger.record([done(before)])
        ledger.flush()
        assert 1 == len(ledger.attempts(before))


def impatient(ledger: Ledger, after: threading.Event | None = None, seconds: float = 0.05) -> None:
    """Let a ledger wait for a moment only, which begins when something has happened, however slow the machine is."""
    wait_for = ledger._writer._wait_for

    def waiting(call: Any) -> Any:
        wait = call.done.wait
        call.done.wait = lambda timeout: (after is None or after.wait(60)) and wait(timeout)
        return wait_for(call)

    ledger._writer._patience = seconds
    ledger._writer._wait_for = waiting  # type: ignore[method-assign]


def patient(ledger: Ledger) -> None:
    """Let a ledger wait as long as it must."""
    ledger._writer._patience = 60


class TestPatience:
    """Bounds every wait."""

    def test_accept(self, ledger: Ledger, failing: Failing) -> None:
        """What was given up is not stored later, and the error says so."""
        impatient(ledger, failing.tried)
        failing.before = 10**6
        with pytest.raises(LedgerUnavailable, match=r"the connection broke.*; it is not stored") as caught:
            ledger.accept([new(n=1)])
        assert caught.value.stored is False
        failing.before = 0
        patient(ledger)
        (delivery_id,) = ledger.accept([new(n=2)])
        assert [delivery_id] == [w.id for w in ledger.due("shop", NOW, 10)]

    def test_accept_while_the_database_is_locked(self, tmp_path: Path, opened: Callable[..., Ledger]) -> None:
        """By someone who writes to the file behind our back; what was given up is not stored afterwards."""
        ledger = opened(str(tmp_path / "ledger.db"))
        impatient(ledger)
        with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerUnavailable, match="it is not stored"):
                ledger.accept([new(n=1)])
            other.execute("ROLLBACK")
        patient(ledger)
        ledger.accept([new(n=2)])
        assert [{"n": 2}] == [w.payloads[0] for w in ledger.due("shop", NOW, 10)]

    def test_accept_while_a_commit_hangs(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whether it is stored cannot be known, and the error says so."""
        hangs, go_on = threading.Event(), threading.Event()

        @contextmanager
        def hanging(connection: Connection) -> Iterator[None]:
            with database.transaction(connection):
                yield
                hangs.set()
                go_on.wait()

        impatient(ledger, hangs)
        monkeypatch.setattr(writer, "transaction", hanging)
        with pytest.raises(LedgerUnavailable, match="may be stored") as caught:
            ledger.accept([new()])
        assert caught.value.stored is None
        go_on.set()

    def test_record(self, url: str, opened: Callable[..., Ledger], failing: Failing) -> None:
        """Nobody waits: as many as there is room for are taken, the first ones, and more when there is room again."""
        ledger = opened(url, queued_attempts=10, group_rows=5)
        (delivery_id,) = ledger.accept([new()])
        failing.before = 10**6
        dones = [done(delivery_id, number, "waiting") for number in range(1, 101)]
        taken = ledger.record(dones[:1])
        assert failing.tried.wait(60)
        taken += ledger.record(dones[taken:])
        assert (11, 0) == (taken, ledger.record(dones[taken:]))
        failing.before = 0
        ledger.flush()
        while taken < len(dones):
            taken += ledger.record(dones[taken:])
        ledger.flush()
        assert list(range(1, 101)) == [attempt.number for attempt in ledger.attempts(delivery_id)]

    def test_close(self, url: str, opened: Callable[..., Ledger], failing: Failing) -> None:
        """Says how much could not be written, ends its thread and gives the ledger back."""
        ledger = opened(url)
        ids = ledger.accept([new() for _ in range(3)])
        impatient(ledger)
        failing.before = 10**6
        for delivery_id in ids:
            ledger.record([done(delivery_id)])
        with pytest.raises(LedgerUnavailable, match="the last attempts of 3 deliveries"):
            ledger.close()
        ledger._writer._thread.join(60)
        assert not ledger._writer._thread.is_alive()
        failing.before = 0
        assert ids == [w.id for w in opened(url).due("shop", NOW, 10)]

    def test_a_thread_waiting_while_it_closes(self, url: str, opened: Callable[..., Ledger], failing: Failing) -> None:
        """Is told, not left waiting."""
        ledger, errors = opened(url, patience=60), list[Exception]()
        failing.before = 10**6

        def work() -> None:
            try:
                ledger.accept([new()])
            except LedgerUnavailable as error:
                errors.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        assert failing.tried.wait(60)
        impatient(ledger)
        ledger.close()
        thread.join()
        assert 1 == len(errors)


class TestRestart:
    """PostgreSQL goes away and comes back."""

    def test_nothing_is_lost(self, postgres: Cluster, opened: Callable[..., Ledger]) -> None:
        """Attempts recorded meanwhile are written, callers that waited get their ids, readers go on."""
        url = postgres.new_database()
        ledger = opened(url, patience=60)
        ids = ledger.accept([new(n=n) for n in range(50)])
        assert 50 == ledger.counts()["waiting"]
        got: list[int] = []
        with LedgerReader(url) as reader:
            reader.counts()
            postgres.stop()
            try:
                for delivery_id in ids[:30]:
                    ledger.record([done(delivery_id)])
                thread = threading.Thread(target=lambda: got.extend(ledger.accept([new(n=99, key="k")])))
                thread.start()
                with pytest.raises(LedgerUnavailable, match="see to the database"):
                    ledger.counts()
            finally:
                postgres.start()
            thread.join()
            assert reader.counts()["acked"] == 30
        assert [*ids[30:], *got] == [w.id for w in ledger.due("shop", NOW, 100)]
        assert got == ledger.accept([new(key="k")])

    def test_others_meanwhile(self, postgres: Cluster, opened: Callable[..., Ledger]) -> None:
        """What another process has written since is in nobody's way."""
        url = postgres.new_database()
        ledger = opened(url)
        ledger.accept([new()])
        name = make_url(url).database
        kill = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        postgres.sql("postgres", kill)
        with opened(url) as other:
            assert [2] == other.accept([new()])
        assert [3] == ledger.accept([new()])
        assert 1 == ledger.record([done(1)])
        ledger.flush()
        assert (2, 1) == (ledger.counts()["waiting"], ledger.counts()["acked"])
