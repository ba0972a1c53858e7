"""Leases in a real database: taken, renewed, ended, handed over; and what a process may write without one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack

import psycopg
import pytest
from im_callback.provider_mock.delivery.clock import steady
from im_callback.provider_mock.delivery.ledger import Ledger, LedgerUnavailable
from im_callback.provider_mock.delivery.ledger.leases import LEASE_SECONDS, Process
from im_callback.provider_mock.delivery.ledger.records import FINE, Failing
from im_callback.provider_mock.delivery.ledger.told import ACCEPTED, APP, LEASE
from sqlalchemy import make_url

from tests.provider_mock_ledger.postgres import Cluster
from tests.provider_mock_ledger.values import done, new
from tests.provider_mock_server.waiting import until


def everything(
    held: Mapping[str, Failing], free: Mapping[str, int | None], processes: Sequence[Process]
) -> Collection[str]:
    """Take all that is free."""
    return list(free)


def nothing(*_: object) -> Collection[str]:
    """Take nothing."""
    return ()


class Shared:
    """A database that two processes share: `one` and `two`, each with its ledger and its leases."""

    def __init__(self, postgres: Cluster, stack: ExitStack) -> None:
        self.url = postgres.new_database()
        self._postgres = postgres
        self.ledgers, self.leases = [], []
        for name in ("one", "two"):
            ledger = stack.enter_context(Ledger(self.url))
            leases = ledger.leases(name, f"{name}:1")
            assert leases is not None
            stack.callback(leases.close)
            self.ledgers.append(ledger)
            self.leases.append(leases)

    def sql(self, statement: str) -> None:
        """Run a statement."""
        self._postgres.sql(make_url(self.url).database, statement)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Return what a query finds."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(query.encode()).fetchall()

    def end_leases(self) -> None:
        """Let the time pass in which leases hold."""
        self.sql("UPDATE lane SET until = until - 10000")


@pytest.fixture
def shared(postgres: Cluster) -> Iterator[Shared]:
    """A new one."""
    with ExitStack() as stack:
        yield Shared(postgres, stack)


class TestTaken:
    """One process has a lease at a time."""

    def test_first(self, shared: Shared) -> None:
        """The first that asks gets it, and the other sees who has it."""
        one, two = shared.leases
        before = steady()
        mine = one.beat(["a", "b"], everything)
        assert (["a", "b"], {"a", "b"}, {"a": FINE, "b": FINE}) == (sorted(mine.held), mine.taken, mine.held)
        assert before < mine.until - LEASE_SECONDS + 1 < steady() + 1
        theirs = two.beat(["a", "b"], everything)
        assert ({}, {"a": "one", "b": "one"}) == (theirs.held, theirs.holders)
        assert ["one", "two"] == [process.id for process in theirs.processes]

    def test_renewed(self, shared: Shared) -> None:
        """It holds as long as it is renewed."""
        one, two = shared.leases
        one.beat(["a"], everything)
        again = one.beat(["a"], nothing)
        assert (["a"], frozenset()) == (list(again.held), again.taken)
        assert {} == two.beat(["a"], everything).held

    def test_ended(self, shared: Shared) -> None:
        """Once it has ended the other takes it, and the first hears of that when it renews."""
        one, two = shared.leases
        one.beat(["a"], everything)
        shared.end_leases()
        assert ["a"] == list(two.beat(["a"], everything).held)
        mine = one.beat(["a"], everything)
        assert ({}, {"a": "two"}) == (mine.held, mine.holders)

    def test_cut_off(self, shared: Shared) -> None:
        """One that was cut off in the middle of renewing keeps nobody out: PostgreSQL ends what it has begun."""
        one, two = shared.leases
        one.beat(["a"], everything)
        assert one._connection is not None
        one._connection.exec_driver_sql("BEGIN")
        one._connection.exec_driver_sql("SELECT * FROM lane FOR UPDATE")
        assert ["a"] == list(until(lambda: two.beat(["a"], everything).held))
        with pytest.raises(LedgerUnavailable, match="idle-in-transaction"):
            one.beat(["a"], everything)

    def test_ended_and_not_taken(self, shared: Shared) -> None:
        """Nobody wanted it meanwhile: it goes on."""
        one, _ = shared.leases
        one.beat(["a"], everything)
        shared.end_leases()
        mine = one.beat(["a"], nothing)
        assert (["a"], frozenset(), {"a": "one"}) == (list(mine.held), mine.taken, mine.holders)

    def test_only_what_it_can_deliver(self, shared: Shared) -> None:
        """The others stay free."""
        one, two = shared.leases
        assert ["a"] == list(one.beat(["a"], everything).held)
        assert ["b"] == list(two.beat(["a", "b"], everything).held)

    def test_left(self, shared: Shared) -> None:
        """Who leaves gives everything back, and is told of to the others."""
        one, two = shared.leases
        one.beat(["a"], everything)
        two.beat(["a"], everything)
        one.leave()
        assert [(LEASE, "")] == two.wait(5.0)
        now = two.beat(["a"], everything)
        assert (["a"], ["two"]) == (list(now.held), [process.id for process in now.processes])


class TestHandedOver:
    """A lease goes to the one that it is kept for."""

    def test_over(self, shared: Shared) -> None:
        """Its holder is told that it is wanted, and after its release the other takes it, not the one that gave it."""
        one, two = shared.leases
        one.beat(["a", "b"], everything)
        two.beat(["a", "b"], everything)
        one.hand_over({"b": "two"})
        mine = one.beat(["a", "b"], everything)
        assert (["a", "b"], {"b"}) == (sorted(mine.held), mine.wanted)
        assert {} == two.beat(["a", "b"], everything).held
        one.release(["b"])
        assert ["a"] == list(one.beat(["a", "b"], everything).held)
        assert ["b"] == list(two.beat(["a", "b"], everything).held)
        assert frozenset() == two.beat(["a", "b"], everything).wanted

    def test_asked_for(self, shared: Shared) -> None:
        """Another process can ask for it."""
        one, two = shared.leases
        one.beat(["a"], everything)
        two.beat(["a"], everything)
        shared.ledgers[1].want_lease("a", "two")
        assert (LEASE, "") in one.wait(5.0)
        assert {"a"} == one.beat(["a"], everything).wanted
        one.release(["a"])
        assert {} == one.beat(["a"], everything).held
        assert ["a"] == list(two.beat(["a"], everything).held)

    def test_for_one_that_is_gone(self, shared: Shared) -> None:
        """It is kept for a while only."""
        one, two = shared.leases
        one.beat(["a"], everything)
        one.hand_over({"a": "gone"})
        one.release(["a"])
        assert {} == two.beat(["a"], everything).held
        shared.sql("UPDATE lane SET wanted_until = 0")
        assert ["a"] == list(two.beat(["a"], everything).held)


class TestTold:
    """What one process changes the others are told of."""

    def test_accepted(self, shared: Shared) -> None:
        """Only where somebody else delivers, with the transaction that stores it."""
        one, two = shared.leases
        for leases in (one, two):
            leases.beat(["a", "b"], nothing)
        shared.ledgers[0].tell_accepted(lambda app: app == "b")
        shared.ledgers[0].accept([new(app="a"), new(app="b"), new(app="b")])
        assert [(ACCEPTED, "b")] == two.wait(5.0)
        assert [] == one.wait(0.0)

    def test_anything(self, shared: Shared) -> None:
        """With a name of any form."""
        one, two = shared.leases
        for leases in (one, two):
            leases.beat([], nothing)
        shared.ledgers[1].tell(APP, "a b", "商店")
        assert [(APP, "a b"), (APP, "商店")] == one.wait(5.0)

    def test_poked(self, shared: Shared) -> None:
        """Who waits can be woken."""
        one, _ = shared.leases
        one.beat([], nothing)
        one.poke()
        before = steady()
        assert [] == one.wait(60.0)
        assert steady() - before < 50

    def test_away(self, shared: Shared) -> None:
        """A connection that broke is told of, and made anew."""
        one, _ = shared.leases
        one.beat(["a"], everything)
        assert one.connected
        shared.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with pytest.raises(LedgerUnavailable):
            one.beat(["a"], nothing)
        assert not one.connected
        assert ["a"] == list(one.beat(["a"], nothing).held)
        assert one.connected


class TestFence:
    """What a process writes of an app whose lease it has lost."""

    @pytest.fixture
    def lost(self, shared: Shared) -> int:
        """A delivery of an app that `one` had the lease of, and `two` has now."""
        (delivery,) = shared.ledgers[0].accept([new(app="a")])
        shared.leases[0].beat(["a"], everything)
        shared.end_leases()
        shared.leases[1].beat(["a"], everything)
        return delivery

    def test_state_stays(self, shared: Shared, lost: int) -> None:
        """Its attempt is on record, what follows from it is not: another one decides."""
        late, now = shared.ledgers
        now.record([done(lost, outcome="acked", state="acked")])
        now.flush()
        late.record([done(lost, outcome="timed out", state="waiting", sent_at=5)])
        late.flush()
        record = now.delivery(lost)
        assert record is not None
        assert ("acked", "acked") == (record.state, record.last_outcome)
        assert [(1, "acked"), (2, "timed out")] == [(one.number, one.outcome) for one in now.attempts(lost)]

    def test_no_attempt_is_lost(self, shared: Shared, lost: int) -> None:
        """Whoever comes second with an attempt of the same number gets the next one, once."""
        late, now = shared.ledgers
        late.record([done(lost, outcome="timed out", state="waiting", sent_at=5)])
        late.flush()
        now.record([done(lost, outcome="acked", state="acked", sent_at=6)])
        now.flush()
        record = now.delivery(lost)
        assert record is not None
        assert ("acked", 2) == (record.state, record.attempts)
        assert [(1, 5), (2, 6)] == [(one.number, one.sent_at) for one in now.attempts(lost)]

    def test_failing(self, shared: Shared, lost: int) -> None:
        """How the receiver fails is written by the holder alone."""
        late, now = shared.ledgers
        late.save_failing("a", Failing(1, 2), "one")
        assert {} == now.failing()
        now.save_failing("a", Failing(3, None), "two")
        assert {"a": Failing(3, None)} == late.failing()
        late.save_failing("a", FINE)
        assert {} == now.failing()


def test_names_of_locks(shared: Shared) -> None:
    """Two processes do not do at once what belongs to one name."""
    one, two = shared.ledgers
    with one.exclusively("a"):
        with two.exclusively("b"):
            pass
        with pytest.raises(LedgerUnavailable), two.exclusively("a"):
            pass
    with two.exclusively("a"):
        pass


def test_a_file_has_none(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file belongs to one process."""
    with Ledger(str(tmp_path_factory.mktemp("ledger") / "ledger.db")) as ledger:
        assert (None, False) == (ledger.leases("one", "one:1"), ledger.shared)
        with ledger.exclusively("a"):
            ledger.tell(APP, "a")
